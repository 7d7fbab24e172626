package recovery

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Sides of a failover that has not started yet, as they are now.
type Sides struct {
	// From serves and To takes over; nil when the plan does not exist.
	From, To *v1alpha1.RecoveryPlan
	// FromName is the plan that serves, also when it does not exist.
	FromName string
	// FromIdle is true when an open transition that is undone meant to let From take over, and
	// ended before it came to that.
	FromIdle bool
	// Fault says why the order cannot be carried out, whatever the plans are.
	Fault *Fault
}

// FailsOver tells whether the run lets another cluster take over.
func FailsOver(run *v1alpha1.RecoveryRun) bool {
	return run.Spec.Operation == v1alpha1.OperationFailover || run.Spec.Operation == v1alpha1.OperationFailback
}

// Graceful tells whether what the run deletes is taken for alive, so that all rules of a
// teardown hold.
func Graceful(run *v1alpha1.RecoveryRun) bool {
	return !FailsOver(run) || run.Spec.Failover != nil && run.Spec.Failover.Mode == v1alpha1.FailoverGraceful
}

// DoomedPlan is the plan whose cluster the run deletes, as it is pinned: that of a failover
// is another one than it makes a cluster from.
func DoomedPlan(run *v1alpha1.RecoveryRun) v1alpha1.RecoveryPlanSpec {
	if f := run.Status.Failover; f != nil && !cleaning(run) {
		return f.FromPlan
	}
	return run.Status.Pinned.Plan
}

// DoomedSide names the plan of DoomedPlan.
func DoomedSide(run *v1alpha1.RecoveryRun) v1alpha1.FailoverSide {
	if f := run.Status.Failover; f != nil {
		return f.From
	}
	p := run.Status.Pinned
	return v1alpha1.FailoverSide{Plan: run.Spec.PlanRef.Name, UID: p.PlanUID, Generation: p.PlanGeneration, Cluster: p.Plan.Cluster.Name}
}

// LockedClusters of a run are all logical clusters that it works on, sorted: runs that take
// several locks take them in the same order.
func LockedClusters(o Observation) []string {
	var names []string
	switch f := o.Run.Status.Failover; {
	case f != nil:
		names = []string{f.PrimaryCluster, f.From.Cluster, f.To.Cluster}
	case o.Run.Status.Pinned != nil:
		names = []string{o.Run.Status.Pinned.Plan.Cluster.Name}
	case o.Plan != nil:
		names = []string{o.Plan.Spec.Cluster.Name}
		for _, side := range []*v1alpha1.RecoveryPlan{o.Sides.From, o.Sides.To} {
			if side != nil {
				names = append(names, side.Spec.Cluster.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// AllLocks sums up the locks of several clusters.
func AllLocks(locks []Lock) Lock {
	var all Lock
	for i, l := range locks {
		held := all.Held || l.State == LockMine
		if i == 0 || rank(l.State) > rank(all.State) {
			all = l
		}
		all.Held = held
	}
	return all
}

func rank(s LockState) int {
	return slices.Index([]LockState{LockUnknown, LockMine, LockFree, LockTaken, LockUnreadable}, s)
}

// pointlessFailover says why the order of a failover cannot be what is wanted now.
func pointlessFailover(o Observation) *Fault {
	run, sides := o.Run, o.Sides
	if !FailsOver(run) {
		return notServing(o)
	}
	missing := func(plan string) *Fault {
		return Faultf("PlanNotFound", "RecoveryPlan %s/%s does not exist; create it, then another run", run.Namespace, plan)
	}
	switch {
	case run.Spec.Failover == nil:
		return Faultf("NoFailover", "run %s does not say in spec.failover which plan takes over", run.Name)
	case sides.Fault != nil:
		return sides.Fault
	case sides.To == nil:
		return missing(run.Spec.Failover.To.Name)
	case sides.From == nil:
		return missing(sides.FromName)
	case sides.From.Spec.Cluster.Name == sides.To.Spec.Cluster.Name:
		return Faultf("SameCluster", "plans %s and %s make the same cluster, %s, which cannot take over from itself; give plan %s a cluster of another name (spec.cluster.name)",
			sides.From.Name, sides.To.Name, sides.To.Spec.Cluster.Name, sides.To.Name)
	}
	return nil
}

// confirmedCluster is the cluster that goes: what was confirmed has to be it.
func confirmedCluster(o Observation) (plan, cluster string) {
	if FailsOver(o.Run) && o.Sides.From != nil {
		return o.Sides.From.Name, o.Sides.From.Spec.Cluster.Name
	}
	return o.Plan.Name, o.Plan.Spec.Cluster.Name
}

// RecordSides pins what a failover works from. It makes the cluster of the plan that takes
// over.
func RecordSides(run *v1alpha1.RecoveryRun, primary *v1alpha1.RecoveryPlan, sides Sides, s *Serving) {
	record := &v1alpha1.FailoverRecord{
		PrimaryCluster: primary.Spec.Cluster.Name, FromIdle: sides.FromIdle, From: sideOf(sides.From), FromPlan: *sides.From.Spec.DeepCopy(), To: sideOf(sides.To),
	}
	if primary.Spec.Failover != nil {
		record.Policy = *primary.Spec.Failover.DeepCopy()
	}
	if s != nil {
		record.FoundEpoch = s.Epoch
	}
	run.Status.Failover = record
	run.Status.Pinned.Plan = *sides.To.Spec.DeepCopy()
	// Of two plans only the policy of the primary one counts, which has its own place.
	record.FromPlan.Failover, run.Status.Pinned.Plan.Failover = nil, nil
}

func sideOf(plan *v1alpha1.RecoveryPlan) v1alpha1.FailoverSide {
	return v1alpha1.FailoverSide{Plan: plan.Name, UID: plan.UID, Generation: plan.Generation, Cluster: plan.Spec.Cluster.Name}
}

// failoverSequence of phases, given those that make and verify the cluster.
func failoverSequence(run *v1alpha1.RecoveryRun, before, rebuild []v1alpha1.Phase) []v1alpha1.Phase {
	phases := append(before, v1alpha1.PhaseFence)
	f := run.Status.Failover
	if f != nil && f.Standby {
		phases = append(phases, v1alpha1.PhaseVerify)
	} else {
		phases = append(phases, rebuild...)
	}
	if f != nil && len(f.Policy.Switch) > 0 {
		phases = append(phases, v1alpha1.PhaseSwitch)
	}
	return append(phases, v1alpha1.PhaseCommit)
}

// The defaults of a failover's limits.
const (
	DefaultHookTimeout = 30 * time.Second
	// hookSlack is for what goes on around a hook, a change of processes among it.
	hookSlack = time.Minute
)

// HookTimeout of one hook.
func HookTimeout(h v1alpha1.Hook) time.Duration {
	return orDefault(h.Timeout.Duration, DefaultHookTimeout)
}

// failoverDeadline is the limit of the phases that only a failover has.
func failoverDeadline(run *v1alpha1.RecoveryRun, phase v1alpha1.Phase, from time.Time) time.Time {
	f := run.Status.Failover
	if f == nil {
		return time.Time{}
	}
	switch phase {
	case v1alpha1.PhaseFence:
		return from.Add(FenceTimeout(run))
	case v1alpha1.PhaseSwitch:
		return from.Add(hooksTimeout(switchCalls(f)))
	case v1alpha1.PhaseCommit:
		if last := lastStep(f); !last.IsZero() {
			return last.Add(stoodStill(run, phase) + hookSlack + hooksTimeout(rollbackCalls(f)))
		}
		limit := longest // Manual: a person has this long
		if after := f.Policy.Commit.After; after != nil && f.Policy.Commit.Policy != v1alpha1.CommitManual {
			limit = orDefault(after.Duration, longest)
		}
		return from.Add(limit + hookSlack + hooksTimeout(rollbackCalls(f)))
	}
	return time.Time{}
}

// FenceTimeout is what the plan allows for the whole fence, by default what its parts take.
func FenceTimeout(run *v1alpha1.RecoveryRun) time.Duration {
	f := run.Status.Failover
	if d := f.Policy.Fence.Timeout.Duration; d > 0 {
		return min(d, longest)
	}
	var limit time.Duration
	if hook := fenceHook(f); hook != nil {
		limit += HookTimeout(*hook) + hookSlack
	}
	if deletesOld(f) {
		plan := f.FromPlan
		limit += orDefault(plan.Teardown.Timeout.Duration, DefaultTeardownTimeout)
		if drains(run) {
			limit += SilentPatience + DrainTimeout(plan)
		}
	}
	return max(limit, hookSlack)
}

// drains tells whether the run drains what it deletes: what is dead gives nothing back.
func drains(run *v1alpha1.RecoveryRun) bool {
	return Graceful(run) && run.Spec.Proposal == nil && DoomedPlan(run).Teardown.Drain.Policy != v1alpha1.DrainSkip
}

// DeletesPrevious tells whether the run deletes the incarnation that it found.
func DeletesPrevious(run *v1alpha1.RecoveryRun) bool {
	return run.Status.Failover == nil || deletesOld(run.Status.Failover)
}

// deletesOld tells whether the fence deletes the old side.
func deletesOld(f *v1alpha1.FailoverRecord) bool {
	return f.Policy.Fence.Method != v1alpha1.FenceHook && !f.FromIdle
}

// verdictOf a failover that succeeded.
func verdictOf(run *v1alpha1.RecoveryRun) string {
	f := run.Status.Failover
	s := fmt.Sprintf("Cluster %s of plan %s serves at epoch %d, %s", f.To.Cluster, f.To.Plan, f.Epoch, verdict(run.Status.Verification))
	if f.Fence != nil && f.Fence.Outcome == v1alpha1.FenceWaived {
		s += fmt.Sprintf("; Cluster %s of plan %s could not be fenced and may still run", f.From.Cluster, f.From.Plan)
	}
	return s
}

// RecordEpoch keeps the epoch that the run gave the serving record.
func RecordEpoch(run *v1alpha1.RecoveryRun, epoch int64) { run.Status.Failover.Epoch = epoch }

// RecordFenced ends the fence.
func RecordFenced(run *v1alpha1.RecoveryRun, message string, now time.Time) {
	f := run.Status.Failover
	outcome, reason := v1alpha1.FenceDone, "Fenced"
	if f.FromIdle || run.Status.Previous == nil && fenceHook(f) == nil {
		outcome, reason = v1alpha1.FenceNothing, "NothingToFence"
	}
	f.Fence = &v1alpha1.FenceRecord{Outcome: outcome}
	condition(run, now, v1alpha1.ConditionFenced, metav1.ConditionTrue, reason, message)
	RecordAdvance(run, message, now)
}
