package recovery

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// The rules that come before what the phase itself has to decide. Each returns nil when
// it has nothing to say.

// whenFinished tidies up behind a run that has its result.
func whenFinished(o Observation) *Decision {
	if o.Run.Status.FinishedAt == nil {
		return nil
	}
	switch {
	case !o.PlanInformed:
		return &Decision{Action: InformPlan}
	case o.Lock.State == LockMine || o.Lock.Held:
		return &Decision{Action: ReleaseLock}
	case hasFinalizer(o.Run):
		return &Decision{Action: RemoveFinalizer}
	}
	return &Decision{Action: Rest}
}

// whenQueued brings a run to its start: finalizer, then lock, then the copy of the plan.
func whenQueued(o Observation) *Decision {
	if o.Run.Status.StartedAt != nil {
		return nil
	}
	if o.Run.DeletionTimestamp != nil {
		return unqueued(o)
	}
	switch {
	case o.Run.Status.Failure != nil:
		d := finishing(o)
		return &d
	case o.Run.Spec.Cancel != nil:
		return whenCancelled(o)
	}
	if fault := pointless(o); fault != nil {
		d := failed(o, fault)
		return &d
	}
	switch {
	case o.Run.Spec.Suspend && o.Lock.State != LockMine:
		return &Decision{Action: Wait, Waiting: suspended}
	case !hasFinalizer(o.Run):
		return &Decision{Action: AddFinalizer}
	case notItsTurn(o) != "" && o.Lock.State != LockMine:
		until := o.Run.CreationTimestamp.Add(queuePatience)
		return &Decision{Action: Wait, Waiting: notItsTurn(o), Until: until, Again: lookInQueue}
	case o.Lock.State == LockFree:
		return &Decision{Action: TakeLock}
	case o.Lock.State == LockUnreadable:
		d := failed(o, lockUnreadable(o))
		return &d
	case o.Lock.State == LockTaken:
		until := o.Run.CreationTimestamp.Add(queuePatience)
		return &Decision{
			Action: Wait, Waiting: fmt.Sprintf("run %s to finish with cluster %s", o.Lock.Holder, o.Plan.Spec.Cluster.Name),
			Until: until, Again: max(until.Sub(o.Now), time.Second),
		}
	}
	return &Decision{Action: Start}
}

// notItsTurn says what a run waits for that may not start yet; empty when it may.
func notItsTurn(o Observation) string {
	if o.Stopped != "" && Automated(o.Run) {
		return "the gate to open: " + o.Stopped
	}
	return o.Behind
}

// unqueued tidies up behind a run that was deleted before it started.
func unqueued(o Observation) *Decision {
	switch {
	case o.Lock.State == LockMine || o.Lock.Held:
		return &Decision{Action: ReleaseLock}
	case hasFinalizer(o.Run):
		return &Decision{Action: RemoveFinalizer}
	}
	return &Decision{Action: Rest}
}

// pointless says why an order cannot be what is wanted now.
func pointless(o Observation) *Fault {
	run, ordered := o.Run, o.Run.CreationTimestamp
	switch {
	case o.Plan == nil:
		return Faultf("PlanNotFound", "RecoveryPlan %s/%s does not exist; create it, then another run", run.Namespace, run.Spec.PlanRef.Name)
	case o.Lock.State != LockMine && !ordered.IsZero() && !o.Now.Before(ordered.Add(queuePatience)):
		return Faultf("NotStarted", "the run was ordered %s ago and could not start until now; what was wanted then may not be wanted any more: order it again",
			o.Now.Sub(ordered.Time).Round(time.Minute))
	}
	if plan, cluster := confirmedCluster(o); run.Spec.Cluster != "" && run.Spec.Cluster != cluster {
		return Faultf("PlanChanged", "plan %s makes cluster %s now, and the run was ordered for %s; nothing was deleted: order another run",
			plan, cluster, run.Spec.Cluster)
	}
	return pointlessFailover(o)
}

// lookInQueue is how often a run that waits says where it is: when it is near its turn it is
// told sooner.
const lookInQueue = time.Minute

// queuePatience is how long an order waits for its turn. One that deletes a cluster must
// not be carried out when nobody remembers it.
const queuePatience = 24 * time.Hour

// whenDeposed makes sure that one process works on the run, the latest.
func whenDeposed(o Observation) *Decision {
	switch {
	case o.Claimed == 0:
		return &Decision{Action: Claim}
	case o.Claimed != o.Run.Status.Epoch:
		return &Decision{Action: Rest}
	}
	return nil
}

func lockUnreadable(o Observation) *Fault {
	return Faultf("LockUnreadable", "Lease %s has a holder but not the annotation that names its run; somebody edited it: delete it when no run works on the cluster, then start another run", o.Lock.Holder)
}

func whenLockLost(o Observation) *Decision {
	if o.Run.Status.Failure != nil || cleaning(o.Run) {
		return nil // what is left to do is to clean up
	}
	switch o.Lock.State {
	case LockFree:
		return &Decision{Action: TakeLock}
	case LockUnreadable:
		d := failed(o, lockUnreadable(o))
		return &d
	case LockTaken:
		d := failed(o, Faultf("LockLost", "run %s took the lock of cluster %s; somebody removed it from this run", o.Lock.Holder, o.Run.Status.Pinned.Plan.Cluster.Name))
		return &d
	}
	return nil
}

func whenDeleted(o Observation) *Decision {
	if o.Run.DeletionTimestamp == nil || o.Run.Status.Failure != nil || cleaning(o.Run) {
		return nil
	}
	d := failed(o, Faultf("RunDeleted", "the run was deleted"))
	return &d
}

// whenFailed sends a failed run to its end, a drill by way of Cleanup.
func whenFailed(o Observation) *Decision {
	failure := o.Run.Status.Failure
	if failure == nil {
		return nil
	}
	current := Current(o.Run)
	if current != nil && current.Name == v1alpha1.PhaseCleanup && failure.Phase != v1alpha1.PhaseCleanup {
		return nil // under way, with its own limit
	}
	made := o.Run.Spec.Operation == v1alpha1.OperationDrill && o.Run.Status.Target != nil
	if made && entered(o.Run, v1alpha1.PhaseCleanup) == nil {
		return &Decision{Action: CleanUp}
	}
	if interrupted(o.Run) {
		return &Decision{Action: ResumeDrained}
	}
	d := finishing(o)
	return &d
}

// reportPatience is how long a run tries to store its final report.
const reportPatience = 2 * time.Minute

// ReportGivenUp tells whether a run whose report could not be stored finishes without:
// its lock must not be held for ever because of a full disk or a quota.
func ReportGivenUp(o Observation) bool {
	ended := o.Run.CreationTimestamp.Time // of a run that never started
	if n := len(o.Run.Status.Phases); n > 0 && o.Run.Status.Phases[n-1].FinishedAt != nil {
		ended = o.Run.Status.Phases[n-1].FinishedAt.Time
	}
	return !o.Now.Before(ended.Add(reportPatience))
}

// WhenLate says what becomes of a decision after the limit of its phase, nil when there
// is none or it has not passed. What ends the phase is still done: an end seen late is
// an end. What waits or begins is not, and neither is what failed again; a failed action
// is asked about as a Wait.
func WhenLate(o Observation, d Decision) *Decision {
	deadline := Deadline(o.Run)
	if deadline.IsZero() || o.Now.Before(deadline) || !begins(o, d.Action) {
		return nil
	}
	current := Current(o.Run)
	if current.Name == v1alpha1.PhaseFence && fenceBegan(o.Run) {
		return lateFence(o, d)
	}
	if o.Run.Status.RecoveredAt != nil && current.Name == v1alpha1.PhaseVerify {
		return nil
	}
	waited := "it to end"
	if o.Run.Status.Waiting != nil {
		waited = o.Run.Status.Waiting.For
	}
	fault := Faultf("TimedOut", "%s did not end within %s; it waited for %s", current.Name, deadline.Sub(current.StartedAt.Time).Round(time.Second), waited)
	if !Owing(o) {
		late := failed(o, fault)
		return &late
	}
	if told := meta.FindStatusCondition(o.Run.Status.Conditions, v1alpha1.ConditionCleanedUp); told == nil || told.Status != metav1.ConditionFalse {
		return &Decision{Action: MarkLate, Message: fault.Message + "; the deletion goes on"}
	}
	if d.Waiting != "" {
		d.Waiting = "(late) " + d.Waiting
	}
	return &d
}

// begins tells actions that wait or begin something from those that end it. The
// deletion of what a drill made is never too late.
func begins(o Observation, action Action) bool {
	switch action {
	case Wait:
		return !answering(o)
	case RecordCall, CallHook, Prepare:
		return !rollingOn(o.Run)
	case Preflight, AwaitSlot, TakeSlot, PreviewLoss, KeepIdentity, Create, Apply, Verify:
		return true
	case RecordDelete, Delete, SurveyDrain, DrainCluster:
		return !cleaning(o.Run)
	}
	return false
}

// rollingOn tells whether a rollback is under way. It is never too late for its next hook,
// which has a limit of its own: half a rollback helps nobody.
func rollingOn(run *v1alpha1.RecoveryRun) bool {
	current := Current(run)
	return current != nil && current.Name == v1alpha1.PhaseCommit
}

// answering tells whether a hook of a rollback is being called at this moment, or what it
// applies is being rendered.
func answering(o Observation) bool {
	return rollingOn(o.Run) && (o.Work.State == WorkRunning || o.Materials.State == WorkRunning)
}

// Owing tells whether the run still has to delete a Cluster that it made and that is
// there. Nothing ends the run before: nobody else would delete it.
func Owing(o Observation) bool {
	target := o.Run.Status.Target
	return cleaning(o.Run) && target != nil && o.Cluster.Exists && (o.Cluster.UID == target.UID || target.UID == "" && o.Cluster.Stamp.Run == o.Run.UID)
}

// cleaning tells whether the run is deleting what it made, which nothing may cut short.
func cleaning(run *v1alpha1.RecoveryRun) bool {
	current := Current(run)
	return current != nil && current.Name == v1alpha1.PhaseCleanup
}
