package controllers

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"

	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
)

func provisionedCluster() *clusterv1.Cluster {
	c := cluster()
	c.Status.Initialization.InfrastructureProvisioned = ptr.To(true)
	c.Status.FailureDomains = []clusterv1.FailureDomain{{Name: "a"}, {Name: "b"}}
	return c
}

func machine() *clusterv1.Machine {
	return &clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "machine-uid"},
		Spec: clusterv1.MachineSpec{
			ClusterName: name, FailureDomain: "b",
			Bootstrap: clusterv1.Bootstrap{DataSecretName: ptr.To("")},
		},
	}
}

func localMachine() *infrav1.LocalMachine {
	m := meta("infra-machine-uid")
	m.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: clusterv1.GroupVersion.String(), Kind: "Machine", Name: name, UID: "machine-uid",
	}}
	return &infrav1.LocalMachine{ObjectMeta: m, Spec: infrav1.LocalMachineSpec{Labels: map[string]string{"tier": "front"}}}
}

func (b *bench) localMachine() *infrav1.LocalMachine {
	b.t.Helper()
	o := &infrav1.LocalMachine{}
	b.get(o)
	return o
}

func TestMachineIsProvisioned(t *testing.T) {
	b := newBench(t, provisionedCluster(), machine(), localMachine())
	b.settle(b.machines)
	want := workload.Machine{
		Name: name, ProviderID: "local://fleet/one/one", Zone: "b", Labels: map[string]string{"tier": "front"},
	}
	if diff := cmp.Diff(&want, b.planes.machine); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
	got := b.localMachine()
	if got.Spec.ProviderID != want.ProviderID || !ptr.Deref(got.Status.Initialization.Provisioned, false) ||
		got.Status.FailureDomain != "b" || !conditions.IsTrue(got, infrav1.ReadyCondition) {
		t.Errorf("spec %+v, status %+v", got.Spec, got.Status)
	}
	if diff := cmp.Diff([]clusterv1.MachineAddress{{Type: clusterv1.MachineHostName, Address: name}}, got.Status.Addresses); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

// Every restart of the program finds planes that it has not adopted yet.
func TestMachineStaysReadyWithoutAPIServer(t *testing.T) {
	b := newBench(t, provisionedCluster(), machine(), localMachine())
	b.settle(b.machines)
	b.planes.nodeErr = fleet.ErrNotServing
	b.settle(b.machines)
	if got := b.localMachine(); !conditions.IsTrue(got, infrav1.ReadyCondition) {
		t.Errorf("condition %v", conditions.Get(got, infrav1.ReadyCondition))
	}
}

func TestMachineWaits(t *testing.T) {
	tests := map[string]struct {
		change func(*clusterv1.Cluster, *clusterv1.Machine, *infrav1.LocalMachine)
		err    error
		reason string
	}{
		"for an owner": {
			change: func(_ *clusterv1.Cluster, _ *clusterv1.Machine, l *infrav1.LocalMachine) { l.OwnerReferences = nil },
		},
		"while paused": {
			change: func(c *clusterv1.Cluster, _ *clusterv1.Machine, _ *infrav1.LocalMachine) {
				c.Spec.Paused = ptr.To(true)
			},
		},
		"for the infrastructure": {
			change: func(c *clusterv1.Cluster, _ *clusterv1.Machine, _ *infrav1.LocalMachine) {
				c.Status.Initialization.InfrastructureProvisioned = nil
			},
			reason: infrav1.WaitingForInfrastructureReason,
		},
		"for bootstrap data": {
			change: func(_ *clusterv1.Cluster, m *clusterv1.Machine, _ *infrav1.LocalMachine) {
				m.Spec.Bootstrap.DataSecretName = nil
			},
			reason: infrav1.WaitingForBootstrapDataReason,
		},
		"for a control plane of ours": {
			change: func(c *clusterv1.Cluster, _ *clusterv1.Machine, _ *infrav1.LocalMachine) {
				c.Spec.ControlPlaneRef.Kind = "KubeadmControlPlane"
			},
			reason: infrav1.NodeFailedReason,
		},
		"for the API server": {err: fleet.ErrNotServing, reason: infrav1.WaitingForAPIServerReason},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, m, l := provisionedCluster(), machine(), localMachine()
			if test.change != nil {
				test.change(c, m, l)
			}
			b := newBench(t, c, m, l)
			b.planes.nodeErr = test.err
			b.settle(b.machines)
			got := b.localMachine()
			if got.Status.Initialization.Provisioned != nil || got.Spec.ProviderID != "" || test.err == nil && b.planes.machine != nil {
				t.Errorf("acted on it: %+v %+v", got.Spec, got.Status)
			}
			if reason := conditions.GetReason(got, infrav1.ReadyCondition); reason != test.reason {
				t.Errorf("reason %q, want %q", reason, test.reason)
			}
		})
	}
}

func TestMachineReportsFailure(t *testing.T) {
	b := newBench(t, provisionedCluster(), machine(), localMachine())
	b.planes.nodeErr = workload.ErrForeignNode
	for range 2 { // past the finalizer and the Paused condition
		_, _ = b.machines.Reconcile(t.Context(), requestFor())
	}
	_ = b.fails(b.machines)
	if got := conditions.GetReason(b.localMachine(), infrav1.ReadyCondition); got != infrav1.NodeFailedReason {
		t.Errorf("reason %q", got)
	}
}

func TestMachineZoneFollowsFromTheName(t *testing.T) {
	domains := provisionedCluster().Status.FailureDomains
	seen := map[string]bool{}
	for _, node := range []string{"m-1", "m-2", "m-3", "m-4", "m-5", "m-6"} {
		zone := zoneOf("", node, domains)
		if zone != zoneOf("", node, domains) {
			t.Errorf("zone of %s changes", node)
		}
		seen[zone] = true
	}
	if len(seen) != 2 || zoneOf("x", "m-1", domains) != "x" || zoneOf("", "m-1", nil) != "" {
		t.Errorf("zones %v", seen)
	}
}

func TestMachineDeletion(t *testing.T) {
	tests := map[string]struct {
		change func(*clusterv1.Cluster, *infrav1.LocalMachine)
		err    error
		asked  bool // for the node to be removed
		stays  bool
	}{
		"removes the node":              {asked: true},
		"waits for a dead API server":   {err: fleet.ErrNotServing, asked: true, stays: true},
		"needs no API server that goes": {err: fleet.ErrNotServing, change: deletedCluster},
		"without a node": {change: func(_ *clusterv1.Cluster, l *infrav1.LocalMachine) {
			l.Spec.ProviderID = ""
		}},
		"while paused": {stays: true, change: func(c *clusterv1.Cluster, _ *infrav1.LocalMachine) {
			c.Spec.Paused = ptr.To(true)
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, l := provisionedCluster(), localMachine()
			l.Spec.ProviderID = "local://fleet/one/one"
			l.Finalizers = []string{infrav1.MachineFinalizer}
			l.DeletionTimestamp = &metav1.Time{Time: now}
			if test.change != nil {
				test.change(c, l)
			}
			b := newBench(t, c, l) // the Machine may be gone
			b.planes.nodeErr = test.err
			for range 3 {
				if _, err := b.machines.Reconcile(t.Context(), requestFor()); err != nil {
					t.Fatal(err)
				}
			}
			if stays := b.exists(&infrav1.LocalMachine{}); stays != test.stays {
				t.Errorf("still there: %v, want %v", stays, test.stays)
			}
			if asked := slices.Contains(b.events, "remove node one"); asked != test.asked {
				t.Errorf("asked for the node to be removed: %v, want %v", asked, test.asked)
			}
		})
	}
}

func deletedCluster(c *clusterv1.Cluster, _ *infrav1.LocalMachine) {
	c.Finalizers = []string{clusterv1.ClusterFinalizer}
	c.DeletionTimestamp = &metav1.Time{Time: now}
}
