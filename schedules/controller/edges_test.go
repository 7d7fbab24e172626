package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/controller"
)

const (
	teardown = v1alpha1.DirectionTeardown
	rebuild  = v1alpha1.DirectionRebuild
)

// TestADay takes a cluster down and back, and writes nothing in between.
func TestADay(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	version := s.ResourceVersion
	for _, at := range []string{"12:00", "13:00", "19:59"} {
		w.at(at, s)
	}
	if s.ResourceVersion != version {
		t.Errorf("written although nothing happened: %s, %s", version, s.ResourceVersion)
	}
	if again := w.again[client.ObjectKeyFromObject(s)]; !again.Equal(w.time("20:00")) {
		t.Errorf("to be called up at %s", again)
	}
	w.at("20:00", s)
	run := w.runs(1)[0]
	if run.Spec.Operation != v1alpha1.OperationTeardown || run.Spec.Schedule.UID != s.UID || run.Labels[controller.LabelSchedule] != string(s.UID) {
		t.Errorf("run %+v", run.Spec)
	}
	w.outcome(s, teardown, "20:00", v1alpha1.OutcomeOrdered)
	version = s.ResourceVersion
	w.at("20:01", s)
	w.finish()
	w.at("21:00", s)
	if s.ResourceVersion != version {
		t.Error("written although nothing happened")
	}
	w.at("1 8:00", s)
	w.outcome(s, rebuild, "1 8:00", v1alpha1.OutcomeOrdered)
	w.runs(2)
	w.tells("")
}

func TestSuspendAndResume(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.edit(s, func() { s.Spec.Suspend = true })
	w.at("19:00", s)
	w.condition(s, v1alpha1.ConditionReady, metav1.ConditionFalse, "Suspended", "not made up for")
	w.at("20:00", s)
	w.edit(s, func() { s.Spec.Suspend = false })
	w.at("20:30", s)
	w.condition(s, v1alpha1.ConditionReady, metav1.ConditionTrue, "Scheduled", "1 plan")
	w.runs(0)
	w.at("1 20:00", s)
	w.runs(1)
}

// TestSuspendTakesBack what waits in the queue.
func TestSuspendTakesBack(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.at("20:00", s)
	w.edit(s, func() { s.Spec.Suspend = true })
	w.at("20:01", s)
	if run := w.runs(1)[0]; run.Spec.Cancel == nil || !strings.Contains(run.Spec.Cancel.Reason, "suspended") {
		t.Errorf("run %+v", run.Spec)
	}
}

func TestEditedSchedule(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.edit(s, func() { s.Spec.Teardown.Cron = "30 11 * * *" })
	w.at("12:01", s)
	w.runs(0)
	w.edit(s, func() { s.Spec.Teardown.Cron = "30 12 * * *" })
	w.at("12:10", s)
	w.runs(0)
	w.at("12:30", s)
	w.runs(1)
}

func TestLabelComesLater(t *testing.T) {
	w := newWorld(t)
	plan := w.plan("dev", nil)
	s := w.schedule("all", func(s *v1alpha1.RecoveryScheduleSpec) {
		s.PlanRef, s.PlanSelector = nil, &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "dev"}}
	})
	w.at("12:00", s)
	w.condition(s, v1alpha1.ConditionReady, metav1.ConditionFalse, "NoPlan", "no plan")
	w.edit(plan, func() { plan.Labels = map[string]string{"tier": "dev"} })
	w.at("20:10", s)
	w.runs(0)
	if s.Status.PlanCount != 1 {
		t.Errorf("%d plans", s.Status.PlanCount)
	}
	w.at("1 20:00", s)
	w.runs(1)
}

func (w *world) hold(until string) *v1alpha1.Hold {
	w.t.Helper()
	h := &v1alpha1.Hold{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "release"},
		Spec:       v1alpha1.HoldSpec{PlanRef: v1alpha1.PlanReference{Name: "dev"}, Until: metav1.NewTime(w.time(until)), Reason: "release night"},
	}
	w.must(w.c.Create(w.t.Context(), h))
	return h
}

func (w *world) postponed(s *v1alpha1.RecoverySchedule, until, says string) {
	w.t.Helper()
	p := s.Status.Plans[0].Postponed
	if p == nil || !p.Until.Time.Equal(w.time(until)) || !strings.Contains(p.Reason, says) {
		w.t.Errorf("postponed: %+v, want until %s, %q", p, w.time(until), says)
	}
}

// nextTeardown is what people see, with the holds that they made.
func (w *world) nextTeardown(s *v1alpha1.RecoverySchedule, at string) {
	w.t.Helper()
	if next := s.Status.NextTeardown; next == nil || !next.Time.Equal(w.time(at)) {
		w.t.Errorf("next teardown %s, want %s", next, w.time(at))
	}
}

func TestHoldPostpones(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.hold("23:30")
	w.at("20:00", s)
	w.postponed(s, "23:30", "hold release: release night")
	w.nextTeardown(s, "23:30")
	version := s.ResourceVersion
	w.at("23:25", s)
	if s.ResourceVersion != version {
		t.Error("written although nothing happened")
	}
	w.runs(0)
	if again := w.again[client.ObjectKeyFromObject(s)]; !again.Equal(w.time("23:30")) {
		t.Errorf("to be called up at %s", again)
	}
	w.at("23:30", s)
	w.runs(1)
	if s.Status.Plans[0].Postponed != nil {
		t.Errorf("still postponed: %+v", s.Status.Plans[0].Postponed)
	}
}

func TestHoldIntoTheNextDay(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.hold("1 9:00")
	w.at("19:00", s)
	w.nextTeardown(s, "1 20:00")
	w.at("20:00", s)
	w.outcome(s, teardown, "20:00", v1alpha1.OutcomeSkipped)
	w.tells("Normal TimeSkipped: no Teardown")
	w.at("1 9:30", s)
	w.runs(0)
}

// TestServesElsewhere orders no rebuild of what a failover fenced, and the next one after the
// failback.
func TestServesElsewhere(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	w.down["dev"], w.elsewhere = true, map[string]string{"dev": "plan standby serves for plan dev"}
	w.at("1 8:00", s)
	w.outcome(s, rebuild, "1 08:00", v1alpha1.OutcomeSkipped)
	w.tells("plan standby serves for plan dev")
	w.runs(0)
	w.elsewhere = nil
	w.at("2 8:00", s)
	w.runs(1)
}

func TestHoldIsDeleted(t *testing.T) {
	w := newWorld(t)
	s := w.office(nil)
	hold := w.hold("23:30")
	w.at("20:00", s)
	w.must(w.c.Delete(t.Context(), hold))
	w.at("22:00", s)
	w.runs(1)
}

func TestSnoozeByAnnotation(t *testing.T) {
	for name, test := range map[string]struct {
		until, reason string
		postponed     string
		says          string
	}{
		"in time":       {until: "22:00", reason: "a demo", postponed: "22:00", says: "a demo"},
		"in the past":   {until: "19:00"},
		"limited":       {until: "1 2:00", postponed: "23:00", says: "limited by maxSnooze"},
		"no time":       {until: "tomorrow", postponed: "23:00", says: "is no time such as"},
		"without words": {until: "21:00", postponed: "21:00", says: controller.AnnotationSnooze},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.office(func(s *v1alpha1.RecoveryScheduleSpec) {
				s.Teardown.MaxSnooze = &metav1.Duration{Duration: 3 * time.Hour}
			})
			plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "dev"}}
			w.edit(plan, func() {
				text := test.until
				if strings.Contains(text, ":") {
					text = w.time(text).Format(time.RFC3339)
				}
				plan.Annotations = map[string]string{controller.AnnotationSnooze: text}
				if test.reason != "" {
					plan.Annotations[controller.AnnotationSnoozeReason] = test.reason
				}
			})
			w.at("20:00", s)
			if test.postponed == "" {
				w.runs(1)
				return
			}
			w.postponed(s, test.postponed, test.says)
			w.runs(0)
			w.at(test.postponed, s)
			w.runs(1)
		})
	}
}

// TestBrokenIsMadeAnew orders a rebuild of a cluster that the last one left broken, which
// may delete it; one that brings back what is down may not.
func TestBrokenIsMadeAnew(t *testing.T) {
	for _, broken := range []bool{true, false} {
		w := newWorld(t)
		s := w.office(nil)
		if broken {
			failed := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "failed"}}
			failed.Spec = v1alpha1.RecoveryRunSpec{PlanRef: *s.Spec.PlanRef, Operation: v1alpha1.OperationRebuild}
			w.must(w.c.Create(t.Context(), failed))
			at := metav1.NewMicroTime(w.time("12:00"))
			failed.Status.StartedAt, failed.Status.FinishedAt = &at, &at
			failed.Status.Target = &v1alpha1.Incarnation{Name: "dev", UID: "made"}
			failed.Status.Failure = &v1alpha1.Failure{Phase: v1alpha1.PhaseWaves, Reason: "TimedOut", Message: "too late"}
			w.must(w.c.Status().Update(t.Context(), failed))
		} else {
			w.down[s.Spec.PlanRef.Name] = true
		}
		w.at("1 8:00", s)
		for _, run := range w.runs(map[bool]int{true: 2, false: 1}[broken]) {
			if run.Spec.Schedule != nil && run.Spec.KeepExisting == broken {
				t.Errorf("broken %t: keepExisting %t", broken, run.Spec.KeepExisting)
			}
		}
	}
}

// TestRefusedIsNotBroken leaves a cluster alone whose rebuild failed before it touched
// anything, and one that came to be after a teardown of the broken one.
func TestRefusedIsNotBroken(t *testing.T) {
	for name, runs := range map[string][]v1alpha1.RecoveryRun{
		"held": {{Spec: v1alpha1.RecoveryRunSpec{Operation: v1alpha1.OperationRebuild}, Status: v1alpha1.RecoveryRunStatus{
			Previous: &v1alpha1.Incarnation{Name: "dev", UID: "old"}, Target: &v1alpha1.Incarnation{Name: "dev"},
			Failure: &v1alpha1.Failure{Phase: v1alpha1.PhaseTeardown, Reason: "Held", Message: "a demo"},
		}}},
		"torn down since": {{Spec: v1alpha1.RecoveryRunSpec{Operation: v1alpha1.OperationRebuild}, Status: v1alpha1.RecoveryRunStatus{
			Target:  &v1alpha1.Incarnation{Name: "dev", UID: "made"},
			Failure: &v1alpha1.Failure{Phase: v1alpha1.PhaseWaves, Reason: "TimedOut", Message: "too late"},
		}}, {Spec: v1alpha1.RecoveryRunSpec{Operation: v1alpha1.OperationTeardown}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.office(nil)
			for i := range runs {
				run, status := &runs[i], runs[i].Status
				run.Namespace, run.Name, run.Spec.PlanRef = s.Namespace, fmt.Sprintf("run-%d", i), *s.Spec.PlanRef
				w.must(w.c.Create(t.Context(), run))
				at := metav1.NewMicroTime(w.time("12:00").Add(time.Duration(i) * time.Minute))
				run.Status = status
				run.Status.StartedAt, run.Status.FinishedAt = &at, &at
				w.must(w.c.Status().Update(t.Context(), run))
			}
			w.at("1 8:00", s)
			w.outcome(s, rebuild, "1 8:00", v1alpha1.OutcomeAlreadySo)
			w.runs(len(runs))
		})
	}
}

// TestScheduledDrill is ordered once, whatever holds the cluster, and shown.
func TestScheduledDrill(t *testing.T) {
	w := newWorld(t)
	s := w.office(func(s *v1alpha1.RecoveryScheduleSpec) { s.Drill = &v1alpha1.DrillTimes{Cron: "30 12 * * *"} })
	w.at("12:00", s)
	if next := s.Status.NextDrill; next == nil || !next.Equal(&metav1.Time{Time: w.time("12:30")}) {
		t.Errorf("next drill %v", next)
	}
	if again := w.again[client.ObjectKeyFromObject(s)]; again.After(w.time("12:30")) {
		t.Errorf("to be called up at %s", again)
	}
	w.at("12:30", s)
	w.at("12:31", s)
	run := w.runs(1)[0]
	if run.Spec.Operation != v1alpha1.OperationDrill || run.Spec.Schedule.UID != s.UID || run.Spec.KeepExisting {
		t.Errorf("run %+v", run.Spec)
	}
	if known := s.Status.Plans[0].Drill; known == nil || known.Outcome != v1alpha1.OutcomeOrdered || known.Run != run.Name {
		t.Errorf("recorded %+v", known)
	}
	w.at("20:00", s) // the drill goes on, and keeps nothing from being ordered
	w.runs(2)
	w.edit(s, func() { s.Spec.Suspend = true })
	w.at("20:01", s)
	for _, run := range w.runs(2) {
		if run.Spec.Cancel == nil {
			t.Errorf("run %s was not taken back", run.Name)
		}
	}
}
