package controller_test

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// looking waits until the controller was called because a look is over.
func (w *world) looking() {
	w.t.Helper()
	select {
	case <-w.called:
	case <-w.t.Context().Done():
		w.t.Fatal("nobody called")
	case <-time.After(30 * time.Second):
		w.t.Fatal("nobody called for 30 s")
	}
}

func inUse(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.InUse = &v1alpha1.InUsePolicy{Jobs: true} }

// TestInUse postpones for as long as somebody works, and not for longer than the bound.
func TestInUse(t *testing.T) {
	w := newWorld(t)
	w.use = func(_ context.Context, plan *v1alpha1.RecoveryPlan, policy v1alpha1.InUsePolicy) (string, error) {
		if plan.Name != "dev" || !policy.Jobs {
			t.Errorf("asked for %s, %+v", plan.Name, policy)
		}
		return "Job ci/build has run for 12m", nil
	}
	s := w.office(inUse)
	for _, at := range []string{"20:00", "20:15", "20:30", "20:45", "21:00", "21:15", "21:30"} {
		w.at(at, s)
		w.runs(0)
		w.looking()
		w.must(w.reconcile(s))
		w.postponed(s, w.clock.Now().Add(15*time.Minute).Format("15:04"), "in use: Job ci/build has run for 12m")
		w.runs(0)
	}
	w.use = func(context.Context, *v1alpha1.RecoveryPlan, v1alpha1.InUsePolicy) (string, error) { return "", nil }
	w.at("21:45", s)
	w.looking()
	w.must(w.reconcile(s))
	w.runs(1)
	w.tells("")
}

func TestInUseForTooLong(t *testing.T) {
	w := newWorld(t)
	w.use = func(context.Context, *v1alpha1.RecoveryPlan, v1alpha1.InUsePolicy) (string, error) {
		return "Lease ci/x", nil
	}
	s := w.office(func(s *v1alpha1.RecoveryScheduleSpec) {
		inUse(s)
		s.Teardown.InUse.AtMost = &metav1.Duration{Duration: 20 * time.Minute}
	})
	w.at("20:00", s)
	w.looking()
	w.at("20:00", s)
	w.postponed(s, "20:15", "Lease ci/x")
	w.at("20:15", s)
	w.looking()
	w.at("20:15", s)
	w.postponed(s, "20:20", "Lease ci/x")
	w.at("20:20", s)
	w.runs(1)
}

// TestUseUnknown: a cluster that gives no answer is not in use, and one that hangs holds up
// nobody else.
func TestUseUnknown(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.use = func(_ context.Context, plan *v1alpha1.RecoveryPlan, _ v1alpha1.InUsePolicy) (string, error) {
		if plan.Name == "hangs" {
			<-release
		}
		return "", errors.New("it does not answer")
	}
	w.plan("dev", nil)
	w.plan("hangs", nil)
	s := w.schedule("all", func(s *v1alpha1.RecoveryScheduleSpec) {
		inUse(s)
		s.PlanRef, s.PlanSelector = nil, &metav1.LabelSelector{}
	})
	w.at("12:00", s)
	w.told()
	w.at("20:00", s)
	w.looking()
	w.must(w.reconcile(s))
	if run := w.runs(1)[0]; run.Spec.PlanRef.Name != "dev" {
		t.Errorf("run of %s", run.Spec.PlanRef.Name)
	}
	w.tells("dev Warning UseUnknown: nobody could find out whether the cluster is in use; it counts as not in use: it does not answer")
	close(release)
	w.looking()
	w.must(w.reconcile(s))
	w.runs(2)
}
