package recovery

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/drain"
)

const (
	// DefaultDrainTimeout of a plan that was made without the API server's defaulting.
	DefaultDrainTimeout = 5 * time.Minute
	// maxLeft of the leftovers are named, maxID bounds what names one.
	maxLeft = 64
	maxID   = 512
)

// DrainTimeout of a plan.
func DrainTimeout(plan v1alpha1.RecoveryPlanSpec) time.Duration {
	return orDefault(plan.Teardown.Drain.Timeout.Duration, DefaultDrainTimeout)
}

// Doomed is the incarnation that the phase under way, Teardown or Cleanup, deletes.
func Doomed(run *v1alpha1.RecoveryRun) *v1alpha1.Incarnation {
	if cleaning(run) {
		return run.Status.Target
	}
	return run.Status.Previous
}

// drainFirst gives back what the cluster holds outside of itself, before its deletion is
// recorded; nil when that is done, or is not to be done. A cluster that never answered
// under the pinned identity holds nothing that Refloat could know of.
func drainFirst(o Observation, inc *v1alpha1.Incarnation) *Decision {
	if inc.DeleteRequestedAt != nil || !o.Cluster.DeletingSince.IsZero() || inc.KubeSystemUID == "" || !drains(o.Run) {
		return nil
	}
	var d Decision
	switch {
	case inc.Drain == nil:
		d = during(o, o.Work, SurveyDrain, RecordSurveyed, fmt.Sprintf("Cluster %s to say what it holds outside of itself", inc.Name))
	case inc.Drain.FinishedAt == nil:
		d = during(o, o.Work, DrainCluster, RecordDrained, fmt.Sprintf("Cluster %s to give back what it holds outside of itself", inc.Name))
	default:
		return nil
	}
	d = provenFirst(o, d)
	return &d
}

// interrupted tells whether a drain began in a cluster that then was not deleted, so that
// what makes its objects from Git has to be started again.
func interrupted(run *v1alpha1.RecoveryRun) bool {
	p := run.Status.Previous
	return p != nil && p.DeleteRequestedAt == nil && p.Drain != nil && p.Drain.ResumedAt == nil &&
		(p.Drain.FinishedAt == nil || p.Drain.Outcome == v1alpha1.DrainComplete || p.Drain.Outcome == v1alpha1.DrainTimedOut)
}

// Surveyed is what came of the look at a cluster that is to be drained.
type Surveyed struct {
	drain.Survey
	// Outcome and Message, when the drain is over before it began.
	Outcome v1alpha1.DrainOutcome
	Message string
}

// RecordSurvey keeps what was found, before anything of it is touched.
func RecordSurvey(run *v1alpha1.RecoveryRun, found Surveyed, now time.Time) {
	record := &v1alpha1.DrainRecord{StartedAt: *micro(now), Found: int32(len(found.Ledger))}
	Doomed(run).Drain = record
	if !found.Newest.IsZero() {
		at := metav1.NewTime(found.Newest)
		record.Newest = &at
	}
	left(record, found.Ledger) // until it is given back
	switch {
	case found.Outcome != "":
		end(record, found.Outcome, found.Message, now)
	case !found.Needed:
		end(record, v1alpha1.DrainNothing, "nothing had to be given back", now)
	}
}

// RecordDrain keeps how a drain ended.
func RecordDrain(run *v1alpha1.RecoveryRun, out drain.Outcome, now time.Time) {
	record := Doomed(run).Drain
	if !out.Unseen {
		left(record, out.Left)
	}
	outcome, message := v1alpha1.DrainComplete, fmt.Sprintf("%d of %d load balancers, volumes and names were given back", record.Found-record.LeftCount, record.Found)
	if !out.Complete {
		outcome = v1alpha1.DrainTimedOut
		message += "; the time was up while it waited for " + out.Waiting
	}
	if len(out.Refused) > 0 {
		message += "; refused: " + some(out.Refused)
	}
	end(record, outcome, message, now)
}

func end(record *v1alpha1.DrainRecord, outcome v1alpha1.DrainOutcome, message string, now time.Time) {
	record.Outcome, record.Message, record.FinishedAt = outcome, clip(message, maxMessage), micro(now)
}

// left keeps what is still there.
func left(record *v1alpha1.DrainRecord, entries []drain.Entry) {
	record.LeftCount, record.Left = int32(len(entries)), nil
	for _, e := range entries[:min(len(entries), maxLeft)] {
		why := "its object was not gone when the cluster was deleted"
		if e.Kept {
			why = "its object keeps it (persistentVolumeReclaimPolicy)"
		}
		record.Left = append(record.Left, v1alpha1.Leftover{Kind: e.Kind, ID: clip(e.ID, maxID), Object: clip(e.Object, maxID), Kept: e.Kept, Why: why})
	}
}

// RecordResumed says that the cluster's own controllers were started again, or why not.
func RecordResumed(run *v1alpha1.RecoveryRun, err error, now time.Time) {
	record := run.Status.Previous.Drain
	record.ResumedAt = micro(now)
	if err == nil {
		record.Message = clip(strings.TrimPrefix(record.Message+"; what had been stopped was started again, as the cluster is not deleted", "; "), maxMessage)
		return
	}
	record.Message = clip(fmt.Sprintf("the cluster is not deleted, and what had been stopped could not be started again (%v): look for the annotation %s", err, drain.AnnotationReplicas), maxMessage)
}

// drainMessage is what the phase's outcome says of the drain.
func drainMessage(inc *v1alpha1.Incarnation) string {
	if inc == nil || inc.Drain == nil || inc.Drain.Outcome == v1alpha1.DrainNothing && inc.Drain.LeftCount == 0 {
		return ""
	}
	s := "; drain: " + inc.Drain.Message
	if inc.Drain.LeftCount > 0 {
		var names []string
		for _, l := range inc.Drain.Left {
			names = append(names, l.Kind+" "+l.ID)
		}
		s += fmt.Sprintf("; %d may outlive the cluster: %s", inc.Drain.LeftCount, some(names))
	}
	return s
}
