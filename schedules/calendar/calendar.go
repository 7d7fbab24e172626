// Package calendar reads an iCalendar (RFC 5545) as a list of exceptions: which of its
// events covers an instant. Everything is bounded, because calendars come from outside.
package calendar

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	ics "github.com/arran4/golang-ical"
)

const (
	// MaxBytes of a calendar.
	MaxBytes = 1 << 20
	// maxEvents of a calendar, maxOccurrences of all of them.
	maxEvents      = 5000
	maxOccurrences = 100_000
	// maxLine of a calendar, in bytes.
	maxLine = 64 << 10
	// maxSummary of an entry, in bytes.
	maxSummary = 120
)

// Recurrences are followed between these years.
const (
	firstYear = 1970
	lastYear  = 2100
)

// Calendar is a list of entries.
type Calendar struct {
	occurrences []occurrence

	mu     sync.Mutex
	byZone map[string]*index
}

// occurrence of an event, as the event writes its times.
type occurrence struct {
	summary    string
	start, end clockTime
	allDay     bool
}

// clockTime is a wall clock, as if it were UTC, in a zone; nil for that of who asks.
type clockTime struct {
	wall time.Time
	zone *time.Location
}

// Entry is one occurrence of an event. It ends before End.
type Entry struct {
	Summary    string
	Start, End time.Time
	AllDay     bool
}

// Parse a calendar. The error names the line or the event.
func Parse(data []byte) (*Calendar, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("the calendar has more than %d bytes", MaxBytes)
	}
	for line := range bytes.Lines(data) {
		if len(line) > maxLine {
			return nil, fmt.Errorf("the calendar has a line of more than %d bytes", maxLine)
		}
	}
	parsed, err := guarded(data)
	if err != nil {
		return nil, fmt.Errorf("it is no iCalendar: %w", err)
	}
	events := parsed.Events()
	if len(events) > maxEvents {
		return nil, fmt.Errorf("the calendar has %d events; at most %d are read", len(events), maxEvents)
	}
	c := &Calendar{byZone: map[string]*index{}}
	moved := overridden(events)
	for _, event := range events {
		more, err := occurrencesOf(event, moved)
		if err != nil {
			return nil, fmt.Errorf("event %q: %w", nameOf(event), err)
		}
		if c.occurrences = append(c.occurrences, more...); len(c.occurrences) > maxOccurrences {
			return nil, fmt.Errorf("event %q: the events of the calendar occur more than %d times", nameOf(event), maxOccurrences)
		}
	}
	return c, nil
}

// guarded calls the library, which is not written for hostile input.
func guarded(data []byte) (c *ics.Calendar, err error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, errors.New("it cannot be read")
		}
	}()
	c, err = ics.ParseCalendar(bytes.NewReader(data))
	if err == nil && c == nil {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, errors.New(clean(err.Error()))
	}
	return c, nil
}

// Covering is the first entry that covers an instant. Whole days and times without a zone
// are read in the zone.
func (c *Calendar) Covering(at time.Time, zone *time.Location) (Entry, bool, error) {
	e, ok := c.in(zone).covering(at)
	return e, ok, nil
}

// Between are the entries that cover a part of a span, in the order of their starts.
func (c *Calendar) Between(from, until time.Time, zone *time.Location) ([]Entry, error) {
	var found []Entry
	for _, e := range c.in(zone).entries {
		if e.Start.Before(until) && e.End.After(from) {
			found = append(found, e)
		}
	}
	return found, nil
}

// index of a calendar's entries in one zone.
type index struct {
	entries []Entry // by start
	// latest end of all entries up to each.
	latest []time.Time
}

func (c *Calendar) in(zone *time.Location) *index {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.byZone[zone.String()]; i != nil {
		return i
	}
	i := &index{}
	for _, o := range c.occurrences {
		i.entries = append(i.entries, Entry{Summary: o.summary, Start: o.start.in(zone), End: o.end.in(zone), AllDay: o.allDay})
	}
	slices.SortStableFunc(i.entries, func(a, b Entry) int { return a.Start.Compare(b.Start) })
	var latest time.Time
	for _, e := range i.entries {
		if e.End.After(latest) {
			latest = e.End
		}
		i.latest = append(i.latest, latest)
	}
	c.byZone[zone.String()] = i
	return i
}

func (i *index) covering(at time.Time) (Entry, bool) {
	n, _ := slices.BinarySearchFunc(i.entries, at, func(e Entry, at time.Time) int {
		if e.Start.After(at) {
			return 1
		}
		return -1
	})
	found := -1
	for n--; n >= 0 && i.latest[n].After(at); n-- {
		if i.entries[n].End.After(at) {
			found = n
		}
	}
	if found < 0 {
		return Entry{}, false
	}
	return i.entries[found], true
}

func (t clockTime) in(zone *time.Location) time.Time {
	if t.zone != nil {
		zone = t.zone
	}
	w := t.wall
	return time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), 0, zone)
}

// clean text for people: one line, bounded.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > maxSummary {
		s = string(r[:maxSummary]) + "…"
	}
	return strings.TrimSpace(s)
}
