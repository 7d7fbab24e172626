package controller

import (
	"context"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// budgets that the plan of a run is under, while the run is about to delete its cluster.
// The plan's labels count as they are now.
func (r *Reconciler) budgets(ctx context.Context, o recovery.Observation, phase v1alpha1.Phase) ([]recovery.Budget, error) {
	if !deletes(phase) || !recovery.NeedsSlot(o.Run) || !recovery.DeletesPrevious(o.Run) {
		return nil, nil
	}
	all, err := r.allBudgets(ctx, o.Run.Namespace)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	side := recovery.DoomedSide(o.Run)
	plan, err := r.planNamed(ctx, o.Run.Namespace, side.Plan)
	if err != nil {
		return nil, err
	}
	if plan == nil || plan.UID != side.UID {
		return []recovery.Budget{{Budget: &all[0], Fault: recovery.Faultf("BudgetUnknown",
			"plan %s is gone, so that nobody can tell whether it is under TeardownBudget %s; the cluster was left alone", side.Plan, all[0].Name)}}, nil
	}
	var found []recovery.Budget
	for i := range all {
		b := &all[i]
		selects, fault := recovery.BudgetSelects(b, plan.Labels)
		switch {
		case fault != nil:
			found = append(found, recovery.Budget{Budget: b, Fault: fault})
		case selects && recovery.HasSlot(b, o.Run):
			found = append(found, recovery.Budget{Budget: b, Mine: true})
		case selects:
			facts, err := r.budgetFacts(ctx, b)
			if err != nil {
				return nil, err
			}
			found = append(found, recovery.WeighBudget(b, o.Run, facts, o.Now))
		}
	}
	return found, nil
}

func (r *Reconciler) allBudgets(ctx context.Context, namespace string) ([]v1alpha1.TeardownBudget, error) {
	var all []v1alpha1.TeardownBudget
	page := &v1alpha1.TeardownBudgetList{}
	err := r.pages(ctx, namespace, page, func() {
		all = append(all, page.Items...)
	})
	return all, err
}

// budgetFacts are read after the budget, and in the order that BudgetFacts asks for.
func (r *Reconciler) budgetFacts(ctx context.Context, b *v1alpha1.TeardownBudget) (recovery.BudgetFacts, error) {
	facts := recovery.BudgetFacts{Runs: map[types.UID]*v1alpha1.RecoveryRun{}, Plans: map[string]bool{}}
	for _, slot := range b.Status.Slots {
		if slot.Finished {
			continue
		}
		run := &v1alpha1.RecoveryRun{}
		err := r.Reader.Get(ctx, client.ObjectKey{Namespace: b.Namespace, Name: slot.Run}, run)
		if err != nil && !apierrors.IsNotFound(err) {
			return facts, fmt.Errorf("read run %s, which has a slot of TeardownBudget %s: %w", slot.Run, b.Name, err)
		}
		if err == nil && run.UID == slot.UID {
			facts.Runs[run.UID] = run
		}
	}
	clusters := map[string]string{} // of the selected plans
	plans := &v1alpha1.RecoveryPlanList{}
	err := r.pages(ctx, b.Namespace, plans, func() {
		for i := range plans.Items {
			p := &plans.Items[i]
			if selects, fault := recovery.BudgetSelects(b, p.Labels); selects && fault == nil {
				clusters[p.Name] = p.Spec.Cluster.Name
			}
		}
	})
	if err != nil {
		return facts, err
	}
	working := map[string]bool{}
	list := &clusterv1.ClusterList{}
	err = r.pages(ctx, b.Namespace, list, func() {
		for i := range list.Items {
			working[list.Items[i].Name] = works(&list.Items[i])
		}
	})
	for plan, cluster := range clusters {
		facts.Plans[plan] = !working[cluster]
	}
	return facts, err
}

// works tells whether a Cluster counts as up: Cluster API calls it available, and one that
// Refloat made was verified.
func works(c *clusterv1.Cluster) bool {
	_, made := c.Labels[capi.LabelCluster]
	return c.DeletionTimestamp == nil && meta.IsStatusConditionTrue(c.Status.Conditions, clusterv1.ClusterAvailableCondition) &&
		(!made || meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionGitStateApplied))
}

// beforeTouching takes one step of what comes between the preflight, or an approval, and the
// first request that changes a cluster.
func (r *Reconciler) beforeTouching(ctx context.Context, o recovery.Observation, d recovery.Decision) error {
	switch d.Action {
	case recovery.AwaitSlot:
		return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordAwaitSlot(run, d.Until, now) })
	case recovery.TakeSlot:
		return r.takeSlot(ctx, o, d.Budget)
	case recovery.EndWait:
		return r.update(ctx, o, recovery.RecordTurn)
	case recovery.KeepIdentity:
		return r.keepIdentity(ctx, o)
	default:
		return r.previewAgain(ctx, o, d.Action)
	}
}

// takeSlot writes a run into a budget as it was counted. The API server refuses that when
// somebody else took a slot since; then it is counted again.
func (r *Reconciler) takeSlot(ctx context.Context, o recovery.Observation, counted *v1alpha1.TeardownBudget) error {
	b := counted.DeepCopy()
	recovery.RecordSlot(b, o.Run, o.Now)
	err := r.Client.Status().Update(ctx, b)
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("take a slot of TeardownBudget %s: %w", b.Name, err)
	}
	return nil
}

// budgetEvery is how often a budget is counted for people; runs count for themselves.
const budgetEvery = time.Minute

// setupBudgets adds the controller that keeps the status of budgets.
func setupBudgets(mgr ctrl.Manager, r *Reconciler) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("teardownbudget").
		For(&v1alpha1.TeardownBudget{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(reconcile.Func(r.refreshBudget))
	if err != nil {
		return fmt.Errorf("set up the controller of budgets: %w", err)
	}
	return nil
}

// refreshBudget counts a budget and writes what changed.
func (r *Reconciler) refreshBudget(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	b := &v1alpha1.TeardownBudget{}
	if err := r.Reader.Get(ctx, request.NamespacedName, b); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before, now := b.Status.DeepCopy(), r.Clock.Now()
	if fault := recovery.BudgetFault(b); fault != nil {
		recovery.RecordBudgetFault(b, fault, now)
	} else {
		facts, err := r.budgetFacts(ctx, b)
		if err != nil {
			return ctrl.Result{}, err
		}
		b.Status = recovery.CountBudget(b, facts, now)
	}
	if apiequality.Semantic.DeepEqual(before, &b.Status) {
		return ctrl.Result{RequeueAfter: budgetEvery}, nil
	}
	if err := r.Client.Status().Update(ctx, b); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("record the count of TeardownBudget %s: %w", request.NamespacedName, err)
	}
	return ctrl.Result{RequeueAfter: budgetEvery}, nil
}
