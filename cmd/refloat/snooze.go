package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
)

func newSnoozeCommand(t terminal, a *access) *cobra.Command {
	return newKeepCommand(a, &cobra.Command{
		Use:   "snooze PLAN --for 2h --reason WHY",
		Short: "Put the teardown of a plan's cluster off",
		Long: `Put the teardown of a plan's cluster off, for as long as you say from now on. The
schedule says how long after its time a teardown may be at most (maxSnooze).

It is a Hold, which ends by itself; then the teardown is made up for, unless the next
rebuild is due by then. To end it before: kubectl delete hold NAME`,
	}, func(ctx context.Context, c client.Client, plan *v1alpha1.RecoveryPlan, length time.Duration, reason string) error {
		return snooze(ctx, t, c, plan, length, reason)
	})
}

// snoozable is what the schedules of a plan say about putting its teardown off.
type snoozable struct {
	schedule string // empty when none tears the cluster down
	due      time.Time
	limit    time.Duration
}

// latest instant to which the teardown may be put off.
func (s snoozable) latest() time.Time { return s.due.Add(s.limit) }

func snooze(ctx context.Context, t terminal, c client.Client, plan *v1alpha1.RecoveryPlan, length time.Duration, reason string) error {
	now := time.Now()
	may, err := snoozableBy(ctx, c, plan, now)
	if err != nil {
		return err
	}
	until := now.Add(length)
	if may.schedule == "" {
		say(t.Err, "no schedule tears cluster %s down; nobody else does meanwhile either", plan.Spec.Cluster.Name)
	} else if until.After(may.latest()) {
		return usageError("schedule %s lets its teardown of %s be put off by %s at most, until %s; %s from now is more",
			may.schedule, may.due.Format(time.RFC3339), may.limit, may.latest().Format(time.RFC3339), length)
	}
	return createHold(ctx, t, c, plan, plan.Name+"-snooze-", until, reason)
}

// snoozableBy the schedules of a plan. Of several the strictest counts.
func snoozableBy(ctx context.Context, c client.Client, plan *v1alpha1.RecoveryPlan, now time.Time) (snoozable, error) {
	var may snoozable
	list := &v1alpha1.RecoveryScheduleList{}
	if err := c.List(ctx, list, inNamespace(plan.Namespace)); err != nil {
		return may, explain(err, "list the schedules")
	}
	for i := range list.Items {
		s := &list.Items[i]
		selects, err := schedules.Selector(&s.Spec)
		if err != nil || s.Spec.Teardown == nil || s.Spec.Suspend || !selects(plan) {
			continue
		}
		due, ok := teardownOf(s, plan, now)
		one := snoozable{schedule: s.Name, due: due, limit: schedules.MaxSnooze(&s.Spec)}
		if ok && (may.schedule == "" || one.latest().Before(may.latest())) {
			may = one
		}
	}
	return may, nil
}

// inGrace is how long a teardown that waits may have been due.
const inGrace = 8 * 24 * time.Hour

// teardownOf a schedule that a person means now: one that waits, else the next.
func teardownOf(s *v1alpha1.RecoverySchedule, plan *v1alpha1.RecoveryPlan, now time.Time) (time.Time, bool) {
	table, err := schedules.Compile(&s.Spec, nil)
	if err != nil {
		return time.Time{}, false
	}
	pace, _ := table.PaceOf(s, plan, nil)
	for _, known := range s.Status.Plans {
		if p := known.Postponed; known.Name == plan.Name && p != nil && p.Operation == v1alpha1.DirectionTeardown {
			if due, ok := table.LastOf(v1alpha1.DirectionTeardown, now.Add(-inGrace), now, pace); ok {
				return due.Start, true
			}
		}
	}
	due, ok := table.NextOf(v1alpha1.DirectionTeardown, now, pace)
	return due.Start, ok
}
