package controllers

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/refloat-dev/refloat/providers/local/api"
	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
)

func requestFor() reconcile.Request { return reconcile.Request{NamespacedName: key} }

func initializedControlPlane() *controlplanev1.LocalControlPlane {
	p := localControlPlane()
	p.Status.Initialization.ControlPlaneInitialized = ptr.To(true)
	return p
}

func TestClusterDoesNothing(t *testing.T) {
	tests := map[string]struct {
		change func(*clusterv1.Cluster, *infrav1.LocalCluster)
		writes bool // of the Paused condition and what comes before
	}{
		"without an owner": {
			change: func(_ *clusterv1.Cluster, l *infrav1.LocalCluster) { l.OwnerReferences = nil },
		},
		"managed by another system": {
			change: func(_ *clusterv1.Cluster, l *infrav1.LocalCluster) {
				l.Annotations = map[string]string{clusterv1.ManagedByAnnotation: "terraform"}
			},
		},
		"while the Cluster is paused": {
			change: func(c *clusterv1.Cluster, _ *infrav1.LocalCluster) { c.Spec.Paused = ptr.To(true) },
			writes: true,
		},
		"while paused and being deleted": {
			change: func(_ *clusterv1.Cluster, l *infrav1.LocalCluster) {
				l.Annotations = map[string]string{clusterv1.PausedAnnotation: ""}
				l.Finalizers = []string{infrav1.ClusterFinalizer}
				l.DeletionTimestamp = &metav1.Time{Time: now}
			},
			writes: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, l := cluster(), localCluster()
			test.change(c, l)
			b := newBench(t, c, l, initializedControlPlane())
			b.planes.seen = alive
			b.settle(b.clusters)
			got := b.localCluster()
			if !got.Spec.ControlPlaneEndpoint.IsZero() || got.Status.Initialization.Provisioned != nil || b.planes.pool != nil {
				t.Errorf("acted on it: %+v", got)
			}
			if wrote := len(b.events) > 0; wrote != test.writes {
				t.Errorf("wrote %q, want writes: %v", b.events, test.writes)
			}
			if slices.Contains(b.events, "purge") {
				t.Error("purged")
			}
		})
	}
}

func TestClusterIsProvisioned(t *testing.T) {
	l := localCluster()
	l.Spec.FailureDomains = []string{"a", "b"}
	b := newBench(t, cluster(), l, localControlPlane())
	b.settle(b.clusters)
	got := b.localCluster()
	if got.Spec.ControlPlaneEndpoint != (infrav1.APIEndpoint{Host: "127.0.0.1", Port: port}) {
		t.Fatalf("endpoint %+v", got.Spec.ControlPlaneEndpoint)
	}
	if got.Status.Initialization.Provisioned != nil {
		t.Fatal("provisioned before the control plane answered")
	}
	if !slices.Contains(got.Finalizers, infrav1.ClusterFinalizer) || got.Labels[api.SimulatedLabel] != api.SimulatedValue {
		t.Errorf("finalizers %v, labels %v", got.Finalizers, got.Labels)
	}
	if diff := cmp.Diff([]clusterv1.FailureDomain{{Name: "a"}, {Name: "b"}}, got.Status.FailureDomains); diff != "" {
		t.Errorf("failure domains (-want +got):\n%s", diff)
	}

	p := b.controlPlane()
	p.Status.Initialization.ControlPlaneInitialized = ptr.To(true)
	if err := b.client.Status().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	b.planes.seen = alive
	b.planes.seen.Nodes.Ready = 2
	b.settle(b.clusters)
	got = b.localCluster()
	if !ptr.Deref(got.Status.Initialization.Provisioned, false) {
		t.Error("not provisioned")
	}
	if reason := conditions.GetReason(got, infrav1.ReadyCondition); reason != infrav1.WaitingForNodesReason {
		t.Errorf("reason with two of three nodes is %q", reason)
	}
	b.planes.seen = alive
	b.settle(b.clusters)
	got = b.localCluster()
	if !conditions.IsTrue(got, infrav1.ReadyCondition) || *got.Status.Nodes != (infrav1.NodesStatus{Desired: 3, Ready: 3}) {
		t.Errorf("condition %v, nodes %+v", conditions.Get(got, infrav1.ReadyCondition), got.Status.Nodes)
	}
	if got.Status.ObservedGeneration != got.Generation {
		t.Errorf("observed generation %d of %d", got.Status.ObservedGeneration, got.Generation)
	}
	if want := (workload.Pool{Cluster: "fleet/one", Count: 3, Zones: []string{"a", "b"}}); cmp.Diff(want, *b.planes.pool) != "" {
		t.Errorf("pool (-want +got):\n%s", cmp.Diff(want, *b.planes.pool))
	}
}

func TestClusterWithForeignControlPlane(t *testing.T) {
	c := cluster()
	c.Spec.ControlPlaneRef.Kind = "KubeadmControlPlane"
	b := newBench(t, c, localCluster())
	b.settle(b.clusters)
	got := b.localCluster()
	if !ptr.Deref(got.Status.Initialization.Provisioned, false) || !conditions.IsTrue(got, infrav1.ReadyCondition) {
		t.Errorf("status %+v, want provisioned and ready", got.Status)
	}
}

func TestClusterKeepsGivenEndpoint(t *testing.T) {
	l := localCluster()
	l.Spec.ControlPlaneEndpoint = infrav1.APIEndpoint{Host: "127.0.0.1", Port: 20777}
	b := newBench(t, cluster(), l, initializedControlPlane())
	b.planes.seen = alive
	b.settle(b.clusters)
	if got := b.localCluster().Spec.ControlPlaneEndpoint.Port; got != 20777 {
		t.Errorf("port %d", got)
	}
	b.planes.reserveErr = errBroken
	if err := b.fails(b.clusters); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
	if got := conditions.GetReason(b.localCluster(), infrav1.ReadyCondition); got != infrav1.EndpointFailedReason {
		t.Errorf("reason %q", got)
	}
}

func TestClusterStatusIsDerivedAgain(t *testing.T) {
	b := newBench(t, cluster(), placedCluster(), initializedControlPlane())
	b.planes.seen = alive
	b.settle(b.clusters)
	want := b.localCluster().Status
	wiped := b.localCluster()
	wiped.Status = infrav1.LocalClusterStatus{}
	if err := b.client.Status().Update(t.Context(), wiped); err != nil {
		t.Fatal(err)
	}
	b.settle(b.clusters)
	ignoreTimes := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".LastTransitionTime" }, cmp.Ignore())
	if diff := cmp.Diff(want, b.localCluster().Status, ignoreTimes); diff != "" {
		t.Errorf("status (-before +after):\n%s", diff)
	}
}

func TestClusterDeletion(t *testing.T) {
	deleted := func() *infrav1.LocalCluster {
		l := placedCluster()
		l.Finalizers = []string{infrav1.ClusterFinalizer}
		l.DeletionTimestamp = &metav1.Time{Time: now}
		return l
	}
	t.Run("after its control plane", func(t *testing.T) {
		b := newBench(t, cluster(), deleted())
		b.planes.purgeErr = errBroken
		for range 2 { // the first call sets Paused
			_, _ = b.clusters.Reconcile(t.Context(), requestFor())
		}
		if !b.exists(&infrav1.LocalCluster{}) {
			t.Fatal("gave up its finalizer before the port was given back")
		}
		b.planes.purgeErr = nil
		b.settle(b.clusters)
		if b.exists(&infrav1.LocalCluster{}) {
			t.Error("still there")
		}
		b.settle(b.clusters)
	})
	t.Run("alone, while its control plane runs", func(t *testing.T) {
		b := newBench(t, cluster(), deleted(), initializedControlPlane())
		b.settle(b.clusters)
		if b.exists(&infrav1.LocalCluster{}) || slices.Contains(b.events, "purge") {
			t.Errorf("events %q, want it gone and the plane untouched", b.events)
		}
	})
	t.Run("soon, after its control plane", func(t *testing.T) {
		c := cluster()
		c.Finalizers = []string{clusterv1.ClusterFinalizer}
		c.DeletionTimestamp = &metav1.Time{Time: now}
		b := newBench(t, c, placedCluster())
		b.planes.reserveErr = errBroken // the port was given back, and is not to be taken again
		b.settle(b.clusters)
	})
	t.Run("without the Cluster", func(t *testing.T) {
		b := newBench(t, deleted())
		b.settle(b.clusters)
		if b.exists(&infrav1.LocalCluster{}) || !slices.Contains(b.events, "purge") {
			t.Errorf("events %q, want it gone", b.events)
		}
	})
}
