package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// maxSteps within one call of Reconcile; then other runs have their turn.
const maxSteps = 32

// Reconcile takes a run as far as it gets without waiting.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	for range maxSteps {
		o, err := r.observe(ctx, request.NamespacedName)
		if apierrors.IsNotFound(err) && o.Run.Name == "" { // the run, and not what it works with
			r.work.dropNamed(request.NamespacedName)
			return ctrl.Result{}, nil
		}
		if err != nil {
			return ctrl.Result{}, r.unseen(ctx, o, err)
		}
		decision := recovery.Decide(o)
		switch decision.Action {
		case recovery.Rest:
			r.forget(o.Run)
			return ctrl.Result{}, nil
		case recovery.Wait:
			return r.wait(ctx, o, decision)
		}
		ctrl.LoggerFrom(ctx).V(1).Info("next", "action", decision.Action)
		if err := r.act(ctx, o, decision); err != nil {
			if err := r.setback(ctx, o, decision.Action, err); err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	return ctrl.Result{RequeueAfter: time.Millisecond}, nil
}

// setback deals with an action that did not succeed. nil means to look again at once.
func (r *Reconciler) setback(ctx context.Context, o recovery.Observation, action recovery.Action, err error) error {
	var gone *capi.NotFoundError
	var deposed *capi.DeposedError
	if errors.As(err, &gone) {
		return nil // the next observation sees that it is gone
	}
	if errors.As(err, &deposed) {
		r.work.drop(o.Run.UID)
		return fmt.Errorf("%s: %w", action, err)
	}
	if (action == recovery.StoreReport || action == recovery.LinkReport) && recovery.ReportGivenUp(o) {
		ctrl.LoggerFrom(ctx).Error(err, "the run finishes without a report, or without its link")
		return r.finish(ctx, o)
	}
	if apierrors.IsConflict(err) {
		return fmt.Errorf("%s: %w", action, err)
	}
	if fault := recovery.AsFault(err); fault != nil && recovery.Current(o.Run) != nil && !recovery.Owing(o) && action != recovery.MarkApplied {
		phase := recovery.Current(o.Run).Name
		return r.fail(ctx, o, &v1alpha1.Failure{Phase: phase, Reason: fault.Reason, Message: fault.Message})
	}
	if o.Run.Status.FinishedAt != nil {
		return fmt.Errorf("%s: %w", action, err) // its record is closed
	}
	waiting := fmt.Sprintf("%s to succeed, tried again after: %v", action, err)
	return r.instead(ctx, o, waiting, fmt.Errorf("%s: %w", action, err))
}

// unseen deals with a run about which something cannot be read: its limits hold all the
// same, and people see why it does not go on.
func (r *Reconciler) unseen(ctx context.Context, o recovery.Observation, err error) error {
	s := o.Run.Status
	if ctx.Err() != nil || s.StartedAt == nil || s.FinishedAt != nil || recovery.Current(o.Run) == nil {
		return err
	}
	if o.Claimed == 0 {
		return errors.Join(err, r.act(ctx, o, recovery.Decision{Action: recovery.Claim}))
	}
	if o.Claimed != s.Epoch {
		return err // another process has it
	}
	if target := s.Target; target != nil && o.Cluster.Name == "" {
		// Nothing is known of the cluster. Until it is, what a drill made counts as there.
		o.Cluster.Exists, o.Cluster.UID = true, target.UID
	}
	return r.instead(ctx, o, fmt.Sprintf("something to be readable, tried again after: %v", err), err)
}

// instead waits where no action is possible, as long as the limit of the phase allows.
func (r *Reconciler) instead(ctx context.Context, o recovery.Observation, waiting string, err error) error {
	next := recovery.Decision{Action: recovery.Wait, Waiting: waiting}
	if late := recovery.WhenLate(o, next); late != nil {
		next = *late
	}
	var waitErr error
	switch next.Action {
	case recovery.Fail:
		return r.act(ctx, o, next)
	case recovery.Wait:
		_, waitErr = r.wait(ctx, o, next)
	default:
		waitErr = r.act(ctx, o, next)
	}
	return errors.Join(err, waitErr)
}

// wait records what the run waits for, not more often than people can read, and says
// when to look again at the latest.
func (r *Reconciler) wait(ctx context.Context, o recovery.Observation, d recovery.Decision) (ctrl.Result, error) {
	run := o.Run.DeepCopy()
	again := d.Again
	if deadline := recovery.Deadline(run); deadline.After(o.Now) {
		again = sooner(again, deadline.Sub(o.Now))
	}
	news := recovery.RecordWaiting(run, d, o.Now)
	if current := recovery.Current(run); current != nil {
		progress := r.work.progress(phaseKey(run.UID, current.Name))
		if progress != nil && (run.Status.Progress == nil || *progress != *run.Status.Progress) {
			run.Status.Progress, news = progress, true
		}
	}
	if !news {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	if hold := r.claims.mayWrite(run.UID, o.Now); hold > 0 {
		return ctrl.Result{RequeueAfter: sooner(again, hold)}, nil
	}
	if err := r.Client.Status().Update(ctx, run); err != nil {
		return ctrl.Result{}, fmt.Errorf("record what run %s waits for: %w", run.Name, err)
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

// forget a run that needs this process no more.
func (r *Reconciler) forget(run *v1alpha1.RecoveryRun) {
	r.work.drop(run.UID)
	if run.Status.FinishedAt != nil || run.DeletionTimestamp != nil {
		r.claims.forget(run.UID)
	}
}

// update records a change of status. The API server refuses it when the run changed
// since it was observed.
func (r *Reconciler) update(ctx context.Context, o recovery.Observation, change func(run *v1alpha1.RecoveryRun, now time.Time)) error {
	run := o.Run.DeepCopy()
	change(run, o.Now)
	if err := r.Client.Status().Update(ctx, run); err != nil {
		return fmt.Errorf("record the state of run %s: %w", run.Name, err)
	}
	r.announce(o.Run, run)
	return nil
}

// announce tells the phases that changed with an update.
func (r *Reconciler) announce(before, after *v1alpha1.RecoveryRun) {
	was, is := recovery.Current(before), recovery.Current(after)
	switch {
	case was != nil && (is == nil || is.Name != was.Name):
		ended := after.Status.Phases[len(before.Status.Phases)-1]
		r.event(after, "PhaseFinished", "%s: %s", ended.Name, ended.Message)
	case was == nil && is == nil:
		return
	}
	if is != nil && (was == nil || is.Name != was.Name) {
		r.event(after, "PhaseStarted", "%s", is.Name)
	}
}
