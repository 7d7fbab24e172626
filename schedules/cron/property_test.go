package cron

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// wantZones and wantExpressions at least, over thirty years.
	wantZones       = 400
	wantExpressions = 10_000
	// fewTimes of an expression are all compared; of others those of sampleDays far from
	// transitions.
	fewTimes   = 120
	sampleDays = 10
)

var (
	thirtyYearsFrom  = time.Date(1996, 1, 1, 0, 0, 0, 0, time.UTC)
	thirtyYearsUntil = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// TestAgreesWithReference holds random expressions in all time zones, over thirty years,
// against a reading that goes through time minute by minute.
//
// Around every transition of the zone, fourteen hours before and after, each minute of real time is
// walked. Far from transitions the wall clock runs evenly: there every minute of the days is
// matched as it is written, on all days for an expression that fires seldom and on some
// days, by chance, for one that fires often.
func TestAgreesWithReference(t *testing.T) {
	zones := zoneNames(t)
	each := wantExpressions/len(zones) + 1
	if testing.Short() {
		each = 2
	}
	var expressions, compared atomic.Int64
	work := make(chan int)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for i := range work {
				z := newZoneTimes(t, zones[i])
				random := rand.New(rand.NewPCG(uint64(i), 20261129))
				for range each {
					expressions.Add(1)
					compared.Add(int64(z.compare(t, randomExpression(random), random)))
				}
			}
		})
	}
	for i := range zones {
		work <- i
	}
	close(work)
	group.Wait()
	t.Logf("%d expressions in %d zones, %d times compared", expressions.Load(), len(zones), compared.Load())
	if !testing.Short() && (len(zones) < wantZones || expressions.Load() < wantExpressions) {
		t.Errorf("%d expressions in %d zones are too few", expressions.Load(), len(zones))
	}
}

func zoneNames(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/zones.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// zoneTimes is what the reference knows of a zone.
type zoneTimes struct {
	zone  *time.Location
	spans [][2]time.Time
	walks [][]moment
}

func newZoneTimes(t *testing.T, name string) *zoneTimes {
	z := &zoneTimes{zone: zone(t, name)}
	z.spans = near(transitions(z.zone, thirtyYearsFrom.AddDate(0, 0, 3), thirtyYearsUntil.AddDate(0, 0, -3)))
	for _, s := range z.spans {
		z.walks = append(z.walks, walk(z.zone, s[0], s[1]))
	}
	return z
}

// compare one expression, and tell how many times were.
func (z *zoneTimes) compare(t *testing.T, text string, random *rand.Rand) int {
	e, err := Parse(text)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return 0
	}
	r := newReference(text)
	n := 0
	for i, s := range z.spans {
		n += z.same(t, e, s[0], s[1], r.ticks(z.walks[i]))
	}
	days := int(thirtyYearsUntil.Sub(thirtyYearsFrom).Hours() / 24)
	matching := 0
	for d := range days {
		if r.day(thirtyYearsFrom.AddDate(0, 0, d)) {
			matching++
		}
	}
	if matching*r.daily() > fewTimes {
		for range sampleDays {
			n += z.plainDay(t, e, r, thirtyYearsFrom.AddDate(0, 0, random.IntN(days)))
		}
		return n
	}
	for d := range days {
		if day := thirtyYearsFrom.AddDate(0, 0, d); r.day(day) {
			n += z.plainDay(t, e, r, day)
		}
	}
	return n
}

// plainDay compares a day on which, and around which, the wall clock runs evenly.
func (z *zoneTimes) plainDay(t *testing.T, e Expression, r *reference, day time.Time) int {
	if !plain(day, z.spans) {
		return 0
	}
	begin := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, z.zone)
	var want []Tick
	if r.day(day) {
		for minute := range 24 * 60 {
			if wall := day.Add(time.Duration(minute) * time.Minute); r.minute(wall) {
				want = append(want, Tick{Nominal: NominalOf(wall), At: begin.Add(time.Duration(minute) * time.Minute)})
			}
		}
	}
	return z.same(t, e, begin, begin.Add(24*time.Hour), want)
}

// same times within a span, found forward by Next; the last of them by Last.
func (z *zoneTimes) same(t *testing.T, e Expression, from, until time.Time, want []Tick) int {
	at := from.Add(-1)
	for i, w := range want {
		got, ok := e.Next(z.zone, at)
		if !ok || !got.At.Equal(w.At) || got.Nominal != w.Nominal {
			t.Errorf("%s in %s: tick %d after %s is %s at %s (%t), want %s at %s", e, z.zone, i, from, got.Nominal, got.At, ok, w.Nominal, w.At.In(z.zone))
			return i
		}
		at = got.At
	}
	if got, ok := e.Next(z.zone, at); ok && got.At.Before(until) {
		t.Errorf("%s in %s: there is a tick %s at %s that should not be", e, z.zone, got.Nominal, got.At)
	}
	last, ok := e.Last(z.zone, from.Add(-1), until.Add(-1))
	if ok != (len(want) > 0) || ok && !last.At.Equal(want[len(want)-1].At) {
		t.Errorf("%s in %s: the last before %s is %s (%t), want %v", e, z.zone, until, last.At, ok, want[max(len(want)-1, 0):])
	}
	return len(want)
}

// randomExpression as people write them, and as they do not.
func randomExpression(r *rand.Rand) string {
	pick := func(options ...func() string) string { return options[r.IntN(len(options))]() }
	number := func(low, high int) func() string {
		return func() string { return fmt.Sprint(low + r.IntN(high-low+1)) }
	}
	span := func(low, high int) func() string {
		return func() string {
			from := low + r.IntN(high-low+1)
			return fmt.Sprintf("%d-%d", from, from+r.IntN(high-from+1))
		}
	}
	list := func(of func() string) func() string { return func() string { return of() + "," + of() } }
	text := func(s ...string) func() string { return func() string { return s[r.IntN(len(s))] } }
	minute := pick(number(0, 59), number(0, 59), text("0"), text("30"), list(number(0, 59)), text("*/15", "*/20", "5-50/15"))
	hour := pick(number(0, 23), number(0, 23), number(0, 4), list(number(0, 23)), text("*/6", "*/8", "0-3", "22,23,0,1"), text("*"))
	day := pick(text("*"), text("*", "?"), number(1, 28), number(1, 28), span(1, 28), text("*/5", "29", "31", "1,15"))
	month := pick(text("*"), text("*"), text("*"), number(1, 12), span(1, 12), text("mar,oct", "jan-jun", "*/3", "1,3,5,7,8,10,12"))
	if strings.Contains(day, "31") || day == "29" {
		month = text("*", "1", "mar")()
	}
	weekday := pick(text("*"), text("*"), text("1-5", "mon-fri"), number(0, 7), span(0, 7), text("sun", "6,7", "fri-7", "1-7/2", "sat,sun", "*/2"))
	return strings.Join([]string{minute, hour, day, month, weekday}, " ")
}
