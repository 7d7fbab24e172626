package controller

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// verdict on the plan's reports as they are stored.
func (w *world) verdict() *report.Verdict {
	w.t.Helper()
	list := &v1alpha1.RecoveryRunList{}
	w.must(w.store.Store.List(w.t.Context(), list))
	runs := map[types.UID]bool{}
	var held []report.Held
	for i := range list.Items {
		runs[list.Items[i].UID] = true
		cm := &corev1.ConfigMap{}
		key := client.ObjectKey{Namespace: namespace, Name: ReportName(&list.Items[i])}
		if err := w.store.Store.Get(w.t.Context(), key, cm); err != nil {
			continue
		}
		raw, err := report.RawFromConfigMap(cm)
		held = append(held, report.Held{Name: list.Items[i].Name, Raw: raw, Err: err})
	}
	return report.CheckChain(w.planNow(), held, runs)
}

func (w *world) planNow() *v1alpha1.RecoveryPlan {
	w.t.Helper()
	plan := &v1alpha1.RecoveryPlan{}
	w.must(w.store.Store.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "plan"}, plan))
	return plan
}

func (w *world) intact(reports int) {
	w.t.Helper()
	if v := w.verdict(); v.State != report.Intact || v.Proven != reports || v.Length != int64(reports) {
		w.t.Errorf("%s, %d of %d proven, want %d: %+v %+v", v.State, v.Proven, v.Length, reports, v.Problems, v.Remarks)
	}
}

// refused orders a run that fails before it needs the lock of its cluster, and has a report.
func (w *world) refused(name string) {
	w.t.Helper()
	w.must(w.store.Store.Create(w.t.Context(), &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: v1alpha1.OperationDrill, Cluster: "another"},
	}))
}

// TestReportsAreChained has runs one after the other, of which one never begins.
func TestReportsAreChained(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("one", v1alpha1.OperationDrill)
	w.finish("one")
	w.order("two", v1alpha1.OperationRebuild)
	w.finish("two")
	w.refused("three")
	w.finish("three")
	w.intact(3)
	two := w.report(w.run("two"))
	if len(two.History) != 1 || two.History[0].Run != "one" || two.Chain.Sequence != 2 || two.Chain.Previous.Run != "one" {
		t.Errorf("history %+v, chain %+v", two.History, two.Chain)
	}
	if two.CriticalPath == nil || two.RecoveryTimeSeconds == nil {
		t.Error("the report has no critical path")
	}

	cm := &corev1.ConfigMap{}
	w.must(w.store.Store.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: ReportName(w.run("two"))}, cm))
	two.Reason = "another one"
	raw, err := two.Compress()
	w.must(err)
	cm.BinaryData[report.ConfigMapKey] = raw
	w.must(w.store.Store.Update(t.Context(), cm))
	if v := w.verdict(); v.State != report.Broken || v.Problems[0].Kind != report.Edited || v.Problems[0].Run != "two" {
		t.Errorf("an edited report does not show: %+v", v)
	}
	w.must(w.store.Store.Delete(t.Context(), cm))
	if v := w.verdict(); v.State != report.Broken || v.Problems[0].Kind != report.Removed || !strings.Contains(v.Problems[0].What, "still there") {
		t.Errorf("a removed report does not show: %+v", v)
	}
}

// TestChainSurvivesKillAtEveryWrite kills the second run's controller at each write from the
// first one of its report on.
func TestChainSurvivesKillAtEveryWrite(t *testing.T) {
	begin := func(t *testing.T) *world {
		w := newWorld(t)
		w.plan(nil)
		w.order("one", v1alpha1.OperationDrill)
		w.finish("one")
		w.writes = 0
		w.order("two", v1alpha1.OperationDrill)
		return w
	}
	w := begin(t)
	w.finish("two")
	w.intact(2)
	for k := w.writes - 8; k <= w.writes; k++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d after=%t", k, after), func(t *testing.T) {
				w := begin(t)
				w.killAt, w.after = k, after
				w.finish("two")
				w.intact(2)
			})
		}
	}
}

// TestRunsThatFinishAtOnce lets another run come in between at each step that links a report,
// with or without a crash: both end, and both are in one chain.
func TestRunsThatFinishAtOnce(t *testing.T) {
	for _, step := range []string{"create report", "link", "finish"} {
		for _, crash := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s crash=%t", step, crash), func(t *testing.T) {
				w := newWorld(t)
				w.plan(nil)
				w.order("one", v1alpha1.OperationDrill)
				between := false
				w.fail = func(verb string, o client.Object) error {
					if between || !atStep(step, verb, o) {
						return nil
					}
					between = true
					w.refused("two")
					w.finish("two")
					if crash {
						w.replace()
						return errors.New("the answer was lost")
					}
					return nil
				}
				w.finish("one")
				if !between {
					t.Fatal("nothing came in between")
				}
				w.intact(2)
			})
		}
	}
}

// atStep tells the writes of the end of run one.
func atStep(step, verb string, o client.Object) bool {
	switch o := o.(type) {
	case *corev1.ConfigMap:
		return step == "create report" && o.Name == "one-report" && o.Annotations[annotationFinishedAt] != ""
	case *v1alpha1.RecoveryPlan:
		return step == "link" && verb == "update status" && o.Status.Reports != nil && o.Status.Reports.Recent[0].Run == "one" && o.Status.LastRun == nil
	case *v1alpha1.RecoveryRun:
		return step == "finish" && verb == "update status" && o.Name == "one" && o.Status.FinishedAt != nil
	}
	return false
}

// TestLinkThatIsRefused lets the plan's status refuse every write: the run ends and says so.
func TestLinkThatIsRefused(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("one", v1alpha1.OperationDrill)
	w.fail = func(verb string, o client.Object) error {
		if plan, ok := o.(*v1alpha1.RecoveryPlan); ok && verb == "update status" && plan.Status.LastRun == nil {
			return errors.New("the status is read-only today")
		}
		return nil
	}
	var run *v1alpha1.RecoveryRun
	for range 400 {
		w.step("one")
		if run = w.run("one"); run.Status.FinishedAt != nil {
			break
		}
	}
	if run.Status.FinishedAt == nil {
		t.Fatal("the run hangs")
	}
	w.fail = nil
	run = w.finish("one")
	if said := run.Status.Conditions; !strings.Contains(fmt.Sprint(said), "could not be linked") || run.Status.ReportRef == nil {
		t.Errorf("nobody is told: %+v", said)
	}
	// The next run takes the place, and the report that was not linked shows.
	w.order("two", v1alpha1.OperationDrill)
	w.finish("two")
	if v := w.verdict(); v.State != report.Broken || len(v.Problems) != 1 || v.Problems[0].Kind != report.Stray || v.Problems[0].Run != "one" {
		t.Errorf("%+v", v)
	}
}

// TestPlanThatIsGone leaves a report outside of any chain.
func TestPlanThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("one", v1alpha1.OperationDrill)
	w.until("one", "its waves", func(run *v1alpha1.RecoveryRun) bool {
		current := recovery.Current(run)
		return current != nil && current.Name == v1alpha1.PhaseCleanup
	})
	w.must(w.store.Store.Delete(t.Context(), w.planNow()))
	if r := w.report(w.finish("one")); r.Chain != nil || r.Result != v1alpha1.ResultSucceeded {
		t.Errorf("chain %+v", r.Chain)
	}
}

// TestFinalReportIsNotOverwritten has a process that was deposed write late.
func TestFinalReportIsNotOverwritten(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("one", v1alpha1.OperationDrill)
	run := w.finish("one")
	if err := w.r.store(t.Context(), run, func(*report.Report) {}); err == nil {
		t.Error("an interim report took the place of the final one")
	}
	o, err := w.r.observe(t.Context(), client.ObjectKeyFromObject(run))
	w.must(err)
	w.must(w.r.storeFinal(t.Context(), o))
	w.intact(1)
}

// TestStaleLinkIsNotMade has a process that decided to link a report before another run's
// report took its place.
func TestStaleLinkIsNotMade(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("one", v1alpha1.OperationDrill)
	var late recovery.Observation
	w.fail = func(verb string, o client.Object) error {
		if plan, ok := o.(*v1alpha1.RecoveryPlan); ok && verb == "update status" && plan.Status.Reports != nil {
			return errors.New("not now")
		}
		return nil
	}
	for range 50 {
		w.step("one")
		o, err := w.r.observe(t.Context(), client.ObjectKey{Namespace: namespace, Name: "one"})
		w.must(err)
		if o.Report.Link == recovery.LinkFits {
			late = o
			break
		}
	}
	if late.Run == nil {
		t.Fatal("the report was never about to be linked")
	}
	w.fail = nil
	w.refused("two")
	w.finish("two")
	w.must(w.r.linkReport(t.Context(), late))
	if report.LinkOf(w.planNow(), late.Run.UID) != nil {
		t.Error("a report with a place that was taken was linked")
	}
	w.finish("one")
	w.intact(2)
}
