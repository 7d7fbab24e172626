// Package controller makes runs of the times of schedules, through the API alone. What is
// to be done is decided by package schedules; here it is observed, done and recorded.
package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
)

// Reconciler deals with one schedule at a time.
type Reconciler struct {
	// Client reads from a cache, which has the indexes of SetupWithManager.
	Client client.Client
	// Reader asks the API server, for ConfigMaps with calendars: they are not watched, so
	// that nobody has to be allowed to list them.
	Reader   client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	// Exists says whether there is a cluster of a plan, whoever made it.
	Exists func(ctx context.Context, plan *v1alpha1.RecoveryPlan) (bool, error)
	// Elsewhere says that another plan serves in the place of a plan, and which; empty when
	// none does. It is asked before a rebuild is ordered; nil when there are no failovers.
	Elsewhere func(ctx context.Context, plan *v1alpha1.RecoveryPlan) (string, error)
	tables    tables
	notices   *notices
	calendars *fetched
	// looks whether clusters are in use; nil when nobody can find out: then a policy that
	// asks for it postpones nothing.
	looks *looks
	// call the schedule up at an instant; zero for never.
	call func(key client.ObjectKey, at time.Time)
}

// refresh of what no watch tells: whether clusters are there, and what metrics show of it.
// It writes nothing.
const refresh = 10 * time.Minute

// maxRounds of decisions about one plan at one instant.
const maxRounds = 4

// Reconcile does what is due, and asks to be called up when the next is.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	schedule := &v1alpha1.RecoverySchedule{}
	err := r.Client.Get(ctx, request.NamespacedName, schedule)
	if apierrors.IsNotFound(err) || err == nil && schedule.DeletionTimestamp != nil {
		r.forget(request.NamespacedName)
		return ctrl.Result{}, r.takeBack(ctx, request.NamespacedName)
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("read the schedule: %w", err)
	}
	next := &pass{Reconciler: r, schedule: schedule.DeepCopy(), now: r.Clock.Now()}
	again, err := next.run(ctx)
	if recorded := r.record(ctx, schedule, next.schedule); recorded != nil {
		return ctrl.Result{}, recorded
	}
	next.tell()
	r.call(request.NamespacedName, sooner(again, next.now.Add(refresh)))
	return ctrl.Result{}, err
}

func (r *Reconciler) forget(key client.ObjectKey) {
	r.call(key, time.Time{})
	unobserve(key.Namespace, key.Name)
	r.tables.forget(key)
	r.calendars.forget(key)
	if r.looks != nil {
		r.looks.forget(key)
	}
}

// takeBack what a schedule ordered that is gone: who deletes it wants nothing of it to
// happen any more, and runs may wait for a day.
func (r *Reconciler) takeBack(ctx context.Context, key client.ObjectKey) error {
	runs := &v1alpha1.RecoveryRunList{}
	if err := r.Client.List(ctx, runs, client.InNamespace(key.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the runs of schedule %s, which is gone: %w", key.Name, err)
	}
	for i := range runs.Items {
		run := &runs.Items[i]
		by := run.Spec.Schedule
		if by == nil || by.Name != key.Name || run.Status.StartedAt != nil || run.Status.FinishedAt != nil || run.Spec.Cancel != nil {
			continue
		}
		if err := r.cancel(ctx, key.Namespace, run.Name, "schedule "+key.Name+": it was deleted"); err != nil {
			return err
		}
	}
	return nil
}

// record a status that changed. Nothing is written when nothing happened.
func (r *Reconciler) record(ctx context.Context, before, after *v1alpha1.RecoverySchedule) error {
	if equalStatus(&before.Status, &after.Status) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, after); err != nil {
		return fmt.Errorf("record the state of schedule %s: %w", after.Name, err)
	}
	return nil
}

// pass over a schedule at one instant.
type pass struct {
	*Reconciler
	// schedule whose status is brought up to date.
	schedule *v1alpha1.RecoverySchedule
	table    *schedules.Timetable
	now      time.Time
	// news are told once the status is recorded.
	news []func()
}

// run the pass. The instant is when something can change by itself.
func (p *pass) run(ctx context.Context) (time.Time, error) {
	selects, err := schedules.Selector(&p.schedule.Spec)
	if err != nil {
		p.refuse(err)
		return time.Time{}, nil
	}
	table, again, err := p.compile(ctx)
	var later *laterError
	switch {
	case errors.Is(err, errBeingFetched):
		return again, nil
	case errors.As(err, &later):
		return again, err
	case err != nil:
		p.refuse(err)
		return again, nil
	}
	p.schedule.Status.ObservedGeneration = p.schedule.Generation
	p.table = table
	plans, err := p.plans(ctx, selects)
	if err != nil {
		return again, err
	}
	p.begin(plans)
	if p.schedule.Spec.Suspend {
		return again, p.suspended(ctx, plans)
	}
	if err := p.ready(ctx, plans); err != nil {
		return again, err
	}
	earliest, err := p.each(ctx, plans)
	return sooner(again, earliest), err
}

// each plan is dealt with, also when another one fails.
func (p *pass) each(ctx context.Context, plans []*v1alpha1.RecoveryPlan) (time.Time, error) {
	var again time.Time
	var first error
	ahead := upcoming{}
	for i, plan := range plans {
		known := &p.schedule.Status.Plans[i]
		at, seen, err := p.plan(ctx, plan, known)
		if err != nil && first == nil {
			first = fmt.Errorf("plan %s: %w", plan.Name, err)
		}
		again = sooner(again, at)
		seen.Now, seen.Postponed = p.now, known.Postponed
		ahead.add(p.table, seen)
	}
	ahead.into(&p.schedule.Status)
	ahead.observe(p.schedule)
	return again, first
}

// plan is dealt with until nothing is left to do at this instant.
func (p *pass) plan(ctx context.Context, plan *v1alpha1.RecoveryPlan, known *v1alpha1.ScheduledPlan) (time.Time, schedules.Observed, error) {
	seen, err := p.observe(ctx, plan, known)
	if err != nil {
		return time.Time{}, seen, err
	}
	drill, err := p.drill(ctx, plan, known, &seen)
	if err != nil {
		return time.Time{}, seen, err
	}
	again, err := p.upAndDown(ctx, plan, known, &seen)
	return sooner(again, drill), seen, err
}

// drill that is due is ordered. What is ordered at the same instant to work on the cluster
// itself ends it again, which is right: it comes first.
func (p *pass) drill(ctx context.Context, plan *v1alpha1.RecoveryPlan, known *v1alpha1.ScheduledPlan, seen *schedules.Observed) (time.Time, error) {
	for range maxRounds {
		d := p.table.DecideDrill(*seen)
		for direction, dealt := range d.Dealt {
			p.dealt(plan, known, seen, direction, dealt)
		}
		if d.Action != schedules.Order {
			return d.Again, nil
		}
		if err := p.act(ctx, plan, known, seen, d); err != nil {
			return time.Time{}, err
		}
	}
	return p.now.Add(time.Second), nil
}

// upAndDown is what becomes of the cluster itself.
func (p *pass) upAndDown(ctx context.Context, plan *v1alpha1.RecoveryPlan, known *v1alpha1.ScheduledPlan, seen *schedules.Observed) (time.Time, error) {
	for range maxRounds {
		d := p.table.Decide(*seen)
		for direction, dealt := range d.Dealt {
			p.dealt(plan, known, seen, direction, dealt)
		}
		known.Postponed = d.Postponed
		seen.Postponed = d.Postponed
		if d.Action == schedules.Rest || d.Action == schedules.Record || d.Action == schedules.Postpone {
			p.observePlan(plan, *seen, d.Postponed != nil)
			return d.Again, nil
		}
		err := p.act(ctx, plan, known, seen, d)
		if errors.Is(err, errLooking) {
			return p.now.Add(lookLasts), nil // it calls before
		}
		if err != nil {
			return time.Time{}, err
		}
	}
	return p.now.Add(time.Second), nil
}

// tell people what happened, now that it is recorded.
func (p *pass) tell() {
	for _, news := range p.news {
		news()
	}
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
