package controller

import (
	"context"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// act carries out one action. An error means that it may be carried out again: each
// leaves the same world behind when repeated.
func (r *Reconciler) act(ctx context.Context, o recovery.Observation, d recovery.Decision) error {
	switch d.Action {
	case recovery.AddFinalizer, recovery.RemoveFinalizer:
		return r.finalizer(ctx, o, d.Action == recovery.AddFinalizer)
	case recovery.TakeLock:
		return r.takeLock(ctx, o)
	case recovery.ReleaseLock:
		return r.releaseLock(ctx, o)
	case recovery.Start:
		return r.start(ctx, o)
	case recovery.Claim:
		return r.claim(ctx, o)
	case recovery.Suspend:
		r.work.drop(o.Run.UID)
		return r.update(ctx, o, recovery.RecordSuspend)
	case recovery.Resume:
		return r.update(ctx, o, recovery.RecordResume)
	case recovery.TakeApproval:
		return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordApproval(run, d.Approval, now) })
	case recovery.Advance:
		return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordAdvance(run, d.Message, now) })
	case recovery.CleanUp:
		r.work.drop(o.Run.UID)
		return r.update(ctx, o, recovery.RecordCleanup)
	case recovery.Fail:
		return r.fail(ctx, o, d.Failure)
	case recovery.MarkLate:
		return r.markLate(ctx, o, d.Message)
	case recovery.StoreReport, recovery.LinkReport, recovery.Finish, recovery.InformPlan:
		return r.end(ctx, o, d.Action)
	}
	return r.actOnCluster(ctx, o, d)
}

// end takes one step of a run whose phases are over.
func (r *Reconciler) end(ctx context.Context, o recovery.Observation, action recovery.Action) error {
	switch action {
	case recovery.StoreReport:
		return r.storeFinal(ctx, o)
	case recovery.LinkReport:
		return r.linkReport(ctx, o)
	case recovery.Finish:
		return r.finish(ctx, o)
	default:
		return r.informPlan(ctx, o)
	}
}

// actOnCluster carries out the actions of the phases.
func (r *Reconciler) actOnCluster(ctx context.Context, o recovery.Observation, d recovery.Decision) error {
	switch d.Action {
	case recovery.Preflight:
		r.beginPreflight(o.Run)
		return nil
	case recovery.RecordPreflight:
		return r.recordPreflight(ctx, o)
	case recovery.Prepare:
		r.beginPrepare(o.Run)
		return nil
	case recovery.AwaitSlot, recovery.TakeSlot, recovery.EndWait, recovery.PreviewLoss, recovery.RecordPreview, recovery.KeepIdentity:
		return r.beforeTouching(ctx, o, d)
	case recovery.SurveyDrain, recovery.RecordSurveyed, recovery.DrainCluster, recovery.RecordDrained, recovery.ResumeDrained:
		return r.drain(ctx, o, d.Action)
	case recovery.RecordDelete, recovery.Delete, recovery.Discard:
		return r.delete(ctx, o, d.Action)
	case recovery.Create:
		return r.create(ctx, o)
	case recovery.PinTarget:
		return r.pinTarget(ctx, o, o.Cluster.Incarnation)
	case recovery.PinSystem:
		return r.pinSystem(ctx, o)
	case recovery.Seed:
		return r.seed(ctx, o)
	case recovery.Apply:
		return r.beginApply(o.Run)
	case recovery.RecordWaves:
		return r.recordWaves(ctx, o)
	case recovery.Verify:
		return r.beginVerify(o.Run)
	case recovery.RecordVerification:
		return r.recordVerification(ctx, o)
	case recovery.MarkApplied:
		return r.markApplied(ctx, o)
	}
	return r.actOnFailover(ctx, o, d)
}

// actOnFailover carries out the actions that only a failover has.
func (r *Reconciler) actOnFailover(ctx context.Context, o recovery.Observation, d recovery.Decision) error {
	switch d.Action {
	case recovery.RaiseEpoch:
		return r.raiseEpoch(ctx, o)
	case recovery.RecordCall, recovery.CallHook, recovery.RecordAnswer:
		return r.actOnHooks(ctx, o, d.Action)
	case recovery.RecordFence:
		return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordFenced(run, d.Message, now) })
	case recovery.AskUnfenced:
		err := r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordAskUnfenced(run, d.Message, now) })
		if err == nil {
			r.event(o.Run, "CouldNotFence", "%s", d.Message)
			if call := recovery.PendingCall(o.Run); call != nil {
				r.work.used(callKey(o.Run.UID, call)) // it is tried again meanwhile
			}
		}
		return err
	case recovery.TakeUnfenced:
		r.work.drop(o.Run.UID)
		return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordUnfenced(run, d.Approval, now) })
	case recovery.RecordDecided:
		return r.update(ctx, o, recovery.RecordDecision)
	case recovery.CommitServing:
		return r.commitServing(ctx, o)
	case recovery.GiveBack:
		return r.returnService(ctx, o)
	}
	return fmt.Errorf("action %s is not known", d.Action)
}

func (r *Reconciler) finalizer(ctx context.Context, o recovery.Observation, add bool) error {
	run := o.Run.DeepCopy()
	change := controllerutil.RemoveFinalizer
	if add {
		change = controllerutil.AddFinalizer
	}
	change(run, recovery.Finalizer)
	patch := client.MergeFromWithOptions(o.Run, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, run, patch); err != nil {
		return fmt.Errorf("set the finalizers of run %s: %w", run.Name, err)
	}
	return nil
}

func (r *Reconciler) start(ctx context.Context, o recovery.Observation) error {
	err := r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
		recovery.RecordStart(run, o.Plan, now)
		if recovery.FailsOver(run) {
			recovery.RecordSides(run, o.Plan, o.Sides, o.Serving)
		}
	})
	if err == nil {
		r.claims.set(o.Run.UID, o.Run.Status.Epoch+1)
	}
	return err
}

// claim raises the epoch: a process that worked on the run before finds it changed
// and stops, at its next write at the latest. It has taken the run over only once the
// clusters whose deletion may be under way are fenced; till then it decides nothing.
func (r *Reconciler) claim(ctx context.Context, o recovery.Observation) error {
	epoch := o.Run.Status.Epoch + 1
	if err := r.update(ctx, o, func(run *v1alpha1.RecoveryRun, _ time.Time) { run.Status.Epoch = epoch }); err != nil {
		return err
	}
	for _, inc := range []*v1alpha1.Incarnation{o.Run.Status.Previous, o.Run.Status.Target} {
		if inc == nil || inc.DeleteRequestedAt == nil && inc.Drain == nil {
			continue
		}
		if err := r.Clusters.Fence(ctx, incarnation(o.Run, inc), capi.Stamp{Run: o.Run.UID, Epoch: epoch}); err != nil {
			return err
		}
	}
	r.claims.set(o.Run.UID, epoch)
	return nil
}

func stampOf(o recovery.Observation) capi.Stamp {
	return capi.Stamp{Run: o.Run.UID, Epoch: o.Claimed}
}

// fail records why the run cannot succeed, with what is known of each object so far if
// that can be stored: the failure, and a cleanup that follows, wait for no report.
func (r *Reconciler) fail(ctx context.Context, o recovery.Observation, failure *v1alpha1.Failure) error {
	stored := false
	if o.Run.DeletionTimestamp == nil {
		var err error
		if stored, err = r.storeInterim(ctx, o); err != nil {
			stored = false
			ctrl.LoggerFrom(ctx).Error(err, "the failure is recorded without details of each object")
		}
	}
	err := r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
		if stored {
			run.Status.ReportRef = &v1alpha1.LocalConfigMapReference{Name: recovery.ReportName(run)}
		}
		if f, none := outcome[*findings](r.work, phaseKey(run.UID, v1alpha1.PhasePreflight)); none == nil && f != nil {
			recovery.RecordLoss(run, f.loss)
		}
		if f, none := outcome[*findings](r.work, previewKey(run.UID)); none == nil && f != nil && f.loss != (recovery.LossFound{}) {
			recovery.RecordLossAgain(run, f.loss, f.lookedAt)
		}
		recovery.RecordFailure(run, *failure, now)
	})
	if err != nil {
		return err
	}
	r.work.drop(o.Run.UID)
	r.event(o.Run, "Failed", "%s: %s", failure.Phase, failure.Message)
	return nil
}

// markLate tells people that a drill's cluster is still there.
func (r *Reconciler) markLate(ctx context.Context, o recovery.Observation, message string) error {
	err := r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordLate(run, message, now) })
	if err == nil {
		r.event(o.Run, "CleanupLate", "%s", message)
	}
	return err
}

// finish gives the run its result, as of its report.
func (r *Reconciler) finish(ctx context.Context, o recovery.Observation) error {
	at := o.Report.FinishedAt
	if at.IsZero() {
		at = o.Now // a deleted run has no report, nor one that could not be stored
	}
	var finished *v1alpha1.RecoveryRun
	err := r.update(ctx, o, func(run *v1alpha1.RecoveryRun, _ time.Time) {
		if o.Report.Final {
			run.Status.ReportRef = &v1alpha1.LocalConfigMapReference{Name: recovery.ReportName(run)}
		}
		recovery.RecordFinish(run, at)
		switch {
		case run.DeletionTimestamp != nil:
		case !o.Report.Final:
			recovery.RecordNoReport(run, at)
		case o.Report.Link == recovery.LinkFits || o.Report.Link == recovery.LinkStale:
			recovery.RecordUnlinked(run, at)
		}
		finished = run
	})
	if err == nil && recovery.ResultOf(finished) == v1alpha1.ResultSucceeded {
		r.event(o.Run, "Succeeded", "%s of plan %s", o.Run.Spec.Operation, o.Run.Spec.PlanRef.Name)
	}
	return err
}
