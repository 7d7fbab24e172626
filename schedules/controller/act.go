package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
)

// LabelSchedule of a run is the UID of the schedule that ordered it.
const LabelSchedule = "refloat.dev/schedule"

// act on a decision, with one effect.
func (p *pass) act(ctx context.Context, plan *v1alpha1.RecoveryPlan, known *v1alpha1.ScheduledPlan, seen *schedules.Observed, d schedules.Decision) error {
	switch d.Action {
	case schedules.Order:
		return p.order(ctx, plan, known, seen, d)
	case schedules.Withdraw:
		if err := p.cancel(ctx, p.schedule.Namespace, d.Run, "schedule "+p.schedule.Name+": "+d.Message); err != nil {
			return err
		}
		if seen.Busy != nil && seen.Busy.Run == d.Run {
			seen.Busy.Cancelled = true
		}
		seen.Queued = slices.DeleteFunc(seen.Queued, func(b schedules.Busy) bool { return b.Run == d.Run })
		return nil
	case schedules.Locate:
		where, err := p.Elsewhere(ctx, plan)
		if err != nil {
			return fmt.Errorf("find out whether it serves: %w", err)
		}
		seen.Unlocated, seen.Elsewhere = false, where
		return nil
	case schedules.Look:
		return p.look(plan, seen, d)
	case schedules.Notify:
		known.Notified = d.Due.Nominal.String()
		seen.Notified = known.Notified
		p.news = append(p.news, func() {
			p.Recorder.Eventf(plan, p.schedule, corev1.EventTypeNormal, "TeardownNear", "Notify", "schedule %s: %s", p.schedule.Name, d.Message)
			p.notices.send(p.schedule, plan, d)
		})
		return nil
	}
	return fmt.Errorf("nobody knows how to %s", d.Action)
}

// order the run of a time. Its name makes sure that there is one.
func (p *pass) order(ctx context.Context, plan *v1alpha1.RecoveryPlan, known *v1alpha1.ScheduledPlan, seen *schedules.Observed, d schedules.Decision) error {
	run := p.runFor(plan, seen.State, d)
	err := p.Client.Create(ctx, run)
	if apierrors.IsAlreadyExists(err) {
		err = p.ours(ctx, run)
	}
	if err != nil {
		return fmt.Errorf("create run %s: %w", run.Name, err)
	}
	if down := seen.DownSince; !down.IsZero() && seen.State == schedules.Down && d.Due.Operation == v1alpha1.DirectionRebuild {
		p.saved(p.now.Sub(down))
	}
	p.dealt(plan, known, seen, d.Due.Operation, d.Ordered(run.Name, p.now))
	if d.Due.Operation == v1alpha1.DirectionDrill {
		seen.Drilling = &schedules.Busy{Run: run.Name, Ours: true, Operation: d.Due.Operation, Nominal: d.Due.Nominal.String()}
		return nil
	}
	seen.Busy = &schedules.Busy{Run: run.Name, Ours: true, Operation: d.Due.Operation, Nominal: d.Due.Nominal.String()}
	if by := d.Due.ReadyBy; !by.IsZero() && d.Due.Operation == v1alpha1.DirectionRebuild {
		if over := p.now.Add(seen.Pace.Expected).Sub(by); over > 0 {
			p.warn(plan, "ReadyByAtRisk", "rebuild run %s takes about %s and is expected %s after %s",
				run.Name, seen.Pace.Expected.Round(time.Second), over.Round(time.Second), by.In(p.table.Zone()).Format("2006-01-02 15:04 MST"))
		}
	}
	return nil
}

// saved is counted when a cluster comes back.
func (p *pass) saved(down time.Duration) {
	savedSeconds.WithLabelValues(p.schedule.Namespace, p.schedule.Name).Add(down.Seconds())
	total := down.Truncate(time.Second)
	if so := p.schedule.Status.Saved; so != nil {
		total += so.Duration
	}
	p.schedule.Status.Saved = &metav1.Duration{Duration: total}
}

// runFor a time. Where a rebuild only brings back what a teardown took, it leaves alone a
// cluster that came to be since: one that the last rebuild left broken it makes anew.
func (p *pass) runFor(plan *v1alpha1.RecoveryPlan, state schedules.State, d schedules.Decision) *v1alpha1.RecoveryRun {
	due, schedule := d.Due, p.schedule
	ordered := &v1alpha1.ScheduledTime{
		Name: schedule.Name, UID: schedule.UID, Nominal: due.Nominal.String(), Due: metav1.NewMicroTime(due.Start),
		Concurrency: schedules.Concurrency(&schedule.Spec), Priority: schedule.Spec.Priority,
		Infrastructure: plan.Status.Infrastructure,
	}
	if !due.ReadyBy.IsZero() {
		by := metav1.NewTime(due.ReadyBy)
		ordered.ReadyBy = &by
	}
	return &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: plan.Namespace, Name: schedules.RunName(schedule.UID, plan.Name, due, d.Attempt),
			Labels: map[string]string{LabelSchedule: string(schedule.UID)},
		},
		Spec: v1alpha1.RecoveryRunSpec{
			PlanRef: v1alpha1.PlanReference{Name: plan.Name}, Operation: v1alpha1.Operation(due.Operation), Cluster: plan.Spec.Cluster.Name,
			Reason:       fmt.Sprintf("schedule %s, %s %s", schedule.Name, due.Nominal, p.table.Zone()),
			Schedule:     ordered,
			KeepExisting: due.Operation == v1alpha1.DirectionRebuild && p.table.Wakes() && state == schedules.Down,
		},
	}
}

// ours makes sure that the run that has the name is the one that was to be created.
func (p *pass) ours(ctx context.Context, want *v1alpha1.RecoveryRun) error {
	run := &v1alpha1.RecoveryRun{}
	err := p.Client.Get(ctx, client.ObjectKeyFromObject(want), run)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("it exists, and the cache does not show it yet")
	}
	if err != nil {
		return err
	}
	if run.Spec.Schedule == nil || run.Spec.Schedule.UID != p.schedule.UID {
		return fmt.Errorf("a run of that name exists which the schedule did not order")
	}
	return nil
}

// cancel a run that did not start yet.
func (r *Reconciler) cancel(ctx context.Context, namespace, name, reason string) error {
	run := &v1alpha1.RecoveryRun{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, run)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read run %s: %w", name, err)
	}
	if run.Spec.Cancel != nil || run.Status.StartedAt != nil {
		return nil
	}
	run.Spec.Cancel = &v1alpha1.Cancellation{Reason: reason}
	if err := r.Client.Update(ctx, run); err != nil {
		return fmt.Errorf("cancel run %s: %w", name, err)
	}
	return nil
}

// look whether the cluster is in use. One that gives no answer is not in use.
func (p *pass) look(plan *v1alpha1.RecoveryPlan, seen *schedules.Observed, d schedules.Decision) error {
	if p.looks == nil {
		seen.Use = &schedules.Use{}
		return nil
	}
	reason, err := p.looks.take(client.ObjectKeyFromObject(p.schedule), plan, *p.schedule.Spec.Teardown.InUse, d.Due.Nominal.String())
	if errors.Is(err, errLooking) {
		return err
	}
	if err != nil {
		p.warn(plan, "UseUnknown", "nobody could find out whether the cluster is in use; it counts as not in use: %v", err)
	}
	seen.Use = &schedules.Use{Reason: reason}
	return nil
}

// dealt with a time: it is recorded, and people are told of what is not usual.
func (p *pass) dealt(plan *v1alpha1.RecoveryPlan, known *v1alpha1.ScheduledPlan, seen *schedules.Observed, direction v1alpha1.Direction, dealt schedules.Dealt) {
	record := dealt.Record()
	seen.Record(direction, record)
	switch direction {
	case v1alpha1.DirectionTeardown:
		known.Teardown = record
	case v1alpha1.DirectionDrill:
		known.Drill = record
	default:
		known.Rebuild = record
	}
	p.schedule.Status.Last = schedules.Clip(fmt.Sprintf("%s of %s: %s, for %s", direction, record.Nominal, dealt.Outcome, plan.Name), maxLast)
	observeDealt(p.schedule, dealt)
	switch dealt.Outcome {
	case v1alpha1.OutcomeMissed:
		p.warn(plan, "TimeMissed", "the %s of %s was missed: %s", direction, record.Nominal, dealt.Message)
	case v1alpha1.OutcomeSkipped, v1alpha1.OutcomeSuperseded:
		p.say(plan, "Time"+string(dealt.Outcome), "no %s at %s: %s", direction, record.Nominal, dealt.Message)
	}
}

func (p *pass) warn(plan *v1alpha1.RecoveryPlan, reason, format string, args ...any) {
	p.event(plan, corev1.EventTypeWarning, reason, format, args...)
}

func (p *pass) say(plan *v1alpha1.RecoveryPlan, reason, format string, args ...any) {
	p.event(plan, corev1.EventTypeNormal, reason, format, args...)
}

func (p *pass) event(plan *v1alpha1.RecoveryPlan, kind, reason, format string, args ...any) {
	note := schedules.Clip(fmt.Sprintf(format, args...), maxNote)
	p.news = append(p.news, func() { p.Recorder.Eventf(plan, p.schedule, kind, reason, "Schedule", "%s", note) })
}

const (
	// maxNote is what an event's note may hold, with some room.
	maxNote = 1000
	// maxLast of a status.
	maxLast = 256
)
