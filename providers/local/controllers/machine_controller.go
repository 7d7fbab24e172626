package controllers

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/cluster-api/util/patch"
	"sigs.k8s.io/cluster-api/util/paused"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
)

// machineReconciler reconciles LocalMachines.
type machineReconciler struct {
	client client.Client
	planes Planes
}

// Reconcile brings one LocalMachine a step further.
func (r *machineReconciler) Reconcile(ctx context.Context, request reconcile.Request) (_ reconcile.Result, reterr error) {
	local := &infrav1.LocalMachine{}
	if err := r.client.Get(ctx, request.NamespacedName, local); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	machine, err := util.GetOwnerMachine(ctx, r.client, local.ObjectMeta)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("read the Machine that owns LocalMachine %s: %w", request, err)
	}
	key, ok := machineCluster(local, machine)
	if !ok {
		return reconcile.Result{}, nil
	}
	cluster, err := ownerCluster(ctx, r.client, local, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if taken, err := takeOn(ctx, r.client, local, infrav1.MachineFinalizer, nil); err != nil || taken {
		return reconcile.Result{}, err
	}
	if stop, requeue, err := paused.EnsurePausedCondition(ctx, r.client, cluster, local); err != nil || stop || requeue {
		return reconcile.Result{}, err
	}
	helper, err := patch.NewHelper(local, r.client)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("prepare to write LocalMachine %s: %w", request, err)
	}
	defer func() {
		reterr = errors.Join(reterr, helper.Patch(ctx, local, patch.WithStatusObservedGeneration{},
			patch.WithOwnedConditions{Conditions: []string{infrav1.ReadyCondition, clusterv1.PausedCondition}}))
	}()
	if !local.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, r.delete(ctx, local, cluster, key)
	}
	return reconcile.Result{}, r.normal(ctx, local, machine, cluster, key)
}

// machineCluster returns the cluster of a LocalMachine. ok is false when no
// Machine has claimed it; while it is being deleted the label alone is enough,
// because the Machine may be gone.
func machineCluster(local *infrav1.LocalMachine, machine *clusterv1.Machine) (key types.NamespacedName, ok bool) {
	key = types.NamespacedName{Namespace: local.Namespace, Name: local.Labels[clusterv1.ClusterNameLabel]}
	if machine != nil {
		key.Name = machine.Spec.ClusterName
		return key, true
	}
	return key, key.Name != "" && !local.DeletionTimestamp.IsZero()
}

func (r *machineReconciler) normal(ctx context.Context, local *infrav1.LocalMachine, machine *clusterv1.Machine, cluster *clusterv1.Cluster, key types.NamespacedName) error {
	if refused := machineObstacle(cluster, machine); refused != nil {
		conditions.Set(local, *refused)
		return nil
	}
	node := nodeOf(local, machine, cluster)
	err := r.planes.EnsureNode(ctx, key, node)
	if errors.Is(err, fleet.ErrNotServing) && ptr.Deref(local.Status.Initialization.Provisioned, false) {
		return nil // the machine is there; that its API server ails is not its fault
	}
	conditions.Set(local, machineCondition(err))
	if errors.Is(err, fleet.ErrNotServing) {
		return nil // the plane's next change wakes this controller
	}
	if err != nil {
		return fmt.Errorf("create the node of LocalMachine %s/%s: %w", local.Namespace, local.Name, err)
	}
	local.Spec.ProviderID = node.ProviderID
	local.Status.Initialization.Provisioned = ptr.To(true)
	local.Status.FailureDomain = node.Zone
	local.Status.Addresses = []clusterv1.MachineAddress{{Type: clusterv1.MachineHostName, Address: node.Name}}
	return nil
}

// delete takes the node away. A cluster that is being deleted takes its nodes with
// it; nothing is asked of its API server then, which may be dead.
func (r *machineReconciler) delete(ctx context.Context, local *infrav1.LocalMachine, cluster *clusterv1.Cluster, key types.NamespacedName) error {
	conditions.Set(local, condition(infrav1.ReadyCondition, metav1.ConditionFalse, infrav1.DeletingReason, ""))
	if cluster != nil && cluster.DeletionTimestamp.IsZero() && local.Spec.ProviderID != "" {
		err := r.planes.RemoveNode(ctx, key, workload.Machine{Name: local.Name, ProviderID: local.Spec.ProviderID})
		if errors.Is(err, fleet.ErrNotServing) {
			conditions.Set(local, condition(infrav1.ReadyCondition, metav1.ConditionFalse, infrav1.DeletingReason,
				"waiting for the API server, to delete the node"))
			return nil // the plane's next change wakes this controller
		}
		if err != nil {
			return fmt.Errorf("delete the node of LocalMachine %s/%s: %w", local.Namespace, local.Name, err)
		}
	}
	controllerutil.RemoveFinalizer(local, infrav1.MachineFinalizer)
	return nil
}
