package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// orderBy a person.
func (w *world) orderBy(user, name string, operation v1alpha1.Operation) {
	w.t.Helper()
	w.must(w.store.Store.Create(w.t.Context(), &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: operation, RequestedBy: user, Failover: takesOver(operation)},
	}))
}

func (w *world) approve(user string, run *v1alpha1.RecoveryRun, change func(*v1alpha1.RunApproval)) {
	w.t.Helper()
	a := &v1alpha1.RunApproval{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: run.Name + "-" + user},
		Spec: v1alpha1.RunApprovalSpec{
			RunRef: v1alpha1.RunReference{Name: run.Name}, Digest: run.Status.Approval.Digest, TargetUID: string(run.Status.Approval.TargetUID), ApprovedBy: user,
		},
	}
	if change != nil {
		change(a)
	}
	w.must(w.store.Store.Create(w.t.Context(), a))
}

func (w *world) revise(name string, change func(*v1alpha1.RecoveryRunSpec)) {
	w.t.Helper()
	run := w.run(name)
	change(&run.Spec)
	w.must(w.store.Store.Update(w.t.Context(), run))
}

func needsApproval(p *v1alpha1.RecoveryPlan) { p.Spec.Teardown.Policy = v1alpha1.TeardownNeedsApproval }

func inPhase(phase v1alpha1.Phase) func(*v1alpha1.RecoveryRun) bool {
	return func(run *v1alpha1.RecoveryRun) bool {
		n := len(run.Status.Phases)
		return n > 0 && run.Status.Phases[n-1].Name == phase && run.Status.Phases[n-1].FinishedAt == nil
	}
}

// TestNothingIsDeletedBeforeSomebodyElseAgrees gives a run all kinds of approvals that do
// not count, and then one that does.
func TestNothingIsDeletedBeforeSomebodyElseAgrees(t *testing.T) {
	for _, operation := range []v1alpha1.Operation{v1alpha1.OperationTeardown, v1alpha1.OperationRebuild} {
		t.Run(string(operation), func(t *testing.T) {
			w := newWorld(t)
			w.plan(needsApproval)
			inc := w.existing(capi.Stamp{Run: "earlier", Epoch: 1})
			w.orderBy("ada", "run", operation)
			run := w.until("run", "approval", inPhase(v1alpha1.PhaseApproval))
			w.approve("ada", run, nil)
			w.approve("eve", run, func(a *v1alpha1.RunApproval) { a.Spec.Digest = "sha256:0" })
			w.approve("old", run, func(a *v1alpha1.RunApproval) { at := metav1.NewTime(w.clock.Now()); a.Spec.ExpiresAt = &at })
			for range 5 {
				w.step("run")
			}
			w.replace() // nor does a restart take one of them
			for range 5 {
				w.step("run")
			}
			if !slices.Contains(w.clusters(), "dev") || len(w.deletes) > 0 {
				t.Fatal("the cluster was deleted without approval")
			}
			w.approve("grace", run, nil)
			done := w.finish("run")
			if done.Status.Failure != nil || w.deletes[inc.UID] != 1 {
				t.Errorf("failure %+v, deletions %v", done.Status.Failure, w.deletes)
			}
			if a := done.Status.Approval; a.ApprovedBy != "grace" || a.ApprovedAt == nil {
				t.Errorf("record %+v", a)
			}
		})
	}
}

func TestNoApprovalForWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.plan(needsApproval)
	w.orderBy("ada", "run", v1alpha1.OperationRebuild)
	w.finish("run")
	w.orderBy("ada", "drill", v1alpha1.OperationDrill)
	for _, name := range []string{"run", "drill"} {
		if done := w.finish(name); done.Status.Failure != nil || done.Status.Approval != nil {
			t.Errorf("%s: failure %+v, approval %+v", name, done.Status.Failure, done.Status.Approval)
		}
	}
}

func TestHeldClusterIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(capi.Stamp{Run: "earlier", Epoch: 1})
	w.must(w.store.Store.Create(t.Context(), &v1alpha1.Hold{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "load-test"},
		Spec:       v1alpha1.HoldSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Reason: "a load test runs", Until: metav1.NewTime(w.clock.Now().Add(time.Hour))},
	}))
	w.order("refused", v1alpha1.OperationTeardown)
	f := w.finish("refused").Status.Failure
	if f == nil || f.Reason != "Held" || !strings.Contains(f.Message, "a load test runs") || len(w.deletes) > 0 {
		t.Fatalf("failure %+v, deletions %v", f, w.deletes)
	}
	w.clock.Step(time.Hour)
	w.order("later", v1alpha1.OperationTeardown)
	if f := w.finish("later").Status.Failure; f != nil {
		t.Errorf("after the hold: %+v", f)
	}
}

func TestSuspendedRunStandsStillAndGoesOn(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	inc := w.existing(capi.Stamp{Run: "earlier", Epoch: 1})
	w.order("run", v1alpha1.OperationRebuild)
	w.revise("run", func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = true })
	w.step("run")
	w.revise("run", func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = false })
	w.store.HoldDeletion("dev", true)
	w.until("run", "the teardown", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Previous != nil && run.Status.Previous.DeleteRequestedAt != nil
	})
	w.revise("run", func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = true })
	w.until("run", "to stand", func(run *v1alpha1.RecoveryRun) bool { return run.Status.SuspendedAt != nil })
	w.store.HoldDeletion("dev", false)
	w.clock.Step(100 * time.Hour) // beyond every limit
	w.replace()
	for range 5 {
		w.step("run")
	}
	if run := w.run("run"); run.Status.Failure != nil || !inPhase(v1alpha1.PhaseTeardown)(run) {
		t.Fatalf("it did not stand still: %+v", run.Status)
	}
	w.revise("run", func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = false })
	if run := w.finish("run"); run.Status.Failure != nil || w.deletes[inc.UID] != 1 {
		t.Errorf("failure %+v, deletions %v", run.Status.Failure, w.deletes)
	}
}

func TestCancelledDrillCleansUp(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("run", v1alpha1.OperationDrill)
	w.store.HoldProvisioning(recovery.TargetName(w.run("run"), "dev"), "no quota")
	w.until("run", "the cluster", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Target != nil && run.Status.Target.UID != "" })
	w.revise("run", func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{Reason: "wrong cluster"} })
	run := w.finish("run")
	if f := run.Status.Failure; f == nil || f.Reason != "Cancelled" || !strings.Contains(f.Message, "wrong cluster") {
		t.Errorf("failure %+v", f)
	}
	if left := w.clusters(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestApprovalThatIsWithdrawn while the run still waits for its turn, or expires meanwhile,
// does not delete anything any more.
func TestApprovalThatIsWithdrawn(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*world, *v1alpha1.RunApproval)
		says   string
	}{
		"deleted": {func(w *world, a *v1alpha1.RunApproval) { w.must(w.store.Store.Delete(w.t.Context(), a)) }, "it was deleted"},
		"expired": {func(w *world, _ *v1alpha1.RunApproval) { w.clock.Step(21 * time.Minute) }, "it expired at"},
		"stands":  {func(*world, *v1alpha1.RunApproval) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(func(p *v1alpha1.RecoveryPlan) { needsApproval(p); labelled(p) })
			w.existing(earlier)
			w.budget(perHour(0))
			w.orderBy("ada", "run", v1alpha1.OperationTeardown)
			run := w.until("run", "approval", inPhase(v1alpha1.PhaseApproval))
			approval := &v1alpha1.RunApproval{}
			w.approve("grace", run, func(a *v1alpha1.RunApproval) {
				at := metav1.NewTime(w.clock.Now().Add(20 * time.Minute))
				a.Spec.ExpiresAt, approval = &at, a
			})
			w.until("run", "a slot", func(run *v1alpha1.RecoveryRun) bool {
				return run.Status.Budget != nil && run.Status.Budget.Since != nil
			})
			test.change(w, approval)
			w.must(w.store.Store.Delete(t.Context(), w.budgeted()))
			f := w.finish("run").Status.Failure
			if test.says == "" && f != nil || test.says != "" && (f == nil || f.Reason != "ApprovalWithdrawn" || !strings.Contains(f.Message, test.says) || len(w.deletes) > 0) {
				t.Errorf("failure %+v, %d deletes", f, len(w.deletes))
			}
		})
	}
}
