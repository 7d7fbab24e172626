package markdown

import (
	"bytes"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/internal/reporttest"
	"github.com/refloat-dev/refloat/recovery/report"
)

func render(t *testing.T, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, "sha256:0000"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMarkdownIsShortAndSaysIt(t *testing.T) {
	text := render(t, reporttest.Report(10_000))
	for _, want := range []string{
		"## `Rebuild` of plan `fleet/shop`: `Succeeded`", "| requested by | `ada@example.com` |", "| approved by | `grace@example.com` at 2026-11-23T09:00:40Z `seen in the weekly review` |",
		"(objective 30m0s: met)", "| its age at the start | 2h0m0s |", "| `Gates` |", "| all | 8m4s | 100.0% |", "Slowest gates", "10000 of 10000 objects match", "- `Retried`: 20 `objects needed", "`sha256:0000`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if len(text) > 6000 {
		t.Errorf("it has %d bytes", len(text))
	}
}

func TestCode(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"plain":                   "`plain`",
		"a`b":                     "`` a`b ``",
		"``":                      "``` `` ```",
		"a|b":                     "`a\\|b`",
		"two\nlines\r\n# title":   "`two lines  # title`",
		"@everyone <script> ![x]": "`@everyone <script> ![x]`",
		"\x1b[31m\xff":            "`[31m\ufffd`",
	} {
		if got := code(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := code(strings.Repeat("ä", 1000)); len(got) > maxText+10 {
		t.Errorf("%d bytes", len(got))
	}
}

// TestUntrustedTextStaysText looks for texts of the report outside of code.
func TestUntrustedTextStaysText(t *testing.T) {
	const evil = "`|<img src=x>\n\n# title @ops ![x](http://example.com)"
	r := reporttest.Report(3)
	r.Plan, r.Run, r.Cluster, r.Reason, r.RequestedBy, r.Commit, r.Operation = evil, evil, evil, evil, evil, evil, evil
	r.Approval.By, r.Approval.Reason = evil, evil
	r.Schedule = &report.Schedule{Name: evil, Nominal: evil}
	r.Failure = &report.Failure{Phase: evil, Reason: evil, Message: evil}
	r.Phases[0].Name = evil
	r.Waves[0].Objects[0].ID = evil
	r.Verification.Details.Missing = []report.Finding{{ID: evil, Detail: evil}}
	r.Notes, r.Deviations, r.CriticalPath = []string{evil}, []report.Deviation{{Kind: evil, What: evil, Examples: []string{evil}}}, nil
	for _, line := range strings.Split(render(t, r), "\n") {
		for i, span := range strings.Split(strings.ReplaceAll(line, "`` ", "\x00"), "\x00") {
			before, _, _ := strings.Cut(span, " ``")
			outside := strings.TrimPrefix(span, before)
			if i == 0 {
				outside = span
			}
			if strings.Contains(outside, "<img") || strings.Contains(outside, "@ops") || strings.HasPrefix(strings.TrimSpace(outside), "# title") {
				t.Errorf("outside of code: %q in %q", outside, line)
			}
		}
	}
}
