package recovery

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// DefaultApprovalTimeout is how long a run waits for a second person.
const DefaultApprovalTimeout = 24 * time.Hour

// needsApproval tells whether somebody else has to agree to what the run deletes. What a
// drill made itself is not asked about, nor what is left of a cluster that is gone.
func needsApproval(run *v1alpha1.RecoveryRun) bool {
	s := run.Status
	return s.Pinned != nil && (DoomedPlan(run).Teardown.Policy == v1alpha1.TeardownNeedsApproval || proposed(run)) &&
		run.Spec.Operation != v1alpha1.OperationDrill && (s.Previous != nil && s.Previous.UID != "" || proposed(run) && FailsOver(run))
}

// approvalDigest covers everything that a person says yes to. Whatever of it changes, an
// older yes does not count.
func approvalDigest(run *v1alpha1.RecoveryRun) string {
	pinned, doomed := run.Status.Pinned, doomedTarget(run)
	var to *v1alpha1.FailoverSide
	if f := run.Status.Failover; f != nil {
		to = &f.To
	}
	raw, err := json.Marshal(struct {
		Run, Plan                           types.UID
		PlanGeneration                      int64
		Operation                           v1alpha1.Operation
		Commit, RenderDigest, ClusterDigest string
		Cluster                             string
		ClusterUID                          types.UID
		To                                  *v1alpha1.FailoverSide `json:",omitempty"`
	}{
		run.UID, pinned.PlanUID, pinned.PlanGeneration, run.Spec.Operation,
		pinned.Commit, pinned.RenderDigest, pinned.ClusterDigest, doomed.Name, doomed.UID, to,
	})
	if err != nil {
		return "" // strings and numbers are always marshalled
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// approval waits for a second person, or takes a yes that counts.
func approval(o Observation) Decision {
	if d := heldBack(o); d != nil {
		return *d
	}
	asked, previous := o.Run.Status.Approval, doomedTarget(o.Run)
	if asked == nil {
		return failed(o, Faultf("ApprovalUnknown", "the run waits for an approval that its status does not describe; somebody edited it: start another run"))
	}
	if o.Cluster.Exists && o.Cluster.UID != previous.UID {
		return failed(o, identityChanged(o, &previous))
	}
	refused := []string{}
	for i := range o.Approvals {
		why := whyNot(o.Run, &o.Approvals[i], o.Now)
		if why == "" {
			return Decision{Action: TakeApproval, Approval: &o.Approvals[i]}
		}
		refused = append(refused, fmt.Sprintf("approval %s does not count: %s", o.Approvals[i].Name, why))
	}
	slices.Sort(refused)
	what := "the deletion of Cluster " + previous.Name
	if f := o.Run.Status.Failover; f != nil {
		what = fmt.Sprintf("the failover from Cluster %s to Cluster %s", f.From.Cluster, f.To.Cluster)
	}
	waiting := fmt.Sprintf("somebody other than %s to approve %s: refloat approve %s -n %s",
		requester(o.Run), what, o.Run.Name, o.Run.Namespace)
	if len(refused) > 0 {
		waiting += " (" + some(refused) + ")"
	}
	d := Decision{Action: Wait, Waiting: waiting}
	if o.Run.Spec.Proposal != nil {
		d.Again = lookInQueue // that its policy is gone, or sees it otherwise, nobody tells
	}
	return d
}

// whyNot tells why an approval does not count for the run; empty when it does.
func whyNot(run *v1alpha1.RecoveryRun, a *v1alpha1.RunApproval, now time.Time) string {
	asked := run.Status.Approval
	switch {
	case a.DeletionTimestamp != nil:
		return "it is being deleted"
	case a.Spec.TargetUID != string(asked.TargetUID):
		return fmt.Sprintf("it is for another cluster (UID %s, not %s)", a.Spec.TargetUID, asked.TargetUID)
	case a.Spec.Digest != asked.Digest:
		return "it is for something else than what the run is about to do"
	case a.Spec.ExpiresAt != nil && !now.Before(a.Spec.ExpiresAt.Time):
		return "it expired at " + a.Spec.ExpiresAt.UTC().Format(time.RFC3339)
	case run.Spec.RequestedBy == "":
		return "the run does not say who requested it, so nobody can be told to be somebody else; order it with spec.requestedBy"
	case strings.EqualFold(a.Spec.ApprovedBy, run.Spec.RequestedBy):
		return a.Spec.ApprovedBy + " requested the run"
	}
	return ""
}

func requester(run *v1alpha1.RecoveryRun) string {
	if run.Spec.RequestedBy == "" {
		return "who requested the run"
	}
	return run.Spec.RequestedBy
}

// RecordApproval keeps whose yes the run took, and enters the next phase.
func RecordApproval(run *v1alpha1.RecoveryRun, a *v1alpha1.RunApproval, now time.Time) {
	asked := run.Status.Approval
	asked.Name, asked.ApprovedBy, asked.ApprovedAt, asked.Reason = a.Name, a.Spec.ApprovedBy, micro(now), a.Spec.Reason
	message := "approved by " + a.Spec.ApprovedBy
	if a.Spec.Reason != "" {
		message += ": " + a.Spec.Reason
	}
	RecordAdvance(run, message, now)
}

// heldBack fails a run whose cluster somebody or some rule wants left alone, or that is not
// wanted any more, as long as nothing of it was deleted and no fence began. A hold does not keep a dead cluster
// in service when a person says that it is dead.
func heldBack(o Observation) *Decision {
	if cleaning(o.Run) {
		return nil
	}
	for _, rule := range []func(Observation) *Decision{calledOff, stopped, asserted, withdrawn} {
		if d := rule(o); d != nil && !Leaves(o.Run) { // a fence that began is ended
			return sayDrained(o, d)
		}
	}
	if fenceBegan(o.Run) || o.Run.Spec.OverrideHolds || !Graceful(o.Run) && o.Run.Spec.Proposal == nil {
		return nil
	}
	if o.ServesAnother {
		d := failed(o, Faultf("Serving", "cluster %s serves in the place of another plan's since a failover, and nobody would serve without it; nothing was deleted. Order a failback of that plan first, or a run that overrides holds",
			DoomedSide(o.Run).Cluster))
		return &d
	}
	for i := range o.Holds {
		hold := &o.Holds[i]
		if hold.DeletionTimestamp != nil || !o.Now.Before(hold.Spec.Until.Time) {
			continue
		}
		d := failed(o, Faultf("Held", "Hold %s/%s keeps cluster %s until %s: %s; nothing was deleted. Wait, delete the hold, or order a run that overrides holds",
			hold.Namespace, hold.Name, DoomedSide(o.Run).Cluster, hold.Spec.Until.UTC().Format(time.RFC3339), clip(hold.Spec.Reason, maxWaiting)))
		return sayDrained(o, &d)
	}
	return nil
}

// withdrawn fails a run whose approval does not count any more: it was deleted, or expired
// while the run waited. Once the run touches its cluster, time alone does not stop it.
func withdrawn(o Observation) *Decision {
	asked, now := o.Run.Status.Approval, o.Now
	if asked == nil || asked.ApprovedAt == nil {
		return nil
	}
	if p := o.Run.Status.Previous; p != nil && p.Drain != nil {
		now = p.Drain.StartedAt.Time
	}
	why := "it was deleted"
	for i := range o.Approvals {
		a := &o.Approvals[i]
		no := whyNot(o.Run, a, now)
		if no == "" {
			return nil
		}
		if a.Name == asked.Name {
			why = no
		}
	}
	d := failed(o, Faultf("ApprovalWithdrawn", "approval %s by %s does not count any more: %s; nothing was deleted. Order another run, and have it approved",
		asked.Name, asked.ApprovedBy, why))
	return &d
}

// sayDrained does not let a run say that nothing was deleted when its drain had begun.
func sayDrained(o Observation, d *Decision) *Decision {
	if p := o.Run.Status.Previous; d.Failure != nil && p != nil && p.Drain != nil && interrupted(o.Run) {
		d.Failure.Message = strings.Replace(d.Failure.Message, "nothing was deleted",
			fmt.Sprintf("Cluster %s was not deleted, but its drain had begun, and what that gave back is gone", p.Name), 1)
	}
	return d
}

// maxOverridden is how many holds a run's record names.
const maxOverridden = 16

// Overridden are the holds in force that the run does not heed, for its record.
func Overridden(o Observation) []v1alpha1.OverriddenHold {
	if cleaning(o.Run) || !o.Run.Spec.OverrideHolds {
		return nil
	}
	var found []v1alpha1.OverriddenHold
	for i := range o.Holds {
		hold := &o.Holds[i]
		if hold.DeletionTimestamp == nil && o.Now.Before(hold.Spec.Until.Time) && len(found) < maxOverridden {
			found = append(found, v1alpha1.OverriddenHold{Name: hold.Name, Reason: hold.Spec.Reason, Until: hold.Spec.Until})
		}
	}
	return found
}
