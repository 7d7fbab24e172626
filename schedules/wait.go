package schedules

import (
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// held by people who want to keep the cluster for longer.
func (t *Timetable) held(o Observed, due Due, d *Decision) bool {
	if due.Operation != v1alpha1.DirectionTeardown && o.State == Down {
		return false
	}
	var longest *Hold
	for i := range o.Holds {
		if h := &o.Holds[i]; h.Until.After(o.Now) && (longest == nil || h.Until.After(longest.Until)) {
			longest = h
		}
	}
	if longest == nil {
		return false
	}
	reason := fmt.Sprintf("hold %s: %s", longest.Name, longest.Reason)
	if next, ok := t.NextOf(opposite(due.Operation), due.Start, o.Pace); ok && !longest.Until.Before(next.Start) && t.mode != v1alpha1.ModeLevel {
		d.Dealt[due.Operation] = due.dealt(v1alpha1.OutcomeSkipped, reason)
		return true
	}
	d.postpone(due, longest.Until, reason, o)
	return true
}

// late is true when the time is over. What made it wait does not count, if it began to wait
// before it was late: a run or a hold of the next morning gives no second chance to a
// teardown that the evening missed.
func (t *Timetable) late(o Observed, due Due) bool {
	limit := t.directions[due.Operation].deadline
	if limit == 0 || t.mode == v1alpha1.ModeLevel {
		return false
	}
	return o.Now.Sub(waited(o, due, limit)) > limit
}

// waited is until when a time had to wait: for what the status has, else for the holds that
// covered it one after the other.
func waited(o Observed, due Due, limit time.Duration) time.Time {
	base := due.Start
	if p := o.Postponed; p != nil && p.Operation == due.Operation && p.Nominal == due.Nominal.String() && p.Until.After(base) {
		base = p.Until.Time
	}
	for range o.Holds {
		for _, h := range o.Holds {
			if h.Until.After(base) && !h.Since.After(base.Add(limit)) {
				base = h.Until
			}
		}
	}
	return base
}

// elsewherePause is when a plan that does not serve is asked about again, in mode Level.
const elsewherePause = 10 * time.Minute

// elsewhere is true when somebody has to ask whether another plan serves in this one's place,
// or when one does: what was fenced comes back by a failback, by no timetable.
func (t *Timetable) elsewhere(o Observed, due Due, d *Decision) bool {
	if due.Operation != v1alpha1.DirectionRebuild {
		return false
	}
	switch {
	case o.Unlocated:
		d.Action, d.Due = Locate, due
	case o.Elsewhere == "":
		return false
	case t.mode == v1alpha1.ModeLevel:
		d.postpone(due, o.Now.Add(elsewherePause), o.Elsewhere, o)
	default:
		d.Dealt[due.Operation] = due.dealt(v1alpha1.OutcomeSkipped, o.Elsewhere)
	}
	return true
}

// used is true when somebody has to look whether the cluster is in use, or when it is.
func (t *Timetable) used(o Observed, due Due, d *Decision) bool {
	if t.inUse == nil || due.Operation != v1alpha1.DirectionTeardown {
		return false
	}
	end := due.Start.Add(orDefault(t.inUse.AtMost, defaultAtMost))
	if !o.Now.Before(end) {
		return false
	}
	if p := o.Postponed; o.Use == nil && p != nil && p.Nominal == due.Nominal.String() && p.Until.After(o.Now) {
		d.postpone(due, p.Until.Time, p.Reason, o)
		return true
	}
	if o.Use == nil {
		d.Action, d.Due = Look, due
		d.Postponed = o.Postponed // what it waited so far does not make it late
		return true
	}
	if o.Use.Reason == "" {
		return false
	}
	until := o.Now.Add(orDefault(t.inUse.Postpone, defaultPostpone))
	if until.After(end) {
		until = end
	}
	d.postpone(due, until, "in use: "+o.Use.Reason, o)
	return true
}

// postpone keeps what was recorded as long as it says the same.
func (d *Decision) postpone(due Due, until time.Time, reason string, o Observed) {
	reason = clip(reason)
	d.Action, d.Due = Postpone, due
	d.Postponed = &v1alpha1.Postponement{Operation: due.Operation, Nominal: due.Nominal.String(), Reason: reason, Until: micro(until)}
	if p := o.Postponed; p != nil && p.Nominal == d.Postponed.Nominal && p.Operation == due.Operation && p.Reason == reason && p.Until.After(o.Now) {
		d.Postponed = p.DeepCopy()
	}
	d.Again = d.Postponed.Until.Time
}
