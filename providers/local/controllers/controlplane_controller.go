package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/cluster-api/util/patch"
	"sigs.k8s.io/cluster-api/util/paused"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

const (
	// purgeTimeout bounds one attempt to end a plane; the next one goes on from there.
	purgeTimeout = 30 * time.Second
	// foreignStateRecheck is how often a directory that someone else has to clear is
	// looked at again; nothing announces that it was.
	foreignStateRecheck = time.Minute
)

// controlPlaneReconciler reconciles LocalControlPlanes.
type controlPlaneReconciler struct {
	client client.Client
	// secrets reads uncached.
	secrets client.Client
	planes  Planes
	clock   clock.PassiveClock
	// version is the Kubernetes version that planes run, with a leading v.
	version string
}

// Reconcile brings one LocalControlPlane a step further.
func (r *controlPlaneReconciler) Reconcile(ctx context.Context, request reconcile.Request) (_ reconcile.Result, reterr error) {
	controlPlane := &controlplanev1.LocalControlPlane{}
	if err := r.client.Get(ctx, request.NamespacedName, controlPlane); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	key, owned := clusterKey(controlPlane)
	if !owned {
		return reconcile.Result{}, nil
	}
	cluster, err := ownerCluster(ctx, r.client, controlPlane, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	addPrefix := func() bool {
		full := versionOf(controlPlane.Spec.Version)
		changed := controlPlane.Spec.Version != full
		controlPlane.Spec.Version = full
		return changed
	}
	if taken, err := takeOn(ctx, r.client, controlPlane, controlplanev1.ControlPlaneFinalizer, addPrefix); err != nil || taken {
		return reconcile.Result{}, err
	}
	if stop, requeue, err := paused.EnsurePausedCondition(ctx, r.client, cluster, controlPlane); err != nil || stop || requeue {
		return reconcile.Result{}, err
	}
	helper, err := patch.NewHelper(controlPlane, r.client)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("prepare to write LocalControlPlane %s: %w", request, err)
	}
	defer func() {
		reterr = errors.Join(reterr, helper.Patch(ctx, controlPlane, patch.WithStatusObservedGeneration{},
			patch.WithOwnedConditions{Conditions: []string{
				controlplanev1.AvailableCondition, controlplanev1.CertificatesAvailableCondition,
				controlplanev1.KubeconfigAvailableCondition, clusterv1.PausedCondition,
			}}))
	}()
	if !controlPlane.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, r.delete(ctx, controlPlane, key)
	}
	return r.normal(ctx, controlPlane, cluster, key)
}

func (r *controlPlaneReconciler) normal(ctx context.Context, controlPlane *controlplanev1.LocalControlPlane, cluster *clusterv1.Cluster, key types.NamespacedName) (reconcile.Result, error) {
	controlPlane.Status.ExternalManagedControlPlane = ptr.To(true)
	endpoint, err := r.endpoint(ctx, cluster)
	if err != nil {
		return reconcile.Result{}, err
	}
	seen := r.planes.Observe(key)
	if refused := obstacle(endpoint, seen.Served, controlPlane.Spec.Version, r.version); refused != nil {
		conditions.Set(controlPlane, *refused)
		return reconcile.Result{}, nil
	}
	secrets := r.secretsOf(controlPlane, key)
	authorities, err := secrets.authorities(ctx, r.clock.Now())
	conditions.Set(controlPlane, usable(controlplanev1.CertificatesAvailableCondition, err))
	if err != nil {
		return reconcile.Result{}, err
	}
	// Only now that the keys are known to be those of the plane may a kubeconfig be
	// made from them.
	err = r.planes.Ensure(key, fleet.Want{Authorities: authorities, Port: endpoint.Port})
	if errors.Is(err, fleet.ErrForeignState) {
		conditions.Set(controlPlane, condition(controlplanev1.AvailableCondition, metav1.ConditionFalse,
			controlplanev1.ForeignStateReason, bounded(err.Error())))
		return reconcile.Result{RequeueAfter: foreignStateRecheck}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	renewAt, err := secrets.kubeconfig(ctx, authorities, endpoint, r.clock.Now())
	conditions.Set(controlPlane, usable(controlplanev1.KubeconfigAvailableCondition, err))
	if err != nil {
		return reconcile.Result{}, err
	}
	r.report(controlPlane, r.planes.Observe(key))
	return reconcile.Result{RequeueAfter: max(renewAt.Sub(r.clock.Now()), time.Minute)}, nil
}

// report writes what was observed to status.
func (r *controlPlaneReconciler) report(controlPlane *controlplanev1.LocalControlPlane, seen fleet.Observation) {
	initialized := ptr.Deref(controlPlane.Status.Initialization.ControlPlaneInitialized, false)
	if seen.Healthy() {
		controlPlane.Status.Initialization.ControlPlaneInitialized = ptr.To(true)
		controlPlane.Status.Versions = []clusterv1.StatusVersion{{Version: r.version}}
	}
	// Just after this program started, a plane that ran all along is being adopted.
	// What was known of it stays until that succeeded or failed.
	adopting := initialized && seen.Phase == fleet.Starting && seen.Problem == nil
	if adopting && conditions.Has(controlPlane, controlplanev1.AvailableCondition) {
		return
	}
	available := availability(seen)
	if available.Message == "" {
		available.Message = versionProblem(controlPlane.Spec.Version, r.version)
	}
	conditions.Set(controlPlane, available)
}

func usable(kind string, err error) metav1.Condition {
	if err != nil {
		return condition(kind, metav1.ConditionFalse, controlplanev1.SecretsFailedReason, bounded(err.Error()))
	}
	return condition(kind, metav1.ConditionTrue, controlplanev1.SecretsUsableReason, "")
}

// endpoint returns where the API server shall listen; port 0 when nobody said yet.
// The Cluster knows only once its infrastructure is provisioned, which a
// LocalCluster becomes when this control plane answers; so it is asked first.
func (r *controlPlaneReconciler) endpoint(ctx context.Context, cluster *clusterv1.Cluster) (controlplane.Endpoint, error) {
	if e := cluster.Spec.ControlPlaneEndpoint; e.IsValid() {
		return controlplane.Endpoint{Host: e.Host, Port: int(e.Port)}, nil
	}
	ref := cluster.Spec.InfrastructureRef
	if !refersTo(ref, localClusterKind) {
		return controlplane.Endpoint{}, nil
	}
	local := &infrav1.LocalCluster{}
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: ref.Name}, local); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return controlplane.Endpoint{}, nil
		}
		return controlplane.Endpoint{}, fmt.Errorf("read LocalCluster %s/%s: %w", cluster.Namespace, ref.Name, err)
	}
	e := local.Spec.ControlPlaneEndpoint
	return controlplane.Endpoint{Host: e.Host, Port: int(e.Port)}, nil
}

// delete ends the processes, removes their data and then the keys to it. It needs
// neither the Cluster nor the API server of the plane.
func (r *controlPlaneReconciler) delete(ctx context.Context, controlPlane *controlplanev1.LocalControlPlane, key types.NamespacedName) error {
	conditions.Set(controlPlane, condition(controlplanev1.AvailableCondition, metav1.ConditionFalse, controlplanev1.DeletingReason, ""))
	limited, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	if err := r.planes.Purge(limited, key); err != nil {
		return err
	}
	if err := r.secretsOf(controlPlane, key).remove(ctx); err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(controlPlane, controlplanev1.ControlPlaneFinalizer)
	return nil
}

func (r *controlPlaneReconciler) secretsOf(controlPlane *controlplanev1.LocalControlPlane, key types.NamespacedName) *clusterSecrets {
	return &clusterSecrets{
		client: r.secrets,
		key:    key,
		owner:  *metav1.NewControllerRef(controlPlane, controlplanev1.GroupVersion.WithKind(localControlPlaneKind.Kind)),
	}
}
