package cron

import (
	"archive/zip"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"
)

// zones are those of the toolchain's own zone file. There, unlike on most machines,
// most changes of the last decades follow a rule instead of a table.
func zones(t testing.TB) []*time.Location {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal("no toolchain to read the zones of: ", err)
	}
	files, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var all []*time.Location
	for _, f := range files.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := time.LoadLocationFromTZData(f.Name, data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, zone)
	}
	return all
}

// randomExpression draws every form that is accepted, most of them running on few days or
// at few times of a day, as people write them; some run every minute.
func randomExpression(r *rand.Rand) string {
	if r.IntN(40) == 0 {
		return descriptors[r.IntN(len(descriptors))]
	}
	texts := make([]string, len(fields))
	for i, f := range fields {
		// How often a field is a star.
		star := [...]int{2, 8, 35, 30, 45}[i]
		if r.IntN(100) < star {
			texts[i] = [...]string{"*", "*", "*", "?"}[r.IntN(4)]
			continue
		}
		items := 1
		if r.IntN(4) == 0 {
			items += r.IntN(4)
		}
		list := make([]string, items)
		for j := range list {
			list[j] = randomItem(r, f)
		}
		texts[i] = strings.Join(list, ",")
	}
	return strings.Join(texts, " ")
}

func randomItem(r *rand.Rand, f field) string {
	name := func(v int) string {
		if v-f.low < len(f.names) && r.IntN(2) == 0 {
			n := f.names[v-f.low]
			return [...]string{n, strings.ToUpper(n), strings.ToUpper(n[:1]) + n[1:]}[r.IntN(3)]
		}
		if r.IntN(8) == 0 {
			return fmt.Sprintf("%02d", v)
		}
		return fmt.Sprint(v)
	}
	low := f.low + r.IntN(f.high-f.low+1)
	step := fmt.Sprintf("/%d", 1+r.IntN(f.steps))
	switch r.IntN(10) {
	case 0:
		return "*" + step
	case 1:
		return name(low) + step
	case 2, 3:
		high := low + r.IntN(f.high-low+1)
		text := name(low) + "-" + name(high)
		if f.high == sunday && r.IntN(4) == 0 {
			text = name(low%sunday) + "-sun"
		}
		if r.IntN(2) == 0 {
			text += step
		}
		return text
	default:
		return name(low)
	}
}

// world is what one zone's clocks show in thirty years: each local day is
// either plain, with one offset from its midnight to the next, or part of a window that is
// kept minute by minute.
type world struct {
	zone    *time.Location
	days    []plainDay
	windows []window
}

type plainDay struct {
	midnight int64 // the instant
	wall     int64 // the same on the wall, in minutes
	month    time.Month
	day      int
	week     time.Weekday
	after    int // the number of windows before it
}

type window struct {
	faces []face
	seen  int64 // the furthest that the clock was before
}

// lookAt asks the zone for its offset every six hours; where two differ, the local days
// around are kept minute by minute.
func lookAt(zone *time.Location, firstYear int) world {
	w := world{zone: zone}
	spanStart := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	spanEnd := spanStart.AddDate(30, 0, 0)
	const hour, day = 3600, 24 * 3600
	offset := func(unix int64) int64 {
		_, o := time.Unix(unix, 0).In(zone).Zone()
		return int64(o)
	}
	var rough [][2]int64
	previous := offset(spanStart.Unix() - day)
	for unix := spanStart.Unix() - day; unix < spanEnd.Unix()+day; unix += 6 * hour {
		now := offset(unix)
		if now != previous {
			// From a local midnight to a local midnight, whatever the offset was there.
			from, to := unix-9*hour, unix+3*hour
			from -= ((from+offset(from))%day + day) % day
			to += (day - (to+offset(to))%day) % day
			if n := len(rough); n > 0 && from <= rough[n-1][1] {
				rough[n-1][1] = to
			} else {
				rough = append(rough, [2]int64{from, to})
			}
		}
		previous = now
	}
	at := spanStart.Unix() - offset(spanStart.Unix())
	plain := func(until int64) {
		for ; at < until; at += day {
			d := faceOf(at, zone)
			w.days = append(w.days, plainDay{midnight: at, wall: d.wall, month: time.Month(d.month), day: int(d.day),
				week: time.Weekday(d.week), after: len(w.windows)})
		}
	}
	for _, span := range rough {
		if span[0] < at || span[1] > spanEnd.Unix() {
			at = max(at, span[1])
			continue
		}
		plain(span[0])
		win := window{}
		// A window begins long enough after the change before it for the minute before
		// to be the furthest that the clock ever was; were it not, hours would show it.
		for unix := span[0] - 60; unix > span[0]-2*day; unix -= hour {
			win.seen = max(win.seen, (unix+offset(unix))/60)
		}
		win.faces = make([]face, 0, (span[1]-span[0])/60)
		for unix := span[0]; unix < span[1]; unix += 60 {
			win.faces = append(win.faces, faceOf(unix, zone))
		}
		w.windows = append(w.windows, win)
		at = span[1]
	}
	plain(spanEnd.Unix() - day)
	return w
}

// The property: over thirty years, in every zone, ten thousand random expressions run
// exactly when a naive reading of them says. Each expression meets one zone, each zone many
// expressions; three of four in the years from 1990 on, one in the years to come. On the
// local days around a change of clocks, every real minute of the reference is compared with
// every tick, and Next and Last are asked from random instants too. On the plain days between,
// the reference knows from the date alone whether the day matches; there the first tick of
// each matching day is compared, asked for from the last instant of the day that matched
// before, so that a tick on any day between would be seen, and a few matching days minute by
// minute. Last is compared on one day of eight.
func TestAgreesWithNaiveReference(t *testing.T) {
	all := zones(t)
	if len(all) < 400 {
		t.Fatalf("only %d zones", len(all))
	}
	expressions := 10_000
	if testing.Short() {
		expressions = 1_000
	}
	each := (expressions + len(all) - 1) / len(all)
	r := rand.New(rand.NewPCG(2026, 3))
	compared, ticks, shifted := 0, 0, 0
	for i, zone := range all {
		year := 1990
		if i%4 == 3 {
			year = 2026
		}
		w := lookAt(zone, year)
		for range each {
			c := comparison{w: &w, r: r}
			text := c.draw(t)
			if fault := c.run(); fault != "" {
				t.Fatalf("%q in %s: %s", text, zone, fault)
			}
			compared, ticks, shifted = compared+1, ticks+c.ticks, shifted+c.shifted
		}
	}
	t.Logf("%d expressions in %d zones: %d ticks compared, %d of them in gaps or folds", compared, len(all), ticks, shifted)
}

type comparison struct {
	w *world
	e Expression
	n *naive
	r *rand.Rand

	dues           []due // those of the minutes that are being compared
	cursor         int64 // all ticks until this instant were compared
	ticks, shifted int
}

// draw draws expressions until one ever fires.
func (c *comparison) draw(t *testing.T) string {
	for {
		text := randomExpression(c.r)
		e, err := Parse(text)
		n := naively(text)
		if ok := n.everFires(); ok != (err == nil) {
			t.Fatalf("Parse(%q) = %v, but that it ever fires is %v", text, err, ok)
		}
		if err == nil {
			c.e, c.n = e, &n
			return text
		}
	}
}

func (c *comparison) run() string {
	first, last, ok := c.clock()
	if !ok {
		return "no time of day matches"
	}
	c.cursor = c.w.days[0].midnight - 1
	next := 0
	for i := range c.w.days {
		d := &c.w.days[i]
		for ; next < d.after; next++ {
			if fault := c.minutely(c.w.windows[next].faces, c.w.windows[next].seen); fault != "" {
				return fault
			}
		}
		if !c.n.dayMatches(d.month, d.day, d.week) {
			continue
		}
		if i%997 == 0 || c.ticks == 0 {
			faces := make([]face, 0, 24*60)
			for m := range int64(24 * 60) {
				faces = append(faces, faceOf(d.midnight+m*60, c.w.zone))
			}
			if fault := c.minutely(faces, d.wall-1); fault != "" {
				return fault
			}
			continue
		}
		want := due{unix: d.midnight + 60*first, wall: d.wall + first}
		if fault := c.compare(want); fault != "" {
			return fault
		}
		end := d.midnight + 24*3600 - 1
		if i%8 == 0 {
			if fault := c.compareLast(d.midnight-1, end, due{unix: d.midnight + 60*last, wall: d.wall + last}); fault != "" {
				return fault
			}
		}
		c.cursor = end
	}
	return ""
}

func (c *comparison) clock() (first, last int64, ok bool) {
	first, last = -1, -1
	for m := range int64(24 * 60) {
		if c.n.hour[m/60] && c.n.minute[m%60] {
			if first < 0 {
				first = m
			}
			last = m
		}
	}
	return first, last, first >= 0
}

// minutely compares every tick of some real minutes, and that there is none before.
func (c *comparison) minutely(faces []face, seen int64) (fault string) {
	var latest due
	c.dues = c.dues[:0]
	c.n.walk(faces, seen, func(want due) {
		if fault == "" {
			fault = c.compare(want)
		}
		c.cursor, latest = want.unix, want
		c.dues = append(c.dues, want)
	})
	end := faces[len(faces)-1].unix + 59
	if fault != "" {
		return fault
	}
	for range 4 {
		if fault := c.anywhere(faces[0].unix, faces[0].unix+c.r.Int64N(end-faces[0].unix)); fault != "" {
			return fault
		}
	}
	if latest == (due{}) {
		if got, ok := c.e.Last(c.w.zone, time.Unix(faces[0].unix-1, 0), time.Unix(end, 0)); ok {
			return fmt.Sprintf("Last finds %v where there is none", got)
		}
	} else if fault := c.compareLast(faces[0].unix-1, end, latest); fault != "" {
		return fault
	}
	if got, ok := c.e.Next(c.w.zone, time.Unix(c.cursor, 0)); ok && got.At.Unix() <= end {
		return fmt.Sprintf("Next finds %v where there is none", got)
	}
	c.cursor = end
	return ""
}

// anywhere compares the ticks on both sides of any instant.
func (c *comparison) anywhere(start, unix int64) string {
	i := sort.Search(len(c.dues), func(i int) bool { return c.dues[i].unix > unix })
	if i > 0 {
		if fault := c.compareLast(start-1, unix, c.dues[i-1]); fault != "" {
			return fault
		}
	}
	if i == len(c.dues) {
		return ""
	}
	cursor := c.cursor
	c.cursor = unix
	defer func() { c.cursor = cursor }()
	return c.compare(c.dues[i])
}

func (c *comparison) compare(want due) string {
	c.ticks++
	after := time.Unix(c.cursor, 0)
	got, ok := c.e.Next(c.w.zone, after)
	if got.Shift != "" {
		c.shifted++
	}
	if !ok || got.At.Unix() != want.unix || got.Nominal.wall() != want.wall*60 {
		return fmt.Sprintf("after %s: got %v %v, want %s nominal %s", after.In(c.w.zone), got, ok,
			time.Unix(want.unix, 0).In(c.w.zone), nominalAt(want.wall*60))
	}
	return ""
}

func (c *comparison) compareLast(after, until int64, want due) string {
	got, ok := c.e.Last(c.w.zone, time.Unix(after, 0), time.Unix(until, 0))
	if !ok || got.At.Unix() != want.unix || got.Nominal.wall() != want.wall*60 {
		return fmt.Sprintf("last until %s: got %v %v, want %s nominal %s", time.Unix(until, 0).In(c.w.zone), got, ok,
			time.Unix(want.unix, 0).In(c.w.zone), nominalAt(want.wall*60))
	}
	return ""
}
