package controller

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/inuse"
)

// InUse says who uses the cluster of a plan, in one sentence; empty when nobody does, or
// when there is no cluster. The context bounds how long it looks.
type InUse func(ctx context.Context, plan *v1alpha1.RecoveryPlan, policy v1alpha1.InUsePolicy) (string, error)

// NewInUse looks into clusters with the same access as runs do before a teardown.
func NewInUse(mgr ctrl.Manager, o Options) (InUse, error) {
	o = o.withDefaults()
	clusters, err := clustersOf(mgr, o)
	if err != nil {
		return nil, err
	}
	r := &Reconciler{Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Clusters: clusters, Lend: clusters.Lend, Clock: o.Clock}
	return r.inUse, nil
}

// inUse looks into the cluster once it is proven which one it is.
func (r *Reconciler) inUse(ctx context.Context, plan *v1alpha1.RecoveryPlan, policy v1alpha1.InUsePolicy) (string, error) {
	obs, err := r.Clusters.Observe(ctx, plan.Namespace, plan.Spec.Cluster.Name)
	if err != nil || !obs.Exists || !obs.DeletingSince.IsZero() {
		return "", err
	}
	config, err := r.Clusters.Connect(ctx, obs.Incarnation)
	var notReady *capi.NotReadyError
	if errors.As(err, &notReady) && notReady.Reason == "NoKubeconfig" && !obs.Initialized {
		return "", nil // it never became a cluster
	}
	if err != nil {
		return "", err
	}
	health, err := r.Clusters.Probe(ctx, config, 0)
	if err != nil {
		return "", err
	}
	if err := r.Clusters.RefuseManagement(ctx, config, health.KubeSystemUID); err != nil {
		return "", err
	}
	pinned, err := r.pinnedSystem(ctx, obs.Incarnation)
	if err != nil {
		return "", err
	}
	if pinned != "" && pinned != health.KubeSystemUID {
		return "", recovery.Faultf("IdentityChanged", "the kubeconfig of Cluster %s leads to another cluster than the one that was made (kube-system UID %s, not %s)",
			obs.Incarnation, health.KubeSystemUID, pinned)
	}
	if r.Lend != nil {
		// One that lends nothing is read as its administrator, as before a teardown.
		if lent, err := r.Lend(ctx, config, capi.RoleVerifier); err == nil {
			config = lent
		}
	}
	cluster, err := inuse.Open(config)
	if err != nil {
		return "", err
	}
	return inuse.Find(ctx, cluster, policy, r.Clock.Now())
}

// pinnedSystem is the identity from inside that runs know of an incarnation; empty when
// none does.
func (r *Reconciler) pinnedSystem(ctx context.Context, inc capi.Incarnation) (types.UID, error) {
	runs := &v1alpha1.RecoveryRunList{}
	if err := r.Client.List(ctx, runs, client.InNamespace(inc.Namespace)); err != nil {
		return "", fmt.Errorf("list the runs that made clusters: %w", err)
	}
	for i := range runs.Items {
		if t := runs.Items[i].Status.Target; t != nil && t.UID == inc.UID && t.KubeSystemUID != "" {
			return t.KubeSystemUID, nil
		}
	}
	return "", nil
}
