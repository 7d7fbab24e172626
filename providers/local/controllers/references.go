package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
)

var (
	localClusterKind      = schema.GroupKind{Group: infrav1.GroupVersion.Group, Kind: "LocalCluster"}
	localControlPlaneKind = schema.GroupKind{Group: controlplanev1.GroupVersion.Group, Kind: "LocalControlPlane"}
)

// clusterKey returns the Cluster that an object belongs to, without asking whether
// it still exists: from the owner reference that Cluster API sets or, when that
// was removed, from the label. ok is false when Cluster API has not claimed the
// object yet.
func clusterKey(o client.Object) (key types.NamespacedName, ok bool) {
	key.Namespace = o.GetNamespace()
	for _, owner := range o.GetOwnerReferences() {
		group, err := schema.ParseGroupVersion(owner.APIVersion)
		if err == nil && group.Group == clusterv1.GroupVersion.Group && owner.Kind == clusterv1.ClusterKind {
			key.Name = owner.Name
			return key, true
		}
	}
	key.Name = o.GetLabels()[clusterv1.ClusterNameLabel]
	return key, key.Name != "" && !o.GetDeletionTimestamp().IsZero()
}

// ownerCluster returns the Cluster that owns an object. While the object is being
// deleted the Cluster may be gone, which is no error: it is nil then.
func ownerCluster(ctx context.Context, c client.Reader, o client.Object, key types.NamespacedName) (*clusterv1.Cluster, error) {
	cluster := &clusterv1.Cluster{}
	err := c.Get(ctx, key, cluster)
	if apierrors.IsNotFound(err) && !o.GetDeletionTimestamp().IsZero() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the Cluster %s that owns %s: %w", key, o.GetName(), err)
	}
	return cluster, nil
}

func refersTo(ref clusterv1.ContractVersionedObjectReference, kind schema.GroupKind) bool {
	return ref.APIGroup == kind.Group && ref.Kind == kind.Kind && ref.Name != ""
}

// fromCluster maps a Cluster to the object of one of our kinds that it refers to.
func fromCluster(kind schema.GroupKind) handler.MapFunc {
	return func(_ context.Context, o client.Object) []reconcile.Request {
		cluster, ok := o.(*clusterv1.Cluster)
		if !ok {
			return nil
		}
		for _, ref := range []clusterv1.ContractVersionedObjectReference{
			cluster.Spec.InfrastructureRef, cluster.Spec.ControlPlaneRef,
		} {
			if refersTo(ref, kind) {
				return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: ref.Name}}}
			}
		}
		return nil
	}
}

// fromSibling maps an object of one of our kinds to the one of the other kind
// that belongs to the same Cluster.
func fromSibling(c client.Reader, kind schema.GroupKind) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		key, ok := clusterKey(o)
		if !ok {
			return nil
		}
		return fromClusterKey(ctx, c, key, kind)
	}
}

func fromClusterKey(ctx context.Context, c client.Reader, key types.NamespacedName, kind schema.GroupKind) []reconcile.Request {
	cluster := &clusterv1.Cluster{}
	if err := c.Get(ctx, key, cluster); err != nil {
		if client.IgnoreNotFound(err) != nil && ctx.Err() == nil {
			ctrl.LoggerFrom(ctx).Error(err, "find what belongs to a Cluster", "cluster", key.String())
		}
		return nil
	}
	return fromCluster(kind)(ctx, cluster)
}

// planeEvents wakes a controller when the observation of a plane changed.
func planeEvents(planes Planes, c client.Reader, kind schema.GroupKind) source.Source {
	return onPlaneChange(planes, func(ctx context.Context, key types.NamespacedName) []reconcile.Request {
		return fromClusterKey(ctx, c, key, kind)
	})
}

// machinePlaneEvents wakes the controller of LocalMachines for those of a cluster
// whose plane changed.
func machinePlaneEvents(planes Planes, c client.Reader) source.Source {
	return onPlaneChange(planes, func(ctx context.Context, key types.NamespacedName) []reconcile.Request {
		var machines infrav1.LocalMachineList
		err := c.List(ctx, &machines, client.InNamespace(key.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: key.Name})
		if err != nil {
			if ctx.Err() == nil {
				ctrl.LoggerFrom(ctx).Error(err, "list the LocalMachines of a Cluster", "cluster", key.String())
			}
			return nil
		}
		var requests []reconcile.Request
		for i := range machines.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&machines.Items[i])})
		}
		return requests
	})
}

func onPlaneChange(planes Planes, affected func(context.Context, types.NamespacedName) []reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		planes.Listen(func(key types.NamespacedName) {
			for _, request := range affected(ctx, key) {
				queue.Add(request)
			}
		})
		return nil
	})
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}
