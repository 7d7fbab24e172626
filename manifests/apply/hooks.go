package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
)

// Objects that do their work once may be gone afterwards: a hook that is removed when
// it succeeded, a Job with a time to live. Nothing on the cluster would then tell a
// process that takes over that the work is done, and it would be done again. So it is
// written down before the object may go: in one ConfigMap, a key for each object, each
// applied under a manager of its own so that none takes another one away.

const (
	recordNamespace = "kube-system"
	recordName      = "refloat-hooks"
)

var configMaps = cluster.Resource{
	GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: "configmaps"},
	Kind:                 "ConfigMap", Namespaced: true, Listable: true, Watchable: true,
}

// once tells whether an object may be gone when its work is done.
func once(object manifests.Object) bool {
	if hook := rulesOf(object).Hook; hook != nil && (hook.DeleteSucceeded || hook.DeleteFailed) {
		return true
	}
	return expires(object)
}

// expires tells whether an object is a Job that is removed some time after its end.
func expires(object manifests.Object) bool {
	if id := object.ID(); id.Group != "batch" || id.Kind != "Job" {
		return false
	}
	_, ok, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "ttlSecondsAfterFinished")
	return ok
}

// recordKey names an object in one form. Another content is other work.
func recordKey(object manifests.Object) (string, error) {
	content, err := json.Marshal(object.Unstructured.Object)
	if err != nil {
		return "", fmt.Errorf("encode the object: %w", err)
	}
	sum := sha256.Sum256(append([]byte(object.ID().String()+"\n"), content...))
	return hex.EncodeToString(sum[:]), nil
}

// recall finds which objects have done their work in an earlier process.
func (e *engine) recall(ctx context.Context) error {
	needed := false
	for i := range e.items {
		needed = needed || once(e.graph.Nodes[i].Object)
	}
	if !needed {
		return nil
	}
	record, err := e.client.Get(ctx, configMaps, recordNamespace, recordName)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look which hooks have run before: %w", err)
	}
	data, _, _ := unstructured.NestedStringMap(record.Object, "data")
	for i := range e.items {
		object := e.graph.Nodes[i].Object
		if !once(object) {
			continue
		}
		if key, err := recordKey(object); err == nil && data[key] != "" {
			e.items[i].recorded = true
		}
	}
	return nil
}

// workDone marks an object whose work an earlier process saw done and that is gone.
func (e *engine) workDone(i int) {
	it := &e.items[i]
	it.phase, it.adopted, it.retired = applied, true, true
	it.seen.Assessment = health.Assessment{Status: health.Healthy, Message: "it did its work before and is gone"}
}

// retirement is what is to become of an object whose work is over.
type retirement struct {
	item     int
	resource cluster.Resource
	uid      types.UID
	record   bool // its work was done
	remove   bool
}

// retired says that it happened, or why not.
type retired struct {
	item int
	err  error
}

// retire notes, once, that the work of an object is over.
func (e *engine) retire(i int, succeeded bool) {
	it := &e.items[i]
	object := e.graph.Nodes[i].Object
	if it.retired || !once(object) || it.phase != applied {
		return
	}
	it.retired = true
	r := retirement{item: i, resource: it.resource, uid: it.seen.uid, record: succeeded && !it.recorded}
	if hook := e.rules(i).Hook; hook != nil {
		r.remove = succeeded && hook.DeleteSucceeded || !succeeded && hook.DeleteFailed
	}
	if r.record || r.remove {
		e.queued = append(e.queued, task{item: i, do: func(ctx context.Context) event {
			return event{retired: &retired{item: i, err: e.bury(ctx, r)}}
		}})
	}
}

// buryAttempts bounds the requests about an object that is done.
const buryAttempts = 5

// bury records and removes, in this sequence: what is recorded twice is recorded once.
func (e *engine) bury(ctx context.Context, r retirement) error {
	object := e.graph.Nodes[r.item].Object
	if r.record {
		if err := e.insist(ctx, func() error { return e.writeRecord(ctx, object) }); err != nil {
			return fmt.Errorf("it is done, but that could not be recorded: %w", err)
		}
	}
	if !r.remove {
		return nil
	}
	err := e.insist(ctx, func() error {
		return e.client.Delete(ctx, r.resource, object.GetNamespace(), object.GetName(), r.uid)
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("it is done, but could not be removed: %s", cluster.Explain(err, object.GroupVersionKind().GroupKind()))
	}
	return nil
}

// insist repeats what fails for reasons that pass.
func (e *engine) insist(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || attempt == buryAttempts || judge(err).action != retry || apierrors.IsNotFound(err) {
			return err
		}
		select {
		case <-e.Clock.After(backoff(attempt, 0, e.Random())):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

func (e *engine) writeRecord(ctx context.Context, object manifests.Object) error {
	key, err := recordKey(object)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": recordNamespace, "name": recordName, "labels": map[string]string{manifests.SeedLabel: "true"}},
		"data":     map[string]string{key: object.ID().String() + " at " + e.Clock.Now().UTC().Format(time.RFC3339)},
	})
	if err != nil {
		return fmt.Errorf("encode the record: %w", err)
	}
	_, err = e.client.Apply(ctx, cluster.Write{Resource: configMaps, Namespace: recordNamespace, Name: recordName,
		Body: body, Manager: manifests.FieldManager + "-hook-" + key[:16]})
	return err
}

func (e *engine) retiredNow(r *retired) {
	if r.err == nil {
		return
	}
	e.Log.Info("an object that did its work could not be put away", "object", e.name(r.item), "reason", r.err.Error())
	it := &e.items[r.item]
	it.note = r.err.Error()
	if it.explaining { // it was the look at its pods that went wrong
		it.explaining = false
		e.fail(r.item, it.note)
	}
}
