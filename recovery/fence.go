package recovery

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// fence stops the side that serves: the serving record gets its new epoch first, then the
// hook is called and the Cluster deleted, as the plan says.
func fence(o Observation) Decision {
	f, previous := o.Run.Status.Failover, o.Run.Status.Previous
	d := fencing(o, f, previous)
	if AskedUnfenced(o.Run) {
		return unfenced(o, d)
	}
	return d
}

// fenceBegan tells whether the serving record says that the old side is about to go. Before
// that nothing was touched, and no other side may serve.
func fenceBegan(run *v1alpha1.RecoveryRun) bool {
	return run.Status.Failover != nil && run.Status.Failover.Epoch != 0
}

// lateFence asks a person once the time of the fence is up. The fence goes on meanwhile.
func lateFence(o Observation, d Decision) *Decision {
	if f := o.Run.Status.Failover; d.Action != Wait || f == nil || f.Fence != nil {
		return nil
	}
	return &Decision{Action: AskUnfenced, Message: fmt.Sprintf("the fence did not end within %s; it waits for %s", FenceTimeout(o.Run), d.Waiting)}
}

func fencing(o Observation, f *v1alpha1.FailoverRecord, previous *v1alpha1.Incarnation) Decision {
	if f.Epoch == 0 {
		return provenFirst(o, Decision{Action: RaiseEpoch})
	}
	if call := PendingCall(o.Run); call != nil {
		return calling(o, call, func(fault *Fault) Decision {
			return Decision{Action: AskUnfenced, Message: "hook fence: " + fault.Message}
		})
	}
	message := "there was nothing to stop: Cluster " + f.From.Cluster + " does not exist"
	if f.FromIdle {
		message = "nothing was stopped: the failover to Cluster " + f.From.Cluster + " ended before users were sent there"
	}
	if h := hookRecord(f, "fence"); h != nil {
		message = "hook fence answered " + h.Answer
	}
	if previous == nil || !deletesOld(f) {
		return Decision{Action: RecordFence, Message: message}
	}
	d := takeDown(o, previous)
	if d.Action == Advance {
		d.Action = RecordFence
	}
	return d
}

// AskedUnfenced tells whether the run waits for a person who lets it go on unfenced.
func AskedUnfenced(run *v1alpha1.RecoveryRun) bool {
	f := run.Status.Failover
	return f != nil && f.Fence != nil && f.Fence.Asked != nil && f.Fence.Outcome == ""
}

// unfenced goes on trying, and waits for a person who lets the run go on without.
func unfenced(o Observation, d Decision) Decision {
	asked := o.Run.Status.Failover.Fence.Asked
	if d.Action == RecordFence || d.Action == Fail || !fenceBegan(o.Run) {
		return d // in the end it could be done, or must not be done, or nothing was recorded yet
	}
	var refused []string
	for i := range o.Approvals {
		a := &o.Approvals[i]
		if why := whyNotUnfenced(o.Run, a, o.Now); why != "" {
			refused = append(refused, fmt.Sprintf("approval %s does not count: %s", a.Name, why))
			continue
		}
		return Decision{Action: TakeUnfenced, Approval: a}
	}
	if d.Action != Wait && d.Action != AskUnfenced {
		return d
	}
	slices.Sort(refused)
	waiting := fmt.Sprintf("a person, since Cluster %s could not be fenced: make sure that it is stopped, then refloat approve %s -n %s --unfenced --reason WHY, or refloat cancel %s",
		o.Run.Status.Failover.From.Cluster, o.Run.Name, o.Run.Namespace, o.Run.Name)
	if c := meta.FindStatusCondition(o.Run.Status.Conditions, v1alpha1.ConditionFenced); c != nil {
		waiting += " (" + c.Message + ")"
	}
	if len(refused) > 0 {
		waiting += " (" + some(refused) + ")"
	}
	return Decision{Action: Wait, Waiting: waiting, Since: asked.RequestedAt.Time, Again: 5 * lookAgain}
}

// whyNotUnfenced tells why an approval does not let the run go on unfenced. Who ordered the
// run may give it, unless the plan wants a second person for what is deleted.
func whyNotUnfenced(run *v1alpha1.RecoveryRun, a *v1alpha1.RunApproval, now time.Time) string {
	asked := run.Status.Failover.Fence.Asked
	switch {
	case !a.Spec.Unfenced:
		return "it is not for going on unfenced"
	case a.DeletionTimestamp != nil:
		return "it is being deleted"
	case a.Spec.TargetUID != string(asked.TargetUID):
		return fmt.Sprintf("it is for another cluster (UID %s, not %s)", a.Spec.TargetUID, asked.TargetUID)
	case a.Spec.Digest != asked.Digest:
		return "it is for something else than what the run is about to do"
	case a.Spec.ExpiresAt != nil && !now.Before(a.Spec.ExpiresAt.Time):
		return "it expired at " + a.Spec.ExpiresAt.UTC().Format(time.RFC3339)
	case DoomedPlan(run).Teardown.Policy != v1alpha1.TeardownNeedsApproval:
		return ""
	case run.Spec.RequestedBy == "":
		return "the run does not say who requested it, so nobody can be told to be somebody else"
	case strings.EqualFold(a.Spec.ApprovedBy, run.Spec.RequestedBy):
		return a.Spec.ApprovedBy + " requested the run"
	}
	return ""
}

// RecordAskUnfenced says that the fence could not be done, and what a person has to agree to.
func RecordAskUnfenced(run *v1alpha1.RecoveryRun, message string, now time.Time) {
	sum := sha256.Sum256([]byte("unfenced\n" + approvalDigest(run)))
	target := doomedTarget(run)
	run.Status.Failover.Fence = &v1alpha1.FenceRecord{Asked: &v1alpha1.ApprovalRecord{
		Digest: "sha256:" + hex.EncodeToString(sum[:]), TargetUID: target.UID, RequestedAt: *micro(now),
	}}
	condition(run, now, v1alpha1.ConditionFenced, metav1.ConditionFalse, "CouldNotFence", message)
}

// RecordUnfenced lets the run go on, on a person's word.
func RecordUnfenced(run *v1alpha1.RecoveryRun, a *v1alpha1.RunApproval, now time.Time) {
	record := run.Status.Failover.Fence
	record.Outcome, record.Reason = v1alpha1.FenceWaived, a.Spec.Reason
	record.Asked.Name, record.Asked.ApprovedBy, record.Asked.ApprovedAt = a.Name, a.Spec.ApprovedBy, micro(now)
	message := fmt.Sprintf("NOT fenced; %s let the run go on: %s", a.Spec.ApprovedBy, a.Spec.Reason)
	condition(run, now, v1alpha1.ConditionFenced, metav1.ConditionFalse, "Unfenced", message)
	RecordAdvance(run, message, now)
}

// doomedTarget is what an approval is about: the incarnation that goes, or the run itself
// when there is none.
func doomedTarget(run *v1alpha1.RecoveryRun) v1alpha1.Incarnation {
	if p := run.Status.Previous; p != nil && p.UID != "" {
		return *p
	}
	return v1alpha1.Incarnation{Name: DoomedSide(run).Cluster, UID: run.UID}
}
