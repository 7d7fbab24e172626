package failover

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// LabelPolicy of a run is the UID of the policy that ordered it.
const LabelPolicy = "refloat.dev/failover-policy"

// RunFor the present outage of a policy, with the evidence.
func RunFor(policy *v1alpha1.FailoverPolicy, plan *v1alpha1.RecoveryPlan, o Observation, reason string) *v1alpha1.RecoveryRun {
	outage := policy.Status.Outage
	run := &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: plan.Namespace, Name: RunName(policy.UID, outage.ClusterUID, plan.Name, outage.Since.Time, outage.Attempts+1),
			Labels: map[string]string{LabelPolicy: string(policy.UID)},
		},
		Spec: v1alpha1.RecoveryRunSpec{
			PlanRef: v1alpha1.PlanReference{Name: plan.Name}, Operation: v1alpha1.OperationRebuild, Cluster: plan.Spec.Cluster.Name,
			Reason: Clip("FailoverPolicy " + policy.Name + ": " + reason),
			Proposal: &v1alpha1.Proposal{
				PolicyRef: v1alpha1.PolicyReference{Name: policy.Name}, UID: policy.UID,
				ClusterUID: outage.ClusterUID, OutageSince: outage.Since,
				NeedsApproval: policy.Spec.Mode != v1alpha1.FailoverAutomatic,
				Evidence:      evidence(o),
			},
		},
	}
	if to := policy.Spec.Action.To; policy.Spec.Action.Operation == v1alpha1.FailoverToStandby && to != nil {
		run.Spec.Operation = v1alpha1.OperationFailover
		run.Spec.Failover = &v1alpha1.FailoverOrder{To: *to, Mode: v1alpha1.FailoverUngraceful}
	}
	return run
}

// evidence is what every signal and every observer said.
func evidence(o Observation) []v1alpha1.SignalStatus {
	var out []v1alpha1.SignalStatus
	for _, s := range o.Samples {
		out = append(out, Said(s.Name, s.State, s.Since, o.Now, s.Message))
	}
	for _, s := range o.Sightings {
		out = append(out, Said("observer/"+s.Observer, s.State, s.Since, o.Now, s.Message))
	}
	return out
}

// Said is what somebody said, as it is stored: since now, when nobody knows since when.
func Said(name string, state v1alpha1.SignalState, since, now time.Time, message string) v1alpha1.SignalStatus {
	if since.IsZero() {
		since = now
	}
	return v1alpha1.SignalStatus{Name: name, State: state, Since: metav1.NewMicroTime(since.Truncate(time.Microsecond)), Message: Clip(message)}
}
