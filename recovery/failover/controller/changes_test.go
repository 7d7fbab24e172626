package controller_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// edit a policy.
func (w *world) edit(p *v1alpha1.FailoverPolicy, change func(*v1alpha1.FailoverPolicySpec)) {
	w.t.Helper()
	w.must(w.c.Get(w.t.Context(), client.ObjectKeyFromObject(p), p))
	change(&p.Spec)
	w.must(w.c.Update(w.t.Context(), p))
}

// TestSuspend takes an open proposal back, and begins anew afterwards.
func TestSuspend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	w.set("prod", refused)
	w.until(p, "ordered", ordered)
	w.edit(p, func(s *v1alpha1.FailoverPolicySpec) { s.Suspend = true })
	w.until(p, "over", func(p *v1alpha1.FailoverPolicy) bool { return p.Status.Outage.OverAt != nil })
	if run := w.runs(1)[0]; run.Spec.Cancel == nil {
		t.Error("the proposal was not taken back")
	}
}

// TestHoldRunsOut: nobody touches a hold that ends, and the policy notices all the same.
func TestHoldRunsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	until := metav1.NewTime(time.Now().Add(6 * time.Second))
	w.must(w.c.Create(t.Context(), &v1alpha1.Hold{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "h"},
		Spec:       v1alpha1.HoldSpec{PlanRef: v1alpha1.PlanReference{Name: "prod"}, Until: until, Reason: "I know"},
	}))
	w.until(p, "held", has(v1alpha1.ConditionArmed, "Held"))
	w.set("prod", refused)
	w.until(p, "ordered", ordered)
	if at := p.Status.Outage.ConfirmedAt; at.Before(&metav1.MicroTime{Time: until.Add(time.Second).Truncate(time.Second)}) {
		t.Errorf("it was confirmed at %s, the hold ended at %s", at, until)
	}
}

// TestAnotherPolicyLeaves: when the first of two policies goes to another plan, the second
// watches.
func TestAnotherPolicyLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	other := w.policy("zone", nil)
	w.until(other, "healthy", lives)
	w.edit(other, func(s *v1alpha1.FailoverPolicySpec) { s.PlanRef.Name = "prod" })
	w.until(other, "second", has(v1alpha1.ConditionReady, "AnotherPolicy"))
	w.edit(p, func(s *v1alpha1.FailoverPolicySpec) { s.PlanRef.Name = "zone" })
	w.until(other, "alone", lives)
}

// TestCancelled: what a person cancels is not ordered again.
func TestCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	w.set("prod", refused)
	w.until(p, "ordered", ordered)
	run := &w.runs(1)[0]
	run.Spec.Cancel = &v1alpha1.Cancellation{Reason: "I see to it"}
	w.must(w.c.Update(t.Context(), run))
	now := metav1.NewMicroTime(time.Now())
	run.Status.FinishedAt = &now
	run.Status.Failure = &v1alpha1.Failure{Phase: v1alpha1.PhaseApproval, Reason: "Cancelled", Message: "m"}
	w.must(w.c.Status().Update(t.Context(), run))
	w.until(p, "left to people", has(v1alpha1.ConditionArmed, "CalledOff"))
	w.runs(1)
}

// TestRunOfAnotherPlan: a failover from another plan works on the cluster of this one, and
// the policy goes on once it has ended.
func TestRunOfAnotherPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "by-hand"}, Spec: v1alpha1.RecoveryRunSpec{
		PlanRef: v1alpha1.PlanReference{Name: "other"}, Operation: v1alpha1.OperationFailover,
		Failover: &v1alpha1.FailoverOrder{To: v1alpha1.PlanReference{Name: "prod"}},
	}}
	w.must(w.c.Create(t.Context(), run))
	w.until(p, "left to the run", has(v1alpha1.ConditionArmed, "RunUnderWay"))
	w.must(w.c.Delete(t.Context(), run))
	w.until(p, "armed again", has(v1alpha1.ConditionArmed, "Watching"))
}
