package schedules

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/calendar"
)

// office hours in Rome. Monday is 2026-11-30; the zone is an hour ahead of UTC then.
func office() *v1alpha1.RecoveryScheduleSpec {
	return &v1alpha1.RecoveryScheduleSpec{
		PlanRef: &v1alpha1.PlanReference{Name: "dev"}, TimeZone: "Europe/Rome",
		Teardown: &v1alpha1.TeardownTimes{Cron: "0 20 * * 1-5", Notice: v1alpha1.TeardownNotice{Before: &metav1.Duration{}}},
		Rebuild:  &v1alpha1.RebuildTimes{Cron: "0 8 * * 1-5"},
	}
}

func compiled(t testing.TB, spec *v1alpha1.RecoveryScheduleSpec, exceptions Exceptions) *Timetable {
	t.Helper()
	table, err := Compile(spec, exceptions)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// at is a time in Rome.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := time.ParseInLocation("2006-01-02 15:04", text, rome)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func done(t testing.TB, when string, outcome v1alpha1.HandledOutcome) *v1alpha1.HandledTime {
	t.Helper()
	return &v1alpha1.HandledTime{Nominal: strings.Replace(when, " ", "T", 1), At: micro(at(t, when)), Outcome: outcome, Attempts: 1}
}

func within(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

type decideCase struct {
	now  string
	spec func(*v1alpha1.RecoveryScheduleSpec)
	seen func(*Observed)
	want Action
	// due is the operation and nominal time that the action is about.
	due string
	// dealt are outcomes by direction: "Teardown Missed".
	dealt []string
	again string
	says  string
}

func decideCases(t *testing.T) map[string]decideCase {
	hold := func(until string) func(*Observed) {
		return func(o *Observed) { o.Holds = []Hold{{Name: "demo", Reason: "a demo", Until: at(t, until)}} }
	}
	state := func(s State) func(*Observed) { return func(o *Observed) { o.State = s } }
	inUse := func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.InUse = &v1alpha1.InUsePolicy{Jobs: true} }
	waited := func(o *Observed) {
		o.Postponed = &v1alpha1.Postponement{Operation: "Teardown", Nominal: "2026-11-30T20:00", Reason: "in use", Until: micro(at(t, "2026-11-30 21:30"))}
	}
	level := func(s *v1alpha1.RecoveryScheduleSpec) { s.Mode = v1alpha1.ModeLevel }
	return map[string]decideCase{
		"nothing is due":    {now: "2026-11-30 12:00", want: Rest, again: "2026-11-30 20:00", seen: func(o *Observed) { o.Since = at(t, "2026-11-30 09:00") }},
		"a teardown is due": {now: "2026-11-30 20:00", want: Order, due: "Teardown 2026-11-30T20:00", dealt: []string{"Rebuild Superseded"}},
		"once":              {now: "2026-11-30 20:01", want: Record, dealt: []string{"Rebuild Superseded"}, seen: func(o *Observed) { o.Teardown = done(t, "2026-11-30 20:00", "Ordered") }, again: "2026-12-01 08:00"},
		"a clock that was set back": {now: "2026-11-30 20:30", want: Rest, again: "2026-12-01 08:00", seen: func(o *Observed) {
			o.Teardown = done(t, "2026-12-01 20:00", "Ordered")
			o.Rebuild = done(t, "2026-12-01 08:00", "Ordered")
		}},
		"late, within the deadline":         {now: "2026-11-30 20:59", want: Order, due: "Teardown 2026-11-30T20:00"},
		"late, beyond the deadline":         {now: "2026-11-30 21:01", want: Record, dealt: []string{"Teardown Missed"}, again: "2026-12-01 08:00"},
		"off for a weekend":                 {now: "2026-12-07 06:00", want: Record, dealt: []string{"Teardown Missed", "Rebuild Superseded"}, seen: func(o *Observed) { o.Since = at(t, "2026-12-04 07:00") }},
		"a rebuild until the next teardown": {now: "2026-12-07 19:59", want: Order, due: "Rebuild 2026-12-07T08:00", dealt: []string{"Teardown Superseded"}, seen: func(o *Observed) { o.Since = at(t, "2026-12-04 12:00") }},
		"a rebuild with a deadline": {now: "2026-12-07 11:00", want: Record, dealt: []string{"Rebuild Missed", "Teardown Superseded"}, seen: func(o *Observed) { o.Since = at(t, "2026-12-04 12:00") },
			spec: func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.Missed = &v1alpha1.MissedPolicy{Deadline: "2h"} }},
		"before the plan came":   {now: "2026-11-30 20:30", want: Rest, again: "2026-12-01 08:00", seen: func(o *Observed) { o.Since = at(t, "2026-11-30 20:10") }},
		"both at once":           {now: "2026-11-30 20:00", want: Order, due: "Rebuild 2026-11-30T20:00", dealt: []string{"Teardown Superseded"}, spec: func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.Cron = "0 20 * * 1" }},
		"held":                   {now: "2026-11-30 20:00", want: Postpone, due: "Teardown 2026-11-30T20:00", seen: hold("2026-11-30 22:00"), again: "2026-11-30 22:00", says: "hold demo: a demo"},
		"held into the next day": {now: "2026-11-30 20:00", want: Record, dealt: []string{"Teardown Skipped", "Rebuild Superseded"}, seen: hold("2026-12-01 09:00"), again: "2026-12-01 08:00"},
		"after a hold":           {now: "2026-11-30 22:30", want: Order, due: "Teardown 2026-11-30T20:00", seen: hold("2026-11-30 22:00")},
		"after a hold that was deleted": {now: "2026-11-30 21:30", want: Order, due: "Teardown 2026-11-30T20:00", seen: func(o *Observed) {
			o.Postponed = &v1alpha1.Postponement{Operation: "Teardown", Nominal: "2026-11-30T20:00", Until: micro(at(t, "2026-11-30 23:00"))}
		}},
		"a hold in the past":     {now: "2026-11-30 20:00", want: Order, due: "Teardown 2026-11-30T20:00", seen: hold("2026-11-30 19:00")},
		"a hold of what is down": {now: "2026-12-01 08:00", want: Order, due: "Rebuild 2026-12-01T08:00", seen: func(o *Observed) { hold("2026-12-01 12:00")(o); o.State = Down }},
		"behind another run":     {now: "2026-11-30 20:00", want: Postpone, due: "Teardown 2026-11-30T20:00", seen: func(o *Observed) { o.Busy = &Busy{Run: "by-hand", Started: true} }, says: "run by-hand is under way"},
		"after another run": {now: "2026-11-30 23:00", want: Order, due: "Teardown 2026-11-30T20:00", seen: func(o *Observed) {
			o.Finished = at(t, "2026-11-30 22:59")
			o.Postponed = &v1alpha1.Postponement{Operation: "Teardown", Nominal: "2026-11-30T20:00", Until: micro(at(t, "2026-11-30 23:10"))}
		}},
		"missed, then a run by hand":          {now: "2026-12-01 07:30", want: Record, dealt: []string{"Teardown Missed"}, seen: func(o *Observed) { o.Busy = &Busy{Run: "by-hand"} }},
		"missed, then a run was done by hand": {now: "2026-12-01 07:50", want: Record, dealt: []string{"Teardown Missed"}, seen: func(o *Observed) { o.Finished = at(t, "2026-12-01 07:49") }},
		"missed, then held": {now: "2026-12-01 07:30", want: Record, dealt: []string{"Teardown Missed"}, seen: func(o *Observed) {
			o.Holds = []Hold{{Name: "demo", Since: at(t, "2026-12-01 07:20"), Until: at(t, "2026-12-01 07:45")}}
		}},
		"missed, then held and let go": {now: "2026-12-01 07:50", want: Record, dealt: []string{"Teardown Missed"}, seen: func(o *Observed) {
			o.Holds = []Hold{{Name: "demo", Since: at(t, "2026-12-01 07:20"), Until: at(t, "2026-12-01 07:45")}}
		}},
		"held by two, one after the other": {now: "2026-11-30 23:50", want: Order, due: "Teardown 2026-11-30T20:00", seen: func(o *Observed) {
			o.Holds = []Hold{{Name: "b", Since: at(t, "2026-11-30 21:50"), Until: at(t, "2026-11-30 23:30")}, {Name: "a", Since: at(t, "2026-11-30 19:00"), Until: at(t, "2026-11-30 22:00")}}
		}},
		"its own run, after a crash": {now: "2026-11-30 20:01", want: Record, dealt: []string{"Teardown Ordered", "Rebuild Superseded"}, seen: func(o *Observed) {
			o.Busy = &Busy{Run: "x", Ours: true, Operation: "Teardown", Nominal: "2026-11-30T20:00"}
		}},
		"a run whose time is over": {now: "2026-12-01 08:00", want: Withdraw, due: "Rebuild 2026-12-01T08:00", seen: func(o *Observed) {
			o.Busy = &Busy{Run: "x", Ours: true, Operation: "Teardown", Nominal: "2026-11-30T20:00"}
			o.Teardown = done(t, "2026-11-30 20:00", "Ordered")
		}},
		"down already":        {now: "2026-11-30 20:00", want: Record, dealt: []string{"Teardown AlreadySo", "Rebuild Superseded"}, seen: state(Down)},
		"up already":          {now: "2026-11-30 08:00", want: Record, dealt: []string{"Rebuild AlreadySo"}, seen: state(Up)},
		"broken":              {now: "2026-11-30 08:00", want: Order, due: "Rebuild 2026-11-30T08:00", seen: state(Broken)},
		"rebuilt every night": {now: "2026-11-30 08:00", want: Order, due: "Rebuild 2026-11-30T08:00", seen: state(Up), spec: func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown = nil }},
		"perhaps in use":      {now: "2026-11-30 20:00", want: Look, due: "Teardown 2026-11-30T20:00", spec: inUse},
		"in use":              {now: "2026-11-30 20:00", want: Postpone, due: "Teardown 2026-11-30T20:00", spec: inUse, seen: func(o *Observed) { o.Use = &Use{"Job ci/build runs"} }, again: "2026-11-30 20:15", says: "in use: Job ci/build runs"},
		"not in use":          {now: "2026-11-30 20:00", want: Order, due: "Teardown 2026-11-30T20:00", spec: inUse, seen: func(o *Observed) { o.Use = &Use{} }},
		"in use for too long": {now: "2026-11-30 23:00", want: Order, due: "Teardown 2026-11-30T20:00", spec: inUse, seen: func(o *Observed) {
			o.Use = &Use{"Job ci/build runs"}
			o.Postponed = &v1alpha1.Postponement{Operation: "Teardown", Nominal: "2026-11-30T20:00", Until: micro(at(t, "2026-11-30 23:00"))}
		}},
		"in use, looked at once more": {now: "2026-11-30 21:30", want: Look, due: "Teardown 2026-11-30T20:00", spec: inUse, says: "in use", seen: waited},
		"in use, and late by that": {now: "2026-11-30 21:30", want: Postpone, due: "Teardown 2026-11-30T20:00", spec: inUse, again: "2026-11-30 21:45", seen: func(o *Observed) {
			waited(o)
			o.Use = &Use{"Job ci/build runs"}
		}},
		"not in use any more": {now: "2026-11-30 21:30", want: Order, due: "Teardown 2026-11-30T20:00", spec: inUse, seen: func(o *Observed) {
			waited(o)
			o.Use = &Use{}
		}},
		"in use, near the end": {now: "2026-11-30 22:50", want: Postpone, due: "Teardown 2026-11-30T20:00", spec: inUse, again: "2026-11-30 23:00", seen: func(o *Observed) {
			waited(o)
			o.Postponed.Until = micro(at(t, "2026-11-30 22:50"))
			o.Use = &Use{"Job ci/build runs"}
		}},
		"notice":            {now: "2026-11-30 19:50", want: Notify, due: "Teardown 2026-11-30T20:00", again: "2026-11-30 20:00", says: "in 10m0s", spec: noticed, seen: func(o *Observed) { o.Since = at(t, "2026-11-30 09:00") }},
		"notice, given":     {now: "2026-11-30 19:50", want: Rest, again: "2026-11-30 20:00", spec: noticed, seen: func(o *Observed) { o.Notified, o.Since = "2026-11-30T20:00", at(t, "2026-11-30 09:00") }},
		"notice, not yet":   {now: "2026-11-30 12:00", want: Rest, again: "2026-11-30 19:45", spec: noticed, seen: func(o *Observed) { o.Since = at(t, "2026-11-30 09:00") }},
		"level, long after": {now: "2026-12-05 12:00", want: Order, due: "Teardown 2026-12-04T20:00", spec: level, seen: state(Up)},
		"level, as it is":   {now: "2026-12-05 12:00", want: Rest, spec: level, seen: func(o *Observed) { o.State, o.Teardown = Down, done(t, "2026-12-04 20:00", "Ordered") }, again: "2026-12-07 08:00"},
		"level, by hand":    {now: "2026-12-05 12:00", want: Order, due: "Teardown 2026-12-04T20:00", spec: level, seen: func(o *Observed) { o.State, o.Teardown = Up, done(t, "2026-12-04 20:00", "Ordered") }},
		"level, given up": {now: "2026-12-05 12:00", want: Rest, spec: level, again: "2026-12-07 08:00", seen: func(o *Observed) {
			o.State, o.Teardown = Up, done(t, "2026-12-04 20:00", "Ordered")
			o.Teardown.Attempts = maxAttempts
		}},
		"blackout": {now: "2026-11-30 20:00", want: Record, dealt: []string{"Teardown Skipped"}, seen: func(o *Observed) { o.Rebuild = done(t, "2026-11-30 08:00", "Ordered") }, spec: func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Blackouts = []v1alpha1.Blackout{{From: metav1.NewTime(at(t, "2026-11-30 18:00")), Until: metav1.NewTime(at(t, "2026-12-02 00:00")), Reason: "audit"}}
		}, again: "2026-12-02 08:00"},
		"one-off": {now: "2026-11-30 13:00", want: Order, due: "Teardown 2026-11-30T13:00", dealt: []string{"Rebuild Superseded"}, spec: func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Once = []v1alpha1.OneOff{{At: metav1.NewTime(at(t, "2026-11-30 13:00")), Operation: "Teardown"}}
		}},
		"ready by": {now: "2026-11-30 07:25", want: Order, due: "Rebuild 2026-11-30T08:00", spec: func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Rebuild = &v1alpha1.RebuildTimes{ReadyBy: "0 8 * * 1-5", Margin: within(5 * time.Minute)}
		}, seen: func(o *Observed) { o.Pace.Expected, o.State = 30*time.Minute, Down }},
		"ready by, once": {now: "2026-11-30 07:40", want: Rest, again: "2026-11-30 20:00", spec: func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Rebuild = &v1alpha1.RebuildTimes{ReadyBy: "0 8 * * 1-5"}
		}, seen: func(o *Observed) {
			o.Pace.Expected, o.Rebuild = 15*time.Minute, done(t, "2026-11-30 08:00", "Ordered")
			o.Teardown = done(t, "2026-11-27 20:00", "Ordered")
		}},
	}
}

func noticed(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.Notice.Before = within(15 * time.Minute) }

func TestDecide(t *testing.T) {
	for name, test := range decideCases(t) {
		t.Run(name, func(t *testing.T) {
			spec := office()
			if test.spec != nil {
				test.spec(spec)
			}
			seen := Observed{Now: at(t, test.now), Since: at(t, test.now).Add(-13 * time.Hour), State: Unknown}
			if test.seen != nil {
				test.seen(&seen)
			}
			d := compiled(t, spec, nil).Decide(seen)
			if d.Action != test.want {
				t.Errorf("%s, want %s", d.Action, test.want)
			}
			if got := string(d.Due.Operation) + " " + d.Due.Nominal.String(); test.due != "" && got != test.due {
				t.Errorf("due %s, want %s", got, test.due)
			}
			if test.dealt != nil {
				sameDealt(t, d.Dealt, test.dealt)
			}
			if test.again != "" && !d.Again.Equal(at(t, test.again)) {
				t.Errorf("again at %s, want %s", d.Again, test.again)
			}
			said := d.Message
			if d.Postponed != nil {
				said += d.Postponed.Reason
			}
			if !strings.Contains(said, test.says) {
				t.Errorf("says %q, want %q", said, test.says)
			}
		})
	}
}

func sameDealt(t *testing.T, got map[v1alpha1.Direction]Dealt, want []string) {
	t.Helper()
	left := map[string]bool{}
	for _, w := range want {
		left[w] = true
	}
	for direction, dealt := range got {
		key := string(direction) + " " + string(dealt.Outcome)
		if !left[key] {
			t.Errorf("%s: %s (%s)", direction, dealt.Outcome, dealt.Message)
		}
		delete(left, key)
	}
	for w := range left {
		t.Errorf("not: %s", w)
	}
}

// TestHolidays takes a rebuild out, and lets a teardown that nobody can tell about wait.
func TestHolidays(t *testing.T) {
	holidays, err := calendar.Parse([]byte(strings.Join([]string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//EN", "BEGIN:VEVENT", "UID:1", "DTSTAMP:20200101T000000Z",
		"DTSTART;VALUE=DATE:20201208", "RRULE:FREQ=YEARLY", "SUMMARY:Immacolata", "END:VEVENT", "END:VCALENDAR", "",
	}, "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	spec := office()
	spec.Calendar = &v1alpha1.ExceptionCalendar{ExceptConfigMapRef: &v1alpha1.ConfigMapKeyReference{Name: "x", Key: "y"}}
	table := compiled(t, spec, holidays)
	d := table.Decide(Observed{Now: at(t, "2026-12-08 08:00"), Since: at(t, "2026-12-08 07:00")})
	if d.Action != Record || d.Dealt["Rebuild"].Outcome != v1alpha1.OutcomeSkipped || d.Dealt["Rebuild"].Message != "calendar: Immacolata" {
		t.Errorf("%s %+v", d.Action, d.Dealt)
	}
	if d = table.Decide(Observed{Now: at(t, "2026-12-08 20:00"), Since: at(t, "2026-12-08 19:00")}); d.Action != Order {
		t.Errorf("the teardown on a holiday: %s", d.Action)
	}
	spec.Calendar.Skips = []v1alpha1.Direction{"Teardown"}
	table = compiled(t, spec, silent{})
	if d = table.Decide(Observed{Now: at(t, "2026-12-08 20:00"), Since: at(t, "2026-12-08 19:00")}); d.Action != Record || d.Dealt["Teardown"].Outcome != v1alpha1.OutcomeSkipped {
		t.Errorf("a teardown with a calendar that has no answer: %s", d.Action)
	}
	if d = table.Decide(Observed{Now: at(t, "2026-12-08 08:00"), Since: at(t, "2026-12-08 07:00")}); d.Action != Order {
		t.Errorf("a rebuild with a calendar that has no answer: %s", d.Action)
	}
}

// silent calendars have no answer.
type silent struct{}

func (silent) Covering(time.Time, *time.Location) (calendar.Entry, bool, error) {
	return calendar.Entry{}, false, errUnreadable
}
