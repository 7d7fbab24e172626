package calendar

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/schedules/cron"
)

// stamp is a date or a time of the file: what a wall clock shows, and where.
type stamp struct {
	wall time.Time // as if it were UTC
	date bool
	zone *time.Location // nil: wherever one asks from
}

const (
	dateLayout = "20060102"
	timeLayout = "20060102T150405"
	firstYear  = 1900
	lastYear   = 2500
)

// zones remembers the time zones of one file.
type zones map[string]*time.Location

func (z zones) stamp(p property, value string) (stamp, error) {
	kind := strings.ToUpper(p.param("VALUE"))
	if kind != "" && kind != "DATE" && kind != "DATE-TIME" {
		return stamp{}, fmt.Errorf("has a %s with VALUE=%s; want DATE or DATE-TIME", p.name, quote(kind))
	}
	s, err := parseStamp(value)
	if err != nil {
		return stamp{}, fmt.Errorf("has the %s %w", p.name, err)
	}
	if s.date != (kind == "DATE") && kind != "" {
		return stamp{}, fmt.Errorf("has the %s %s, which is not what VALUE=%s says", p.name, quote(value), kind)
	}
	name := p.param("TZID")
	if name == "" || s.date || s.zone != nil {
		return s, nil
	}
	if z[name] == nil {
		zone, err := cron.LoadZone(name)
		if err != nil {
			return stamp{}, fmt.Errorf("has a %s with TZID=%s, which is no IANA time zone; write one like Europe/Rome", p.name, quote(name))
		}
		z[name] = zone
	}
	s.zone = z[name]
	return s, nil
}

func parseStamp(value string) (stamp, error) {
	value = strings.TrimSpace(value)
	layout, s := timeLayout, stamp{}
	switch {
	case len(value) == len(dateLayout):
		layout, s.date = dateLayout, true
	case strings.HasSuffix(value, "Z"):
		s.zone = time.UTC
	}
	text := strings.TrimSuffix(value, "Z")
	t, err := time.Parse(layout, text)
	if err != nil || t.Format(layout) != text {
		return stamp{}, fmt.Errorf("%s; want a date like 20261225 or a time like 20261225T090000", quote(value))
	}
	if t.Year() < firstYear || t.Year() > lastYear {
		return stamp{}, fmt.Errorf("%s; want a year from %d to %d", quote(value), firstYear, lastYear)
	}
	s.wall = t
	return s, nil
}

// in is the zone of the stamp when one asks from another.
func (s stamp) in(zone *time.Location) *time.Location {
	if s.zone != nil {
		return s.zone
	}
	return zone
}

// instant is when a wall clock in a zone first shows a time, or passes it.
func instant(wall time.Time, zone *time.Location) time.Time {
	at, shift := cron.NominalOf(wall).In(zone)
	if shift == cron.ShiftGap {
		return at
	}
	return at.Add(time.Duration(wall.Second()) * time.Second)
}

// wallOf is what a wall clock in a zone shows at an instant, as if it were UTC.
func wallOf(at time.Time, zone *time.Location) time.Time {
	at = at.In(zone)
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	return time.Date(year, month, day, hour, minute, second, 0, time.UTC)
}

// parseDuration reads a DURATION: days and weeks, which are as long as the clocks make
// them, and hours, minutes and seconds, which are exact.
func parseDuration(value string) (days int, exact time.Duration, err error) {
	fault := fmt.Errorf("has the DURATION %s; want one like P1D or PT8H30M", quote(value))
	rest, ok := strings.CutPrefix(strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(value)), "+"), "P")
	if !ok || rest == "" {
		return 0, 0, fault
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
	clock := false
	for rest != "" {
		if rest[0] == 'T' && !clock && len(rest) > 1 {
			clock, rest = true, rest[1:]
			continue
		}
		end := strings.IndexAny(rest, "WDHMS")
		if end < 1 || end > 8 {
			return 0, 0, fault
		}
		n, err := strconv.ParseUint(rest[:end], 10, 31)
		unit, timed := units[rest[end]]
		if err != nil || timed != clock {
			return 0, 0, fault
		}
		switch {
		case timed:
			// More is too long anyway, and must not overflow.
			exact = min(exact+time.Duration(min(n, uint64(1_000*day/unit)))*unit, 1_000*day)
		case rest[end] == 'W':
			days += 7 * int(n)
		default:
			days += int(n)
		}
		rest = rest[end+1:]
	}
	return days, exact, nil
}
