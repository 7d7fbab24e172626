package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func past(run string, operation v1alpha1.Operation, total float64, phases ...PhaseTime) Past {
	return Past{Run: run, Operation: operation, Result: v1alpha1.ResultSucceeded, RecoveryTimeSeconds: &total, Phases: phases}
}

func TestTrendBlamesAPhase(t *testing.T) {
	drill, rebuild := v1alpha1.OperationDrill, v1alpha1.OperationRebuild
	provision := func(s float64) PhaseTime { return PhaseTime{v1alpha1.PhaseProvision, s} }
	waves := func(s float64) PhaseTime { return PhaseTime{v1alpha1.PhaseWaves, s} }
	lost := past("lost", drill, 1)
	lost.Result = v1alpha1.ResultFailed
	simulated := past("simulated", drill, 5)
	simulated.Simulated = true
	for name, test := range map[string]struct {
		runs []Past
		want *Shift
	}{
		"longer":     {[]Past{past("a", drill, 100, provision(60), waves(40)), past("b", drill, 130, provision(65), waves(65))}, &Shift{"b", "a", 30, 30, v1alpha1.PhaseWaves, 25}},
		"shorter":    {[]Past{past("a", drill, 100, provision(60), waves(40)), past("b", drill, 80, provision(30), waves(50))}, &Shift{"b", "a", -20, -20, v1alpha1.PhaseProvision, -30}},
		"new phase":  {[]Past{past("a", drill, 100, waves(100)), past("b", drill, 150, waves(100), PhaseTime{"Fence", 50})}, &Shift{"b", "a", 50, 50, "Fence", 50}},
		"same":       {[]Past{past("a", drill, 100, waves(100)), past("b", drill, 100, waves(100))}, &Shift{Run: "b", Against: "a"}},
		"comparable": {[]Past{past("a", drill, 50, waves(50)), past("r", rebuild, 10), lost, simulated, past("b", drill, 60, waves(60))}, &Shift{"b", "a", 10, 20, v1alpha1.PhaseWaves, 10}},
		"first":      {[]Past{past("r", rebuild, 10), past("b", drill, 60)}, nil},
		"none":       {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, TrendOf("fleet", "shop", test.runs).Change); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPercentiles(t *testing.T) {
	var runs []Past
	for i := range 10 {
		runs = append(runs, past(fmt.Sprint(i), v1alpha1.OperationDrill, float64(100-10*i)))
	}
	trend := TrendOf("", "shop", runs)
	if trend.Measured != 10 || *trend.P50Seconds != 50 || *trend.P90Seconds != 90 {
		t.Errorf("%d measured, p50 %v, p90 %v", trend.Measured, *trend.P50Seconds, *trend.P90Seconds)
	}
	if *runs[0].RecoveryTimeSeconds != 100 {
		t.Error("the runs were put into another order")
	}
}

func TestHistoryOf(t *testing.T) {
	var runs []v1alpha1.RecoveryRun
	for i := range 6 {
		run := finishedRun()
		run.Name = fmt.Sprintf("run-%d", i)
		at := metav1.NewMicroTime(t0.Add(time.Duration(100-i) * time.Minute))
		run.Status.FinishedAt = &at
		runs = append(runs, *run)
	}
	runs[1].Spec.PlanRef.Name = "another"
	runs[2].Status.FinishedAt = nil
	got := HistoryOf(runs, "dev", t0.Add(100*time.Minute), 2)
	if len(got) != 2 || got[0].Run != "run-4" || got[1].Run != "run-3" || *got[0].RecoveryTimeSeconds != 70 || got[0].ObjectiveMet {
		t.Errorf("history %+v", got)
	}
	// A phase counts as far as it is part of the recovery time.
	if p := got[0].Phases; len(p) != 1 || p[0].Seconds != 2 {
		t.Errorf("phases %+v", p)
	}
}

// TestWhatSaysNothingMissesNothing: neither a run that gave way nor one that was not let begin
// failed its objective, and both are told apart from those that did.
func TestWhatSaysNothingMissesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		phase  v1alpha1.Phase
		reason string
		how    string
	}{
		"withdrawn":        {v1alpha1.PhaseApproval, "Cancelled", "Interrupted"},
		"gave way":         {v1alpha1.PhaseProvision, "Interrupted", "Interrupted"},
		"called off":       {v1alpha1.PhasePreflight, "OutageOver", "Interrupted"},
		"nobody approved":  {v1alpha1.PhaseApproval, "TimedOut", "Refused"},
		"held":             {v1alpha1.PhaseTeardown, "Held", "Refused"},
		"would lose":       {v1alpha1.PhasePreflight, "WouldLose", "Refused"},
		"provision late":   {v1alpha1.PhaseProvision, "TimedOut", "Failed"},
		"a broken state":   {v1alpha1.PhasePreflight, "StateInvalid", "Failed"},
		"a missing secret": {v1alpha1.PhasePreflight, "SecretNotFound", "Failed"},
	} {
		run := finishedRun()
		run.Status.RecoveredAt = nil
		run.Status.Failure = &v1alpha1.Failure{Phase: test.phase, Reason: test.reason, Message: "because"}
		p, ok := PastOf(run)
		if counts := test.how == "Failed"; !ok || p.How() != test.how || p.Result != v1alpha1.ResultFailed || p.ObjectiveSeconds > 0 != counts {
			t.Errorf("%s: %s, objective of %vs: %+v", name, p.How(), p.ObjectiveSeconds, p)
		}
	}
}
