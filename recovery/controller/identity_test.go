package controller

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
)

// TestDrillNeverTakesAnotherClusterForItsOwn lets the throw-away cluster's kubeconfig
// lead to some other cluster.
func TestDrillNeverTakesAnotherClusterForItsOwn(t *testing.T) {
	for name, test := range map[string]struct {
		pretend func(w *world, live capi.Incarnation, drill *fake.Workload)
		reason  string
	}{
		"the live one": {func(_ *world, live capi.Incarnation, drill *fake.Workload) {
			drill.SetIdentity("kube-system-of-" + live.UID)
		}, "IdentityChanged"},
		"an older one": {func(w *world, _ capi.Incarnation, drill *fake.Workload) {
			drill.SetCreated(w.clock.Now().Add(-time.Hour))
		}, "OlderCluster"},
		"the one of another run": {func(w *world, _ capi.Incarnation, drill *fake.Workload) {
			w.order("other", v1alpha1.OperationDrill)
			other := w.run("other")
			other.Status.Target = &v1alpha1.Incarnation{Name: "x", KubeSystemUID: "of-other"}
			w.must(w.store.Store.Status().Update(w.t.Context(), other))
			drill.SetIdentity("of-other")
		}, "IdentityChanged"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			live := w.existing(earlier)
			w.order("run", v1alpha1.OperationDrill)
			for range 20 {
				_ = w.reconcile("run") // stops to wait for the cluster
				if target := w.run("run").Status.Target; target != nil && target.UID != "" {
					break
				}
			}
			w.must(w.store.Settle(t.Context()))
			test.pretend(w, live, w.store.Workload(w.run("run").Status.Target.UID))
			run := w.finish("run")
			if f := run.Status.Failure; f == nil || f.Reason != test.reason {
				t.Errorf("failure %+v, want %s", f, test.reason)
			}
			if len(w.engine.wrote) != 0 {
				t.Errorf("wrote %v", w.engine.wrote)
			}
			if got := w.clusters(); len(got) != 1 || got[0] != "dev" {
				t.Errorf("clusters %v", got)
			}
		})
	}
}

func TestDrillMustNotHoldTheLiveAddress(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	inc := w.existing(earlier)
	live := &clusterv1.Cluster{}
	key := types.NamespacedName{Namespace: inc.Namespace, Name: inc.Name}
	w.must(w.store.Store.Get(t.Context(), key, live))
	live.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "api.example.com", Port: 6443}
	w.must(w.store.Store.Update(t.Context(), live))
	w.engine.sources = func(name string) []capi.Source {
		sources := fake.Sources(name)
		sources[1].Object.Object["spec"] = map[string]any{"script": "curl https://api.example.com:6443"}
		return sources
	}
	w.order("run", v1alpha1.OperationDrill)
	run := w.finish("run")
	if f := run.Status.Failure; f == nil || f.Reason != "BadClusterManifests" || f.Phase != v1alpha1.PhasePreflight {
		t.Errorf("failure %+v", f)
	}
}

func TestRebuildRecordsTheIdentityBefore(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	live := w.existing(earlier)
	w.order("run", v1alpha1.OperationRebuild)
	run := w.finish("run")
	if got := run.Status.Previous.KubeSystemUID; got != "kube-system-of-"+live.UID {
		t.Errorf("recorded %q", got)
	}
}
