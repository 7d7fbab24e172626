// Package fake is a management cluster in memory with a Cluster API that obeys at
// once, for tests of what drives providers/capi. Its API server keeps the promises
// that matter there: UIDs, optimistic locking, preconditions of deletions, finalizers
// and garbage collection. Nothing happens by itself: Settle plays the controllers.
package fake

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crfake "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/providers/capi"
)

// The kinds of the fake provider.
var (
	InfraClusterKind    = schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "FakeCluster"}
	MachineTemplateKind = schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "FakeMachineTemplate"}
	ControlPlaneKind    = schema.GroupVersionKind{Group: "controlplane.cluster.x-k8s.io", Version: "v1beta2", Kind: "FakeControlPlane"}
)

// SystemUID is the UID of kube-system of every fake management cluster.
const SystemUID types.UID = "management-kube-system"

// Options of a fake management cluster.
type Options struct {
	Clock clock.PassiveClock
	// Scheme to extend; a new one when nil.
	Scheme *runtime.Scheme
	// StatusOf lists further kinds with a status subresource.
	StatusOf []client.Object
}

// Management is the fake management cluster.
type Management struct {
	// Store is the API server. Wrap it with an interceptor to inject faults.
	Store client.WithWatch
	Clock clock.PassiveClock

	uids atomic.Int64

	mu        sync.Mutex
	held      map[string]string
	stuck     map[string]bool
	workloads map[types.UID]*Workload
	t         testing.TB
}

// New returns an empty management cluster whose servers stop with the test.
func New(t testing.TB, o Options) *Management {
	t.Helper()
	if o.Scheme == nil {
		o.Scheme = runtime.NewScheme()
	}
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, clusterv1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(o.Scheme); err != nil {
			t.Fatal(err)
		}
	}
	m := &Management{Clock: o.Clock, held: map[string]string{}, stuck: map[string]bool{}, workloads: map[types.UID]*Workload{}, t: t}
	mapper := meta.NewDefaultRESTMapper(nil)
	for gvk := range o.Scheme.AllKnownTypes() {
		mapper.Add(gvk, scopeOf(gvk))
	}
	builder := crfake.NewClientBuilder().WithStatusSubresource(append(o.StatusOf, &clusterv1.Cluster{})...)
	for _, gvk := range []schema.GroupVersionKind{InfraClusterKind, MachineTemplateKind, ControlPlaneKind} {
		o.Scheme.AddKnownTypeWithName(gvk, &unstructured.Unstructured{})
		o.Scheme.AddKnownTypeWithName(gvk.GroupVersion().WithKind(gvk.Kind+"List"), &unstructured.UnstructuredList{})
		mapper.Add(gvk, meta.RESTScopeNamespace)
		plural, _ := meta.UnsafeGuessKindToResource(gvk)
		builder.WithObjects(&apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural.Resource + "." + gvk.Group}})
	}
	builder.WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem, UID: SystemUID}})
	// The tracker that keeps managed fields, which nobody here reads, makes a mapper of the
	// whole scheme for every write: that was nine tenths of the time of the tests.
	builder.WithObjectTracker(clienttesting.NewObjectTracker(o.Scheme, serializer.NewCodecFactory(o.Scheme).UniversalDecoder()))
	m.Store = interceptor.NewClient(builder.WithScheme(o.Scheme).WithRESTMapper(mapper).Build(),
		interceptor.Funcs{Create: m.create, Delete: m.delete})
	return m
}

// Clusters of this management cluster, through c, which is usually a wrapped Store.
func (m *Management) Clusters(c client.Client) *capi.Clusters {
	return &capi.Clusters{Client: c, Reader: c, Destroyer: c, Clock: m.Clock, Endpoint: "https://management.invalid:6443"}
}

// create fills in what an API server does.
func (m *Management) create(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
	if obj.GetUID() == "" {
		obj.SetUID(types.UID(fmt.Sprintf("uid-%d", m.uids.Add(1))))
	}
	obj.SetCreationTimestamp(metav1.NewTime(m.Clock.Now()))
	obj.SetGeneration(1)
	return c.Create(ctx, obj, opts...)
}

// delete honours the UID precondition.
func (m *Management) delete(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
	options := (&client.DeleteOptions{}).ApplyOptions(opts)
	if options.Preconditions != nil && options.Preconditions.UID != nil {
		live, ok := obj.DeepCopyObject().(client.Object)
		if !ok {
			return fmt.Errorf("%T is no object", obj)
		}
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), live); err != nil {
			return err
		}
		if live.GetUID() != *options.Preconditions.UID {
			return apierrors.NewConflict(schema.GroupResource{}, obj.GetName(), fmt.Errorf("the UID in the precondition does not match"))
		}
	}
	return c.Delete(ctx, obj, opts...)
}

func scopeOf(gvk schema.GroupVersionKind) meta.RESTScope {
	switch gvk.Kind {
	case "Namespace", "CustomResourceDefinition", "Node":
		return meta.RESTScopeRoot
	}
	return meta.RESTScopeNamespace
}

// Sources are the manifests of one cluster of the fake provider.
func Sources(name string) []capi.Source {
	ref := func(gvk schema.GroupVersionKind) map[string]any {
		return map[string]any{"apiGroup": gvk.Group, "kind": gvk.Kind, "name": name}
	}
	object := func(gvk schema.GroupVersionKind, name string, spec map[string]any) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
		u.SetGroupVersionKind(gvk)
		u.SetName(name)
		return u
	}
	secret := &unstructured.Unstructured{Object: map[string]any{"stringData": map[string]any{"token": "a"}}}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	secret.SetName(name + "-cloud")
	return []capi.Source{
		{From: "cluster.yaml:1", Object: object(clusterv1.GroupVersion.WithKind("Cluster"), name, map[string]any{
			"infrastructureRef": ref(InfraClusterKind), "controlPlaneRef": ref(ControlPlaneKind),
		})},
		{From: "cluster.yaml:12", Object: object(InfraClusterKind, name, map[string]any{})},
		{From: "cluster.yaml:20", Object: object(ControlPlaneKind, name, map[string]any{"replicas": int64(1)})},
		{From: "cluster.yaml:28", Object: object(MachineTemplateKind, name+"-workers", map[string]any{})},
		{From: "cluster.yaml:36", Object: secret},
	}
}

// HoldProvisioning makes clusters of a name never become available, for the reason.
func (m *Management) HoldProvisioning(name, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held[name] = reason
}

// HoldDeletion makes the deletion of clusters of a name stop at their FakeCluster,
// until it is called with false.
func (m *Management) HoldDeletion(name string, hold bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stuck[name] = hold
}

// Workload returns the running workload cluster of a Cluster UID, nil when there is none.
func (m *Management) Workload(uid types.UID) *Workload {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.workloads[uid]
}
