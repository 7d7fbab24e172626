package cron

import (
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

func TestQuick(t *testing.T) {
	for _, c := range []struct{ zone, expr, after, want string }{
		{"America/New_York", "30 2 * * *", "2026-03-08T00:00:00-05:00", "2026-03-08T03:00:00-04:00"},
		{"America/New_York", "30 1 * * *", "2026-11-01T00:00:00-04:00", "2026-11-01T01:30:00-04:00"},
		{"America/New_York", "30 1 * * *", "2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"},
		{"Africa/Cairo", "0 0 24 4 *", "2026-04-01T00:00:00+02:00", "2026-04-24T01:00:00+03:00"},
		{"Pacific/Apia", "0 0 30 12 *", "2011-12-01T00:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{"UTC", "0 0 29 2 *", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"UTC", "0 8 * * 5-7", "2026-11-28T09:00:00Z", "2026-11-29T08:00:00Z"},
	} {
		e, err := Parse(c.expr)
		if err != nil {
			t.Fatal(err)
		}
		after, _ := time.Parse(time.RFC3339, c.after)
		tick, ok := e.Next(zone(t, c.zone), after)
		if got := tick.At.Format(time.RFC3339); !ok || got != c.want {
			t.Errorf("%s in %s after %s: %s, want %s", c.expr, c.zone, c.after, got, c.want)
		}
		last, ok := e.Last(zone(t, c.zone), after, tick.At.Add(time.Minute-1))
		if !ok || !last.At.Equal(tick.At) || last.Nominal != tick.Nominal {
			t.Errorf("last %v, want %v", last, tick)
		}
	}
	for _, bad := range []string{"TZ=", "TZ=0", "CRON_TZ=UTC", "@every 1h", "0 0 30 2 *", "* * * * * *", "", "61 * * * *", strings.Repeat("1", 300), "0 0 * * 8"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		} else {
			t.Log(err)
		}
	}
}
