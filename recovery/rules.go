package recovery

import (
	"fmt"
	"time"

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
	case o.Lock.State == LockMine:
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
	switch {
	case o.Run.DeletionTimestamp != nil && o.Lock.State == LockMine:
		return &Decision{Action: ReleaseLock}
	case o.Run.DeletionTimestamp != nil && hasFinalizer(o.Run):
		return &Decision{Action: RemoveFinalizer}
	case o.Run.DeletionTimestamp != nil:
		return &Decision{Action: Rest}
	case o.Run.Status.Failure != nil:
		d := finishing(o)
		return &d
	case o.Plan == nil:
		d := failed(o, Faultf("PlanNotFound", "RecoveryPlan %s/%s does not exist; create it, then another run", o.Run.Namespace, o.Run.Spec.PlanRef.Name))
		return &d
	case !hasFinalizer(o.Run):
		return &Decision{Action: AddFinalizer}
	case o.Lock.State == LockFree:
		return &Decision{Action: TakeLock}
	case o.Lock.State == LockTaken:
		return &Decision{Action: Wait, Waiting: fmt.Sprintf("run %s to finish with cluster %s", o.Lock.Holder, o.Plan.Spec.Cluster.Name)}
	}
	return &Decision{Action: Start}
}

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

func whenLockLost(o Observation) *Decision {
	if o.Run.Status.Failure != nil || cleaning(o.Run) {
		return nil // what is left to do is to clean up
	}
	switch o.Lock.State {
	case LockFree:
		return &Decision{Action: TakeLock}
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
	d := finishing(o)
	return &d
}

func whenLate(o Observation) *Decision {
	deadline := Deadline(o.Run)
	if deadline.IsZero() || o.Now.Before(deadline) || o.Run.Status.RecoveredAt != nil && Current(o.Run).Name != v1alpha1.PhaseCleanup {
		return nil
	}
	current := Current(o.Run)
	waited := "it to end"
	if o.Run.Status.Waiting != nil {
		waited = o.Run.Status.Waiting.For
	}
	d := failed(o, Faultf("TimedOut", "%s did not end within %s; it waited for %s", current.Name, deadline.Sub(current.StartedAt.Time).Round(time.Second), waited))
	return &d
}

// cleaning tells whether the run is deleting what it made, which nothing may cut short.
func cleaning(run *v1alpha1.RecoveryRun) bool {
	current := Current(run)
	return current != nil && current.Name == v1alpha1.PhaseCleanup
}
