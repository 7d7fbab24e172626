package cron

import (
	"strconv"
	"strings"
	"time"
)

// naive is a second reading of cron expressions, written for the tests and slow: tables of
// what matches, and a walk over real minutes. It shares nothing with the package.
type naive struct {
	minute  [60]bool
	hour    [24]bool
	day     [32]bool
	month   [13]bool
	week    [8]bool
	anyDay  bool
	anyWeek bool
}

var naiveNames = map[string]int{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
	"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6,
}

func naively(text string) naive {
	switch text {
	case "@hourly":
		text = "0 * * * *"
	case "@daily", "@midnight":
		text = "0 0 * * *"
	case "@weekly":
		text = "0 0 * * 0"
	case "@monthly":
		text = "0 0 1 * *"
	case "@yearly", "@annually":
		text = "0 0 1 1 *"
	}
	parts := strings.Fields(text)
	var n naive
	naiveField(parts[0], 0, 59, n.minute[:])
	naiveField(parts[1], 0, 23, n.hour[:])
	n.anyDay = naiveField(parts[2], 1, 31, n.day[:])
	naiveField(parts[3], 1, 12, n.month[:])
	n.anyWeek = naiveField(parts[4], 0, 6, n.week[:])
	if n.week[7] {
		n.week[0] = true
	}
	return n
}

// naiveField fills a table and says whether the field is a star.
func naiveField(text string, low, high int, table []bool) (star bool) {
	value := func(s string) int {
		if v, ok := naiveNames[strings.ToLower(s)]; ok {
			return v
		}
		v, _ := strconv.Atoi(s)
		return v
	}
	for _, item := range strings.Split(text, ",") {
		step := 1
		base := item
		if i := strings.IndexByte(item, '/'); i >= 0 {
			step, _ = strconv.Atoi(item[i+1:])
			base = item[:i]
		}
		from, to := low, high
		if base == "*" || base == "?" {
			star = star || step == 1
		} else if i := strings.IndexByte(base, '-'); i > 0 {
			from, to = value(base[:i]), value(base[i+1:])
			if strings.EqualFold(base[i+1:], "sun") && from > 0 {
				to = 7
			}
		} else {
			from = value(base)
			if base == item || to < from {
				to = from
			}
		}
		for v := from; v <= to; v += step {
			table[v] = true
		}
	}
	return star
}

func (n *naive) dayMatches(month time.Month, day int, week time.Weekday) bool {
	if !n.month[month] {
		return false
	}
	if n.anyDay || n.anyWeek {
		return n.day[day] && n.week[week]
	}
	return n.day[day] || n.week[week]
}

// everFires looks at four years day by day.
func (n *naive) everFires() bool {
	for d := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2032; d = d.AddDate(0, 0, 1) {
		if n.dayMatches(d.Month(), d.Day(), d.Weekday()) {
			return true
		}
	}
	return false
}

// face is what the wall clock shows in one real minute; wall is the same as a count of
// minutes.
type face struct {
	unix   int64
	wall   int64
	hour   int8
	minute int8
	day    int8
	month  int8
	week   int8
}

func faceOf(unix int64, zone *time.Location) face {
	_, offset := time.Unix(unix, 0).In(zone).Zone()
	t := time.Unix(unix+int64(offset), 0).UTC()
	_, month, day := t.Date()
	hour, minute, _ := t.Clock()
	return face{unix: unix, wall: (unix + int64(offset)) / 60, hour: int8(hour), minute: int8(minute),
		day: int8(day), month: int8(month), week: int8(t.Weekday())}
}

// faceOfWall is the face of a wall-clock minute that no clock showed.
func faceOfWall(wall int64) face {
	f := faceOf(wall*60, time.UTC)
	f.wall = wall
	return f
}

func (n *naive) matches(f *face) bool {
	return n.minute[f.minute] && n.hour[f.hour] &&
		n.dayMatches(time.Month(f.month), int(f.day), time.Weekday(f.week))
}

// due is a tick of the reference.
type due struct{ unix, wall int64 }

// walk applies the rule to real minutes in order: a nominal minute runs when the clock
// first reaches or passes it. seen is the furthest that the clock was before the first.
func (n *naive) walk(faces []face, seen int64, then func(due)) {
	for i := range faces {
		f := &faces[i]
		if f.wall <= seen {
			continue // The clock went back: these minutes have run.
		}
		run := int64(-1)
		for wall := seen + 1; wall < f.wall; wall++ { // The clock jumped over these.
			if jumped := faceOfWall(wall); n.matches(&jumped) {
				run = wall
			}
		}
		if n.matches(f) {
			run = f.wall
		}
		if run >= 0 {
			then(due{unix: f.unix, wall: run})
		}
		seen = f.wall
	}
}
