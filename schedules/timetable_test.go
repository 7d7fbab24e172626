package schedules

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

var errUnreadable = errors.New("it cannot be read")

// TestBadSchedules holds what a file may say against one clear sentence each.
func TestBadSchedules(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1alpha1.RecoveryScheduleSpec)
		says   string
	}{
		"zone":                 {func(s *v1alpha1.RecoveryScheduleSpec) { s.TimeZone = "Europe/Roma" }, `spec.timeZone: time zone "Europe/Roma" is unknown; write an IANA name like Europe/Rome, or UTC`},
		"zone in cron":         {func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.Cron = "TZ=UTC 0 8 * * *" }, `spec.teardown.cron: cron "TZ=UTC 0 8 * * *" names a time zone; put it into timeZone`},
		"six fields":           {func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.Cron = "0 0 8 * * *" }, `spec.rebuild.cron: cron "0 0 8 * * *" has six fields; want five: minute hour day-of-month month day-of-week`},
		"30 February":          {func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.Cron = "0 8 30 2 *" }, `never fires`},
		"same minute":          {func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.Cron = "0  20 * * 1-5" }, `teardown and rebuild are at the same minutes`},
		"same minutes":         {func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.Cron = "00 20 * * mon-fri" }, `teardown and rebuild are at the same minutes`},
		"ready when torn down": {func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild = &v1alpha1.RebuildTimes{ReadyBy: "0 20 * * 1-5"} }, `the cluster has to be ready by the minutes at which it is torn down`},
		"both":                 {func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.ReadyBy = "0 8 * * *" }, `spec.rebuild: give cron, when to start, or readyBy`},
		"deadline":             {func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.Missed = &v1alpha1.MissedPolicy{Deadline: "soon"} }, `spec.teardown.missed.deadline: "soon" is neither a duration`},
		"no plan":              {func(s *v1alpha1.RecoveryScheduleSpec) { s.PlanRef = nil }, `by planRef or by planSelector`},
		"nothing":              {func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown, s.Rebuild = nil, nil }, `does nothing`},
		"blackout":             {func(s *v1alpha1.RecoveryScheduleSpec) { s.Blackouts = []v1alpha1.Blackout{{Reason: "x"}} }, `spec.blackouts[0]: until`},
		"failover once":        {func(s *v1alpha1.RecoveryScheduleSpec) { s.Once = []v1alpha1.OneOff{{Operation: "Failover"}} }, `spec.once[0].operation: "Failover" is none of`},
		"drill cron":           {func(s *v1alpha1.RecoveryScheduleSpec) { s.Drill = &v1alpha1.DrillTimes{Cron: "0 3 30 2 *"} }, `spec.drill.cron: `},
		"drill deadline": {func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Drill = &v1alpha1.DrillTimes{Cron: "0 3 1 * *", Missed: &v1alpha1.MissedPolicy{Deadline: "UntilNextRebuild"}}
		}, `spec.drill.missed.deadline: "UntilNextRebuild" is not a duration`},
		"empty calendar": {func(s *v1alpha1.RecoveryScheduleSpec) { s.Calendar = &v1alpha1.ExceptionCalendar{} }, `spec.calendar: give exceptConfigMapRef or url`},
	} {
		spec := office()
		test.change(spec)
		if _, err := Compile(spec, nil); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %s", name, err, test.says)
		}
	}
}

func TestExpected(t *testing.T) {
	minutes := func(n ...int) (all []time.Duration) {
		for _, m := range n {
			all = append(all, time.Duration(m)*time.Minute)
		}
		return all
	}
	table := compiled(t, office(), nil)
	for _, test := range []struct {
		history   []time.Duration
		objective time.Duration
		want      time.Duration
		from      string
	}{
		{nil, 0, 30 * time.Minute, "nothing was measured"},
		{nil, 10 * time.Minute, 10 * time.Minute, "objective"},
		{minutes(5), 10 * time.Minute, 5 * time.Minute, "p90 of 1"},
		{minutes(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 0, 9 * time.Minute, "p90 of 10"},
		{append(minutes(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), minutes(99, 99, 99)...), 0, time.Minute, "p90 of 20"}, // the latest 20
	} {
		if got, from := table.Expected(test.history, test.objective); got != test.want || !strings.Contains(from, test.from) {
			t.Errorf("%v: %s from %q, want %s from %q", test.history, got, from, test.want, test.from)
		}
	}
}

// TestRunName is one per time, whatever the instant is, and fits a name.
func TestRunName(t *testing.T) {
	table := compiled(t, office(), nil)
	due, ok := table.Next(at(t, "2026-11-30 12:00"), Pace{})
	if !ok {
		t.Fatal("nothing is due")
	}
	name := RunName("uid", "dev-eu", due, 1)
	if !strings.HasPrefix(name, "dev-eu-teardown-20261130t2000-") || name != RunName("uid", "dev-eu", due, 1) {
		t.Error(name)
	}
	for other, got := range map[string]string{
		"schedule": RunName("other", "dev-eu", due, 1), "plan": RunName("uid", "dev-us", due, 1), "attempt": RunName("uid", "dev-eu", due, 2),
	} {
		if got == name {
			t.Errorf("another %s has the same name", other)
		}
	}
	if long := RunName("uid", strings.Repeat("a.", 126), due, 1); len(long) > 253-20 {
		t.Errorf("%d characters", len(long))
	}
}

// TestHistory leaves out for how long a run waited for people, and failovers.
func TestHistory(t *testing.T) {
	begun := at(t, "2026-11-30 08:00")
	after := func(m int) metav1.MicroTime { return metav1.NewMicroTime(begun.Add(time.Duration(m) * time.Minute)) }
	run := func(operation v1alpha1.Operation, recovered int, phases ...v1alpha1.PhaseRecord) v1alpha1.RecoveryRun {
		start, done := after(0), after(recovered)
		return v1alpha1.RecoveryRun{
			Spec:   v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "dev"}, Operation: operation},
			Status: v1alpha1.RecoveryRunStatus{StartedAt: &start, RecoveredAt: &done, FinishedAt: &done, Phases: phases},
		}
	}
	agreed := after(1210)
	got := History([]v1alpha1.RecoveryRun{
		run(v1alpha1.OperationRebuild, 1230, v1alpha1.PhaseRecord{Name: v1alpha1.PhaseApproval, StartedAt: after(10), FinishedAt: &agreed}),
		run(v1alpha1.OperationRebuild, 100, v1alpha1.PhaseRecord{Name: v1alpha1.PhaseTeardown, StartedAt: after(10), Suspended: within(time.Hour)}),
		run(v1alpha1.OperationDrill, 20, v1alpha1.PhaseRecord{Name: v1alpha1.PhaseCleanup, StartedAt: after(21), Suspended: within(time.Hour)}),
		run(v1alpha1.OperationFailover, 10), run(v1alpha1.OperationTeardown, 5),
	}, "dev")
	if want := []time.Duration{30 * time.Minute, 40 * time.Minute, 20 * time.Minute}; !slices.Equal(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFoldRunsOnce goes through the night in which an hour repeats.
func TestFoldRunsOnce(t *testing.T) {
	spec := office()
	spec.Teardown.Cron, spec.Rebuild = "30 2 * * *", nil
	table := compiled(t, spec, nil)
	seen := Observed{Since: at(t, "2026-10-24 12:00")}
	var orders []string
	for now := seen.Since; now.Before(at(t, "2026-10-26 12:00")); now = now.Add(time.Minute) {
		seen.Now = now
		for d := table.Decide(seen); d.Action == Order; d = table.Decide(seen) {
			orders = append(orders, d.Due.Nominal.String())
			seen.Record(d.Due.Operation, d.Ordered("x", now).Record())
		}
	}
	if got := strings.Join(orders, " "); got != "2026-10-25T02:30 2026-10-26T02:30" {
		t.Error(got)
	}
}

func TestDigestIsOfTimesAlone(t *testing.T) {
	spec := office()
	digest := Digest(spec)
	spec.Priority, spec.Suspend, spec.Jitter = 7, true, &metav1.Duration{Duration: time.Minute}
	if Digest(spec) != digest {
		t.Error("what says nothing of times changes the digest")
	}
	spec.Teardown.Cron = "0 22 * * *"
	if Digest(spec) == digest {
		t.Error("another teardown does not change the digest")
	}
}
