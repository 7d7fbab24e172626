package recovery

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func TestTargetName(t *testing.T) {
	run := func(operation v1alpha1.Operation, uid string) *v1alpha1.RecoveryRun {
		r := &v1alpha1.RecoveryRun{}
		r.UID, r.Spec.Operation = types.UID(uid), operation
		return r
	}
	if got := TargetName(run(rebuild, "a"), "dev"); got != "dev" {
		t.Errorf("rebuild: %s", got)
	}
	long := strings.Repeat("x", 36) + "-" + strings.Repeat("y", 13)
	seen := map[string]bool{}
	for _, uid := range []string{"a", "b", "c"} {
		got := TargetName(run(drill, uid), long)
		if len(got) > 50 || seen[got] || strings.Contains(got, "--") {
			t.Errorf("drill: %q", got)
		}
		seen[got] = true
		if TargetName(run(drill, uid), long) != got {
			t.Error("the name of a drill changes")
		}
	}
}

func TestLockName(t *testing.T) {
	a, b := LockName(strings.Repeat("x", 60)), LockName(strings.Repeat("x", 61))
	if a == b || len(a) > 63 || len(b) > 63 || LockName("dev") != "refloat-dev" {
		t.Errorf("%q %q", a, b)
	}
}

func TestFailureOfTheCleanupComesOnTop(t *testing.T) {
	run := in(drill, v1alpha1.PhaseWaves).Run
	RecordFailure(run, v1alpha1.Failure{Phase: v1alpha1.PhaseWaves, Reason: "NotApplied", Message: "first"}, t0)
	RecordCleanup(run, t0)
	RecordFailure(run, v1alpha1.Failure{Phase: v1alpha1.PhaseCleanup, Reason: "TimedOut", Message: "second"}, t0)
	f := run.Status.Failure
	if f.Reason != "CleanupFailed" || !strings.Contains(f.Message, "first") || !strings.Contains(f.Message, "second") {
		t.Errorf("%+v", f)
	}
	if !meta.IsStatusConditionFalse(run.Status.Conditions, v1alpha1.ConditionCleanedUp) || !meta.IsStatusConditionFalse(run.Status.Conditions, v1alpha1.ConditionStateApplied) {
		t.Errorf("%+v", run.Status.Conditions)
	}
}

func TestObjective(t *testing.T) {
	for took, want := range map[time.Duration]metav1.ConditionStatus{time.Minute: metav1.ConditionTrue, time.Minute + time.Second: metav1.ConditionFalse} {
		run := in(rebuild, v1alpha1.PhaseVerify).Run
		run.Status.Pinned.Plan.Objective.RecoveryTime = &metav1.Duration{Duration: time.Minute}
		RecordVerified(run, t0.Add(took))
		if got := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionObjectiveMet); got == nil || got.Status != want {
			t.Errorf("%s: %+v", took, got)
		}
	}
}

func TestWaitingKeepsItsBeginning(t *testing.T) {
	run := in(rebuild, v1alpha1.PhaseProvision).Run
	if !RecordWaiting(run, Decision{Waiting: "x"}, t0) || RecordWaiting(run, Decision{Waiting: "x"}, t0.Add(time.Minute)) {
		t.Error("what is news is not news, or the reverse")
	}
	if !run.Status.Waiting.Since.Time.Equal(t0) || run.Status.Waiting.Until == nil {
		t.Errorf("%+v", run.Status.Waiting)
	}
	RecordWaiting(run, Decision{Waiting: strings.Repeat("é", 2000)}, t0)
	if text := run.Status.Waiting.For; len(text) > maxWaiting || !utf8.ValidString(text) {
		t.Errorf("%d bytes, valid %t", len(text), utf8.ValidString(text))
	}
}

// TestLintFindsWhatIsWrong spoils a good status in each way that Lint must see.
func TestLintFindsWhatIsWrong(t *testing.T) {
	good := func() *v1alpha1.RecoveryRun {
		run := in(rebuild, v1alpha1.PhaseVerify).Run
		run.Status.Verification = &v1alpha1.VerificationSummary{Rendered: 1, Matched: 1}
		run.Status.ReportRef = &v1alpha1.LocalConfigMapReference{Name: "r"}
		RecordVerified(run, t0)
		RecordAdvance(run, "", t0)
		RecordFinish(run, t0)
		return run
	}
	if faults := Lint(good()); len(faults) > 0 {
		t.Fatalf("a good status: %v", faults)
	}
	for name, spoil := range map[string]func(*v1alpha1.RecoveryRunStatus){
		"stale condition": func(s *v1alpha1.RecoveryRunStatus) { s.Conditions[0].ObservedGeneration = 0 },
		"reason in words": func(s *v1alpha1.RecoveryRunStatus) { s.Conditions[0].Reason = "not so" },
		"not verified": func(s *v1alpha1.RecoveryRunStatus) {
			meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionVerified)
		},
		"nothing verified":    func(s *v1alpha1.RecoveryRunStatus) { s.Verification.Rendered, s.Verification.Matched = 0, 0 },
		"partly verified":     func(s *v1alpha1.RecoveryRunStatus) { s.Verification.Rendered = 2 },
		"no report":           func(s *v1alpha1.RecoveryRunStatus) { s.ReportRef = nil },
		"failed and not":      func(s *v1alpha1.RecoveryRunStatus) { s.Failure = &v1alpha1.Failure{} },
		"phases out of order": func(s *v1alpha1.RecoveryRunStatus) { s.Phases[1].StartedAt = metav1.NewMicroTime(t0.Add(-time.Hour)) },
		"open phase":          func(s *v1alpha1.RecoveryRunStatus) { s.Phases[1].FinishedAt = nil },
		"still waiting":       func(s *v1alpha1.RecoveryRunStatus) { s.Waiting = &v1alpha1.Waiting{For: "x"} },
		"early verdict":       func(s *v1alpha1.RecoveryRunStatus) { s.FinishedAt = nil },
		"ends early":          func(s *v1alpha1.RecoveryRunStatus) { at := metav1.NewMicroTime(t0.Add(-time.Hour)); s.FinishedAt = &at },
	} {
		run := good()
		spoil(&run.Status)
		if len(Lint(run)) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

// TestTimesNeverGoBack sets the clock back in every phase: nothing ends before it begins.
func TestTimesNeverGoBack(t *testing.T) {
	for _, operation := range []v1alpha1.Operation{rebuild, v1alpha1.OperationTeardown, drill} {
		run := in(operation, v1alpha1.PhasePreflight).Run
		now := t0
		for range 10 {
			now = now.Add(-time.Minute)
			if Current(run) == nil {
				break
			}
			if Current(run).Name == v1alpha1.PhaseVerify {
				run.Status.Verification = &v1alpha1.VerificationSummary{Rendered: 1, Matched: 1}
				RecordVerified(run, now)
			}
			RecordAdvance(run, "done", now)
		}
		RecordFinish(run, now)
		last := run.Status.StartedAt.Time
		for _, p := range run.Status.Phases {
			if p.StartedAt.Time.Before(last) || p.FinishedAt == nil || p.FinishedAt.Time.Before(p.StartedAt.Time) {
				t.Errorf("%s: phase %s from %s to %s, after %s", operation, p.Name, p.StartedAt, p.FinishedAt, last)
			}
			last = p.FinishedAt.Time
		}
		if run.Status.FinishedAt.Time.Before(last) {
			t.Errorf("%s: finished at %s, its last phase ended at %s", operation, run.Status.FinishedAt, last)
		}
		if operation != v1alpha1.OperationTeardown && RecoveryTime(run) < 0 {
			t.Errorf("%s: recovered in %s", operation, RecoveryTime(run))
		}
	}
}

// TestPlanReady: a refusal that protects a cluster is no fault of the plan.
func TestPlanReady(t *testing.T) {
	for reason, want := range map[string]metav1.ConditionStatus{
		"": metav1.ConditionTrue, "StateInvalid": metav1.ConditionFalse, "SecretNotFound": metav1.ConditionFalse,
		"WouldLose": metav1.ConditionTrue, "TeardownForbidden": metav1.ConditionTrue, "Held": metav1.ConditionTrue, "LeftoverCollides": metav1.ConditionTrue,
		"AssertionBroken": metav1.ConditionTrue, "Cancelled": metav1.ConditionTrue, "OutageOver": metav1.ConditionTrue,
	} {
		plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
		run := &v1alpha1.RecoveryRun{Status: v1alpha1.RecoveryRunStatus{Pinned: &v1alpha1.PinnedInputs{PlanGeneration: 3}}}
		RecordPlanReady(plan, run, t0) // a preflight that went well
		if reason != "" {
			run.Status.Failure = &v1alpha1.Failure{Phase: v1alpha1.PhasePreflight, Reason: reason, Message: "because"}
		}
		RecordPlanReady(plan, run, t0)
		if got := meta.FindStatusCondition(plan.Status.Conditions, v1alpha1.ConditionReady); got == nil || got.Status != want {
			t.Errorf("%q: %+v, want %s", reason, got, want)
		}
	}
}
