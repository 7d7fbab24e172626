package recovery

import (
	"cmp"
	"net/netip"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// DrillOptions are what a plan says about its drills, for the rules of the profile.
func DrillOptions(policy v1alpha1.DrillPolicy) (*quarantine.Options, error) {
	o := &quarantine.Options{}
	for _, e := range policy.Allow {
		o.Allow = append(o.Allow, quarantine.Exception{Pattern: patternOf(e.ObjectPattern), Reason: e.Reason})
	}
	for _, c := range policy.Neutralise {
		o.Neutralise = append(o.Neutralise, quarantine.Class{Pattern: patternOf(c.ObjectPattern), How: quarantine.How(c.How)})
	}
	if policy.Egress == nil {
		return o, nil
	}
	o.OpenEgress = policy.Egress.Policy == v1alpha1.EgressAllow
	for i, d := range policy.Egress.Allow {
		if _, err := netip.ParsePrefix(d.CIDR); err != nil {
			return nil, Faultf("DrillProfileInvalid", "spec.drill.egress.allow[%d].cidr: %q is not a CIDR such as 10.1.2.0/24", i, d.CIDR)
		}
		o.Destinations = append(o.Destinations, quarantine.Destination{CIDR: d.CIDR, Ports: d.Ports})
	}
	return o, nil
}

func patternOf(p v1alpha1.ObjectPattern) manifests.Pattern {
	return manifests.Pattern{Group: p.Group, Kind: p.Kind, Namespace: p.Namespace, Name: p.Name}
}

// reasonInterrupted is why a drill ends that gave way.
const reasonInterrupted = "Interrupted"

// OutcomeOf a drill that ended; empty for every other run.
func OutcomeOf(run *v1alpha1.RecoveryRun) v1alpha1.DrillOutcome {
	if run.Spec.Operation != v1alpha1.OperationDrill || run.Status.FinishedAt == nil {
		return ""
	}
	if f := run.Status.Failure; f != nil {
		switch f.Reason {
		case reasonInterrupted, "Cancelled", "RunDeleted":
			return v1alpha1.DrillInterrupted
		}
		return v1alpha1.DrillFailed
	}
	met := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionObjectiveMet)
	if met != nil && met.Status == metav1.ConditionFalse {
		return v1alpha1.DrillMissed
	}
	return v1alpha1.DrillSucceeded
}

// MoreUrgent names the run that a drill has to give way to; empty when there is none. A
// drill is in nobody's way but of those who want to work on the same plan's cluster: a
// failover, and what people and policies order, come before every drill. What a schedule
// orders comes before a drill of a schedule, and waits for one that a person ordered.
func MoreUrgent(drill *v1alpha1.RecoveryRun, all []v1alpha1.RecoveryRun) string {
	var first *v1alpha1.RecoveryRun
	for i := range all {
		other := &all[i]
		switch {
		case drill.Spec.Operation != v1alpha1.OperationDrill || other.Spec.Operation == v1alpha1.OperationDrill:
		case other.Namespace != drill.Namespace || !concerns(other, drill.Spec.PlanRef):
		case other.Status.FinishedAt != nil || other.Status.Failure != nil || other.DeletionTimestamp != nil:
		case other.Spec.Cancel != nil || other.Spec.Suspend:
		case other.Spec.Schedule != nil && drill.Spec.Schedule == nil:
		case first == nil || older(other, first):
			first = other
		}
	}
	if first == nil {
		return ""
	}
	return first.Name
}

// concerns tells whether a run is one of a plan, or lets the plan's cluster take over.
func concerns(run *v1alpha1.RecoveryRun, plan v1alpha1.PlanReference) bool {
	return run.Spec.PlanRef == plan || run.Spec.Failover != nil && run.Spec.Failover.To == plan
}

func older(a, b *v1alpha1.RecoveryRun) bool {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name)) < 0
}

// whenOutranked ends a drill that stands in the way of something more urgent. One that is
// verified, or cleans up already, has its outcome; the lock is given back at once, since
// what is left touches only what the drill made.
func whenOutranked(o Observation) *Decision {
	if o.MoreUrgent == "" || o.Run.Spec.Operation != v1alpha1.OperationDrill {
		return nil
	}
	switch {
	case cleaning(o.Run) && o.Lock.State == LockMine:
		return &Decision{Action: ReleaseLock}
	case cleaning(o.Run), o.Run.Status.Failure != nil, o.Run.Status.RecoveredAt != nil, Current(o.Run) == nil:
		return nil
	}
	d := failed(o, Faultf(reasonInterrupted, "run %s, which is more urgent, is for the same plan; the drill gave way and deletes what it made", o.MoreUrgent))
	return &d
}
