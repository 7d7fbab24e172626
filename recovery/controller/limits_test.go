package controller

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// TestLateCleanupGoesOn holds up the deletion of a drill's cluster beyond its limit.
func TestLateCleanupGoesOn(t *testing.T) {
	for name, hold := range map[string]func(*world, string) func(){
		"stuck": func(w *world, drill string) func() {
			w.store.HoldDeletion(drill, true)
			return func() { w.store.HoldDeletion(drill, false) }
		},
		"refused": func(w *world, _ string) func() {
			w.fail = func(verb string, o client.Object) error {
				if _, cluster := o.(*clusterv1.Cluster); cluster && verb == "delete" {
					return &capi.RefusedError{Reason: "Test", Message: "not now"}
				}
				return nil
			}
			return func() { w.fail = nil }
		},
		"overloaded": func(w *world, _ string) func() {
			w.fail = func(verb string, o client.Object) error {
				if _, cluster := o.(*clusterv1.Cluster); cluster && verb == "delete" {
					return errors.New("overloaded")
				}
				return nil
			}
			return func() { w.fail = nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			w.order("run", v1alpha1.OperationDrill)
			release := hold(w, recovery.TargetName(w.run("run"), "dev"))
			w.until("run", "the cleanup", func(run *v1alpha1.RecoveryRun) bool {
				current := recovery.Current(run)
				return current != nil && current.Name == v1alpha1.PhaseCleanup && run.Status.Waiting != nil
			})
			w.clock.Step(time.Hour)
			run := w.until("run", "the lateness to be told", func(run *v1alpha1.RecoveryRun) bool {
				return meta.IsStatusConditionFalse(run.Status.Conditions, v1alpha1.ConditionCleanedUp) &&
					run.Status.Waiting != nil && strings.HasPrefix(run.Status.Waiting.For, "(late) ")
			})
			lock, err := w.r.lock(t.Context(), run, "dev")
			if err != nil || lock.State != recovery.LockMine || len(run.Finalizers) == 0 || run.Status.FinishedAt != nil {
				t.Errorf("the run let go: lock %+v (%v), status %+v", lock, err, run.Status)
			}
			release()
			run = w.finish("run")
			if run.Status.Failure != nil || len(w.clusters()) > 0 || !meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.ConditionCleanedUp) {
				t.Errorf("failure %+v, clusters %v", run.Status.Failure, w.clusters())
			}
		})
	}
}

// TestReportRefused has the API server refuse every report.
func TestReportRefused(t *testing.T) {
	for name, test := range map[string]struct {
		operation v1alpha1.Operation
		applyErr  error
	}{
		"succeeded teardown": {operation: v1alpha1.OperationTeardown},
		"failed drill":       {operation: v1alpha1.OperationDrill, applyErr: recovery.Faultf("NotApplied", "Deployment shop/cart failed")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			w.order("run", test.operation)
			w.engine.applyErr = test.applyErr
			w.fail = func(_ string, o client.Object) error {
				if _, report := o.(*corev1.ConfigMap); report {
					return errors.New("exceeded quota")
				}
				return nil
			}
			w.until("run", "the report", func(run *v1alpha1.RecoveryRun) bool {
				return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "exceeded quota") && recovery.Current(run) == nil
			})
			if names := w.clusters(); len(names) > 0 {
				t.Errorf("the cleanup waited for the report: %v", names)
			}
			w.clock.Step(2 * time.Minute)
			run := w.finish("run")
			if (run.Status.Failure != nil) != (test.applyErr != nil) || run.Status.Failure != nil && run.Status.Failure.Reason != "NotApplied" {
				t.Errorf("failure %+v", run.Status.Failure)
			}
			verdict := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionSucceeded)
			if verdict == nil || !strings.Contains(verdict.Message, "the report could not be stored") {
				t.Errorf("verdict %+v", verdict)
			}
		})
	}
}

// TestLateActionThatFails has the seed fail until its phase is over.
func TestLateActionThatFails(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("run", v1alpha1.OperationRebuild)
	w.engine.seedErr = errors.New("no answer")
	w.until("run", "the seed", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "no answer")
	})
	w.clock.Step(time.Hour)
	if f := w.finish("run").Status.Failure; f == nil || f.Reason != "TimedOut" || f.Phase != v1alpha1.PhaseSeed {
		t.Errorf("failure %+v", f)
	}
}

// TestMarkRefused has the API server refuse the condition on the Cluster for ever.
func TestMarkRefused(t *testing.T) {
	for name, refusal := range map[string]error{
		"for now": errors.New("overloaded"), "for good": &capi.RefusedError{Reason: "Test", Message: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			w.order("run", v1alpha1.OperationRebuild)
			w.fail = func(verb string, o client.Object) error {
				if _, cluster := o.(*clusterv1.Cluster); cluster && strings.HasSuffix(verb, " status") {
					return refusal
				}
				return nil
			}
			w.until("run", "the refusal", func(run *v1alpha1.RecoveryRun) bool {
				return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "MarkApplied to succeed")
			})
			run := w.finish("run")
			last := run.Status.Phases[len(run.Status.Phases)-1]
			if run.Status.Failure != nil || !strings.Contains(last.Message, "could not be set on Cluster dev") {
				t.Errorf("failure %+v, phase %+v", run.Status.Failure, last)
			}
		})
	}
}

// TestClusterThatSettles does not match at first.
func TestClusterThatSettles(t *testing.T) {
	changed := func(id, detail string) *report.Verification {
		return &report.Verification{Rendered: 3, Matched: 2, Changed: 1, Details: report.Details{Changed: []report.Finding{{ID: id, Detail: detail}}}}
	}
	moving := func(detail string) *report.Verification {
		return &report.Verification{Rendered: 3, Matched: 3, Unhealthy: 1, Details: report.Details{Unhealthy: []report.Finding{{ID: "a", Detail: detail}}}}
	}
	for name, test := range map[string]struct {
		verdicts []*report.Verification
		last     *report.Verification
		fails    bool
		late     bool // until the limit of the phase
	}{
		"matches after a while":  {verdicts: []*report.Verification{changed("a", "1"), changed("a", "2"), changed("b", "2")}},
		"progresses for a while": {verdicts: []*report.Verification{moving("Progressing: 1 of 2"), moving("Progressing: 1 of 2"), moving("Progressing: 1 of 2")}},
		"does not change":        {last: changed("a", "1"), fails: true},
		"has failed":             {last: moving("Failed: crash loop"), fails: true},
		"progresses for ever":    {last: moving("Progressing: 1 of 2"), fails: true, late: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			w.order("run", v1alpha1.OperationRebuild)
			w.engine.verdicts, w.engine.verdict = test.verdicts, test.last
			run := w.until("run", "the mismatch to be told", func(run *v1alpha1.RecoveryRun) bool {
				return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "again after: the live cluster does not match") &&
					strings.Contains(run.Status.Waiting.For, "(first: a ")
			})
			if run.Status.Failure != nil {
				t.Errorf("it failed at once: %+v", run.Status.Failure)
			}
			reason, limit := "NotMatching", 2*time.Minute
			if test.late {
				w.clock.Step(20 * time.Minute)
				w.step("run")
				if f := w.run("run").Status.Failure; f != nil {
					t.Errorf("it failed before its limit: %+v", f)
				}
				w.clock.Step(10 * time.Minute)
				reason, limit = "TimedOut", time.Hour
			}
			run = w.finish("run")
			if f := run.Status.Failure; (f != nil) != test.fails || f != nil && (f.Reason != reason || !strings.Contains(f.Message, "(first: a ")) {
				t.Errorf("failure %+v", f)
			}
			if took := run.Status.FinishedAt.Sub(run.Status.StartedAt.Time); took > limit {
				t.Errorf("it took %s", took)
			}
			if v := w.report(run).Verification; test.fails && (v == nil || v.Matches()) {
				t.Errorf("the report does not tell: %+v", v)
			}
		})
	}
}
