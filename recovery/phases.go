package recovery

import (
	"slices"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// The defaults of a plan's limits, for objects made without the API server's defaulting.
const (
	DefaultReadyTimeout    = 20 * time.Minute
	DefaultWaveTimeout     = 10 * time.Minute
	DefaultTeardownTimeout = 30 * time.Minute
	DefaultMinReadyNodes   = 1

	// preflightTimeout bounds fetching, rendering and looking things up.
	preflightTimeout = 5 * time.Minute
	// verifyTimeout bounds the comparison, with its repetitions.
	verifyTimeout = 10 * time.Minute
	// longestStable time that is asked for, and how many such times the phase may take
	// longer for it: a comparison waits three of them, and there may be another one.
	longestStable = time.Hour
	stableTries   = 2 * 3
	// wavesBeyond is how much longer than for one object all waves may take together.
	wavesBeyond = 24 * time.Hour
	// longest limit, that the API server enforces too.
	longest = 7 * 24 * time.Hour
)

// sequence of phases that a run passes through, given what its preflight found.
func sequence(run *v1alpha1.RecoveryRun) []v1alpha1.Phase {
	rebuild := []v1alpha1.Phase{v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap, v1alpha1.PhaseSeed, v1alpha1.PhaseWaves, v1alpha1.PhaseVerify}
	if run.Status.Pinned != nil && len(run.Status.Pinned.Plan.Seeds) == 0 {
		rebuild = slices.DeleteFunc(rebuild, func(p v1alpha1.Phase) bool { return p == v1alpha1.PhaseSeed })
	}
	phases := []v1alpha1.Phase{v1alpha1.PhasePreflight}
	if needsApproval(run) {
		phases = append(phases, v1alpha1.PhaseApproval)
	}
	if FailsOver(run) {
		return failoverSequence(run, phases, rebuild)
	}
	if run.Status.Previous != nil {
		phases = append(phases, v1alpha1.PhaseTeardown)
	}
	switch run.Spec.Operation {
	case v1alpha1.OperationRebuild:
		return append(phases, rebuild...)
	case v1alpha1.OperationDrill:
		return append(append(phases, rebuild...), v1alpha1.PhaseCleanup)
	default:
		return phases
	}
}

// next phase after the given one; empty after the last.
func next(run *v1alpha1.RecoveryRun, phase v1alpha1.Phase) v1alpha1.Phase {
	phases := sequence(run)
	if i := slices.Index(phases, phase); i >= 0 && i+1 < len(phases) {
		return phases[i+1]
	}
	return ""
}

// Current is the record of the phase under way, nil when none is.
func Current(run *v1alpha1.RecoveryRun) *v1alpha1.PhaseRecord {
	if n := len(run.Status.Phases); n > 0 && run.Status.Phases[n-1].FinishedAt == nil {
		return &run.Status.Phases[n-1]
	}
	return nil
}

// entered finds the record of a phase, nil when the run has not been there.
func entered(run *v1alpha1.RecoveryRun, phase v1alpha1.Phase) *v1alpha1.PhaseRecord {
	for i := range run.Status.Phases {
		if run.Status.Phases[i].Name == phase {
			return &run.Status.Phases[i]
		}
	}
	return nil
}

// Deadline is when the phase under way fails for lateness; zero when none is.
func Deadline(run *v1alpha1.RecoveryRun) time.Time {
	current := Current(run)
	if current == nil || run.Status.Pinned == nil {
		return time.Time{}
	}
	if w := run.Status.Budget; w != nil && w.Since != nil && w.Until != nil && run.Status.SuspendedAt == nil {
		return w.Until.Time // the phase itself stands still
	}
	plan, from := run.Status.Pinned.Plan, current.StartedAt.Add(stoodStill(run, current.Name))
	switch current.Name {
	case v1alpha1.PhasePreflight:
		return from.Add(preflightTimeout)
	case v1alpha1.PhaseApproval:
		return from.Add(orDefault(DoomedPlan(run).Teardown.ApprovalTimeout.Duration, DefaultApprovalTimeout))
	case v1alpha1.PhaseTeardown, v1alpha1.PhaseCleanup:
		limit := orDefault(plan.Teardown.Timeout.Duration, DefaultTeardownTimeout)
		if plan.Teardown.Drain.Policy != v1alpha1.DrainSkip {
			limit += SilentPatience + DrainTimeout(plan)
		}
		return from.Add(limit)
	case v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap, v1alpha1.PhaseSeed:
		// One limit from the creation of the cluster until it can take the state.
		if by := readyBy(run); !by.IsZero() {
			return by
		}
		return from.Add(orDefault(plan.Cluster.Ready.Timeout.Duration, DefaultReadyTimeout))
	case v1alpha1.PhaseWaves:
		// Each object has the time-out twice, to be accepted and to become healthy,
		// and there are as many objects in a row as levels. The extra one is for
		// processes that took over in between.
		timeout := WaveTimeout(plan)
		return from.Add(atMost(2*int64(run.Status.Pinned.Waves)+1, timeout, timeout+wavesBeyond))
	case v1alpha1.PhaseVerify:
		// The last nodes may still be coming up, within the limit for the cluster.
		if ready := readyBy(run); from.Before(ready) {
			from = ready
		}
		return from.Add(verifyTimeout + stableTries*StableFor(plan))
	}
	return failoverDeadline(run, current.Name, from)
}

// readyBy is when the cluster has to be ready: its limit counts from its creation. It
// is zero when nothing says when that was.
func readyBy(run *v1alpha1.RecoveryRun) time.Time {
	provision := entered(run, v1alpha1.PhaseProvision)
	if provision == nil {
		return time.Time{}
	}
	return provision.StartedAt.Add(stoodStill(run, v1alpha1.PhaseProvision)).Add(orDefault(run.Status.Pinned.Plan.Cluster.Ready.Timeout.Duration, DefaultReadyTimeout))
}

// StableFor is how long objects have to stay healthy to be verified; 0 asks for nothing.
func StableFor(plan v1alpha1.RecoveryPlanSpec) time.Duration {
	if d := plan.Verify.StableFor; d != nil && d.Duration > 0 {
		return min(d.Duration, longestStable)
	}
	return 0
}

// WaveTimeout of a plan, for one object.
func WaveTimeout(plan v1alpha1.RecoveryPlanSpec) time.Duration {
	return orDefault(plan.Waves.Timeout.Duration, DefaultWaveTimeout)
}

// MinReadyNodes of a plan.
func MinReadyNodes(plan v1alpha1.RecoveryPlanSpec) int {
	if n := plan.Cluster.Ready.MinReadyNodes; n != nil {
		return int(*n)
	}
	return DefaultMinReadyNodes
}

// orDefault bounds the limits of plans that the API server did not check, too.
func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return min(d, longest)
}

// atMost is n times d, or the limit if that is less. It does not overflow.
func atMost(n int64, d, limit time.Duration) time.Duration {
	if n <= 0 || int64(limit/d) < n {
		return limit
	}
	return time.Duration(n) * d
}
