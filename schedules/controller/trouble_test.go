package controller_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
	"github.com/refloat-dev/refloat/schedules/cron"
)

func TestOverlap(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.condition(s, "Consistent", metav1.ConditionTrue, "Consistent", "")
	other := w.schedule("weekends", func(s *v1alpha1.RecoveryScheduleSpec) { s.PlanRef, s.PlanSelector = nil, &metav1.LabelSelector{} })
	w.at("12:30", s, other)
	w.condition(s, "Consistent", metav1.ConditionFalse, "Overlap", "plan dev is in schedule weekends too")
	w.condition(other, "Consistent", metav1.ConditionFalse, "Overlap", "plan dev is in schedule dev too")
	w.edit(other, func() { other.Spec.Suspend = true })
	w.at("12:40", s, other)
	w.condition(s, "Consistent", metav1.ConditionTrue, "Consistent", "")
	if c := meta.FindStatusCondition(other.Status.Conditions, "Consistent"); c != nil {
		t.Errorf("a suspended schedule says %+v", c)
	}
}

func TestNoRebuild(t *testing.T) {
	w := newWorld(t)
	s := w.office(func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild = nil })
	w.condition(s, "Consistent", metav1.ConditionFalse, "NoRebuild", "nothing brings them back")
}

func TestNoPlan(t *testing.T) {
	w := newWorld(t)
	s := w.schedule("dev", nil)
	w.at("20:00", s)
	w.condition(s, v1alpha1.ConditionReady, metav1.ConditionFalse, "NoPlan", "no plan")
	w.plan("dev", nil)
	w.at("20:10", s)
	w.condition(s, v1alpha1.ConditionReady, metav1.ConditionTrue, "Scheduled", "")
	w.runs(0)
}

// TestInvalid schedules say so, whatever the API server let pass, and are looked at again
// when they are mended.
func TestInvalid(t *testing.T) {
	w := newWorld(t)
	s := w.office(func(s *v1alpha1.RecoveryScheduleSpec) {
		s.PlanRef, s.PlanSelector = nil, &metav1.LabelSelector{}
	})
	w.edit(s, func() {
		s.Spec.PlanSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Near", Values: []string{"dev"}}}
	})
	w.at("20:00", s)
	w.condition(s, v1alpha1.ConditionReady, metav1.ConditionFalse, "Invalid", "spec.planSelector")
	w.runs(0)
	w.edit(s, func() { s.Spec.PlanSelector = &metav1.LabelSelector{} })
	w.at("20:05", s)
	w.runs(1)
}

// TestCalendarInConfigMap that is not there: clusters are up when in doubt.
func TestCalendarInConfigMap(t *testing.T) {
	w := newWorld(t)
	s := w.office(func(s *v1alpha1.RecoveryScheduleSpec) {
		s.Calendar = &v1alpha1.ExceptionCalendar{
			ExceptConfigMapRef: &v1alpha1.ConfigMapKeyReference{Name: "holidays", Key: "it.ics"}, Skips: []v1alpha1.Direction{rebuild, teardown},
		}
	})
	w.condition(s, "CalendarRead", metav1.ConditionFalse, "Unreadable", "ConfigMap holidays")
	w.at("20:00", s)
	w.outcome(s, teardown, "20:00", v1alpha1.OutcomeSkipped)
	w.tells("the calendar has no answer")
	w.down["dev"] = true
	w.at("1 8:00", s)
	w.outcome(s, rebuild, "1 8:00", v1alpha1.OutcomeOrdered)
	w.runs(1)
	w.finish()

	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "holidays"}, Data: map[string]string{"it.ics": holiday(w.time("1 0:00"))}}
	w.must(w.c.Create(t.Context(), held))
	w.at("1 20:00", s)
	w.condition(s, "CalendarRead", metav1.ConditionTrue, "Read", "")
	w.outcome(s, teardown, "1 20:00", v1alpha1.OutcomeSkipped)
	w.tells("calendar: Holiday")
	w.at("2 20:00", s)
	w.runs(2)
	w.edit(s, func() { s.Spec.Calendar = nil })
	w.at("2 20:01", s)
	if c := meta.FindStatusCondition(s.Status.Conditions, "CalendarRead"); c != nil {
		t.Errorf("without a calendar: %+v", c)
	}
}

// holiday is a calendar with one day off.
func holiday(day time.Time) string {
	return strings.Join([]string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//EN", "BEGIN:VEVENT", "UID:1", "DTSTAMP:20200101T000000Z",
		"DTSTART;VALUE=DATE:" + day.Format("20060102"), "SUMMARY:Holiday", "END:VEVENT", "END:VCALENDAR", "",
	}, "\r\n")
}

// TestRunWhoseTimeIsOver waits in the queue until the opposite is due.
func TestRunWhoseTimeIsOver(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.at("20:00", s)
	w.at("1 8:00", s)
	run := w.runs(1)[0]
	if run.Spec.Cancel == nil || !strings.Contains(run.Spec.Cancel.Reason, "its time is over") {
		t.Fatalf("run %+v", run.Spec)
	}
	w.finish()
	w.at("1 8:01", s)
	w.outcome(s, rebuild, "1 8:00", v1alpha1.OutcomeAlreadySo)
	w.runs(1)
}

// TestQueuedBehindARun that somebody ordered by hand is taken back when its time is over,
// when its schedule is suspended, and when that is deleted.
func TestQueuedBehindARun(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*world, *v1alpha1.RecoverySchedule)
		says string
	}{
		"over": {func(w *world, s *v1alpha1.RecoverySchedule) { w.at("1 8:00", s) }, "its time is over"},
		"suspended": {func(w *world, s *v1alpha1.RecoverySchedule) {
			w.edit(s, func() { s.Spec.Suspend = true })
			w.at("21:00", s)
		}, "it is suspended"},
		"deleted": {func(w *world, s *v1alpha1.RecoverySchedule) {
			w.must(w.c.Delete(w.t.Context(), s))
			_, err := w.r.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(s)})
			w.must(err)
		}, "it was deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.office(nil)
			w.at("20:00", s)
			queued := w.runs(1)[0]
			hand := &v1alpha1.RecoveryRun{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "by-hand"},
				Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "dev"}, Operation: v1alpha1.OperationRebuild},
			}
			w.must(w.c.Create(t.Context(), hand))
			now := metav1.NewMicroTime(w.clock.Now())
			hand.Status.StartedAt = &now
			w.must(w.c.Status().Update(t.Context(), hand))
			test.end(w, s)
			for _, run := range w.runs(2) {
				if c := run.Spec.Cancel; run.Name == queued.Name && (c == nil || !strings.Contains(c.Reason, test.says)) {
					t.Errorf("the teardown waits on: %+v", c)
				} else if run.Name == hand.Name && c != nil {
					t.Error("a run that was ordered by hand was cancelled")
				}
			}
		})
	}
}

// TestBehindARun that somebody ordered by hand and that is under way.
func TestBehindARun(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	run := &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "by-hand"},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "dev"}, Operation: v1alpha1.OperationRebuild},
	}
	w.must(w.c.Create(t.Context(), run))
	w.at("20:00", s)
	w.postponed(s, "20:30", "run by-hand is under way")
	for _, called := range []string{"20:30", "21:00", "21:30"} {
		w.at(called, s)
	}
	w.postponed(s, "22:00", "run by-hand is under way")
	w.finish()
	w.at("21:41", s)
	w.outcome(s, teardown, "20:00", v1alpha1.OutcomeOrdered)
	w.runs(2)
}

// TestKilledBeforeRecording creates a run and dies: the next one makes no second.
func TestKilledBeforeRecording(t *testing.T) {
	for name, meanwhile := range map[string]func(*world){
		"the run waits":   func(*world) {},
		"the run is over": func(w *world) { w.finish() },
		"the run failed":  func(w *world) { w.finish(); w.down["dev"] = false },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.office(nil)
			w.fail = func() error { return errors.New("killed") }
			w.clock.SetTime(w.time("20:00"))
			if err := w.reconcile(s); err == nil {
				t.Fatal("nothing failed")
			}
			w.tells("")
			w.runs(1)
			w.fail = nil
			w.restart()
			meanwhile(w)
			w.at("20:01", s)
			w.at("20:20", s)
			w.runs(1)
			if h := s.Status.Plans[0].Teardown; h == nil || h.Nominal != w.time("20:00").Format("2006-01-02T15:04") {
				t.Errorf("recorded %+v", h)
			}
		})
	}
}

// TestOffForAWeekend makes one run at most, the latest, or none when it is too late.
func TestOffForAWeekend(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.restart()
	w.at("3 7:00", s) // the last that was due is a teardown, eleven hours ago
	w.outcome(s, teardown, "2 20:00", v1alpha1.OutcomeMissed)
	w.tells("Warning TimeMissed")
	w.runs(0)
	w.down["dev"] = true
	w.restart()
	w.at("5 13:00", s)
	w.outcome(s, rebuild, "5 8:00", v1alpha1.OutcomeOrdered)
	w.outcome(s, teardown, "4 20:00", v1alpha1.OutcomeSuperseded)
	w.tells("Normal TimeSuperseded")
	w.runs(1)
}

func TestClockSetBack(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.at("20:00", s)
	w.finish()
	w.down["dev"] = false // somebody brought it back
	w.at("19:00", s)
	w.at("20:00", s)
	w.at("20:30", s)
	w.runs(1)
	w.at("1 20:00", s)
	w.runs(2)
}

// TestClockThatWasAhead acts again once the clock is right: what was recorded of a year that
// did not come does not count.
func TestClockThatWasAhead(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	now := w.clock.Now()
	w.clock.SetTime(now.AddDate(1, 0, 0))
	s.Spec.Teardown.Cron = "0 21 * * *"
	w.must(w.c.Update(t.Context(), s)) // from then on times count
	w.must(w.reconcile(s))
	w.clock.SetTime(now)
	w.must(w.reconcile(s))
	w.at("21:00", s)
	w.outcome(s, teardown, "21:00", v1alpha1.OutcomeOrdered)
	w.runs(1)
}

// TestForget a schedule that is deleted.
func TestForget(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	key := client.ObjectKeyFromObject(s)
	w.must(w.c.Delete(t.Context(), s))
	w.clock.SetTime(w.time("20:00"))
	if err := client.IgnoreNotFound(w.reconcile(s)); err != nil {
		t.Fatal(err)
	}
	w.runs(0)
	if again := w.again[key]; !again.IsZero() {
		t.Errorf("to be called up at %s", again)
	}
}

// TestLevel brings back what people change, three times.
func TestLevel(t *testing.T) {
	w := newWorld(t)
	s := w.office(func(s *v1alpha1.RecoveryScheduleSpec) { s.Mode = v1alpha1.ModeLevel })
	for i, at := range []string{"20:00", "20:30", "21:00", "21:30", "22:00"} {
		w.down["dev"] = false
		w.at(at, s)
		w.runs(min(i+1, 3))
		w.at(at[:4]+"1", s)
		w.finish()
	}
	if h := s.Status.Plans[0].Teardown; h.Attempts != 3 {
		t.Errorf("%+v", h)
	}
	w.down["dev"] = true
	w.at("1 8:00", s)
	w.runs(4)
}

// TestLongName fits into the status.
func TestLongName(t *testing.T) {
	w := newWorld(t)
	name := strings.Repeat("a", 253)
	plan := w.plan("dev", nil)
	plan.Name, plan.ResourceVersion, plan.UID = name, "", ""
	w.must(w.c.Create(t.Context(), plan))
	s := w.schedule("long", func(s *v1alpha1.RecoveryScheduleSpec) { s.PlanRef.Name = name })
	w.at("12:00", s)
	w.at("20:00", s)
	w.runs(1)
}

// TestOnePlanFails: the others are dealt with all the same.
func TestOnePlanFails(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.plan(fmt.Sprintf("dev-%d", i), nil)
	}
	s := w.schedule("all", func(s *v1alpha1.RecoveryScheduleSpec) { s.PlanRef, s.PlanSelector = nil, &metav1.LabelSelector{} })
	w.at("12:00", s)
	// The name of its run is taken.
	name := schedules.RunName(s.UID, "dev-0", schedules.Due{Operation: teardown, Nominal: cron.NominalOf(w.time("20:00"))}, 1)
	w.must(w.c.Create(t.Context(), &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "another"}, Operation: v1alpha1.OperationDrill},
	}))
	hold := &v1alpha1.Hold{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "release"}}
	hold.Spec = v1alpha1.HoldSpec{PlanRef: v1alpha1.PlanReference{Name: "dev-1"}, Until: metav1.NewTime(w.time("1 9:00")), Reason: "release night"}
	w.must(w.c.Create(t.Context(), hold))
	w.clock.SetTime(w.time("20:00"))
	if err := w.reconcile(s); err == nil || !strings.Contains(err.Error(), "did not order") {
		t.Errorf("%v", err)
	}
	w.runs(2)
	w.tells("dev-1 Normal TimeSkipped")
}
