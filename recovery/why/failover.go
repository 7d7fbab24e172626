package why

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// takeover is the command that orders the run again.
func (by adviser) takeover(run *v1alpha1.RecoveryRun) string {
	if run.Spec.Operation == v1alpha1.OperationFailback || run.Spec.Failover == nil {
		return by.refloat("failback", run.Spec.PlanRef.Name)
	}
	return by.refloat("failover", run.Spec.PlanRef.Name, "--to", run.Spec.Failover.To.Name)
}

// ofTakeover are the remedies of what fails in failovers only; nil for other reasons.
func (by adviser) ofTakeover(run *v1alpha1.RecoveryRun) []string {
	order := "then order it again: " + by.takeover(run)
	switch run.Status.Failure.Reason {
	case "NotServing":
		return []string{"bring the plan's cluster back: " + by.refloat("failback", run.Spec.PlanRef.Name)}
	case "AlreadyServing", "TransitionOpen", "NoFailover":
		return []string{"see which plan serves: kubectl get recoveryplan " + run.Spec.PlanRef.Name + " -n " + run.Namespace + " -o yaml (status.serving)"}
	case "SameCluster":
		return []string{"give the other plan a cluster of its own: spec.cluster.name", order}
	case "StandbyDiffers", "StandbyNotReady", "StandbyDeleted":
		return []string{"see what differs: " + by.refloat("verify", "PLAN"), "or have the standby deleted: " + by.refloat("teardown", "PLAN"), order}
	case "SwitchFailed", "SwitchInvalid", "RollBackFailed", "HookFailed":
		return []string{"mend the hook or the directory that the message names: spec.failover of plan " + run.Spec.PlanRef.Name, order + "; what is done already is not done again"}
	case "ServingChanged", "ServingUnreadable", "RolledBack", "FailoverUnknown":
		return []string{"see which plan serves before you order anything: kubectl get leases " + recovery.ServingName(run.Spec.PlanRef.Name) + " -n " + run.Namespace + " -o yaml"}
	}
	return nil
}

// afterTakeover says what a failover that failed leaves behind.
func afterTakeover(run *v1alpha1.RecoveryRun) string {
	f, p := run.Status.Failover, run.Status.Previous
	if f == nil || f.Epoch == 0 {
		return "; nothing was fenced"
	}
	var left []string
	switch {
	case f.RolledBackAt != nil:
		return fmt.Sprintf("; Cluster %s of plan %s serves", f.From.Cluster, f.From.Plan)
	case p != nil && p.DeleteRequestedAt != nil && meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.ConditionFenced):
		left = append(left, fmt.Sprintf("Cluster %s of plan %s is deleted", f.From.Cluster, f.From.Plan))
	case p != nil && p.DeleteRequestedAt != nil:
		left = append(left, fmt.Sprintf("the deletion of Cluster %s had been sent", f.From.Cluster))
	case meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.ConditionFenced):
		left = append(left, fmt.Sprintf("Cluster %s of plan %s is fenced", f.From.Cluster, f.From.Plan))
	default:
		left = append(left, fmt.Sprintf("Cluster %s of plan %s may be fenced or not", f.From.Cluster, f.From.Plan))
	}
	if t := run.Status.Target; t != nil && t.UID != "" {
		left = append(left, fmt.Sprintf("Cluster %s of plan %s is there and does not serve", f.To.Cluster, f.To.Plan))
	}
	return "; " + strings.Join(left, "; ")
}

// duringTakeover is advice to those whose failover waits; nil for other waits.
func (by adviser) duringTakeover(run *v1alpha1.RecoveryRun, phase v1alpha1.Phase) []string {
	switch {
	case recovery.AskedUnfenced(run):
		return []string{"stop the old cluster by hand: power it off, or cut it from its network",
			"then say so: " + by.refloat("approve", run.Name, "--unfenced --reason …"), by.orEnd(run)}
	case phase == v1alpha1.PhaseCommit:
		do := []string{"look whether the new side serves well, then: " + by.refloat("commit", run.Name)}
		if !recovery.DeletesPrevious(run) {
			do = append(do, "or go back to the old side: "+by.refloat("rollback", run.Name))
		}
		return do
	}
	return nil
}
