package html

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/reporttest"
	"github.com/refloat-dev/refloat/manifests/loss"
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

func TestPageSaysAll(t *testing.T) {
	r := reporttest.Report(1000)
	past := func(run string, took float64) report.Past {
		return report.Past{
			Run: run, Operation: r.Operation, Result: v1alpha1.ResultSucceeded, FinishedAt: reporttest.T0.Add(-time.Hour), RecoveryTimeSeconds: &took,
			ObjectiveSeconds: 1800, ObjectiveMet: true, Phases: []report.PhaseTime{{Name: v1alpha1.PhaseProvision, Seconds: 30}},
		}
	}
	r.History = []report.Past{past("shop-rebuild-5", 150), past("shop-rebuild-6", 140)}
	r.HoldsOverridden = []report.Hold{{Name: "fair", Reason: "the trade fair", Until: reporttest.T0}}
	r.Schedule = &report.Schedule{Name: "nightly", Nominal: "2026-11-23T09:00", Due: reporttest.T0}
	r.Origin.Stale, r.LossUnseen = true, "the API server did not answer"
	r.Certificate = json.RawMessage(`{"payloadType":"application/vnd.in-toto+json"}`)
	r.Deviations = nil
	page := render(t, r)
	for _, want := range []string{
		"Rebuild of plan fleet/shop", "Succeeded", "shop-rebuild-7", "ada@example.com", "by grace@example.com at 2026-11-23T09:00:40Z: seen in the weekly review",
		"nightly, for 2026-11-23T09:00", "fair, until", "the trade fair", "2h0m0s before the run began", "commit signed by ada@example.com", "no remote answered",
		"objective 30m", "recovered 3m36s", "critical path", ">Bootstrap<", "wave 3", "Slowest gates", "1000 objects in 3 waves", "3 attempts",
		"1000 of 1000", "stable for 15.0s", "application/vnd.in-toto", "the API server did not answer", "Nothing is left of what the run had to delete",
		"Compared with the last runs", "against run shop-rebuild-6", "most of it in Approval", "Report number 1 of its plan", "sha256:0000", "Content-Security-Policy",
	} {
		if !strings.Contains(page, want) && !strings.Contains(page, strings.ReplaceAll(want, "+", "&#43;")) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "%!") {
		t.Error("the template met a value in a wrong place")
	}
}

// TestUntrustedTextIsEscaped has markup in every text of a report, and looks for any element
// or attribute that is not the page's own.
func TestUntrustedTextIsEscaped(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'</title></style></pre>` + "\x00\x1b[31m\u202e"
	r := reporttest.Report(3)
	took := 60.0
	r.Operation, r.Result, r.Plan, r.Namespace, r.Run, r.Cluster, r.Reason, r.Commit, r.RenderDigest, r.RequestedBy = evil, evil, evil, evil, evil, evil, evil, evil, evil, evil
	r.Approval.By, r.Approval.Reason = evil, evil
	r.Schedule = &report.Schedule{Name: evil, Nominal: evil}
	r.HoldsOverridden = []report.Hold{{Name: evil, Reason: evil}}
	r.Origin = &report.Origin{From: evil, Ref: evil, SignedBy: []string{evil}, Stale: true}
	r.Charts, r.Sources = []report.Chart{{Repository: evil, Name: evil, Requested: evil, Version: evil, Digest: evil}}, []report.Source{{URL: evil, Requested: evil, Revision: evil, Digest: evil}}
	r.Retried = &report.Retried{Run: evil, Phase: evil, StartedAt: reporttest.T0.Add(-time.Hour)}
	r.Failure = &report.Failure{Phase: evil, Reason: evil, Message: evil}
	r.Phases[0].Name, r.Phases[1].Message = evil, evil
	o := &r.Waves[0].Objects[0]
	o.ID, o.Origin, o.Status, o.Message = evil, evil, evil, evil
	finding := []report.Finding{{ID: evil, Origin: evil, Detail: evil, Rule: evil, Changes: []report.Change{{Path: evil, Rendered: evil, Live: evil, Manager: evil}}}}
	r.Verification.Details = report.Details{Missing: finding, Changed: finding, Extra: finding, Unhealthy: finding, NotProvable: finding, Weak: finding, Exempt: finding}
	r.Verification.Others = []report.Group{{Class: evil, Reason: evil, Example: evil}}
	r.Loss, r.LossUnseen = &loss.Preview{Total: 1, Lost: []loss.Item{{What: evil, Class: evil, Reason: evil, Excuse: evil}}}, evil
	r.Certificate, r.Notes, r.Truncated = json.RawMessage(evil), []string{evil}, evil
	r.History = []report.Past{{Run: evil, Operation: evil, Result: evil, RecoveryTimeSeconds: &took, Phases: []report.PhaseTime{{Name: evil, Seconds: 9}}}, {Run: evil, Operation: evil, Result: v1alpha1.ResultSucceeded, RecoveryTimeSeconds: &took}}
	r.Chain = &report.Chain{Sequence: 2, Previous: &report.Link{Run: evil, Digest: evil}}
	r.CriticalPath, r.Deviations = nil, nil
	page := render(t, r)
	for _, bad := range regexp.MustCompile(`(?i)<(script|img|iframe|object|embed|link|base|form)\b|\son[a-z]+\s*=\s*[^&\s]*alert\(2\)>|javascript:|https?://[^ <]*["')]`).FindAllString(page, -1) {
		t.Errorf("the page has %q", bad)
	}
	if n := strings.Count(page, "alert(1)"); n < 40 {
		t.Errorf("the texts are shown %d times only", n)
	}
	known := regexp.MustCompile(`^/?(html|head|meta|title|style|body|header|h1|h2|h3|p|span|b|code|div|strong|table|tr|th|td|details|summary|svg|line|text|rect|ul|li|br|pre|polyline|circle|footer)$`)
	for _, tag := range regexp.MustCompile(`<(/?[a-zA-Z0-9]+)`).FindAllStringSubmatch(page, -1) {
		if !known.MatchString(tag[1]) {
			t.Errorf("element %q is not one of the page's", tag[1])
		}
	}
	var trend bytes.Buffer
	if err := WriteTrend(&trend, report.TrendOf(evil, evil, r.History)); err != nil || strings.Contains(trend.String(), "<script") {
		t.Errorf("%v, or the trend has a script", err)
	}
}

// TestPageIsSelfContained looks for whatever a browser would fetch or run.
func TestPageIsSelfContained(t *testing.T) {
	page := render(t, reporttest.Report(50))
	for _, bad := range []string{"<script", "<link", "<img", "@import", "url(", "src=", "href=", "http-equiv=\"refresh"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
}

// TestPageIsBounded has 10,000 objects with the longest names, messages full of what has to
// be escaped, and findings without end.
func TestPageIsBounded(t *testing.T) {
	r := reporttest.Report(10_000)
	long := strings.Repeat(`<&>"'`, 200)
	for i := range r.Waves {
		for j := range r.Waves[i].Objects {
			o := &r.Waves[i].Objects[j]
			o.ID += strings.Repeat("&", 253)
			o.Message = long
		}
	}
	failed := &r.Waves[24].Objects[399]
	failed.Status, failed.ID = "Failed", "the one that failed"
	for i := range 10_000 {
		f := report.Finding{ID: fmt.Sprintf("f%d", i) + long, Detail: long}
		r.Verification.Details.Changed = append(r.Verification.Details.Changed, f)
		r.Verification.Details.Extra = append(r.Verification.Details.Extra, f)
	}
	begin := time.Now()
	page := render(t, r)
	if took := time.Since(begin); took > 20*time.Second { // make bench has the real figure
		t.Errorf("it took %s", took)
	}
	if len(page) > MaxBytes {
		t.Errorf("the page has %d bytes", len(page))
	}
	for _, want := range []string{"objects are left out of this page", "9700 more are in the JSON form", "the one that failed"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestUnfinishedAndEmptyReports(t *testing.T) {
	for name, r := range map[string]*report.Report{
		"empty":       {Run: "r"},
		"not begun":   {Run: "r", Operation: v1alpha1.OperationDrill, Failure: &report.Failure{Phase: v1alpha1.PhasePreflight, Message: "no plan"}},
		"under way":   {Run: "r", StartedAt: &reporttest.T0, Phases: []report.Phase{{Name: v1alpha1.PhasePreflight, StartedAt: reporttest.T0}}},
		"no time":     {Run: "r", StartedAt: &reporttest.T0, FinishedAt: &reporttest.T0, Phases: []report.Phase{{Name: v1alpha1.PhaseWaves, StartedAt: reporttest.T0, FinishedAt: &reporttest.T0}}},
		"other times": {Run: "r", StartedAt: &reporttest.T0, FinishedAt: &time.Time{}, Objective: &report.Objective{}},
	} {
		if page := render(t, r); !strings.Contains(page, "</html>") || strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
			t.Errorf("%s: the page is not whole", name)
		}
	}
}
