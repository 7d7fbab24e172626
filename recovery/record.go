package recovery

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/recoverability"
)

// The functions below record what happened in a run's status. They change the object
// they are given and nothing else; times are the caller's.

const (
	maxMessage = 4096
	maxFailure = 8192
	maxWaiting = 1024
)

// setPhase is the summary that people see; no code reads it.
func setPhase(run *v1alpha1.RecoveryRun, phase string) { run.Status.Phase = v1alpha1.RunPhase(phase) }

// RecordStart copies the plan into the run and enters Preflight.
func RecordStart(run *v1alpha1.RecoveryRun, plan *v1alpha1.RecoveryPlan, now time.Time) {
	s := &run.Status
	s.ObservedGeneration = run.Generation
	s.Epoch++
	s.StartedAt = micro(now)
	s.Pinned = &v1alpha1.PinnedInputs{PlanUID: plan.UID, PlanGeneration: plan.Generation, Plan: *plan.Spec.DeepCopy()}
	condition(run, now, v1alpha1.ConditionSucceeded, metav1.ConditionUnknown, "Running", "the run goes on")
	enter(run, v1alpha1.PhasePreflight, now)
}

// RecordAdvance ends the phase under way and enters the next of the sequence.
func RecordAdvance(run *v1alpha1.RecoveryRun, message string, now time.Time) {
	current := Current(run)
	if current == nil {
		return
	}
	name := current.Name
	leave(run, message, now)
	switch name {
	case v1alpha1.PhaseBootstrap:
		condition(run, now, v1alpha1.ConditionClusterProvisioned, metav1.ConditionTrue, "Usable", message)
	case v1alpha1.PhaseTeardown, v1alpha1.PhaseCleanup:
		condition(run, now, v1alpha1.ConditionCleanedUp, metav1.ConditionTrue, "Deleted", message)
	case v1alpha1.PhaseWaves:
		condition(run, now, v1alpha1.ConditionStateApplied, metav1.ConditionTrue, "Applied", message)
	case v1alpha1.PhaseSwitch:
		run.Status.Failover.SwitchedAt = micro(now)
		condition(run, now, v1alpha1.ConditionSwitched, metav1.ConditionTrue, "Switched", message)
	}
	following := next(run, name)
	if following == v1alpha1.PhaseApproval {
		run.Status.Approval = &v1alpha1.ApprovalRecord{Digest: approvalDigest(run), TargetUID: doomedTarget(run).UID, RequestedAt: *micro(now)}
	}
	if following != "" {
		enter(run, following, now)
	}
}

// RecordFailure ends the phase under way with the reason why the run cannot succeed.
// An earlier failure is kept: later ones follow from it or come on top.
func RecordFailure(run *v1alpha1.RecoveryRun, failure v1alpha1.Failure, now time.Time) {
	failure.Message = clip(failure.Message, maxFailure)
	if first := run.Status.Failure; first != nil && failure.Phase == v1alpha1.PhaseCleanup {
		failure.Message = clip(first.Message+"; then the cleanup failed: "+failure.Message, maxFailure)
		failure.Reason = "CleanupFailed"
	}
	run.Status.ObservedGeneration = run.Generation
	run.Status.Failure = &failure
	if kind := conditionOf(failure.Phase); kind != "" {
		condition(run, now, kind, metav1.ConditionFalse, failure.Reason, failure.Message)
	}
	objective := run.Status.Pinned != nil && run.Status.Pinned.Plan.Objective.RecoveryTime != nil
	if objective && run.Spec.Operation != v1alpha1.OperationTeardown && run.Status.RecoveredAt == nil {
		condition(run, now, v1alpha1.ConditionObjectiveMet, metav1.ConditionFalse, "NotRecovered", "the cluster was not recovered")
	}
	leave(run, failure.Message, now)
}

// RecordCleanup enters the Cleanup phase of a failed drill.
func RecordCleanup(run *v1alpha1.RecoveryRun, now time.Time) {
	leave(run, "", now)
	enter(run, v1alpha1.PhaseCleanup, now)
}

// RecordLate says that the cluster of a drill is still there after the limit.
func RecordLate(run *v1alpha1.RecoveryRun, message string, now time.Time) {
	condition(run, now, v1alpha1.ConditionCleanedUp, metav1.ConditionFalse, "TimedOut", message)
}

// RecordVerified records a complete match and, with it, the recovery time.
func RecordVerified(run *v1alpha1.RecoveryRun, now time.Time) {
	s := &run.Status
	now = onward(run, now)
	s.RecoveredAt = micro(now)
	condition(run, now, v1alpha1.ConditionVerified, metav1.ConditionTrue, "Matches", verdict(s.Verification))
	limit := s.Pinned.Plan.Objective.RecoveryTime
	if limit == nil {
		return
	}
	took := RecoveryTime(run)
	status, reason := metav1.ConditionTrue, "InTime"
	if took > limit.Duration {
		status, reason = metav1.ConditionFalse, "TooLate"
	}
	condition(run, now, v1alpha1.ConditionObjectiveMet, status, reason, fmt.Sprintf("recovered in %s, the objective is %s", took.Round(time.Millisecond), limit.Duration))
}

// RecordFinish gives the run its result.
func RecordFinish(run *v1alpha1.RecoveryRun, at time.Time) {
	s := &run.Status
	at = onward(run, at)
	s.ObservedGeneration = run.Generation
	leave(run, "", at)
	s.FinishedAt = micro(at)
	s.Waiting, s.Progress, s.SuspendedAt = nil, nil, nil
	for i := range s.Conditions {
		s.Conditions[i].ObservedGeneration = run.Generation // suspend and cancel raise it
	}
	s.Outcome = OutcomeOf(run)
	defer func() {
		if s.Outcome != "" {
			setPhase(run, string(s.Outcome))
		}
	}()
	if s.Failure != nil {
		condition(run, at, v1alpha1.ConditionSucceeded, metav1.ConditionFalse, s.Failure.Reason, s.Failure.Message)
		setPhase(run, string(v1alpha1.ResultFailed))
		return
	}
	message := "the cluster is deleted; it can be rebuilt from commit " + s.Pinned.Commit
	if run.Spec.Operation != v1alpha1.OperationTeardown {
		message = verdict(s.Verification)
	}
	if s.Failover != nil {
		message = verdictOf(run)
	}
	condition(run, at, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, "Done", message)
	setPhase(run, string(v1alpha1.ResultSucceeded))
}

// What the verdict of a finished run says of its report, at its end.
const (
	noReport = "; the report could not be stored"
	noLink   = "; the report could not be linked to the plan's earlier ones"
)

// RecordNoReport says in the verdict of a finished run that its report is missing.
func RecordNoReport(run *v1alpha1.RecoveryRun, at time.Time) {
	addToVerdict(run, at, noReport)
}

// RecordUnlinked says in the verdict of a finished run that its report is not in the chain of
// its plan, so that nothing proves it.
func RecordUnlinked(run *v1alpha1.RecoveryRun, at time.Time) {
	addToVerdict(run, at, noLink)
}

func addToVerdict(run *v1alpha1.RecoveryRun, at time.Time, remark string) {
	if c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionSucceeded); c != nil {
		condition(run, at, c.Type, c.Status, c.Reason, clip(c.Message, maxFailure-len(remark))+remark)
	}
}

// RecordWaiting says what the run waits for. It reports whether that is news.
func RecordWaiting(run *v1alpha1.RecoveryRun, d Decision, now time.Time) bool {
	s := &run.Status
	text := clip(d.Waiting, maxWaiting)
	if len(s.Phases) == 0 && s.Phase == "" {
		setPhase(run, "Queued")
	}
	if s.Waiting != nil && s.Waiting.For == text {
		return false
	}
	since, until := d.Since, d.Until
	if since.IsZero() {
		since = now
	}
	if until.IsZero() && !AskedUnfenced(run) { // a person has no limit
		until = Deadline(run)
	}
	s.Waiting = &v1alpha1.Waiting{For: text, Since: *micro(since)}
	if !until.IsZero() {
		s.Waiting.Until = micro(until)
	}
	return true
}

// RecoveryTime of a run that was verified; 0 otherwise.
func RecoveryTime(run *v1alpha1.RecoveryRun) time.Duration {
	if run.Status.StartedAt == nil || run.Status.RecoveredAt == nil {
		return 0
	}
	from := run.Status.StartedAt
	if first := run.Status.Retried; first != nil {
		from = &first.StartedAt // people wait since then
	}
	return run.Status.RecoveredAt.Sub(from.Time)
}

// ResultOf a run; empty while it goes on.
func ResultOf(run *v1alpha1.RecoveryRun) v1alpha1.Result {
	switch {
	case run.Status.FinishedAt == nil:
		return ""
	case run.Status.Failure != nil:
		return v1alpha1.ResultFailed
	}
	return v1alpha1.ResultSucceeded
}

// onward is the time to record for now: not before anything that the run has recorded. A
// clock may be set back, and those of two processes need not agree.
func onward(run *v1alpha1.RecoveryRun, now time.Time) time.Time {
	latest := func(t *metav1.MicroTime) {
		if t != nil && t.After(now) {
			now = t.Time
		}
	}
	latest(run.Status.StartedAt)
	latest(run.Status.RecoveredAt)
	for i := range run.Status.Phases {
		latest(&run.Status.Phases[i].StartedAt)
		latest(run.Status.Phases[i].FinishedAt)
	}
	return now
}

func enter(run *v1alpha1.RecoveryRun, phase v1alpha1.Phase, now time.Time) {
	now = onward(run, now)
	run.Status.Phases = append(run.Status.Phases, v1alpha1.PhaseRecord{Name: phase, StartedAt: *micro(now)})
	setPhase(run, string(phase))
}

func leave(run *v1alpha1.RecoveryRun, message string, now time.Time) {
	RecordTurn(run, now)
	run.Status.Waiting, run.Status.Progress = nil, nil
	if current := Current(run); current != nil {
		current.FinishedAt = micro(onward(run, now))
		current.Message = clip(message, maxMessage)
	}
}

// conditionOf the phase, that its failure makes False.
func conditionOf(phase v1alpha1.Phase) string {
	switch phase {
	case v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap:
		return v1alpha1.ConditionClusterProvisioned
	case v1alpha1.PhaseSeed, v1alpha1.PhaseWaves:
		return v1alpha1.ConditionStateApplied
	case v1alpha1.PhaseVerify:
		return v1alpha1.ConditionVerified
	case v1alpha1.PhaseTeardown, v1alpha1.PhaseCleanup:
		return v1alpha1.ConditionCleanedUp
	case v1alpha1.PhaseFence:
		return v1alpha1.ConditionFenced
	case v1alpha1.PhaseSwitch, v1alpha1.PhaseCommit:
		return v1alpha1.ConditionSwitched
	case v1alpha1.PhasePreflight, v1alpha1.PhaseApproval:
	}
	return ""
}

func condition(run *v1alpha1.RecoveryRun, now time.Time, kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&run.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: clip(message, maxFailure),
		ObservedGeneration: run.Generation, LastTransitionTime: metav1.NewTime(now),
	})
}

func micro(t time.Time) *metav1.MicroTime {
	m := metav1.NewMicroTime(t.Truncate(time.Microsecond))
	return &m
}

// clip bounds a text by bytes without breaking a character.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const mark = "…"
	return strings.ToValidUTF8(text[:limit-len(mark)], "") + mark
}

// saysNothing about the plan: the run ended before, only a drill cannot be made, or a cluster
// was protected from a run.
func saysNothing(reason string) bool {
	switch reason {
	case reasonInterrupted, "Cancelled", "RunDeleted", "NameTaken", "DrillRefused", "DrillProfileInvalid",
		"TeardownForbidden", "Held", "WouldLose", "LossUnknown", "LeftoverCollides", "AssertionBroken", "OutageOver", "AutomationStopped", "NotServing":
		return true
	}
	return false
}

// LastDrill is the last rebuild or drill of a plan that succeeded, nil when there was none.
func LastDrill(plan *v1alpha1.RecoveryPlan) *v1alpha1.LastRun {
	last := plan.Status.LastRun
	if last != nil && last.Result == v1alpha1.ResultSucceeded && last.Operation != v1alpha1.OperationTeardown {
		return last
	}
	return plan.Status.LastDrill
}

// RecordPlanReady says in the plan's status whether its last preflight found a fault.
func RecordPlanReady(plan *v1alpha1.RecoveryPlan, run *v1alpha1.RecoveryRun, now time.Time) {
	pinned := run.Status.Pinned
	if pinned == nil || pinned.PlanGeneration != plan.Generation || run.Status.Failover != nil {
		return // the run says nothing about the plan as it is now
	}
	ready := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Rendered",
		Message:            fmt.Sprintf("%s at commit %s", Extent(pinned), pinned.Commit),
		ObservedGeneration: plan.Generation, LastTransitionTime: metav1.NewTime(now),
	}
	if f := run.Status.Failure; f != nil && f.Phase == v1alpha1.PhasePreflight {
		if saysNothing(f.Reason) {
			return
		}
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, f.Reason, f.Message
	}
	plan.Status.ObservedGeneration = plan.Generation
	meta.SetStatusCondition(&plan.Status.Conditions, ready)
}

// Extent of what a run applies, in words.
func Extent(pinned *v1alpha1.PinnedInputs) string {
	return recoverability.Plural(int(pinned.Objects), "object") + " in " + recoverability.Plural(int(pinned.Waves), "wave")
}
