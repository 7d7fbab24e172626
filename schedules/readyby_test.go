package schedules

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestReadyByLongerThanTheNight: a rebuild that takes longer than the cluster is down starts
// after the teardown and not before, when it would be in vain.
func TestReadyByLongerThanTheNight(t *testing.T) {
	table, err := Compile(&v1alpha1.RecoveryScheduleSpec{
		PlanRef: &v1alpha1.PlanReference{Name: "dev"}, TimeZone: "Europe/Rome", Teardown: &v1alpha1.TeardownTimes{Cron: "0 20 * * 1-5"}, Rebuild: &v1alpha1.RebuildTimes{ReadyBy: "0 8 * * 1-5"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for expected, starts := range map[time.Duration][]string{
		time.Hour:      {"2026-11-30 06:55", "2026-12-01 06:55", "2026-12-02 06:55", "2026-12-03 06:55", "2026-12-04 06:55", "2026-12-07 06:55"},
		13 * time.Hour: {"2026-11-29 18:55", "2026-11-30 20:01", "2026-12-01 20:01", "2026-12-02 20:01", "2026-12-03 20:01", "2026-12-06 18:55"},
	} {
		p := Pace{Expected: expected}
		after := at(t, "2026-11-29 12:00")
		for _, want := range starts {
			due, ok := table.NextOf(v1alpha1.DirectionRebuild, after, p)
			if !ok || !due.Start.Equal(at(t, want)) {
				t.Fatalf("%s: after %s comes %s, want %s", expected, after, due.Start, want)
			}
			for _, until := range []time.Time{due.Start, due.Start.Add(30 * time.Minute)} {
				if last, ok := table.LastOf(v1alpha1.DirectionRebuild, due.Start.Add(-time.Minute), until, p); !ok || last.Nominal != due.Nominal {
					t.Errorf("%s: the last until %s is %v of %s, want %s", expected, until, ok, last.Nominal, due.Nominal)
				}
			}
			if last, ok := table.LastOf(v1alpha1.DirectionRebuild, after, due.Start.Add(-1), p); ok {
				t.Errorf("%s: %s comes before it starts", expected, last.Nominal)
			}
			after = due.Start
		}
	}
}

// TestHistoryWithoutWaiting: what a run waited for people says nothing of how long it takes.
func TestHistoryWithoutWaiting(t *testing.T) {
	began := at(t, "2026-11-30 08:00")
	micro := func(after time.Duration) *metav1.MicroTime {
		m := metav1.NewMicroTime(began.Add(after))
		return &m
	}
	run := v1alpha1.RecoveryRun{Spec: v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "dev"}, Operation: v1alpha1.OperationRebuild}}
	run.Status.StartedAt, run.Status.RecoveredAt, run.Status.FinishedAt = micro(0), micro(22*time.Hour), micro(22*time.Hour)
	run.Status.Phases = []v1alpha1.PhaseRecord{
		{Name: v1alpha1.PhasePreflight, StartedAt: *micro(0), FinishedAt: micro(time.Minute)},
		{Name: v1alpha1.PhaseApproval, StartedAt: *micro(time.Minute), FinishedAt: micro(20*time.Hour + time.Minute)},
		{Name: v1alpha1.PhaseTeardown, StartedAt: *micro(20*time.Hour + time.Minute), FinishedAt: micro(21 * time.Hour), Suspended: &metav1.Duration{Duration: 30 * time.Minute}},
	}
	failover := *run.DeepCopy()
	failover.Spec.Operation = v1alpha1.OperationFailover
	if got := History([]v1alpha1.RecoveryRun{run, failover}, "dev"); len(got) != 1 || got[0] != 90*time.Minute {
		t.Errorf("got %v, want one of 1h30m", got)
	}
}

// TestTheSameMinutes are refused however they are written.
func TestTheSameMinutes(t *testing.T) {
	for _, rebuild := range []v1alpha1.RebuildTimes{{Cron: "00 20 * * *"}, {Cron: "0 20 * * 0-6"}, {ReadyBy: "0 20 * * *"}} {
		spec := &v1alpha1.RecoveryScheduleSpec{PlanRef: &v1alpha1.PlanReference{Name: "dev"}, Teardown: &v1alpha1.TeardownTimes{Cron: "0 20 * * *"}, Rebuild: &rebuild}
		if _, err := Compile(spec, nil); err == nil {
			t.Errorf("%+v was taken", rebuild)
		}
	}
}
