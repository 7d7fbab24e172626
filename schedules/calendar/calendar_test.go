package calendar

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/schedules/cron"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := cron.LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// file is a calendar of events that are given line by line.
func file(events ...string) []byte {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
	for _, e := range events {
		b.WriteString("BEGIN:VEVENT\r\nUID:x\r\nSUMMARY:thing\r\n" + strings.ReplaceAll(e, "\n", "\r\n") + "\r\nEND:VEVENT\r\n")
	}
	b.WriteString("END:VCALENDAR\r\n")
	return []byte(b.String())
}

func mustParse(t testing.TB, data []byte) *Calendar {
	t.Helper()
	c, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHolidays(t *testing.T) {
	data, err := os.ReadFile("testdata/italy.ics")
	if err != nil {
		t.Fatal(err)
	}
	c := mustParse(t, data)
	rome := zone(t, "Europe/Rome")
	for when, want := range map[string]string{
		"2025-12-31T23:59:59+01:00": "",
		"2026-01-01T00:00:00+01:00": "Capodanno",
		"2026-01-01T23:59:59+01:00": "Capodanno",
		"2026-01-02T00:00:00+01:00": "",
		"2019-01-01T12:00:00+01:00": "",
		"2399-01-01T12:00:00+01:00": "Capodanno",
		"2026-04-06T08:00:00+02:00": "Lunedì dell'Angelo, Pasquetta",
		"2029-04-02T08:00:00+02:00": "Lunedì dell'Angelo, Pasquetta",
		"2026-04-25T08:00:00+02:00": "Festa della Liberazione",
		"2026-12-24T00:00:00+01:00": "Chiusura natalizia",
		"2027-01-01T09:00:00+01:00": "Chiusura natalizia", // began first
		"2027-01-06T23:59:00+01:00": "Chiusura natalizia",
		"2027-01-07T00:00:00+01:00": "",
		"2026-02-27T19:00:00+01:00": "Release freeze",
		"2026-02-27T23:59:00+01:00": "",
		"2026-03-27T19:00:00+01:00": "", // EXDATE
		"2026-04-24T19:00:00+02:00": "", // moved
		"2026-04-23T19:00:00+02:00": "Release freeze (moved)",
		"2026-05-29T18:00:00+02:00": "Release freeze", // in summer time too
		"2027-12-31T18:00:00+01:00": "Release freeze", // the 24th
		"2028-01-28T18:00:00+01:00": "",
		"2026-06-19T12:00:00+02:00": "", // cancelled
		"2026-06-21T12:00:00+02:00": "", // transparent
	} {
		e, ok, err := c.Covering(at(t, when), rome)
		if err != nil || ok != (want != "") || e.Summary != want {
			t.Errorf("%s: got %v %v %v, want %q", when, e, ok, err, want)
		}
	}
	all, err := c.Between(at(t, "2026-01-01T00:00:00+01:00"), at(t, "2027-01-01T00:00:00+01:00"), rome)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 4+11 {
		t.Errorf("%d entries in 2026: %v", len(all), all)
	}
	for i := 1; i < len(all); i++ {
		if all[i].Start.Before(all[i-1].Start) {
			t.Errorf("%v comes after %v", all[i], all[i-1])
		}
	}
}

func TestAllDayAcrossChanges(t *testing.T) {
	for _, tc := range []struct {
		zone, date string
		hours      float64
		start      string
	}{
		{"Europe/Rome", "20260329", 23, "2026-03-29T00:00:00+01:00"},
		{"Europe/Rome", "20261025", 25, "2026-10-25T00:00:00+02:00"},
		{"Africa/Cairo", "20260424", 23, "2026-04-24T01:00:00+03:00"}, // has no midnight
		{"Africa/Cairo", "20260423", 24, "2026-04-23T00:00:00+02:00"},
		{"America/Havana", "20261101", 25, "2026-11-01T00:00:00-04:00"}, // has two
		{"Australia/Lord_Howe", "20261004", 23.5, "2026-10-04T00:00:00+10:30"},
		{"Asia/Tokyo", "20261004", 24, "2026-10-04T00:00:00+09:00"},
	} {
		c := mustParse(t, file("DTSTART;VALUE=DATE:"+tc.date))
		z := zone(t, tc.zone)
		start := at(t, tc.start)
		got, err := c.Between(start.AddDate(0, 0, -3), start.AddDate(0, 0, 3), z)
		if err != nil || len(got) != 1 || !got[0].AllDay || !got[0].Start.Equal(start) || got[0].End.Sub(got[0].Start).Hours() != tc.hours {
			t.Errorf("%s in %s: got %v %v", tc.date, tc.zone, got, err)
			continue
		}
		for offset, want := range map[time.Duration]bool{-1: false, 0: true, got[0].End.Sub(start) - 1: true, got[0].End.Sub(start): false} {
			if _, ok, err := c.Covering(start.Add(offset), z); ok != want || err != nil {
				t.Errorf("%s in %s: covers %s after its start: %v %v", tc.date, tc.zone, offset, ok, err)
			}
		}
	}
}

func TestOccurrences(t *testing.T) {
	for name, tc := range map[string]struct {
		event, zone, from, until string
		want                     []string // start and length
	}{
		"a floating time": {"DTSTART:20260601T090000\nDTEND:20260601T170000", "Asia/Tokyo", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-01T09:00:00+09:00 8h0m0s"}},
		"a time in UTC": {"DTSTART:20260601T090000Z\nDURATION:PT1H30M", "Asia/Tokyo", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-01T18:00:00+09:00 1h30m0s"}},
		"a time elsewhere": {"DTSTART;TZID=America/New_York:20260601T090000\nDTEND;TZID=Europe/Rome:20260601T170000", "UTC", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-01T13:00:00Z 2h0m0s"}},
		"a quoted zone": {"DTSTART;TZID=\"America/New_York\":20260601T090000\nDURATION:PT1M", "UTC", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-01T13:00:00Z 1m0s"}},
		"no end": {"DTSTART:20260601T090000Z", "UTC", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z", []string{"2026-06-01T09:00:00Z 0s"}},
		"weeks":  {"DTSTART;VALUE=DATE:20260601\nDURATION:P2W", "UTC", "2026-06-14T00:00:00Z", "2026-07-01T00:00:00Z", []string{"2026-06-01T00:00:00Z 336h0m0s"}},
		"the end is the start": {"DTSTART;VALUE=DATE:20260601\nDTEND;VALUE=DATE:20260601", "UTC", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-01T00:00:00Z 24h0m0s"}},
		"a day of the clocks, and a day of hours": {"DTSTART;TZID=Europe/Rome:20260328T120000\nDURATION:P1DT1H", "UTC", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z",
			[]string{"2026-03-28T11:00:00Z 24h0m0s"}},
		"nine to five in every season": {"DTSTART;TZID=Europe/Rome:20260327T090000\nDTEND;TZID=Europe/Rome:20260327T170000\nRRULE:FREQ=WEEKLY", "UTC",
			"2026-03-20T00:00:00Z", "2026-04-05T00:00:00Z", []string{"2026-03-27T08:00:00Z 8h0m0s", "2026-04-03T07:00:00Z 8h0m0s"}},
		"a start that does not exist": {"DTSTART;TZID=Europe/Rome:20260328T023000\nDURATION:PT15M\nRRULE:FREQ=DAILY;COUNT=2", "UTC",
			"2026-03-20T00:00:00Z", "2026-04-05T00:00:00Z", []string{"2026-03-28T01:30:00Z 15m0s", "2026-03-29T01:00:00Z 15m0s"}},
		"UNTIL in UTC of a local time": {"DTSTART;TZID=America/New_York:20260601T210000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260603T010000Z", "UTC",
			"2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z", []string{"2026-06-02T01:00:00Z 1h0m0s", "2026-06-03T01:00:00Z 1h0m0s"}},
		"UNTIL a date of a time": {"DTSTART:20260601T210000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260602", "UTC",
			"2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z", []string{"2026-06-01T21:00:00Z 1h0m0s", "2026-06-02T21:00:00Z 1h0m0s"}},
		"31st of months that have it, from far away": {"DTSTART;VALUE=DATE:19700131\nRRULE:FREQ=MONTHLY", "UTC", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z",
			[]string{"2026-01-31T00:00:00Z 24h0m0s", "2026-03-31T00:00:00Z 24h0m0s", "2026-05-31T00:00:00Z 24h0m0s"}},
		"a leap day": {"DTSTART;VALUE=DATE:20000229\nRRULE:FREQ=YEARLY", "UTC", "2026-01-01T00:00:00Z", "2029-06-01T00:00:00Z",
			[]string{"2028-02-29T00:00:00Z 24h0m0s"}},
		"every third year": {"DTSTART;VALUE=DATE:20010501\nRRULE:FREQ=YEARLY;INTERVAL=3", "UTC", "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z",
			[]string{"2028-05-01T00:00:00Z 24h0m0s"}},
		"the fourth Thursday of November": {"DTSTART;VALUE=DATE:19421126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z",
			[]string{"2026-11-26T00:00:00Z 24h0m0s"}},
		"every other week, from far away": {"DTSTART;VALUE=DATE:20000103\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU", "UTC", "2026-01-01T00:00:00Z", "2026-01-16T00:00:00Z",
			[]string{"2026-01-11T00:00:00Z 24h0m0s", "2026-01-12T00:00:00Z 24h0m0s"}},
		"work days for decades": {"DTSTART;VALUE=DATE:19700101\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR", "UTC", "2026-01-01T00:00:00Z", "2026-01-06T00:00:00Z",
			[]string{"2026-01-01T00:00:00Z 24h0m0s", "2026-01-02T00:00:00Z 24h0m0s", "2026-01-05T00:00:00Z 24h0m0s"}},
		"a start that the rule does not match": {"DTSTART;VALUE=DATE:20260601\nRRULE:FREQ=WEEKLY;BYDAY=WE;COUNT=1", "UTC", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-01T00:00:00Z 24h0m0s", "2026-06-03T00:00:00Z 24h0m0s"}},
		"EXDATE as a date, of a time": {"DTSTART:20260601T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20260602", "UTC", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-01T09:00:00Z 1h0m0s", "2026-06-03T09:00:00Z 1h0m0s"}},
		"EXDATE as a time, of a date": {"DTSTART;VALUE=DATE:20260601\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260601T000000Z", "America/New_York", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-02T00:00:00-04:00 24h0m0s"}},
		"EXDATE in another zone": {"DTSTART;TZID=Europe/Rome:20260601T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260601T070000Z", "UTC", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-02T07:00:00Z 1h0m0s"}},
		"an RDATE that the rule has too": {"DTSTART;VALUE=DATE:20260601\nRRULE:FREQ=DAILY;COUNT=2\nRDATE;VALUE=DATE:20260602,20260610", "UTC", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-01T00:00:00Z 24h0m0s", "2026-06-02T00:00:00Z 24h0m0s", "2026-06-10T00:00:00Z 24h0m0s"}},
		"lower case": {"dtstart;value=date:20260601\nrrule:freq=daily;count=2", "UTC", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z",
			[]string{"2026-06-01T00:00:00Z 24h0m0s", "2026-06-02T00:00:00Z 24h0m0s"}},
		"hours": {"DTSTART:20200101T003000Z\nDURATION:PT5M\nRRULE:FREQ=HOURLY;INTERVAL=7", "UTC", "2026-06-01T00:00:00Z", "2026-06-01T12:00:00Z",
			[]string{"2026-06-01T06:30:00Z 5m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			z := zone(t, tc.zone)
			entries, err := mustParse(t, file(tc.event)).Between(at(t, tc.from), at(t, tc.until), z)
			var got []string
			for _, e := range entries {
				got = append(got, e.Start.Format(time.RFC3339)+" "+e.End.Sub(e.Start).String())
			}
			if err != nil || fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("got %q %v, want %q", got, err, tc.want)
			}
		})
	}
}

// Wherever one begins to look, a series is the same: beginning late is a shortcut only.
func TestSeriesFromAnywhere(t *testing.T) {
	start := stamp{wall: time.Date(2001, 3, 31, 9, 0, 0, 0, time.UTC)}
	for _, text := range []string{
		"FREQ=YEARLY", "FREQ=YEARLY;INTERVAL=3;BYWEEKNO=1,53;BYDAY=MO", "FREQ=MONTHLY;INTERVAL=5", "FREQ=MONTHLY;BYDAY=-1FR,2TU", "FREQ=YEARLY;BYDAY=20MO",
		"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=WEEKLY;INTERVAL=3;BYDAY=SU,MO,SA;WKST=WE", "FREQ=WEEKLY", "FREQ=DAILY;INTERVAL=11",
		"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29", "FREQ=HOURLY;INTERVAL=1000", "FREQ=YEARLY;BYYEARDAY=-1,100", "FREQ=YEARLY;BYMONTH=5",
	} {
		r, err := parseRule(text, start)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		whole := map[time.Time]bool{}
		end := time.Date(2041, 1, 1, 0, 0, 0, 0, time.UTC)
		option := r.option
		option.Dtstart, option.Until = start.wall, end
		if err := r.each(start.wall, end, func(at time.Time) bool { whole[at] = true; return true }, start.wall); err != nil {
			t.Fatal(err)
		}
		for from := start.wall.AddDate(0, 0, -40); from.Before(end); from = from.AddDate(0, 0, 97) {
			until := from.AddDate(0, 4, 0)
			want, got := 0, 0
			for at := range whole {
				if !at.Before(from) && !at.After(until) {
					want++
				}
			}
			err := r.each(from, until, func(at time.Time) bool {
				if !at.After(end) {
					got++
					if !whole[at] {
						t.Errorf("%s from %s: %s is not in the series", text, from, at)
					}
				}
				return true
			}, start.wall)
			if err != nil || got != want {
				t.Fatalf("%s from %s: %d of %d occurrences, %v", text, from, got, want, err)
			}
		}
	}
}

func TestReplacedAndCancelledOccurrences(t *testing.T) {
	series := "DTSTART:20260601T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3"
	for name, tc := range map[string]struct {
		other string
		want  int
	}{
		"moved":     {"RECURRENCE-ID:20260602T090000Z\nDTSTART:20260602T120000Z\nDURATION:PT1H", 3},
		"cancelled": {"RECURRENCE-ID:20260602T090000Z\nDTSTART:20260602T090000Z\nSTATUS:CANCELLED", 2},
		"free":      {"RECURRENCE-ID:20260602T090000Z\nDTSTART:20260602T090000Z\nTRANSP:TRANSPARENT", 2},
	} {
		got, err := mustParse(t, file(series, tc.other)).Between(at(t, "2026-05-01T00:00:00Z"), at(t, "2026-07-01T00:00:00Z"), time.UTC)
		if err != nil || len(got) != tc.want {
			t.Errorf("%s: %v %v, want %d", name, got, err, tc.want)
		}
	}
}

func TestSummary(t *testing.T) {
	long := strings.Repeat("ä", 500)
	for text, want := range map[string]string{
		"a\\nb\\, c":                "a b, c",
		"\x1b[31mred\x07":           "[31mred",
		"\u202eevil\u200b\u2066":    "evil",
		"bad \xff\xfe bytes":        "bad bytes",
		long:                        long[:2*(maxSummary-1)] + "…",
		"  blanks \t everywhere  ":  "blanks everywhere",
		"with: colons; semicolons!": "with: colons; semicolons!",
	} {
		c := mustParse(t, []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:"+text+"\nDTSTART:20260601\nEND:VEVENT\nEND:VCALENDAR"))
		e, ok, err := c.Covering(at(t, "2026-06-01T12:00:00Z"), time.UTC)
		if !ok || err != nil || e.Summary != want {
			t.Errorf("%q: got %q %v", text, e.Summary, err)
		}
	}
}

func TestBounds(t *testing.T) {
	begun := time.Now()
	if _, err := Parse(bytes.Repeat([]byte("BEGIN:VCALENDAR\n"), 100<<20/16)); err == nil || !strings.Contains(err.Error(), "at most 1048576") {
		t.Errorf("100 MB: %v", err)
	}
	c := mustParse(t, file("DTSTART:20260601T000000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY"))
	if _, err := c.Between(at(t, "2026-01-01T00:00:00Z"), at(t, "2030-01-01T00:00:00Z"), nil); err == nil || !strings.Contains(err.Error(), "more than 10000") {
		t.Errorf("every hour: %v", err)
	}
	if _, err := c.Between(at(t, "2026-01-01T00:00:00Z"), at(t, "2036-01-01T00:00:00Z"), nil); err == nil || !strings.Contains(err.Error(), "ask for at most") {
		t.Errorf("ten years: %v", err)
	}
	if e, ok, err := c.Covering(at(t, "2500-06-01T00:30:00Z"), nil); !ok || err != nil {
		t.Errorf("in 500 years: %v %v", e, err)
	}
	if e, err := c.Between(at(t, "2030-01-01T00:00:00Z"), at(t, "2026-01-01T00:00:00Z"), nil); len(e) > 0 || err != nil {
		t.Errorf("backwards: %v %v", e, err)
	}
	if _, ok, err := (*Calendar)(nil).Covering(begun, nil); ok || err != nil {
		t.Errorf("no calendar: %v %v", ok, err)
	}
	many := make([]string, maxRules)
	for i := range many {
		many[i] = "DTSTART:19000101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=WE"
		many[i] += fmt.Sprintf("\nUID:%d", i)
	}
	data := bytes.ReplaceAll(file(many...), []byte("UID:x\r\n"), nil)
	c = mustParse(t, data)
	if _, _, err := c.Covering(at(t, "2026-06-01T00:30:00Z"), nil); err != nil {
		t.Error(err)
	}
	if spent := time.Since(begun); spent > 20*time.Second {
		t.Errorf("took %s", spent)
	}
}
