package recovery

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// slotAgain is when to look again for a slot that nobody can say the time of.
const slotAgain = time.Minute

// NeedsSlot tells whether the run is yet to delete a cluster that it did not make, so that
// budgets count.
func NeedsSlot(run *v1alpha1.RecoveryRun) bool {
	p := run.Status.Previous
	return !cleaning(run) && p != nil && p.UID != "" && p.DeleteRequestedAt == nil
}

// withSlots makes the run take a slot of each budget that its plan is under, before it touches
// its cluster; nil when it has them. Nothing waits for what somebody else is deleting, nor
// once a fence began: its hook may have stopped the cluster already.
func withSlots(o Observation) *Decision {
	if fenceBegan(o.Run) || !NeedsSlot(o.Run) || !o.Cluster.DeletingSince.IsZero() {
		return nil
	}
	var lacking []Budget
	for _, b := range o.Budgets {
		if b.Fault != nil {
			d := failed(o, b.Fault)
			return &d
		}
		if !b.Mine {
			lacking = append(lacking, b)
		}
	}
	slices.SortFunc(lacking, byName)
	full := slices.DeleteFunc(slices.Clone(lacking), func(b Budget) bool { return b.Full == "" })
	wait := o.Run.Status.Budget
	switch {
	case len(full) > 0:
		d := awaitTurn(o, full)
		return &d
	case len(lacking) > 0:
		return &Decision{Action: TakeSlot, Budget: lacking[0].Budget}
	case wait != nil && wait.Since != nil:
		return &Decision{Action: EndWait}
	}
	return nil
}

// awaitTurn waits until the first of the budgets loses its patience.
func awaitTurn(o Observation, full []Budget) Decision {
	since, waited := o.Now, time.Duration(0)
	if w := o.Run.Status.Budget; w != nil {
		waited = w.Waited.Duration
		if w.Since != nil {
			since = w.Since.Time
		}
	}
	first := full[0]
	for _, b := range full[1:] {
		if SlotWait(b.Budget) < SlotWait(first.Budget) {
			first = b
		}
	}
	until := since.Add(SlotWait(first.Budget) - waited).Truncate(time.Microsecond)
	if !o.Now.Before(until) {
		return failed(o, Faultf("BudgetExceeded", "there was no slot of TeardownBudget %s for the run within %s: %s; Cluster %s was left alone. Order the run again then, or change the budget",
			first.Budget.Name, SlotWait(first.Budget), turnOf(first), o.Run.Status.Previous.Name))
	}
	if w := o.Run.Status.Budget; w == nil || w.Since == nil || w.Until == nil || !w.Until.Time.Equal(until) {
		return Decision{Action: AwaitSlot, Until: until}
	}
	// Whose wait is longest is told, since that is what the others wait for, too.
	last := full[0]
	for _, b := range full[1:] {
		if b.FreeAt.IsZero() && !last.FreeAt.IsZero() || !last.FreeAt.IsZero() && b.FreeAt.After(last.FreeAt) {
			last = b
		}
	}
	again := slotAgain
	if !last.FreeAt.IsZero() {
		again = min(again, max(last.FreeAt.Sub(o.Now), time.Second))
	}
	return Decision{
		Action: Wait, Waiting: fmt.Sprintf("a slot of TeardownBudget %s: %s", last.Budget.Name, turnOf(last)), Since: since, Until: until, Again: again,
	}
}

// turnOf says why there is no slot and when there may be one.
func turnOf(b Budget) string {
	if b.FreeAt.IsZero() {
		return b.Full
	}
	return fmt.Sprintf("%s; the next comes free at %s", b.Full, b.FreeAt.UTC().Format(time.RFC3339))
}

// RecordAwaitSlot says since when the run waits for its turn and until when.
func RecordAwaitSlot(run *v1alpha1.RecoveryRun, until, now time.Time) {
	if run.Status.Budget == nil {
		run.Status.Budget = &v1alpha1.BudgetWait{}
	}
	w := run.Status.Budget
	if w.Since == nil {
		w.Since = micro(now)
	}
	w.Until = micro(until)
}

// RecordTurn ends the wait: the phase did not go on meanwhile, so that it does not count
// against its limit.
func RecordTurn(run *v1alpha1.RecoveryRun, now time.Time) {
	w := run.Status.Budget
	if w == nil || w.Since == nil {
		return
	}
	stood := max(now.Sub(w.Since.Time), 0) // a clock may be set back
	w.Waited.Duration += stood
	w.Since, w.Until = nil, nil
	run.Status.Waiting = nil
	stand(run, stood)
}

// stand adds to the time that the phase under way stood still.
func stand(run *v1alpha1.RecoveryRun, stood time.Duration) {
	current := Current(run)
	if current == nil {
		return
	}
	if current.Suspended != nil {
		stood += current.Suspended.Duration
	}
	current.Suspended = &metav1.Duration{Duration: stood}
}
