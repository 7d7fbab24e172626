package schedules

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

const (
	// MaxPlans of one schedule.
	MaxPlans = 1000
	// defaultConcurrency of schedules that were made without the API server's defaulting.
	defaultConcurrency = 20
)

// Concurrency is how many runs of a schedule work at a time; 0 for no limit.
func Concurrency(spec *v1alpha1.RecoveryScheduleSpec) int32 {
	if spec.Concurrency == nil {
		return defaultConcurrency
	}
	return *spec.Concurrency
}

// defaultMaxSnooze of schedules that were made without the API server's defaulting.
const defaultMaxSnooze = 12 * time.Hour

// MaxSnooze is for how long people may put a teardown off.
func MaxSnooze(spec *v1alpha1.RecoveryScheduleSpec) time.Duration {
	if spec.Teardown == nil {
		return 0
	}
	return orDefault(spec.Teardown.MaxSnooze, defaultMaxSnooze)
}

// Selector of a schedule's plans.
func Selector(spec *v1alpha1.RecoveryScheduleSpec) (func(*v1alpha1.RecoveryPlan) bool, error) {
	if ref := spec.PlanRef; ref != nil {
		return func(p *v1alpha1.RecoveryPlan) bool { return p.Name == ref.Name }, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(spec.PlanSelector)
	if err != nil {
		return nil, fmt.Errorf("spec.planSelector: %w", err)
	}
	return func(p *v1alpha1.RecoveryPlan) bool { return selector.Matches(labels.Set(p.Labels)) }, nil
}

// History of a plan's recovery times, the latest first: of the rebuilds and drills that
// succeeded.
func History(runs []v1alpha1.RecoveryRun, plan string) []time.Duration {
	type recovered struct {
		at    time.Time
		takes time.Duration
	}
	var all []recovered
	for i := range runs {
		run := &runs[i]
		s := run.Status
		if run.Spec.PlanRef.Name != plan || run.Spec.Operation == v1alpha1.OperationTeardown || run.Spec.RetryOf != "" ||
			s.FinishedAt == nil || s.Failure != nil || s.StartedAt == nil || s.RecoveredAt == nil {
			continue
		}
		all = append(all, recovered{s.RecoveredAt.Time, s.RecoveredAt.Sub(s.StartedAt.Time)})
	}
	slices.SortFunc(all, func(a, b recovered) int { return b.at.Compare(a.at) })
	history := make([]time.Duration, 0, len(all))
	for _, r := range all {
		history = append(history, r.takes)
	}
	return history
}

// PaceOf a plan under a schedule, and where the expected time is from.
func (t *Timetable) PaceOf(schedule *v1alpha1.RecoverySchedule, plan *v1alpha1.RecoveryPlan, runs []v1alpha1.RecoveryRun) (Pace, string) {
	var objective, spread time.Duration
	if d := plan.Spec.Objective.RecoveryTime; d != nil {
		objective = d.Duration
	}
	if schedule.Spec.Jitter != nil {
		spread = schedule.Spec.Jitter.Duration
	}
	expected, from := t.Expected(History(runs, plan.Name), objective)
	return Pace{Expected: expected, Jitter: Jitter(schedule.UID, plan.Name, spread)}, from
}
