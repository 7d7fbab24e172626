package junit

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/reporttest"
	"github.com/refloat-dev/refloat/recovery/report"
)

func read(t *testing.T, r *report.Report) (suites, string) {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	var got suites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v:\n%s", err, b.String())
	}
	return got, b.String()
}

func TestOutcomes(t *testing.T) {
	r := reporttest.Report(1000)
	got, text := read(t, r)
	if got.Failures != 0 || got.Tests < 1000 || len(got.Suites) != 6 || got.Suites[1].Name != "wave 1" || got.Suites[1].Tests != 400 {
		t.Errorf("%d tests in %d suites, %d failures", got.Tests, len(got.Suites), got.Failures)
	}
	if !strings.Contains(text, `<property name="requestedBy" value="ada@example.com">`) {
		t.Error("the properties are missing")
	}
	cleaned := false
	r.CleanedUp, r.Objective.Met = &cleaned, false
	r.Failure = &report.Failure{Phase: v1alpha1.PhaseVerify, Reason: "NotMatching", Message: "one object is missing\nand a second line"}
	objects := r.Waves[0].Objects
	objects[0].Status, objects[0].Message = "Failed", "refused"
	objects[1].Status, objects[1].Optional = "Failed", true
	objects[2].Status = report.StatusNotProvable
	r.Verification.Missing = 1
	r.Verification.Details = report.Details{Missing: []report.Finding{{ID: "gone", Origin: "a.yaml:3"}}, Extra: []report.Finding{{ID: "more"}}}
	got, text = read(t, r)
	// The phase, the object, the comparison and what is missing, the objective, the cleanup.
	if got.Failures != 6 || got.Skipped != 3 {
		t.Errorf("%d failures, %d skipped:\n%s", got.Failures, got.Skipped, text[:2000])
	}
}

// TestControlCharactersDoNotBreakIt has what XML cannot hold, in every text.
func TestControlCharactersDoNotBreakIt(t *testing.T) {
	evil := "a\x00b\x08c\x1bd\ufffe\xff]]><testcase name=\"x\"/>&amp;\u2028"
	r := reporttest.Report(3)
	r.Plan, r.Run, r.Reason, r.Commit = evil, evil, evil, evil
	r.Failure = &report.Failure{Phase: v1alpha1.Phase(evil), Reason: evil, Message: evil}
	r.Phases[0].Name = v1alpha1.Phase(evil)
	o := &r.Waves[0].Objects[0]
	o.ID, o.Status, o.Message = evil, evil, evil
	f := []report.Finding{{ID: evil, Detail: evil, Rule: evil, Origin: evil}}
	r.Verification.Details = report.Details{Missing: f, Exempt: f}
	got, text := read(t, r)
	if got.Tests != len(r.Phases)+3+3+2 {
		t.Errorf("%d tests", got.Tests)
	}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range text {
		if c < ' ' && c != '\n' && c != '\t' {
			t.Fatalf("there is a %U", c)
		}
	}
}

func TestEmptyReport(t *testing.T) {
	if got, _ := read(t, &report.Report{Run: "r"}); got.Tests != 0 {
		t.Errorf("%d tests", got.Tests)
	}
}
