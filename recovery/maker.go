package recovery

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// MadeFor is the plan whose cluster a run makes: that of a failover is not the one that
// it is a run of.
func MadeFor(run *v1alpha1.RecoveryRun) string {
	if f := run.Status.Failover; f != nil {
		return f.To.Plan
	}
	return run.Spec.PlanRef.Name
}

// Maker is the run to whose commit a live Cluster of a plan is held: the one that last found
// it as it should be, else the one that last worked on it. It is nil when no run is known
// that could apply anything to this very Cluster. Drills have Clusters of their own.
func Maker(runs []v1alpha1.RecoveryRun, plan string, cluster types.UID) *v1alpha1.RecoveryRun {
	var best *v1alpha1.RecoveryRun
	for i := range runs {
		run := &runs[i]
		target := run.Status.Target
		if run.Status.Pinned == nil || run.Status.StartedAt == nil || target == nil || cluster == "" || target.UID != cluster ||
			target.KubeSystemUID == "" || run.Spec.Operation == v1alpha1.OperationDrill || MadeFor(run) != plan {
			continue
		}
		if best == nil || later(run, best) > 0 {
			best = run
		}
	}
	return best
}

// later compares two runs of one Cluster: those that recovered it come last.
func later(a, b *v1alpha1.RecoveryRun) int {
	x, y := a.Status.RecoveredAt, b.Status.RecoveredAt
	switch {
	case x != nil && y != nil:
		return x.Compare(y.Time)
	case x != nil:
		return 1
	case y != nil:
		return -1
	}
	return cmp.Or(a.Status.StartedAt.Compare(b.Status.StartedAt.Time), cmp.Compare(a.Name, b.Name))
}

// NotRecovered tells what is special about a run that did not recover its cluster; empty of
// one that did. One that is under way is a Fault: what it is about to change says nothing.
func NotRecovered(run *v1alpha1.RecoveryRun) (note string, fault *Fault) {
	switch {
	case run.Status.RecoveredAt != nil:
		return "", nil
	case run.Status.FinishedAt == nil:
		return "", Faultf("UnderWay", "run %s works on the cluster; look again when it has ended (refloat watch %s)", run.Name, run.Name)
	}
	phase := "before its end"
	if f := run.Status.Failure; f != nil {
		phase = "in " + string(f.Phase)
	}
	return fmt.Sprintf("no run has recovered this cluster yet; it is compared with commit %.12s of run %s, which failed %s", run.Status.Pinned.Commit, run.Name, phase), nil
}
