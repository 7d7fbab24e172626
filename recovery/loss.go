package recovery

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/loss"
)

// SilentPatience is how long a cluster has to give no answer, in one phase, before it counts
// as unreachable: one request that fails says nothing.
const SilentPatience = time.Minute

// Patience of a run with a silent cluster: none with one that a FailoverPolicy found dead.
func Patience(run *v1alpha1.RecoveryRun) time.Duration {
	if run.Spec.Proposal != nil {
		return 0
	}
	return SilentPatience
}

// LossFound is what looking for losses came to.
type LossFound struct {
	// Preview is nil when it could not be told.
	Preview *loss.Preview
	// Unseen says why not.
	Unseen string
	// Silent is true when the cluster gave no answer at all, rather than half of one.
	Silent bool
}

// previewHolds is how long a preview counts. What is made in a cluster later than that is
// looked for again before the cluster goes: an approval may have taken a day.
const previewHolds = 15 * time.Minute

// lookAgainFirst repeats the preview of the preflight before the run touches its cluster,
// when it is old; nil when there is nothing to repeat. A drain changes what would be seen,
// so it is not looked at after.
func lookAgainFirst(o Observation) *Decision {
	if fenceBegan(o.Run) || !StillWhole(o.Run) || !Graceful(o.Run) || !o.Cluster.DeletingSince.IsZero() || fresh(lookedAt(o.Run), o.Now) {
		return nil
	}
	d := during(o, o.Preview, PreviewLoss, RecordPreview, fmt.Sprintf("what would be lost with Cluster %s to be listed again: the list of the preflight is old", o.Run.Status.Previous.Name))
	return &d
}

// fresh tells whether a preview counts. One of the future was made under another clock, and
// nobody knows how old it is.
func fresh(looked, now time.Time) bool {
	return now.Before(looked.Add(previewHolds)) && !looked.After(now.Add(time.Minute))
}

// StillWhole tells whether the run is yet to touch a cluster that it did not make.
func StillWhole(run *v1alpha1.RecoveryRun) bool {
	return NeedsSlot(run) && run.Status.Previous.Drain == nil
}

// Untouched tells whether the run has done nothing yet to what existed before it, and made
// nothing.
func Untouched(run *v1alpha1.RecoveryRun) bool {
	s := run.Status
	return entered(run, v1alpha1.PhaseProvision) == nil && (s.Failover == nil || s.Failover.Epoch == 0) && (s.Previous == nil || s.Previous.DeleteRequestedAt == nil && s.Previous.Drain == nil)
}

// lookedAt is when the cluster was last looked at, or the preflight was over.
func lookedAt(run *v1alpha1.RecoveryRun) time.Time {
	l, p := run.Status.Loss, entered(run, v1alpha1.PhasePreflight)
	switch {
	case l != nil && l.LookedAt != nil:
		return l.LookedAt.Time
	case l != nil && l.At != nil:
		return l.At.Time
	case p != nil && p.FinishedAt != nil:
		return p.FinishedAt.Time
	}
	return time.Time{}
}

// RecordLossAgain keeps what the repeated look found, in place of what was found before.
func RecordLossAgain(run *v1alpha1.RecoveryRun, found LossFound, at time.Time) {
	run.Status.Loss = nil
	RecordLoss(run, found)
	if run.Status.Loss == nil {
		run.Status.Loss = &v1alpha1.LossSummary{}
	}
	looked := metav1.NewTime(at)
	run.Status.Loss.LookedAt = &looked
}

// JudgeLoss decides whether the deletion of a cluster may go on: a Fault when not, and
// otherwise what people should know; empty when there is nothing to say.
func JudgeLoss(run *v1alpha1.RecoveryRun, cluster string, found LossFound) (*Fault, string) {
	policy, plan := DoomedPlan(run).Teardown.Loss, DoomedSide(run).Plan
	// What a dead cluster held is lost already, and often nobody can say what it was.
	warn := policy.Policy == v1alpha1.LossWarn || !Graceful(run)
	if found.Preview == nil {
		allowed := found.Silent && run.Spec.Operation == v1alpha1.OperationRebuild &&
			(policy.Unreachable == v1alpha1.UnreachableAllowRebuild || proposed(run)) // who approves it reads that nobody can tell
		if warn || allowed {
			return nil, fmt.Sprintf("what would be lost with Cluster %s could not be told: %s", cluster, found.Unseen)
		}
		return Faultf("LossUnknown", "what would be lost with Cluster %s cannot be told, and it was left alone: %s; %s", cluster, found.Unseen, wayOut(run.Spec.Operation)), ""
	}
	if found.Preview.Clean() {
		return nil, ""
	}
	what := fmt.Sprintf("%s would be lost with Cluster %s: %s", Losses(found.Preview), cluster, namesOf(found.Preview))
	if warn {
		return nil, what
	}
	return Faultf("WouldLose", "%s; it was left alone: 'refloat loss %s' lists everything, 'refloat adopt %s' writes it down for the repository", what, plan, plan), ""
}

// wayOut of not knowing.
func wayOut(operation v1alpha1.Operation) string {
	if operation == v1alpha1.OperationRebuild {
		return "make it readable, or, when it is dead, set spec.teardown.loss.unreachable of the plan to AllowRebuild"
	}
	return "make it readable, or set spec.teardown.loss.policy of the plan to Warn"
}

// Losses counts what a preview lists and nobody excused: 3 objects, 1 volume.
func Losses(p *loss.Preview) string {
	counts := map[loss.What]int{}
	for _, i := range p.Counting() {
		counts[i.What]++
	}
	var parts []string
	for _, part := range []struct {
		what      loss.What
		one, many string
	}{{loss.Object, "object", "objects"}, {loss.Fields, "changed object", "changed objects"}, {loss.Data, "volume", "volumes"}} {
		switch n := counts[part.what]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+part.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, part.many))
		}
	}
	text := strings.Join(parts, ", ")
	if rest := p.Total - len(p.Counting()); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

// namesOf the first losses, with who wrote them last.
func namesOf(p *loss.Preview) string {
	var names []string
	for _, i := range p.Counting() {
		names = append(names, LossLine(i))
	}
	return some(names)
}

// LossLine names one lost item in a few words.
func LossLine(i loss.Item) string {
	s := i.ID.String()
	switch i.What {
	case loss.Data:
		s = "the data of " + s
	case loss.Fields:
		var paths []string
		for _, f := range i.Fields {
			paths = append(paths, f.Path)
		}
		if len(paths) > 0 {
			s += " (" + some(paths) + ")"
		}
	case loss.Object:
	}
	if i.By.Manager == "" || i.What == loss.Data {
		return s
	}
	s += ", written by " + i.By.Manager
	if i.By.Time != nil {
		s += " at " + i.By.Time.Format(time.RFC3339)
	}
	return s
}

// RecordLoss keeps the counts of what was found.
func RecordLoss(run *v1alpha1.RecoveryRun, found LossFound) {
	if found.Preview == nil {
		if found.Unseen != "" {
			run.Status.Loss = &v1alpha1.LossSummary{Unseen: clip(found.Unseen, maxWaiting)}
		}
		return
	}
	at := metav1.NewTime(found.Preview.At)
	s := &v1alpha1.LossSummary{At: &at}
	for _, i := range found.Preview.Lost {
		switch i.What {
		case loss.Object:
			s.Objects++
		case loss.Fields:
			s.Fields++
		case loss.Data:
			s.Volumes++
		}
		if !i.Counts() {
			s.Excused++
		}
	}
	run.Status.Loss = s
}

// LossRules of a plan. An accepted list counts with RefuseIfNew alone.
func LossRules(plan v1alpha1.RecoveryPlanSpec, now time.Time, accepted *loss.Accepted) loss.Rules {
	policy := plan.Teardown.Loss
	rules := loss.Rules{Now: now, DisposableData: policy.DisposableData}
	if policy.MaxBackupAge != nil {
		rules.MaxBackupAge = policy.MaxBackupAge.Duration
	}
	for _, w := range policy.Waivers {
		p := w.Object
		rules.Waivers = append(rules.Waivers, loss.Waiver{
			Pattern: manifests.Pattern{Group: p.Group, Kind: p.Kind, Namespace: p.Namespace, Name: p.Name}, Reason: w.Reason, Until: w.Until.Time,
		})
	}
	if policy.Policy == v1alpha1.LossRefuseIfNew {
		rules.Accepted = accepted
	}
	return rules
}

// ExpectedOn a cluster are the objects that a run writes besides the state.
func ExpectedOn(plan v1alpha1.RecoveryPlanSpec) []manifests.ID {
	var out []manifests.ID
	for _, s := range plan.Seeds {
		out = append(out, manifests.ID{Kind: "Secret", Namespace: s.Namespace, Name: s.SecretRef.Name}, manifests.ID{Kind: "Namespace", Name: s.Namespace})
	}
	return out
}

// AcceptedLossName is the ConfigMap with the losses that were accepted for a plan.
func AcceptedLossName(plan string) string { return bounded(plan+"-accepted-loss", maxReportName) }
