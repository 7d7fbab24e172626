package apply

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
)

// none are the rules of an object that has none.
var none = &manifests.Rules{}

func rulesOf(o manifests.Object) *manifests.Rules {
	if o.Rules == nil {
		return none
	}
	return o.Rules
}

func (e *engine) rules(i int) *manifests.Rules { return rulesOf(e.graph.Nodes[i].Object) }

// timeout of an object to become ready.
func (e *engine) timeout(i int) time.Duration {
	if t := e.rules(i).Timeout; t > 0 {
		return t
	}
	return e.Timeout
}

// unminded objects count as soon as they were accepted. A definition is not one of
// them: its kind must be served before its objects can be written.
func unminded(object manifests.Object) bool {
	return rulesOf(object).HealthIgnored && !isDefinition(object)
}

// needsWatch tells whether an object's health can differ from what it shows when it
// was just accepted. Of custom kinds only operators write status, which simulated
// clusters do not run.
func (e *engine) needsWatch(object manifests.Object, r cluster.Resource) bool {
	switch rules := rulesOf(object); {
	case unminded(object):
		return false
	case rules.Health != nil:
		return true
	case once(object):
		return true // its UID is needed to remove it, and that it went away is expected
	}
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

// fault turns a panic into an error that ends one object or one run instead of every
// run of the process. The value of a panic is only said if the language itself made
// it: any other may hold anything.
func (e *engine) fault(p any) error {
	text := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		text = err.Error()
	}
	e.Log.Info("a fault in Refloat itself; please report it", "fault", text, "stack", string(debug.Stack()))
	return &finalError{fmt.Errorf("a fault in Refloat itself, which is worth a report: %s", text)}
}
