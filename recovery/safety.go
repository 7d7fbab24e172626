package recovery

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	outages "github.com/refloat-dev/refloat/recovery/failover"
)

// proposed runs wait for a person, whatever the plan says.
func proposed(run *v1alpha1.RecoveryRun) bool {
	return run.Spec.Proposal != nil && run.Spec.Proposal.NeedsApproval
}

// OutageOver tells why the outage that a run was ordered for is over; empty when it is not.
// The policy is nil when it is gone.
func OutageOver(p *v1alpha1.Proposal, policy *v1alpha1.FailoverPolicy) string {
	if policy == nil || policy.UID != p.UID {
		return fmt.Sprintf("FailoverPolicy %s, which ordered the run, is gone", p.PolicyRef.Name)
	}
	outage := policy.Status.Outage
	switch {
	case outage == nil || outage.ClusterUID != p.ClusterUID || !outage.Since.Equal(&p.OutageSince):
		return fmt.Sprintf("FailoverPolicy %s knows nothing of the outage any more", policy.Name)
	case outage.OverAt != nil:
		return fmt.Sprintf("FailoverPolicy %s says that it is over since %s", policy.Name, outage.OverAt.UTC().Format(time.RFC3339))
	}
	// What came up since the run was ordered. A person who approves decides about the breaker,
	// but does not see better than who sees the cluster alive.
	armed := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionArmed)
	if armed != nil && (armed.Reason == outages.ReasonSeenAlive || armed.Reason == outages.ReasonBreakerOpen && !p.NeedsApproval) {
		return armed.Message
	}
	return ""
}

// calledOff fails a run whose reason is gone, as long as nothing was fenced or deleted.
func calledOff(o Observation) *Decision {
	p, f := o.Run.Spec.Proposal, o.Run.Status.Failover
	if p == nil {
		return nil
	}
	why := o.OutageOver
	previous := o.Run.Status.Previous
	switch {
	case previous == nil && f != nil:
		why = "it is gone"
	case previous != nil && previous.UID != p.ClusterUID:
		why = fmt.Sprintf("another cluster took the place of the one that died (UID %s, not %s)", previous.UID, p.ClusterUID)
	}
	if why == "" {
		return nil
	}
	d := failed(o, Faultf("OutageOver", "the run was ordered because cluster %s was dead, and that is no more: %s; nothing was deleted",
		DoomedSide(o.Run).Cluster, why))
	return &d
}

// Automated runs were ordered by a schedule or a policy. An approval does not make them
// orders of a person: who closes a gate does not know what was approved.
func Automated(run *v1alpha1.RecoveryRun) bool {
	return run.Spec.Schedule != nil || run.Spec.Proposal != nil
}

// StoppedBy tells which gate stops automation in a namespace; empty when none does. The
// rules are those of the namespace, and of the controller's.
func StoppedBy(rules []v1alpha1.SafetyRule) string {
	for i := range rules {
		r := &rules[i]
		if g := r.Spec.Gate; g != nil && g.Closed && r.DeletionTimestamp == nil {
			return fmt.Sprintf("SafetyRule %s/%s stops all automation: %s", r.Namespace, r.Name, clip(g.Reason, maxWaiting))
		}
	}
	return ""
}

// Asserted is what is known of the clusters of an assertion that names a run's plan.
type Asserted struct {
	Rule      string
	Assertion v1alpha1.Assertion
	// Serves is false when the cluster that the run deletes surely does not serve: then
	// nothing changes by its deletion.
	Serves bool
	// Others are the other plans whose clusters serve, and go on to.
	Others []string
}

// Holds tells whether the assertion holds once the run's cluster is deleted.
func (a Asserted) Holds() bool {
	return !a.Serves || len(a.Others) >= int(a.Assertion.AtLeast)
}

// Leaves tells whether a run is past the point where it takes a cluster out of service.
func Leaves(run *v1alpha1.RecoveryRun) bool {
	s := run.Status
	return s.Previous != nil && s.Previous.DeleteRequestedAt != nil || s.Failover != nil && s.Failover.Epoch != 0
}

// asserted fails a run whose deletion would break an assertion.
func asserted(o Observation) *Decision {
	for _, a := range o.Assertions {
		if a.Holds() {
			continue
		}
		d := failed(o, Faultf("AssertionBroken", "SafetyRule %s keeps at least %d of the clusters of %s serving, and without this one %d would; nothing was deleted. Bring another one up first, or change the rule",
			a.Rule, a.Assertion.AtLeast, some(a.Assertion.Plans), len(a.Others)))
		return &d
	}
	return nil
}

// stopped fails a run that a machine ordered while a gate is closed, as long as nothing was
// deleted.
func stopped(o Observation) *Decision {
	if o.Stopped == "" || !Automated(o.Run) {
		return nil
	}
	d := failed(o, Faultf("AutomationStopped", "%s; nothing was deleted", o.Stopped))
	return &d
}
