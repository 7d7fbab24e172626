package recovery

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Serving says which plan's cluster serves for a primary plan. It is kept in a Lease of its
// own, which nobody releases: what was fenced must not come back because a record is gone.
type Serving struct {
	// Plan and Cluster that serve, and the UID that the Cluster had when it began to.
	Plan, Cluster string
	UID           types.UID
	// Epoch rises with each transition, before anything is touched.
	Epoch int64
	// Run that made it serve, and when.
	Run   string
	Since time.Time
	// Pending is the plan that is taking over, or that a run which did not come to its end
	// meant to let take over; PendingRun is that run. Plan may be fenced then.
	Pending    string
	PendingRun types.UID
	// PendingName is the name of that run, and Done the UID of the run that ended the last
	// transition.
	PendingName string
	Done        types.UID
}

// ServingName is the Lease that says which plan serves for a primary plan. No lock has such
// a name: that of a cluster has no dot.
func ServingName(plan string) string { return bounded("refloat.serving."+plan, maxReportName) }

// Outgoing tells which plan has to be fenced for another one to take over. A transition that
// did not come to its end is either completed or undone by the next.
func Outgoing(primary string, s *Serving, to string) (string, *Fault) {
	from := primary
	if s != nil {
		from = s.Plan
	}
	switch {
	case s == nil || s.Pending == "" || s.Pending == to:
	case to == s.Plan:
		from = s.Pending
	default:
		return "", Faultf("TransitionOpen", "run %s began to let plan %s take over from plan %s and did not come to its end: complete it with a failover to %s, or undo it with one to %s, before another plan takes over",
			s.PendingName, s.Pending, s.Plan, s.Pending, s.Plan)
	}
	if from == to {
		return "", Faultf("AlreadyServing", "plan %s serves for plan %s already; nothing was done", to, primary)
	}
	return from, nil
}

// Idle tells whether a transition that is undone ended before it sent users to the side that
// was to take over, or made anything of it: then that side is as it was, a standby perhaps, and
// must not be deleted. It is not known when the run that opened the transition is gone, or
// when it was not the first since somebody last served.
func Idle(primary *v1alpha1.RecoveryPlan, s *Serving, from string, opened *v1alpha1.RecoveryRun) bool {
	if s == nil || s.Pending == "" || s.Pending != from || opened == nil || opened.UID != s.PendingRun {
		return false
	}
	ended := int64(0)
	if told := primary.Status.Serving; told != nil {
		ended = told.Epoch
	}
	for _, phase := range []v1alpha1.Phase{v1alpha1.PhaseProvision, v1alpha1.PhaseSwitch, v1alpha1.PhaseCommit} {
		if entered(opened, phase) != nil {
			return false
		}
	}
	return s.Epoch == ended+1
}

// Bound tells why a side of a failover cannot be used: it serves, or is about to, for another
// primary plan, whose users a fence would cut off. The records are those of the other plans.
func Bound(side string, records map[string]*Serving) *Fault {
	for _, primary := range slices.Sorted(maps.Keys(records)) {
		s := records[primary]
		if s == nil || s.Plan != side && s.Pending != side {
			continue
		}
		return Faultf("ServesAnother", "plan %s serves for plan %s, too, or is about to (Lease %s, epoch %d); a failover here could stop it there. Order a failback of plan %s first, or delete its Lease when plan %s needs no failover any more",
			side, primary, ServingName(primary), s.Epoch, primary, primary)
	}
	return nil
}

// notServing refuses to make the cluster of a primary plan anew while another plan serves for
// it: what was fenced comes back by a failback alone.
func notServing(o Observation) *Fault {
	if o.Run.Spec.Operation != v1alpha1.OperationRebuild {
		return nil
	}
	return ServesElsewhere(o.Run.Spec.PlanRef.Name, o.Serving)
}

// ServesElsewhere tells that another plan serves in a plan's place, or is about to; nil when
// none does.
func ServesElsewhere(plan string, s *Serving) *Fault {
	switch {
	case s == nil:
		return nil
	case s.Plan != plan:
		return Faultf("NotServing", "plan %s serves for plan %s since run %s (epoch %d); a rebuild would bring back what was fenced: order a failback (refloat failback %s)",
			s.Plan, plan, s.Run, s.Epoch, plan)
	case s.Pending != "" && s.Pending != plan:
		return Faultf("NotServing", "run %s fenced plan %s to let plan %s take over (epoch %d) and did not come to its end; complete it with a failover to %s, or undo it with a failback (refloat failback %s)",
			s.PendingName, plan, s.Pending, s.Epoch, s.Pending, plan)
	}
	return nil
}
