package recovery

import (
	"strings"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func TestRetry(t *testing.T) {
	order := in(rebuild, v1alpha1.PhasePreflight).Run
	order.Status.Pinned.PlanUID = "plan"
	order.Spec.RetryOf = "first"
	failing := func(phase v1alpha1.Phase, changes ...func(*v1alpha1.RecoveryRun)) *v1alpha1.RecoveryRun {
		run := in(rebuild, phase).Run
		run.Name, run.UID, run.Status.Pinned.PlanUID = "first", "first-uid", "plan"
		RecordFailure(run, v1alpha1.Failure{Phase: phase, Reason: "TimedOut", Message: "it took too long"}, t0.Add(time.Minute))
		RecordFinish(run, t0.Add(time.Minute))
		for _, change := range changes {
			change(run)
		}
		return run
	}
	for name, test := range map[string]struct {
		failed *v1alpha1.RecoveryRun
		refuse string
	}{
		"in the waves":        {failing(v1alpha1.PhaseWaves), ""},
		"in the verification": {failing(v1alpha1.PhaseVerify), ""},
		"while it came up":    {failing(v1alpha1.PhaseProvision), ""},
		"unknown":             {nil, "does not exist"},
		"under way":           {failing(v1alpha1.PhaseWaves, func(r *v1alpha1.RecoveryRun) { r.Status.FinishedAt = nil }), "has not ended"},
		"a success":           {failing(v1alpha1.PhaseWaves, func(r *v1alpha1.RecoveryRun) { r.Status.Failure = nil }), "did not fail"},
		"a drill":             {failing(v1alpha1.PhaseWaves, func(r *v1alpha1.RecoveryRun) { r.Spec.Operation = drill }), "is a Drill"},
		"of another plan":     {failing(v1alpha1.PhaseWaves, func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.PlanUID = "other" }), "another plan"},
		"of no plan":          {failing(v1alpha1.PhaseWaves, func(r *v1alpha1.RecoveryRun) { r.Status.Pinned = nil }), "another plan"},
		"nothing was made":    {failing(v1alpha1.PhaseTeardown, func(r *v1alpha1.RecoveryRun) { r.Status.Target.UID = "" }), "before it had made a cluster"},
		"another cluster":     {failing(v1alpha1.PhaseWaves, func(r *v1alpha1.RecoveryRun) { r.Status.Failure.Reason = "IdentityChanged" }), "not the one that it made"},
	} {
		target, retried, fault := Retry(order, test.failed)
		switch {
		case test.refuse == "" && (fault != nil || target.UID != "new" || target.KubeSystemUID != "system" || retried.UID != "first-uid" || !retried.StartedAt.Equal(micro(t0))):
			t.Errorf("%s: %+v, %+v, %v", name, target, retried, fault)
		case test.refuse != "" && (fault == nil || fault.Reason != "CannotRetry" || !strings.Contains(fault.Message, test.refuse)):
			t.Errorf("%s: %v, want %q", name, fault, test.refuse)
		}
	}
	again := failing(v1alpha1.PhaseWaves)
	again.Status.Retried = &v1alpha1.RetriedRun{StartedAt: *micro(t0.Add(-time.Hour))}
	_, retried, _ := Retry(order, again)
	order.Status.Retried, order.Status.RecoveredAt = retried, micro(t0.Add(time.Minute))
	if took := RecoveryTime(order); took != time.Hour+time.Minute {
		t.Errorf("recovery took %s from the first attempt on", took)
	}
}
