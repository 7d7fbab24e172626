package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// QueueLimits of a controller are how many runs work at a time.
type QueueLimits struct {
	// Active runs, all together; 0 for no limit.
	Active int
	// PerProvider, by the kind of infrastructure, with its group or without.
	PerProvider map[string]int
}

// of the provider of a run; "" and 0 when it has none.
func (l QueueLimits) of(run *v1alpha1.RecoveryRun) (provider string, limit int) {
	provider = provides(run)
	if limit = l.PerProvider[provider]; limit == 0 {
		kind, _, _ := strings.Cut(provider, ".")
		limit = l.PerProvider[kind]
	}
	return provider, limit
}

// provides the infrastructure of a run: as its inputs say once they are pinned, else as it was
// known when the run was ordered.
func provides(run *v1alpha1.RecoveryRun) string {
	if pinned := run.Status.Pinned; pinned != nil && pinned.Infrastructure != "" {
		return pinned.Infrastructure
	}
	if by := run.Spec.Schedule; by != nil {
		return by.Infrastructure
	}
	return ""
}

// Behind says what a scheduled run waits behind, empty when it is its turn: a schedule, a
// provider and the controller let so many runs work at a time. What people order waits for
// nobody, but counts. taken are runs that may start and did not say so yet.
func Behind(run *v1alpha1.RecoveryRun, all []v1alpha1.RecoveryRun, taken map[types.UID]bool, limits QueueLimits) string {
	by := run.Spec.Schedule
	if by == nil || taken[run.UID] {
		return ""
	}
	inSchedule := func(other *v1alpha1.RecoveryRun) bool {
		return other.Spec.Schedule != nil && other.Spec.Schedule.UID == by.UID
	}
	anyRun := func(*v1alpha1.RecoveryRun) bool { return true }
	if limit := int(by.Concurrency); limit > 0 {
		if position, of, full := place(run, all, taken, limit, inSchedule); full {
			return fmt.Sprintf("its turn: %d of %d in the queue of schedule %s, of which %d runs work at a time", position, of, by.Name, limit)
		}
	}
	if provider, limit := limits.of(run); limit > 0 {
		same := func(other *v1alpha1.RecoveryRun) bool { return provides(other) == provider }
		if position, of, full := place(run, all, taken, limit, same); full {
			return fmt.Sprintf("its turn: %d of %d in the queue of provider %s, for which %d runs work at a time", position, of, provider, limit)
		}
	}
	if most := limits.Active; most > 0 {
		if position, of, full := place(run, all, taken, most, anyRun); full {
			return fmt.Sprintf("its turn: %d of %d in the queue of the controller, which lets %d runs work at a time", position, of, most)
		}
	}
	return ""
}

// place of a run among those that wait, from 1; full is true when there is no room for it.
func place(run *v1alpha1.RecoveryRun, all []v1alpha1.RecoveryRun, taken map[types.UID]bool, limit int, counts func(*v1alpha1.RecoveryRun) bool) (position, of int, full bool) {
	working := 0
	for i := range all {
		other := &all[i]
		switch {
		case !counts(other) || other.Status.FinishedAt != nil:
		case other.Status.StartedAt != nil || taken[other.UID]:
			working++
		case waits(other):
			of++
			if other.UID == run.UID || before(other, run) {
				position++
			}
		}
	}
	return position, of, working+position > limit
}

// waits in a queue: nobody waits behind a run that was stopped.
func waits(run *v1alpha1.RecoveryRun) bool {
	return run.Spec.Schedule != nil && run.Status.StartedAt == nil && run.Status.FinishedAt == nil &&
		run.Spec.Cancel == nil && !run.Spec.Suspend && run.DeletionTimestamp == nil
}

// before in a queue: drills last, then by priority, then by when it was due.
func before(a, b *v1alpha1.RecoveryRun) bool {
	s, o := a.Spec.Schedule, b.Spec.Schedule
	return cmp.Or(cmp.Compare(drillsLast(a), drillsLast(b)), cmp.Compare(o.Priority, s.Priority), s.Due.Compare(o.Due.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name)) < 0
}

func drillsLast(run *v1alpha1.RecoveryRun) int {
	if run.Spec.Operation == v1alpha1.OperationDrill {
		return 1
	}
	return 0
}

// Next are the waiting runs whose turn it may be: the first of each queue, and all that are
// in none.
func Next(all []v1alpha1.RecoveryRun) []*v1alpha1.RecoveryRun {
	var next []*v1alpha1.RecoveryRun
	queues := map[types.UID][]*v1alpha1.RecoveryRun{}
	for i := range all {
		switch run := &all[i]; {
		case run.Status.StartedAt != nil || run.Status.FinishedAt != nil:
		case waits(run) && run.Spec.Schedule.Concurrency > 0:
			queues[run.Spec.Schedule.UID] = append(queues[run.Spec.Schedule.UID], run)
		default:
			next = append(next, run)
		}
	}
	for _, queue := range queues {
		slices.SortFunc(queue, func(a, b *v1alpha1.RecoveryRun) int {
			if before(a, b) {
				return -1
			}
			return 1
		})
		next = append(next, queue[:min(len(queue), int(queue[0].Spec.Schedule.Concurrency))]...)
	}
	return next
}
