package controller

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

const (
	// firstBackoff and lastBackoff of a reconcile that met an error.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// workEvents that wait for the queue; more block the work that sends them.
	workEvents = 1024
)

// SetupWithManager adds the controller of runs to a manager. The manager's scheme
// needs AddToScheme.
func SetupWithManager(mgr ctrl.Manager, o Options) error {
	o = o.withDefaults()
	reported := make(chan event.GenericEvent, workEvents)
	done := make(chan struct{})
	notify := func(run client.ObjectKey) {
		e := event.GenericEvent{Object: &v1alpha1.RecoveryRun{}}
		e.Object.SetNamespace(run.Namespace)
		e.Object.SetName(run.Name)
		select {
		case reported <- e:
		case <-done: // nobody reconciles any more
		}
	}
	clusters, err := clustersOf(mgr, o)
	if err != nil {
		return err
	}
	r := newReconciler(mgr.GetClient(), mgr.GetAPIReader(), clusters, o, mgr.GetEventRecorder("refloat"), func(work func()) { go work() }, notify)
	r.Lend = clusters.Lend
	stop := manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		close(done)
		r.work.stop()
		return nil
	})
	if err := mgr.Add(stop); err != nil {
		return fmt.Errorf("set up the end of runs' work: %w", err)
	}
	cached := mgr.GetCache()
	// The library's priority queue can lock up when it is shut down under load, which would
	// delay the end of the process by half a minute.
	plainQueue := false
	err = ctrl.NewControllerManagedBy(mgr).
		Named("recoveryrun").
		For(&v1alpha1.RecoveryRun{}, builder.WithPredicates(predicate.NewPredicateFuncs(unfinished))).
		Watches(&v1alpha1.RecoveryRun{}, handler.EnqueueRequestsFromMapFunc(waitingBehind(cached))).
		Watches(&v1alpha1.RecoveryRun{}, handler.EnqueueRequestsFromMapFunc(drillsInTheWay(cached))).
		Watches(&v1alpha1.RunApproval{}, handler.EnqueueRequestsFromMapFunc(approvedRun)).
		Watches(&v1alpha1.TeardownBudget{}, handler.EnqueueRequestsFromMapFunc(waitingForTurn(cached)), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(workingOn(cached))).
		WatchesRawSource(source.Channel(reported, &handler.EnqueueRequestForObject{})).
		WithOptions(crcontroller.Options{
			MaxConcurrentReconciles: o.MaxConcurrent,
			UsePriorityQueue:        &plainQueue,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstBackoff, lastBackoff),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the controller of runs: %w", err)
	}
	if err := setupBudgets(mgr, r); err != nil {
		return err
	}
	return setupEvaluations(mgr, r)
}

// NewClusters is the access to clusters that runs use, for others who watch them.
func NewClusters(mgr ctrl.Manager, o Options) (*capi.Clusters, error) {
	return clustersOf(mgr, o.withDefaults())
}

// clustersOf the manager's management cluster.
func clustersOf(mgr ctrl.Manager, o Options) (*capi.Clusters, error) {
	own := rest.CopyConfig(mgr.GetConfig())
	if err := rest.LoadTLSFiles(own); err != nil {
		return nil, fmt.Errorf("read the certificates of the management cluster: %w", err)
	}
	applier, err := direct(mgr, o.Applier)
	if err != nil {
		return nil, err
	}
	destroyer, err := direct(mgr, o.Destroyer)
	if err != nil {
		return nil, err
	}
	return &capi.Clusters{
		Client: applier, Reader: mgr.GetAPIReader(), Destroyer: destroyer,
		Clock: o.Clock, Endpoint: own.Host, CA: own.CAData,
	}, nil
}

// direct is a client without a cache, with an access of its own. What is installed is
// looked up by the manager.
func direct(mgr ctrl.Manager, config *rest.Config) (client.Client, error) {
	if config == nil {
		config = mgr.GetConfig()
	}
	c, err := client.New(config, client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("set up the controller of runs: connect to the management cluster: %w", err)
	}
	return c, nil
}

// unfinished runs have something left to do; the others would only be read again.
func unfinished(o client.Object) bool {
	run, ok := o.(*v1alpha1.RecoveryRun)
	return ok && (run.Status.FinishedAt == nil || len(run.Finalizers) > 0)
}

// approvedRun maps an approval to the run that it is for.
func approvedRun(_ context.Context, o client.Object) []reconcile.Request {
	approval, ok := o.(*v1alpha1.RunApproval)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: approval.Namespace, Name: approval.Spec.RunRef.Name}}}
}

// waitingBehind maps a run that ended, or is gone, to those that may wait for its lock or
// for its place.
func waitingBehind(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		run, ok := o.(*v1alpha1.RecoveryRun)
		if !ok || run.Status.FinishedAt == nil && run.DeletionTimestamp == nil {
			return nil
		}
		runs := &v1alpha1.RecoveryRunList{}
		if err := cached.List(ctx, runs, client.UnsafeDisableDeepCopy); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list runs from the cache")
			return nil
		}
		var requests []reconcile.Request
		for _, other := range recovery.Next(runs.Items) {
			if other.UID != run.UID {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(other)})
			}
		}
		return requests
	}
}

// drillsInTheWay maps a run to the drills that have to give way to it.
func drillsInTheWay(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		run, ok := o.(*v1alpha1.RecoveryRun)
		if !ok || run.Status.FinishedAt != nil || run.Spec.Operation == v1alpha1.OperationDrill {
			return nil
		}
		return runsWhere(ctx, cached, run.Namespace, func(drill *v1alpha1.RecoveryRun) bool {
			return drill.Status.StartedAt != nil && drill.Status.FinishedAt == nil && recovery.MoreUrgent(drill, []v1alpha1.RecoveryRun{*run}) != ""
		})
	}
}

// waitingForTurn maps a budget that somebody changed or deleted to the runs that wait for
// slots. Those that others give back are found by looking again.
func waitingForTurn(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return runsWhere(ctx, cached, o.GetNamespace(), func(run *v1alpha1.RecoveryRun) bool {
			return run.Status.Budget != nil && run.Status.Budget.Since != nil
		})
	}
}

// workingOn maps a Cluster to the run that stamped it, or whose target has its name.
func workingOn(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		stamp := types.UID(o.GetAnnotations()[capi.AnnotationRun])
		return runsWhere(ctx, cached, o.GetNamespace(), func(run *v1alpha1.RecoveryRun) bool {
			if run.Status.FinishedAt != nil || recovery.Current(run) == nil {
				return false
			}
			s := run.Status
			return run.UID == stamp || s.Target != nil && s.Target.Name == o.GetName() || s.Previous != nil && s.Previous.Name == o.GetName()
		})
	}
}

func runsWhere(ctx context.Context, cached client.Reader, namespace string, matches func(*v1alpha1.RecoveryRun) bool) []reconcile.Request {
	runs := &v1alpha1.RecoveryRunList{}
	if err := cached.List(ctx, runs, client.InNamespace(namespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list runs from the cache")
		return nil
	}
	var requests []reconcile.Request
	for i := range runs.Items {
		if matches(&runs.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&runs.Items[i])})
		}
	}
	return requests
}
