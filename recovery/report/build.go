package report

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Build makes the report of a run as its status stands. What the status does not
// hold, objects and findings, is taken over from an earlier report of the run, if any.
func Build(run *v1alpha1.RecoveryRun, earlier *Report) *Report {
	s := run.Status
	r := &Report{
		Operation: run.Spec.Operation, Plan: run.Spec.PlanRef.Name, Namespace: run.Namespace, Run: run.Name, Reason: run.Spec.Reason,
		StartedAt: timeOf(s.StartedAt), FinishedAt: timeOf(s.FinishedAt), Phases: []Phase{}, Waves: []Wave{},
	}
	if earlier != nil {
		r.Waves, r.Verification, r.Notes, r.Truncated = earlier.Waves, earlier.Verification, earlier.Notes, earlier.Truncated
		r.Certificate, r.Loss, r.Drilled = earlier.Certificate, earlier.Loss, earlier.Drilled
		r.History, r.Chain = earlier.History, earlier.Chain
	}
	if s.Loss != nil {
		r.LossUnseen = s.Loss.Unseen
	}
	if r.Waves == nil {
		r.Waves = []Wave{}
	}
	r.outcome(run)
	r.asked(run)
	r.pinned(s)
	if first := s.Retried; first != nil {
		r.Retried = &Retried{Run: first.Name, Phase: first.Phase, StartedAt: first.StartedAt.UTC()}
	}
	for _, p := range s.Phases {
		phase := Phase{Name: p.Name, StartedAt: p.StartedAt.UTC(), FinishedAt: timeOf(p.FinishedAt), Message: p.Message}
		if p.FinishedAt != nil {
			phase.Seconds = p.FinishedAt.Sub(p.StartedAt.Time).Seconds()
		}
		if p.Suspended != nil {
			phase.StoodStillSeconds = p.Suspended.Seconds()
		}
		r.Phases = append(r.Phases, phase)
	}
	if r.FinishedAt != nil {
		// What may have to be left out of the waves later has been looked at here.
		r.CriticalPath, r.Deviations = PathOf(r), DeviationsOf(r)
	}
	return r
}

// asked says who ordered what, who agreed, and what the run did not heed.
func (r *Report) asked(run *v1alpha1.RecoveryRun) {
	r.RequestedBy, r.OverridesHolds = run.Spec.RequestedBy, run.Spec.OverrideHolds
	if !run.CreationTimestamp.IsZero() {
		at := run.CreationTimestamp.UTC()
		r.OrderedAt = &at
	}
	if by := run.Spec.Schedule; by != nil {
		r.Schedule = &Schedule{Name: by.Name, Nominal: by.Nominal, Due: by.Due.UTC()}
		if by.ReadyBy != nil {
			at := by.ReadyBy.UTC()
			r.Schedule.ReadyBy = &at
		}
	}
	if p := run.Spec.Proposal; p != nil {
		r.Proposal = &Proposal{Policy: p.PolicyRef.Name, OutageSince: p.OutageSince.UTC()}
		for _, e := range p.Evidence {
			r.Proposal.Evidence = append(r.Proposal.Evidence, Said{Signal: e.Name, State: string(e.State), Since: e.Since.UTC(), Message: e.Message})
		}
	}
	if a := run.Status.Approval; a != nil {
		r.Approval = &Approval{RequestedAt: a.RequestedAt.UTC(), By: a.ApprovedBy, At: timeOf(a.ApprovedAt), Reason: a.Reason}
	}
	for _, h := range run.Status.OverriddenHolds {
		r.HoldsOverridden = append(r.HoldsOverridden, Hold{Name: h.Name, Reason: h.Reason, Until: h.Until.UTC()})
	}
	if b := run.Status.Budget; b != nil {
		r.BudgetWaitSeconds = b.Waited.Seconds()
	}
}

func (r *Report) outcome(run *v1alpha1.RecoveryRun) {
	s := run.Status
	r.Outcome = s.Outcome
	if s.FinishedAt != nil {
		r.Result = v1alpha1.ResultSucceeded
	}
	if f := s.Failure; f != nil {
		r.Failure = &Failure{Phase: f.Phase, Reason: f.Reason, Message: f.Message}
		if s.FinishedAt != nil {
			r.Result = v1alpha1.ResultFailed
		}
	}
	if s.StartedAt != nil && s.RecoveredAt != nil {
		from := s.StartedAt
		if s.Retried != nil {
			from = &s.Retried.StartedAt
		}
		took := s.RecoveredAt.Sub(from.Time).Seconds()
		r.RecoveryTimeSeconds = &took
	}
	if cleaned := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionCleanedUp); cleaned != nil {
		ok := cleaned.Status == metav1.ConditionTrue
		r.CleanedUp = &ok
	}
}

func (r *Report) pinned(s v1alpha1.RecoveryRunStatus) {
	switch {
	case s.Target != nil:
		r.Cluster, r.Simulated = s.Target.Name, s.Target.Simulated
	case s.Pinned != nil:
		r.Cluster = s.Pinned.Plan.Cluster.Name
	}
	if s.Pinned == nil {
		return
	}
	r.Commit, r.RenderDigest = s.Pinned.Commit, s.Pinned.RenderDigest
	if s.Pinned.CommitTime != nil {
		at := s.Pinned.CommitTime.UTC()
		r.CommitTime = &at
		if s.StartedAt != nil {
			age := max(s.StartedAt.Sub(at).Seconds(), 0)
			r.CommitAgeSeconds = &age
		}
	}
	for _, c := range s.Pinned.Charts {
		r.Charts = append(r.Charts, Chart(c))
	}
	for _, other := range s.Pinned.Sources {
		r.Sources = append(r.Sources, Source(other))
	}
	if o := s.Pinned.Origin; o != nil {
		r.Origin = &Origin{From: o.From, Ref: o.Ref, Stale: o.Stale, SignedBy: slices.Clone(o.SignedBy)}
		if o.FetchedAt != nil {
			at := o.FetchedAt.UTC()
			r.Origin.FetchedAt = &at
		}
	}
	if limit := s.Pinned.Plan.Objective.RecoveryTime; limit != nil {
		r.Objective = &Objective{
			RecoveryTimeSeconds: limit.Seconds(),
			Met:                 meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionObjectiveMet),
		}
	}
}

// WavesOf groups objects by their wave.
func WavesOf(objects []Object) []Wave {
	sorted := slices.Clone(objects)
	slices.SortStableFunc(sorted, func(a, b Object) int { return a.Wave - b.Wave })
	waves := []Wave{}
	for _, o := range sorted {
		if n := len(waves); n == 0 || waves[n-1].Number != o.Wave {
			waves = append(waves, Wave{Number: o.Wave})
		}
		last := &waves[len(waves)-1]
		last.Objects = append(last.Objects, o)
	}
	return waves
}

func timeOf(t *metav1.MicroTime) *time.Time {
	if t == nil {
		return nil
	}
	utc := t.UTC()
	return &utc
}
