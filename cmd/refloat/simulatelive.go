package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
	"github.com/refloat-dev/refloat/schedules/calendar"
	"github.com/refloat-dev/refloat/schedules/simulation"
)

// fetchSchedule reads a schedule, its plans, their history and their holds from the
// management cluster.
func fetchSchedule(ctx context.Context, t terminal, a *access, name string, o *simulateOptions) (*simulated, error) {
	c, namespace, err := a.connect()
	if err != nil {
		return nil, err
	}
	return scheduleOf(ctx, t, c, client.ObjectKey{Namespace: namespace, Name: name}, o, time.Now())
}

func scheduleOf(ctx context.Context, t terminal, c client.Reader, key client.ObjectKey, o *simulateOptions, now time.Time) (*simulated, error) {
	schedule, err := readSchedule(ctx, c, key.Namespace, key.Name)
	if err != nil {
		return nil, err
	}
	exceptions, err := fetchCalendar(ctx, c, schedule, o)
	if err != nil {
		return nil, err
	}
	table, err := compileWith(&schedule.Spec, exceptions)
	if err != nil {
		return nil, usageError("RecoverySchedule %s: %w", key, err)
	}
	plans, err := plansOf(ctx, c, schedule)
	if err != nil {
		return nil, err
	}
	runs := &v1alpha1.RecoveryRunList{}
	if err := c.List(ctx, runs, inNamespace(key.Namespace)); err != nil {
		return nil, explain(err, "list the runs")
	}
	one := simulation.Schedule{Name: key.Name, Spec: &schedule.Spec, Timetable: table}
	for i := range plans {
		pace, _ := table.PaceOf(schedule, &plans[i], runs.Items)
		one.Plans = append(one.Plans, simulation.Plan{Name: plans[i].Name, Pace: pace})
	}
	if err := addHolds(ctx, c, plans, one.Plans, now); err != nil {
		return nil, err
	}
	switch {
	case len(plans) == 0 && len(o.plans) > 0:
		one.Plans = o.named(table, schedule)
	case len(plans) == 0:
		say(t.Err, "warning: schedule %s does nothing, since there is no plan that it selects in namespace %s; --plan NAME supposes that there is one", key.Name, key.Namespace)
	}
	return &simulated{schedules: []simulation.Schedule{one}, zone: table.Zone()}, nil
}

// addHolds that are not over, and whether there is a cluster that they keep.
func addHolds(ctx context.Context, c client.Reader, plans []v1alpha1.RecoveryPlan, simulated []simulation.Plan, now time.Time) error {
	if len(plans) == 0 {
		return nil
	}
	holds := &v1alpha1.HoldList{}
	if err := c.List(ctx, holds, inNamespace(plans[0].Namespace)); err != nil {
		return explain(err, "list the holds")
	}
	for i := range plans {
		one := &simulated[i]
		for j := range holds.Items {
			if h := &holds.Items[j]; h.Spec.PlanRef.Name == one.Name && h.DeletionTimestamp == nil && h.Spec.Until.After(now) {
				one.Holds = append(one.Holds, schedules.Hold{Name: h.Name, Reason: h.Spec.Reason, Since: h.CreationTimestamp.Time, Until: h.Spec.Until.Time})
			}
		}
		if len(one.Holds) == 0 {
			continue
		}
		one.State = schedules.Up // also for those who may not ask: who holds a cluster has one
		err := c.Get(ctx, client.ObjectKey{Namespace: plans[i].Namespace, Name: plans[i].Spec.Cluster.Name}, &clusterv1.Cluster{})
		if apierrors.IsNotFound(err) {
			one.State = schedules.Down
		}
	}
	return nil
}

// fetchCalendar of a schedule on the management cluster.
func fetchCalendar(ctx context.Context, c client.Reader, schedule *v1alpha1.RecoverySchedule, o *simulateOptions) (*calendar.Calendar, error) {
	spec := schedule.Spec.Calendar
	if spec == nil || o.calendar != "" {
		parsed, err := o.calendarFile(spec)
		if err != nil {
			return nil, usageError("%w", err)
		}
		return parsed, nil
	}
	ref := spec.ExceptConfigMapRef
	if ref == nil {
		return nil, usageError("spec.calendar is at an address; fetch it and give it by --calendar FILE")
	}
	held := &corev1.ConfigMap{}
	err := c.Get(ctx, client.ObjectKey{Namespace: schedule.Namespace, Name: ref.Name}, held)
	if apierrors.IsNotFound(err) {
		return nil, usageError("spec.calendar names ConfigMap %s, which is not in namespace %s", ref.Name, schedule.Namespace)
	}
	if err != nil {
		return nil, explain(err, "read the calendar")
	}
	parsed, err := parseCalendar(held, ref)
	if err != nil {
		return nil, usageError("%w", err)
	}
	return parsed, nil
}

func readSchedule(ctx context.Context, c client.Reader, namespace, name string) (*v1alpha1.RecoverySchedule, error) {
	schedule := &v1alpha1.RecoverySchedule{}
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, schedule)
	if apierrors.IsNotFound(err) {
		return nil, usageError("there is no schedule %q in namespace %q; 'refloat get schedules' lists them", name, namespace)
	}
	if err != nil {
		return nil, explain(err, "read the schedule")
	}
	return schedule, nil
}

// plansOf a schedule.
func plansOf(ctx context.Context, c client.Reader, schedule *v1alpha1.RecoverySchedule) ([]v1alpha1.RecoveryPlan, error) {
	selects, err := schedules.Selector(&schedule.Spec)
	if err != nil {
		return nil, usageError("RecoverySchedule %s: %w", schedule.Name, err)
	}
	list := &v1alpha1.RecoveryPlanList{}
	if err := c.List(ctx, list, inNamespace(schedule.Namespace)); err != nil {
		return nil, explain(err, "list the plans")
	}
	var plans []v1alpha1.RecoveryPlan
	for i := range list.Items {
		if selects(&list.Items[i]) {
			plans = append(plans, list.Items[i])
		}
	}
	return plans, nil
}

func inNamespace(namespace string) client.ListOption { return client.InNamespace(namespace) }
