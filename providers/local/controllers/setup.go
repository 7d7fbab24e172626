package controllers

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
)

// Options say how the provider runs. StateDir and Binaries are required.
type Options struct {
	// StateDir is where the data of all clusters lies. Two providers that run at
	// the same time must not share it.
	StateDir string
	// Binaries are the programs that clusters consist of.
	Binaries assets.Binaries
	// AuditPolicy is an audit.k8s.io/v1 Policy for every cluster; nil audits nothing.
	AuditPolicy []byte
	// Concurrency is how many objects of a kind are reconciled at once; 0 means 10.
	Concurrency int
	// ConcurrentStarts is how many control planes may start at once; 0 means 2.
	ConcurrentStarts int
	// WatchFilter restricts the provider to objects with this value of the label
	// cluster.x-k8s.io/watch-filter; empty means all.
	WatchFilter string
	// SkipNameValidation allows a second manager with the same controllers in one
	// process, as tests need it.
	SkipNameValidation bool
	// Clock is the time; nil is the real one.
	Clock clock.WithTicker
	// Log is where the fleet and the clusters' helpers write; reconcilers write to
	// the manager's log.
	Log logr.Logger
}

// AddToScheme registers the kinds that the controllers read and write.
func AddToScheme(scheme *runtime.Scheme) error {
	return errors.Join(
		corev1.AddToScheme(scheme), clusterv1.AddToScheme(scheme),
		infrav1.AddToScheme(scheme), controlplanev1.AddToScheme(scheme),
	)
}

// SetupWithManager adds the provider to a manager, whose scheme must know the
// kinds of AddToScheme.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if o.StateDir == "" {
		return errors.New("set up the local provider: no state directory was given")
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Concurrency == 0 {
		o.Concurrency = 10
	}
	// One Secret is read by name each time; a cache would hold all of them.
	direct, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("set up the local provider: connect to the management cluster: %w", err)
	}
	planes := fleet.New(fleet.Options{
		StateDir: o.StateDir, Concurrency: o.ConcurrentStarts, Clock: o.Clock, Log: o.Log,
		Driver: &fleet.Real{Binaries: o.Binaries, AuditPolicy: o.AuditPolicy, Clock: o.Clock, Log: o.Log},
	})
	if err := mgr.Add(planes); err != nil {
		return fmt.Errorf("set up the local provider: %w", err)
	}
	if err := setupClusters(ctx, mgr, o, planes, direct); err != nil {
		return fmt.Errorf("set up LocalClusters: %w", err)
	}
	if err := setupControlPlanes(ctx, mgr, o, planes, direct); err != nil {
		return fmt.Errorf("set up LocalControlPlanes: %w", err)
	}
	if err := setupMachines(ctx, mgr, o, planes); err != nil {
		return fmt.Errorf("set up LocalMachines: %w", err)
	}
	return nil
}

func (o Options) controller() controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: o.Concurrency,
		SkipNameValidation:      ptr.To(o.SkipNameValidation),
	}
}

func setupClusters(ctx context.Context, mgr ctrl.Manager, o Options, planes Planes, direct client.Reader) error {
	log := ctrl.LoggerFrom(ctx)
	c := mgr.GetClient()
	return ctrl.NewControllerManagedBy(mgr).
		For(&infrav1.LocalCluster{}, builder.WithPredicates(
			predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, o.WatchFilter),
			predicates.ResourceIsNotExternallyManaged(mgr.GetScheme(), log))).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(fromCluster(localClusterKind)),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&controlplanev1.LocalControlPlane{}, handler.EnqueueRequestsFromMapFunc(fromSibling(c, localClusterKind))).
		WatchesRawSource(planeEvents(planes, c, localClusterKind)).
		WithOptions(o.controller()).
		Complete(&clusterReconciler{client: c, direct: direct, planes: planes})
}

func setupControlPlanes(ctx context.Context, mgr ctrl.Manager, o Options, planes Planes, secrets client.Client) error {
	log := ctrl.LoggerFrom(ctx)
	c := mgr.GetClient()
	return ctrl.NewControllerManagedBy(mgr).
		For(&controlplanev1.LocalControlPlane{}, builder.WithPredicates(
			predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, o.WatchFilter))).
		Owns(&corev1.Secret{}, builder.OnlyMetadata, builder.MatchEveryOwner).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(fromCluster(localControlPlaneKind)),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&infrav1.LocalCluster{}, handler.EnqueueRequestsFromMapFunc(fromSibling(c, localControlPlaneKind)),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(planeEvents(planes, c, localControlPlaneKind)).
		WithOptions(o.controller()).
		Complete(&controlPlaneReconciler{
			client: c, secrets: secrets, planes: planes, clock: o.Clock, version: assets.KubernetesVersion,
		})
}

func setupMachines(ctx context.Context, mgr ctrl.Manager, o Options, planes Planes) error {
	log := ctrl.LoggerFrom(ctx)
	c := mgr.GetClient()
	ofCluster, err := util.ClusterToTypedObjectsMapper(c, &infrav1.LocalMachineList{}, mgr.GetScheme())
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&infrav1.LocalMachine{}, builder.WithPredicates(
			predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, o.WatchFilter))).
		Watches(&clusterv1.Machine{}, handler.EnqueueRequestsFromMapFunc(
			util.MachineToInfrastructureMapFunc(infrav1.GroupVersion.WithKind("LocalMachine")))).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(ofCluster), builder.WithPredicates(
			predicates.ClusterPausedTransitionsOrInfrastructureProvisioned(mgr.GetScheme(), log))).
		WatchesRawSource(machinePlaneEvents(planes, c)).
		WithOptions(o.controller()).
		Complete(&machineReconciler{client: c, planes: planes})
}
