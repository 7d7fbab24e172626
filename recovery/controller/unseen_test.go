package controller

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
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

// TestWhatIsNotThereIsNotTheRun: a kind that the API server does not serve is no reason to
// forget a run.
func TestWhatIsNotThereIsNotTheRun(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.order("run", v1alpha1.OperationTeardown)
	funcs := w.faults()
	funcs.List = func(ctx context.Context, c client.WithWatch, o client.ObjectList, opts ...client.ListOption) error {
		if _, ok := o.(*v1alpha1.SafetyRuleList); ok {
			return apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "safetyrules"}, "")
		}
		return c.List(ctx, o, opts...)
	}
	w.r.Reader = interceptor.NewClient(w.store.Store, funcs)
	w.until("run", "the trouble to be told", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "safetyrules")
	})
}

// TestWorkOfARunThatIsGone ends when somebody takes its finalizer away.
func TestWorkOfARunThatIsGone(t *testing.T) {
	w := newWorld(t)
	ended := make(chan struct{})
	other := workKey{run: "other", what: "waves"}
	work := newWorkers(w.clock, func(do func()) { go do() }, func(client.ObjectKey) {})
	until := func(ctx context.Context, _ func(advance)) (any, error) {
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}
	work.begin(workKey{run: "uid", what: "waves"}, client.ObjectKey{Namespace: namespace, Name: "gone"}, until)
	work.put(materialsKey("uid"), &materials{})
	work.put(other, &materials{})
	w.r.work = work
	w.must(w.reconcile("gone"))
	<-ended
	if len(work.jobs) != 1 || work.jobs[other] == nil {
		t.Errorf("%d jobs are left", len(work.jobs))
	}
}

// TestLiveClusterThatMissesOneAnswer is asked again before a drill's cluster counts as
// another one.
func TestLiveClusterThatMissesOneAnswer(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	inc := w.existing(earlier)
	w.store.Workload(inc.UID).Stop()
	run := &v1alpha1.RecoveryRun{}
	run.Namespace, run.Name, run.UID = namespace, "drill", "drill"
	run.Status.Target = &v1alpha1.Incarnation{Name: "dev-drill"}
	run.Status.Pinned = &v1alpha1.PinnedInputs{Plan: v1alpha1.RecoveryPlanSpec{Cluster: v1alpha1.ClusterTemplate{Name: "dev"}}}
	if err := w.r.notAnother(t.Context(), run, "system"); err == nil {
		t.Error("one missed answer is enough")
	}
	w.clock.Step(recovery.SilentPatience)
	if err := w.r.notAnother(t.Context(), run, "system"); err != nil {
		t.Errorf("a dead cluster keeps drills from being made: %v", err)
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
