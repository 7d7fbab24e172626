package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// jump of a clock on the wall, at an instant, to an offset from UTC.
type jump struct {
	at     time.Time
	offset time.Duration
}

// writeZone makes a file as RFC 8536 describes it (version 1), for $ZONEINFO.
func writeZone(t *testing.T, name string, first time.Duration, jumps []jump) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("TZif\x00" + strings.Repeat("\x00", 15))
	put := func(v any) {
		if err := binary.Write(&b, binary.BigEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	names := "CRF\x00"
	for _, count := range []int{0, 0, 0, len(jumps), len(jumps) + 1, len(names)} {
		put(uint32(count))
	}
	for _, j := range jumps {
		put(int32(j.at.Unix()))
	}
	for i := range jumps {
		put(uint8(i + 1))
	}
	for _, offset := range append([]time.Duration{first}, offsets(jumps)...) {
		put(int32(offset / time.Second))
		put([2]uint8{0, 0}) // no daylight saving, the first name
	}
	b.WriteString(names)
	file := filepath.Join(os.Getenv("ZONEINFO"), name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func offsets(jumps []jump) (all []time.Duration) {
	for _, j := range jumps {
		all = append(all, j.offset)
	}
	return all
}

const (
	// crafted is a zone whose rules nobody who runs these tests lives by.
	crafted = "Antarctica/Troll"
	// stride between two jumps of the clock: time enough for a rebuild.
	stride = 40 * time.Second
)

// TestScheduleThroughDST lets a schedule tear a cluster down and bring it back, twice. Days
// pass in minutes because the clocks of its time zone jump by half a day: every time of the
// timetable falls into a gap and has to run at the transition. The last jump goes back, and
// must bring nothing back.
func TestScheduleThroughDST(t *testing.T) {
	const name = "nightly"
	repo := newRepository(t, map[string]string{"state/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {a: b}\n"})
	box.must(t, "rebuild", "-f", repo.plan(t, name, "", "state"), "--confirm", name)
	begin := time.Now().Truncate(time.Second).Add(15 * time.Second)
	var jumps []jump
	for i := range 4 {
		jumps = append(jumps, jump{begin.Add(time.Duration(i) * stride), time.Duration(i-1) * 12 * time.Hour})
	}
	jumps = append(jumps, jump{begin.Add(4 * stride), 12 * time.Hour})
	writeZone(t, crafted, -24*time.Hour, jumps)
	wall := time.Now().UTC().Add(-24 * time.Hour)
	teardown, rebuild := wall.Add(6*time.Hour), wall.Add(18*time.Hour)
	c := managementClient(t)
	schedule := &v1alpha1.RecoverySchedule{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: v1alpha1.RecoveryScheduleSpec{
			PlanRef: &v1alpha1.PlanReference{Name: name}, TimeZone: crafted,
			Teardown: &v1alpha1.TeardownTimes{Cron: daily(teardown), Notice: v1alpha1.TeardownNotice{Before: &metav1.Duration{}}},
			Rebuild:  &v1alpha1.RebuildTimes{Cron: daily(rebuild)},
			Calendar: &v1alpha1.ExceptionCalendar{ExceptConfigMapRef: holidays(t)},
		},
	}
	if err := c.Create(t.Context(), schedule); err != nil {
		t.Fatal(err)
	}
	var runs []*v1alpha1.RecoveryRun
	for i, want := range []v1alpha1.Operation{"Teardown", "Rebuild", "Teardown", "Rebuild"} {
		ordered := nextOf(t, c, schedule, runs)
		run := await(t, ordered.Name, "its end", finished)
		runs = append(runs, run)
		if run.Spec.Operation != want || run.Status.Failure != nil {
			t.Fatalf("run %d of the schedule: %s, %+v; want %s", i, run.Spec.Operation, run.Status.Failure, want)
		}
		if late := run.CreationTimestamp.Sub(run.Spec.Schedule.Due.Time); i == 0 && late > 3*time.Second {
			t.Errorf("run %s was ordered %s late", run.Name, late)
		}
		if want == "Rebuild" && run.Status.Verification == nil {
			t.Errorf("run %s is not verified", run.Name)
		}
	}
	noMore(t, c, schedule, begin.Add(4*stride+10*time.Second), len(runs))
	checkSchedules(t, name)
}

// daily at a time of the wall clock.
func daily(at time.Time) v1alpha1.CronExpression {
	return v1alpha1.CronExpression(fmt.Sprintf("%d %d * * *", at.Minute(), at.Hour()))
}

// holidays of a calendar that is far from today.
func holidays(t *testing.T) *v1alpha1.ConfigMapKeyReference {
	t.Helper()
	held := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "holidays"},
		Data: map[string]string{"test.ics": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Example//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20200101T000000Z\r\n" +
			"DTSTART;VALUE=DATE:20200101\r\nSUMMARY:New Year\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"},
	}
	_, err := kubernetes.NewForConfigOrDie(box.management(t)).CoreV1().ConfigMaps("default").Create(t.Context(), held, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &v1alpha1.ConfigMapKeyReference{Name: held.Name, Key: "test.ics"}
}

// nextOf waits for a run of the schedule that is none of the known ones.
func nextOf(t *testing.T, c client.WithWatch, schedule *v1alpha1.RecoverySchedule, known []*v1alpha1.RecoveryRun) *v1alpha1.RecoveryRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	events, err := c.Watch(ctx, &v1alpha1.RecoveryRunList{}, client.InNamespace(schedule.Namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	for e := range events.ResultChan() {
		run, ok := e.Object.(*v1alpha1.RecoveryRun)
		if ok && run.Spec.Schedule != nil && run.Spec.Schedule.UID == schedule.UID &&
			!slices.ContainsFunc(known, func(k *v1alpha1.RecoveryRun) bool { return k.Name == run.Name }) {
			return run
		}
	}
	now := &v1alpha1.RecoverySchedule{}
	_ = c.Get(t.Context(), client.ObjectKeyFromObject(schedule), now)
	t.Fatalf("the schedule ordered no run after %d; status: %+v", len(known), now.Status)
	return nil
}

// noMore runs of the schedule until an instant.
func noMore(t *testing.T, c client.WithWatch, schedule *v1alpha1.RecoverySchedule, until time.Time, want int) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), until)
	defer cancel()
	events, err := c.Watch(ctx, &v1alpha1.RecoveryRunList{}, client.InNamespace(schedule.Namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	seen := map[string]bool{}
	for e := range events.ResultChan() {
		if run, ok := e.Object.(*v1alpha1.RecoveryRun); ok && run.Spec.Schedule != nil && run.Spec.Schedule.UID == schedule.UID {
			seen[run.Name] = true
		}
	}
	if len(seen) != want {
		t.Errorf("%d runs of the schedule, want %d: %v", len(seen), want, seen)
	}
}

// checkSchedules that the command lists.
func checkSchedules(t *testing.T, name string) {
	t.Helper()
	var listed v1alpha1.RecoverySchedule
	if err := json.Unmarshal([]byte(box.must(t, "get", "schedules", name, "-o", "json").stdout), &listed); err != nil {
		t.Fatal(err)
	}
	s := listed.Status
	if s.NextTeardown == nil || s.NextRebuild == nil || len(s.Plans) != 1 || s.Plans[0].Rebuild == nil || s.Plans[0].Rebuild.Outcome != v1alpha1.OutcomeOrdered {
		t.Errorf("status %+v", s)
	}
	out := box.must(t, "simulate", name, "--days", "2").stdout
	if !strings.Contains(out, "Teardown") || !strings.Contains(out, "Rebuild") {
		t.Errorf("simulated: %s", out)
	}
	box.must(t, "snooze", name, "--for", "1h", "--reason", "a demo")
	if r := box.run(t, "snooze", name, "--for", "400h", "--reason", "a demo"); r.code != 2 || !strings.Contains(r.stderr, "12h") {
		t.Errorf("a snooze beyond the limit: %d %s", r.code, r.stderr)
	}
	if r := box.run(t, "wake", name); r.code == 0 || !strings.Contains(r.stderr+r.stdout, "exists") {
		t.Errorf("wake of a cluster that is up: %d %s", r.code, r.stderr)
	}
}
