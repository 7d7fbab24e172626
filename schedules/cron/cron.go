// Package cron says when a cron expression fires in a time zone. The expression is read by
// robfig/cron; everything about zones is decided here, because that library panics on some
// expressions, loops for ever over days that a zone left out, skips times that do not exist
// and repeats those that exist twice.
//
// Every local time runs once: one that does not exist at the transition, one that exists
// twice the first time. Several that fall onto one instant are one.
package cron

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Expression is a cron expression. The zero value never fires.
type Expression struct {
	text     string
	schedule cron.Schedule
}

// Tick is one time of an expression.
type Tick struct {
	Nominal Nominal
	At      time.Time
	Shift   Shift
}

// ErrNeverFires is part of the error about an expression that names no day that there is.
var ErrNeverFires = errors.New("never fires")

// maxText of an expression, in bytes.
const maxText = 256

// fieldNames in their order, for errors.
var fieldNames = [5]string{"minute (0-59)", "hour (0-23)", "day of the month (1-31)", "month (1-12)", "weekday (0-7)"}

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// Parse reads five fields, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly
// and @annually. Sunday is 0 or 7. The error is one sentence.
func Parse(text string) (Expression, error) {
	shown := text
	if len(shown) > 40 {
		shown = shown[:40] + "…"
	}
	fault := func(format string, args ...any) (Expression, error) {
		return Expression{}, fmt.Errorf("cron %q %w", shown, fmt.Errorf(format, args...))
	}
	if len(text) > maxText {
		return fault("has more than %d characters", maxText)
	}
	for _, c := range text {
		if c < ' ' || c > '~' {
			return fault("has a character that is none of a cron expression: %q", c)
		}
	}
	switch {
	case strings.TrimSpace(text) == "":
		return fault("is empty; want five fields: minute hour day-of-month month weekday")
	case strings.Contains(text, "TZ="):
		return fault("names a time zone; put it into timeZone")
	case strings.HasPrefix(strings.TrimSpace(text), "@every"):
		return fault("counts from nowhere; give five fields: minute hour day-of-month month weekday")
	case strings.HasPrefix(strings.TrimSpace(text), "@"):
		return finish(strings.TrimSpace(text), strings.TrimSpace(text), fault)
	}
	fields := strings.Fields(text)
	if len(fields) != len(fieldNames) {
		return fault("has %s; want five: minute hour day-of-month month weekday", count(len(fields)))
	}
	weekday, err := sundays(fields[4])
	if err != nil {
		return fault("%w", err)
	}
	fields[4] = weekday
	return finish(text, strings.Join(fields, " "), fault)
}

func count(n int) string {
	if n == 1 {
		return "one field"
	}
	return strconv.Itoa(n) + " fields"
}

// finish parses what was made ready, and refuses what never fires.
func finish(text, ready string, fault func(string, ...any) (Expression, error)) (Expression, error) {
	schedule, err := guarded(ready)
	if err != nil {
		return fault("%w", blame(ready, err))
	}
	e := Expression{text: text, schedule: schedule}
	if _, ok := e.nextWall(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return fault("%w: there is no such day", ErrNeverFires)
	}
	return e, nil
}

// guarded calls the library, which panics on some input.
func guarded(text string) (schedule cron.Schedule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("cannot be read")
		}
	}()
	return parser.Parse(text)
}

// blame the field that cannot be read by itself.
func blame(text string, err error) error {
	fields := strings.Fields(text)
	if len(fields) != len(fieldNames) {
		return fmt.Errorf("is no expression that is known: %w", err)
	}
	for i, field := range fields {
		alone := [5]string{"*", "*", "*", "*", "*"}
		alone[i] = field
		if _, err := guarded(strings.Join(alone[:], " ")); err != nil {
			return fmt.Errorf("has no %s in %q", fieldNames[i], field)
		}
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// sundays writes 7 as 0, which the library wants.
func sundays(field string) (string, error) {
	if !strings.Contains(field, "7") {
		return field, nil
	}
	var parts []string
	for part := range strings.SplitSeq(field, ",") {
		of, step, stepped := strings.Cut(part, "/")
		from, to, ranged := strings.Cut(of, "-")
		switch {
		case !ranged && of == "7":
			if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1) {
				return "", fmt.Errorf("has no %s in %q", fieldNames[4], part)
			}
			part = "0"
		case ranged && to == "7":
			days, err := daysUntilSunday(from, step, stepped)
			if err != nil {
				return "", err
			}
			part = days
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ","), nil
}

var weekdays = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// daysUntilSunday lists the days of a range that ends with 7.
func daysUntilSunday(from, step string, stepped bool) (string, error) {
	first := -1
	for i, name := range weekdays {
		if strings.EqualFold(from, name) {
			first = i
		}
	}
	if n, err := strconv.Atoi(from); err == nil {
		first = n
	}
	every := 1
	if stepped {
		n, err := strconv.Atoi(step)
		if err != nil || n < 1 {
			return "", fmt.Errorf("has no %s in %q", fieldNames[4], from+"-7/"+step)
		}
		every = min(n, 8)
	}
	if first < 0 || first > 7 {
		return "", fmt.Errorf("has no %s in %q", fieldNames[4], from+"-7")
	}
	var days []string
	for d := first; d <= 7; d += every {
		days = append(days, strconv.Itoa(d%7))
	}
	return strings.Join(days, ","), nil
}

// String is the expression as it was written.
func (e Expression) String() string { return e.text }

const (
	// tries of five years each: a 29 February is eight years after another at times.
	tries = 3
	years = 5
	// lastYear that is looked at.
	lastYear = 2500
)

// nextWall is the first wall clock after another one at which the expression fires. To the
// library it is UTC, where no hour is missing or repeated.
func (e Expression) nextWall(after time.Time) (at time.Time, ok bool) {
	if e.schedule == nil {
		return time.Time{}, false
	}
	defer func() {
		if r := recover(); r != nil {
			at, ok = time.Time{}, false
		}
	}()
	for range tries {
		if after.Year() > lastYear {
			return time.Time{}, false
		}
		if at := e.schedule.Next(after); !at.IsZero() {
			return at, true
		}
		after = time.Date(after.Year()+years, 12, 31, 23, 59, 0, 0, time.UTC)
	}
	return time.Time{}, false
}

// Next is the earliest tick after an instant; false when there is none in reach.
func (e Expression) Next(zone *time.Location, after time.Time) (Tick, bool) {
	local := after.In(zone)
	// The seconds of the wall clock count: zones had offsets with seconds once.
	wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), time.UTC)
	for {
		next, ok := e.nextWall(wall)
		if !ok {
			return Tick{}, false
		}
		wall = next
		n := NominalOf(next)
		at, shift := n.In(zone)
		if !at.After(after) {
			continue // the repeated part of an hour, which ran the first time
		}
		tick := Tick{Nominal: n, At: at, Shift: shift}
		if shift == ShiftGap {
			tick = e.latest(zone, tick)
		}
		return tick, true
	}
}

// latest of the local times that fall onto the instant of a gap.
func (e Expression) latest(zone *time.Location, tick Tick) Tick {
	for wall := tick.Nominal.wall(); ; {
		next, ok := e.nextWall(wall)
		if !ok {
			return tick
		}
		n := NominalOf(next)
		at, shift := n.In(zone)
		if !at.Equal(tick.At) {
			return tick
		}
		wall, tick = next, Tick{Nominal: n, At: at, Shift: shift}
	}
}

// Last is the latest tick after one instant and not after the other. It looks back in steps
// that grow, so that a frequent expression costs little over a long time.
func (e Expression) Last(zone *time.Location, after, until time.Time) (Tick, bool) {
	var last Tick
	found := false
	for back := time.Hour; !found; back *= 4 {
		from := until.Add(-back)
		if whole := !from.After(after) || back > 100*365*24*time.Hour; whole {
			from = after
		}
		last, found = e.lastFrom(zone, from, until)
		if !from.After(after) {
			break
		}
	}
	return last, found
}

// lastFrom an instant, by halves: the later half of a span decides as long as it holds one.
func (e Expression) lastFrom(zone *time.Location, from, until time.Time) (Tick, bool) {
	last, ok := e.Next(zone, from)
	if !ok || last.At.After(until) {
		return Tick{}, false
	}
	for none := until; none.Sub(last.At) > time.Second; { // there is none in (none, until]
		middle := last.At.Add(none.Sub(last.At) / 2)
		if next, ok := e.Next(zone, middle); ok && !next.At.After(until) {
			last = next
		} else {
			none = middle
		}
	}
	return last, true
}
