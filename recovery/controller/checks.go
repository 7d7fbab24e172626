package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/lint"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/recoverability"
)

const (
	// probeEach bounds the question to one place of the repository, checkEach what asks the
	// management cluster, and renderLimit what fetches and renders.
	probeEach   = 20 * time.Second
	checkEach   = 30 * time.Second
	renderLimit = 4 * time.Minute
)

// evaluation of a plan. It goes the way of a rebuild's preflight, with a run that is nowhere
// but here, and looks at all of it instead of stopping at the first fault. It writes nothing:
// what it asks of the management cluster are reads and dry runs.
type evaluation struct {
	*Reconciler
	run   *v1alpha1.RecoveryRun
	facts recoverability.Facts

	access    Access
	materials *materials
	// locked says that the credentials for the repository are not there, and blind that
	// something is not there that rendering needs.
	locked, blind bool
}

// facts about a plan.
func (r *Reconciler) facts(ctx context.Context, plan *v1alpha1.RecoveryPlan) recoverability.Facts {
	ctx, cancel := context.WithTimeout(ctx, evaluationLimit)
	defer cancel()
	e := &evaluation{Reconciler: r, run: rehearsed(plan), facts: promises(plan, r.Clock.Now())}
	for _, step := range []struct {
		limit time.Duration
		check recoverability.Check
		do    func(context.Context) error
	}{
		{checkEach, recoverability.CheckServing, e.serves},
		{checkEach, recoverability.CheckSecrets, e.lookUpSecrets},
		{checkEach, recoverability.CheckSeeds, e.lookUpSeeds},
		{renderLimit, recoverability.CheckGit, e.probe},
		{renderLimit, recoverability.CheckRendering, e.renderTwice},
		{checkEach, recoverability.CheckLint, e.lint},
		{checkEach, recoverability.CheckClusterAPI, e.accepted},
		{checkEach, recoverability.CheckVersion, e.offered},
	} {
		err := within(ctx, step.limit, func(ctx context.Context) error {
			return safely(ctx, func() error { return step.do(ctx) })
		})
		if err != nil {
			e.fault(err, step.check)
		}
	}
	return e.facts
}

func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

// rehearsed is the rebuild that would be ordered now.
func rehearsed(plan *v1alpha1.RecoveryPlan) *v1alpha1.RecoveryRun {
	run := &v1alpha1.RecoveryRun{Spec: v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: plan.Name}, Operation: v1alpha1.OperationRebuild}}
	run.Namespace, run.Name, run.UID = plan.Namespace, plan.Name, plan.UID
	run.Status.Pinned = &v1alpha1.PinnedInputs{PlanUID: plan.UID, PlanGeneration: plan.Generation, Plan: *plan.Spec.DeepCopy()}
	return run
}

// promises of a plan, and what was measured of them.
func promises(plan *v1alpha1.RecoveryPlan, now time.Time) recoverability.Facts {
	f := recoverability.Facts{Now: now}
	if age := plan.Spec.Evaluate.MaxDrillAge; age != nil {
		f.MaxDrillAge = age.Duration
	}
	if objective := plan.Spec.Objective.RecoveryTime; objective != nil {
		f.Objective = objective.Duration
	}
	if last := recovery.LastDrill(plan); last != nil {
		f.LastDrill = last.FinishedAt.Time
		if took, err := time.ParseDuration(last.RecoveryTime); err == nil {
			f.RecoveryTime = took
		}
	}
	return f
}

// serves is true of the plan itself: a rebuild is refused while another one serves in its place.
func (e *evaluation) serves(ctx context.Context) error {
	_, serving, err := e.servingLease(ctx, e.run.Namespace, e.run.Spec.PlanRef.Name)
	if err != nil {
		return err
	}
	if fault := recovery.ServesElsewhere(e.run.Spec.PlanRef.Name, serving); fault != nil {
		return fault
	}
	return nil
}

// lookUpSecrets that the plan names, other than seeds.
func (e *evaluation) lookUpSecrets(ctx context.Context) error {
	var err error
	if e.access, err = e.Reconciler.access(ctx, e.run, e.run.Status.Pinned.Plan.Source); err != nil {
		e.blind, e.locked = true, true
		e.fault(err, recoverability.CheckSecrets)
	}
	if _, err := e.chartMirrors(ctx, e.run); err != nil {
		e.blind = true
		e.fault(err, recoverability.CheckSecrets)
	}
	_, err = e.signingKey(ctx, e.run)
	return err
}

func (e *evaluation) lookUpSeeds(ctx context.Context) error {
	for i := range e.run.Status.Pinned.Plan.Seeds {
		if _, err := e.seedAt(ctx, e.run, i); err != nil {
			e.blind = true
			e.fault(err, recoverability.CheckSeeds)
		}
	}
	return nil
}

// probe each place of the repository, unless its credentials are not there.
func (e *evaluation) probe(ctx context.Context) error {
	plan := e.run.Status.Pinned.Plan
	if e.locked {
		return nil
	}
	answers, err := e.Engine.Probe(ctx, renderRequest(plan, e.run.Namespace, plan.Cluster.Name, "", e.access), probeEach)
	for _, a := range answers {
		remote := recoverability.Remote{URL: a.URL, Tip: a.Tip}
		if a.Err != nil {
			remote.Fault = a.Err.Error()
		}
		e.facts.Remotes = append(e.facts.Remotes, remote)
	}
	return err
}

// renderTwice what a rebuild would render: as it is found, and again as it would be pinned.
func (e *evaluation) renderTwice(ctx context.Context) error {
	if e.blind {
		return nil
	}
	m, err := e.renderFrozen(ctx, e.run, "", nil)
	if err != nil {
		return err
	}
	e.materials = m
	first := m.rendered
	e.facts.Rendered = &recoverability.Rendered{Commit: first.Commit, Objects: len(first.State), Infrastructure: m.cluster.Infrastructure()}
	if first.Origin != nil {
		e.facts.Rendered.Stale = first.Origin.Stale
		if at := first.Origin.FetchedAt; at != nil {
			e.facts.Rendered.FetchedAt = at.Time
		}
	}
	pinned := e.run.DeepCopy()
	pinned.Status.Pinned.Charts, pinned.Status.Pinned.Sources = each(first.Charts, pinnedChart), each(first.Sources, pinnedSource)
	second, err := e.renderFrozen(ctx, pinned, first.Commit, first.Frozen)
	if err != nil {
		return fmt.Errorf("render the same commit again: %w", err)
	}
	e.facts.Rendered.Unsteady = second.rendered.Digest != first.Digest || second.rendered.ClusterDigest != first.ClusterDigest
	return nil
}

func (e *evaluation) lint(context.Context) error {
	if e.materials == nil {
		return nil
	}
	report, err := e.Engine.Lint(e.materials.rendered, e.run.Status.Pinned.Plan.Seeds)
	if err != nil {
		return err
	}
	found := &recoverability.Lint{Warnings: report.Count(lint.Warning)}
	for _, f := range report.Only(lint.Error).Findings {
		found.Errors = append(found.Errors, sentence(f))
	}
	e.facts.Lint = found
	return nil
}

// sentence of a finding. Of a Secret, which is decrypted here, it says no more than where.
func sentence(f lint.Finding) string {
	at := f.Object.String()
	if f.Origin.String() != "" {
		at += " (" + f.Origin.String() + ")"
	}
	if f.Object.Kind == "Secret" {
		return fmt.Sprintf("%s: rule %s is broken: see refloat lint", at, f.Rule)
	}
	return fmt.Sprintf("%s: %s: %s: %s", at, f.Rule, f.Message, f.Fix)
}

// accepted says whether the management cluster would take the cluster's manifests.
func (e *evaluation) accepted(ctx context.Context) error {
	if e.materials == nil {
		return nil
	}
	if err := e.Clusters.Preflight(ctx, e.materials.cluster); err != nil {
		return err
	}
	return e.Clusters.Obstacles(ctx, e.materials.cluster)
}

// offered compares the wanted version with what the cluster's class offers, where it says so.
func (e *evaluation) offered(ctx context.Context) error {
	if e.materials == nil {
		return nil
	}
	offer, err := e.Clusters.Offered(ctx, e.materials.cluster)
	if err != nil || offer == nil {
		return err
	}
	e.facts.Version = &recoverability.Version{Wanted: offer.Wanted, Class: offer.Class, Offered: offer.Versions}
	return nil
}

// fault of a check. That no place of the repository gives a commit is told once.
func (e *evaluation) fault(err error, otherwise recoverability.Check) {
	check, unsure := sorted(err, e.facts.Remotes, otherwise)
	silent := true
	for _, r := range e.facts.Remotes {
		silent = silent && r.Fault != ""
	}
	if check == recoverability.CheckGit && silent && len(e.facts.Remotes) > 0 && !unsure {
		return
	}
	e.facts.Faults = append(e.facts.Faults, recoverability.Fault{Check: check, Message: err.Error(), Unsure: unsure})
}
