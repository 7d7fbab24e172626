package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestSimulateExitCodes: whatever is wrong with a schedule is the user's input, not the
// tool's failure, and is told in one line.
func TestSimulateExitCodes(t *testing.T) {
	good := "apiVersion: refloat.dev/v1alpha1\nkind: RecoverySchedule\nmetadata: {name: a}\nspec: {planRef: {name: dev}, teardown: {cron: \"0 20 * * *\"}, rebuild: {cron: \"0 8 * * *\"}}\n"
	file := filepath.Join(t.TempDir(), "broken.ics")
	if err := os.WriteFile(file, []byte("\x00\x01"), 0o600); err != nil {
		t.Fatal(err)
	}
	cron := func(text string) string { return strings.Replace(good, "0 20 * * *", text, 1) }
	for name, test := range map[string]struct {
		input string
		args  []string
		code  int
	}{
		"good":               {good, nil, exitDone},
		"Sunday as 7":        {cron("0 20 * * 7"), nil, exitDone},
		"29 February":        {cron("0 20 29 2 *"), nil, exitDone},
		"unknown zone":       {good + "  \n---\n" + strings.Replace(good, "spec: {", "spec: {timeZone: Europe/Roma, ", 1), nil, exitUsage},
		"zone in cron":       {cron("TZ=UTC 0 20 * * *"), nil, exitUsage},
		"six fields":         {cron("0 0 20 * * *"), nil, exitUsage},
		"@every":             {cron("@every 1h"), nil, exitUsage},
		"30 February":        {cron("0 20 30 2 *"), nil, exitUsage},
		"no YAML":            {"{", nil, exitUsage},
		"less than nothing":  {strings.Replace(good, "spec: {", "spec: {concurrency: -1, ", 1), nil, exitUsage},
		"nothing":            {"", nil, exitUsage},
		"no such file":       {"", []string{"-f", "/no/such/file"}, exitUsage},
		"bad calendar":       {strings.Replace(good, "spec: {", "spec: {calendar: {url: \"https://example.com\"}, ", 1), []string{"--calendar", file}, exitUsage},
		"no days":            {good, []string{"--days", "0"}, exitUsage},
		"words for days":     {good, []string{"--days", "many"}, exitUsage},
		"bad day":            {good, []string{"--from", "yesterday"}, exitUsage},
		"unknown output":     {good, []string{"-o", "pdf"}, exitUsage},
		"unknown flag":       {good, []string{"--until", "2027"}, exitUsage},
		"bad outage":         {good, []string{"--controller-down", "now"}, exitUsage},
		"outage backwards":   {good, []string{"--controller-down", "2026-03-02/2026-03-01"}, exitUsage},
		"a name and a file":  {good, []string{"a"}, exitUsage},
		"more than one name": {good, []string{"a", "b"}, exitUsage},
	} {
		var out, errs strings.Builder
		args := append([]string{"simulate", "-f", "-"}, test.args...)
		code := execute(t.Context(), args, terminal{In: strings.NewReader(test.input), Out: &out, Err: &errs})
		said := strings.TrimSuffix(errs.String(), "Run 'refloat simulate --help' to see what there is.\n")
		if code != test.code || (code == exitDone) != (said == "") || strings.Count(said, "\n") > 1 || (code == exitDone) == (out.String() == "") {
			t.Errorf("%s: exit code %d, want %d, and said %q", name, code, test.code, said)
		}
	}
}

// TestSimulateWhatIsThere: by its name a schedule is simulated with the plans that there are
// and the holds on them.
func TestSimulateWhatIsThere(t *testing.T) {
	at := metav1.ObjectMeta{Namespace: "fleet", Name: "office"}
	schedule := &v1alpha1.RecoverySchedule{ObjectMeta: at, Spec: v1alpha1.RecoveryScheduleSpec{
		PlanRef: &v1alpha1.PlanReference{Name: "dev"}, Teardown: &v1alpha1.TeardownTimes{Cron: "0 20 * * *"}, Rebuild: &v1alpha1.RebuildTimes{Cron: "0 8 * * *"},
	}}
	plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "dev"}}
	plan.Spec.Cluster.Name = "dev"
	cluster := &clusterv1.Cluster{ObjectMeta: plan.ObjectMeta}
	hold := &v1alpha1.Hold{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "dev-snooze"}, Spec: v1alpha1.HoldSpec{
		PlanRef: v1alpha1.PlanReference{Name: "dev"}, Until: metav1.NewTime(noon.Add(72 * time.Hour)), Reason: "load test",
	}}
	for name, test := range map[string]struct {
		objects    []client.Object
		plans      []string
		says, errs string
	}{
		"a plan":            {[]client.Object{schedule, plan}, nil, "2 transitions of 1 plan", ""},
		"a hold":            {[]client.Object{schedule, plan, hold, cluster}, nil, "no run at 1 time: hold dev-snooze: load test", ""},
		"that stays up":     {[]client.Object{schedule, plan, hold, cluster}, nil, "no run at 1 time: alreadyso: the cluster was Up already", ""},
		"of nothing":        {[]client.Object{schedule, plan, hold}, nil, "1 transition of 1 plan", ""},
		"no plan":           {[]client.Object{schedule}, nil, "0 transitions of 0 plans", "there is no plan that it selects"},
		"one that might be": {[]client.Object{schedule}, []string{"new"}, "2 transitions of 1 plan", ""},
	} {
		var out, errs strings.Builder
		term := terminal{Out: &out, Err: &errs}
		o := &simulateOptions{days: 1, output: "table", plans: test.plans}
		in, err := scheduleOf(t.Context(), term, management(t, interceptor.Funcs{}, test.objects...), client.ObjectKeyFromObject(schedule), o, noon)
		if err == nil {
			err = simulate(term, in, o, noon)
		}
		if err != nil || !strings.Contains(out.String(), test.says) || !strings.Contains(errs.String(), test.errs) || (errs.String() == "") != (test.errs == "") {
			t.Errorf("%s: %v\n%s%s", name, err, out.String(), errs.String())
		}
	}
}

// TestSimulateFromNow lists nothing that is past.
func TestSimulateFromNow(t *testing.T) {
	now := time.Date(2026, 11, 30, 20, 30, 15, 500, time.UTC)
	options, err := (&simulateOptions{days: 1, output: "table"}).spans(time.UTC, now)
	if err != nil || !options.From.Equal(now.Truncate(time.Second)) || !options.Until.Equal(options.From.AddDate(0, 0, 1)) {
		t.Errorf("%+v, %v", options.Span, err)
	}
}
