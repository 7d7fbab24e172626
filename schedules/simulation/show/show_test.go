package show

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/simulation"
)

var start = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)

// result with a rebuild that waits, a teardown that does not run, and hostile names.
func result() *simulation.Result {
	by := start.Add(9 * time.Hour)
	return &simulation.Result{
		Span: simulation.Span{From: start, Until: start.AddDate(0, 0, 2)},
		Transitions: []simulation.Transition{
			{Time: start.Add(8 * time.Hour), Plan: "dev", Operation: v1alpha1.DirectionRebuild, Reason: "because", Schedule: "s", Nominal: "2026-11-30T08:00", ReadyBy: &by, Wait: 90},
			{Time: start.Add(44 * time.Hour), Plan: "<b>dev", Operation: v1alpha1.DirectionTeardown, Reason: `"><script>`, Schedule: "s", Nominal: "2026-12-01T20:00", Skipped: "calendar: <i>"},
		},
		Peak: 1, PeakAt: start.Add(8 * time.Hour), Longest: 90 * time.Second,
		Overlaps: []simulation.Overlap{{Plan: "dev", Between: [2]string{"s", "t"}}}, OneWay: []string{"t"},
	}
}

func TestTable(t *testing.T) {
	const summary = `
1 transition of 2 plans from 2026-11-30 to 2026-12-02; at most 1 at a time (2026-11-30 08:00); the longest wait in a queue is 1m30s
no run at 1 time: calendar: <i>
warning: plan dev is in two schedules, s and t
warning: schedule t tears clusters down and nothing brings them back; is spec.rebuild missing?
`
	for skipped, want := range map[bool]string{
		false: `TIME                      PLAN  OPERATION  REASON
Mon 2026-11-30 08:00 UTC  dev   Rebuild    because; waits 1m30s in the queue
` + summary,
		true: `TIME                      PLAN    OPERATION      REASON
Mon 2026-11-30 08:00 UTC  dev     Rebuild        because; waits 1m30s in the queue
Tue 2026-12-01 20:00 UTC  <b>dev  (no teardown)  calendar: <i>; "><script>
` + summary,
	} {
		var b strings.Builder
		if err := Table(&b, result(), skipped); err != nil || b.String() != want {
			t.Errorf("skipped %t: %v\n%s\nwant\n%s", skipped, err, b.String(), want)
		}
	}
}

func TestJSON(t *testing.T) {
	for skipped, want := range map[bool]int{false: 1, true: 2} {
		var b strings.Builder
		if err := JSON(&b, result(), skipped); err != nil {
			t.Fatal(err)
		}
		var list []map[string]any
		if err := json.Unmarshal([]byte(b.String()), &list); err != nil || len(list) != want {
			t.Fatalf("%v: %s", err, b.String())
		}
		for _, key := range []string{"time", "plan", "operation", "reason"} {
			if list[0][key] == nil {
				t.Errorf("there is no %s: %v", key, list[0])
			}
		}
	}
	var b strings.Builder
	if err := JSON(&b, &simulation.Result{}, false); err != nil || b.String() != "[]\n" {
		t.Errorf("of nothing: %v %q", err, b.String())
	}
}

func TestICS(t *testing.T) {
	write := func(r *simulation.Result) string {
		var b strings.Builder
		if err := ICS(&b, r, start); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	text := write(result())
	for _, want := range []string{"SUMMARY:Rebuild dev\r\n", "DTSTART:20261130T080000Z\r\n", "DTEND:20261130T090000Z\r\n", "DTSTAMP:20261130T000000Z\r\n"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not in it once:\n%s", want, text)
		}
	}
	if strings.Contains(text, "script") {
		t.Error("a time without a run is an event")
	}
	if write(result()) != text {
		t.Error("the same simulation has other events")
	}
}

func TestHTML(t *testing.T) {
	var b strings.Builder
	if err := HTML(&b, result(), "Schedule <s>"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"<title>Schedule &lt;s&gt;</title>", "<h2>November 2026</h2>", "<h2>December 2026</h2>", "08:00 dev", "20:00 &lt;b&gt;dev", `title="calendar: &lt;i&gt;"`, "waits 1m30s"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in it", want)
		}
	}
	for _, bad := range []string{"<script", "<i>", "http", "January"} {
		if strings.Contains(text, bad) {
			t.Errorf("%s is in it", bad)
		}
	}
}

// TestMonths: weeks begin on Monday, and a day shows a bounded number of lines.
func TestMonths(t *testing.T) {
	r := &simulation.Result{Span: simulation.Span{From: start, Until: start.AddDate(0, 0, 1)}}
	for range maxPerDay + 3 {
		r.Transitions = append(r.Transitions, simulation.Transition{Time: start.Add(time.Hour), Plan: "dev", Operation: v1alpha1.DirectionRebuild})
	}
	all := months(r)
	if len(all) != 1 || all[0].Name != "November 2026" {
		t.Fatalf("%d months", len(all))
	}
	numbers := 0
	for _, week := range all[0].Weeks {
		if len(week) != 7 {
			t.Errorf("a week has %d days", len(week))
		}
		for _, d := range week {
			if d.Number > 0 {
				numbers++
			}
		}
	}
	if last := all[0].Weeks[len(all[0].Weeks)-1][0]; numbers != 30 || last.Number != 30 || len(last.Lines) != maxPerDay || last.More != 3 {
		t.Errorf("%d days; the last Monday is %d, with %d lines and %d more", numbers, last.Number, len(last.Lines), last.More)
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWritersFail(t *testing.T) {
	for name, err := range map[string]error{
		"table": Table(full{}, result(), false), "json": JSON(full{}, result(), false), "ics": ICS(full{}, result(), start), "html": HTML(full{}, result(), "s"),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
