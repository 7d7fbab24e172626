package calendar

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// broken are files and a part of what is said of them.
func broken() map[string]string {
	whole := func(lines ...string) string { return strings.Join(lines, "\n") }
	event := func(lines ...string) string { return string(file(lines...)) }
	const start = "DTSTART:20260601T090000Z\n"
	files := map[string]string{
		"":                             "no BEGIN:VCALENDAR",
		"\n\n":                         "no BEGIN:VCALENDAR",
		"<html>not found</html>":       `calendar line 1 is "<html>not found</html>"; want NAME:value`,
		"{}":                           "want NAME:value",
		"BEGIN:VEVENT\nEND:VEVENT":     "only VCALENDAR stands at the top",
		"BEGIN:VCALENDAR":              "calendar line 1 begins VCALENDAR, which never ends; the file is cut off",
		"SUMMARY:x":                    "outside of BEGIN:VCALENDAR",
		"END:VCALENDAR":                "not what is open",
		"\x00\x01\x02":                 "want NAME:value",
		"BEGIN:VCALENDAR\nBEGIN:X\xff": "not the name of a component",
		"BEGIN:VCALENDAR\nBEGIN:" + strings.Repeat("X", 100):                              "not the name of a component",
		"BEGIN:VCALENDAR\nno colon":                                                       `calendar line 2 is "no colon"; want NAME:value`,
		whole("BEGIN:VCALENDAR", "BEGIN:VEVENT", "SUMMARY:x"):                             "line 2 begins VEVENT, which never ends",
		whole("BEGIN:VCALENDAR", "BEGIN:VEVENT", "END:VCALENDAR"):                         "line 3 ends \"VCALENDAR\", which is not what is open",
		whole("BEGIN:VCALENDAR", "BEGIN:VCALENDAR"):                                       "only VCALENDAR stands at the top",
		"BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:X\n", 50_000):                         "component within another; at most 8",
		whole("BEGIN:VCALENDAR", "BEGIN:VEVENT", "DTSTART;TZID"):                          "line 3",
		whole("BEGIN:VCALENDAR", "BEGIN:VEVENT", "DTSTART;TZID=:"):                        "never ends",
		whole("BEGIN:VCALENDAR", "BEGIN:VEVENT", "DTSTART;TZID=\"x"):                      "line 3",
		whole("BEGIN:VCALENDAR", "BEGIN:VEVENT", "DTSTART;=x:1"):                          "line 3",
		whole("BEGIN:VCALENDAR", "BEGIN:VEVENT", "SUMMARY:"+strings.Repeat("a", 9000)):    "at most 8192",
		whole("BEGIN:VCALENDAR", "BEGIN:VEVENT", "SUMMARY:"+strings.Repeat("a\n ", 9000)): "line 3 is a SUMMARY of 9008 bytes",
		"BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VEVENT\nEND:VEVENT\n", 5001):          "line 10002 begins event 5001; at most 5000",
		event("DESCRIPTION:x"): `calendar event "thing" of line 3 has no DTSTART`,
		whole("BEGIN:VCALENDAR", "BEGIN:VEVENT", "UID:q", "END:VEVENT", "END:VCALENDAR"): `event with UID "q" of line 2 has no DTSTART`,
		event(start + "DTSTART:20260601"):                                                "has DTSTART twice",
		event("DTSTART:tomorrow"):                                                        `has the DTSTART "tomorrow"; want a date like 20261225`,
		event("DTSTART:20260631"):                                                        "DTSTART",
		event("DTSTART:20260601T240000"):                                                 "DTSTART",
		event("DTSTART:20260601T090000.5"):                                               "DTSTART",
		event("DTSTART:00010101"):                                                        "want a year from 1900 to 2500",
		event("DTSTART;VALUE=DATE:20260601T090000"):                                      "not what VALUE=DATE says",
		event("DTSTART;VALUE=PERIOD:20260601"):                                           "VALUE=\"PERIOD\"",
		event("DTSTART;TZID=Romance Standard Time:20260601T090000"):                      `has a DTSTART with TZID="Romance Standard Time", which is no IANA time zone; write one like Europe/Rome`,
		event("DTSTART;TZID=../../etc/passwd:20260601T090000"):                           "no IANA time zone",
		event("DTSTART;TZID=Local:20260601T090000"):                                      "no IANA time zone",
		event(start + "DTEND:20260601T080000Z"):                                          "ends before it begins",
		event(start + "DTEND:20260602"):                                                  "DTEND of another kind",
		event(start + "DTEND:20280602T090000Z"):                                          "lasts longer than 366 days",
		event(start + "DURATION:PT1H\nDTEND:20260601T100000Z"):                           "both DTEND and DURATION",
		event(start + "DURATION:P99999999W"):                                             "lasts longer",
		event(start + "DURATION:PT99999999H"):                                            "lasts longer",
		event(start + "RECURRENCE-ID;RANGE=THISANDFUTURE:20260602T090000Z"):              "range of occurrences",
		event(start + "RDATE;VALUE=PERIOD:20260601T090000Z/PT1H"):                        "PERIOD",
		event(start + "RDATE;VALUE=DATE:20260601"):                                       "RDATE of another kind",
		event(start + "EXDATE:"):                                                         "EXDATE",
		event(start + strings.Repeat("EXDATE:"+strings.TrimSuffix(strings.Repeat("20260601,", 300), ",")+"\n", 4)): "more than 1000 dates",
		event(start + "EXRULE:FREQ=DAILY"):                  "EXRULE",
		event(start + "RRULE:FREQ=DAILY\nRRULE:FREQ=DAILY"): "has RRULE twice",
	}
	for _, d := range []string{"", "P", "PT", "1D", "P1", "P1H", "PT1D", "P-1D", "-P1D", "P1DT", "P1DTT1H", "P99999999999999999999D", "PD"} {
		files[event(start+"DURATION:"+d)] = "has the DURATION"
	}
	for r, want := range map[string]string{
		"":                                      "unknown",
		"FREQ=":                                 "unknown",
		"COUNT=1":                               "cannot be read",
		"FREQ=OFTEN":                            "cannot be read",
		"FREQ=SECONDLY":                         "recurs within the hour; want HOURLY or rarer",
		"FREQ=MINUTELY;INTERVAL=60":             "recurs within the hour",
		"FREQ=DAILY;FREQ=DAILY":                 "FREQ twice",
		"FREQ=DAILY;COUNT=0":                    "COUNT that is not within 1-10000",
		"FREQ=DAILY;COUNT=-1":                   "COUNT",
		"FREQ=DAILY;COUNT=10001":                "COUNT",
		"FREQ=DAILY;COUNT=99999999999999999999": "cannot be read",
		"FREQ=DAILY;COUNT=1;UNTIL=20270101":     "besides UNTIL",
		"FREQ=DAILY;UNTIL=never":                "UNTIL",
		"FREQ=DAILY;INTERVAL=0":                 "INTERVAL",
		"FREQ=DAILY;INTERVAL=-5":                "INTERVAL",
		"FREQ=MONTHLY;INTERVAL=9223372036854775807":                          "INTERVAL",                    // the library would panic
		"FREQ=HOURLY;INTERVAL=24;BYHOUR=5":                                   "both BYHOUR and an INTERVAL", // the library would never return
		"FREQ=YEARLY;BYEASTER=1000":                                          "unknown",                     // the library would panic
		"FREQ=MONTHLY;BYDAY=-53MO":                                           "BYDAY whose number",          // the library would panic
		"FREQ=MONTHLY;BYDAY=53MO":                                            "BYDAY whose number",
		"FREQ=YEARLY;BYMONTH=1;BYDAY=6MO":                                    "BYDAY whose number",
		"FREQ=WEEKLY;BYDAY=1MO":                                              "BYDAY whose number",
		"FREQ=DAILY;BYHOUR=" + strings.Repeat("\xe2", 5000):                  "cannot be read",
		"FREQ=DAILY;BYDAY=XX":                                                "cannot be read",
		"FREQ=MONTHLY;BYWEEKNO=1":                                            "BYWEEKNO",
		"FREQ=YEARLY;BYMONTH=13":                                             "cannot be read",
		"FREQ=YEARLY;BYMONTH=0":                                              "cannot be read",
		"FREQ=DAILY;BYHOUR=24":                                               "cannot be read",
		"FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=" + strings.Repeat("1,", 40) + "1": "more than 100 times a day",
		"FREQ=HOURLY;BYMINUTE=0,10,20,30,40,50":                              "more than 100 times a day",
		"FREQ=YEARLY;BYYEARDAY=" + strings.Repeat("1,", 400) + "1":           "more than 366 values",
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30":                                "matches no day",
		"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30":                                 "matches no day",
		"FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=31":                                "matches no day",
		"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=366":                                 "matches no day",
		"FREQ=DAILY;DTSTART=20200101":                                        "unknown",
		"FREQ=DAILY;X=1":                                                     "unknown",
	} {
		files[event(start+"RRULE:"+r)] = want
	}
	return files
}

func TestBroken(t *testing.T) {
	for text, want := range broken() {
		begun := time.Now()
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.120q: got %v, want %s", text, err, want)
			continue
		}
		if !strings.HasPrefix(err.Error(), "calendar ") || len(err.Error()) > 700 || strings.ContainsAny(err.Error(), "\n\x00\x1b") {
			t.Errorf("%.120q: unclear error %v", text, err)
		}
		if spent := time.Since(begun); spent > 5*time.Second {
			t.Errorf("%.120q took %s", text, spent)
		}
	}
}

func FuzzParse(f *testing.F) {
	for text := range broken() {
		if len(text) < 2000 {
			f.Add([]byte(text))
		}
	}
	for _, rule := range []string{"FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU", "FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", "FREQ=HOURLY;BYHOUR=5"} {
		f.Add(file("DTSTART;TZID=Europe/Rome:20260329T023000\nDURATION:P1DT1H\nRRULE:" + rule + "\nEXDATE:20260401\nRDATE:20260402T000000"))
	}
	rome := zone(f, "Europe/Rome")
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			if len(err.Error()) > 1500 {
				t.Errorf("a long error: %s", err)
			}
			return
		}
		until := from.AddDate(0, 3, 0)
		entries, err := c.Between(from, until, rome)
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.End.Before(e.Start) || !e.Start.Before(until) || e.End.Before(from) || len([]rune(e.Summary)) > maxSummary {
				t.Errorf("entry %v", e)
			}
			if !e.Start.Before(from) && e.Start.Before(e.End) {
				if _, ok, err := c.Covering(e.Start, rome); !ok || err != nil {
					t.Errorf("%s is not covered: %v", fmt.Sprint(e), err)
				}
			}
		}
	})
}
