package cron

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

// refused are texts and a part of what is said of them.
var refused = map[string]string{
	"":                              "is empty; want five fields",
	"   ":                           "is empty; want five fields",
	"* * * *":                       "has four fields; want five: minute hour day-of-month month day-of-week",
	"* * * * * *":                   `cron "* * * * * *" has six fields; want five: minute hour day-of-month month day-of-week`,
	"0 0 0 * * * * *":               "has 8 fields",
	"TZ=":                           "names a time zone; put it into timeZone",
	"TZ=0":                          "names a time zone",
	"CRON_TZ=UTC":                   "names a time zone",
	"TZ=TZ=TZ=":                     "names a time zone",
	"tz=UTC 0 8 * * *":              "names a time zone",
	"TZ=Europe/Rome":                "names a time zone",
	"TZ=UTC 0 8 * * *":              `cron "TZ=UTC 0 8 * * *" names a time zone; put it into timeZone`,
	" CRON_TZ=UTC 0 8 * * *":        "names a time zone",
	"TZ=../../etc/passwd * *":       "names a time zone",
	"@every 1h":                     "counts from whenever it is first asked",
	"@every -1h":                    "counts from",
	"@every 1ns":                    "counts from",
	"@every":                        "counts from",
	"@reboot":                       "is not known; want one of @hourly",
	"@Daily":                        "is not known",
	"@daily 1":                      "is not known",
	"@":                             "is not known",
	"60 * * * *":                    `has the minute "60"; want 0-59`,
	"0 24 * * *":                    `has the hour "24"; want 0-23`,
	"0 0 0 * *":                     `has the day-of-month "0"; want 1-31`,
	"0 0 32 * *":                    `has the day-of-month "32"; want 1-31`,
	"0 0 * 13 *":                    `has the month "13"; want 1-12 or jan-dec`,
	"0 0 * 0 *":                     `has the month "0"`,
	"0 0 * * 8":                     `has the day-of-week "8"; want 0-7 or sun-sat`,
	"0 0 * * mo":                    `has the day-of-week "mo"`,
	"0 0 * * monday":                `has the day-of-week "monday"`,
	"0 0 * mon *":                   `has the month "mon"`,
	"0 jan * * *":                   `has the hour "jan"`,
	"-1 * * * *":                    `has the minute "-1"; want 0-59`,
	"+5 * * * *":                    `has the minute "+5"`,
	"005 * * * *":                   `has the minute "005"`,
	"1,,2 * * * *":                  "has an empty item in the list of its minute",
	", * * * *":                     "has an empty item in the list of its minute",
	"1, * * * *":                    "has an empty item",
	"30-10 * * * *":                 "has the minute range 30-10, which runs backwards",
	"0 22-6 * * *":                  "has the hour range 22-6, which runs backwards; write two ranges",
	"0 0 * * fri-mon":               "has the day-of-week range fri-mon, which runs backwards",
	"0 0 * * 7-1":                   "runs backwards",
	"1-2-3 * * * *":                 `has the minute "1-2-3"`,
	"*-5 * * * *":                   `has the minute "*-5"`,
	"** * * * *":                    `has the minute "**"`,
	"*/0 * * * *":                   `has the minute step "0"; want a number of 1-60`,
	"*/61 * * * *":                  `has the minute step "61"`,
	"0 */25 * * *":                  `has the hour step "25"`,
	"*/ * * * *":                    `has the minute step ""`,
	"*/2/3 * * * *":                 `has the minute step "2/3"`,
	"*/-1 * * * *":                  `has the minute step "-1"`,
	"*/9223372036854775807 * * * *": "step",
	"99999999999999999999 * * * *":  "minute",
	"0\t8 * * *":                    `has the character "\t" at position 2; want printable ASCII only`,
	"0 8 * * *\n":                   "has the character",
	"0 8 * * *\x00":                 "has the character",
	"\u202e0 8 * * *":               "has the character",
	"0 8 * * \u0661":                "has the character",
	"0\u00a08 * * *":                "has the character",
	"0 8 * * L":                     "day-of-week",
	"0 8 15W * *":                   "day-of-month",
	"0 0 * * 5#2":                   "day-of-week",
	"H * * * *":                     "minute",
	strings.Repeat("a", 64<<10):     "characters long; at most 256 are allowed",
	strings.Repeat("1,", 10_000) + " * * * *": "characters long",
	strings.Repeat(" ", 300):                  "characters long",
	strings.Repeat("* ", 100):                 "has 100 fields",
}

func TestParseRefuses(t *testing.T) {
	pattern := regexp.MustCompile(Pattern)
	for text, want := range refused {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
			continue
		}
		if !strings.HasPrefix(err.Error(), `cron "`) || len(err.Error()) > 250 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: unclear error %s", text, err)
		}
		blind := strings.Contains(want, "backwards") || strings.Contains(want, "long")
		if !blind && pattern.MatchString(text) {
			t.Errorf("Pattern accepts %q, which Parse refuses: %v", text, err)
		}
	}
}

func TestParseAccepts(t *testing.T) {
	sunday := at(t, "2026-03-01T00:00:00Z")
	pattern := regexp.MustCompile(Pattern)
	for text, want := range map[string]string{ // the days of the week on which it runs
		"0 0 * * 7":          "0",
		"0 0 * * 0":          "0",
		"0 0 * * 5-7":        "056",
		"0 0 * * 1-7/2":      "0135",
		"0 0 * * 0-7":        "0123456",
		"0 0 * * 7-7":        "0",
		"0 0 * * 7/2":        "0",
		"0 0 * * 6,7":        "06",
		"0 0 * * fri-sun":    "056",
		"0 0 * * FRI-Sun":    "056",
		"0 0 * * fri-7":      "056",
		"0 0 * * sun-tue":    "012",
		"0 0 * * sun-sun":    "0",
		"0 0 * * SUN,3":      "03",
		"0 0 * * 07":         "0",
		"0 0 * * */2":        "0246",
		"0 0 * * 1/2":        "135",
		"0 0 ? * ?":          "0123456",
		"0 0 ? * */1":        "0123456",
		"  00  00 * * 1 ":    "1",
		"0 */24 * * 1":       "1",
		"*/60 0 * jan-DEC 1": "1",
		"@weekly":            "0",
		"@daily":             "0123456",
		"@midnight":          "0123456",
	} {
		e := mustParse(t, text)
		if e.String() != strings.Join(strings.Fields(text), " ") {
			t.Errorf("%q is written %q", text, e)
		}
		if !pattern.MatchString(text) {
			t.Errorf("Pattern refuses %q", text)
		}
		got := ""
		for day := range 7 {
			midnight := sunday.AddDate(0, 0, day)
			if tick, ok := e.Next(time.UTC, midnight.Add(-time.Second)); ok && tick.At.Equal(midnight) {
				got += string(rune('0' + day))
			}
		}
		if got != want {
			t.Errorf("%q runs on the days %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"@hourly", "@monthly", "@yearly", "@annually"} {
		mustParse(t, text)
	}
}

// Pattern and Parse agree on random expressions and on random damage to them.
func TestPatternAgrees(t *testing.T) {
	pattern := regexp.MustCompile(Pattern)
	r := rand.New(rand.NewPCG(7, 7))
	const letters = "0123456789*/-,? ?@adfjlmnorsutwyJFMSTWx+.LW#"
	accepted, rejected := 0, 0
	for range 60_000 {
		text := []byte(randomExpression(r))
		for range r.IntN(3) {
			i := r.IntN(len(text))
			switch r.IntN(3) {
			case 0:
				text[i] = letters[r.IntN(len(letters))]
			case 1:
				text = append(text[:i], text[i+1:]...)
			default:
				text = append(text[:i], append([]byte{letters[r.IntN(len(letters))]}, text[i:]...)...)
			}
			if len(text) == 0 {
				text = []byte(" ")
			}
		}
		_, err := Parse(string(text))
		if errors.Is(err, ErrNeverFires) || err != nil && (strings.Contains(err.Error(), "backwards") || strings.Contains(err.Error(), "long")) {
			// Fields are read in order, so the rest may hold a fault that Pattern sees.
			continue
		}
		if got := pattern.Match(text); got != (err == nil) {
			t.Fatalf("%q: Pattern says %v, Parse %v", text, got, err)
		}
		if err == nil {
			accepted++
		} else {
			rejected++
		}
	}
	if accepted < 10_000 || rejected < 10_000 {
		t.Errorf("only %d accepted and %d rejected", accepted, rejected)
	}
}

func FuzzParse(f *testing.F) {
	for text := range refused {
		if len(text) < 1000 {
			f.Add(text)
		}
	}
	for _, text := range []string{"0 0 30 2 *", "0 0 29 2 *", "* * * * *", "*/7 1-5/2 ?,3 jan,5-7 fri-sun", "@daily", "0 0 13 * 5", "0 0 * * 1-7/2"} {
		f.Add(text)
	}
	pattern := regexp.MustCompile(Pattern)
	rome := mustZone(f, "Europe/Rome")
	after := at(f, "2026-03-29T00:30:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			if len(err.Error()) > 512 {
				t.Errorf("a long error: %s", err)
			}
			return
		}
		if !pattern.MatchString(text) {
			t.Errorf("Pattern refuses %q", text)
		}
		tick, ok := e.Next(rome, after)
		if !ok || !tick.At.After(after) {
			t.Fatalf("%q: %v %v", text, tick, ok)
		}
		if last, ok := e.Last(rome, after, tick.At); !ok || last != tick {
			t.Errorf("%q: last %v %v, want %v", text, last, ok, tick)
		}
		again, err := Parse(e.String())
		if err != nil || again != e {
			t.Errorf("%q: read again %v %v", text, again, err)
		}
	})
}
