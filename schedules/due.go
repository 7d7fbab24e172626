package schedules

import (
	"fmt"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/cron"
)

// Due is one time of a timetable, as it is meant for one plan.
type Due struct {
	Operation v1alpha1.Direction
	// Nominal is the local time, and Tick its instant.
	Nominal cron.Nominal
	Tick    time.Time
	// Start is when the run has to be created: before Tick when the cluster has to be ready
	// then, after it by the plan's share of the jitter otherwise.
	Start time.Time
	// ReadyBy is when the cluster has to be verified, zero without a deadline.
	ReadyBy time.Time
	// Once is true of a run at an absolute time.
	Once bool
	// Shift says that the local time does not exist, or exists twice.
	Shift cron.Shift
	// Skipped says why it does not run, if it does not.
	Skipped string
	// until is when what skips it ends, from when it began.
	from, until time.Time
}

// Pace of one plan.
type Pace struct {
	// Expected is how long a rebuild takes.
	Expected time.Duration
	// Jitter is the plan's share of the schedule's jitter.
	Jitter time.Duration
}

// maxSkipped times in a row are looked past. What skips is jumped over, so that a long
// holiday of a frequent timetable is one of them.
const maxSkipped = 1000

// offset of the start from the time that the timetable says.
func (t *Timetable) offset(d *direction, p Pace) time.Duration {
	if d.readyBy {
		return -(p.Expected + t.margin + p.Jitter)
	}
	return p.Jitter
}

// Next is the first time, of either direction, that starts after the instant and is not
// skipped. Of two at once the rebuild counts.
func (t *Timetable) Next(after time.Time, p Pace) (Due, bool) {
	var first Due
	found := false
	for _, name := range []v1alpha1.Direction{v1alpha1.DirectionRebuild, v1alpha1.DirectionTeardown} {
		if due, ok := t.NextOf(name, after, p); ok && (!found || due.Start.Before(first.Start)) {
			first, found = due, true
		}
	}
	return first, found
}

// NextOf is the first time of a direction that starts after the instant and is not skipped.
func (t *Timetable) NextOf(name v1alpha1.Direction, after time.Time, p Pace) (Due, bool) {
	for range maxSkipped {
		due, ok := t.NextAny(name, after, p)
		if !ok || due.Skipped == "" {
			return due, ok
		}
		after = due.Start
		if due.until.After(after) {
			after = due.until.Add(-1)
		}
	}
	return Due{}, false
}

// NextAny is the first time of a direction that starts after the instant, skipped or not.
func (t *Timetable) NextAny(name v1alpha1.Direction, after time.Time, p Pace) (Due, bool) {
	d := t.directions[name]
	if d == nil {
		return Due{}, false
	}
	offset := t.offset(d, p)
	tick, ok := d.next(t.zone, after.Add(-offset))
	if down, found := t.nextDown(d, after, p); found {
		if early, is := d.next(t.zone, down.Start); is && (!ok || early.At.Before(tick.At)) {
			tick, ok = early, true
		}
	}
	if !ok {
		return Due{}, false
	}
	return t.due(d, tick, p), true
}

// behindDown is how long after a teardown a rebuild starts that should have begun before it.
const behindDown = time.Minute

// nextDown is the first teardown that keeps back, until after the instant, a rebuild that has
// to be ready by a time.
func (t *Timetable) nextDown(d *direction, after time.Time, p Pace) (Due, bool) {
	if !d.readyBy {
		return Due{}, false
	}
	return t.NextOf(v1alpha1.DirectionTeardown, after.Add(-behindDown), p)
}

// next time of a direction after an instant.
func (d *direction) next(zone *time.Location, after time.Time) (cron.Tick, bool) {
	tick, ok := d.cron.Next(zone, after)
	for _, one := range d.once {
		if one.At.After(after) && (!ok || one.At.Before(tick.At)) {
			return one, true
		}
	}
	return tick, ok
}

// LastOf is the latest time of a direction that starts after one instant and not after the
// other, and is not skipped.
func (t *Timetable) LastOf(name v1alpha1.Direction, after, until time.Time, p Pace) (Due, bool) {
	for range maxSkipped {
		due, ok := t.lastAny(name, after, until, p)
		if !ok || due.Skipped == "" {
			return due, ok
		}
		until = due.Start.Add(-1)
		if due.from.Before(until) {
			until = due.from.Add(-1)
		}
	}
	return Due{}, false
}

// lastAny time of a direction, skipped or not.
func (t *Timetable) lastAny(name v1alpha1.Direction, after, until time.Time, p Pace) (Due, bool) {
	d := t.directions[name]
	if d == nil || !until.After(after) {
		return Due{}, false
	}
	offset := t.offset(d, p)
	limit, from := until.Add(-offset), after.Add(-offset)
	if down, found := t.nextDown(d, until, p); found {
		from = after.Add(-behindDown)
		if down.Start.Before(limit) {
			limit = down.Start
		}
	}
	tick, ok := d.last(t.zone, from, limit)
	if !ok {
		return Due{}, false
	}
	due := t.due(d, tick, p)
	return due, due.Start.After(after)
}

// last time of a direction after one instant and not after the other.
func (d *direction) last(zone *time.Location, after, until time.Time) (cron.Tick, bool) {
	tick, ok := d.cron.Last(zone, after, until)
	for _, one := range slices.Backward(d.once) {
		if one.At.After(after) && !one.At.After(until) {
			if !ok || one.At.After(tick.At) {
				return one, true
			}
			break
		}
	}
	return tick, ok
}

func (t *Timetable) due(d *direction, tick cron.Tick, p Pace) Due {
	offset := t.offset(d, p)
	due := Due{Once: slices.Contains(d.once, tick), Operation: d.name, Nominal: tick.Nominal, Tick: tick.At, Start: tick.At.Add(offset), Shift: tick.Shift}
	if d.readyBy {
		due.ReadyBy = tick.At
		// A cluster that is down for less time than it needs comes back late. To begin before
		// it goes would be in vain, and nothing would bring it back.
		down, ok := t.LastOf(v1alpha1.DirectionTeardown, due.Start.Add(-behindDown), tick.At.Add(-1), p)
		if ok && !down.Start.Add(behindDown).Before(due.Start) {
			due.Start = down.Start.Add(behindDown)
		}
	}
	t.skip(&due, offset)
	if d.readyBy && t.directions[v1alpha1.DirectionTeardown] != nil && due.Skipped != "" {
		due.from, due.until = due.Start, due.Start // the others of a holiday begin elsewhere
	}
	return due
}

// skip says so when a calendar or a blackout takes the time out. A calendar is about the
// time that the timetable names, a blackout about the start.
func (t *Timetable) skip(due *Due, offset time.Duration) {
	for _, b := range t.blackouts {
		if due.Start.Before(b.From.Time) || !due.Start.Before(b.Until.Time) || len(b.Skips) > 0 && !slices.Contains(b.Skips, due.Operation) {
			continue
		}
		due.Skipped = fmt.Sprintf("blackout until %s: %s", b.Until.In(t.zone).Format("2006-01-02 15:04"), b.Reason)
		due.from, due.until = b.From.Time, b.Until.Time
		return
	}
	if t.exceptions == nil || !slices.Contains(t.excepts, due.Operation) {
		return
	}
	entry, ok, err := t.exceptions.Covering(due.Tick, t.zone)
	switch {
	case err != nil:
		// The cluster is up when in doubt.
		if due.Operation == v1alpha1.DirectionTeardown {
			due.Skipped = fmt.Sprintf("the calendar has no answer: %v", err)
		}
	case ok:
		due.Skipped = "calendar: " + entry.Summary
		due.from, due.until = entry.Start.Add(offset), entry.End.Add(offset)
	}
}
