package apply

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// listsAtOnce are read in parallel before the first write.
const listsAtOnce = 8

// adopt finds, with one list per kind that exists, what an earlier process of this run, or
// an earlier run, has applied. It also learns the versions from which watches may start.
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
	adopt := func(id manifests.ID, m metav1.Object, live *unstructured.Unstructured) {
		i, ok := e.index[id]
		if !ok || e.graph.Nodes[i].Object.GroupVersionKind() != r.GroupVersionKind() {
			return
		}
		found = true
		if e.mayAdopt(e.graph.Nodes[i].Object, r, m, live) {
			it := &e.items[i]
			it.seen.uid = m.GetUID()
			it.adopted, it.appliedAt, it.resource, it.mapped = true, appliedAt(m, e.graph.Nodes[i].Object.Manager()), r, true
		}
	}
	version, err := e.listForAdoption(ctx, r, adopt)
	if err != nil {
		return fmt.Errorf("look for what was applied before: %w", err)
	}
	if !found {
		e.watcher.from(r, version)
	}
	return nil
}

// listForAdoption reads no more than what tells whether an object may be taken over.
func (e *engine) listForAdoption(ctx context.Context, r cluster.Resource, each func(manifests.ID, metav1.Object, *unstructured.Unstructured)) (version string, err error) {
	id := func(m metav1.Object) manifests.ID {
		return manifests.ID{Group: r.Group, Kind: r.Kind, Namespace: m.GetNamespace(), Name: m.GetName()}
	}
	if e.Inherited {
		return e.client.List(ctx, r, func(u *unstructured.Unstructured) error {
			each(id(u), u, u)
			return nil
		})
	}
	return e.client.ListMetadata(ctx, r, func(m *metav1.PartialObjectMetadata) error {
		each(id(m), m, nil)
		return nil
	})
}

// mayAdopt tells whether a live object needs no write. Within one run, which renders one
// commit, it is enough that the run wrote it. What an earlier run wrote counts only if
// applying it anew would change nothing: the repository may have been mended meanwhile.
func (e *engine) mayAdopt(object manifests.Object, r cluster.Resource, m metav1.Object, live *unstructured.Unstructured) bool {
	switch {
	case m.GetDeletionTimestamp() != nil:
		return false
	case !managed(m.GetManagedFields(), object.Manager()) && !bare(object):
		return false
	case !e.Inherited || rulesOf(object).Write == manifests.WriteCreate:
		return true
	}
	return verify.Unchanged(object, r, live)
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

func appliedAt(m metav1.Object, manager string) time.Time {
	for _, entry := range m.GetManagedFields() {
		if entry.Manager == manager && entry.Subresource == "" && entry.Time != nil {
			return entry.Time.Time
		}
	}
	return m.GetCreationTimestamp().Time
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
			it.seen.Assessment = e.assessUnwatched(object, it.resource)
		}
		e.assessed(i)
	}
}
