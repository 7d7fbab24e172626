package cron

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// reference is the naive reading of a cron expression, written for the tests alone: it
// shares nothing with the code under test.
type reference struct {
	fields [5][61]bool
	// anyDay and anyWeekday are true of a plain star: then the other one decides.
	anyDay, anyWeekday bool
}

var referenceNames = map[string]int{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
	"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6,
}

func newReference(text string) *reference {
	r := &reference{}
	bounds := [5][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}}
	for i, field := range strings.Fields(text) {
		for _, part := range strings.Split(field, ",") {
			of, every := part, 1
			if at := strings.Index(part, "/"); at >= 0 {
				of, every = part[:at], referenceNumber(part[at+1:])
			}
			from, to := bounds[i][0], bounds[i][1]
			if i == 4 {
				to = 6
			}
			if of != "*" && of != "?" {
				ends := strings.Split(of, "-")
				from, to = referenceNumber(ends[0]), referenceNumber(ends[len(ends)-1])
			}
			for n := from; n <= to; n += every {
				if i == 4 {
					r.fields[i][n%7] = true
					continue
				}
				r.fields[i][n] = true
			}
		}
		star := field == "*" || field == "?"
		r.anyDay = r.anyDay || i == 2 && star
		r.anyWeekday = r.anyWeekday || i == 4 && star
	}
	return r
}

func referenceNumber(s string) int {
	if n, ok := referenceNames[strings.ToLower(s)]; ok {
		return n
	}
	n, _ := strconv.Atoi(s)
	return n
}

// day matches a date, whose clock does not count.
func (r *reference) day(wall time.Time) bool {
	if !r.fields[3][int(wall.Month())] {
		return false
	}
	day, weekday := r.fields[2][wall.Day()], r.fields[4][int(wall.Weekday())]
	if r.anyDay || r.anyWeekday {
		return day && weekday
	}
	return day || weekday
}

// minute matches a wall clock.
func (r *reference) minute(wall time.Time) bool {
	return r.fields[0][wall.Minute()] && r.fields[1][wall.Hour()] && r.day(wall)
}

// daily is how often it fires on a day that matches.
func (r *reference) daily() int {
	count := func(field [61]bool) (n int) {
		for _, on := range field {
			if on {
				n++
			}
		}
		return n
	}
	return count(r.fields[0]) * count(r.fields[1])
}

// moment is a minute of real time and what a clock on the wall shows then, as if it were UTC.
type moment struct{ at, wall time.Time }

// walk goes through a span minute by minute.
func walk(zone *time.Location, from, until time.Time) []moment {
	var all []moment
	for at := from; at.Before(until); at = at.Add(time.Minute) {
		l := at.In(zone)
		all = append(all, moment{at, time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)})
	}
	return all
}

// ticks of a walk: each local time once. Those that the clock jumps over run at the jump,
// those that come again do not run again; of several at one instant the latest counts.
func (r *reference) ticks(span []moment) []Tick {
	var all []Tick
	latest := span[0].wall.Add(-time.Minute)
	for _, m := range span {
		var tick *Tick
		for wall := latest.Add(time.Minute); !wall.After(m.wall); wall = wall.Add(time.Minute) {
			if r.minute(wall) {
				tick = &Tick{Nominal: NominalOf(wall), At: m.at}
			}
		}
		if tick != nil {
			all = append(all, *tick)
		}
		if m.wall.After(latest) {
			latest = m.wall
		}
	}
	return all
}

// transitions of a zone between two instants.
func transitions(zone *time.Location, from, until time.Time) []time.Time {
	var all []time.Time
	for at := from; ; {
		_, end := at.In(zone).ZoneBounds()
		if end.IsZero() || !end.Before(until) {
			return all
		}
		_, before := end.Add(-time.Second).In(zone).Zone()
		_, after := end.In(zone).Zone()
		if before != after {
			all = append(all, end)
		}
		at = end
	}
}

// near transitions: the spans of fourteen hours before and after each, joined where they meet.
func near(changes []time.Time) [][2]time.Time {
	var spans [][2]time.Time
	for _, at := range changes {
		from, until := at.Add(-14*time.Hour), at.Add(14*time.Hour)
		if n := len(spans); n > 0 && !from.After(spans[n-1][1]) {
			spans[n-1][1] = until
			continue
		}
		spans = append(spans, [2]time.Time{from, until})
	}
	return spans
}

// plain is true of a day that is far from every transition.
func plain(day time.Time, spans [][2]time.Time) bool {
	return !slices.ContainsFunc(spans, func(s [2]time.Time) bool {
		return day.Add(40*time.Hour).After(s[0]) && day.Add(-16*time.Hour).Before(s[1])
	})
}
