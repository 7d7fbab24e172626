package cron

import (
	"math/bits"
	"time"
)

const (
	firstYear = 1900
	lastYear  = 2500
)

var (
	// maxInstant is beyond all that is looked at.
	maxInstant = time.Date(lastYear+10, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	earliest   = time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	latest     = time.Date(lastYear+1, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Expression is a cron expression that was read. The zero value never fires.
type Expression struct {
	text string
	// Bit n is set when the value n matches.
	minutes, hours, days, months, weekdays uint64
	// either is set when both day fields are restricted: then one of them is enough.
	either bool
}

// Tick is one run of an expression.
type Tick struct {
	// Nominal is the local time that the expression names.
	Nominal Nominal
	// At is when it runs, in the zone.
	At time.Time
	// Shift says whether Nominal does not exist, or exists twice.
	Shift Shift
}

// String is the expression as it was written, with single spaces.
func (e Expression) String() string { return e.text }

// Next is the earliest tick after an instant. There is none for the zero expression, and
// none beyond the year 2500.
func (e Expression) Next(zone *time.Location, after time.Time) (Tick, bool) {
	zone = orUTC(zone)
	if after.Before(earliest) {
		after = earliest
	}
	if !after.Before(latest) {
		return Tick{}, false
	}
	// Rounded up: a nominal time begins with its minute.
	from := nominalAt(reached(after, zone) + 59)
	nominal, ok := e.from(from)
	if !ok {
		return Tick{}, false
	}
	p := passage(nominal.wall(), zone)
	if p.shift == ShiftGap {
		// The jump passes other nominal times too; the latest stands for all.
		if last, ok := e.until(nominalAt(p.shown)); ok && last.Compare(nominal) > 0 {
			nominal = last
			p = passage(nominal.wall(), zone)
		}
	}
	return Tick{Nominal: nominal, At: p.at, Shift: p.shift}, true
}

// Last is the most recent tick after one instant and not after another.
func (e Expression) Last(zone *time.Location, after, until time.Time) (Tick, bool) {
	zone = orUTC(zone)
	if until.Before(earliest) {
		return Tick{}, false
	}
	if !until.Before(latest) {
		until = latest
	}
	nominal, ok := e.until(nominalAt(reached(until, zone) - 1))
	if !ok {
		return Tick{}, false
	}
	p := passage(nominal.wall(), zone)
	if !p.at.After(after) || p.at.After(until) {
		return Tick{}, false
	}
	return Tick{Nominal: nominal, At: p.at, Shift: p.shift}, true
}

// from is the earliest nominal time that matches and is not before n. No year is looked
// at twice, and eight years have every day that there is.
func (e Expression) from(n Nominal) (Nominal, bool) {
	year, month, begun := n.Year, n.Month, true
	for year <= lastYear {
		days := e.daysOf(year, month)
		if begun {
			if days&(1<<n.Day) != 0 {
				if at, ok := e.clockFrom(n.Hour, n.Minute); ok {
					return at.on(year, month, n.Day), true
				}
			}
			days &^= 1<<(n.Day+1) - 1
			begun = false
		}
		if days != 0 {
			at, ok := e.clockFrom(0, 0)
			return at.on(year, month, bits.TrailingZeros64(days)), ok
		}
		if month++; month > time.December {
			year, month = year+1, time.January
		}
	}
	return Nominal{}, false
}

// until is the latest nominal time that matches and is not after n.
func (e Expression) until(n Nominal) (Nominal, bool) {
	year, month, begun := n.Year, n.Month, true
	for year >= firstYear {
		days := e.daysOf(year, month)
		if begun {
			if days&(1<<n.Day) != 0 {
				if at, ok := e.clockUntil(n.Hour, n.Minute); ok {
					return at.on(year, month, n.Day), true
				}
			}
			days &= 1<<n.Day - 1
			begun = false
		}
		if days != 0 {
			at, ok := e.clockUntil(23, 59)
			return at.on(year, month, bits.Len64(days)-1), ok
		}
		if month--; month < time.January {
			year, month = year-1, time.December
		}
	}
	return Nominal{}, false
}

// clock is a time of day.
type clock struct{ hour, minute int }

func (c clock) on(year int, month time.Month, day int) Nominal {
	return Nominal{Year: year, Month: month, Day: day, Hour: c.hour, Minute: c.minute}
}

func (e Expression) clockFrom(hour, minute int) (clock, bool) {
	if e.hours&(1<<hour) != 0 {
		if rest := e.minutes >> minute << minute; rest != 0 {
			return clock{hour, bits.TrailingZeros64(rest)}, true
		}
	}
	rest := e.hours &^ (1<<(hour+1) - 1)
	return clock{bits.TrailingZeros64(rest), bits.TrailingZeros64(e.minutes)}, rest != 0 && e.minutes != 0
}

func (e Expression) clockUntil(hour, minute int) (clock, bool) {
	if e.hours&(1<<hour) != 0 {
		if rest := e.minutes & (1<<(minute+1) - 1); rest != 0 {
			return clock{hour, bits.Len64(rest) - 1}, true
		}
	}
	rest := e.hours & (1<<hour - 1)
	return clock{bits.Len64(rest) - 1, bits.Len64(e.minutes) - 1}, rest != 0 && e.minutes != 0
}

// daysOf is the days of a month that match, as bits.
func (e Expression) daysOf(year int, month time.Month) uint64 {
	if e.months&(1<<month) == 0 {
		return 0
	}
	all := uint64(1)<<(daysIn(year, month)+1) - 2
	// Bit n of the week is the weekday of day n, n being 1 to 7.
	first := int(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday())
	week := (e.weekdays<<7 | e.weekdays) >> first & 0x7f << 1
	week |= week<<7 | week<<14 | week<<21 | week<<28
	if e.either {
		return (e.days | week) & all
	}
	return e.days & week & all
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
