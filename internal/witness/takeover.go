package witness

import (
	"encoding/json"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// Takeover is what is known of a failover besides the run: Case.Cluster serves before it and
// gives way to another one.
type Takeover struct {
	// Record is the Lease that says who serves.
	Record           string
	FromPlan, ToPlan string
	// To is the cluster that takes over, Lease its lock.
	To, Lease string
	// FoundEpoch is that of the record before the run.
	FoundEpoch int64
	// Stopped is when a cluster that was deleted answered no more, by the UID of its Cluster.
	Stopped map[types.UID]time.Time
	// Users is the ConfigMap that the switch applies.
	Users string
	// Calls that the receiver of the hooks got, in order.
	Calls []Call
}

// Call of a hook, as its receiver saw it.
type Call struct {
	Hook, Key string
	Raw       []byte
	Message   struct {
		Kind     string
		RunUID   types.UID
		Epoch    int64
		From, To struct {
			Cluster string
			UID     types.UID
		}
	}
	Received time.Time
}

// record is what one write left of who serves.
type record struct {
	Event
	holder, pending string
	pendingRun      types.UID
	done            types.UID
	epoch           int64
}

// Annotations of the record, as docs/failover.md has them.
const (
	pendingPlan = "refloat.dev/pending-plan"
	pendingRun  = "refloat.dev/pending-run-uid"
	doneBy      = "refloat.dev/serving-run-uid"
)

// records of who serves, in order.
func (h *history) records() []record {
	var out []record
	for _, e := range h.Events {
		if h.Takeover == nil || e.Server != Management || !e.Wrote() || !e.is("leases") || e.name() != h.Takeover.Record {
			continue
		}
		r := record{Event: e}
		var lease coordinationv1.Lease
		if e.Verb != "delete" && json.Unmarshal(e.ResponseObject, &lease) == nil {
			if lease.Spec.HolderIdentity != nil {
				r.holder = *lease.Spec.HolderIdentity
			}
			if lease.Spec.LeaseTransitions != nil {
				r.epoch = int64(*lease.Spec.LeaseTransitions)
			}
			r.pending, r.pendingRun, r.done = lease.Annotations[pendingPlan], types.UID(lease.Annotations[pendingRun]), types.UID(lease.Annotations[doneBy])
		}
		out = append(out, r)
	}
	return out
}

// recordIsLawful follows the record: the run raises its epoch once, before anything of the old
// side is deleted, and passes it on once.
func recordIsLawful(h *history) []string {
	var out breaches
	t := h.Takeover
	if t == nil {
		return nil
	}
	began, ended := false, false
	for _, r := range h.records() {
		out.add(r.holder == t.FromPlan || r.holder == t.ToPlan, "%s: plan %q serves", r.Event, r.holder)
		out.add(r.epoch == t.FoundEpoch+1, "%s: epoch %d, it was %d before the run", r.Event, r.epoch, t.FoundEpoch)
		switch {
		case !began:
			out.add(r.holder == t.FromPlan && r.pending == t.ToPlan && r.pendingRun == h.RunUID, "%s: it begins with plan %q serving and %q pending for run %q", r.Event, r.holder, r.pending, r.pendingRun)
			began = true
		case !ended:
			out.add(r.holder == t.ToPlan && r.pending == "" && r.done == h.RunUID, "%s: it goes on with plan %q serving, %q pending, ended by run %q", r.Event, r.holder, r.pending, r.done)
			ended = true
		default:
			out.add(false, "%s: the transition had ended", r.Event)
		}
	}
	for _, e := range h.deletes {
		records := h.records()
		out.add(len(records) > 0 && records[0].before(e), "%s: the record did not say before that another plan takes over", e)
	}
	return out
}

// oneServes wants the old side to be gone, by what the provider knows, before anything sends
// users to the new one.
func oneServes(h *history) []string {
	var out breaches
	if h.Takeover == nil {
		return nil
	}
	stopped := h.Takeover.Stopped[h.LiveUID]
	for _, s := range h.sendings() {
		out.add(!stopped.IsZero() && stopped.Before(s.at), "%s: Cluster %s was still there", s.what, h.Cluster)
		run := h.statusAt(s.at)
		ready := run != nil && run.Status.Failover != nil && run.Status.Failover.Fence != nil && run.Status.Failover.Fence.Outcome == v1alpha1.FenceDone && run.Status.RecoveredAt != nil
		out.add(ready, "%s: the run had not recorded that the old side is fenced and the new one verified", s.what)
	}
	for _, e := range h.Events {
		switch {
		case e.Server != Management || !e.Wrote():
		case h.leadsUsers(e):
			_, inCharge := h.epochAt(e.Received.Time)
			out.add(e.User.Username == inCharge, "%s: the run had been taken over by %s, and users may have been led elsewhere since", e, inCharge)
		case e.is("clusters") && e.object().UID == h.LiveUID:
			out.add(e.object().Annotations[capi.AnnotationServes] != "true", "%s: the old side is marked as the one that serves", e)
		}
	}
	return out
}

// leadsUsers tells whether a write applies what a switch by a directory consists of.
func (h *history) leadsUsers(e Event) bool {
	return e.is("configmaps") && e.name() == h.Takeover.Users
}

// sending is whatever makes the new side the one that users reach.
type sending struct {
	what string
	at   time.Time
}

func (h *history) sendings() []sending {
	var out []sending
	for _, c := range h.Takeover.Calls {
		out = append(out, sending{"call of hook " + c.Hook + " at " + c.Received.Format("15:04:05.000000"), c.Received})
	}
	for _, r := range h.records() {
		if r.holder == h.Takeover.ToPlan {
			out = append(out, sending{r.String(), r.Received.Time})
		}
	}
	for _, e := range h.Events {
		marked := e.is("clusters") && e.object().UID != h.LiveUID && e.object().Annotations[capi.AnnotationServes] == "true"
		if e.Server == Management && e.Wrote() && (marked || h.leadsUsers(e)) {
			out = append(out, sending{e.String(), e.Received.Time})
		}
	}
	return out
}

// hooksActOnce wants every call of a hook to be the same message under the same key, which the
// run recorded before and still waits for an answer to.
func hooksActOnce(h *history) []string {
	var out breaches
	if h.Takeover == nil {
		return nil
	}
	first, keys := map[string]Call{}, map[string]string{}
	for _, c := range h.Takeover.Calls {
		at := c.Received.Format("15:04:05.000000")
		out.add(c.Key != "" && (keys[c.Key] == "" || keys[c.Key] == c.Hook), "hook %s at %s: key %q is that of hook %s", c.Hook, at, c.Key, keys[c.Key])
		keys[c.Key] = c.Hook
		was, before := first[c.Hook]
		out.add(!before || was.Key == c.Key && string(was.Raw) == string(c.Raw), "hook %s at %s: it got another message before (key %s, then %s)", c.Hook, at, was.Key, c.Key)
		if !before {
			first[c.Hook] = c
		}
		m := c.Message
		out.add(m.Kind == "Switch" && m.RunUID == h.RunUID && m.Epoch == h.Takeover.FoundEpoch+1 && m.From.UID == h.LiveUID && m.To.Cluster == h.Takeover.To,
			"hook %s at %s: %s of run %s at epoch %d, from %s to %s", c.Hook, at, m.Kind, m.RunUID, m.Epoch, m.From.Cluster, m.To.Cluster)
		out.add(h.waitsFor("switch-"+c.Hook, c.Received), "hook %s at %s: the run did not wait for its answer", c.Hook, at)
	}
	return out
}

// waitsFor tells whether the run had recorded that it calls a hook, and no answer yet.
func (h *history) waitsFor(name string, at time.Time) bool {
	run := h.statusAt(at)
	if run == nil || run.Status.Failover == nil || run.Status.FinishedAt != nil {
		return false
	}
	return slices.ContainsFunc(run.Status.Failover.Hooks, func(r v1alpha1.HookRecord) bool { return r.Name == name && r.AnsweredAt == nil })
}

// failoverIsDefinite holds the result against the record: success needs the new side to serve
// by it; after a failure it says who serves, and that side is there.
func failoverIsDefinite(h *history) []string {
	var out breaches
	t := h.Takeover
	if t == nil {
		return nil
	}
	for _, s := range h.statuses {
		if s.run.Status.FinishedAt == nil {
			continue
		}
		var last record
		for _, r := range h.records() {
			if r.before(s.Event) {
				last = r
			}
		}
		f := s.run.Status.Failover
		if s.run.Status.Failure == nil {
			out.add(last.holder == t.ToPlan && last.pending == "" && f != nil && f.Epoch == last.epoch && f.CommittedAt != nil, "%s: the run succeeded, and the record says %q serves at epoch %d, pending %q", s.Event, last.holder, last.epoch, last.pending)
			continue
		}
		gone := !t.Stopped[h.LiveUID].IsZero() && t.Stopped[h.LiveUID].Before(s.Received.Time)
		out.add(!gone || last.pending == t.ToPlan && last.pendingRun == h.RunUID, "%s: the run failed with Cluster %s gone, and the record says %q serves, pending %q", s.Event, h.Cluster, last.holder, last.pending)
		out.add(last.holder != t.ToPlan || last.pending != "", "%s: the run failed, and the record says that plan %s serves", s.Event, t.ToPlan)
	}
	return out
}
