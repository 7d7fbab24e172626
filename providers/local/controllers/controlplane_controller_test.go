package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"

	"github.com/refloat-dev/refloat/providers/local/api"
	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
)

func TestControlPlaneDoesNothing(t *testing.T) {
	tests := map[string]struct {
		change func(*clusterv1.Cluster, *controlplanev1.LocalControlPlane)
		paused bool
	}{
		"without an owner": {
			change: func(_ *clusterv1.Cluster, p *controlplanev1.LocalControlPlane) { p.OwnerReferences = nil },
		},
		"with an owner of another kind": {
			change: func(_ *clusterv1.Cluster, p *controlplanev1.LocalControlPlane) {
				p.OwnerReferences[0].APIVersion, p.OwnerReferences[0].Kind = "apps/v1", "Deployment"
			},
		},
		"while the Cluster is paused": {
			change: func(c *clusterv1.Cluster, _ *controlplanev1.LocalControlPlane) { c.Spec.Paused = ptr.To(true) },
			paused: true,
		},
		"while it is paused itself": {
			change: func(_ *clusterv1.Cluster, p *controlplanev1.LocalControlPlane) {
				p.Annotations = map[string]string{clusterv1.PausedAnnotation: ""}
			},
			paused: true,
		},
		"while it is paused and being deleted": {
			change: func(c *clusterv1.Cluster, p *controlplanev1.LocalControlPlane) {
				c.Spec.Paused = ptr.To(true)
				p.Finalizers = []string{controlplanev1.ControlPlaneFinalizer}
				p.DeletionTimestamp = &metav1.Time{Time: now}
			},
			paused: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, p := cluster(), localControlPlane()
			test.change(c, p)
			b := newBench(t, c, p, placedCluster())
			b.planes.seen = alive
			b.settle(b.controlPlanes)
			if b.planes.want != nil || slices.Contains(b.events, "purge") {
				t.Errorf("the machine was touched: %q", b.events)
			}
			if conditions.IsTrue(b.controlPlane(), clusterv1.PausedCondition) != test.paused {
				t.Errorf("condition Paused is %v, want %v", conditions.Get(b.controlPlane(), clusterv1.PausedCondition), test.paused)
			}
			var secrets corev1.SecretList
			if err := b.client.List(t.Context(), &secrets); err != nil || len(secrets.Items) > 0 {
				t.Errorf("%d Secrets were written (%v)", len(secrets.Items), err)
			}
		})
	}
}

func TestControlPlaneComesUp(t *testing.T) {
	b := newBench(t, cluster(), localControlPlane(), localCluster())
	b.settle(b.controlPlanes)
	if got := conditions.GetReason(b.controlPlane(), controlplanev1.AvailableCondition); got != controlplanev1.WaitingForEndpointReason {
		t.Fatalf("reason without an address is %q", got)
	}
	if b.planes.want != nil {
		t.Fatal("a plane was started without an address")
	}

	b.settle(b.clusters)
	b.planes.seen = fleet.Observation{Phase: fleet.Starting}
	b.settle(b.controlPlanes)
	p := b.controlPlane()
	if got := conditions.GetReason(p, controlplanev1.AvailableCondition); got != controlplanev1.StartingReason {
		t.Errorf("reason while starting is %q", got)
	}
	if p.Status.Initialization.ControlPlaneInitialized != nil {
		t.Error("initialized before it served")
	}
	if b.planes.want == nil || b.planes.want.Port != port {
		t.Errorf("asked for %+v, want port %d", b.planes.want, port)
	}

	b.planes.seen = alive
	result := b.settle(b.controlPlanes)
	p = b.controlPlane()
	if !ptr.Deref(p.Status.Initialization.ControlPlaneInitialized, false) || !ptr.Deref(p.Status.ExternalManagedControlPlane, false) {
		t.Errorf("status %+v, want initialized and externally managed", p.Status)
	}
	if diff := cmp.Diff([]clusterv1.StatusVersion{{Version: version}}, p.Status.Versions); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	for _, kind := range []string{
		controlplanev1.AvailableCondition, controlplanev1.CertificatesAvailableCondition, controlplanev1.KubeconfigAvailableCondition,
	} {
		if !conditions.IsTrue(p, kind) {
			t.Errorf("condition %s: %v", kind, conditions.Get(p, kind))
		}
	}
	if p.Status.ObservedGeneration != p.Generation || p.Labels[api.SimulatedLabel] != api.SimulatedValue {
		t.Errorf("observed generation %d of %d, labels %v", p.Status.ObservedGeneration, p.Generation, p.Labels)
	}
	if half := 365 * 24 * time.Hour / 2; result.RequeueAfter < half-time.Hour || result.RequeueAfter > half+time.Hour {
		t.Errorf("looks at the kubeconfig again after %s, want half a year", result.RequeueAfter)
	}
}

// The kubeconfig must be there when anybody learns that the cluster is.
func TestKubeconfigBeforeInitializedAndProvisioned(t *testing.T) {
	b := newBench(t, cluster(), localControlPlane(), localCluster())
	b.planes.seen = alive
	b.settle(b.clusters)
	if b.localCluster().Status.Initialization.Provisioned != nil {
		t.Fatal("provisioned before the control plane was initialized")
	}
	b.settle(b.controlPlanes)
	b.settle(b.clusters)
	if !ptr.Deref(b.localCluster().Status.Initialization.Provisioned, false) {
		t.Fatal("not provisioned although the control plane is initialized")
	}
	kubeconfig := slices.Index(b.events, "create *v1.Secret one-kubeconfig")
	// The first status patch only sets Paused.
	var patches []int
	for i, e := range b.events {
		if strings.HasPrefix(e, "patch status of *v1alpha1.LocalControlPlane") {
			patches = append(patches, i)
		}
	}
	if kubeconfig < 0 || len(patches) < 2 || kubeconfig > patches[1] {
		t.Errorf("kubeconfig written at %d, initialized after %v: %q", kubeconfig, patches, b.events)
	}
}

func TestControlPlaneConditionFollowsReality(t *testing.T) {
	b := newBench(t, cluster(), localControlPlane(), placedCluster())
	b.planes.seen = alive
	b.settle(b.controlPlanes)
	for _, step := range []struct {
		seen   fleet.Observation
		status metav1.ConditionStatus
		reason string
	}{
		{fleet.Observation{Phase: fleet.Running, Problem: errBroken}, metav1.ConditionFalse, controlplanev1.APIServerNotReadyReason},
		{alive, metav1.ConditionTrue, controlplanev1.AvailableReason},
		// A program that started anew adopts what runs: nothing is said until it knows.
		{fleet.Observation{Phase: fleet.Starting}, metav1.ConditionTrue, controlplanev1.AvailableReason},
		{fleet.Observation{Phase: fleet.StartFailed, Problem: errBroken}, metav1.ConditionFalse, controlplanev1.StartFailedReason},
		{fleet.Observation{Phase: fleet.StartFailed, Problem: fleet.ErrDataLost}, metav1.ConditionFalse, controlplanev1.DataLostReason},
	} {
		b.planes.seen = step.seen
		b.settle(b.controlPlanes)
		p := b.controlPlane()
		c := conditions.Get(p, controlplanev1.AvailableCondition)
		if c.Status != step.status || c.Reason != step.reason {
			t.Errorf("%+v: condition %s/%s, want %s/%s", step.seen, c.Status, c.Reason, step.status, step.reason)
		}
		if !ptr.Deref(p.Status.Initialization.ControlPlaneInitialized, false) {
			t.Errorf("%+v: initialized went back", step.seen)
		}
	}
}

func TestControlPlaneStatusIsDerivedAgain(t *testing.T) {
	b := newBench(t, cluster(), localControlPlane(), placedCluster())
	b.planes.seen = alive
	b.settle(b.controlPlanes)
	want := b.controlPlane().Status
	wiped := b.controlPlane()
	wiped.Status = controlplanev1.LocalControlPlaneStatus{}
	if err := b.client.Status().Update(t.Context(), wiped); err != nil {
		t.Fatal(err)
	}
	b.events = nil
	b.settle(b.controlPlanes)
	ignoreTimes := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".LastTransitionTime" }, cmp.Ignore())
	if diff := cmp.Diff(want, b.controlPlane().Status, ignoreTimes); diff != "" {
		t.Errorf("status (-before +after):\n%s", diff)
	}
	for _, e := range b.events {
		if strings.Contains(e, "Secret") {
			t.Errorf("a Secret was written again: %s", e)
		}
	}
}

func TestControlPlaneVersion(t *testing.T) {
	tests := map[string]struct {
		version, stored string
		seen            fleet.Observation
		reason          string
	}{
		"with v":                     {"v1.36.3", "v1.36.3", alive, controlplanev1.AvailableReason},
		"without v":                  {"1.36.3", "v1.36.3", alive, controlplanev1.AvailableReason},
		"not offered":                {"1.31.0", "v1.31.0", fleet.Observation{Phase: fleet.Absent}, controlplanev1.VersionNotAvailableReason},
		"not offered, but up":        {"1.31.0", "v1.31.0", alive, controlplanev1.AvailableReason},
		"not offered, to be adopted": {"1.31.0", "v1.31.0", fleet.Observation{Phase: fleet.Starting, Served: true}, controlplanev1.StartingReason},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := localControlPlane()
			p.Spec.Version = test.version
			b := newBench(t, cluster(), p, placedCluster())
			b.planes.seen = test.seen
			b.settle(b.controlPlanes)
			got := b.controlPlane()
			if got.Spec.Version != test.stored || conditions.GetReason(got, controlplanev1.AvailableCondition) != test.reason {
				t.Errorf("version %s, condition %v; want %s, %s", got.Spec.Version,
					conditions.Get(got, controlplanev1.AvailableCondition), test.stored, test.reason)
			}
		})
	}
}

func TestControlPlaneRefusesForeignState(t *testing.T) {
	b := newBench(t, cluster(), localControlPlane(), placedCluster())
	b.planes.ensureErr = fmt.Errorf("%w: remove it", fleet.ErrForeignState)
	if result := b.settle(b.controlPlanes); result.RequeueAfter != foreignStateRecheck {
		t.Errorf("looks again after %s", result.RequeueAfter)
	}
	if got := conditions.GetReason(b.controlPlane(), controlplanev1.AvailableCondition); got != controlplanev1.ForeignStateReason {
		t.Errorf("reason %q", got)
	}
	if slices.Contains(b.events, "create *v1.Secret one-kubeconfig") {
		t.Error("a kubeconfig was made from keys that are not those of the plane")
	}
}

func TestControlPlaneDeletion(t *testing.T) {
	b := newBench(t, cluster(), localControlPlane(), placedCluster(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "one-proxy"}, // a user's own, not ours to delete
		Type:       corev1.SecretTypeTLS,
		Data:       proxyPair(t),
	})
	b.planes.seen = fleet.Observation{Phase: fleet.Running, Problem: errBroken} // a dead API server
	b.settle(b.controlPlanes)
	if err := b.client.Delete(t.Context(), b.controlPlane()); err != nil {
		t.Fatal(err)
	}

	b.planes.purgeErr = errBroken
	b.events = nil
	_ = b.fails(b.controlPlanes)
	if !b.exists(&controlplanev1.LocalControlPlane{}) || slices.Contains(b.events, "delete *v1.Secret one-ca") {
		t.Fatalf("gave up its finalizer or its keys before the processes ended: %q", b.events)
	}
	if got := conditions.GetReason(b.controlPlane(), controlplanev1.AvailableCondition); got != controlplanev1.DeletingReason {
		t.Errorf("reason while deleting is %q", got)
	}

	b.planes.purgeErr = nil
	b.events = nil
	b.settle(b.controlPlanes)
	want := []string{"purge", "delete *v1.Secret one-kubeconfig", "delete *v1.Secret one-ca", "delete *v1.Secret one-sa"}
	if len(b.events) < len(want) || !slices.Equal(b.events[:len(want)], want) {
		t.Errorf("order of events %q, want it to begin with %q", b.events, want)
	}
	if b.exists(&controlplanev1.LocalControlPlane{}) {
		t.Error("the control plane is still there")
	}
	var secrets corev1.SecretList
	if err := b.client.List(t.Context(), &secrets); err != nil || len(secrets.Items) != 1 || secrets.Items[0].Name != "one-proxy" {
		t.Errorf("Secrets left: %v (%v), want the user's own", secrets.Items, err)
	}
	b.settle(b.controlPlanes) // a late event about an object that is gone
}

// The Cluster may be gone already when somebody removed its finalizer.
func TestControlPlaneDeletionWithoutCluster(t *testing.T) {
	p := localControlPlane()
	p.OwnerReferences = nil // known by its label alone
	p.Finalizers = []string{controlplanev1.ControlPlaneFinalizer}
	p.DeletionTimestamp = &metav1.Time{Time: now}
	b := newBench(t, p)
	b.settle(b.controlPlanes)
	if b.exists(&controlplanev1.LocalControlPlane{}) || !slices.Contains(b.events, "purge") {
		t.Errorf("not deleted: %q", b.events)
	}
}
