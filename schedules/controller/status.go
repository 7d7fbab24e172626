package controller

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
)

// The conditions of a schedule, besides Ready.
const (
	// conditionConsistent is False when something in and around the schedule does not fit:
	// plans of two schedules, clusters that go and never come back.
	conditionConsistent = "Consistent"
	// conditionCalendar is False when the calendar cannot be read.
	conditionCalendar = "CalendarRead"
)

func (p *pass) condition(kind string, ok bool, reason, message string) {
	status := metav1.ConditionTrue
	if !ok {
		status = metav1.ConditionFalse
	}
	meta.SetStatusCondition(&p.schedule.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: p.schedule.Generation,
		LastTransitionTime: metav1.NewTime(p.now),
	})
}

// refuse a schedule that says nothing that can be done.
func (p *pass) refuse(err error) {
	p.schedule.Status.ObservedGeneration = p.schedule.Generation
	meta.RemoveStatusCondition(&p.schedule.Status.Conditions, conditionConsistent)
	unobserve(p.schedule.Namespace, p.schedule.Name)
	p.condition(v1alpha1.ConditionReady, false, "Invalid", err.Error())
	upcoming{}.into(&p.schedule.Status)
}

// suspended schedules do nothing, and take back what did not start.
func (p *pass) suspended(ctx context.Context, plans []*v1alpha1.RecoveryPlan) error {
	meta.RemoveStatusCondition(&p.schedule.Status.Conditions, conditionConsistent)
	unobserve(p.schedule.Namespace, p.schedule.Name)
	p.condition(v1alpha1.ConditionReady, false, "Suspended", "the schedule is suspended; what is due meanwhile is not made up for")
	upcoming{}.into(&p.schedule.Status)
	for i, plan := range plans {
		p.schedule.Status.Plans[i].Postponed = nil
		seen, err := p.observe(ctx, plan, &p.schedule.Status.Plans[i])
		if err != nil {
			return err
		}
		waiting := seen.Queued
		for _, b := range []*schedules.Busy{seen.Busy, seen.Drilling} {
			if b != nil && b.Ours && !b.Started && !b.Cancelled {
				waiting = append(waiting, *b)
			}
		}
		for _, b := range waiting {
			if err := p.cancel(ctx, p.schedule.Namespace, b.Run, "schedule "+p.schedule.Name+": it is suspended"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pass) ready(ctx context.Context, plans []*v1alpha1.RecoveryPlan) error {
	if len(plans) == 0 {
		p.condition(v1alpha1.ConditionReady, false, "NoPlan", "there is no plan that the schedule is for")
	} else {
		of := fmt.Sprintf("%d plans", len(plans))
		if len(plans) == 1 {
			of = "1 plan"
		}
		p.condition(v1alpha1.ConditionReady, true, "Scheduled", "the schedule is for "+of)
	}
	return p.consistent(ctx, plans)
}

// consistent with itself and with the other schedules of the namespace.
func (p *pass) consistent(ctx context.Context, plans []*v1alpha1.RecoveryPlan) error {
	plan, other, err := p.overlap(ctx, plans)
	if err != nil {
		return err
	}
	if plan != "" {
		p.condition(conditionConsistent, false, "Overlap", fmt.Sprintf("plan %s is in schedule %s too; each of them acts at its times", plan, other))
		return nil
	}
	if p.table.Has(v1alpha1.DirectionTeardown) && !p.table.Has(v1alpha1.DirectionRebuild) {
		p.condition(conditionConsistent, false, "NoRebuild", "the clusters are torn down and nothing brings them back; is spec.rebuild missing?")
		return nil
	}
	p.condition(conditionConsistent, true, "Consistent", "nothing is in the way")
	return nil
}

// overlap finds a plan that another schedule is for too. Only those that can be are read.
func (p *pass) overlap(ctx context.Context, plans []*v1alpha1.RecoveryPlan) (plan, other string, err error) {
	keys := []string{anyPlan}
	for _, plan := range plans {
		keys = append(keys, plan.Name)
	}
	for _, key := range keys {
		others := &v1alpha1.RecoveryScheduleList{}
		err := p.Client.List(ctx, others, client.InNamespace(p.schedule.Namespace), client.MatchingFields{indexPlan: key}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return "", "", fmt.Errorf("list the schedules: %w", err)
		}
		if plan, other := schedules.Overlap(p.schedule, others.Items, plans); plan != "" {
			return plan, other, nil
		}
	}
	return "", "", nil
}

func (p *pass) calendarState(err error) {
	if p.schedule.Spec.Calendar == nil {
		meta.RemoveStatusCondition(&p.schedule.Status.Conditions, conditionCalendar)
		return
	}
	if err != nil {
		p.condition(conditionCalendar, false, "Unreadable", err.Error())
		return
	}
	p.condition(conditionCalendar, true, "Read", "the calendar was read")
}

// upcoming is when the first of the plans is due, in each direction.
type upcoming map[v1alpha1.Direction]time.Time

func (u upcoming) add(table *schedules.Timetable, seen schedules.Observed) {
	if at, ok := table.NextTeardown(seen); ok {
		u[v1alpha1.DirectionTeardown] = sooner(u[v1alpha1.DirectionTeardown], at)
	}
	for _, d := range []v1alpha1.Direction{v1alpha1.DirectionRebuild, v1alpha1.DirectionDrill} {
		if due, ok := table.NextOf(d, seen.Now, seen.Pace); ok {
			u[d] = sooner(u[d], due.Start)
		}
	}
}

func (u upcoming) into(status *v1alpha1.RecoveryScheduleStatus) {
	at := func(d v1alpha1.Direction) *metav1.Time {
		if u[d].IsZero() {
			return nil
		}
		t := metav1.NewTime(u[d].UTC().Truncate(time.Second))
		return &t
	}
	status.NextTeardown, status.NextRebuild = at(v1alpha1.DirectionTeardown), at(v1alpha1.DirectionRebuild)
	status.NextDrill = at(v1alpha1.DirectionDrill)
}

// equalStatus ignores how a time is held in memory.
func equalStatus(a, b *v1alpha1.RecoveryScheduleStatus) bool {
	return equality.Semantic.DeepEqual(a, b)
}
