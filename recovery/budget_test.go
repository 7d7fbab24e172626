package recovery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func perHour(n int32) *int32 { return &n }

func maxDown(s string) *intstr.IntOrString { v := intstr.Parse(s); return &v }

func budgetOf(spec v1alpha1.TeardownBudgetSpec, slots ...v1alpha1.TeardownSlot) *v1alpha1.TeardownBudget {
	b := &v1alpha1.TeardownBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "nightly", Generation: 3}, Spec: spec}
	b.Status.Slots = slots
	return b
}

// slotOf a run of the plan with its name.
func slotOf(name string, taken time.Time, deleted ...time.Time) v1alpha1.TeardownSlot {
	s := v1alpha1.TeardownSlot{Run: name, UID: types.UID(name), Plan: name, TakenAt: *micro(taken)}
	if len(deleted) > 0 {
		s.DeletedAt = micro(deleted[0])
	}
	return s
}

func over(s v1alpha1.TeardownSlot) v1alpha1.TeardownSlot { s.Finished = true; return s }

// ranTo is the run of a slot.
func ranTo(name string, deleted, finished bool) *v1alpha1.RecoveryRun {
	run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}
	run.Spec.PlanRef.Name = name
	run.Status.Previous = &v1alpha1.Incarnation{Name: name, UID: "c"}
	if deleted {
		run.Status.Previous.DeleteRequestedAt = micro(t0)
	}
	if finished {
		run.Status.FinishedAt = micro(t0)
	}
	return run
}

func factsOf(plans map[string]bool, runs ...*v1alpha1.RecoveryRun) BudgetFacts {
	f := BudgetFacts{Plans: plans, Runs: map[types.UID]*v1alpha1.RecoveryRun{}}
	for _, run := range runs {
		f.Runs[run.UID] = run
	}
	return f
}

// TestSlotsAreGivenBack when they bound nothing any more, and not before.
func TestSlotsAreGivenBack(t *testing.T) {
	minute := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }
	for name, test := range map[string]struct {
		slot v1alpha1.TeardownSlot
		run  *v1alpha1.RecoveryRun
		now  time.Time
		kept bool
		hour int32
		down int32
	}{
		"about to delete":                {slotOf("a", t0), ranTo("a", false, false), minute(300), true, 1, 1},
		"deleted, under way":             {slotOf("a", t0), ranTo("a", true, false), minute(59), true, 1, 1},
		"deleted long ago, under way":    {slotOf("a", t0), ranTo("a", true, false), minute(60), true, 0, 1},
		"deleted and finished":           {slotOf("a", t0), ranTo("a", true, true), minute(59), true, 1, 0},
		"an hour after":                  {slotOf("a", t0), ranTo("a", true, true), minute(60), false, 0, 0},
		"never deleted":                  {slotOf("a", t0), ranTo("a", false, true), minute(1), false, 0, 0},
		"run gone, deletion known":       {slotOf("a", t0, minute(30)), nil, minute(89), true, 1, 0},
		"run gone, deletion not known":   {slotOf("a", t0), nil, minute(59), true, 1, 0},
		"run gone for an hour":           {slotOf("a", t0), nil, minute(60), false, 0, 0},
		"finished is not looked up":      {over(slotOf("a", t0, t0)), nil, minute(59), true, 1, 0},
		"finished, an hour after":        {over(slotOf("a", t0, t0)), nil, minute(60), false, 0, 0},
		"edited: finished, nothing else": {over(slotOf("a", t0)), nil, minute(1), false, 0, 0},
	} {
		facts := factsOf(map[string]bool{"a": false, "b": false})
		if test.run != nil {
			facts = factsOf(facts.Plans, test.run)
		}
		b := budgetOf(v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(1)}, test.slot)
		s := CountBudget(b, facts, test.now)
		if (len(s.Slots) == 1) != test.kept || s.LastHour != test.hour || s.Down != test.down || s.Plans != 2 || s.ObservedGeneration != 3 {
			t.Errorf("%s: %+v", name, s)
		}
		if !meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionReady) {
			t.Errorf("%s: conditions %+v", name, s.Conditions)
		}
		if len(b.Status.Slots) != 1 || b.Status.Slots[0].Finished != test.slot.Finished {
			t.Errorf("%s: the budget that was read changed: %+v", name, b.Status)
		}
	}
}

func TestWeighBudget(t *testing.T) {
	up := map[string]bool{"a": false, "b": false, "c": false, "d": false}
	one := map[string]bool{"a": false, "b": false, "c": false, "d": true}
	now := t0.Add(10 * time.Minute)
	deleted := func(name string, minutes int) v1alpha1.TeardownSlot {
		return over(slotOf(name, t0, t0.Add(time.Duration(minutes)*time.Minute)))
	}
	for name, test := range map[string]struct {
		spec  v1alpha1.TeardownBudgetSpec
		slots []v1alpha1.TeardownSlot
		facts BudgetFacts
		full  string // empty when there is a slot
		free  time.Time
	}{
		"nobody":                {spec: v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(1)}, facts: factsOf(up)},
		"freeze":                {spec: v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(0)}, facts: factsOf(up), full: "it lets no cluster be deleted"},
		"hour used up":          {spec: v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(2)}, slots: []v1alpha1.TeardownSlot{deleted("c", 5), deleted("b", 1)}, facts: factsOf(up), full: "2 clusters were deleted within an hour or are about to be, and at most 2 may", free: t0.Add(61 * time.Minute)},
		"limit was lowered":     {spec: v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(1)}, slots: []v1alpha1.TeardownSlot{deleted("c", 5), deleted("b", 1)}, facts: factsOf(up), full: "2 clusters", free: t0.Add(65 * time.Minute)},
		"somebody is about to":  {spec: v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(1)}, slots: []v1alpha1.TeardownSlot{slotOf("b", t0)}, facts: factsOf(up, ranTo("b", false, false)), full: "1 clusters"},
		"room within the hour":  {spec: v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(2)}, slots: []v1alpha1.TeardownSlot{deleted("b", 1)}, facts: factsOf(up)},
		"none down":             {spec: v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("1")}, facts: factsOf(up)},
		"one down":              {spec: v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("1")}, facts: factsOf(one), full: "at most 1 of 4 clusters may be down, and those of other plans are: d"},
		"its own is down":       {spec: v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("1")}, facts: factsOf(map[string]bool{"a": true, "b": false})},
		"half":                  {spec: v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("50%")}, facts: factsOf(one)},
		"a third, rounded down": {spec: v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("33%")}, facts: factsOf(one), full: "at most 33% of 4 clusters may be down, which is 1, and those of other plans are: d"},
		"a fifth is none":       {spec: v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("20%")}, facts: factsOf(up), full: "at most 20% of 4 clusters may be down, which is 0"},
		"about to go down":      {spec: v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("1")}, slots: []v1alpha1.TeardownSlot{slotOf("b", t0)}, facts: factsOf(up, ranTo("b", false, false)), full: "those of other plans are: b"},
		"rebuilt, not finished": {spec: v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("1")}, slots: []v1alpha1.TeardownSlot{slotOf("b", t0)}, facts: factsOf(up, ranTo("b", true, false)), full: "those of other plans are: b"},
		"rebuilt and finished":  {spec: v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("1")}, slots: []v1alpha1.TeardownSlot{slotOf("b", t0)}, facts: factsOf(up, ranTo("b", true, true))},
		"failed before":         {spec: v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(1), MaxDown: maxDown("1")}, slots: []v1alpha1.TeardownSlot{slotOf("b", t0)}, facts: factsOf(up, ranTo("b", false, true))},
	} {
		b := budgetOf(test.spec, test.slots...)
		w := WeighBudget(b, ranTo("a", false, false), test.facts, now)
		if w.Mine || (w.Full == "") != (test.full == "") || !strings.Contains(w.Full, test.full) || !w.FreeAt.Equal(test.free) {
			t.Errorf("%s: %q, free at %s; want %q, %s", name, w.Full, w.FreeAt, test.full, test.free)
		}
	}
	many := budgetOf(v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("10000")})
	facts := factsOf(up)
	for i := range maxSlots {
		many.Status.Slots = append(many.Status.Slots, over(slotOf(fmt.Sprint("r", i), t0, t0)))
	}
	if w := WeighBudget(many, ranTo("a", false, false), facts, now); !strings.Contains(w.Full, "slots already") {
		t.Errorf("%d slots: %q", maxSlots, w.Full)
	}
}

// TestOneSlotPerRun whoever takes it and however often.
func TestOneSlotPerRun(t *testing.T) {
	b, run := budgetOf(v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(1)}), ranTo("a", false, false)
	for range 2 {
		RecordSlot(b, run, t0)
	}
	want := []v1alpha1.TeardownSlot{slotOf("a", t0)}
	if diff := cmp.Diff(want, b.Status.Slots); diff != "" || b.Status.LastHour != 1 {
		t.Errorf("%s, %+v", diff, b.Status)
	}
	if w := WeighBudget(b, run, factsOf(nil, run), t0); !w.Mine || w.Full != "" {
		t.Errorf("%+v", w)
	}
}

func TestBudgetSelects(t *testing.T) {
	dev := metav1.LabelSelector{MatchLabels: map[string]string{"tier": "dev"}}
	broken := metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Like"}}}
	for name, test := range map[string]struct {
		spec    v1alpha1.TeardownBudgetSpec
		selects bool
		fault   string
	}{
		"by label":           {v1alpha1.TeardownBudgetSpec{PlanSelector: dev, MaxPerHour: perHour(1)}, true, ""},
		"all":                {v1alpha1.TeardownBudgetSpec{MaxPerHour: perHour(1)}, true, ""},
		"others":             {v1alpha1.TeardownBudgetSpec{PlanSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}}, false, ""},
		"broken selector":    {v1alpha1.TeardownBudgetSpec{PlanSelector: broken, MaxPerHour: perHour(1)}, false, "spec.planSelector"},
		"no limit":           {v1alpha1.TeardownBudgetSpec{PlanSelector: dev}, true, "neither"},
		"no number":          {v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("some")}, true, `spec.maxDown "some"`},
		"negative":           {v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("-1")}, true, "spec.maxDown"},
		"negative in part":   {v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("-5%")}, true, "spec.maxDown"},
		"none in percent":    {v1alpha1.TeardownBudgetSpec{MaxDown: maxDown("0%")}, true, ""},
		"number in a string": {v1alpha1.TeardownBudgetSpec{MaxDown: &intstr.IntOrString{Type: intstr.String, StrVal: "3"}}, true, "spec.maxDown"},
	} {
		selects, fault := BudgetSelects(budgetOf(test.spec), map[string]string{"tier": "dev"})
		if selects != test.selects || (fault != nil) != (test.fault != "") || fault != nil && (fault.Reason != "BudgetInvalid" || !strings.Contains(fault.Message, test.fault)) {
			t.Errorf("%s: %t, %+v", name, selects, fault)
		}
	}
}
