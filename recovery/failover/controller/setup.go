package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
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
	"github.com/refloat-dev/refloat/recovery/failover/probe"
)

const (
	// firstBackoff and lastBackoff of a policy that met an error.
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// calls that wait for the queue; more block the probes that make them.
	calls = 1024
	// concurrent policies are dealt with at a time.
	concurrent = 16
)

// Options of the controller.
type Options struct {
	// Clock, the machine's by default.
	Clock clock.WithTicker
	// Access to the management cluster, for what is written; the manager's own by default.
	Access *rest.Config
	// Clusters that are watched.
	Clusters probe.Clusters
	// System is the controller's own namespace, whose gates stop everything; empty for none.
	System string
	// WebhookAddr takes reports; empty for none.
	WebhookAddr string
}

// SetupWithManager adds the controller of policies to a manager, whose scheme knows the API
// and Cluster API.
func SetupWithManager(mgr ctrl.Manager, o Options) error {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Access == nil {
		o.Access = mgr.GetConfig()
	}
	writer, err := client.New(o.Access, client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), Cache: &client.CacheOptions{Reader: mgr.GetCache()}})
	if err != nil {
		return fmt.Errorf("set up the controller of failover policies: connect to the management cluster: %w", err)
	}
	called := make(chan event.GenericEvent, calls)
	life, end := context.WithCancel(context.Background())
	r := &Reconciler{
		Client: writer, Reader: mgr.GetAPIReader(), Clusters: o.Clusters, Recorder: mgr.GetEventRecorder("refloat-failover"), Clock: o.Clock, System: o.System,
		board: newBoard(), life: life,
		call: func(key client.ObjectKey) {
			e := event.GenericEvent{Object: &v1alpha1.FailoverPolicy{}}
			e.Object.SetNamespace(key.Namespace)
			e.Object.SetName(key.Name)
			select {
			case called <- e:
			case <-life.Done(): // nobody reconciles any more
			}
		},
	}
	stop := manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		end()
		r.board.clear()
		return nil
	})
	if err := mgr.Add(stop); err != nil {
		end()
		return fmt.Errorf("set up the end of probes: %w", err)
	}
	if o.WebhookAddr != "" {
		if err := mgr.Add(&receiver{r: r, addr: o.WebhookAddr}); err != nil {
			end()
			return fmt.Errorf("set up the receiver of reports: %w", err)
		}
	}
	return r.setup(mgr, called)
}

func (r *Reconciler) setup(mgr ctrl.Manager, called chan event.GenericEvent) error {
	cached := mgr.GetCache()
	plainQueue := false // see the controller of runs
	err := ctrl.NewControllerManagedBy(mgr).
		Named("failoverpolicy").
		For(&v1alpha1.FailoverPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.RecoveryPlan{}, handler.EnqueueRequestsFromMapFunc(watching(cached, func(o client.Object) []string { return []string{o.GetName()} })),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.RecoveryRun{}, handler.EnqueueRequestsFromMapFunc(watching(cached, plansOfRun)), builder.WithPredicates(moved)).
		Watches(&v1alpha1.Hold{}, handler.EnqueueRequestsFromMapFunc(watching(cached, planOfHold))).
		Watches(&v1alpha1.FailoverPolicy{}, handler.EnqueueRequestsFromMapFunc(sibling(cached)), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.SafetyRule{}, handler.EnqueueRequestsFromMapFunc(under(cached, r.System))).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(madeBy(cached))).
		WatchesRawSource(source.Channel(called, &handler.EnqueueRequestForObject{})).
		WithOptions(crcontroller.Options{
			MaxConcurrentReconciles: concurrent,
			UsePriorityQueue:        &plainQueue,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstBackoff, lastBackoff),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the controller of failover policies: %w", err)
	}
	return nil
}

// plansOfRun are those whose clusters a run works on: see inTheWay.
func plansOfRun(o client.Object) []string {
	run, ok := o.(*v1alpha1.RecoveryRun)
	switch {
	case !ok:
		return nil
	case run.Spec.Failover != nil:
		return []string{run.Spec.PlanRef.Name, run.Spec.Failover.To.Name}
	}
	return []string{run.Spec.PlanRef.Name}
}

func planOfHold(o client.Object) []string {
	if hold, ok := o.(*v1alpha1.Hold); ok {
		return []string{hold.Spec.PlanRef.Name}
	}
	return nil
}

// moved runs came, started, ended or went; their progress is nobody's business here.
var moved = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.RecoveryRun)
	after, also := e.ObjectNew.(*v1alpha1.RecoveryRun)
	return ok && also && ((before.Status.StartedAt == nil) != (after.Status.StartedAt == nil) ||
		(before.Status.FinishedAt == nil) != (after.Status.FinishedAt == nil) || before.Generation != after.Generation)
}}

// watching maps what has to do with a plan to the policies that watch it.
func watching(cached client.Reader, plans func(client.Object) []string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		names := plans(o)
		return policiesWhere(ctx, cached, o.GetNamespace(), func(p *v1alpha1.FailoverPolicy) bool {
			return slices.Contains(names, p.Spec.PlanRef.Name) || p.Spec.Action.To != nil && slices.Contains(names, p.Spec.Action.To.Name)
		})
	}
}

// sibling maps a policy to the others: it may have left their plan, or come to it.
func sibling(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		policy, ok := o.(*v1alpha1.FailoverPolicy)
		if !ok {
			return nil
		}
		return policiesWhere(ctx, cached, o.GetNamespace(), func(p *v1alpha1.FailoverPolicy) bool {
			return p.Name != policy.Name
		})
	}
}

// under maps a safety rule to the policies of its namespace, or to all.
func under(cached client.Reader, system string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		in := o.GetNamespace()
		if in == system {
			in = ""
		}
		return policiesWhere(ctx, cached, in, func(*v1alpha1.FailoverPolicy) bool { return true })
	}
}

// madeBy maps a Cluster to the policies whose plans name it.
func madeBy(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return policiesWhere(ctx, cached, o.GetNamespace(), func(p *v1alpha1.FailoverPolicy) bool {
			plan := &v1alpha1.RecoveryPlan{}
			err := cached.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: p.Spec.PlanRef.Name}, plan)
			return err == nil && plan.Spec.Cluster.Name == o.GetName()
		})
	}
}

func policiesWhere(ctx context.Context, cached client.Reader, namespace string, matches func(*v1alpha1.FailoverPolicy) bool) []reconcile.Request {
	policies := &v1alpha1.FailoverPolicyList{}
	if err := cached.List(ctx, policies, client.InNamespace(namespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list policies from the cache")
		return nil
	}
	var requests []reconcile.Request
	for i := range policies.Items {
		if matches(&policies.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&policies.Items[i])})
		}
	}
	return requests
}
