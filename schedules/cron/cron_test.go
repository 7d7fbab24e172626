package cron

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func parsed(t testing.TB, text string) Expression {
	t.Helper()
	e, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestTraps are what the library by itself skips, repeats, loops over or gives up on.
func TestTraps(t *testing.T) {
	for _, c := range []struct{ zone, text, after, want, shift string }{
		{"America/New_York", "30 2 * * *", "2026-03-08T00:00:00-05:00", "2026-03-08T03:00:00-04:00", "gap"},
		{"America/New_York", "15,30,45 2 * * *", "2026-03-08T00:00:00-05:00", "2026-03-08T03:00:00-04:00", "gap"},
		{"America/New_York", "0,30 2,3 * * *", "2026-03-08T03:00:00-04:00", "2026-03-08T03:30:00-04:00", ""},
		{"America/New_York", "30 1 * * *", "2026-11-01T00:00:00-04:00", "2026-11-01T01:30:00-04:00", "fold"},
		{"America/New_York", "30 1 * * *", "2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00", ""},
		{"America/New_York", "30 1 * * *", "2026-11-01T01:10:00-05:00", "2026-11-02T01:30:00-05:00", ""},
		{"America/New_York", "30 1 * * *", "2026-10-31T12:00:00-04:00", "2026-11-01T01:30:00-04:00", "fold"}, // a clock that was set back
		{"Europe/London", "30 1 * * *", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00+01:00", "gap"},
		{"Europe/London", "30 1 * * *", "2026-10-25T00:00:00+01:00", "2026-10-25T01:30:00+01:00", "fold"},
		{"Africa/Cairo", "0 0 24 4 *", "2026-04-01T00:00:00+02:00", "2026-04-24T01:00:00+03:00", "gap"},
		{"Asia/Beirut", "0 0 * * *", "2026-03-28T12:00:00+02:00", "2026-03-29T01:00:00+03:00", "gap"},
		{"America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00", "gap"},
		{"America/Havana", "0 0 * * *", "2026-03-07T12:00:00-05:00", "2026-03-08T01:00:00-04:00", "gap"},
		{"Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00+10:30", "2026-10-04T02:30:00+11:00", "gap"},
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00+11:00", "2026-04-05T01:45:00+11:00", "fold"},
		{"Pacific/Apia", "0 0 30 12 *", "2011-12-01T00:00:00-10:00", "2011-12-31T00:00:00+14:00", "gap"},
		{"Pacific/Apia", "0 8 * * *", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "gap"},
		{"Pacific/Apia", "0 8 * * *", "2011-12-31T00:00:00+14:00", "2011-12-31T08:00:00+14:00", ""},
		{"Pacific/Kwajalein", "0 0 21 8 *", "1993-08-01T00:00:00-12:00", "1993-08-22T00:00:00+12:00", "gap"},
		{"Pacific/Kwajalein", "0 0 22 8 *", "1993-08-01T00:00:00-12:00", "1993-08-22T00:00:00+12:00", ""},
		{"UTC", "0 0 29 2 *", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z", ""},
		{"UTC", "0 8 * * 5-7", "2026-11-28T09:00:00Z", "2026-11-29T08:00:00Z", ""},
		{"UTC", "0 0 13 * 5", "2026-11-10T00:00:00Z", "2026-11-13T00:00:00Z", ""}, // either day
		{"UTC", "0 0 * * *", "0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z", ""},
		{"UTC", "@weekly", "2026-11-24T00:00:00Z", "2026-11-29T00:00:00Z", ""},
	} {
		z := zone(t, c.zone)
		tick, ok := parsed(t, c.text).Next(z, instant(t, c.after))
		if got := tick.At.Format(time.RFC3339); !ok || got != c.want || string(tick.Shift) != c.shift {
			t.Errorf("%s in %s after %s: %s %q, want %s %q", c.text, c.zone, c.after, got, tick.Shift, c.want, c.shift)
		}
		last, ok := parsed(t, c.text).Last(z, instant(t, c.after), tick.At)
		if !ok || !last.At.Equal(tick.At) || last.Nominal != tick.Nominal {
			t.Errorf("%s in %s: the last is %v, want %v", c.text, c.zone, last, tick)
		}
	}
	if _, ok := parsed(t, "0 0 * * *").Next(time.UTC, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)); ok {
		t.Error("there is a time after the end of time")
	}
	if _, ok := (Expression{}).Next(time.UTC, time.Now()); ok {
		t.Error("nothing fires")
	}
}

func TestBadExpressions(t *testing.T) {
	for text, says := range map[string]string{
		"":                                "is empty; want five fields",
		"   ":                             "is empty",
		"TZ=":                             "names a time zone; put it into timeZone",
		"TZ=0":                            "names a time zone",
		"CRON_TZ=UTC":                     "names a time zone",
		"TZ=TZ=TZ=":                       "names a time zone",
		"TZ=../../etc/passwd * * * * *":   "names a time zone",
		"CRON_TZ=Europe/Rome 0 8 * * 1-5": "names a time zone",
		"@every 1ns":                      "counts from nowhere",
		"@every -1h":                      "counts from nowhere",
		"@every 1h":                       "counts from nowhere",
		"@often":                          "is no expression that is known",
		"* * * * * *":                     "has 6 fields; want five",
		"* * * *":                         "has 4 fields; want five",
		"daily":                           "has one field; want five",
		"60 * * * *":                      `has no minute (0-59) in "60"`,
		"* 24 * * *":                      `has no hour (0-23) in "24"`,
		"* * 0 * *":                       `has no day of the month (1-31) in "0"`,
		"* * * 13 *":                      `has no month (1-12) in "13"`,
		"* * * * 8":                       `has no weekday (0-7) in "8"`,
		"* * * * 8-7":                     `has no weekday (0-7)`,
		"* * * * 7/0":                     `has no weekday (0-7)`,
		"* * * * 1-7/0":                   `has no weekday (0-7)`,
		"* * * * x-7":                     `has no weekday (0-7)`,
		"*/0 * * * *":                     `has no minute (0-59) in "*/0"`,
		"5-1 * * * *":                     `has no minute (0-59) in "5-1"`,
		"0 0 30 2 *":                      "never fires",
		"0 0 31 4 *":                      "never fires",
		"0 0 31 2,4,6,9,11 *":             "never fires",
		"0 0 * * \x00":                    "has a character that is none",
		"0 0 * * \u202e1":                 "has a character that is none",
		strings.Repeat("0", 65536):        "has more than 256 characters",
		strings.Repeat("1,", 10000) + "1": "has more than 256 characters",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), says) || len(err.Error()) > 300 {
			t.Errorf("%.40q: %v, want %q", text, err, says)
		}
	}
	if _, err := Parse("0 0 30 2 *"); !errors.Is(err, ErrNeverFires) {
		t.Errorf("%v is not ErrNeverFires", err)
	}
}

// TestSundays are 0 and 7, as everywhere but in the library.
func TestSundays(t *testing.T) {
	for text, days := range map[string]string{
		"7": "Sun", "0,7": "Sun", "5-7": "Fri Sat Sun", "1-7/2": "Mon Wed Fri Sun", "7-7": "Sun", "fri-7": "Fri Sat Sun", "6,7": "Sat Sun",
		"0-7": "Mon Tue Wed Thu Fri Sat Sun", "1-5": "Mon Tue Wed Thu Fri", "*/7": "Sun",
	} {
		e, err := Parse("0 8 * * " + text)
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		at := instant(t, "2026-11-29T12:00:00Z") // a Sunday
		for {
			tick, ok := e.Next(time.UTC, at)
			if !ok || tick.At.After(instant(t, "2026-12-06T12:00:00Z")) {
				break
			}
			got, at = append(got, tick.At.Format("Mon")), tick.At
		}
		if strings.Join(got, " ") != days {
			t.Errorf("%s: %v, want %s", text, got, days)
		}
	}
}

func TestBadZones(t *testing.T) {
	for _, name := range []string{"", "Local", "/usr/share/zoneinfo/UTC", "../UTC", "EST5EDT4", "Europe/Roma", "+02:00", strings.Repeat("x", 100), "a\x00b", `Europe\Rome`} {
		if _, err := LoadZone(name); err == nil || !strings.Contains(err.Error(), "Europe/Rome") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestOncePerDay goes through a year with every quarter of an hour: each local time of each
// day runs once, and those that fall onto one instant are one.
func TestOncePerDay(t *testing.T) {
	for name, year := range map[string]int{
		"Europe/Rome": 2026, "America/New_York": 2026, "Africa/Cairo": 2026, "Asia/Beirut": 2026, "Australia/Lord_Howe": 2026,
		"America/Sao_Paulo": 2018, "Pacific/Apia": 2011,
	} {
		z := zone(t, name)
		for quarter := range 96 {
			e := parsed(t, strings.Join([]string{[]string{"0", "15", "30", "45"}[quarter%4], time.Date(0, 1, 1, quarter/4, 0, 0, 0, time.UTC).Format("15"), "* * *"}, " "))
			days := map[string]int{}
			at := time.Date(year, 1, 1, 0, 0, 0, 0, z).Add(-1)
			var before Tick
			for {
				tick, ok := e.Next(z, at)
				if !ok || tick.Nominal.Year > year {
					break
				}
				if !before.At.IsZero() && (!tick.At.After(before.At) || tick.Nominal.Compare(before.Nominal) <= 0) {
					t.Fatalf("%s in %s: %v comes after %v", e, name, tick, before)
				}
				days[tick.Nominal.String()[:10]]++
				before, at = tick, tick.At
			}
			want := 365
			if name == "Pacific/Apia" && quarter == 0 {
				want = 364 // the midnights of the 30th, which was left out, and of the 31st are one instant
			}
			if len(days) != want {
				t.Errorf("%s in %s: %d days of %d have a run", e, name, len(days), year)
			}
			for day, n := range days {
				if n != 1 {
					t.Errorf("%s in %s: %d runs on %s", e, name, n, day)
				}
			}
		}
	}
}

// TestFarFuture goes beyond the years that the files of zones list: the standard library's
// bounds of a zone do not advance there on the last day of a leap year.
func TestFarFuture(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "Asia/Tokyo"} {
		z := zone(t, name)
		e := parsed(t, "0 20 * * *")
		at, days := time.Date(2034, 12, 31, 23, 0, 0, 0, z), 0
		for {
			tick, ok := e.Next(z, at)
			if !ok || tick.Nominal.Year >= 2105 {
				break
			}
			if tick.At.In(z).Hour() != 20 || !tick.At.After(at) || tick.Shift != "" {
				t.Fatalf("%s: %v after %s", name, tick, at)
			}
			at, days = tick.At, days+1
		}
		if want := 70*365 + 17; days != want {
			t.Errorf("%s: %d days from 2035 to 2104, want %d", name, days, want)
		}
	}
}

// TestLastLooksBackCheaply over a year of a frequent expression, and over a weekend.
func TestLastLooksBackCheaply(t *testing.T) {
	z := zone(t, "Europe/Rome")
	until := instant(t, "2026-11-29T12:00:30+01:00") // a Sunday
	for text, want := range map[string]string{
		"* * * * *": "2026-11-29T12:00", "* * * * 1-5": "2026-11-27T23:59", "0 0 1 1 *": "2026-01-01T00:00", "0 0 29 2 *": "2024-02-29T00:00",
	} {
		if tick, ok := parsed(t, text).Last(z, until.AddDate(-5, 0, 0), until); !ok || tick.Nominal.String() != want {
			t.Errorf("%s: %s %t, want %s", text, tick.Nominal, ok, want)
		}
	}
	if tick, ok := parsed(t, "0 0 1 1 *").Last(z, until.AddDate(0, -1, 0), until); ok {
		t.Errorf("found %v", tick)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0 20 * * 1-5", "TZ=", "@every 1h", "*/15 * * * *", "0 0 29 2 *", "0 0 * * 5-7", "1-5/2,7 3 ? jan mon", "@daily", "0 0 30 2 *"} {
		f.Add(seed)
	}
	z := zone(f, "Africa/Cairo")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		at := instant(t, "2026-04-01T00:00:00Z")
		tick, ok := e.Next(z, at)
		if !ok || !tick.At.After(at) {
			t.Errorf("%q is accepted and does not fire: %v", text, tick)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	z := zone(b, "Europe/Rome")
	e := parsed(b, "0 20 * * 1-5")
	at := instant(b, "2026-01-01T00:00:00Z")
	for b.Loop() {
		tick, _ := e.Next(z, at)
		at = tick.At
		if at.Year() > 2100 {
			at = instant(b, "2026-01-01T00:00:00Z")
		}
	}
}
