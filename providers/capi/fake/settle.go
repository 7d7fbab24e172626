package fake

import (
	"context"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

const infraFinalizer = "fake.infrastructure.cluster.x-k8s.io"

// Settle plays Cluster API, the provider and the garbage collector until nothing
// changes any more. It uses the Store below any fault injection.
func (m *Management) Settle(ctx context.Context) error {
	clusters := &clusterv1.ClusterList{}
	if err := m.Store.List(ctx, clusters); err != nil {
		return err
	}
	for i := range clusters.Items {
		cluster := &clusters.Items[i]
		step := m.provision
		if cluster.DeletionTimestamp != nil {
			step = m.takeDown
		}
		if err := step(ctx, cluster); err != nil {
			return fmt.Errorf("settle %s: %w", cluster.Name, err)
		}
	}
	return m.collect(ctx)
}

func (m *Management) provision(ctx context.Context, cluster *clusterv1.Cluster) error {
	if controllerutil.AddFinalizer(cluster, clusterv1.ClusterFinalizer) {
		if err := m.Store.Update(ctx, cluster); err != nil {
			return err
		}
	}
	m.mu.Lock()
	reason := m.held[cluster.Name]
	workload := m.workloads[cluster.UID]
	m.mu.Unlock()
	condition := metav1.Condition{Type: clusterv1.ClusterAvailableCondition, Status: metav1.ConditionTrue, Reason: "Available", ObservedGeneration: cluster.Generation}
	if reason != "" {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, "NotAvailable", reason
	} else {
		if workload == nil {
			workload = newWorkload(types.UID("kube-system-of-"+string(cluster.UID)), m.Clock.Now())
			m.t.Cleanup(workload.server.Close)
			m.mu.Lock()
			m.workloads[cluster.UID] = workload
			m.mu.Unlock()
		}
		if err := m.provider(ctx, cluster, workload); err != nil {
			return err
		}
	}
	changed := meta.SetStatusCondition(&cluster.Status.Conditions, condition)
	if reason == "" && cluster.Status.Initialization.ControlPlaneInitialized == nil {
		cluster.Status.Initialization = clusterv1.ClusterInitializationStatus{InfrastructureProvisioned: ptr.To(true), ControlPlaneInitialized: ptr.To(true)}
		changed = true
	}
	if !changed {
		return nil
	}
	return m.Store.Status().Update(ctx, cluster)
}

// provider writes what an infrastructure and control plane provider do.
func (m *Management) provider(ctx context.Context, cluster *clusterv1.Cluster, workload *Workload) error {
	for gvk, name := range refsOf(cluster) {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(gvk)
		if err := m.Store.Get(ctx, types.NamespacedName{Namespace: cluster.Namespace, Name: name}, u); err != nil {
			return err
		}
		if !controllerutil.AddFinalizer(u, infraFinalizer) {
			continue
		}
		u.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: cluster.Name, UID: cluster.UID}})
		labels := u.GetLabels()
		labels[clusterv1.ClusterNameLabel] = cluster.Name
		u.SetLabels(labels)
		if err := m.Store.Update(ctx, u); err != nil {
			return err
		}
	}
	kubeconfig, err := workload.kubeconfig()
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: cluster.Namespace, Name: cluster.Name + "-kubeconfig",
		Labels:          map[string]string{clusterv1.ClusterNameLabel: cluster.Name},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: cluster.Name, UID: cluster.UID}},
	}, Data: map[string][]byte{"value": kubeconfig}, Type: clusterv1.ClusterSecretType}
	if err := m.Store.Create(ctx, secret); err == nil || client.IgnoreAlreadyExists(err) != nil {
		if err != nil {
			return err
		}
	}
	if cluster.Spec.ControlPlaneEndpoint.Host != "" {
		return nil
	}
	host, port, err := net.SplitHostPort(workload.server.Listener.Addr().String())
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return err
	}
	cluster.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: host, Port: int32(number)}
	return m.Store.Update(ctx, cluster)
}

func refsOf(cluster *clusterv1.Cluster) map[schema.GroupVersionKind]string {
	return map[schema.GroupVersionKind]string{
		InfraClusterKind: cluster.Spec.InfrastructureRef.Name,
		ControlPlaneKind: cluster.Spec.ControlPlaneRef.Name,
	}
}

func (m *Management) takeDown(ctx context.Context, cluster *clusterv1.Cluster) error {
	m.mu.Lock()
	stuck := m.stuck[cluster.Name]
	workload := m.workloads[cluster.UID]
	delete(m.workloads, cluster.UID)
	m.mu.Unlock()
	if workload != nil {
		workload.server.Close()
	}
	for gvk, name := range refsOf(cluster) {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(gvk)
		err := m.Store.Get(ctx, types.NamespacedName{Namespace: cluster.Namespace, Name: name}, u)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if err != nil {
			continue
		}
		if u.GetDeletionTimestamp() == nil {
			if err := m.Store.Delete(ctx, u); err != nil {
				return err
			}
			if err := m.Store.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
				if client.IgnoreNotFound(err) == nil {
					continue
				}
				return err
			}
		}
		if stuck && gvk == InfraClusterKind {
			continue
		}
		controllerutil.RemoveFinalizer(u, infraFinalizer)
		if err := m.Store.Update(ctx, u); err != nil {
			return err
		}
	}
	if stuck {
		return nil
	}
	controllerutil.RemoveFinalizer(cluster, clusterv1.ClusterFinalizer)
	return m.Store.Update(ctx, cluster)
}

// collect removes what is owned by Clusters that are gone.
func (m *Management) collect(ctx context.Context) error {
	clusters := &clusterv1.ClusterList{}
	if err := m.Store.List(ctx, clusters); err != nil {
		return err
	}
	alive := map[types.UID]bool{}
	for i := range clusters.Items {
		alive[clusters.Items[i].UID] = true
	}
	for _, gvk := range []schema.GroupVersionKind{InfraClusterKind, ControlPlaneKind, MachineTemplateKind, corev1.SchemeGroupVersion.WithKind("Secret")} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := m.Store.List(ctx, list); err != nil {
			return err
		}
		for i := range list.Items {
			u := &list.Items[i]
			orphan := len(u.GetOwnerReferences()) > 0 // as long as any owner may live, it stays
			for _, ref := range u.GetOwnerReferences() {
				orphan = orphan && ref.Kind == "Cluster" && !alive[ref.UID]
			}
			if !orphan || u.GetDeletionTimestamp() != nil {
				continue
			}
			if err := m.Store.Delete(ctx, u); client.IgnoreNotFound(err) != nil {
				return err
			}
		}
	}
	return nil
}
