package controller

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// TestCancelledFailoverGoesOn kills the controller at each write of a failover and has a person
// cancel the run before the next one looks. Whatever it had come to, the failover that is
// ordered again completes it; the Cluster that it made is not made twice.
func TestCancelledFailoverGoesOn(t *testing.T) {
	for k, last := 1, false; !last; k++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d after=%t", k, after), func(t *testing.T) {
				w := newWorld(t)
				w.plan(switches)
				w.other()
				old := w.existing(earlier)
				w.writes = 0
				w.killAt, w.after = k, after
				w.order("over", v1alpha1.OperationFailover)
				for range 100 {
					if w.killAt == 0 || w.run("over").Status.FinishedAt != nil {
						break
					}
					w.step("over")
				}
				if w.killAt != 0 {
					last = true // the end came before
					return
				}
				if run := w.run("over"); run.Status.FinishedAt == nil {
					w.revise("over", func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{Reason: "wrong cluster"} })
				}
				run := w.finish("over")
				if run.Status.Failure == nil {
					return // it was too late to cancel
				}
				w.engine.wrote = map[string]int{}
				w.order("again", v1alpha1.OperationFailover)
				w.succeeds("again")
				s := w.serving()
				if s.Plan != "other" || s.Pending != "" || w.deletes[old.UID] != 1 || len(w.deletes) != 1 {
					t.Errorf("after %s: %+v serves, deleted %v", run.Status.Failure.Message, s, w.deletes)
				}
			})
		}
	}
}

// TestLateSwitchChangesNothingNewer lets somebody lead users elsewhere while a switch is on its
// way, as the successor of a frozen process does: the switch looks again.
func TestLateSwitchChangesNothingNewer(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) { byDirectory(p); p.Spec.Failover.Commit = v1alpha1.CommitRule{} })
	w.other()
	w.existing(earlier)
	record := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "record"}, Data: map[string]string{"to": "dev"}}
	w.must(w.store.Store.Create(t.Context(), record))
	overtaken := false
	w.beforeApply = func() {
		if !overtaken {
			overtaken = true
			record.Data["to"] = "elsewhere"
			w.must(w.store.Store.Update(t.Context(), record))
			run := w.run("over")
			run.Status.Epoch++ // as Claim does in another process
			w.must(w.store.Store.Status().Update(t.Context(), run))
		}
	}
	w.order("over", v1alpha1.OperationFailover)
	w.until("over", "the switch", func(*v1alpha1.RecoveryRun) bool { return overtaken })
	for range 5 {
		w.step("over")
	}
	w.must(w.store.Store.Get(t.Context(), client.ObjectKeyFromObject(record), record))
	if record.Data["to"] != "elsewhere" || w.applies != 1 {
		t.Errorf("the record leads to %s after %d requests", record.Data["to"], w.applies)
	}
	w.replace()
	w.succeeds("over")
	w.must(w.store.Store.Get(t.Context(), client.ObjectKeyFromObject(record), record))
	if record.Data["to"] != "spare" {
		t.Errorf("in the end the record leads to %s", record.Data["to"])
	}
}

// TestSwitchMeetsAConflict: that somebody else, such as who publishes the record, wrote at the
// same time is no reason to fail.
func TestSwitchMeetsAConflict(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) { byDirectory(p); p.Spec.Failover.Commit = v1alpha1.CommitRule{} })
	w.other()
	w.existing(earlier)
	record := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "record"}, Data: map[string]string{"to": "dev"}}
	w.must(w.store.Store.Create(t.Context(), record))
	w.beforeApply = func() {
		if w.applies == 1 {
			record.Annotations = map[string]string{"published": "yes"}
			w.must(w.store.Store.Update(t.Context(), record))
		}
	}
	w.order("over", v1alpha1.OperationFailover)
	w.succeeds("over")
	w.must(w.store.Store.Get(t.Context(), client.ObjectKeyFromObject(record), record))
	if record.Data["to"] != "spare" || w.applies != 2 {
		t.Errorf("the record leads to %s after %d requests", record.Data["to"], w.applies)
	}
}

// TestCompletesByTheMark: a Cluster whose UID was not pinned yet is the failed run's when it
// carries its mark, and only then.
func TestCompletesByTheMark(t *testing.T) {
	w := newWorld(t)
	w.plan(switches)
	w.other()
	w.existing(earlier)
	w.order("over", v1alpha1.OperationFailover)
	w.until("over", "the new Cluster", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Target != nil && run.Status.Target.UID != "" })
	failed := w.run("over")
	found, err := w.r.Clusters.Observe(t.Context(), namespace, "spare")
	w.must(err)
	failed.Status.Target.UID, failed.Status.Target.CreatedAt = "", nil
	failed.Status.Failure, failed.Status.FinishedAt = &v1alpha1.Failure{Reason: "Cancelled"}, failed.Status.StartedAt
	going, _ := recovery.Completes(failed, failed, failed.Status.Pinned.ClusterDigest, found)
	if going == nil || going.UID != found.UID || going.CreatedAt == nil {
		t.Errorf("it goes on with %+v", going)
	}
	found.Stamp.Run = "another"
	if going, _ := recovery.Completes(failed, failed, failed.Status.Pinned.ClusterDigest, found); going != nil {
		t.Errorf("it goes on with the Cluster of another run: %+v", going)
	}
}
