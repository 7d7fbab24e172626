package cron

import (
	"cmp"
	"fmt"
	"time"
)

// Nominal is a local wall-clock minute without an offset.
type Nominal struct {
	Year         int
	Month        time.Month
	Day          int
	Hour, Minute int
}

const nominalLayout = "2006-01-02T15:04"

// String writes it as 2026-03-29T02:30.
func (n Nominal) String() string {
	return fmt.Sprintf("%04d-%02d-%02dT%02d:%02d", n.Year, n.Month, n.Day, n.Hour, n.Minute)
}

// ParseNominal reads what String writes.
func ParseNominal(s string) (Nominal, error) {
	t, err := time.Parse(nominalLayout, s)
	if err != nil {
		return Nominal{}, fmt.Errorf("%q is no local time such as 2026-03-29T02:30", s)
	}
	return NominalOf(t), nil
}

// NominalOf is the wall clock of an instant, in the instant's location.
func NominalOf(t time.Time) Nominal {
	return Nominal{Year: t.Year(), Month: t.Month(), Day: t.Day(), Hour: t.Hour(), Minute: t.Minute()}
}

// Compare is negative when n is earlier.
func (n Nominal) Compare(o Nominal) int {
	return cmp.Or(cmp.Compare(n.Year, o.Year), cmp.Compare(n.Month, o.Month), cmp.Compare(n.Day, o.Day),
		cmp.Compare(n.Hour, o.Hour), cmp.Compare(n.Minute, o.Minute))
}

// Shift says that a local time is not what a clock on the wall shows once.
type Shift string

// The shifts of a local time.
const (
	// ShiftGap: the time does not exist; it runs at the transition.
	ShiftGap Shift = "gap"
	// ShiftFold: the time exists twice; it runs the first time.
	ShiftFold Shift = "fold"
)

// reach is more than any zone was ever away from UTC.
const reach = 26 * time.Hour

// In is the instant of a local time: the first one when there are two, and the transition
// when there is none. time.Date promises neither.
func (n Nominal) In(zone *time.Location) (time.Time, Shift) {
	wall := n.wall()
	var first time.Time
	found := 0
	for at := wall.Add(-reach).In(zone); at.Before(wall.Add(reach)); {
		_, offset := at.Zone()
		end, ok := change(at)
		candidate := wall.Add(-time.Duration(offset) * time.Second)
		switch inside := !candidate.Before(at) && (!ok || candidate.Before(end)); {
		case inside:
			if found++; found == 1 {
				first = candidate
			}
		case ok && found == 0 && !candidate.Before(end):
			// Too late for this period. When it is too early for the next one, the clock
			// jumps over it.
			if _, following := end.Zone(); wall.Add(-time.Duration(following) * time.Second).Before(end) {
				return end, ShiftGap
			}
		}
		if !ok {
			break
		}
		at = end
	}
	switch found {
	case 0:
		return wall.In(zone), "" // no zone is that far away
	case 1:
		return first.In(zone), ""
	}
	return first.In(zone), ShiftFold
}

// change is when the offset may be another one; false for never. Beyond the last year that a
// zone's file lists, the standard library takes every year for one of 365 days, so that on
// the last day of a leap year the bounds that it tells are in the past.
func change(at time.Time) (time.Time, bool) {
	_, end := at.ZoneBounds()
	switch {
	case end.IsZero():
		return end, false
	case end.After(at):
		return end, true
	}
	return at.Add(time.Hour), true
}

// wall is the local time as if it were UTC.
func (n Nominal) wall() time.Time {
	return time.Date(n.Year, n.Month, n.Day, n.Hour, n.Minute, 0, 0, time.UTC)
}
