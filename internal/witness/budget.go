package witness

import (
	"encoding/json"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// budgetsAreKept holds each slot that was taken against the budget as the API server had
// it then, and each deletion against the slots of the run. Whether a plan is under a budget
// is not in the log: a run that took no slot at all is not found here.
func budgetsAreKept(h *history) []string {
	var out breaches
	last := map[string]*v1alpha1.TeardownBudget{}
	took := map[string]bool{}
	for _, e := range h.Events {
		switch {
		case e.Server != Management || !e.Wrote():
		case e.is("teardownbudgets/status"):
			b := &v1alpha1.TeardownBudget{}
			if json.Unmarshal(e.ResponseObject, b) != nil {
				continue
			}
			if most := b.Spec.MaxPerHour; most != nil && grew(last[b.Name], b) {
				n := recent(b, e.Received.Time)
				out.add(n <= int(*most), "%s: %d slots of an hour are taken, %d may be", e, n, *most)
			}
			last[b.Name], took[b.Name] = b, took[b.Name] || slotted(b, h.RunUID)
		case e.is("clusters") && e.Verb == "delete" && h.ofPrevious(e):
			for name, b := range last {
				out.add(!took[name] || slotted(b, h.RunUID), "%s: the run has no slot of budget %s any more", e, name)
			}
		}
	}
	return out
}

// ofPrevious tells whether a deletion is that of the cluster that was there before the run.
func (h *history) ofPrevious(e Event) bool {
	run := h.statusAt(e.Received.Time)
	return run != nil && run.Status.Previous != nil && run.Status.Previous.UID == h.doomed(e)
}

func slotted(b *v1alpha1.TeardownBudget, run types.UID) bool {
	return slices.ContainsFunc(b.Status.Slots, func(s v1alpha1.TeardownSlot) bool { return s.UID == run })
}

// grew tells whether a slot is there that was not there before.
func grew(before, after *v1alpha1.TeardownBudget) bool {
	return slices.ContainsFunc(after.Status.Slots, func(s v1alpha1.TeardownSlot) bool { return before == nil || !slotted(before, s.UID) })
}

// recent slots count against the hour.
func recent(b *v1alpha1.TeardownBudget, now time.Time) int {
	n := 0
	for _, s := range b.Status.Slots {
		if s.DeletedAt == nil || now.Before(s.DeletedAt.Add(time.Hour)) {
			n++
		}
	}
	return n
}
