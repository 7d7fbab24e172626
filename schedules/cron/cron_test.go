package cron

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

func mustParse(t testing.TB, text string) Expression {
	t.Helper()
	e, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What the library alone gets wrong is in the comments.
func TestNextAcrossChanges(t *testing.T) {
	type want struct {
		nominal, at string
		shift       Shift
	}
	for name, tc := range map[string]struct {
		text, zone, after string
		want              []want
	}{
		"New York loses 02:30 (the library skips it)": {"30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", []want{
			{"2026-03-08T02:30", "2026-03-08T03:00:00-04:00", ShiftGap},
			{"2026-03-09T02:30", "2026-03-09T02:30:00-04:00", ""}}},
		"New York has 01:30 twice (the library runs twice)": {"30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", []want{
			{"2026-11-01T01:30", "2026-11-01T01:30:00-04:00", ShiftFold},
			{"2026-11-02T01:30", "2026-11-02T01:30:00-05:00", ""}}},
		"asked in the second 01:xx of New York": {"30 1 * * *", "America/New_York", "2026-11-01T01:10:00-05:00", []want{
			{"2026-11-02T01:30", "2026-11-02T01:30:00-05:00", ""}}},
		"London loses 01:30 (skipped)": {"30 1 * * *", "Europe/London", "2026-03-28T12:00:00Z", []want{
			{"2026-03-29T01:30", "2026-03-29T02:00:00+01:00", ShiftGap}}},
		"London has 01:30 twice": {"30 1 * * *", "Europe/London", "2026-10-24T12:00:00Z", []want{
			{"2026-10-25T01:30", "2026-10-25T01:30:00+01:00", ShiftFold},
			{"2026-10-26T01:30", "2026-10-26T01:30:00Z", ""}}},
		"Cairo has no midnight (the whole day skipped)": {"0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", []want{
			{"2026-04-24T00:00", "2026-04-24T01:00:00+03:00", ShiftGap},
			{"2026-04-25T00:00", "2026-04-25T00:00:00+03:00", ""}}},
		"Cairo once a year (the library goes to 2027)": {"0 0 24 4 *", "Africa/Cairo", "2026-04-01T00:00:00Z", []want{
			{"2026-04-24T00:00", "2026-04-24T01:00:00+03:00", ShiftGap}}},
		"Beirut has no midnight": {"0 0 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z", []want{
			{"2026-03-29T00:00", "2026-03-29T01:00:00+03:00", ShiftGap}}},
		"Sao Paulo has no midnight": {"0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", []want{
			{"2018-11-04T00:00", "2018-11-04T01:00:00-02:00", ShiftGap},
			{"2018-11-05T00:00", "2018-11-05T00:00:00-02:00", ""}}},
		"Havana has no midnight": {"0 0 * * *", "America/Havana", "2026-03-07T12:00:00Z", []want{
			{"2026-03-08T00:00", "2026-03-08T01:00:00-04:00", ShiftGap}}},
		"Havana has midnight twice": {"0 0 * * *", "America/Havana", "2026-10-31T12:00:00Z", []want{
			{"2026-11-01T00:00", "2026-11-01T00:00:00-04:00", ShiftFold},
			{"2026-11-02T00:00", "2026-11-02T00:00:00-05:00", ""}}},
		"Lord Howe goes forward by half an hour": {"15,30 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", []want{
			{"2026-10-04T02:30", "2026-10-04T02:30:00+11:00", ""},
			{"2026-10-05T02:15", "2026-10-05T02:15:00+11:00", ""}}},
		"Lord Howe loses 02:15 only": {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", []want{
			{"2026-10-04T02:15", "2026-10-04T02:30:00+11:00", ShiftGap}}},
		"Lord Howe goes back by half an hour": {"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", []want{
			{"2026-04-05T01:45", "2026-04-05T01:45:00+11:00", ShiftFold},
			{"2026-04-06T01:45", "2026-04-06T01:45:00+10:30", ""}}},
		"several in one gap are one": {"*/20 2 * * *", "Europe/Rome", "2026-03-29T00:00:00Z", []want{
			{"2026-03-29T02:40", "2026-03-29T03:00:00+02:00", ShiftGap},
			{"2026-03-30T02:00", "2026-03-30T02:00:00+02:00", ""}}},
		"one in the gap and one at its end are one": {"30 2,3 * * *", "Europe/Rome", "2026-03-28T12:00:00Z", []want{
			{"2026-03-29T02:30", "2026-03-29T03:00:00+02:00", ShiftGap},
			{"2026-03-29T03:30", "2026-03-29T03:30:00+02:00", ""}}},
		"the hours around a gap": {"0 * * * *", "Europe/Rome", "2026-03-29T00:00:00Z", []want{
			{"2026-03-29T03:00", "2026-03-29T03:00:00+02:00", ""},
			{"2026-03-29T04:00", "2026-03-29T04:00:00+02:00", ""}}},
		"the half hours around a fold": {"*/30 * * * *", "Europe/Rome", "2026-10-25T01:45:00+02:00", []want{
			{"2026-10-25T02:00", "2026-10-25T02:00:00+02:00", ShiftFold},
			{"2026-10-25T02:30", "2026-10-25T02:30:00+02:00", ShiftFold},
			{"2026-10-25T03:00", "2026-10-25T03:00:00+01:00", ""}}},
		"Apia skipped 30 December 2011 (the library never returns)": {"0 0 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", []want{
			{"2011-12-30T00:00", "2011-12-31T00:00:00+14:00", ShiftGap},
			{"2012-12-30T00:00", "2012-12-30T00:00:00+14:00", ""}}},
		"Apia, every minute": {"* * * * *", "Pacific/Apia", "2011-12-29T23:58:00-10:00", []want{
			{"2011-12-29T23:59", "2011-12-29T23:59:00-10:00", ""},
			{"2011-12-31T00:00", "2011-12-31T00:00:00+14:00", ""},
			{"2011-12-31T00:01", "2011-12-31T00:01:00+14:00", ""}}},
		"Kwajalein skipped 21 August 1993 (the library never returns)": {"0 0 22 8 *", "Pacific/Kwajalein", "1993-08-01T00:00:00Z", []want{
			{"1993-08-22T00:00", "1993-08-22T00:00:00+12:00", ""}}},
		"Kwajalein, the day that was skipped": {"0 9 21 8 *", "Pacific/Kwajalein", "1993-08-01T00:00:00Z", []want{
			{"1993-08-21T09:00", "1993-08-22T00:00:00+12:00", ShiftGap}}},
		"a leap day after 2096 (the library gives up)": {"0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", []want{
			{"2104-02-29T00:00", "2104-02-29T00:00:00Z", ""}}},
		"the last days of a leap year that follows a rule": {"0 9,21 * * *", "America/New_York", "2096-12-30T20:00:00Z", []want{
			{"2096-12-30T21:00", "2096-12-30T21:00:00-05:00", ""},
			{"2096-12-31T09:00", "2096-12-31T09:00:00-05:00", ""},
			{"2096-12-31T21:00", "2096-12-31T21:00:00-05:00", ""},
			{"2097-01-01T09:00", "2097-01-01T09:00:00-05:00", ""},
			{"2097-01-01T21:00", "2097-01-01T21:00:00-05:00", ""},
			{"2097-01-02T09:00", "2097-01-02T09:00:00-05:00", ""}}},
		"a zone with seconds": {"0 12 * * *", "Africa/Monrovia", "1960-01-01T00:00:00Z", []want{
			{"1960-01-01T12:00", "1960-01-01T12:44:30Z", ""}}},
		"either of two days": {"0 0 13 * 5", "UTC", "2026-03-12T12:00:00Z", []want{
			{"2026-03-13T00:00", "2026-03-13T00:00:00Z", ""},
			{"2026-03-20T00:00", "2026-03-20T00:00:00Z", ""}}},
		"Sunday is 7": {"0 0 * * 7", "UTC", "2026-03-12T12:00:00Z", []want{
			{"2026-03-15T00:00", "2026-03-15T00:00:00Z", ""}}},
		"a back-dated question": {"0 0 1 1 *", "UTC", "0001-01-01T00:00:00Z", []want{
			{"1901-01-01T00:00", "1901-01-01T00:00:00Z", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			e, zone, after := mustParse(t, tc.text), mustZone(t, tc.zone), at(t, tc.after)
			for _, w := range tc.want {
				tick, ok := e.Next(zone, after)
				if !ok || tick.Nominal.String() != w.nominal || !tick.At.Equal(at(t, w.at)) || tick.Shift != w.shift {
					t.Fatalf("got %s at %s (%s) %v, want %+v", tick.Nominal, tick.At, tick.Shift, ok, w)
				}
				if got, shift := tick.Nominal.In(zone); !got.Equal(tick.At) || shift != tick.Shift {
					t.Errorf("%s is at %s (%s), want %s (%s)", tick.Nominal, got, shift, tick.At, tick.Shift)
				}
				if last, ok := e.Last(zone, after, tick.At); !ok || last != tick {
					t.Errorf("last until %s is %v %v", tick.At, last, ok)
				}
				after = tick.At
			}
		})
	}
}

// One run for each day, whatever clocks do, and as many as there are days.
func TestOneTickForEachDay(t *testing.T) {
	for _, tc := range []struct {
		zone string
		year int
	}{
		{"Europe/Rome", 2026}, {"America/New_York", 2026}, {"Africa/Cairo", 2026}, {"Asia/Beirut", 2026},
		{"Australia/Lord_Howe", 2026}, {"America/Sao_Paulo", 2018}, {"Pacific/Apia", 2011}, {"America/Havana", 2026},
	} {
		zone := mustZone(t, tc.zone)
		texts := []string{"59 23 * * *"}
		for quarter := range 96 {
			texts = append(texts, fmt.Sprintf("%d %d * * *", quarter%4*15, quarter/4))
		}
		for _, text := range texts {
			e := mustParse(t, text)
			want := map[string]bool{}
			for d := time.Date(tc.year, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == tc.year; d = d.AddDate(0, 0, 1) {
				want[d.Format(time.DateOnly)] = true
			}
			previous := Tick{At: time.Date(tc.year-1, 12, 31, 23, 59, 59, 0, zone)}
			for {
				tick, ok := e.Next(zone, previous.At)
				if !ok || tick.Nominal.Year != tc.year {
					break
				}
				if !tick.At.After(previous.At) || tick.Nominal.Compare(previous.Nominal) <= 0 {
					t.Fatalf("%s in %s: %v does not come after %v", text, tc.zone, tick, previous)
				}
				day := tick.Nominal.String()[:10]
				if !want[day] {
					t.Errorf("%s in %s: %s is not a day, or ran twice", text, tc.zone, day)
				}
				delete(want, day)
				previous = tick
			}
			// The day that Samoa skipped runs at the jump; a run at midnight of the
			// next day is at the same instant, and stands for both.
			if tc.zone == "Pacific/Apia" && text == "0 0 * * *" {
				delete(want, "2011-12-30")
			}
			if len(want) > 0 {
				t.Errorf("%s in %s: no run for %v", text, tc.zone, want)
			}
		}
	}
}

func TestClockSetBack(t *testing.T) {
	e, zone := mustParse(t, "30 2 * * *"), mustZone(t, "Europe/Rome")
	want, _ := e.Next(zone, at(t, "2026-03-28T12:00:00Z"))
	for _, back := range []time.Duration{time.Minute, time.Hour, 20 * time.Hour} {
		got, ok := e.Next(zone, want.At.Add(-back))
		if !ok || got != want {
			t.Errorf("set back by %s: got %v, want %v", back, got, want)
		}
	}
}

func TestLast(t *testing.T) {
	rome := mustZone(t, "Europe/Rome")
	for name, tc := range map[string]struct {
		text, after, until, want string
	}{
		"the most recent of many":      {"* * * * *", "2000-01-01T00:00:00Z", "2026-06-01T10:00:30Z", "2026-06-01T12:00"},
		"until is included":            {"0 12 * * *", "2026-06-01T00:00:00Z", "2026-06-01T10:00:00Z", "2026-06-01T12:00"},
		"after is not":                 {"0 12 * * *", "2026-06-01T10:00:00Z", "2026-06-02T09:59:59Z", ""},
		"years ago":                    {"0 0 29 2 *", "2000-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "2024-02-29T00:00"},
		"in the second pass of a fold": {"30 2 * * *", "2026-10-20T00:00:00Z", "2026-10-25T02:10:00+01:00", "2026-10-25T02:30"},
		"in a gap":                     {"30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:30"},
		"just before a gap":            {"30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T00:59:59Z", ""},
		"empty span":                   {"* * * * *", "2026-03-29T00:00:00Z", "2026-03-28T00:00:00Z", ""},
		"the end of time":              {"0 0 * * *", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", "2501-01-01T00:00"},
		"before all":                   {"0 0 * * *", "0001-01-01T00:00:00Z", "1700-12-31T00:00:00Z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := mustParse(t, tc.text).Last(rome, at(t, tc.after), at(t, tc.until))
			if ok != (tc.want != "") || ok && got.Nominal.String() != tc.want {
				t.Errorf("got %v %v, want %q", got, ok, tc.want)
			}
		})
	}
}

func TestZeroAndExtremes(t *testing.T) {
	var zero Expression
	if tick, ok := zero.Next(time.UTC, time.Time{}); ok {
		t.Errorf("the zero expression runs at %v", tick)
	}
	if tick, ok := zero.Last(time.UTC, time.Time{}, time.Date(2600, 1, 1, 0, 0, 0, 0, time.UTC)); ok {
		t.Errorf("the zero expression ran at %v", tick)
	}
	e := mustParse(t, "0 0 * * *")
	if tick, ok := e.Next(nil, at(t, "2026-01-01T00:00:00Z")); !ok || tick.Nominal.String() != "2026-01-02T00:00" {
		t.Errorf("without a zone: %v %v", tick, ok)
	}
	for _, unix := range []int64{-1 << 63, -1 << 55, -1 << 40, 0, 1 << 40, 1 << 55, 1<<63 - 1} {
		after := time.Unix(unix, 0)
		if tick, ok := e.Next(time.UTC, after); ok && (tick.Nominal.Year < firstYear || tick.Nominal.Year > lastYear) {
			t.Errorf("after %v: %v", after, tick)
		}
		e.Last(time.UTC, time.Time{}, after)
	}
}

// The calendar arithmetic agrees with the library's where that can be trusted: in UTC.
func TestAgreesWithLibraryInUTC(t *testing.T) {
	for _, text := range []string{"*/7 3-5 * * *", "0 0 13 * 5", "0 0 */2 * 1", "5 4 31 * *", "0 0 1-7 1,7 ?", "59 23 28-31 2 *", "@weekly", "0 0 * 12 sun"} {
		e := mustParse(t, text)
		library, err := cron.ParseStandard(text)
		if err != nil {
			t.Fatal(err)
		}
		got := at(t, "2023-01-01T00:00:00Z")
		want := got
		for range 500 {
			tick, ok := e.Next(time.UTC, got)
			want = library.Next(want)
			if !ok || !tick.At.Equal(want) {
				t.Fatalf("%s: got %v, want %v", text, tick.At, want)
			}
			got = tick.At
		}
	}
}

func TestNominal(t *testing.T) {
	n := Nominal{Year: 2026, Month: time.March, Day: 29, Hour: 2, Minute: 30}
	if got, err := ParseNominal(n.String()); err != nil || got != n {
		t.Errorf("got %v %v", got, err)
	}
	for _, bad := range []string{"", "2026-03-29", "2026-3-29T02:30", "2026-02-30T00:00", "2026-03-29T02:30Z", "2026-03-29T24:00", strings.Repeat("9", 5000)} {
		if got, err := ParseNominal(bad); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.30q: got %v %v", bad, got, err)
		}
	}
	later := n
	later.Minute++
	if n.Compare(n) != 0 || n.Compare(later) >= 0 || later.Compare(n) <= 0 {
		t.Error("Compare")
	}
	if shown := NominalOf(time.Date(2026, 3, 29, 0, 30, 59, 0, time.UTC).In(mustZone(t, "Asia/Tokyo"))); shown.String() != "2026-03-29T09:30" {
		t.Error(shown)
	}
	(Nominal{}).In(time.UTC)
}

func TestLoadZone(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Rome", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"} {
		if zone, err := LoadZone(name); err != nil || zone.String() != name {
			t.Errorf("%s: %v %v", name, zone, err)
		}
	}
	for _, name := range []string{"", "Local", "local", "/etc/passwd", "../../etc/passwd", "Europe/../UTC", "..", ".", "Europe/", "Europe",
		"EST5EDT4", "europe\\rome", "Europe/Roma", "Europe/Rome\x00", "right/UTC", strings.Repeat("A", 70_000), "Mars/Olympus", "\u202eUTC"} {
		zone, err := LoadZone(name)
		if err == nil {
			t.Errorf("%q is %v", name, zone)
		} else if !strings.Contains(err.Error(), "Europe/Rome") || len(err.Error()) > 300 {
			t.Errorf("%.40q: %v", name, err)
		}
	}
}

func TestNeverFires(t *testing.T) {
	for text, want := range map[string]string{
		"0 0 30 2 *":       `cron "0 0 30 2 *" never fires: there is no 30 February`,
		"0 0 31 4 *":       `cron "0 0 31 4 *" never fires: there is no 31 April`,
		"0 0 30,31 feb ?":  `cron "0 0 30,31 feb ?" never fires: there is no 30 or 31 February`,
		"0 0 31 4,6,9 */1": `cron "0 0 31 4,6,9 */1" never fires: there is no 31 April or June or September`,
	} {
		_, err := Parse(text)
		if !errors.Is(err, ErrNeverFires) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, text := range []string{"0 0 29 2 *", "0 0 30 2 1", "0 0 31 4 */2", "0 0 31 1-12 *"} {
		mustParse(t, text)
	}
}

func BenchmarkNext(b *testing.B) {
	for _, bench := range []struct{ name, text, zone, after string }{
		{"minutely", "* * * * *", "Europe/Rome", "2026-06-01T00:00:00Z"},
		{"minutely in a fold", "* * * * *", "Europe/Rome", "2026-10-25T01:30:00Z"},
		{"minutely before a day's gap", "* * * * *", "Pacific/Apia", "2011-12-30T09:59:00Z"},
		{"leap day", "0 0 29 2 *", "America/New_York", "2097-01-01T00:00:00Z"},
		{"beyond the tables", "30 2 * * 1-5", "America/New_York", "2090-01-01T00:00:00Z"},
		{"back-dated", "0 0 29 2 *", "Europe/Rome", "0001-01-01T00:00:00Z"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			e, zone, after := mustParse(b, bench.text), mustZone(b, bench.zone), at(b, bench.after)
			for b.Loop() {
				if _, ok := e.Next(zone, after); !ok {
					b.Fatal("no tick")
				}
			}
		})
	}
}

func BenchmarkLast(b *testing.B) {
	e, zone := mustParse(b, "* * * * *"), mustZone(b, "Europe/Rome")
	after, until := at(b, "2000-01-01T00:00:00Z"), at(b, "2026-06-01T00:00:00Z")
	for b.Loop() {
		e.Last(zone, after, until)
	}
}
