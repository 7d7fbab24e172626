package controller

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// decided lets a person approve a run after a while, in which the world may change.
func decided(t *testing.T, operation v1alpha1.Operation, after time.Duration, plan func(*v1alpha1.RecoveryPlan), meanwhile func(*world)) *world {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) {
		needsApproval(p)
		if plan != nil {
			plan(p)
		}
	})
	w.existing(earlier)
	w.orderBy("ada", "run", operation)
	run := w.until("run", "the approval", inPhase(v1alpha1.PhaseApproval))
	if meanwhile != nil {
		meanwhile(w)
	}
	w.clock.Step(after)
	w.approve("grace", run, nil)
	return w
}

// TestLongApproval has things made, or the cluster die, while somebody decides.
func TestLongApproval(t *testing.T) {
	lost := func(w *world) { w.engine.loss = losing() }
	dead := func(w *world) { w.store.Workload(w.uid("dev")).Stop() }
	moved := func(w *world) { w.store.Workload(w.uid("dev")).SetIdentity("imposter") }
	skip := func(p *v1alpha1.RecoveryPlan) { p.Spec.Teardown.Drain.Policy = v1alpha1.DrainSkip }
	for name, test := range map[string]struct {
		operation v1alpha1.Operation
		after     time.Duration
		plan      func(*v1alpha1.RecoveryPlan)
		world     func(*world)
		reason    string
		looks     int
	}{
		"at once":                {operation: v1alpha1.OperationTeardown, after: time.Minute, looks: 1},
		"at once, lost":          {operation: v1alpha1.OperationTeardown, after: time.Minute, world: lost, looks: 1},
		"a day, nothing new":     {operation: v1alpha1.OperationTeardown, after: 20 * time.Hour, looks: 2},
		"a day, not drained":     {operation: v1alpha1.OperationTeardown, after: 20 * time.Hour, plan: skip, looks: 2},
		"a day, lost":            {operation: v1alpha1.OperationTeardown, after: 20 * time.Hour, world: lost, reason: "WouldLose", looks: 2},
		"a day, lost, drainless": {operation: v1alpha1.OperationTeardown, after: 20 * time.Hour, plan: skip, world: lost, reason: "WouldLose", looks: 2},
		"a day, rebuild, lost":   {operation: v1alpha1.OperationRebuild, after: 20 * time.Hour, world: lost, reason: "WouldLose", looks: 2},
		"a day, warned":          {operation: v1alpha1.OperationTeardown, after: 20 * time.Hour, plan: policy(func(l *v1alpha1.LossPolicy) { l.Policy = v1alpha1.LossWarn }), world: lost, looks: 2},
		"a day, dead":            {operation: v1alpha1.OperationTeardown, after: 20 * time.Hour, world: dead, reason: "LossUnknown", looks: 1},
		"a day, dead, allowed":   {operation: v1alpha1.OperationRebuild, after: 20 * time.Hour, plan: policy(func(l *v1alpha1.LossPolicy) { l.Unreachable = v1alpha1.UnreachableAllowRebuild }), world: dead, looks: 1},
		"a day, another cluster": {operation: v1alpha1.OperationTeardown, after: 20 * time.Hour, world: moved, reason: "IdentityChanged", looks: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := decided(t, test.operation, test.after, test.plan, test.world)
			run := w.finish("run")
			f := run.Status.Failure
			if test.reason == "" && f != nil || test.reason != "" && (f == nil || f.Reason != test.reason || f.Phase != v1alpha1.PhaseTeardown) {
				t.Fatalf("failure %+v, want %q", f, test.reason)
			}
			if test.reason != "" && (len(w.deletes) > 0 || len(w.drains.stopped) > 0) {
				t.Error("the cluster was touched")
			}
			if w.engine.looks != test.looks {
				t.Errorf("it looked %d times, want %d", w.engine.looks, test.looks)
			}
			if test.looks == 2 && (run.Status.Loss == nil || run.Status.Loss.LookedAt == nil || run.Status.Loss.LookedAt.Sub(run.Status.StartedAt.Time) < test.after) {
				t.Errorf("loss %+v", run.Status.Loss)
			}
			if test.looks == 2 && w.engine.loss != nil {
				if r := w.report(run); r.Loss == nil || len(r.Loss.Lost) != 2 || run.Status.Loss.Objects != 1 {
					t.Errorf("report %+v, status %+v", r.Loss, run.Status.Loss)
				}
			}
		})
	}
}

// TestOneMissedAnswerAfterAnApproval proves no death either, however long the phase lasts.
func TestOneMissedAnswerAfterAnApproval(t *testing.T) {
	w := decided(t, v1alpha1.OperationTeardown, 20*time.Hour, nil, nil)
	w.budget(perHour(0), func(s *v1alpha1.TeardownBudgetSpec) { s.PlanSelector.MatchLabels = nil })
	w.until("run", "its turn", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Waiting != nil && run.Status.Budget != nil })
	w.engine.lossErr = errors.New("connection refused")
	w.clock.Step(10 * time.Minute)
	w.must(w.store.Store.Delete(t.Context(), w.budgeted()))
	w.until("run", "another try", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "connection refused")
	})
	w.engine.lossErr = nil
	if f := w.finish("run").Status.Failure; f != nil {
		t.Errorf("%+v", f)
	}
}

// TestKillAfterALongApproval kills the controller at each write after it.
func TestKillAfterALongApproval(t *testing.T) {
	begin := func(t *testing.T) *world {
		return decided(t, v1alpha1.OperationRebuild, 20*time.Hour, nil, nil)
	}
	w := begin(t)
	before := w.writes
	reference := w.finish("run")
	if reference.Status.Failure != nil || w.engine.looks != 2 {
		t.Fatalf("the undisturbed run: %+v, %d looks", reference.Status.Failure, w.engine.looks)
	}
	total := w.writes - before
	for k := 1; k <= total; k++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d after=%t", k, after), func(t *testing.T) {
				t.Parallel()
				w := begin(t)
				w.killAt, w.after = w.writes+k, after
				run := w.finish("run")
				if diff := cmp.Diff(outcomeOf(reference), outcomeOf(run), sameOutcome); diff != "" {
					t.Errorf("outcome (-undisturbed +killed):\n%s", diff)
				}
			})
		}
	}
}
