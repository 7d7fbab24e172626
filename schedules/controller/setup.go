package controller

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
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
	"github.com/refloat-dev/refloat/schedules"
)

const (
	// firstBackoff and lastBackoff of a schedule that met an error.
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// calls that wait for the queue; more block the alarm.
	calls = 1024
	// defaultConcurrent schedules are dealt with at a time.
	defaultConcurrent = 16
)

// Options of the controller.
type Options struct {
	// Clock, the machine's by default.
	Clock clock.Clock
	// Exists is of Reconciler.
	Exists func(ctx context.Context, plan *v1alpha1.RecoveryPlan) (bool, error)
	// Elsewhere is of Reconciler.
	Elsewhere func(ctx context.Context, plan *v1alpha1.RecoveryPlan) (string, error)
	// InUse says who uses the cluster of a plan, empty when nobody does.
	InUse func(ctx context.Context, plan *v1alpha1.RecoveryPlan, policy v1alpha1.InUsePolicy) (string, error)
	// Access to the management cluster, for what is written and for calendars; the manager's
	// own by default.
	Access *rest.Config
	// Secrets reads those of webhooks, by their names; without it they are not signed.
	Secrets client.Reader
	// MaxConcurrent schedules are dealt with at a time.
	MaxConcurrent int
}

// SetupWithManager adds the controller of schedules to a manager, whose scheme knows the
// API.
func SetupWithManager(mgr ctrl.Manager, o Options) error {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.MaxConcurrent == 0 {
		o.MaxConcurrent = defaultConcurrent
	}
	if err := indexes(mgr.GetFieldIndexer()); err != nil {
		return err
	}
	called := make(chan event.GenericEvent, calls)
	done := make(chan struct{})
	call := func(key client.ObjectKey) {
		e := event.GenericEvent{Object: &v1alpha1.RecoverySchedule{}}
		e.Object.SetNamespace(key.Namespace)
		e.Object.SetName(key.Name)
		select {
		case called <- e:
		case <-done: // nobody reconciles any more
		}
	}
	writer, reader, err := clients(mgr, o.Access)
	if err != nil {
		return err
	}
	clockwork := newAlarm(o.Clock, call)
	recorder := mgr.GetEventRecorder("refloat-schedules")
	secrets := o.Secrets
	if secrets == nil {
		secrets = mgr.GetAPIReader()
	}
	r := newReconciler(writer, reader, secrets, recorder, o, clockwork.set, call)
	stop := manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		close(done)
		return nil
	})
	for _, runnable := range []manager.Runnable{stop, clockwork, r.notices} {
		if err := mgr.Add(runnable); err != nil {
			return fmt.Errorf("set up the controller of schedules: %w", err)
		}
	}
	cached := mgr.GetCache()
	// The library's priority queue can lock up when it is shut down under load, which would
	// delay the end of the process by half a minute.
	plainQueue := false
	err = ctrl.NewControllerManagedBy(mgr).
		Named("recoveryschedule").
		For(&v1alpha1.RecoverySchedule{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.RecoveryPlan{}, handler.EnqueueRequestsFromMapFunc(ofPlan(cached)), builder.WithPredicates(planChanged)).
		Watches(&v1alpha1.RecoveryRun{}, handler.EnqueueRequestsFromMapFunc(ofRun(cached)), builder.WithPredicates(runMoved)).
		Watches(&v1alpha1.Hold{}, handler.EnqueueRequestsFromMapFunc(ofHold(cached))).
		WatchesRawSource(source.Channel(called, &handler.EnqueueRequestForObject{})).
		WithOptions(crcontroller.Options{
			MaxConcurrentReconciles: o.MaxConcurrent,
			UsePriorityQueue:        &plainQueue,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstBackoff, lastBackoff),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the controller of schedules: %w", err)
	}
	return nil
}

// newReconciler that asks to be called up by set, and at once by call.
func newReconciler(c client.Client, reader, secrets client.Reader, recorder events.EventRecorder, o Options, set func(client.ObjectKey, time.Time), call func(client.ObjectKey)) *Reconciler {
	r := &Reconciler{
		Client: c, Reader: reader, Recorder: recorder, Clock: o.Clock, Exists: o.Exists, Elsewhere: o.Elsewhere, call: set,
		notices: newNotices(secrets, recorder, o.Clock.Now), calendars: newFetched(download, o.Clock.Now, call),
	}
	if o.InUse != nil {
		r.looks = newLooks(o.InUse, o.Clock.Now, call)
	}
	return r
}

// clients of the access: one that reads from the manager's cache, and one that does not.
func clients(mgr ctrl.Manager, access *rest.Config) (client.Client, client.Reader, error) {
	if access == nil {
		return mgr.GetClient(), mgr.GetAPIReader(), nil
	}
	direct, err := client.New(access, client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, nil, fmt.Errorf("set up the controller of schedules: connect to the management cluster: %w", err)
	}
	cached, err := client.New(access, client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), Cache: &client.CacheOptions{Reader: mgr.GetCache()}})
	if err != nil {
		return nil, nil, fmt.Errorf("set up the controller of schedules: connect to the management cluster: %w", err)
	}
	return cached, direct, nil
}

// indexes of the cache, by the name of a plan.
func indexes(indexer client.FieldIndexer) error {
	for _, of := range []struct {
		kind client.Object
		plan func(client.Object) []string
	}{
		{&v1alpha1.RecoveryRun{}, func(o client.Object) []string {
			run, ok := o.(*v1alpha1.RecoveryRun)
			return named(ok, func() string { return run.Spec.PlanRef.Name })
		}},
		{&v1alpha1.Hold{}, func(o client.Object) []string {
			hold, ok := o.(*v1alpha1.Hold)
			return named(ok, func() string { return hold.Spec.PlanRef.Name })
		}},
		{&v1alpha1.RecoverySchedule{}, func(o client.Object) []string {
			schedule, ok := o.(*v1alpha1.RecoverySchedule)
			return named(ok, func() string {
				if ref := schedule.Spec.PlanRef; ref != nil {
					return ref.Name
				}
				return anyPlan
			})
		}},
	} {
		if err := indexer.IndexField(context.Background(), of.kind, indexPlan, of.plan); err != nil {
			return fmt.Errorf("set up an index of the cache: %w", err)
		}
	}
	return nil
}

func named(ok bool, name func() string) []string {
	if !ok {
		return nil
	}
	return []string{name()}
}

// planChanged in what a schedule looks at: not when its status did.
var planChanged = predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{})

// runMoved when it came to be, began, ended or went.
var runMoved = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.RecoveryRun)
		after, ok2 := e.ObjectNew.(*v1alpha1.RecoveryRun)
		return ok1 && ok2 && ((before.Status.StartedAt == nil) != (after.Status.StartedAt == nil) || (before.Status.FinishedAt == nil) != (after.Status.FinishedAt == nil))
	},
	// What a schedule ordered itself it knows.
	CreateFunc: func(e event.CreateEvent) bool {
		run, ok := e.Object.(*v1alpha1.RecoveryRun)
		return ok && run.Spec.Schedule == nil
	},
}

func ofPlan(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		plan, ok := o.(*v1alpha1.RecoveryPlan)
		if !ok {
			return nil
		}
		return schedulesOf(ctx, cached, plan)
	}
}

func ofRun(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		run, ok := o.(*v1alpha1.RecoveryRun)
		if !ok || run.Spec.Operation == v1alpha1.OperationDrill && run.Status.FinishedAt == nil {
			return nil
		}
		return schedulesOfNamed(ctx, cached, client.ObjectKey{Namespace: run.Namespace, Name: run.Spec.PlanRef.Name})
	}
}

func ofHold(cached client.Reader) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		hold, ok := o.(*v1alpha1.Hold)
		if !ok {
			return nil
		}
		return schedulesOfNamed(ctx, cached, client.ObjectKey{Namespace: hold.Namespace, Name: hold.Spec.PlanRef.Name})
	}
}

func schedulesOfNamed(ctx context.Context, cached client.Reader, key client.ObjectKey) []reconcile.Request {
	plan := &v1alpha1.RecoveryPlan{}
	if err := cached.Get(ctx, key, plan); err != nil {
		plan.Namespace, plan.Name = key.Namespace, key.Name
	}
	return schedulesOf(ctx, cached, plan)
}

// schedulesOf a plan. One that selects plans is asked too when it knows the plan: labels
// may have been taken away.
func schedulesOf(ctx context.Context, cached client.Reader, plan *v1alpha1.RecoveryPlan) []reconcile.Request {
	var requests []reconcile.Request
	for _, key := range []string{plan.Name, anyPlan} {
		list := &v1alpha1.RecoveryScheduleList{}
		err := cached.List(ctx, list, client.InNamespace(plan.Namespace), client.MatchingFields{indexPlan: key}, client.UnsafeDisableDeepCopy)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list schedules from the cache")
			return nil
		}
		for i := range list.Items {
			s := &list.Items[i]
			if selects, err := schedules.Selector(&s.Spec); err == nil && (selects(plan) || knows(s, plan.Name)) {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(s)})
			}
		}
	}
	return requests
}

func knows(s *v1alpha1.RecoverySchedule, plan string) bool {
	for i := range s.Status.Plans {
		if s.Status.Plans[i].Name == plan {
			return true
		}
	}
	return false
}
