package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// nodeReconciler keeps the nodes of the pool. There is one pool, hence one
// request: whatever happens to a node, all of them are looked at.
type nodeReconciler struct {
	cluster *Cluster
	client  client.Client
}

func (r *nodeReconciler) setup(mgr ctrl.Manager) error {
	onePool := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: poolName}}}
	})
	return ctrl.NewControllerManagedBy(mgr).Named("local-nodes").
		Watches(&corev1.Node{}, onePool).
		WatchesRawSource(source.Channel(r.cluster.wake, onePool)).
		Complete(r)
}

// Reconcile brings the nodes to those of the pool.
func (r *nodeReconciler) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	pool := r.cluster.desired()
	if pool == nil {
		return reconcile.Result{}, nil
	}
	var existing corev1.NodeList
	if err := r.client.List(ctx, &existing); err != nil {
		return reconcile.Result{}, fmt.Errorf("list nodes: %w", err)
	}
	changes := compareNodes(pool, existing.Items)
	r.cluster.report(changes.count)
	return reconcile.Result{}, r.apply(ctx, changes)
}

func (r *nodeReconciler) apply(ctx context.Context, changes nodeChanges) error {
	for _, node := range changes.create {
		if err := r.client.Create(ctx, node); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create node %s: %w", node.Name, err)
		}
	}
	for _, node := range changes.relabel {
		if err := r.client.Update(ctx, node); err != nil {
			return fmt.Errorf("label node %s: %w", node.Name, err)
		}
	}
	for _, node := range changes.resize {
		if err := r.client.Status().Update(ctx, node); err != nil {
			return fmt.Errorf("resize node %s: %w", node.Name, err)
		}
	}
	for _, node := range changes.remove {
		if err := r.client.Delete(ctx, node); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete node %s: %w", node.Name, err)
		}
	}
	return nil
}
