package calendar

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// MaxBytes is how long a file may be.
	MaxBytes = 1 << 20

	maxEvents      = 5_000
	maxRules       = 1_000
	maxDates       = 1_000
	maxLine        = 8 << 10
	maxDepth       = 8
	maxName        = 64
	maxSummary     = 200
	maxOccurrences = 10_000
	maxEntries     = 10_000
	maxLength      = 366 * day
	maxSpan        = 5 * maxLength

	day = 24 * time.Hour
	// maxOffset is more than any zone's offset from UTC.
	maxOffset = 26 * time.Hour
)

// Calendar is what was read from a file.
type Calendar struct{ events []event }

// Entry is one occurrence of an event.
type Entry struct {
	Summary string
	// Start belongs to the entry, End no more.
	Start, End time.Time
	AllDay     bool
}

// Covering is the first entry that covers an instant, which is the one that began first.
// All-day and floating times are read in zone.
func (c *Calendar) Covering(at time.Time, zone *time.Location) (Entry, bool, error) {
	entries, err := c.Between(at, at.Add(1), zone)
	for _, e := range entries {
		if !e.Start.After(at) && e.End.After(at) {
			return e, true, nil
		}
	}
	return Entry{}, false, err
}

// Between is the entries that touch the span from one instant until, but not at, another,
// in the order in which they begin.
func (c *Calendar) Between(from, until time.Time, zone *time.Location) ([]Entry, error) {
	if c == nil || !from.Before(until) {
		return nil, nil
	}
	if until.Sub(from) > maxSpan {
		return nil, fmt.Errorf("the calendar is asked for %d days; ask for at most %d", until.Sub(from)/day, maxSpan/day)
	}
	if zone == nil {
		zone = time.UTC
	}
	var entries []Entry
	for i := range c.events {
		more, err := c.events[i].between(from, until, zone)
		if err != nil {
			return nil, err
		}
		if entries = append(entries, more...); len(entries) > maxEntries {
			return nil, errTooMany
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End), cmp.Compare(a.Summary, b.Summary))
	})
	return entries, nil
}

var errTooMany = errors.New("the calendar has more than 10000 entries in the span that is asked for; ask for a shorter one")
