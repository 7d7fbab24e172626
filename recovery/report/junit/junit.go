// Package junit renders a report for continuous integration: a test suite for the phases, one
// for each wave, one for the verification, and one for what the run promised.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/report"
)

const (
	// maxText of a message, and maxFindings of a kind.
	maxText     = 1000
	maxFindings = 500
)

type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Time     string   `xml:"time,attr"`
	Suites   []suite  `xml:"testsuite"`
}

type suite struct {
	Name       string     `xml:"name,attr"`
	Tests      int        `xml:"tests,attr"`
	Failures   int        `xml:"failures,attr"`
	Skipped    int        `xml:"skipped,attr"`
	Errors     int        `xml:"errors,attr"`
	Time       string     `xml:"time,attr"`
	Timestamp  string     `xml:"timestamp,attr,omitempty"`
	Properties []property `xml:"properties>property,omitempty"`
	Cases      []test     `xml:"testcase"`

	seconds float64
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type test struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    string   `xml:"time,attr"`
	Failure *failure `xml:"failure,omitempty"`
	Skipped *skipped `xml:"skipped,omitempty"`
}

type failure struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type skipped struct {
	Message string `xml:"message,attr"`
}

// Write a report. encoding/xml replaces what XML cannot hold.
func Write(w io.Writer, r *report.Report) error {
	all := suites{Name: fmt.Sprintf("refloat %s %s/%s", r.Operation, r.Namespace, r.Plan)}
	add := func(s *suite) {
		if s == nil || len(s.Cases) == 0 {
			return
		}
		s.count()
		all.Tests, all.Failures, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Skipped+s.Skipped
		all.Suites = append(all.Suites, *s)
	}
	add(phases(r))
	for i := range r.Waves {
		add(wave(&r.Waves[i]))
	}
	add(verification(r.Verification))
	add(promises(r))
	if r.StartedAt != nil && r.FinishedAt != nil {
		all.Time = number(r.FinishedAt.Sub(*r.StartedAt).Seconds())
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	e := xml.NewEncoder(w)
	e.Indent("", " ")
	if err := e.Encode(all); err != nil {
		return fmt.Errorf("write the report of run %s as JUnit: %w", r.Run, err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func (s *suite) count() {
	s.Tests, s.Time = len(s.Cases), number(s.seconds)
	for _, c := range s.Cases {
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
}

// phases, each a test that took as long and failed when the run failed in it.
func phases(r *report.Report) *suite {
	s := &suite{Name: "phases", Properties: properties(r)}
	if r.StartedAt != nil {
		s.Timestamp = r.StartedAt.UTC().Format("2006-01-02T15:04:05")
	}
	blamed := false
	for _, p := range r.Phases {
		c := test{Class: "refloat.phases", Name: string(p.Name), Time: number(p.Seconds)}
		s.seconds += p.Seconds
		switch {
		case r.Failure != nil && r.Failure.Phase == p.Name:
			c.Failure, blamed = failed(r.Failure.Reason, r.Failure.Message), true
		case p.FinishedAt == nil:
			c.Skipped = &skipped{Message: "it goes on"}
		}
		s.Cases = append(s.Cases, c)
	}
	if r.Failure != nil && !blamed {
		s.Cases = append(s.Cases, test{Class: "refloat.phases", Name: string(r.Failure.Phase), Time: "0.000", Failure: failed(r.Failure.Reason, r.Failure.Message)})
	}
	return s
}

func properties(r *report.Report) []property {
	var out []property
	for _, p := range []property{
		{"run", r.Run}, {"cluster", r.Cluster}, {"commit", r.Commit}, {"requestedBy", r.RequestedBy}, {"reason", r.Reason}, {"result", string(r.Result)},
	} {
		if p.Value != "" {
			out = append(out, property{p.Name, clip(p.Value)})
		}
	}
	return out
}

func wave(w *report.Wave) *suite {
	class := fmt.Sprintf("refloat.wave-%d", w.Number)
	s := &suite{Name: fmt.Sprintf("wave %d", w.Number)}
	for i := range w.Objects {
		o := &w.Objects[i]
		c := test{Class: class, Name: clip(o.ID), Time: number(o.Seconds)}
		s.seconds = max(s.seconds, o.Seconds)
		switch {
		case o.Status == report.StatusNotProvable:
			c.Skipped = &skipped{Message: clip("its health could not be proven: " + o.Message)}
		case o.Settled():
		case o.Optional:
			c.Skipped = &skipped{Message: clip("it may fail, and did: " + o.Message)}
		default:
			c.Failure = failed(o.Status, o.Message+at(o.Origin))
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}

func at(origin string) string {
	if origin == "" {
		return ""
	}
	return " (" + origin + ")"
}

func verification(v *report.Verification) *suite {
	if v == nil {
		return nil
	}
	const class = "refloat.verification"
	s := &suite{Name: "verification"}
	all := test{Class: class, Name: "the live cluster matches the repository", Time: "0.000"}
	if !v.Matches() {
		all.Failure = failed("NotMatching", v.Summary())
	}
	s.Cases = append(s.Cases, all)
	for _, list := range v.Details.Named() {
		for _, f := range list.Findings[:min(maxFindings, len(list.Findings))] {
			c := test{Class: class, Name: clip(list.Name + ": " + f.ID), Time: "0.000"}
			if list.Mismatch {
				c.Failure = failed(list.Name, f.Explained()+at(f.Origin))
			} else {
				c.Skipped = &skipped{Message: clip(f.Explained())}
			}
			s.Cases = append(s.Cases, c)
		}
		if left := len(list.Findings) - maxFindings; left > 0 {
			s.Cases = append(s.Cases, test{Class: class, Name: list.Name + ": others", Time: "0.000", Skipped: &skipped{Message: fmt.Sprintf("%d more are in the JSON form", left)}})
		}
	}
	return s
}

// promises are the objective and the cleanup.
func promises(r *report.Report) *suite {
	const class = "refloat.promises"
	s := &suite{Name: "promises"}
	if o := r.Objective; o != nil && r.Operation != v1alpha1.OperationTeardown && r.FinishedAt != nil {
		c := test{Class: class, Name: "recovery time objective", Time: "0.000"}
		switch {
		case r.RecoveryTimeSeconds == nil:
			c.Failure = failed("NotRecovered", "the cluster was not recovered; the objective is "+report.Seconds(o.RecoveryTimeSeconds))
		case !o.Met:
			c.Failure = failed("ObjectiveMissed", fmt.Sprintf("recovery took %s; the objective is %s", report.Seconds(*r.RecoveryTimeSeconds), report.Seconds(o.RecoveryTimeSeconds)))
		}
		if r.RecoveryTimeSeconds != nil {
			c.Time = number(*r.RecoveryTimeSeconds)
		}
		s.Cases = append(s.Cases, c)
	}
	if r.CleanedUp != nil {
		c := test{Class: class, Name: "cleanup", Time: "0.000"}
		if !*r.CleanedUp {
			c.Failure = failed("NotCleanedUp", "what the run had to delete may still be there")
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}

func failed(kind, message string) *failure {
	first, _, _ := strings.Cut(message, "\n")
	return &failure{Type: kind, Message: clip(first), Text: clip(message)}
}

func number(seconds float64) string {
	return fmt.Sprintf("%.3f", max(seconds, 0))
}

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
