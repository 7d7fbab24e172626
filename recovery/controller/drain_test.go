package controller

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/drain"
)

// scriptedDrain stands for package drain, which is tested on real API servers. By API
// server it knows what was stopped.
type scriptedDrain struct {
	w         *world
	survey    drain.Survey
	resumeErr error
	out       drain.Outcome
	surveyErr error
	// drainErr comes after the first step.
	drainErr error
	stopped  map[string]bool
	drained  int
	// options of the last drain.
	options drain.Options
}

func (s *scriptedDrain) Survey(context.Context, Target) (drain.Survey, error) {
	return s.survey, errors.Join(s.w.read(), s.surveyErr)
}

func (s *scriptedDrain) Drain(ctx context.Context, target Target, o drain.Options) (drain.Outcome, error) {
	s.options = o
	for range 2 {
		if err := o.Guard(ctx); err != nil {
			return drain.Outcome{}, err
		}
		if err := s.w.write("drain", nil, func() error { s.stopped[target.Config.Host] = true; return nil }); err != nil {
			return drain.Outcome{}, err
		}
		if s.drainErr != nil {
			return drain.Outcome{}, s.drainErr
		}
	}
	s.drained++
	return s.out, nil
}

func (s *scriptedDrain) Resume(_ context.Context, target Target) error {
	if s.resumeErr != nil {
		return s.resumeErr
	}
	return s.w.write("resume", nil, func() error { delete(s.stopped, target.Config.Host); return nil })
}

func TestDrainBeforeDeletion(t *testing.T) {
	for _, operation := range []v1alpha1.Operation{v1alpha1.OperationTeardown, v1alpha1.OperationRebuild, v1alpha1.OperationDrill} {
		t.Run(string(operation), func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			if operation != v1alpha1.OperationDrill {
				w.existing(earlier)
			}
			at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			w.drains.survey.Newest = at
			w.drains.survey.Ledger = []drain.Entry{{Kind: drain.LoadBalancer, ID: "192.0.2.1", Object: "Service shop/web"}}
			w.order("run", operation)
			run := w.finish("run")
			inc := run.Status.Previous
			if operation == v1alpha1.OperationDrill {
				inc = run.Status.Target
			}
			if run.Status.Failure != nil || inc.Drain == nil || inc.Drain.Outcome != v1alpha1.DrainComplete || inc.Drain.Found != 1 || inc.Drain.LeftCount != 0 {
				t.Fatalf("%+v, failure %+v", inc, run.Status.Failure)
			}
			if w.drains.drained != 1 || !w.drains.options.Newest.Equal(at) {
				t.Errorf("drained %d times, with %+v", w.drains.drained, w.drains.options)
			}
			if !inc.Drain.FinishedAt.Before(inc.DeleteRequestedAt) && !inc.Drain.FinishedAt.Equal(inc.DeleteRequestedAt) {
				t.Errorf("deleted at %s, drained at %s", inc.DeleteRequestedAt, inc.Drain.FinishedAt)
			}
		})
	}
}

// TestClusterThatDoesNotAnswer is deleted undrained: a dead cluster is what rebuilds are for.
func TestClusterThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.drains.surveyErr = errors.New("connection refused")
	w.order("run", v1alpha1.OperationTeardown)
	run := w.until("run", "the drain to be given up", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Previous != nil && run.Status.Previous.Drain != nil
	})
	if d := run.Status.Previous.Drain; d.Outcome != v1alpha1.DrainUnreachable || !strings.Contains(d.Message, "connection refused") {
		t.Errorf("%+v", d)
	}
	began := run.Status.Phases[len(run.Status.Phases)-1].StartedAt
	if waited := run.Status.Previous.Drain.FinishedAt.Sub(began.Time); waited < time.Minute {
		t.Errorf("given up after %s", waited)
	}
	if run := w.finish("run"); run.Status.Failure != nil {
		t.Errorf("%+v", run.Status.Failure)
	}
}

// TestSurveyMissesOneAnswer, after the run waited for long: one request that fails says
// nothing.
func TestSurveyMissesOneAnswer(t *testing.T) {
	w := newWorld(t)
	w.plan(labelled)
	w.existing(earlier)
	w.budget(perHour(0))
	w.drains.surveyErr = errors.New("connection refused")
	w.order("run", v1alpha1.OperationTeardown)
	w.until("run", "a slot", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Budget != nil && run.Status.Budget.Since != nil
	})
	w.clock.Step(10 * time.Minute)
	w.must(w.store.Store.Delete(t.Context(), w.budgeted()))
	w.until("run", "another try", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "connection refused")
	})
	w.drains.surveyErr = nil
	if run := w.finish("run"); run.Status.Failure != nil || run.Status.Previous.Drain.Outcome != v1alpha1.DrainComplete && run.Status.Previous.Drain.Outcome != v1alpha1.DrainNothing {
		t.Errorf("%+v, failure %+v", run.Status.Previous.Drain, run.Status.Failure)
	}
}

func TestDrainOutOfTime(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.drains.drainErr = errors.New("overloaded")
	w.order("run", v1alpha1.OperationTeardown)
	w.until("run", "the drain", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "overloaded")
	})
	w.clock.Step(5 * time.Minute)
	run := w.finish("run")
	if d := run.Status.Previous.Drain; run.Status.Failure != nil || d.Outcome != v1alpha1.DrainTimedOut {
		t.Errorf("%+v, failure %+v", d, run.Status.Failure)
	}
}

// TestDrainThenCancel keeps the cluster: what was stopped in it is started again.
func TestDrainThenCancel(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	inc := w.existing(earlier)
	w.drains.drainErr = errors.New("overloaded")
	w.order("run", v1alpha1.OperationTeardown)
	run := w.until("run", "the drain", func(*v1alpha1.RecoveryRun) bool { return len(w.drains.stopped) == 1 })
	run.Spec.Cancel = &v1alpha1.Cancellation{Reason: "wrong cluster"}
	w.must(w.store.Store.Update(t.Context(), run))
	run = w.finish("run")
	if f := run.Status.Failure; f == nil || f.Reason != "Cancelled" || run.Status.Previous.Drain.ResumedAt == nil {
		t.Errorf("failure %+v, drain %+v", f, run.Status.Previous.Drain)
	}
	if len(w.drains.stopped) != 0 {
		t.Error("what was stopped was not started again")
	}
	if len(w.deletes) != 0 || len(w.clusters()) != 1 {
		t.Errorf("Cluster %s was deleted", inc)
	}
}

// TestDeposedDrain takes the run from a process in the middle of a drain.
func TestDeposedDrain(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.order("run", v1alpha1.OperationTeardown)
	steps := 0
	w.fail = func(verb string, _ client.Object) error {
		if verb != "drain" {
			return nil
		}
		if steps++; steps == 1 {
			run := w.run("run")
			run.Status.Epoch++
			w.must(w.store.Store.Status().Update(t.Context(), run))
		}
		return nil
	}
	w.until("run", "the drain", func(*v1alpha1.RecoveryRun) bool { return steps == 1 })
	for range 3 {
		w.step("run")
	}
	if steps != 1 || len(w.deletes) != 0 {
		t.Errorf("%d steps, %d deletions by a process that was deposed", steps, len(w.deletes))
	}
	w.replace()
	if run := w.finish("run"); run.Status.Failure != nil {
		t.Errorf("%+v", run.Status.Failure)
	}
}

// TestDrainOfAnotherCluster lets the kubeconfig lead elsewhere once the preflight is over.
func TestDrainOfAnotherCluster(t *testing.T) {
	// swapped as soon as the phase that deletes is recorded.
	swapped := func(w *world, phase v1alpha1.Phase) {
		done := false
		w.fail = func(_ string, o client.Object) error {
			run, ok := o.(*v1alpha1.RecoveryRun)
			if !ok || done || len(run.Status.Phases) == 0 || recovery.Current(run).Name != phase {
				return nil
			}
			done = true
			w.store.Workload(recovery.Doomed(run).UID).SetIdentity("imposter")
			return nil
		}
	}
	t.Run("Teardown", func(t *testing.T) {
		w := newWorld(t)
		w.plan(nil)
		inc := w.existing(earlier)
		swapped(w, v1alpha1.PhaseTeardown)
		w.order("run", v1alpha1.OperationTeardown)
		run := w.finish("run")
		if f := run.Status.Failure; f == nil || f.Reason != "IdentityChanged" {
			t.Errorf("failure %+v", f)
		}
		if len(w.drains.stopped) != 0 || len(w.deletes) != 0 || len(w.clusters()) != 1 {
			t.Errorf("stopped %v, %d deletions of Cluster %s", w.drains.stopped, len(w.deletes), inc)
		}
	})
	t.Run("Drill", func(t *testing.T) {
		w := newWorld(t)
		w.plan(nil)
		swapped(w, v1alpha1.PhaseCleanup)
		w.order("run", v1alpha1.OperationDrill)
		run := w.finish("run")
		if d := run.Status.Target.Drain; d == nil || d.Outcome != v1alpha1.DrainSkipped {
			t.Errorf("drain %+v", d)
		}
		if len(w.drains.stopped) != 0 || len(w.clusters()) != 0 {
			t.Errorf("stopped %v, clusters %v", w.drains.stopped, w.clusters())
		}
	})
}

// TestResumeIsTriedAgain: one hiccup does not leave a cluster that stays without what the
// drain stopped; a cluster that never answers again does not keep the run for ever.
func TestResumeIsTriedAgain(t *testing.T) {
	for _, comes := range []bool{true, false} {
		w := newWorld(t)
		w.plan(nil)
		w.existing(earlier)
		w.drains.drainErr = errors.New("overloaded")
		w.order("run", v1alpha1.OperationTeardown)
		w.until("run", "the drain", func(run *v1alpha1.RecoveryRun) bool {
			return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "overloaded")
		})
		w.drains.resumeErr = errors.New("connection refused")
		w.revise("run", func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{Reason: "no"} })
		w.until("run", "another try", func(run *v1alpha1.RecoveryRun) bool {
			return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "start again what was stopped")
		})
		if comes {
			w.drains.resumeErr = nil
		} else {
			w.clock.Step(resumePatience)
		}
		run := w.finish("run")
		if got := len(w.drains.stopped) == 0; got != comes {
			t.Errorf("comes %t: stopped %v", comes, w.drains.stopped)
		}
		if d := run.Status.Previous.Drain; strings.Contains(d.Message, "could not be started again") == comes {
			t.Errorf("comes %t: %+v", comes, d)
		}
	}
}

// TestHeldInTheMiddleOfADrain says what is gone already.
func TestHeldInTheMiddleOfADrain(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.drains.drainErr = errors.New("overloaded")
	w.order("run", v1alpha1.OperationTeardown)
	w.until("run", "the drain", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "overloaded")
	})
	hold := &v1alpha1.Hold{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "demo"}}
	hold.Spec = v1alpha1.HoldSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Reason: "a demo", Until: metav1.NewTime(w.clock.Now().Add(time.Hour))}
	w.must(w.store.Store.Create(t.Context(), hold))
	if f := w.finish("run").Status.Failure; f == nil || f.Reason != "Held" || strings.Contains(f.Message, "nothing was deleted") || !strings.Contains(f.Message, "its drain had begun") {
		t.Errorf("failure %+v", f)
	}
}

// TestSuspendedDrain has its whole time, whatever the run stood still.
func TestSuspendedDrain(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.drains.drainErr = errors.New("overloaded")
	w.order("run", v1alpha1.OperationTeardown)
	w.until("run", "the drain", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "overloaded")
	})
	w.revise("run", func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = true })
	w.until("run", "the suspension", func(run *v1alpha1.RecoveryRun) bool { return run.Status.SuspendedAt != nil })
	w.clock.Step(10 * time.Minute)
	w.drains.drainErr = nil
	w.drains.out = drain.Outcome{Complete: true}
	w.revise("run", func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = false })
	if run := w.finish("run"); run.Status.Failure != nil || run.Status.Previous.Drain.Outcome != v1alpha1.DrainComplete || w.drains.drained != 1 {
		t.Errorf("%+v, failure %+v", run.Status.Previous.Drain, run.Status.Failure)
	}
}
