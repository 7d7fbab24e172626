package recovery

import (
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
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
	return ""
}

// calledOff fails a run whose reason is gone, as long as nothing was fenced or deleted.
func calledOff(o Observation) *Decision {
	p, f := o.Run.Spec.Proposal, o.Run.Status.Failover
	if p == nil || f != nil && f.Epoch != 0 {
		return nil
	}
	why := o.OutageOver
	if previous := o.Run.Status.Previous; previous != nil && previous.UID != p.ClusterUID {
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

// Asserted is what is known of the clusters of an assertion.
type Asserted struct {
	Rule      string
	Assertion v1alpha1.Assertion
	// Serving are the plans whose clusters serve.
	Serving []string
}

// asserted fails a run whose deletion would break an assertion. A cluster that does not
// serve may go: nothing changes.
func asserted(o Observation) *Decision {
	plan := DoomedSide(o.Run).Plan
	for _, s := range o.Assertions {
		mine, others := false, 0
		for _, name := range s.Serving {
			if name == plan {
				mine = true
			} else {
				others++
			}
		}
		if !mine || others >= int(s.Assertion.AtLeast) {
			continue
		}
		d := failed(o, Faultf("AssertionBroken", "SafetyRule %s keeps at least %d of the clusters of %s serving, and without this one %d would; nothing was deleted. Bring another one up first, or change the rule",
			s.Rule, s.Assertion.AtLeast, some(s.Assertion.Plans), others))
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
