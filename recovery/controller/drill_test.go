package controller

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/quarantine"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
	"github.com/refloat-dev/refloat/recovery"
)

// drillPhases of a run that has seeds, up to the one that cleans up.
var drillPhases = []v1alpha1.Phase{
	v1alpha1.PhasePreflight, v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap, v1alpha1.PhaseSeed, v1alpha1.PhaseWaves, v1alpha1.PhaseVerify,
}

// stopIn drives a run into a phase and lets the first write there fail, so that something
// can happen in between.
func (w *world) stopIn(name string, phase v1alpha1.Phase) *v1alpha1.RecoveryRun {
	w.t.Helper()
	entered, stopped := false, false
	w.fail = func(verb string, o client.Object) error {
		if entered && !stopped {
			stopped = true
			return errors.New("the API server is overloaded")
		}
		if run, ok := o.(*v1alpha1.RecoveryRun); ok && verb == "update status" && inPhase(phase)(run) {
			entered = true
		}
		return nil
	}
	return w.until(name, string(phase), func(run *v1alpha1.RecoveryRun) bool { return stopped && inPhase(phase)(run) })
}

// TestDrillEndedInAnyPhaseCleansUp ends a drill in each phase, in each way in which it can
// be ended from outside, with a controller that goes on and with one that is replaced.
func TestDrillEndedInAnyPhaseCleansUp(t *testing.T) {
	ways := map[string]struct {
		end     func(*world)
		outcome v1alpha1.DrillOutcome
		reason  string
	}{
		"cancelled": {func(w *world) {
			w.revise("run", func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{Reason: "enough"} })
		}, v1alpha1.DrillInterrupted, "Cancelled"},
		"interrupted":   {func(w *world) { w.order("urgent", v1alpha1.OperationRebuild) }, v1alpha1.DrillInterrupted, "Interrupted"},
		"by a failover": {func(w *world) { w.order("urgent", "Failover") }, v1alpha1.DrillInterrupted, "Interrupted"},
		"deleted":       {func(w *world) { w.must(w.store.Store.Delete(w.t.Context(), w.run("run"))) }, v1alpha1.DrillInterrupted, "RunDeleted"},
	}
	for name, way := range ways {
		for _, phase := range drillPhases {
			for _, replaced := range []bool{false, true} {
				t.Run(strings.Join([]string{name, string(phase), map[bool]string{true: "replaced", false: "same"}[replaced]}, "/"), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					w.plan(nil)
					inc := w.existing(earlier)
					w.order("run", v1alpha1.OperationDrill)
					drill := recovery.TargetName(w.stopIn("run", phase), "dev")
					if replaced {
						w.replace()
					}
					way.end(w)
					var last *v1alpha1.RecoveryRun
					if name == "deleted" {
						for range 60 {
							w.step("run")
						}
					} else {
						last = w.finish("run")
					}
					if left := w.clusters(); len(left) != 1 || w.uid("dev") != inc.UID || w.deletes[inc.UID] != 0 {
						t.Errorf("clusters %v, and the live one has UID %s, before %s", left, w.uid("dev"), inc.UID)
					}
					if last == nil {
						return
					}
					f := last.Status.Failure
					if f == nil || f.Reason != way.reason || last.Status.Outcome != way.outcome || last.Status.Phase != v1alpha1.RunPhase(way.outcome) {
						t.Errorf("failure %+v, outcome %q, phase %q", f, last.Status.Outcome, last.Status.Phase)
					}
					if made := last.Status.Target != nil; made && !meta.IsStatusConditionTrue(last.Status.Conditions, v1alpha1.ConditionCleanedUp) {
						t.Errorf("%s is not said to be cleaned up: %+v", drill, last.Status.Conditions)
					}
					if r := w.report(last); r.Outcome != way.outcome {
						t.Errorf("the report says %q", r.Outcome)
					}
				})
			}
		}
	}
}

// TestInterruptedDrillKilledAtEveryWrite kills the controller at each write between the
// interruption and the end, before and after it takes effect.
func TestInterruptedDrillKilledAtEveryWrite(t *testing.T) {
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			w := newWorld(t)
			w.plan(nil)
			inc := w.existing(earlier)
			w.order("run", v1alpha1.OperationDrill)
			w.stopIn("run", v1alpha1.PhaseWaves)
			w.order("urgent", v1alpha1.OperationRebuild)
			w.killAt, w.after = w.writes+k, after
			run := w.finish("run")
			if run.Status.Outcome != v1alpha1.DrillInterrupted || !meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.ConditionCleanedUp) {
				t.Fatalf("killed at write %d, after=%t: outcome %q, conditions %+v", k, after, run.Status.Outcome, run.Status.Conditions)
			}
			if left := w.clusters(); len(left) != 1 || w.uid("dev") != inc.UID {
				t.Fatalf("killed at write %d, after=%t: clusters %v", k, after, left)
			}
			if w.killAt != 0 { // the end came before
				t.Logf("%d writes, killed at each, after=%t", k-1, after)
				break
			}
		}
	}
}

// TestUrgentRunNeedNotWaitForCleanup takes the lock while a drill still deletes its cluster.
func TestUrgentRunNeedNotWaitForCleanup(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.order("drill", v1alpha1.OperationDrill)
	drill := w.stopIn("drill", v1alpha1.PhaseWaves)
	w.store.HoldDeletion(drill.Status.Target.Name, true)
	w.order("urgent", v1alpha1.OperationRebuild)
	w.step("urgent")
	w.until("drill", "cleanup", inPhase(v1alpha1.PhaseCleanup))
	for range 5 {
		w.step("drill")
	}
	if run := w.finish("urgent"); run.Status.Failure != nil {
		t.Fatalf("the urgent run: %+v", run.Status.Failure)
	}
	if run := w.run("drill"); run.Status.FinishedAt != nil {
		t.Error("the drill ended although its cluster is still there")
	}
	w.store.HoldDeletion(drill.Status.Target.Name, false)
	if run := w.finish("drill"); run.Status.Outcome != v1alpha1.DrillInterrupted {
		t.Errorf("outcome %q", run.Status.Outcome)
	}
}

// TestVerifiedDrillIsNotInterrupted keeps what it proved.
func TestVerifiedDrillIsNotInterrupted(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("drill", v1alpha1.OperationDrill)
	w.stopIn("drill", v1alpha1.PhaseCleanup)
	w.order("urgent", v1alpha1.OperationRebuild)
	if run := w.finish("drill"); run.Status.Outcome != v1alpha1.DrillSucceeded {
		t.Errorf("outcome %q: %+v", run.Status.Outcome, run.Status.Failure)
	}
}

// TestDrillWhoseNameIsTaken leaves alone what has it, whoever made it.
func TestDrillWhoseNameIsTaken(t *testing.T) {
	for name, stamp := range map[string]capi.Stamp{"by nobody": {}, "by another run": earlier} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			w.order("run", v1alpha1.OperationDrill)
			taken := recovery.TargetName(w.run("run"), "dev")
			m, err := capi.Parse(fake.Sources(taken), taken, namespace)
			w.must(err)
			inc, err := w.store.Clusters(w.store.Store).Create(t.Context(), m, earlier)
			w.must(err)
			if stamp.Run == "" {
				w.edit(taken, func(c *clusterv1.Cluster) { c.Annotations = nil })
			}
			run := w.finish("run")
			if f := run.Status.Failure; f == nil || f.Reason != "NameTaken" || f.Phase != v1alpha1.PhasePreflight || !strings.Contains(f.Message, "order another drill") {
				t.Errorf("failure %+v", f)
			}
			if w.uid(taken) != inc.UID || len(w.deletes) > 0 {
				t.Error("it was touched")
			}
		})
	}
}

func TestDrillThatMissesItsObjective(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) { p.Spec.Objective.RecoveryTime = &metav1.Duration{Duration: 1} })
	w.order("drill", v1alpha1.OperationDrill)
	if run := w.finish("drill"); run.Status.Outcome != v1alpha1.DrillMissed || run.Status.Failure != nil {
		t.Errorf("outcome %q, failure %+v", run.Status.Outcome, run.Status.Failure)
	}
}

// TestProfileIsAskedFor by drills, unless the plan says otherwise, and by nothing else.
func TestProfileIsAskedFor(t *testing.T) {
	for name, test := range map[string]struct {
		operation v1alpha1.Operation
		policy    v1alpha1.DrillPolicy
		want      bool
	}{
		"drill":        {v1alpha1.OperationDrill, v1alpha1.DrillPolicy{}, true},
		"drill as is":  {v1alpha1.OperationDrill, v1alpha1.DrillPolicy{Profile: v1alpha1.ProfileNone}, false},
		"rebuild":      {v1alpha1.OperationRebuild, v1alpha1.DrillPolicy{}, false},
		"preserves it": {v1alpha1.OperationDrill, v1alpha1.DrillPolicy{Profile: v1alpha1.ProfileQuarantine}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(func(p *v1alpha1.RecoveryPlan) { p.Spec.Drill = test.policy })
			w.engine.drilled = []quarantine.Change{{Rule: "LoadBalancer", Change: "is of type ClusterIP"}}
			w.order("run", test.operation)
			run := w.finish("run")
			if got := w.engine.asked.Drill != nil; got != test.want {
				t.Errorf("asked for the profile: %t", got)
			}
			if r := w.report(run); test.operation == v1alpha1.OperationDrill && len(r.Drilled) != 1 {
				t.Errorf("the report says %v of it", r.Drilled)
			}
		})
	}
}
