package recovery

import (
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// whenCancelled ends a run on demand. What was verified is done, and what a drill has to
// delete is deleted: neither is cut short.
func whenCancelled(o Observation) *Decision {
	run := o.Run
	if run.Spec.Cancel == nil || run.Status.Failure != nil || run.Status.RecoveredAt != nil || cleaning(run) {
		return nil
	}
	fault := Faultf("Cancelled", "the run was cancelled: %s", clip(run.Spec.Cancel.Reason, maxWaiting))
	if p := run.Status.Previous; p != nil && p.DeleteRequestedAt != nil {
		fault.Message += "; the deletion of Cluster " + p.Name + " had been sent and goes on"
	}
	if f := run.Status.Failover; f != nil && f.Epoch > 0 {
		fault.Message += fmt.Sprintf("; plan %s was about to take over from plan %s (epoch %d): complete it with another failover, or undo it with one to plan %s", f.To.Plan, f.From.Plan, f.Epoch, f.From.Plan)
	}
	d := failed(o, fault)
	return &d
}

// whenSuspended stops a run between two actions and lets it go on later.
func whenSuspended(o Observation) *Decision {
	run := o.Run
	over := run.Status.Failure != nil && !cleaning(run)
	switch {
	case run.Status.SuspendedAt == nil && (!run.Spec.Suspend || over || Current(run) == nil):
		return nil
	case run.Status.SuspendedAt == nil:
		return &Decision{Action: Suspend}
	case !run.Spec.Suspend || over:
		return &Decision{Action: Resume}
	}
	return &Decision{Action: Wait, Waiting: suspended}
}

const suspended = "the run to be resumed: it is suspended (refloat resume)"

// RecordSuspend says since when the run stands still.
func RecordSuspend(run *v1alpha1.RecoveryRun, now time.Time) {
	RecordTurn(run, now) // what comes now is another reason to stand still
	run.Status.SuspendedAt = micro(now)
	run.Status.Waiting, run.Status.Progress = nil, nil
}

// RecordResume adds the time that the phase stood still to its limit.
func RecordResume(run *v1alpha1.RecoveryRun, now time.Time) {
	s := &run.Status
	if s.SuspendedAt != nil {
		stood := max(now.Sub(s.SuspendedAt.Time), 0) // a clock may be set back
		stand(run, stood)
		if inc := Doomed(run); inc != nil && inc.Drain != nil && inc.Drain.FinishedAt == nil {
			inc.Drain.StartedAt = *micro(inc.Drain.StartedAt.Add(stood)) // its limit stood still, too
		}
	}
	s.SuspendedAt, s.Waiting = nil, nil
}

// stoodStill is how long the phases from the named one on stood still.
func stoodStill(run *v1alpha1.RecoveryRun, from v1alpha1.Phase) time.Duration {
	var sum time.Duration
	counts := false
	for _, p := range run.Status.Phases {
		if counts = counts || p.Name == from; counts && p.Suspended != nil {
			sum += p.Suspended.Duration
		}
	}
	return sum
}
