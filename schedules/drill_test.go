package schedules

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// monthly drills beside office hours.
func monthly() *v1alpha1.RecoveryScheduleSpec {
	spec := office()
	spec.Drill = &v1alpha1.DrillTimes{Cron: "0 3 1 * *"}
	return spec
}

func TestDecideDrill(t *testing.T) {
	first := "2026-12-01 03:00"
	for name, test := range map[string]struct {
		now     string
		spec    func(*v1alpha1.RecoveryScheduleSpec)
		seen    func(*Observed)
		want    Action
		outcome v1alpha1.HandledOutcome
		again   string
	}{
		"before its time":     {now: "2026-12-01 02:59", want: Rest, again: first},
		"at its time":         {now: first, want: Order},
		"once":                {now: "2026-12-01 03:01", want: Rest, seen: func(o *Observed) { o.Drill = done(t, first, "Ordered") }, again: "2027-01-01 03:00"},
		"late, within":        {now: "2026-12-01 14:59", want: Order},
		"late, beyond":        {now: "2026-12-01 15:01", want: Record, outcome: v1alpha1.OutcomeMissed, again: "2027-01-01 03:00"},
		"a deadline":          {now: "2026-12-01 04:01", spec: func(s *v1alpha1.RecoveryScheduleSpec) { s.Drill.Missed = &v1alpha1.MissedPolicy{Deadline: "1h"} }, want: Record, outcome: v1alpha1.OutcomeMissed},
		"before the plan":     {now: "2026-12-01 03:30", seen: func(o *Observed) { o.Since = at(t, "2026-12-01 03:10") }, want: Rest},
		"a hold stops none":   {now: first, seen: func(o *Observed) { o.Holds = []Hold{{Name: "h", Until: at(t, "2026-12-02 00:00")}} }, want: Order},
		"nor a cluster down":  {now: first, seen: func(o *Observed) { o.State = Down }, want: Order},
		"nor mode Level":      {now: first, spec: func(s *v1alpha1.RecoveryScheduleSpec) { s.Mode = v1alpha1.ModeLevel }, want: Order},
		"after a rebuild":     {now: first, seen: func(o *Observed) { o.Busy = &Busy{Run: "r"} }, want: Rest, again: "2026-12-01 03:30"},
		"after another drill": {now: first, seen: func(o *Observed) { o.Drilling = &Busy{Run: "r"} }, want: Rest, again: "2026-12-01 03:30"},
		"not recorded yet": {now: first, seen: func(o *Observed) {
			o.Drilling = &Busy{Run: "r", Ours: true, Operation: "Drill", Nominal: "2026-12-01T03:00"}
		}, want: Record, outcome: v1alpha1.OutcomeOrdered},
		"blackout": {now: "2026-12-01 03:00", spec: func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Blackouts = []v1alpha1.Blackout{{From: metav1.NewTime(at(t, "2026-12-01 00:00")), Until: metav1.NewTime(at(t, "2026-12-02 00:00")), Reason: "audit"}}
		}, want: Record, outcome: v1alpha1.OutcomeSkipped, again: "2027-01-01 03:00"},
		"blackout of rebuilds": {now: first, spec: func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Blackouts = []v1alpha1.Blackout{{From: metav1.NewTime(at(t, "2026-12-01 00:00")), Until: metav1.NewTime(at(t, "2026-12-02 00:00")), Reason: "audit", Skips: []v1alpha1.Direction{"Rebuild"}}}
		}, want: Order},
		"none": {now: first, spec: func(s *v1alpha1.RecoveryScheduleSpec) { s.Drill = nil }, want: Rest},
	} {
		t.Run(name, func(t *testing.T) {
			spec := monthly()
			if test.spec != nil {
				test.spec(spec)
			}
			o := Observed{Now: at(t, test.now), Since: at(t, "2026-11-30 12:00"), State: Up}
			if test.seen != nil {
				test.seen(&o)
			}
			d := compiled(t, spec, nil).DecideDrill(o)
			if d.Action != test.want || d.Dealt[v1alpha1.DirectionDrill].Outcome != test.outcome {
				t.Errorf("%s, dealt %+v; want %s, %q", d.Action, d.Dealt, test.want, test.outcome)
			}
			if test.again != "" && !d.Again.Equal(at(t, test.again)) {
				t.Errorf("again at %s, want %s", d.Again, test.again)
			}
			if d.Action == Order && (d.Due.Operation != v1alpha1.DirectionDrill || d.Due.Nominal.String() != "2026-12-01T03:00") {
				t.Errorf("due %+v", d.Due)
			}
		})
	}
}

// TestDrillsLeaveTheTimetableAlone decides about the cluster with and without drills.
func TestDrillsLeaveTheTimetableAlone(t *testing.T) {
	with, without := compiled(t, monthly(), nil), compiled(t, office(), nil)
	for now := at(t, "2026-11-30 12:00"); now.Before(at(t, "2026-12-03 00:00")); now = now.Add(30 * time.Minute) {
		o := Observed{Now: now, Since: at(t, "2026-11-30 09:00"), State: Up}
		a, b := with.Decide(o), without.Decide(o)
		if a.Action != b.Action || a.Due.Nominal != b.Due.Nominal || a.Due.Operation != b.Due.Operation || !a.Again.Equal(b.Again) {
			t.Errorf("at %s: %s %v with drills, %s %v without", now, a.Action, a.Due, b.Action, b.Due)
		}
	}
	if Digest(monthly()) == Digest(office()) {
		t.Error("a timetable that gets drills is another one")
	}
}

func TestOnlyDrillsOverlapWithNothing(t *testing.T) {
	drills := v1alpha1.RecoverySchedule{ObjectMeta: metav1.ObjectMeta{Name: "drills"}, Spec: *monthly()}
	drills.Spec.Teardown, drills.Spec.Rebuild = nil, nil
	hours := v1alpha1.RecoverySchedule{ObjectMeta: metav1.ObjectMeta{Name: "hours"}, Spec: *office()}
	plans := []*v1alpha1.RecoveryPlan{{ObjectMeta: metav1.ObjectMeta{Name: "dev"}}}
	for _, s := range []*v1alpha1.RecoverySchedule{&drills, &hours} {
		if plan, other := Overlap(s, []v1alpha1.RecoverySchedule{drills, hours}, plans); plan != "" {
			t.Errorf("%s overlaps with %s", s.Name, other)
		}
	}
}
