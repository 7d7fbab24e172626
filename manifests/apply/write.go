package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/verify"
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
	// note on an object that was left as it is.
	note string
	// message is err in words that carry no secret value.
	message string
	verdict verdict
}

// attempt is write, in which a panic is a failure of this object alone.
func (e *engine) attempt(ctx context.Context, j job) (a *answer) {
	defer func() {
		if p := recover(); p != nil {
			a = &answer{item: j.item, resource: j.resource, watched: j.watched, err: e.fault(p)}
			a.judged(e.graph.Nodes[j.item].Object)
		}
	}()
	return e.write(ctx, j)
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
		Body: body, Manager: object.Manager(), Answer: a.watched}
	if a.err = e.recoveryPoint(ctx, object); a.err != nil {
		return a.judged(object)
	}
	started := e.Clock.Now()
	live, note, err := e.put(ctx, object, w, j.create)
	a.note = note
	a.latency, a.err = e.Clock.Since(started), err
	switch {
	case err != nil:
		return a.judged(object)
	case live != nil:
		a.doomed = live.GetDeletionTimestamp() != nil
		a.seen = observation{version: live.GetResourceVersion(), uid: live.GetUID(), Assessment: health.Assess(live, e.environment())}
	default:
		a.seen = observation{Assessment: e.assessUnwatched(object, a.resource)}
	}
	return a
}

// assessUnwatched is the health of an object of which nothing but that it was accepted is
// looked at.
func (e *engine) assessUnwatched(object manifests.Object, r cluster.Resource) health.Assessment {
	if unminded(object) {
		return health.Assessment{Status: health.Healthy, Message: "accepted; its health is not asked for, as a rule says"}
	}
	return e.assessDesired(object, r)
}

// put sends one request: an apply, or a create for what apply refuses or for what is
// to be left alone once it exists.
func (e *engine) put(ctx context.Context, object manifests.Object, w cluster.Write, create bool) (live *unstructured.Unstructured, note string, err error) {
	lenient := rulesOf(object).Write == manifests.WriteCreate
	if !create && !lenient {
		live, err = e.client.Apply(ctx, w)
		return live, "", err
	}
	live, err = e.client.Create(ctx, w)
	if !apierrors.IsAlreadyExists(err) {
		return live, "", err
	}
	// Ours, if the answer to an earlier attempt was lost.
	found, getErr := e.client.Get(ctx, w.Resource, w.Namespace, w.Name)
	switch {
	case getErr != nil:
		return nil, "", getErr
	case managed(found.GetManagedFields(), w.Manager):
		if !lenient && e.Inherited && !verify.Holds(object, w.Resource, found) {
			return nil, "", &finalError{errors.New("server-side apply refuses the object, and an earlier run created it with another content; remove it from the cluster, or write it in a form that can be applied")}
		}
		return found, "", nil
	case lenient:
		return found, "it existed and was left as it is, as a rule says", nil
	}
	return nil, "", &finalError{fmt.Errorf("server-side apply refuses the object, and somebody else created it: %w", err)}
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
	if apierrors.IsInvalid(a.err) && strings.Contains(a.message, "immutable") {
		a.message += "; the object exists with another value and is never deleted to change it: remove it, or write the value that it has"
	}
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
