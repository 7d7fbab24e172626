package controller

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/drain"
)

// asking is a Service that asks for an address.
func asking(address string) manifests.Object {
	return manifests.Object{
		Unstructured: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"namespace": "shop", "name": "web"},
			"spec": map[string]any{"type": "LoadBalancer", "loadBalancerIP": address},
		}},
		Origin: manifests.Origin{File: "state/web.yaml", Line: 3},
	}
}

// leaving is a world in which a teardown left an address behind that the state asks for.
func leaving(t *testing.T) *world {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.engine.state = []manifests.Object{asking("192.0.2.1")}
	lb := []drain.Entry{{Kind: drain.LoadBalancer, ID: "192.0.2.1", Object: "Service shop/web"}}
	w.drains.survey.Ledger, w.drains.out = lb, drain.Outcome{Left: lb, Waiting: "Service shop/web"}
	w.order("down", v1alpha1.OperationTeardown)
	if f := w.finish("down").Status.Failure; f != nil {
		t.Fatalf("the teardown failed: %+v", f)
	}
	w.drains.survey.Ledger, w.drains.out = nil, drain.Outcome{Complete: true}
	return w
}

func (w *world) settle(until time.Time) {
	w.t.Helper()
	plan := &v1alpha1.RecoveryPlan{}
	w.must(w.store.Store.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "plan"}, plan))
	plan.Spec.Teardown.Drain.Settled = []v1alpha1.SettledLeftover{{ID: "192.0.2.1", Reason: "released by hand", Until: metav1.NewTime(until)}}
	w.must(w.store.Store.Update(w.t.Context(), plan))
}

func TestLeftoverCollides(t *testing.T) {
	for name, test := range map[string]struct {
		change    func(*world)
		operation v1alpha1.Operation
		collides  bool
	}{
		"rebuild":              {operation: v1alpha1.OperationRebuild, collides: true},
		"drill":                {operation: v1alpha1.OperationDrill, collides: true},
		"teardown":             {operation: v1alpha1.OperationTeardown},
		"another address":      {change: func(w *world) { w.engine.state = []manifests.Object{asking("192.0.2.2")} }, operation: v1alpha1.OperationRebuild},
		"settled":              {change: func(w *world) { w.settle(w.clock.Now().Add(time.Hour)) }, operation: v1alpha1.OperationRebuild},
		"settled, but no more": {change: func(w *world) { w.settle(w.clock.Now()) }, operation: v1alpha1.OperationRebuild, collides: true},
		"refused once before":  {change: func(w *world) { w.order("first", v1alpha1.OperationRebuild); w.finish("first") }, operation: v1alpha1.OperationRebuild, collides: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := leaving(t)
			if test.change != nil {
				test.change(w)
			}
			w.order("run", test.operation)
			f := w.finish("run").Status.Failure
			if !test.collides && f != nil || test.collides && (f == nil || f.Reason != "LeftoverCollides" || f.Phase != v1alpha1.PhasePreflight) {
				t.Fatalf("failure %+v, want a collision: %t", f, test.collides)
			}
			if test.collides && !strings.Contains(f.Message, "LoadBalancer 192.0.2.1, which Service shop/web of Cluster dev held and run down left behind at ") {
				t.Errorf("it says %q", f.Message)
			}
			if test.collides && !strings.Contains(f.Message, "is what Service shop/web (state/web.yaml:3) asks for in spec.loadBalancerIP; nothing was deleted: give it back by hand") {
				t.Errorf("it says %q", f.Message)
			}
		})
	}
}

// TestVerifiedAfterALeftover shows that it was not in the way.
func TestVerifiedAfterALeftover(t *testing.T) {
	w := leaving(t)
	w.settle(w.clock.Now().Add(time.Hour))
	w.order("up", v1alpha1.OperationRebuild)
	if f := w.finish("up").Status.Failure; f != nil {
		t.Fatalf("%+v", f)
	}
	w.settle(w.clock.Now().Add(-time.Hour))
	w.order("again", v1alpha1.OperationRebuild)
	if f := w.finish("again").Status.Failure; f != nil {
		t.Errorf("%+v", f)
	}
}

// TestRetryDespiteALeftover goes on with a cluster that may hold the address by now.
func TestRetryDespiteALeftover(t *testing.T) {
	w := leaving(t)
	w.settle(w.clock.Now().Add(time.Hour))
	w.engine.applyErr = recovery.Faultf("NotApplied", "Service shop/web failed")
	w.order("first", v1alpha1.OperationRebuild)
	w.finish("first")
	w.engine.applyErr = nil
	w.settle(w.clock.Now().Add(-time.Hour))
	w.retry("second", "first")
	if f := w.finish("second").Status.Failure; f != nil {
		t.Errorf("%+v", f)
	}
}
