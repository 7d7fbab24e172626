package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestTurns lets one run of a schedule work at a time, and says where the others are.
func TestTurns(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	for i := range 3 {
		run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("run-%d", i)}}
		run.Spec = v1alpha1.RecoveryRunSpec{
			PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: v1alpha1.OperationDrill,
			Schedule: &v1alpha1.ScheduledTime{Name: "nightly", UID: "nightly", Concurrency: 1, Due: metav1.NewMicroTime(w.clock.Now().Add(time.Duration(i) * time.Second))},
		}
		w.must(w.store.Store.Create(t.Context(), run))
	}
	w.until("run-0", "its start", func(run *v1alpha1.RecoveryRun) bool { return run.Status.StartedAt != nil })
	for i := 1; i < 3; i++ {
		name := fmt.Sprintf("run-%d", i)
		run := w.until(name, "its turn", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Waiting != nil })
		if want := fmt.Sprintf("%d of 2 in the queue of schedule nightly", i); !strings.Contains(run.Status.Waiting.For, want) || run.Status.StartedAt != nil {
			t.Errorf("%s waits for %q, want %q", name, run.Status.Waiting.For, want)
		}
	}
	w.finish("run-0")
	for _, name := range []string{"run-1", "run-2"} {
		if run := w.finish(name); run.Status.Failure != nil {
			t.Errorf("%s: %+v", name, run.Status.Failure)
		}
	}
}

// TestKeepExisting leaves a cluster alone that is there, and makes one that is not.
func TestKeepExisting(t *testing.T) {
	for _, exists := range []bool{true, false} {
		t.Run(fmt.Sprint(exists), func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			if exists {
				w.existing(earlier)
			}
			run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "run"}}
			run.Spec = v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: v1alpha1.OperationRebuild, KeepExisting: true}
			w.must(w.store.Store.Create(t.Context(), run))
			run = w.finish("run")
			if f := run.Status.Failure; exists != (f != nil && f.Reason == "ClusterExists") {
				t.Errorf("failure %+v", f)
			}
			if len(w.deletes) != 0 || len(w.clusters()) != 1 {
				t.Errorf("%d deletions, clusters %v", len(w.deletes), w.clusters())
			}
		})
	}
}
