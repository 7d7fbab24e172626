package apply

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
)

// listsAtOnce are read in parallel before the first write.
const listsAtOnce = 8

// adopt finds, with one list of metadata per kind that exists, what an earlier process
// of this run has applied. It also learns the versions from which watches may start.
func (e *engine) adopt(ctx context.Context) error {
	byKind := map[schema.GroupVersionKind][]int{}
	for i := range e.items {
		gvk := e.graph.Nodes[i].Object.GroupVersionKind()
		byKind[gvk] = append(byKind[gvk], i)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(listsAtOnce)
	for gvk := range byKind {
		if !e.kinds.Served(gvk) {
			continue
		}
		group.Go(func() error {
			r, _ := e.kinds.Lookup(gvk)
			return e.adoptKind(ctx, r)
		})
	}
	group.Go(func() error { return e.recall(ctx) })
	if e.needsClasses() {
		group.Go(func() error { return e.client.LearnStorageClasses(ctx, e.kinds, e.classes) })
	}
	return group.Wait()
}

func (e *engine) needsClasses() bool {
	for id := range e.index {
		if id.Group == "" && id.Kind == "PersistentVolumeClaim" {
			return true
		}
	}
	return false
}

// adoptKind writes only to items of its kind, so that kinds can be read in parallel.
func (e *engine) adoptKind(ctx context.Context, r cluster.Resource) error {
	if !r.Listable {
		return nil
	}
	found := false
	version, err := e.client.ListMetadata(ctx, r, func(m *metav1.PartialObjectMetadata) error {
		id := manifests.ID{Group: r.Group, Kind: r.Kind, Namespace: m.Namespace, Name: m.Name}
		i, ok := e.index[id]
		if !ok || e.graph.Nodes[i].Object.GroupVersionKind() != r.GroupVersionKind() {
			return nil
		}
		found = true
		object := e.graph.Nodes[i].Object
		if m.DeletionTimestamp == nil && (managed(m.ManagedFields, object.Manager()) || bare(object)) {
			it := &e.items[i]
			it.seen.uid = m.UID
			it.adopted, it.appliedAt, it.resource, it.mapped = true, appliedAt(m, object.Manager()), r, true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for what was applied before: %w", err)
	}
	if !found {
		e.watcher.from(r, version)
	}
	return nil
}

// managed tells whether a run has written an object: by server-side apply, or by the
// plain create that replaces it.
func managed(entries []metav1.ManagedFieldsEntry, manager string) bool {
	for _, m := range entries {
		if m.Manager == manager && m.Subresource == "" {
			return true
		}
	}
	return false
}

// bare objects have nothing but a name. The API server keeps no record of who applied
// such an object, and whoever did, nothing is left to apply.
func bare(object manifests.Object) bool {
	for field := range object.Object {
		switch field {
		case "apiVersion", "kind", "metadata", "status":
		default:
			return false
		}
	}
	return len(object.GetLabels()) == 0 && len(object.GetAnnotations()) == 0 &&
		len(object.GetFinalizers()) == 0 && len(object.GetOwnerReferences()) == 0
}

func appliedAt(m *metav1.PartialObjectMetadata, manager string) time.Time {
	for _, entry := range m.ManagedFields {
		if entry.Manager == manager && entry.Subresource == "" && entry.Time != nil {
			return entry.Time.Time
		}
	}
	return m.CreationTimestamp.Time
}

// start takes over what was adopted: the gates that its acceptance opened are open.
func (e *engine) start(ctx context.Context) {
	now := e.Clock.Now()
	e.sched.onRelease = func(i int) { e.items[i].releasedAt = e.Clock.Now() }
	for i := range e.items {
		if e.sched.nodes[i].released {
			e.items[i].releasedAt = now
		}
	}
	for i := range e.items {
		it := &e.items[i]
		object := e.graph.Nodes[i].Object
		switch {
		case it.adopted:
			it.phase, it.startedAt, it.deadline = applied, it.appliedAt, now.Add(e.timeout(i))
			e.timers.add(it.deadline, i)
		case it.recorded:
			e.workDone(i)
		default:
			continue
		}
		e.sched.take(i)
		e.tally.applied++
		e.sched.observe(i, order.Applied)
		if it.retired {
			e.assessed(i)
			continue
		}
		if it.watched = e.needsWatch(object, it.resource); it.watched {
			it.seen.Assessment = health.Assessment{Status: health.Progressing, Message: "applied before; not observed yet"}
			e.watcher.open(ctx, it.resource)
		} else {
			it.seen.Assessment = e.assessDesired(object, it.resource)
		}
		e.assessed(i)
	}
}
