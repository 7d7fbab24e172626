package controller

import (
	"context"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// leftBehind refuses a run that makes a cluster whose state asks for what an earlier one
// may still hold. The cluster of a retry is there already, and may hold it by now: people
// are told.
func (r *Reconciler) leftBehind(ctx context.Context, run *v1alpha1.RecoveryRun, f *findings) error {
	if run.Spec.Operation == v1alpha1.OperationTeardown {
		return nil
	}
	var others []v1alpha1.RecoveryRun
	page := &v1alpha1.RecoveryRunList{}
	err := r.pages(ctx, run.Namespace, page, func() {
		for i := range page.Items {
			if page.Items[i].Spec.PlanRef == run.Spec.PlanRef {
				others = append(others, page.Items[i])
			}
		}
	})
	if err != nil {
		return err
	}
	collisions := recovery.Collide(recovery.LeftSince(run, others), f.materials.rendered.State, run.Status.Pinned.Plan.Teardown.Drain.Settled, r.Clock.Now())
	if f.retried != nil {
		f.notes = append(f.notes, collisions...)
		return nil
	}
	if fault := recovery.JudgeLeftovers(run, collisions); fault != nil {
		return fault
	}
	return nil
}
