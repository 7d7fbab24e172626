package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSimulateExitCodes: whatever is wrong with a schedule is the user's input, not the
// tool's failure, and is told in one line.
func TestSimulateExitCodes(t *testing.T) {
	good := "apiVersion: refloat.dev/v1alpha1\nkind: RecoverySchedule\nmetadata: {name: a}\nspec: {planRef: {name: dev}, teardown: {cron: \"0 20 * * *\"}}\n"
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
		said := strings.TrimSuffix(errs.String(), "Run 'refloat --help' to see what there is.\n")
		if code != test.code || (code == exitDone) != (said == "") || strings.Count(said, "\n") > 1 || (code == exitDone) == (out.String() == "") {
			t.Errorf("%s: exit code %d, want %d, and said %q", name, code, test.code, said)
		}
	}
}
