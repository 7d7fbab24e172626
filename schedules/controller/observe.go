package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
)

// indexPlan of runs, holds and schedules in the cache: the name of their plan, or anyPlan
// for a schedule that selects plans.
const (
	indexPlan = "refloat.dev/plan"
	anyPlan   = "*"
)

// AnnotationSnooze of a plan puts teardowns off until an instant (RFC 3339), for those who
// have nothing but Git. AnnotationSnoozeReason says why.
const (
	AnnotationSnooze       = "refloat.dev/snooze-until"
	AnnotationSnoozeReason = "refloat.dev/snooze-reason"
)

// plans of the schedule, by name.
func (p *pass) plans(ctx context.Context, selects func(*v1alpha1.RecoveryPlan) bool) ([]*v1alpha1.RecoveryPlan, error) {
	if ref := p.schedule.Spec.PlanRef; ref != nil {
		plan := &v1alpha1.RecoveryPlan{}
		err := p.Client.Get(ctx, client.ObjectKey{Namespace: p.schedule.Namespace, Name: ref.Name}, plan)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read plan %s: %w", ref.Name, err)
		}
		return []*v1alpha1.RecoveryPlan{plan}, nil
	}
	list := &v1alpha1.RecoveryPlanList{}
	if err := p.Client.List(ctx, list, client.InNamespace(p.schedule.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the plans: %w", err)
	}
	var plans []*v1alpha1.RecoveryPlan
	for i := range list.Items {
		if plan := &list.Items[i]; plan.DeletionTimestamp == nil && selects(plan) {
			plans = append(plans, plan.DeepCopy())
		}
	}
	slices.SortFunc(plans, func(a, b *v1alpha1.RecoveryPlan) int { return cmp.Compare(a.Name, b.Name) })
	return plans[:min(len(plans), schedules.MaxPlans)], nil
}

// observe one plan.
func (p *pass) observe(ctx context.Context, plan *v1alpha1.RecoveryPlan, known *v1alpha1.ScheduledPlan) (schedules.Observed, error) {
	seen := schedules.Observed{
		Now: p.now, Since: known.Since.Time, Teardown: known.Teardown, Rebuild: known.Rebuild, Drill: known.Drill, Notified: known.Notified, Postponed: known.Postponed,
		Unlocated: p.Elsewhere != nil,
	}
	if since := p.schedule.Status.Since; since != nil && since.After(seen.Since) {
		seen.Since = since.Time
	}
	of := []client.ListOption{client.InNamespace(plan.Namespace), client.MatchingFields{indexPlan: plan.Name}, client.UnsafeDisableDeepCopy}
	runs := &v1alpha1.RecoveryRunList{}
	if err := p.Client.List(ctx, runs, of...); err != nil {
		return seen, fmt.Errorf("list the runs: %w", err)
	}
	seen.Pace, _ = p.table.PaceOf(p.schedule, plan, runs.Items)
	failed := p.history(runs.Items, &seen)
	holds := &v1alpha1.HoldList{}
	if err := p.Client.List(ctx, holds, of...); err != nil {
		return seen, fmt.Errorf("list the holds: %w", err)
	}
	for i := range holds.Items {
		if h := &holds.Items[i]; h.DeletionTimestamp == nil {
			seen.Holds = append(seen.Holds, schedules.Hold{Name: h.Name, Reason: h.Spec.Reason, Since: h.CreationTimestamp.Time, Until: h.Spec.Until.Time})
		}
	}
	p.snoozed(plan, &seen)
	exists, err := p.Exists(ctx, plan)
	switch {
	case err != nil:
		return seen, fmt.Errorf("find out whether there is a cluster: %w", err)
	case !exists:
		seen.State = schedules.Down
	case failed:
		seen.State = schedules.Broken
	default:
		seen.State = schedules.Up
	}
	return seen, nil
}

// history of the plan's rebuilds and teardowns: whether one is under way, when the last one
// ended, and whether the last one that did anything was a rebuild that failed.
func (p *pass) history(runs []v1alpha1.RecoveryRun, seen *schedules.Observed) (failed bool) {
	var last time.Time
	for i := range runs {
		run := &runs[i]
		if run.Spec.Operation == v1alpha1.OperationDrill && run.Status.FinishedAt == nil {
			p.drilling(run, seen)
		}
		if run.Spec.Operation != v1alpha1.OperationRebuild && run.Spec.Operation != v1alpha1.OperationTeardown {
			continue
		}
		ended := run.Status.FinishedAt
		if ended == nil {
			p.busy(run, seen)
			continue
		}
		if ended.After(seen.Finished) {
			seen.Finished, seen.DownSince = ended.Time, time.Time{}
			if run.Spec.Operation == v1alpha1.OperationTeardown && run.Status.Failure == nil {
				seen.DownSince = ended.Time
			}
		}
		if touched(run) && ended.After(last) {
			last, failed = ended.Time, run.Spec.Operation == v1alpha1.OperationRebuild && run.Status.Failure != nil
		}
	}
	return failed
}

// touched the cluster: it made one, or began to delete one. A run that was refused before
// that left the cluster as it was, in good health for all that is known.
func touched(run *v1alpha1.RecoveryRun) bool {
	previous, target := run.Status.Previous, run.Status.Target
	return run.Status.FinishedAt != nil && run.Status.Failure == nil || target != nil && target.UID != "" || previous != nil && previous.DeleteRequestedAt != nil
}

func (p *pass) busyOf(run *v1alpha1.RecoveryRun) *schedules.Busy {
	b := &schedules.Busy{Run: run.Name, Started: run.Status.StartedAt != nil, Cancelled: run.Spec.Cancel != nil}
	if by := run.Spec.Schedule; by != nil && by.UID == p.schedule.UID {
		b.Ours, b.Operation, b.Nominal = true, v1alpha1.Direction(run.Spec.Operation), by.Nominal
	}
	return b
}

// drilling is a drill that is not finished, the schedule's own before another one.
func (p *pass) drilling(run *v1alpha1.RecoveryRun, seen *schedules.Observed) {
	if b := p.busyOf(run); seen.Drilling == nil || b.Ours && b.Nominal > seen.Drilling.Nominal {
		seen.Drilling = b
	}
}

// busy is the run that is furthest: one that started before one that waits. The others of
// the schedule itself are remembered, as long as they did not start.
func (p *pass) busy(run *v1alpha1.RecoveryRun, seen *schedules.Observed) {
	b := p.busyOf(run)
	if seen.Busy == nil || b.Started && !seen.Busy.Started {
		seen.Busy, b = b, seen.Busy
	}
	if b != nil && b.Ours && !b.Started && !b.Cancelled {
		seen.Queued = append(seen.Queued, *b)
	}
}

// snoozed by an annotation counts as a hold, up to the limit of the schedule. One that
// cannot be read keeps the cluster until the limit: somebody wanted it to stay.
func (p *pass) snoozed(plan *v1alpha1.RecoveryPlan, seen *schedules.Observed) {
	text, ok := plan.Annotations[AnnotationSnooze]
	if !ok || p.schedule.Spec.Teardown == nil {
		return
	}
	limit := schedules.MaxSnooze(&p.schedule.Spec)
	due, ok := p.table.LastOf(v1alpha1.DirectionTeardown, seen.Since, p.now, seen.Pace)
	if !ok {
		return
	}
	latest := due.Start.Add(limit)
	until, err := time.Parse(time.RFC3339, text)
	reason := cmp.Or(plan.Annotations[AnnotationSnoozeReason], "annotation "+AnnotationSnooze)
	if err != nil {
		until, reason = latest, fmt.Sprintf("annotation %s is no time such as 2026-12-01T22:00:00Z", AnnotationSnooze)
	}
	if until.After(latest) {
		until, reason = latest, reason+", limited by maxSnooze"
	}
	seen.Holds = append(seen.Holds, schedules.Hold{Name: "of the plan", Reason: reason, Until: until})
}

// begin brings what the status knows of plans in line with the plans that there are. What
// was due before a plan, the timetable or the end of a suspension does not count.
func (p *pass) begin(plans []*v1alpha1.RecoveryPlan) {
	status := &p.schedule.Status
	now := metav1.NewMicroTime(p.now.UTC().Truncate(time.Microsecond))
	digest := schedules.Digest(&p.schedule.Spec)
	first := status.Timetable == ""
	switch {
	case first:
		created := metav1.NewMicroTime(p.schedule.CreationTimestamp.UTC())
		status.Timetable, status.Since = digest, &created
	case status.Timetable != digest || status.Suspended && !p.schedule.Spec.Suspend,
		status.Since != nil && schedules.Mistaken(status.Since.Time, p.now):
		status.Timetable, status.Since = digest, &now
	}
	status.Suspended = p.schedule.Spec.Suspend
	old := map[string]v1alpha1.ScheduledPlan{}
	for _, known := range status.Plans {
		old[known.Name] = known
	}
	status.Plans = make([]v1alpha1.ScheduledPlan, 0, len(plans))
	for _, plan := range plans {
		known, ok := old[plan.Name]
		if !ok || known.UID != plan.UID || schedules.Mistaken(known.Since.Time, p.now) {
			known = v1alpha1.ScheduledPlan{Name: plan.Name, UID: plan.UID, Since: now}
			if first {
				known.Since = metav1.NewMicroTime(plan.CreationTimestamp.UTC())
			}
		}
		status.Plans = append(status.Plans, known)
		delete(old, plan.Name)
	}
	for name := range old {
		unobservePlan(p.schedule, name)
	}
	status.PlanCount = int32(min(len(plans), schedules.MaxPlans)) //nolint:gosec // bounded
}
