package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

const (
	namespace = "fleet"
	name      = "one"
	version   = "v1.36.3"
	port      = 20001
)

var (
	key   = types.NamespacedName{Namespace: namespace, Name: name}
	now   = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	alive = fleet.Observation{Phase: fleet.Running, Served: true, Nodes: workload.NodeCount{Desired: 3, Ready: 3}}
)

// fakePlanes records what was asked of the machine, and what the client wrote, in
// one sequence, so that tests can check what came first.
type fakePlanes struct {
	events *[]string
	seen   fleet.Observation
	want   *fleet.Want
	pool   *workload.Pool
	// machine is the last one that a node was asked for.
	machine *workload.Machine

	reserveErr, ensureErr, purgeErr, nodeErr error
}

func (f *fakePlanes) Reserve(_ context.Context, _ types.NamespacedName, wanted int) (controlplane.Endpoint, error) {
	if wanted == 0 {
		wanted = port
	}
	return controlplane.Endpoint{Host: "127.0.0.1", Port: wanted}, f.reserveErr
}

func (f *fakePlanes) Ensure(_ types.NamespacedName, want fleet.Want) error {
	*f.events = append(*f.events, "ensure")
	f.want = &want
	return f.ensureErr
}

func (f *fakePlanes) Observe(types.NamespacedName) fleet.Observation { return f.seen }

func (f *fakePlanes) SetNodes(_ types.NamespacedName, pool workload.Pool) { f.pool = &pool }

func (f *fakePlanes) EnsureNode(_ context.Context, _ types.NamespacedName, machine workload.Machine) error {
	*f.events = append(*f.events, "ensure")
	f.machine = &machine
	return f.nodeErr
}

func (f *fakePlanes) RemoveNode(_ context.Context, _ types.NamespacedName, machine workload.Machine) error {
	*f.events = append(*f.events, "remove node "+machine.Name)
	return f.nodeErr
}

func (f *fakePlanes) Purge(context.Context, types.NamespacedName) error {
	*f.events = append(*f.events, "purge")
	return f.purgeErr
}

func (f *fakePlanes) Listen(func(types.NamespacedName)) {}

// bench holds one management cluster and both reconcilers.
type bench struct {
	t             *testing.T
	client        client.Client
	planes        *fakePlanes
	clock         *testingclock.FakePassiveClock
	clusters      *clusterReconciler
	controlPlanes *controlPlaneReconciler
	machines      *machineReconciler
	events        []string
}

func newBench(t *testing.T, objects ...client.Object) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, clock: testingclock.NewFakePassiveClock(now)}
	b.client = interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&infrav1.LocalCluster{}, &infrav1.LocalMachine{}, &controlplanev1.LocalControlPlane{}).Build(), b.recorder())
	b.planes = &fakePlanes{events: &b.events, seen: fleet.Observation{Phase: fleet.Absent}}
	b.clusters = &clusterReconciler{client: b.client, direct: b.client, planes: b.planes}
	b.machines = &machineReconciler{client: b.client, planes: b.planes}
	b.controlPlanes = &controlPlaneReconciler{
		client: b.client, secrets: b.client, planes: b.planes, clock: b.clock, version: version,
	}
	return b
}

func (b *bench) record(verb string, o client.Object) {
	b.events = append(b.events, fmt.Sprintf("%s %T %s", verb, o, o.GetName()))
}

func (b *bench) recorder() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			b.record("create", o)
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			b.record("update", o)
			return c.Update(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			b.record("delete", o)
			return c.Delete(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			b.record("patch", o)
			return c.Patch(ctx, o, p, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			b.record("patch "+sub+" of", o)
			return c.Status().Patch(ctx, o, p, opts...)
		},
	}
}

// settle reconciles one object until a reconcile changes nothing more.
func (b *bench) settle(r reconcile.Reconciler) reconcile.Result {
	b.t.Helper()
	for range 10 {
		before := len(b.events)
		result, err := r.Reconcile(b.t.Context(), reconcile.Request{NamespacedName: key})
		if err != nil {
			b.t.Fatalf("reconcile: %v", err)
		}
		if writes := slices.DeleteFunc(slices.Clone(b.events[before:]), func(e string) bool { return e == "ensure" }); len(writes) == 0 {
			return result
		}
	}
	b.t.Fatalf("it does not settle: %q", b.events)
	return reconcile.Result{}
}

func (b *bench) fails(r reconcile.Reconciler) error {
	b.t.Helper()
	_, err := r.Reconcile(b.t.Context(), reconcile.Request{NamespacedName: key})
	if err == nil {
		b.t.Fatal("reconcile succeeded, want an error")
	}
	return err
}

func (b *bench) localCluster() *infrav1.LocalCluster {
	b.t.Helper()
	o := &infrav1.LocalCluster{}
	b.get(o)
	return o
}

func (b *bench) controlPlane() *controlplanev1.LocalControlPlane {
	b.t.Helper()
	o := &controlplanev1.LocalControlPlane{}
	b.get(o)
	return o
}

func (b *bench) get(o client.Object) {
	b.t.Helper()
	if err := b.client.Get(b.t.Context(), key, o); err != nil {
		b.t.Fatal(err)
	}
}

// exists tells whether an object with the name of the cluster is still there.
func (b *bench) exists(o client.Object) bool {
	b.t.Helper()
	err := b.client.Get(b.t.Context(), key, o)
	if client.IgnoreNotFound(err) != nil {
		b.t.Fatal(err)
	}
	return err == nil
}

func cluster() *clusterv1.Cluster {
	return &clusterv1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "cluster-uid"},
		Spec: clusterv1.ClusterSpec{
			InfrastructureRef: clusterv1.ContractVersionedObjectReference{
				APIGroup: localClusterKind.Group, Kind: localClusterKind.Kind, Name: name,
			},
			ControlPlaneRef: clusterv1.ContractVersionedObjectReference{
				APIGroup: localControlPlaneKind.Group, Kind: localControlPlaneKind.Kind, Name: name,
			},
		},
	}
}

func meta(uid types.UID) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: uid, Generation: 1,
		Labels: map[string]string{clusterv1.ClusterNameLabel: name},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: clusterv1.GroupVersion.String(), Kind: clusterv1.ClusterKind, Name: name, UID: "cluster-uid",
		}},
	}
}

func localCluster() *infrav1.LocalCluster {
	return &infrav1.LocalCluster{ObjectMeta: meta("infra-uid")}
}

// placedCluster is a LocalCluster that already has its address.
func placedCluster() *infrav1.LocalCluster {
	local := localCluster()
	local.Spec.ControlPlaneEndpoint = infrav1.APIEndpoint{Host: "127.0.0.1", Port: port}
	return local
}

func localControlPlane() *controlplanev1.LocalControlPlane {
	return &controlplanev1.LocalControlPlane{
		ObjectMeta: meta("plane-uid"),
		Spec:       controlplanev1.LocalControlPlaneSpec{Version: version},
	}
}

var errBroken = errors.New("broken")
