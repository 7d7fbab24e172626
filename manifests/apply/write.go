package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
)

// job is one write to make, copied out of the engine's state.
type job struct {
	item     int
	resource cluster.Resource
	mapped   bool
	watched  bool
	create   bool
}

// answer is what came of a write.
type answer struct {
	item     int
	resource cluster.Resource
	watched  bool
	latency  time.Duration
	// doomed means that the object was being deleted.
	doomed bool
	// seen is the health in the answer to a successful write.
	seen observation
	err  error
	// message is err in words that carry no secret value.
	message string
	verdict verdict
}

// write runs in a goroutine of its own and touches nothing of the engine that
// changes.
func (e *engine) write(ctx context.Context, j job) *answer {
	object := e.graph.Nodes[j.item].Object
	a := &answer{item: j.item, resource: j.resource, watched: j.watched}
	if !j.mapped {
		if a.resource, a.err = e.lookup(ctx, object.GroupVersionKind()); a.err != nil {
			return a.judged(object)
		}
		if a.watched = e.needsWatch(object, a.resource); a.watched {
			e.watcher.open(ctx, a.resource)
		}
	}
	body, err := cluster.Body(object.Unstructured, a.resource)
	if err != nil {
		a.err = &finalError{err}
		return a.judged(object)
	}
	w := cluster.Write{Resource: a.resource, Namespace: object.GetNamespace(), Name: object.GetName(),
		Body: body, Manager: manifests.FieldManager, Answer: a.watched}
	started := e.Clock.Now()
	live, err := e.put(ctx, w, j.create)
	a.latency, a.err = e.Clock.Since(started), err
	switch {
	case err != nil:
		return a.judged(object)
	case live != nil:
		a.doomed = live.GetDeletionTimestamp() != nil
		a.seen = observation{version: live.GetResourceVersion(), Assessment: health.Assess(live, e.environment())}
	default:
		a.seen = observation{Assessment: e.assessDesired(object, a.resource)}
	}
	return a
}

// put sends one request: an apply, or a create for what apply refuses.
func (e *engine) put(ctx context.Context, w cluster.Write, create bool) (*unstructured.Unstructured, error) {
	if !create {
		return e.client.Apply(ctx, w)
	}
	live, err := e.client.Create(ctx, w)
	if !apierrors.IsAlreadyExists(err) {
		return live, err
	}
	// Ours, if the answer to an earlier attempt was lost.
	found, getErr := e.client.Get(ctx, w.Resource, w.Namespace, w.Name)
	if getErr != nil {
		return nil, getErr
	}
	if !managed(found.GetManagedFields()) {
		return nil, &finalError{fmt.Errorf("server-side apply refuses the object, and somebody else created it: %w", err)}
	}
	return found, nil
}

// lookup maps a kind that was unknown when the object became due, by asking the
// server again, once for all who wait.
func (e *engine) lookup(ctx context.Context, gvk schema.GroupVersionKind) (cluster.Resource, error) {
	if r, ok := e.kinds.Lookup(gvk); ok {
		return r, nil
	}
	_, err, _ := e.refresh.Do("", func() (any, error) { return nil, e.client.Discover(ctx, e.kinds) })
	if r, ok := e.kinds.Lookup(gvk); ok {
		return r, nil
	}
	var partial *cluster.PartialError
	if err != nil && !errors.As(err, &partial) {
		return cluster.Resource{}, err
	}
	return cluster.Resource{}, &noMatchError{kind: gvk.String()}
}

func (a *answer) judged(object manifests.Object) *answer {
	a.verdict = judge(a.err)
	a.message = cluster.Explain(a.err, object.GroupVersionKind().GroupKind())
	return a
}

func (e *engine) environment() health.Environment {
	return health.Environment{
		Simulated: e.Simulated,
		StatusSubresource: func(gvk schema.GroupVersionKind) bool {
			r, ok := e.kinds.Lookup(gvk)
			return ok && r.StatusSubresource
		},
		WaitsForConsumer: e.classes.WaitsForConsumer,
		Check:            e.check,
		Now:              e.Clock.Now(),
		Settle:           e.Settle,
	}
}

// check is the rule of health that the repository has for an object.
func (e *engine) check(id manifests.ID) *manifests.HealthCheck {
	if i, ok := e.index[id]; ok {
		if r := e.graph.Nodes[i].Object.Rules; r != nil {
			return r.Health
		}
	}
	return nil
}

// assessDesired is the health of an object about which no controller says anything:
// what the answer would show, without decoding it.
func (e *engine) assessDesired(object manifests.Object, r cluster.Resource) health.Assessment {
	return health.Assess(&unstructured.Unstructured{Object: cluster.Desired(object.Unstructured, r)}, e.environment())
}

// needsWatch tells whether an object's health can differ from what it shows when it
// was just accepted. Of custom kinds only operators write status, which simulated
// clusters do not run.
func (e *engine) needsWatch(object manifests.Object, r cluster.Resource) bool {
	if builtin.Lookup(r.GroupVersionKind().GroupKind()) == nil && r.StatusSubresource && !e.Simulated {
		return true
	}
	switch e.assessDesired(object, r).Status {
	case health.Healthy:
		return false
	case health.NotProvable:
		// A built-in kind may become provable all the same, such as an APIService.
		return builtin.Lookup(r.GroupVersionKind().GroupKind()) != nil
	}
	return true
}
