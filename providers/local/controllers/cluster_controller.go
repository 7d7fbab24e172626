package controllers

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/cluster-api/util/patch"
	"sigs.k8s.io/cluster-api/util/paused"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
)

// clusterReconciler reconciles LocalClusters.
type clusterReconciler struct {
	client client.Client
	// direct reads uncached.
	direct client.Reader
	planes Planes
}

// Reconcile brings one LocalCluster a step further.
func (r *clusterReconciler) Reconcile(ctx context.Context, request reconcile.Request) (_ reconcile.Result, reterr error) {
	local := &infrav1.LocalCluster{}
	if err := r.client.Get(ctx, request.NamespacedName, local); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	key, owned := clusterKey(local)
	if !owned || annotations.IsExternallyManaged(local) {
		return reconcile.Result{}, nil
	}
	cluster, err := ownerCluster(ctx, r.client, local, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if taken, err := takeOn(ctx, r.client, local, infrav1.ClusterFinalizer, nil); err != nil || taken {
		return reconcile.Result{}, err
	}
	if stop, requeue, err := paused.EnsurePausedCondition(ctx, r.client, cluster, local); err != nil || stop || requeue {
		return reconcile.Result{}, err
	}
	helper, err := patch.NewHelper(local, r.client)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("prepare to write LocalCluster %s: %w", request, err)
	}
	defer func() {
		reterr = errors.Join(reterr, helper.Patch(ctx, local, patch.WithStatusObservedGeneration{},
			patch.WithOwnedConditions{Conditions: []string{
				infrav1.ReadyCondition, infrav1.NodesReadyCondition, clusterv1.PausedCondition,
			}}))
	}()
	if !local.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, r.delete(ctx, local, key)
	}
	return reconcile.Result{}, r.normal(ctx, local, cluster, key)
}

func (r *clusterReconciler) normal(ctx context.Context, local *infrav1.LocalCluster, cluster *clusterv1.Cluster, key types.NamespacedName) error {
	controlPlane, err := r.controlPlane(ctx, cluster)
	if err != nil {
		return err
	}
	if controlPlane == nil && !cluster.DeletionTimestamp.IsZero() {
		return nil // the port was given back with the plane; this object's own deletion is next
	}
	endpoint, err := r.planes.Reserve(ctx, key, int(local.Spec.ControlPlaneEndpoint.Port))
	if err != nil {
		conditions.Set(local, condition(infrav1.ReadyCondition, metav1.ConditionFalse, infrav1.EndpointFailedReason, bounded(err.Error())))
		return err
	}
	if local.Spec.ControlPlaneEndpoint.IsZero() {
		local.Spec.ControlPlaneEndpoint = infrav1.APIEndpoint{Host: endpoint.Host, Port: int32(endpoint.Port)} //nolint:gosec // a port fits
	}
	r.planes.SetNodes(key, poolOf(local, key))

	facts := clusterFacts{
		local: refersTo(cluster.Spec.ControlPlaneRef, localControlPlaneKind),
		seen:  r.planes.Observe(key),
		nodes: int(local.NodeCount()),
	}
	if controlPlane != nil {
		facts.initialized = ptr.Deref(controlPlane.Status.Initialization.ControlPlaneInitialized, false)
		facts.kubeconfig = conditions.IsTrue(controlPlane, controlplanev1.KubeconfigAvailableCondition)
	}
	if facts.provisioned() {
		local.Status.Initialization.Provisioned = ptr.To(true)
	}
	local.Status.FailureDomains = failureDomains(local.Spec.FailureDomains)
	local.Status.Nodes = &infrav1.NodesStatus{Desired: local.NodeCount(), Ready: int32(facts.seen.Nodes.Ready)} //nolint:gosec // at most 1000
	conditions.Set(local, facts.nodesReady())
	conditions.Set(local, facts.ready())
	return nil
}

// controlPlane returns the LocalControlPlane of a Cluster; nil when the Cluster
// has another kind of control plane, or it was not created yet.
func (r *clusterReconciler) controlPlane(ctx context.Context, cluster *clusterv1.Cluster) (*controlplanev1.LocalControlPlane, error) {
	ref := cluster.Spec.ControlPlaneRef
	if !refersTo(ref, localControlPlaneKind) {
		return nil, nil
	}
	controlPlane := &controlplanev1.LocalControlPlane{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: ref.Name}, controlPlane)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read LocalControlPlane %s/%s: %w", cluster.Namespace, ref.Name, err)
	}
	if err != nil {
		return nil, nil
	}
	return controlPlane, nil
}

// delete gives back the port. Cluster API deletes the control plane first; should
// someone delete the LocalCluster alone, the port stays with the control plane
// that still uses it, which gives it back itself.
func (r *clusterReconciler) delete(ctx context.Context, local *infrav1.LocalCluster, key types.NamespacedName) error {
	conditions.Set(local, condition(infrav1.ReadyCondition, metav1.ConditionFalse, infrav1.DeletingReason, ""))
	// A cache may still hold the control plane that is gone, and then nobody would
	// give back the port.
	var controlPlanes controlplanev1.LocalControlPlaneList
	if err := r.direct.List(ctx, &controlPlanes, client.InNamespace(local.Namespace)); err != nil {
		return fmt.Errorf("list the control planes of cluster %s: %w", key, err)
	}
	for i := range controlPlanes.Items {
		if owner, ok := clusterKey(&controlPlanes.Items[i]); ok && owner == key {
			controllerutil.RemoveFinalizer(local, infrav1.ClusterFinalizer)
			return nil
		}
	}
	if err := r.planes.Purge(ctx, key); err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(local, infrav1.ClusterFinalizer)
	return nil
}

func poolOf(local *infrav1.LocalCluster, key types.NamespacedName) workload.Pool {
	return workload.Pool{
		Cluster:  key.String(),
		Count:    int(local.NodeCount()),
		Capacity: local.Spec.Nodes.Capacity,
		Labels:   local.Spec.Nodes.Labels,
		Zones:    local.Spec.FailureDomains,
	}
}
