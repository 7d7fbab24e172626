package recovery

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// committing makes the new side the one that serves, or gives the service back.
func committing(o Observation) Decision {
	f, order := o.Run.Status.Failover, o.Run.Spec.Commit
	rule, from := f.Policy.Commit, Current(o.Run).StartedAt.Add(stoodStill(o.Run, v1alpha1.PhaseCommit))
	var due time.Time
	if rule.After != nil {
		due = from.Add(rule.After.Duration)
	}
	over := !due.IsZero() && !o.Now.Before(due)
	wait := Decision{Action: Wait, Until: due, Waiting: "somebody to decide: refloat commit " + o.Run.Name}
	if !deletesOld(f) {
		wait.Waiting += ", or refloat rollback " + o.Run.Name
	}
	if !due.IsZero() && !over {
		wait.Again = max(due.Sub(o.Now), time.Second)
	}
	switch {
	case o.Sides.Fault != nil:
		return failed(o, o.Sides.Fault) // who serves is not known
	case committed(o), f.FromIdle: // what is undone never served: there is nothing to choose
		return Decision{Action: CommitServing}
	case rollingBack(f), order == v1alpha1.DecideRollBack, order == "" && over && rule.Policy == v1alpha1.CommitRollBackAfter:
		return decided(f, rollBack(o, wait))
	case rule.Policy == "", rule.Policy == v1alpha1.CommitImmediately:
		return Decision{Action: CommitServing}
	case order == v1alpha1.DecideCommit, rule.Policy == v1alpha1.CommitAfter && over:
		return decided(f, Decision{Action: CommitServing})
	case rule.Policy == v1alpha1.CommitAfter:
		wait.Waiting = "the time to commit; " + wait.Waiting
	case rule.Policy == v1alpha1.CommitRollBackAfter:
		wait.Waiting = "the time to roll back; " + wait.Waiting
	}
	return wait
}

// decided records that what was waited for begins, before it does: it came at any time of the
// phase, or long after it while nobody looked, and has a limit of its own.
func decided(f *v1alpha1.FailoverRecord, d Decision) Decision {
	if f.DecidedAt == nil && (d.Action == RecordCall || d.Action == CommitServing || d.Action == GiveBack) {
		return Decision{Action: RecordDecided}
	}
	return d
}

// RecordDecision keeps when a commit or a rollback began.
func RecordDecision(run *v1alpha1.RecoveryRun, now time.Time) {
	run.Status.Failover.DecidedAt = micro(now)
	run.Status.Waiting = nil // its limit was that of the decision
}

// lastStep of a commit or rollback that is under way; zero before it was decided.
func lastStep(f *v1alpha1.FailoverRecord) time.Time {
	var last time.Time
	later := func(t *metav1.MicroTime) {
		if t != nil && t.After(last) {
			last = t.Time
		}
	}
	later(f.DecidedAt)
	for _, c := range rollbackCalls(f) {
		if h := hookRecord(f, c.Name); h != nil {
			later(&h.SentAt)
			later(h.AnsweredAt)
		}
	}
	return last
}

// committed tells whether the serving record says already that the run committed: a process
// died between that and what follows, which no later order turns round.
func committed(o Observation) bool {
	s, f := o.Serving, o.Run.Status.Failover
	return s != nil && s.Done == o.Run.UID && s.Pending == "" && s.Epoch == f.Epoch && s.Plan == f.To.Plan
}

// rollingBack tells whether a rollback has begun, which nothing turns round.
func rollingBack(f *v1alpha1.FailoverRecord) bool {
	for _, c := range rollbackCalls(f) {
		if !deletesOld(f) && hookRecord(f, c.Name) != nil {
			return true
		}
	}
	return false
}

// rollBack gives the service back to an old side that is still there; otherwise it says so
// and waits for another decision.
func rollBack(o Observation, wait Decision) Decision {
	f, p := o.Run.Status.Failover, o.Run.Status.Previous
	if f.RolledBackAt != nil {
		return failed(o, Faultf("RolledBack", "the failover was rolled back: Cluster %s of plan %s serves; Cluster %s of plan %s runs on, as a standby", f.From.Cluster, f.From.Plan, f.To.Cluster, f.To.Plan))
	}
	if p == nil || p.UID == "" || p.DeleteRequestedAt != nil || !o.Old.Exists || o.Old.UID != p.UID || !o.Old.DeletingSince.IsZero() {
		wait.Waiting = fmt.Sprintf("another decision: it cannot be rolled back, since Cluster %s of plan %s is gone; refloat commit %s, and fail over to plan %s later",
			f.From.Cluster, f.From.Plan, o.Run.Name, f.From.Plan)
		return wait
	}
	if deletesOld(f) {
		wait.Waiting = fmt.Sprintf("another decision: it cannot be rolled back, since fence.method is not Hook and no rollback was prepared, although Cluster %s is still there; refloat commit %s, and fail over to plan %s later",
			f.From.Cluster, o.Run.Name, f.From.Plan)
		return wait
	}
	if call := unanswered(f, rollbackCalls(f)); call != nil {
		return calling(o, call, func(fault *Fault) Decision {
			return failed(o, Faultf("RollBackFailed", "%s; who serves is not decided: mend the hook, then order a failover to the plan that is to serve, %s or %s", fault.Message, f.From.Plan, f.To.Plan))
		})
	}
	return Decision{Action: GiveBack}
}

// RecordCommitted ends the run with the new side serving.
func RecordCommitted(run *v1alpha1.RecoveryRun, now time.Time) {
	f := run.Status.Failover
	f.CommittedAt = micro(now)
	RecordAdvance(run, fmt.Sprintf("Cluster %s of plan %s serves at epoch %d", f.To.Cluster, f.To.Plan, f.Epoch), now)
}

// RecordGivenBack says that the old side serves again.
func RecordGivenBack(run *v1alpha1.RecoveryRun, now time.Time) {
	run.Status.Failover.RolledBackAt = micro(now)
	condition(run, now, v1alpha1.ConditionSwitched, metav1.ConditionFalse, "RolledBack", "the service was given back")
}
