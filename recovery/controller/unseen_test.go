package controller

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// blind makes lists of Secrets fail: that is how a broken conversion webhook or a missing
// right shows.
func (w *world) blind(on bool) {
	funcs := w.faults()
	list := funcs.List
	funcs.List = func(ctx context.Context, c client.WithWatch, o client.ObjectList, opts ...client.ListOption) error {
		if on && strings.HasSuffix(o.GetObjectKind().GroupVersionKind().Kind, "SecretList") || on && o.GetObjectKind().GroupVersionKind().Kind == "Secret" {
			return errors.New("conversion webhook failed")
		}
		return list(ctx, c, o, opts...)
	}
	c := interceptor.NewClient(w.store.Store, funcs)
	w.r.Client, w.r.Reader, w.r.Clusters = c, c, w.store.Clusters(c)
}

// TestWhatCannotBeReadHasALimit has a teardown that cannot see what is left.
func TestWhatCannotBeReadHasALimit(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(capi.Stamp{Run: "earlier", Epoch: 1})
	w.order("run", v1alpha1.OperationTeardown)
	w.until("run", "the deletion", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Previous != nil && run.Status.Previous.DeleteRequestedAt != nil
	})
	w.blind(true)
	w.until("run", "the trouble to be told", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "conversion webhook failed")
	})
	w.clock.Step(time.Hour)
	if f := w.finish("run").Status.Failure; f == nil || f.Reason != "TimedOut" || !strings.Contains(f.Message, "conversion webhook failed") {
		t.Errorf("failure %+v", f)
	}
}

// TestUnseenDrillIsNotForgotten has the same in a Cleanup: it is late, and goes on.
func TestUnseenDrillIsNotForgotten(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("run", v1alpha1.OperationDrill)
	w.until("run", "the cleanup", inPhase(v1alpha1.PhaseCleanup))
	w.blind(true)
	w.step("run")
	w.clock.Step(time.Hour)
	w.step("run")
	w.blind(false)
	run := w.finish("run")
	if left := w.clusters(); len(left) > 0 {
		t.Errorf("left behind: %v; failure %+v", left, run.Status.Failure)
	}
}
