package crds

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestScheduleValidation holds schedules against what the API server refuses before any
// controller sees it.
func TestScheduleValidation(t *testing.T) {
	refused := rulesOf(t, "RecoverySchedule")
	zone := func(name string) func(*v1alpha1.RecoveryScheduleSpec) {
		return func(s *v1alpha1.RecoveryScheduleSpec) { s.TimeZone = name }
	}
	teardown := func(cron string) func(*v1alpha1.RecoveryScheduleSpec) {
		return func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.Cron = v1alpha1.CronExpression(cron) }
	}
	missed := func(deadline string) func(*v1alpha1.RecoveryScheduleSpec) {
		return func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.Missed = &v1alpha1.MissedPolicy{Deadline: deadline} }
	}
	at := time.Date(2026, 12, 1, 7, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		change func(*v1alpha1.RecoveryScheduleSpec)
		says   string // what the refusal says; empty when it is accepted
	}{
		"as it is":              {func(*v1alpha1.RecoveryScheduleSpec) {}, ""},
		"three-part zone":       {zone("America/Argentina/Buenos_Aires"), ""},
		"zone UTC":              {zone("UTC"), ""},
		"unknown zone":          {zone("Europe/Roma"), "Europe/Roma"},
		"zone Local":            {zone("Local"), "IANA"},
		"zone of an offset":     {zone("+02:00"), "timeZone"},
		"zone of a path":        {zone("../../etc/passwd"), "timeZone"},
		"POSIX zone":            {zone("EST5EDT4"), "EST5EDT4"},
		"TZ= in the cron":       {teardown("TZ=Europe/Rome 0 20 * * *"), "timeZone"},
		"CRON_TZ= in the cron":  {teardown("CRON_TZ=UTC"), "timeZone"},
		"@every":                {teardown("@every 1h"), "@every"},
		"@daily":                {teardown("@daily"), ""},
		"six fields":            {teardown("0 0 20 * * *"), "five fields"},
		"four fields":           {teardown("0 20 * *"), "five fields"},
		"Sunday as 7":           {teardown("0 20 * * 7"), ""},
		"30 February":           {teardown("0 0 30 2 *"), "never fires"},
		"31 of short months":    {teardown("0 0 31 4,6 *"), "never fires"},
		"29 February":           {teardown("0 0 29 2 *"), ""},
		"long cron":             {teardown(strings.Repeat("0,", 130) + "0 20 * * *"), "256"},
		"minute 60":             {teardown("60 20 * * *"), "out of its range"},
		"hour 24":               {teardown("0 24 * * *"), "out of its range"},
		"weekday 8":             {teardown("0 20 * * 8"), "out of its range"},
		"month of no year":      {teardown("0 20 1 foo *"), "out of its range"},
		"empty part of a list":  {teardown("0,,5 20 * * *"), "out of its range"},
		"step of nothing":       {teardown("*/0 20 * * *"), "out of its range"},
		"@reboot":               {teardown("@reboot"), "none of @hourly"},
		"names, lists, steps":   {teardown("*/15,7 8-20/2 1,15 JAN-mar Mon-fri"), ""},
		"same minutes":          {teardown("0 8 * * 1-5"), "same minutes"},
		"deadline":              {missed("90m"), ""},
		"until the next":        {missed("UntilNextRebuild"), ""},
		"until itself":          {missed("UntilNextTeardown"), "until the next rebuild"},
		"deadline of nothing":   {missed("soon"), "duration"},
		"only teardown":         {func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild = nil }, ""},
		"only rebuild":          {func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown = nil }, ""},
		"neither":               {func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown, s.Rebuild = nil, nil }, "does nothing"},
		"cron and ready by":     {func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.ReadyBy = "0 9 * * *" }, "cron, when to start, or readyBy"},
		"plan and selector":     {func(s *v1alpha1.RecoveryScheduleSpec) { s.PlanSelector = &metav1.LabelSelector{} }, "not by both"},
		"no plan":               {func(s *v1alpha1.RecoveryScheduleSpec) { s.PlanRef = nil }, "planSelector"},
		"blackout":              {blackout(at, at.Add(time.Hour), "audit"), ""},
		"blackout backwards":    {blackout(at, at.Add(-time.Hour), "audit"), "until must be after from"},
		"blackout for a reason": {blackout(at, at.Add(time.Hour), ""), "reason"},
		"once": {func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Once = []v1alpha1.OneOff{{At: metav1.NewTime(at), Operation: "Rebuild"}}
		}, ""},
		"a drill once": {func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Once = []v1alpha1.OneOff{{At: metav1.NewTime(at), Operation: "Drill"}}
		}, ""},
		"a failover once": {func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Once = []v1alpha1.OneOff{{At: metav1.NewTime(at), Operation: "Failover"}}
		}, "Failover"},
		"only drills": {func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Teardown, s.Rebuild, s.Drill = nil, nil, &v1alpha1.DrillTimes{Cron: "0 3 1 * *"}
		}, ""},
		"drills that never come": {func(s *v1alpha1.RecoveryScheduleSpec) { s.Drill = &v1alpha1.DrillTimes{Cron: "0 3 30 2 *"} }, "never fires"},
		"drills until something": {func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Drill = &v1alpha1.DrillTimes{Cron: "0 3 1 * *", Missed: &v1alpha1.MissedPolicy{Deadline: "UntilNextRebuild"}}
		}, "duration"},
		"calendar of nothing": {func(s *v1alpha1.RecoveryScheduleSpec) { s.Calendar = &v1alpha1.ExceptionCalendar{} }, "exceptConfigMapRef or url"},
		"calendar of a file": {func(s *v1alpha1.RecoveryScheduleSpec) {
			s.Calendar = &v1alpha1.ExceptionCalendar{URL: "file:///etc/passwd"}
		}, "url"},
		"use of nothing": {func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.InUse = &v1alpha1.InUsePolicy{} }, "at least one check"},
	} {
		spec := v1alpha1.RecoveryScheduleSpec{
			PlanRef: &v1alpha1.PlanReference{Name: "dev"}, TimeZone: "Europe/Rome",
			Teardown: &v1alpha1.TeardownTimes{Cron: "0 20 * * 1-5"}, Rebuild: &v1alpha1.RebuildTimes{Cron: "0 8 * * 1-5"},
		}
		test.change(&spec)
		errs := refused(spec, nil)
		if test.says == "" && len(errs) > 0 || test.says != "" && (len(errs) == 0 || !strings.Contains(errs.ToAggregate().Error(), test.says)) {
			t.Errorf("%s: refused for %v, want it to say %q", name, errs, test.says)
		}
	}
}

func blackout(from, until time.Time, reason string) func(*v1alpha1.RecoveryScheduleSpec) {
	return func(s *v1alpha1.RecoveryScheduleSpec) {
		s.Blackouts = []v1alpha1.Blackout{{From: metav1.NewTime(from), Until: metav1.NewTime(until), Reason: reason}}
	}
}
