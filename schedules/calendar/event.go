package calendar

import (
	"fmt"
	"strings"
	"time"
)

// event is one VEVENT.
type event struct {
	uid, summary string
	line         int
	start        stamp
	// An occurrence ends days and then wall later on the wall clock, and then exact
	// later for real.
	wall, exact time.Duration
	rule        *rule
	extra       []stamp // RDATE
	except      []stamp // EXDATE, and what other events replace
	replaces    *stamp  // RECURRENCE-ID
	free        bool    // cancelled or transparent: takes no time
}

// Parse reads a file. What it does not understand and what could change the meaning is an
// error that names the line or the event.
func Parse(data []byte) (*Calendar, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("calendar is %d bytes long; at most %d are read", len(data), MaxBytes)
	}
	components, err := readEvents(data)
	if err != nil {
		return nil, err
	}
	loaded := zones{}
	var all []event
	rules := 0
	for _, c := range components {
		e, err := readEvent(c, loaded)
		if err != nil {
			return nil, fmt.Errorf("calendar %s %w", e.name(), err)
		}
		if e.rule != nil {
			if rules++; rules > maxRules {
				return nil, fmt.Errorf("calendar %s is the %dth with an RRULE; at most %d are read", e.name(), rules, maxRules)
			}
		}
		all = append(all, e)
	}
	return &Calendar{events: merge(all)}, nil
}

// merge drops the events that take no time, after taking what they and others replace
// out of the series that they belong to.
func merge(all []event) []event {
	replaced := map[string][]stamp{}
	for _, e := range all {
		if e.replaces != nil && e.uid != "" {
			replaced[e.uid] = append(replaced[e.uid], *e.replaces)
		}
	}
	var kept []event
	for _, e := range all {
		if e.free {
			continue
		}
		if e.replaces == nil && e.uid != "" {
			e.except = append(e.except, replaced[e.uid]...)
		}
		kept = append(kept, e)
	}
	return kept
}

// name is how an error calls the event.
func (e *event) name() string {
	switch {
	case e.summary != "":
		return fmt.Sprintf("event %s of line %d", quote(e.summary), e.line)
	case e.uid != "":
		return fmt.Sprintf("event with UID %s of line %d", quote(e.uid), e.line)
	}
	return fmt.Sprintf("event of line %d", e.line)
}

func readEvent(c component, loaded zones) (event, error) {
	e := event{line: c.line}
	once := map[string]property{}
	var dates []property
	for _, p := range c.properties {
		switch p.name {
		case "RDATE", "EXDATE":
			dates = append(dates, p)
			continue
		case "SUMMARY":
			e.summary = clean(p.value)
		case "UID":
			e.uid = p.value
		}
		if _, ok := once[p.name]; ok && p.name != "SUMMARY" {
			return e, fmt.Errorf("has %s twice", p.name)
		}
		once[p.name] = p
	}
	e.free = strings.EqualFold(strings.TrimSpace(once["STATUS"].value), "CANCELLED") ||
		strings.EqualFold(strings.TrimSpace(once["TRANSP"].value), "TRANSPARENT")
	if err := e.readStart(once, loaded); err != nil {
		return e, err
	}
	if err := e.readDates(dates, loaded); err != nil {
		return e, err
	}
	if err := e.readEnd(once, loaded); err != nil {
		return e, err
	}
	if _, ok := once["EXRULE"]; ok {
		return e, fmt.Errorf("has an EXRULE, which RFC 5545 has dropped; write EXDATE")
	}
	if p, ok := once["RRULE"]; ok && !e.free {
		r, err := parseRule(p.value, e.start)
		if err != nil {
			return e, fmt.Errorf("has the RRULE %s %w", quote(p.value), err)
		}
		e.rule = r
	}
	return e, nil
}

func (e *event) readStart(once map[string]property, loaded zones) error {
	p, ok := once["DTSTART"]
	if !ok {
		return fmt.Errorf("has no DTSTART")
	}
	var err error
	if e.start, err = loaded.stamp(p, p.value); err != nil {
		return err
	}
	if p, ok = once["RECURRENCE-ID"]; !ok {
		return nil
	}
	if p.param("RANGE") != "" {
		return fmt.Errorf("replaces a range of occurrences (RECURRENCE-ID with RANGE), which is not supported; write an event of its own")
	}
	s, err := loaded.stamp(p, p.value)
	e.replaces = &s
	return err
}

func (e *event) readDates(dates []property, loaded zones) error {
	for _, p := range dates {
		for _, value := range strings.Split(p.value, ",") {
			if len(e.extra)+len(e.except) == maxDates {
				return fmt.Errorf("has more than %d dates in RDATE and EXDATE", maxDates)
			}
			s, err := loaded.stamp(p, value)
			switch {
			case err != nil:
				return err
			case p.name == "EXDATE":
				e.except = append(e.except, s)
			case s.date != e.start.date:
				return fmt.Errorf("has an RDATE of another kind than its DTSTART; want both dates, or both times")
			default:
				e.extra = append(e.extra, s)
			}
		}
	}
	return nil
}

// readEnd finds how long an occurrence is. Without an end, a date lasts a day and a time
// no time at all.
func (e *event) readEnd(once map[string]property, loaded zones) error {
	end, ended := once["DTEND"]
	length, lasting := once["DURATION"]
	switch {
	case ended && lasting:
		return fmt.Errorf("has both DTEND and DURATION")
	case ended:
		s, err := loaded.stamp(end, end.value)
		if err != nil {
			return err
		}
		if s.date != e.start.date {
			return fmt.Errorf("has a DTEND of another kind than its DTSTART; want both dates, or both times")
		}
		if s.zone == e.start.zone {
			e.wall = s.wall.Sub(e.start.wall)
		} else {
			e.exact = instant(s.wall, s.in(time.UTC)).Sub(instant(e.start.wall, e.start.in(time.UTC)))
		}
	case lasting:
		days, exact, err := parseDuration(length.value)
		if err != nil {
			return err
		}
		if e.start.date && exact != 0 {
			return fmt.Errorf("begins on a date and has the DURATION %s; want days or weeks", quote(length.value))
		}
		e.wall, e.exact = time.Duration(min(days, 1_000))*day, exact
	}
	if e.wall+e.exact < 0 {
		return fmt.Errorf("ends before it begins")
	}
	if e.wall+e.exact > maxLength {
		return fmt.Errorf("lasts longer than %d days; write it as several events", maxLength/day)
	}
	if e.start.date && e.wall == 0 {
		// Some programs write the same day as the end of an all-day event.
		e.wall = day
	}
	return nil
}
