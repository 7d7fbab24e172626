package controller

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// chainOf is the plan whose chain the run's report is to be in, nil when it is gone.
func (r *Reconciler) chainOf(ctx context.Context, run *v1alpha1.RecoveryRun) (*v1alpha1.RecoveryPlan, error) {
	plan, err := r.plan(ctx, run)
	if err != nil || plan == nil || run.Status.Pinned != nil && plan.UID != run.Status.Pinned.PlanUID {
		return nil, err
	}
	return plan, nil
}

// storedReport is what is known of the report and of its place in the chain. The plan is read
// after the report, so that a place that fits here and is taken by then is never linked:
// the API server refuses the plan's status.
func (r *Reconciler) storedReport(ctx context.Context, run *v1alpha1.RecoveryRun) (recovery.StoredReport, error) {
	held, err := r.heldReport(ctx, run)
	if err != nil || held == nil {
		return recovery.StoredReport{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, finalSince(held))
	if err != nil {
		return recovery.StoredReport{}, nil // an interim report
	}
	stored := recovery.StoredReport{Final: true, FinishedAt: at, Link: recovery.LinkStale}
	plan, err := r.chainOf(ctx, run)
	if err != nil {
		return stored, err
	}
	switch {
	case plan == nil:
		stored.Link = recovery.LinkNeedless
	case report.LinkOf(plan, run.UID) != nil:
		stored.Link = recovery.LinkMade
	default:
		content, err := report.FromConfigMap(held)
		if err != nil {
			return recovery.StoredReport{}, err
		}
		if content.Chain.Follows(plan) {
			stored.Link = recovery.LinkFits
		}
	}
	return stored, nil
}

// linkReport writes the report's digest into the plan's status, if it still follows the last
// one there. Somebody else's link in between is seen by looking again.
func (r *Reconciler) linkReport(ctx context.Context, o recovery.Observation) error {
	held, err := r.heldReport(ctx, o.Run)
	if err != nil || held == nil || finalSince(held) == "" {
		return err
	}
	raw, err := report.RawFromConfigMap(held)
	if err != nil {
		return err
	}
	content, err := report.FromJSON(raw)
	if err != nil {
		return err
	}
	digest, err := report.Digest(raw)
	if err != nil {
		return err
	}
	plan, err := r.chainOf(ctx, o.Run)
	if err != nil || plan == nil || report.LinkOf(plan, o.Run.UID) != nil || !content.Chain.Follows(plan) {
		return err
	}
	report.RecordLink(plan, o.Run, content.Chain, digest)
	err = r.Client.Status().Update(ctx, plan)
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("link the report of run %s in plan %s: %w", o.Run.Name, plan.Name, err)
	}
	return nil
}

// history of the plan's runs before this one, from the cache. A report does without when it
// cannot be read.
func (r *Reconciler) history(ctx context.Context, run *v1alpha1.RecoveryRun) []report.Past {
	runs := &v1alpha1.RecoveryRunList{}
	if err := r.Client.List(ctx, runs, client.InNamespace(run.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "the report compares with no earlier runs")
		return nil
	}
	return report.HistoryOf(runs.Items, run.Spec.PlanRef.Name, run.Status.FinishedAt.Time, report.MaxHistory)
}
