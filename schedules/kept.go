package schedules

import (
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// maxKept times are looked at behind one that holds take away; more are of no use to anybody.
const maxKept = 400

// NextTeardown is when the cluster really goes, as far as is known: holds and what was put
// off already are taken into account.
func (t *Timetable) NextTeardown(o Observed) (time.Time, bool) {
	if p := o.Postponed; p != nil && p.Operation == v1alpha1.DirectionTeardown && p.Until.After(o.Now) {
		return p.Until.Time, true
	}
	var kept time.Time
	for _, h := range o.Holds {
		if h.Until.After(kept) {
			kept = h.Until
		}
	}
	after := o.Now
	for range maxKept {
		due, ok := t.NextOf(v1alpha1.DirectionTeardown, after, o.Pace)
		switch {
		case !ok:
			return time.Time{}, false
		case !kept.After(due.Start):
			return due.Start, true
		}
		back, ok := t.NextOf(v1alpha1.DirectionRebuild, due.Start, o.Pace)
		if !ok || kept.Before(back.Start) || t.mode == v1alpha1.ModeLevel {
			return kept, true
		}
		after = due.Start // left out: the rebuild is due before the hold ends
	}
	return kept, true
}
