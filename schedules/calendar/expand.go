package calendar

import (
	"errors"
	"fmt"
	"time"
)

// between is the occurrences of an event that touch a span.
func (e *event) between(from, until time.Time, zone *time.Location) ([]Entry, error) {
	own := e.start.in(zone)
	// The span on the wall clock, wide enough for any offset, and for what began before.
	first := wallOf(from, own).Add(-e.wall - e.exact - maxOffset)
	last := wallOf(until, own).Add(maxOffset)
	var entries []Entry
	seen := map[int64]bool{}
	excepted := e.excepted(zone)
	add := func(s stamp) {
		start := instant(s.wall, s.in(zone))
		end := instant(s.wall.Add(e.wall), s.in(zone)).Add(e.exact)
		touches := start.Before(until) && (end.After(from) || start.Equal(end) && !start.Before(from))
		if !touches || seen[start.Unix()] || excepted[start.Unix()] || e.exceptedDay(s.wall) {
			return
		}
		seen[start.Unix()] = true
		entries = append(entries, Entry{Summary: e.summary, Start: start.In(zone), End: end.In(zone), AllDay: e.start.date})
	}
	add(e.start)
	for _, s := range e.extra {
		add(s)
	}
	if e.rule == nil {
		return entries, nil
	}
	if e.rule.until != nil {
		if end := e.rule.end(e.start, zone); end.Before(last) {
			last = end
		}
	}
	err := e.rule.each(first, last, func(wall time.Time) bool {
		add(stamp{wall: wall, date: e.start.date, zone: e.start.zone})
		return true
	}, e.start.wall)
	if errors.Is(err, errTooMany) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("calendar %s has an RRULE %w", e.name(), err)
	}
	return entries, nil
}

// end is the last wall-clock time of a rule with UNTIL, which is usually told in UTC.
func (r *rule) end(start stamp, zone *time.Location) time.Time {
	switch {
	case r.until.date && !start.date:
		return r.until.wall.Add(day - time.Second)
	case r.until.zone != nil && !start.date:
		return wallOf(r.until.wall, start.in(zone))
	}
	return r.until.wall
}

// excepted is the starts that EXDATE and replacements take out.
func (e *event) excepted(zone *time.Location) map[int64]bool {
	if len(e.except) == 0 {
		return nil
	}
	all := make(map[int64]bool, len(e.except))
	for _, s := range e.except {
		switch {
		case e.start.date:
			all[instant(s.wall.Truncate(day), zone).Unix()] = true
		case !s.date:
			all[instant(s.wall, s.in(zone)).Unix()] = true
		}
	}
	return all
}

// exceptedDay is true when a date, for an event that has a time, takes out the whole day,
// as many programs write it.
func (e *event) exceptedDay(wall time.Time) bool {
	if e.start.date {
		return false
	}
	for _, s := range e.except {
		if s.date && s.wall.Equal(wall.Truncate(day)) {
			return true
		}
	}
	return false
}
