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
	after = after.Add(-offset)
	tick, ok := d.cron.Next(t.zone, after)
	for _, one := range d.once {
		if one.At.After(after) && (!ok || one.At.Before(tick.At)) {
			tick, ok = one, true
			break
		}
	}
	if !ok {
		return Due{}, false
	}
	return t.due(d, tick, offset), true
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
	after, until = after.Add(-offset), until.Add(-offset)
	tick, ok := d.cron.Last(t.zone, after, until)
	for _, one := range slices.Backward(d.once) {
		if one.At.After(after) && !one.At.After(until) {
			if !ok || one.At.After(tick.At) {
				tick, ok = one, true
			}
			break
		}
	}
	if !ok {
		return Due{}, false
	}
	return t.due(d, tick, offset), true
}

func (t *Timetable) due(d *direction, tick cron.Tick, offset time.Duration) Due {
	due := Due{Once: slices.Contains(d.once, tick), Operation: d.name, Nominal: tick.Nominal, Tick: tick.At, Start: tick.At.Add(offset), Shift: tick.Shift}
	if d.readyBy {
		due.ReadyBy = tick.At
	}
	t.skip(&due, offset)
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
