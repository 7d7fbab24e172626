package recovery

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

var camelCase = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)

// Lint lists the rules that a run's status breaks. Tests hold every status that a
// controller wrote against it.
func Lint(run *v1alpha1.RecoveryRun) []string {
	l := &linter{run: run}
	l.conditions()
	l.phases()
	l.outcome()
	return l.faults
}

type linter struct {
	run    *v1alpha1.RecoveryRun
	faults []string
}

func (l *linter) check(ok bool, format string, args ...any) {
	if !ok {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

func (l *linter) conditions() {
	for _, c := range l.run.Status.Conditions {
		// Suspend and cancel raise the generation of a run under way.
		behind := l.run.Status.FinishedAt == nil && c.ObservedGeneration < l.run.Generation
		l.check(behind || c.ObservedGeneration == l.run.Generation, "condition %s has observedGeneration %d, want %d", c.Type, c.ObservedGeneration, l.run.Generation)
		l.check(camelCase.MatchString(c.Reason), "condition %s has reason %q, want one CamelCase word", c.Type, c.Reason)
		l.check(c.Status != "False" || c.Message != "", "condition %s is False without a message", c.Type)
		l.check(!c.LastTransitionTime.IsZero(), "condition %s has no transition time", c.Type)
	}
}

func (l *linter) phases() {
	var last time.Time
	for i, p := range l.run.Status.Phases {
		l.check(!p.StartedAt.Time.Before(last), "phase %s begins before the one before it ends", p.Name)
		last = p.StartedAt.Time
		l.check(p.FinishedAt != nil || i == len(l.run.Status.Phases)-1, "phase %s never ended although another followed", p.Name)
		if p.FinishedAt != nil {
			l.check(!p.FinishedAt.Time.Before(last), "phase %s ends before it begins", p.Name)
			last = p.FinishedAt.Time
		}
	}
	if s := l.run.Status; s.Waiting != nil {
		l.check(s.Waiting.For != "", "it waits for nothing")
	}
}

func (l *linter) outcome() {
	s := l.run.Status
	succeeded := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionSucceeded)
	if s.StartedAt != nil {
		l.check(succeeded != nil, "a started run has no condition Succeeded")
		l.check(s.Epoch > 0, "a started run has no epoch")
	}
	if s.FinishedAt == nil {
		l.check(succeeded == nil || succeeded.Status == "Unknown", "Succeeded is %v before the end", succeeded)
		return
	}
	l.check(succeeded != nil && succeeded.Status != "Unknown", "a finished run has no verdict")
	l.check(Current(l.run) == nil, "a finished run is still in a phase")
	l.check(s.Waiting == nil, "a finished run waits for %v", s.Waiting)
	l.check(s.Budget == nil || s.Budget.Since == nil, "a finished run waits for its turn")
	said := succeeded != nil && strings.HasSuffix(succeeded.Message, noReport)
	l.check(s.ReportRef != nil || l.run.DeletionTimestamp != nil || said, "a finished run has no report")
	l.check((s.Failure == nil) == l.holds(v1alpha1.ConditionSucceeded), "Succeeded and failure contradict each other")
	if s.StartedAt != nil {
		l.check(!s.FinishedAt.Time.Before(s.StartedAt.Time), "it finished before it started")
	}
	if l.holds(v1alpha1.ConditionSucceeded) {
		l.success()
	}
}

func (l *linter) holds(condition string) bool {
	return meta.IsStatusConditionTrue(l.run.Status.Conditions, condition)
}

// success is only claimed with the proof that the operation asks for.
func (l *linter) success() {
	s := l.run.Status
	if l.run.Spec.Operation != v1alpha1.OperationTeardown {
		standby := s.Failover != nil && s.Failover.Standby // applied and provisioned by an earlier run
		l.check(l.holds(v1alpha1.ConditionVerified) && (standby || l.holds(v1alpha1.ConditionStateApplied) && l.holds(v1alpha1.ConditionClusterProvisioned)), "it succeeded without being verified, applied and provisioned")
		l.check(s.RecoveredAt != nil && !s.RecoveredAt.Time.After(s.FinishedAt.Time), "it succeeded without a recovery time before its end")
		l.check(s.Verification != nil && s.Verification.Matched > 0 && s.Verification.Matched+s.Verification.Skipped == s.Verification.Rendered, "it succeeded without a complete match of more than zero objects")
	}
	if FailsOver(l.run) {
		f := s.Failover
		l.check(f != nil && f.Fence != nil && f.Fence.Outcome != "", "a failover succeeded without a word on the fence")
		l.check(f != nil && f.CommittedAt != nil && f.Epoch > f.FoundEpoch, "a failover succeeded without a new epoch")
	}
	if l.run.Spec.Operation == v1alpha1.OperationDrill {
		l.check(l.holds(v1alpha1.ConditionCleanedUp), "a drill succeeded without cleaning up")
	}
}
