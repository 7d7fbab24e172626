package cron

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // zones are known where there are no zone files
)

// Shift says how a nominal time differs from a plain one in its zone.
type Shift string

const (
	// ShiftGap is a nominal time that did not exist: it runs when clocks went forward.
	ShiftGap Shift = "gap"
	// ShiftFold is a nominal time that exists twice: it runs at the first.
	ShiftFold Shift = "fold"
)

const (
	// reachSeconds is more than any offset from UTC and more than any jump of a clock; the
	// day that Samoa skipped is the longest.
	reachSeconds = 26 * 60 * 60
	daySeconds   = 24 * 60 * 60
	// maxPeriods bounds the periods of one offset that are looked at; two within a day
	// are rare already.
	maxPeriods = 64
	maxZone    = 64
)

var zoneName = regexp.MustCompile(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`)

// LoadZone is the IANA time zone of a name. It refuses what depends on the machine.
func LoadZone(name string) (*time.Location, error) {
	const want = "write an IANA name like Europe/Rome, or UTC"
	switch {
	case name == "":
		return nil, fmt.Errorf("the time zone is empty; %s", want)
	case strings.EqualFold(name, "Local"):
		return nil, fmt.Errorf("time zone %q is whatever the machine is set to; %s", name, want)
	case len(name) > maxZone || !zoneName.MatchString(name):
		return nil, fmt.Errorf("%s is not the name of a time zone; %s", quote(name), want)
	case strings.HasPrefix(name, "right/"), strings.HasPrefix(name, "posix/"):
		return nil, fmt.Errorf("time zone %q exists on some machines only; %s", name, want)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is unknown; %s", name, want)
	}
	return zone, nil
}

// In is the instant at which the nominal time runs in a zone: when the wall clock first
// reaches it, or passes it because clocks go forward.
func (n Nominal) In(zone *time.Location) (at time.Time, shift Shift) {
	p := passage(n.wall(), orUTC(zone))
	return p.at, p.shift
}

// passed is how a wall clock gets to a nominal time.
type passed struct {
	at    time.Time
	shift Shift
	// shown is what the wall clock shows then, in seconds as if it were UTC; it differs
	// from the nominal time in a gap only.
	shown int64
}

// passage walks the periods of one offset around the wall clock in order. time.Date is not
// asked: what it answers in gaps and folds is not specified.
func passage(wall int64, zone *time.Location) passed {
	var found passed
	seen := false
	for p, i := periodAt(wall-reachSeconds, zone), 0; i < maxPeriods; i++ {
		switch at := wall - p.offset; {
		case !seen && at < p.start:
			return passed{at: time.Unix(p.start, 0).In(zone), shift: ShiftGap, shown: p.start + p.offset}
		case at < p.start || at >= p.end:
		case seen:
			found.shift = ShiftFold
			return found
		default:
			found, seen = passed{at: time.Unix(at, 0).In(zone), shown: wall}, true
		}
		if p.end > wall+reachSeconds {
			break
		}
		p = periodAt(p.end, zone)
	}
	return found
}

// reached bounds the nominal times that the wall clock has reached or passed at an instant:
// all before the returned one, in seconds as if it were UTC, and none from it on. When
// clocks went back lately, it is where they were.
func reached(at time.Time, zone *time.Location) int64 {
	now := at.Unix()
	limit := int64(math.MinInt64)
	for p, i := periodAt(now-2*reachSeconds, zone), 0; i < maxPeriods; i++ {
		if p.end > now {
			// The minute that is shown now has begun, and runs at its beginning.
			return max(limit, now+p.offset+1)
		}
		limit = max(limit, p.end+p.offset)
		p = periodAt(p.end, zone)
	}
	return limit
}

// period is a time of one offset from UTC, in seconds. The next one may have the same.
type period struct{ start, end, offset int64 }

// periodAt is the period from an instant on. Of the bounds that the zone tells only the end
// is of use, and that only when it is ahead: for zones whose changes follow a rule, years
// bound periods too, and a leap year is taken to end a day early, so that its last day
// lies behind the end of its own period.
func periodAt(unix int64, zone *time.Location) period {
	t := time.Unix(unix, 0).In(zone)
	_, offset := t.Zone()
	p := period{start: unix, end: maxInstant, offset: int64(offset)}
	if _, end := t.ZoneBounds(); !end.IsZero() {
		p.end = end.Unix()
	}
	if p.end <= unix {
		p.end = unix - unix%daySeconds + daySeconds
	}
	return p
}

func orUTC(zone *time.Location) *time.Location {
	if zone == nil {
		return time.UTC
	}
	return zone
}
