package controller

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// failedRebuild is a world whose first rebuild failed in its waves.
func failedRebuild(t *testing.T) *world {
	w := newWorld(t)
	w.plan(nil)
	w.engine.frozen = madeUp()
	w.order("first", v1alpha1.OperationRebuild)
	w.engine.applyErr = recovery.Faultf("NotApplied", "Deployment shop/cart failed")
	if f := w.finish("first").Status.Failure; f == nil {
		t.Fatal("the first run did not fail")
	}
	w.engine.applyErr = nil
	return w
}

func (w *world) retry(name, of string) {
	w.t.Helper()
	run := &v1alpha1.RecoveryRun{Spec: v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: v1alpha1.OperationRebuild, RetryOf: of}}
	run.Namespace, run.Name = namespace, name
	w.must(w.store.Store.Create(w.t.Context(), run))
}

// TestRetry goes on with the cluster of a failed run, killed at every write of it.
func TestRetry(t *testing.T) {
	w := failedRebuild(t)
	before, made := w.writes, w.run("first").Status.Target.UID
	if w.engine.limits.Inherited {
		t.Error("a rebuild takes its own cluster for that of another run")
	}
	w.retry("second", "first")
	run := w.finish("second")
	if !w.engine.limits.Inherited {
		t.Error("the retry takes for its own what the failed run applied")
	}
	if run.Status.Failure != nil || run.Status.Target.UID != made || run.Status.Previous != nil || len(w.deletes) != 0 {
		t.Fatalf("%+v, target %+v, deleted %v", run.Status.Failure, run.Status.Target, w.deletes)
	}
	if len(w.engine.asked.Frozen) == 0 {
		t.Error("what charts had made up was made up again")
	}
	if r := w.report(run); r.Retried == nil || r.Retried.Run != "first" || r.Retried.Phase != v1alpha1.PhaseWaves {
		t.Errorf("report: %+v", r.Retried)
	}
	obs, err := w.r.Clusters.Observe(t.Context(), namespace, "dev")
	if err != nil || obs.Stamp.Run != run.UID {
		t.Errorf("the cluster has the stamp %+v, %v", obs.Stamp, err)
	}
	total := w.writes - before
	for k := 1; k <= total; k++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d after=%t", k, after), func(t *testing.T) {
				t.Parallel()
				w := failedRebuild(t)
				w.retry("second", "first")
				w.killAt, w.after = w.writes+k, after
				run := w.finish("second")
				if run.Status.Failure != nil || len(w.deletes) != 0 || len(w.clusters()) != 1 {
					t.Errorf("%+v, deleted %v, clusters %v", run.Status.Failure, w.deletes, w.clusters())
				}
			})
		}
	}
}

func TestRetryRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(w *world)
		refuse string
	}{
		"other manifests of the cluster": {func(w *world) { w.engine.clusterDigest = "another" }, "are not those that it made"},
		"the cluster is gone":            {func(w *world) { w.order("gone", v1alpha1.OperationTeardown); w.finish("gone") }, "is gone or being deleted"},
		"the cluster was made anew":      {func(w *world) { w.order("anew", v1alpha1.OperationRebuild); w.finish("anew") }, "UID"},
		"a run that nobody knows":        {func(w *world) { w.must(w.store.Store.Delete(w.t.Context(), w.run("first"))) }, "does not exist"},
		"seeds are gone": {func(w *world) {
			w.must(w.store.Store.Delete(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "age"}}))
		}, "age"},
		"it does not render": {func(w *world) { w.engine.renderErr = recovery.Faultf("StateInvalid", "a.yaml:3: no kind") }, "a.yaml:3"},
	} {
		t.Run(name, func(t *testing.T) {
			w := failedRebuild(t)
			test.change(w)
			deleted := len(w.deletes)
			w.retry("second", "first")
			run := w.finish("second")
			if f := run.Status.Failure; f == nil || f.Phase != v1alpha1.PhasePreflight || !strings.Contains(f.Message, test.refuse) {
				t.Errorf("failure %+v, want %q", f, test.refuse)
			}
			if len(w.deletes) != deleted {
				t.Error("something was deleted")
			}
		})
	}
}

// TestVerifyPlan holds a cluster to the commit of the run that made it, whatever kind of run.
func TestVerifyPlan(t *testing.T) {
	w := newWorld(t)
	w.plan(switches)
	w.other()
	verify := func(plan string) (notes []string, err error) {
		w.t.Helper()
		_, err = VerifyPlan(t.Context(), w.store.Store, VerifyOptions{
			Engine: w.engine, Namespace: namespace, Plan: plan, Note: func(n string) { notes = append(notes, n) },
		})
		return notes, err
	}
	w.order("first", v1alpha1.OperationRebuild)
	w.succeeds("first")
	w.order("over", v1alpha1.OperationFailover)
	w.succeeds("over")
	if _, err := verify("other"); err != nil {
		t.Errorf("after a failover: %v", err)
	}
	if _, err := verify("plan"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("of the cluster that is gone: %v", err)
	}
	w.order("back", v1alpha1.OperationFailback)
	w.succeeds("back")
	if _, err := verify("plan"); err != nil {
		t.Errorf("after a failback: %v", err)
	}
	w.engine.applyErr = recovery.Faultf("NotApplied", "Deployment shop/cart failed")
	w.order("anew", v1alpha1.OperationRebuild)
	w.finish("anew")
	if notes, err := verify("plan"); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "run anew, which failed in Waves") {
		t.Errorf("after a rebuild that failed: %v, notes %v", err, notes)
	}
}
