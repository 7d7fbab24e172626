package chaos

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/faultproxy"
	"github.com/refloat-dev/refloat/internal/witness"
	"github.com/refloat-dev/refloat/recovery"
)

// judge the run by the audit logs, and its end by that of a run without faults.
func (t *trial) judge(ctx context.Context, marks []*witness.Mark, run *v1alpha1.RecoveryRun) ([]witness.Breach, error) {
	events, err := t.events(ctx, marks)
	if err != nil {
		return nil, err
	}
	told, err := t.told(ctx, run)
	if err != nil {
		return nil, err
	}
	t.lifecycle.mu.Lock()
	identity, liveUID, stopped := t.lifecycle.identity, t.lifecycle.liveUID, maps.Clone(t.lifecycle.stopped)
	t.lifecycle.mu.Unlock()
	side := sidesOf(t.point.Operation)
	c := witness.Case{
		Namespace: t.namespace, Run: run.Name, RunUID: run.UID, Operation: t.point.Operation,
		Cluster: side.from, Lease: recovery.LockName(side.from), LiveUID: liveUID, Identity: identity,
		Before: before, State: state, Canaries: []string{seedCanary, stateCanary, hookCanary}, Told: told, Events: events,
	}
	if takesOver(t.point.Operation) {
		c.Takeover = &witness.Takeover{
			Record: recovery.ServingName(planName), FromPlan: side.fromPlan, ToPlan: side.toPlan, To: side.to, Lease: recovery.LockName(side.to),
			FoundEpoch: foundEpoch(t.point.Operation), Stopped: stopped, Users: usersName, Calls: t.receiver.received(),
		}
	}
	found := witness.Judge(c)
	end, err := t.end(ctx, run)
	if err != nil {
		return found, err
	}
	if t.refused(run) {
		return found, nil
	}
	return append(found, t.compare(end)...), nil
}

// refused tells whether the run failed because a hook was made to refuse what it was told,
// which ends a failover: whoever orders it again goes on from there.
func (t *trial) refused(run *v1alpha1.RecoveryRun) bool {
	kind, f := t.point.Fault.Kind, run.Status.Failure
	if f == nil || f.Reason != "SwitchFailed" || kind != faultproxy.Conflict && kind != faultproxy.Storm {
		return false
	}
	return slices.ContainsFunc(t.sequence.Hits(), func(h faultproxy.Hit) bool { return h.Request.Server == witness.Receiver })
}

// quiet is how long no new line may come until an audit log counts as complete: a server
// answers a moment before it writes the line.
const quiet = 60 * time.Millisecond

// events of the point on all servers.
func (t *trial) events(ctx context.Context, marks []*witness.Mark) ([]witness.Event, error) {
	var events []witness.Event
	var failed error
	grace := time.Now().Add(5 * time.Second)
	err := until(ctx, quiet, func() bool {
		n := len(events)
		for _, m := range marks {
			some, err := m.Since("refloat:" + t.namespace)
			failed = errors.Join(failed, err)
			events = append(events, some...)
		}
		calm := n > 0 && n == len(events)
		return failed != nil || calm && (witness.Released(events, runName) || time.Now().After(grace))
	})
	return events, errors.Join(failed, err)
}

// compare the end with that of the run without faults.
func (t *trial) compare(end *outcome) []witness.Breach {
	if t.point.Fault.lawful(t.point, t.reference()) {
		return nil
	}
	reference := t.reference()
	if reference == nil {
		return t.adopt(end)
	}
	var out []witness.Breach
	if t.point.Fault.Late && t.point.Operation == v1alpha1.OperationDrill {
		forgiveStray(reference, end)
	}
	for _, difference := range reference.differences(end) {
		out = append(out, witness.Breach{Rule: sameEnd, What: difference})
	}
	return out
}

// reference is the end of the run without faults; nil before there was one.
func (t *trial) reference() *outcome {
	references.Lock()
	defer references.Unlock()
	return t.references[string(t.point.Operation)]
}

// references guards those of all worlds.
var references sync.Mutex

// adopt the end of the first run without faults as the reference.
func (t *trial) adopt(end *outcome) []witness.Breach {
	if t.point.Fault.Name != "" {
		return []witness.Breach{{Rule: "harness", What: "there is no run without faults to compare with"}}
	}
	end.writes = t.sequence.Writes()
	references.Lock()
	defer references.Unlock()
	t.references[string(t.point.Operation)] = end
	if end.result != string(v1alpha1.ResultSucceeded) {
		return []witness.Breach{{Rule: sameEnd, What: "without faults the run ended as " + end.result}}
	}
	return nil
}
