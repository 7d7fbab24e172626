package schedules

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestNextTeardown is when the decisions tear down, whatever the timetable alone says.
func TestNextTeardown(t *testing.T) {
	day := func(d, hour int) time.Time { return time.Date(2026, 11, d, hour, 0, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		mode      v1alpha1.ScheduleMode
		until     []time.Time
		postponed *v1alpha1.Postponement
		want      time.Time
	}{
		"nobody keeps it":           {want: day(23, 20)},
		"over before":               {until: []time.Time{day(23, 18)}, want: day(23, 20)},
		"a snooze":                  {until: []time.Time{day(23, 22), day(23, 21)}, want: day(23, 22)},
		"a night":                   {until: []time.Time{day(24, 8)}, want: day(24, 20)},
		"three nights and a bit":    {until: []time.Time{day(26, 21)}, want: day(26, 21)},
		"a night, in mode Level":    {mode: v1alpha1.ModeLevel, until: []time.Time{day(24, 8)}, want: day(24, 8)},
		"put off already":           {postponed: &v1alpha1.Postponement{Operation: v1alpha1.DirectionTeardown, Until: metav1.NewMicroTime(day(23, 13))}, want: day(23, 13)},
		"put off long ago":          {postponed: &v1alpha1.Postponement{Operation: v1alpha1.DirectionTeardown, Until: metav1.NewMicroTime(day(23, 11))}, want: day(23, 20)},
		"a rebuild that is put off": {postponed: &v1alpha1.Postponement{Operation: v1alpha1.DirectionRebuild, Until: metav1.NewMicroTime(day(23, 13))}, want: day(23, 20)},
	} {
		table, err := Compile(&v1alpha1.RecoveryScheduleSpec{
			PlanRef: &v1alpha1.PlanReference{Name: "dev"}, Mode: test.mode, Teardown: &v1alpha1.TeardownTimes{Cron: "0 20 * * *"}, Rebuild: &v1alpha1.RebuildTimes{Cron: "0 8 * * *"},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		o := Observed{Now: day(23, 12), Postponed: test.postponed}
		for _, until := range test.until {
			o.Holds = append(o.Holds, Hold{Name: "busy", Until: until})
		}
		if got, ok := table.NextTeardown(o); !ok || !got.Equal(test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	table, err := Compile(&v1alpha1.RecoveryScheduleSpec{PlanRef: &v1alpha1.PlanReference{Name: "dev"}, Rebuild: &v1alpha1.RebuildTimes{Cron: "0 8 * * *"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := table.NextTeardown(Observed{Now: day(23, 12)}); ok {
		t.Errorf("nothing tears it down, but at %s", at)
	}
}
