package calendar

import (
	"errors"
	"fmt"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/teambition/rrule-go"
)

func value(event *ics.VEvent, name ics.ComponentProperty) string {
	if p := event.GetProperty(name); p != nil {
		return strings.TrimSpace(p.Value)
	}
	return ""
}

func nameOf(event *ics.VEvent) string {
	for _, name := range []ics.ComponentProperty{ics.ComponentPropertySummary, ics.ComponentPropertyUniqueId} {
		if s := clean(value(event, name)); s != "" {
			return s
		}
	}
	return "without a name"
}

// overridden occurrences, by UID and time: another event of the calendar takes their place.
func overridden(events []*ics.VEvent) map[string]bool {
	moved := map[string]bool{}
	for _, event := range events {
		p := event.GetProperty(ics.ComponentProperty(ics.PropertyRecurrenceId))
		if p == nil {
			continue
		}
		if at, _, err := moment(p, p.Value); err == nil {
			moved[override(event, at)] = true
		}
	}
	return moved
}

func override(event *ics.VEvent, at clockTime) string {
	return value(event, ics.ComponentPropertyUniqueId) + " " + at.wall.Format(wallLayout)
}

// occurrencesOf an event. Those that are cancelled, or that do not take time, are none.
func occurrencesOf(event *ics.VEvent, moved map[string]bool) ([]occurrence, error) {
	if strings.EqualFold(value(event, ics.ComponentPropertyStatus), "CANCELLED") || strings.EqualFold(value(event, ics.ComponentPropertyTransp), "TRANSPARENT") {
		return nil, nil
	}
	start := event.GetProperty(ics.ComponentPropertyDtStart)
	if start == nil {
		return nil, errors.New("DTSTART is missing")
	}
	begin, allDay, err := moment(start, start.Value)
	if err != nil {
		return nil, fmt.Errorf("DTSTART: %w", err)
	}
	length, err := lengthOf(event, begin, allDay)
	if err != nil {
		return nil, err
	}
	if length <= 0 {
		return nil, nil
	}
	starts, err := starts(event, begin)
	if err != nil {
		return nil, err
	}
	overrides := event.GetProperty(ics.ComponentProperty(ics.PropertyRecurrenceId)) != nil
	var all []occurrence
	for _, wall := range starts {
		at := clockTime{wall, begin.zone}
		if !overrides && moved[override(event, at)] {
			continue
		}
		all = append(all, occurrence{summary: nameOf(event), start: at, end: clockTime{wall.Add(length), begin.zone}, allDay: allDay})
	}
	return all, nil
}

const (
	dayLayout  = "20060102"
	wallLayout = "20060102T150405"
)

// moment that a property writes: a day, a time in UTC, in a named zone or in none.
func moment(p *ics.IANAProperty, text string) (at clockTime, allDay bool, err error) {
	text = strings.TrimSpace(text)
	if len(text) == len(dayLayout) {
		at.wall, err = time.Parse(dayLayout, text)
		if err != nil {
			err = fmt.Errorf("%q is no day", clean(text))
		}
		return at, true, err
	}
	if plain, utc := strings.CutSuffix(text, "Z"); utc {
		at.zone, text = time.UTC, plain
	}
	if at.wall, err = time.Parse(wallLayout, text); err != nil {
		return at, false, fmt.Errorf("%q is no time", clean(text))
	}
	if names := p.ICalParameters["TZID"]; at.zone == nil && len(names) > 0 {
		name := strings.Trim(names[0], `"`)
		if at.zone, err = zoneOf(name); err != nil {
			return at, false, err
		}
	}
	return at, false, nil
}

// zoneOf a TZID. What a calendar itself says of zones is not read: their rules change, and
// calendars are kept for long.
func zoneOf(name string) (*time.Location, error) {
	if name == "" || name == "Local" || strings.HasPrefix(name, "/") || strings.Contains(name, "..") {
		return nil, fmt.Errorf("time zone %q is none of the IANA names such as Europe/Rome", clean(name))
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is none of the IANA names such as Europe/Rome", clean(name))
	}
	return zone, nil
}

// maxLength of one occurrence.
const maxLength = 10 * 366 * 24 * time.Hour

// lengthOf an event: to DTEND, of DURATION, or of a day (RFC 5545, 3.6.1).
func lengthOf(event *ics.VEvent, begin clockTime, allDay bool) (time.Duration, error) {
	length := time.Duration(0)
	if allDay {
		length = 24 * time.Hour
	}
	if p := event.GetProperty(ics.ComponentPropertyDtEnd); p != nil {
		end, _, err := moment(p, p.Value)
		if err != nil {
			return 0, fmt.Errorf("DTEND: %w", err)
		}
		if length = end.wall.Sub(begin.wall); end.zone != begin.zone && end.zone != nil && begin.zone != nil {
			// In another zone: what counts is the time that passes.
			length = end.in(nil).Sub(begin.in(nil))
		}
	} else if text := value(event, ics.ComponentPropertyDuration); text != "" {
		d, err := duration(text)
		if err != nil {
			return 0, err
		}
		length = d
	}
	if length > maxLength {
		return 0, errors.New("it takes more than ten years")
	}
	return length, nil
}

// duration as P1DT2H30M writes it.
func duration(text string) (time.Duration, error) {
	fault := fmt.Errorf("DURATION %q is none such as P1D or PT2H", clean(text))
	rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "+"), "P")
	if !ok || len(rest) < 2 || len(rest) > 32 {
		return 0, fault
	}
	units := map[byte]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour, 'H': time.Hour, 'M': time.Minute, 'S': time.Second}
	total, number, digits := time.Duration(0), int64(0), 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == 'T':
		case c >= '0' && c <= '9':
			if digits++; digits > 6 {
				return 0, fault
			}
			number = number*10 + int64(c-'0')
		case units[c] > 0 && digits > 0:
			total += time.Duration(number) * units[c]
			number, digits = 0, 0
		default:
			return 0, fault
		}
	}
	if digits > 0 || total > maxLength {
		return 0, fault
	}
	return total, nil
}

// starts of an event's occurrences, as wall clocks.
func starts(event *ics.VEvent, begin clockTime) ([]time.Time, error) {
	set := &rrule.Set{}
	set.DTStart(begin.wall)
	rules := event.GetProperties(ics.ComponentPropertyRrule)
	if len(rules) == 0 && event.GetProperty(ics.ComponentPropertyRdate) == nil {
		return []time.Time{begin.wall}, nil
	}
	if len(rules) > 1 {
		return nil, errors.New("it has more than one RRULE")
	}
	for _, p := range rules {
		rule, err := ruleOf(p.Value, begin)
		if err != nil {
			return nil, fmt.Errorf("RRULE: %w", err)
		}
		set.RRule(rule)
	}
	if len(rules) == 0 {
		set.RDate(begin.wall)
	}
	for name, add := range map[ics.ComponentProperty]func(time.Time){ics.ComponentPropertyRdate: set.RDate, ics.ComponentPropertyExdate: set.ExDate} {
		for _, p := range event.GetProperties(name) {
			for text := range strings.SplitSeq(p.Value, ",") {
				at, _, err := moment(p, text)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				add(at.wall)
			}
		}
	}
	return expand(set)
}

// expand what recurs, bounded in number and years.
func expand(set *rrule.Set) (all []time.Time, err error) {
	defer func() {
		if r := recover(); r != nil {
			all, err = nil, errors.New("its recurrence cannot be followed")
		}
	}()
	next := set.Iterator()
	for len(all) <= maxOccurrences {
		at, ok := next()
		if !ok || at.Year() > lastYear {
			return all, nil
		}
		if at.Year() >= firstYear {
			all = append(all, at)
		}
	}
	return nil, fmt.Errorf("it occurs more than %d times until %d", maxOccurrences, lastYear)
}

// ruleOf a recurrence. More often than once a day is no exception to a timetable.
func ruleOf(text string, begin clockTime) (rule *rrule.RRule, err error) {
	defer func() {
		if r := recover(); r != nil {
			rule, err = nil, errors.New("it cannot be read")
		}
	}()
	option, err := rrule.StrToROption(text)
	if err != nil {
		return nil, errors.New(clean(err.Error()))
	}
	if option.Freq > rrule.DAILY {
		return nil, fmt.Errorf("%s recurrences are not read; an exception recurs daily at most", option.Freq)
	}
	if option.Interval < 0 || option.Interval > 1000 {
		return nil, errors.New("its INTERVAL is out of bounds")
	}
	for _, list := range [][]int{option.Byhour, option.Byminute, option.Bysecond} {
		if len(list) > 0 {
			return nil, errors.New("BYHOUR, BYMINUTE and BYSECOND are not read; an exception recurs daily at most")
		}
	}
	option.Dtstart = begin.wall
	if !option.Until.IsZero() && begin.zone != nil {
		until := option.Until.In(begin.zone) // UNTIL is in UTC, the walls are not
		option.Until = time.Date(until.Year(), until.Month(), until.Day(), until.Hour(), until.Minute(), until.Second(), 0, time.UTC)
	}
	if last := time.Date(lastYear+1, 1, 1, 0, 0, 0, 0, time.UTC); option.Until.IsZero() && option.Count == 0 {
		option.Until = last
	}
	return rrule.NewRRule(*option)
}
