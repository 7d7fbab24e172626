package recovery

import (
	"fmt"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

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

// Serving is what is known of the clusters of an assertion.
type Serving struct {
	Rule      string
	Assertion v1alpha1.Assertion
	// Plans whose clusters serve.
	Plans []string
}

// asserted fails a run whose deletion would break an assertion. A cluster that does not
// serve may go: nothing changes.
func asserted(o Observation, plan string) *Decision {
	for _, s := range o.Assertions {
		mine, others := false, 0
		for _, name := range s.Plans {
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
