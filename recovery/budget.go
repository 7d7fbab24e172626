package recovery

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

const (
	// DefaultSlotWait is how long a run waits for a slot of a budget.
	DefaultSlotWait = time.Hour
	// budgetSpan is what MaxPerHour is about.
	budgetSpan = time.Hour
	// maxSlots that a budget keeps.
	maxSlots = 512
)

// Budget is what a run has to know of a budget that its plan is under.
type Budget struct {
	// Budget with the status that it has now.
	Budget *v1alpha1.TeardownBudget
	// Fault of a budget that bounds nothing as it is written.
	Fault *Fault
	// Mine is true when the run has a slot.
	Mine bool
	// Full says why there is no slot for the run; empty when there is one.
	Full string
	// FreeAt is when there may be one; zero when nobody can tell.
	FreeAt time.Time
}

// BudgetFacts are what a budget is counted by. They are read after the budget, in this
// order: runs, clusters. What a run did before it finished shows on its cluster, then.
type BudgetFacts struct {
	// Runs of slots that are not finished; one that is missing is gone.
	Runs map[types.UID]*v1alpha1.RecoveryRun
	// Plans that the budget selects, and whether the cluster of each is down.
	Plans map[string]bool
}

// BudgetSelects tells whether a budget is about plans with these labels. One that cannot
// be told is a Fault.
func BudgetSelects(b *v1alpha1.TeardownBudget, plan map[string]string) (bool, *Fault) {
	selector, err := metav1.LabelSelectorAsSelector(&b.Spec.PlanSelector)
	if err != nil {
		return false, budgetInvalid(b, "spec.planSelector: "+err.Error())
	}
	if !selector.Matches(labels.Set(plan)) {
		return false, nil
	}
	return true, BudgetFault(b)
}

// BudgetFault says what is wrong with a budget that the API server did not check; nil for
// nothing.
func BudgetFault(b *v1alpha1.TeardownBudget) *Fault {
	if _, err := metav1.LabelSelectorAsSelector(&b.Spec.PlanSelector); err != nil {
		return budgetInvalid(b, "spec.planSelector: "+err.Error())
	}
	if b.Spec.MaxPerHour == nil && b.Spec.MaxDown == nil {
		return budgetInvalid(b, "neither spec.maxPerHour nor spec.maxDown is set")
	}
	if most, err := mostDown(b, 1); err != nil || most < 0 {
		return budgetInvalid(b, fmt.Sprintf("spec.maxDown %q is neither a number nor a percentage", b.Spec.MaxDown))
	}
	return nil
}

func budgetInvalid(b *v1alpha1.TeardownBudget, why string) *Fault {
	return Faultf("BudgetInvalid", "TeardownBudget %s/%s bounds nothing as it is written, and as long as that is so no cluster that it may be about is deleted: %s; correct it or delete it",
		b.Namespace, b.Name, why)
}

// mostDown of a number of plans.
func mostDown(b *v1alpha1.TeardownBudget, plans int) (int, error) {
	if b.Spec.MaxDown == nil {
		return 0, nil
	}
	return intstr.GetScaledValueFromIntOrPercent(b.Spec.MaxDown, plans, false)
}

// CountBudget is the status of a budget as of now: slots that bound nothing any more are
// given back.
func CountBudget(b *v1alpha1.TeardownBudget, facts BudgetFacts, now time.Time) v1alpha1.TeardownBudgetStatus {
	s := *b.Status.DeepCopy()
	s.ObservedGeneration, s.Slots = b.Generation, nil
	for _, slot := range b.Status.Slots {
		slot = seenSlot(slot, facts)
		if !slot.Finished || slot.DeletedAt != nil && now.Before(slot.DeletedAt.Add(budgetSpan)) {
			s.Slots = append(s.Slots, slot)
		}
	}
	s.Plans, s.Down, s.LastHour = int32(len(facts.Plans)), int32(len(down(s, facts))), int32(len(withinHour(s, now)))
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Counted", Message: "runs of the selected plans wait for its slots",
		ObservedGeneration: b.Generation, LastTransitionTime: metav1.NewTime(now),
	})
	return s
}

// RecordBudgetFault says what is wrong with a budget.
func RecordBudgetFault(b *v1alpha1.TeardownBudget, fault *Fault, now time.Time) {
	b.Status.ObservedGeneration = b.Generation
	meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Invalid", Message: clip(fault.Message, maxMessage),
		ObservedGeneration: b.Generation, LastTransitionTime: metav1.NewTime(now),
	})
}

// seenSlot adds what is known of its run. When a run is gone nobody can tell whether it
// deleted anything; then it counts as if it had, from when it might have.
func seenSlot(slot v1alpha1.TeardownSlot, facts BudgetFacts) v1alpha1.TeardownSlot {
	if slot.Finished {
		return slot
	}
	run := facts.Runs[slot.UID]
	if run == nil {
		slot.Finished = true
		if slot.DeletedAt == nil {
			slot.DeletedAt = slot.TakenAt.DeepCopy()
		}
		return slot
	}
	if p := run.Status.Previous; p != nil && p.DeleteRequestedAt != nil {
		slot.DeletedAt = p.DeleteRequestedAt.DeepCopy()
	}
	slot.Finished = run.Status.FinishedAt != nil
	return slot
}

// withinHour are the slots that count against MaxPerHour: those of an hour, and those whose
// deletion is yet to come.
func withinHour(s v1alpha1.TeardownBudgetStatus, now time.Time) []v1alpha1.TeardownSlot {
	var out []v1alpha1.TeardownSlot
	for _, slot := range s.Slots {
		if slot.DeletedAt == nil || now.Before(slot.DeletedAt.Add(budgetSpan)) {
			out = append(out, slot)
		}
	}
	return out
}

// down are the plans whose cluster does not work, or whose run is not done with it.
func down(s v1alpha1.TeardownBudgetStatus, facts BudgetFacts) map[string]bool {
	out := map[string]bool{}
	for plan, isDown := range facts.Plans {
		if isDown {
			out[plan] = true
		}
	}
	for _, slot := range s.Slots {
		if !slot.Finished {
			out[slot.Plan] = true
		}
	}
	return out
}

// WeighBudget tells whether a budget has a slot for a run.
func WeighBudget(b *v1alpha1.TeardownBudget, run *v1alpha1.RecoveryRun, facts BudgetFacts, now time.Time) Budget {
	counted := b.DeepCopy()
	counted.Status = CountBudget(b, facts, now)
	w := Budget{Budget: counted, Mine: HasSlot(b, run)}
	if w.Mine {
		return w
	}
	if w.Full, w.FreeAt = overHour(counted, now); w.Full == "" {
		w.Full = overDown(counted, facts, run.Spec.PlanRef.Name)
	}
	if w.Full == "" && len(counted.Status.Slots) >= maxSlots {
		w.Full = fmt.Sprintf("it keeps %d slots already", maxSlots)
	}
	return w
}

// HasSlot tells whether a run has a slot of a budget.
func HasSlot(b *v1alpha1.TeardownBudget, run *v1alpha1.RecoveryRun) bool {
	return slices.ContainsFunc(b.Status.Slots, func(s v1alpha1.TeardownSlot) bool { return s.UID == run.UID })
}

// overHour says why the hour is used up, and when it is no more.
func overHour(b *v1alpha1.TeardownBudget, now time.Time) (why string, free time.Time) {
	if b.Spec.MaxPerHour == nil {
		return "", time.Time{}
	}
	most, counted := int(*b.Spec.MaxPerHour), withinHour(b.Status, now)
	if len(counted) < most {
		return "", time.Time{}
	}
	if most == 0 {
		return "it lets no cluster be deleted (spec.maxPerHour is 0)", time.Time{}
	}
	// One slot is free when all but most-1 have passed.
	var ends []time.Time
	for _, slot := range counted {
		if slot.DeletedAt != nil {
			ends = append(ends, slot.DeletedAt.Add(budgetSpan))
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	if i := len(counted) - most; i < len(ends) {
		free = ends[i]
	}
	return fmt.Sprintf("%d clusters were deleted within an hour or are about to be, and at most %d may", len(counted), most), free
}

// overDown says why another cluster must not go down.
func overDown(b *v1alpha1.TeardownBudget, facts BudgetFacts, plan string) string {
	if b.Spec.MaxDown == nil {
		return ""
	}
	most, err := mostDown(b, len(facts.Plans))
	if err != nil {
		return err.Error()
	}
	others := down(b.Status, facts)
	delete(others, plan)
	if len(others)+1 <= most {
		return ""
	}
	text := fmt.Sprintf("at most %s of %d clusters may be down", b.Spec.MaxDown, len(facts.Plans))
	if b.Spec.MaxDown.Type == intstr.String {
		text += fmt.Sprintf(", which is %d", most)
	}
	if len(others) == 0 {
		return text
	}
	return fmt.Sprintf("%s, and those of other plans are: %s", text, some(slices.Sorted(maps.Keys(others))))
}

// RecordSlot gives a run a slot of a budget as it was counted.
func RecordSlot(b *v1alpha1.TeardownBudget, run *v1alpha1.RecoveryRun, now time.Time) {
	if HasSlot(b, run) {
		return
	}
	s := &b.Status
	s.Slots = append(s.Slots, v1alpha1.TeardownSlot{Run: run.Name, UID: run.UID, Plan: run.Spec.PlanRef.Name, TakenAt: *micro(now)})
	s.LastHour++
}

// SlotWait is how long runs wait for a slot of a budget.
func SlotWait(b *v1alpha1.TeardownBudget) time.Duration {
	if b.Spec.WaitFor == nil {
		return DefaultSlotWait
	}
	return min(max(b.Spec.WaitFor.Duration, 0), longest)
}

// byName is the order in which slots are taken, so that no two runs wait for each other.
func byName(a, b Budget) int { return cmp.Compare(a.Budget.Name, b.Budget.Name) }
