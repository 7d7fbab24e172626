package controller

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/recoverability"
)

const (
	// evaluations at a time: they cost what preflights cost, and nobody waits for them.
	evaluations = 2
	// evaluationLimit bounds one; what was not looked at by then is not known.
	evaluationLimit = 5 * time.Minute
	// busyEvery is how often it is looked again whether a run of the plan still works; its
	// end is told as well.
	busyEvery = time.Minute
	// recordings that are tried when others write the plan at the same time.
	recordings = 5
)

// setupEvaluations adds the controller that looks whether plans could be carried out.
func setupEvaluations(mgr ctrl.Manager, r *Reconciler) error {
	plainQueue := false // see the controller of runs
	err := ctrl.NewControllerManagedBy(mgr).
		Named("recoverability").
		For(&v1alpha1.RecoveryPlan{}, builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, asks))).
		Watches(&v1alpha1.RecoveryRun{}, handler.EnqueueRequestsFromMapFunc(planOf), builder.WithPredicates(ends)).
		WithOptions(crcontroller.Options{
			MaxConcurrentReconciles: evaluations,
			UsePriorityQueue:        &plainQueue,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstBackoff, lastBackoff),
		}).
		Complete(reconcile.Func(r.evaluate))
	if err != nil {
		return fmt.Errorf("set up the evaluation of plans: %w", err)
	}
	return nil
}

// asks lets a plan through whose request changed, or that learned of another run.
var asks = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		was, ok := e.ObjectOld.(*v1alpha1.RecoveryPlan)
		is, also := e.ObjectNew.(*v1alpha1.RecoveryPlan)
		return ok && also && (recoverability.Asked(was) != recoverability.Asked(is) || lastRun(was) != lastRun(is))
	},
}

func lastRun(plan *v1alpha1.RecoveryPlan) types.UID {
	if last := plan.Status.LastRun; last != nil {
		return last.UID
	}
	return ""
}

// ends lets a run through that ended or is gone.
var ends = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		was, ok := e.ObjectOld.(*v1alpha1.RecoveryRun)
		is, also := e.ObjectNew.(*v1alpha1.RecoveryRun)
		return ok && also && was.Status.FinishedAt == nil && is.Status.FinishedAt != nil
	},
}

func planOf(_ context.Context, o client.Object) []reconcile.Request {
	run, ok := o.(*v1alpha1.RecoveryRun)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: run.Namespace, Name: run.Spec.PlanRef.Name}}}
}

// evaluate a plan when it is due, and say when it is due next.
func (r *Reconciler) evaluate(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	plan := &v1alpha1.RecoveryPlan{}
	err := r.Reader.Get(ctx, request.NamespacedName, plan)
	if apierrors.IsNotFound(err) || err == nil && plan.DeletionTimestamp != nil {
		unobservePlan(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("read plan %s: %w", request, err)
	}
	observePlan(plan, r.Clock.Now())
	at, due := recoverability.Due(plan, r.Clock.Now())
	if !due {
		return ctrl.Result{}, nil
	}
	if wait := at.Sub(r.Clock.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	busy, err := r.working(ctx, plan)
	if err != nil {
		return ctrl.Result{}, err
	}
	if busy {
		return ctrl.Result{RequeueAfter: busyEvery}, nil
	}
	verdict := recoverability.Judge(r.facts(ctx, plan))
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // the process ends; the next one looks
	}
	return r.recordEvaluation(ctx, plan, verdict)
}

// working says whether a run of the plan is under way: it looks at the same things more
// closely, and what it finds on its way is not the state of the plan. One that waits for a
// person does not count.
func (r *Reconciler) working(ctx context.Context, plan *v1alpha1.RecoveryPlan) (bool, error) {
	runs := &v1alpha1.RecoveryRunList{}
	if err := r.Client.List(ctx, runs, client.InNamespace(plan.Namespace)); err != nil {
		return false, fmt.Errorf("list the runs of plan %s: %w", plan.Name, err)
	}
	for i := range runs.Items {
		run := &runs.Items[i]
		if run.Spec.PlanRef.Name != plan.Name || run.Status.FinishedAt != nil {
			continue
		}
		if phase := recovery.Current(run); phase == nil || phase.Name != v1alpha1.PhaseApproval {
			return true, nil
		}
	}
	return false, nil
}

// recordEvaluation in the plan as it is now. It is the only write of an evaluation.
func (r *Reconciler) recordEvaluation(ctx context.Context, evaluated *v1alpha1.RecoveryPlan, v recoverability.Verdict) (ctrl.Result, error) {
	key := client.ObjectKeyFromObject(evaluated)
	var err error
	for range recordings {
		plan := &v1alpha1.RecoveryPlan{}
		if err = r.Reader.Get(ctx, key, plan); err != nil {
			break
		}
		if plan.UID != evaluated.UID {
			return ctrl.Result{RequeueAfter: time.Millisecond}, nil // another one of that name
		}
		now := r.Clock.Now()
		recoverability.Record(plan, v, evaluated.Generation, recoverability.Asked(evaluated), now)
		if err = r.Client.Status().Update(ctx, plan); err == nil {
			observePlan(plan, now)
			return again(plan, now), nil
		}
		if !apierrors.IsConflict(err) {
			break
		}
	}
	if client.IgnoreNotFound(err) == nil {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, fmt.Errorf("record the evaluation of plan %s: %w", key, err)
}

func again(plan *v1alpha1.RecoveryPlan, now time.Time) ctrl.Result {
	at, due := recoverability.Due(plan, now)
	if !due {
		return ctrl.Result{}
	}
	return ctrl.Result{RequeueAfter: max(at.Sub(now), time.Second)}
}

// safely turns a panic on some input into an error.
func safely(ctx context.Context, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = defect(ctx, p, debug.Stack())
		}
	}()
	return do()
}
