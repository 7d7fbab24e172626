package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
)

func compiled(t *testing.T, name string, spec *v1alpha1.RecoveryScheduleSpec, plans ...string) Schedule {
	t.Helper()
	if spec.PlanRef == nil {
		spec.PlanRef = &v1alpha1.PlanReference{Name: "dev"}
	}
	table, err := schedules.Compile(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := Schedule{Name: name, Spec: spec, Timetable: table}
	for _, plan := range plans {
		s.Plans = append(s.Plans, Plan{Name: plan, Pace: schedules.Pace{Expected: 10 * time.Minute}})
	}
	return s
}

func run(t *testing.T, o Options, all ...Schedule) *Result {
	t.Helper()
	r, err := Run(all, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func days(zone *time.Location, year int, month time.Month, day, n int) Span {
	from := time.Date(year, month, day, 0, 0, 0, 0, zone)
	return Span{From: from, Until: from.AddDate(0, 0, n)}
}

func office(zone string) *v1alpha1.RecoveryScheduleSpec {
	return &v1alpha1.RecoveryScheduleSpec{
		TimeZone: zone, Teardown: &v1alpha1.TeardownTimes{Cron: "0 20 * * 1-5"}, Rebuild: &v1alpha1.RebuildTimes{Cron: "0 8 * * 1-5"},
	}
}

// listed is what comes of a simulation, a line each; those without a run in brackets.
func listed(r *Result) string {
	var lines []string
	for _, t := range r.Transitions {
		line := fmt.Sprintf("%s %s %s", t.Time.Format("02T15:04"), t.Plan, t.Operation)
		if t.Skipped != "" {
			line = "(" + line + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// TestOneRunForEachDay simulates a year of a daily teardown in zones with odd clocks: every
// nominal day has one run, and instants and local times both go forward.
func TestOneRunForEachDay(t *testing.T) {
	for zone, year := range map[string]int{
		"Europe/Rome": 2026, "America/New_York": 2026, "Africa/Cairo": 2026, "Asia/Beirut": 2026, "Australia/Lord_Howe": 2026,
		"America/Sao_Paulo": 2018, "Pacific/Apia": 2011,
	} {
		for _, expression := range []string{"30 0 * * *", "30 1 * * *", "15 2 * * *", "0 12 * * *", "30 23 * * *"} {
			s := compiled(t, "daily", &v1alpha1.RecoveryScheduleSpec{TimeZone: zone, Teardown: &v1alpha1.TeardownTimes{Cron: v1alpha1.CronExpression(expression)}}, "dev")
			r := run(t, Options{Span: days(s.Timetable.Zone(), year, 1, 1, 365)}, s)
			if len(r.Transitions) != 365 {
				t.Errorf("%s in %s: %d transitions in a year", expression, zone, len(r.Transitions))
			}
			seen := map[string]bool{}
			for i, now := range r.Transitions {
				day := now.Nominal[:len("2026-01-01")]
				if now.Skipped != "" || seen[day] {
					t.Errorf("%s in %s: %s runs twice or not at all: %+v", expression, zone, day, now)
				}
				seen[day] = true
				if i > 0 && (!now.Time.After(r.Transitions[i-1].Time) || now.Nominal <= r.Transitions[i-1].Nominal) {
					t.Errorf("%s in %s: %s follows on %s", expression, zone, now.Nominal, r.Transitions[i-1].Nominal)
				}
			}
		}
	}
}

func TestReasonsOfClockChanges(t *testing.T) {
	s := compiled(t, "night", &v1alpha1.RecoveryScheduleSpec{TimeZone: "Europe/Rome", Rebuild: &v1alpha1.RebuildTimes{Cron: "30 2 * * *"}}, "dev")
	for day, says := range map[time.Time]string{
		time.Date(2026, 3, 29, 0, 0, 0, 0, s.Timetable.Zone()):  "does not exist in Europe/Rome",
		time.Date(2026, 10, 25, 0, 0, 0, 0, s.Timetable.Zone()): "exists twice in Europe/Rome",
	} {
		r := run(t, Options{Span: Span{From: day, Until: day.AddDate(0, 0, 1)}}, s)
		if len(r.Transitions) != 1 || !strings.Contains(r.Transitions[0].Reason, says) {
			t.Errorf("%s: %+v, want it to say %q", day.Format(time.DateOnly), r.Transitions, says)
		}
	}
}

// TestOutage: of what was missed only the latest counts, and not when it is too late.
func TestOutage(t *testing.T) {
	s := compiled(t, "office", office("UTC"), "dev")
	span := days(time.UTC, 2026, 12, 4, 4) // Friday to Monday
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 12, day, hour, minute, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		outages []Span
		want    string
	}{
		"none":                     {nil, "04T08:00 dev Rebuild\n04T20:00 dev Teardown\n07T08:00 dev Rebuild\n07T20:00 dev Teardown"},
		"between two times":        {[]Span{{at(4, 9, 0), at(4, 19, 59)}}, "04T08:00 dev Rebuild\n04T20:00 dev Teardown\n07T08:00 dev Rebuild\n07T20:00 dev Teardown"},
		"a teardown in time":       {[]Span{{at(4, 19, 0), at(4, 20, 30)}}, "04T08:00 dev Rebuild\n04T20:30 dev Teardown\n07T08:00 dev Rebuild\n07T20:00 dev Teardown"},
		"a teardown missed":        {[]Span{{at(4, 19, 0), at(4, 22, 0)}}, "04T08:00 dev Rebuild\n(04T20:00 dev Teardown)\n07T08:00 dev Rebuild\n07T20:00 dev Teardown"},
		"a rebuild, hours late":    {[]Span{{at(7, 7, 0), at(7, 15, 0)}}, "04T08:00 dev Rebuild\n04T20:00 dev Teardown\n07T15:00 dev Rebuild\n07T20:00 dev Teardown"},
		"a weekend":                {[]Span{{at(4, 17, 0), at(7, 6, 0)}}, "04T08:00 dev Rebuild\n(04T20:00 dev Teardown)\n07T08:00 dev Rebuild\n07T20:00 dev Teardown"},
		"until the end":            {[]Span{{at(4, 9, 0), at(20, 0, 0)}}, "04T08:00 dev Rebuild"},
		"over a teardown and back": {[]Span{{at(4, 17, 0), at(7, 11, 0)}}, "04T08:00 dev Rebuild\n(04T20:00 dev Teardown)\n07T11:00 dev Rebuild\n07T20:00 dev Teardown"},
	} {
		if got := listed(run(t, Options{Span: span, Outages: test.outages}, s)); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, test.want)
		}
	}
}

// TestNoTimeToBeDown leaves a cluster up that could not be back in time.
func TestNoTimeToBeDown(t *testing.T) {
	spec := office("UTC")
	spec.Rebuild = &v1alpha1.RebuildTimes{ReadyBy: "0 8 * * 1-5"}
	s := compiled(t, "office", spec, "dev")
	s.Plans[0].Pace.Expected = 13 * time.Hour
	got := run(t, Options{Span: days(time.UTC, 2026, 12, 3, 2)}, s) // Thursday and Friday
	if want := "03T18:55 dev Rebuild\n(03T20:00 dev Teardown)\n04T20:00 dev Teardown"; listed(got) != want {
		t.Errorf("%s\nwant\n%s", listed(got), want)
	}
	if says := got.Transitions[1].Skipped; !strings.Contains(says, "takes about 13h5m0s") || !strings.Contains(says, "2026-12-04 08:00") {
		t.Error(says)
	}
}

// TestLevelOrdersOnce: more attempts are for runs that fail.
func TestLevelOrdersOnce(t *testing.T) {
	spec := office("UTC")
	spec.Mode = v1alpha1.ModeLevel
	got := run(t, Options{Span: days(time.UTC, 2026, 12, 3, 1)}, compiled(t, "office", spec, "dev"))
	if want := "03T08:00 dev Rebuild\n03T20:00 dev Teardown"; listed(got) != want {
		t.Errorf("%s\nwant\n%s", listed(got), want)
	}
}

func TestBlackout(t *testing.T) {
	spec := office("UTC")
	from := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	spec.Blackouts = []v1alpha1.Blackout{{From: metav1.NewTime(from), Until: metav1.NewTime(from.AddDate(0, 0, 1)), Reason: "audit"}}
	r := run(t, Options{Span: days(time.UTC, 2026, 11, 30, 3)}, compiled(t, "office", spec, "dev"))
	want := "30T08:00 dev Rebuild\n30T20:00 dev Teardown\n(01T08:00 dev Rebuild)\n(01T20:00 dev Teardown)\n02T08:00 dev Rebuild\n02T20:00 dev Teardown"
	if got := listed(r); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if !strings.Contains(r.Transitions[2].Skipped, "audit") {
		t.Errorf("no run for %q", r.Transitions[2].Skipped)
	}
}

func TestWhole(t *testing.T) {
	spec, limit := office("UTC"), int32(2)
	spec.Concurrency = &limit
	office := compiled(t, "office", spec, "dev-1", "dev-2", "dev-3")
	down := compiled(t, "down", &v1alpha1.RecoveryScheduleSpec{Teardown: &v1alpha1.TeardownTimes{Cron: "0 21 * * *"}}, "dev-3")
	r := run(t, Options{Span: days(time.UTC, 2026, 11, 30, 1)}, office, down)
	if len(r.Transitions) != 7 || r.Peak != 2 || !r.PeakAt.Equal(eight) || r.Longest != 10*time.Minute {
		t.Errorf("%d transitions, %d at a time since %s, longest wait %s", len(r.Transitions), r.Peak, r.PeakAt, r.Longest)
	}
	if third := r.Transitions[2]; third.Plan != "dev-3" || third.Wait != 600 {
		t.Errorf("the third waits: %+v", third)
	}
	if len(r.Overlaps) != 1 || r.Overlaps[0] != (Overlap{Plan: "dev-3", Between: [2]string{"office", "down"}}) {
		t.Errorf("overlaps %v", r.Overlaps)
	}
	if len(r.OneWay) != 1 || r.OneWay[0] != "down" {
		t.Errorf("one way: %v", r.OneWay)
	}
}

// TestRunRefuses what it would have to cut off, for one plan as for many.
func TestRunRefuses(t *testing.T) {
	one := compiled(t, "often", &v1alpha1.RecoveryScheduleSpec{Teardown: &v1alpha1.TeardownTimes{Cron: "* * * * *"}}, "dev")
	many := one
	for i := range 1000 {
		many.Plans = append(many.Plans, Plan{Name: fmt.Sprintf("dev-%d", i), Pace: one.Plans[0].Pace})
	}
	for name, test := range map[string]struct {
		schedule Schedule
		span     Span
		says     string
	}{
		"no time":    {one, Span{From: eight, Until: eight}, "nothing to simulate"},
		"many plans": {many, days(time.UTC, 2026, 1, 1, 2), "1000000 transitions or more; simulate fewer days or plans"},
		"many days":  {one, days(time.UTC, 2026, 1, 1, 3660), "1000000 transitions or more; simulate fewer days or plans"},
	} {
		if testing.Short() && name == "many days" {
			continue // a million decisions take seconds
		}
		if _, err := Run([]Schedule{test.schedule}, Options{Span: test.span}); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, test.says)
		}
	}
}

// TestSuspended schedules do nothing, and say so.
func TestSuspended(t *testing.T) {
	spec := office("UTC")
	spec.Suspend = true
	r := run(t, Options{Span: days(time.UTC, 2026, 11, 30, 7)}, compiled(t, "office", spec, "dev"))
	if len(r.Transitions) != 10 || r.Peak != 0 || len(r.Suspended) != 1 {
		t.Errorf("%d transitions, peak %d, suspended %q", len(r.Transitions), r.Peak, r.Suspended)
	}
	for _, now := range r.Transitions {
		if !strings.Contains(now.Skipped, "suspended") {
			t.Errorf("it runs: %+v", now)
		}
	}
}

// TestHeld simulates what people keep: a teardown waits for the end of a hold, or is left out
// when the rebuild is due by then, and a cluster that stayed up needs no rebuild.
func TestHeld(t *testing.T) {
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		until time.Time
		state schedules.State
		want  string
	}{
		"a snooze":        {at(23, 22, 30), schedules.Up, "(23T08:00 dev Rebuild)\n23T22:30 dev Teardown\n24T08:00 dev Rebuild\n24T20:00 dev Teardown"},
		"a night":         {at(24, 8, 30), schedules.Up, "(23T08:00 dev Rebuild)\n(23T20:00 dev Teardown)\n(24T08:00 dev Rebuild)\n24T20:00 dev Teardown"},
		"over before":     {at(23, 12, 0), schedules.Up, "(23T08:00 dev Rebuild)\n23T20:00 dev Teardown\n24T08:00 dev Rebuild\n24T20:00 dev Teardown"},
		"of what is down": {at(23, 12, 0), schedules.Down, "23T08:00 dev Rebuild\n23T20:00 dev Teardown\n24T08:00 dev Rebuild\n24T20:00 dev Teardown"},
	} {
		s := compiled(t, "office", office("UTC"), "dev", "other")
		s.Plans[0].Holds = []schedules.Hold{{Name: "busy", Reason: "load test", Since: at(22, 0, 0), Until: test.until}}
		s.Plans[0].State = test.state
		r := run(t, Options{Span: days(time.UTC, 2026, 11, 23, 2)}, s)
		var of []Transition
		others := 0
		for _, now := range r.Transitions {
			if now.Plan == "dev" {
				of = append(of, now)
			} else if now.Skipped == "" {
				others++
			}
		}
		if got := listed(&Result{Transitions: of}); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, test.want)
		}
		if others != 4 {
			t.Errorf("%s: %d runs of the plan that nobody holds", name, others)
		}
		for _, now := range of {
			if now.Operation == v1alpha1.DirectionTeardown && now.Time.Before(at(24, 20, 0)) && test.until.After(at(23, 20, 0)) && !strings.Contains(now.Skipped+now.Reason, "hold busy: load test") {
				t.Errorf("%s: it does not say why: %+v", name, now)
			}
		}
	}
}
