// Package markdown renders a report in short for where people talk: an issue, a pull request,
// a chat. Names and messages come from repositories and clusters; they are shown as code, so
// that they cannot become links, pictures or mentions.
package markdown

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/refloat-dev/refloat/recovery/report"
)

const (
	maxText     = 300
	maxGates    = 5
	maxFindings = 10
	maxExamples = 5
)

// Write a report. digest is that of its canonical JSON form, empty when nobody knows it.
func Write(w io.Writer, r *report.Report, digest string) error {
	b := &bytes.Buffer{}
	head(b, r)
	failure(b, r)
	path(b, r)
	verification(b, r.Verification)
	deviations(b, r.Notable())
	tail(b, r, digest)
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func head(b *bytes.Buffer, r *report.Report) {
	fmt.Fprintf(b, "## %s of plan %s: %s\n\n", code(string(r.Operation)), code(r.Namespace+"/"+r.Plan), code(cmp.Or(string(r.Result), "not finished")))
	b.WriteString("| | |\n|---|---|\n")
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "| %s | %s |\n", name, value)
		}
	}
	row("run", code(r.Run))
	cluster := code(r.Cluster)
	if r.Simulated {
		cluster += " (simulated: no container ran)"
	}
	row("cluster", cluster)
	row("requested by", code(r.RequestedBy))
	row("reason", code(r.Reason))
	if s := r.Schedule; s != nil {
		row("by schedule", fmt.Sprintf("%s for %s", code(s.Name), code(s.Nominal)))
	}
	if p := r.Proposal; p != nil {
		row("by policy", fmt.Sprintf("%s, for an outage since %s", code(p.Policy), stamp(p.OutageSince)))
		for _, e := range p.Evidence {
			row("evidence", code(e.String()))
		}
	}
	if a := r.Approval; a != nil && a.At != nil {
		row("approved by", fmt.Sprintf("%s at %s %s", code(a.By), stamp(*a.At), code(a.Reason)))
	}
	if r.RecoveryTimeSeconds != nil {
		value := "**" + report.Seconds(*r.RecoveryTimeSeconds) + "**"
		if o := r.Objective; o != nil {
			value += fmt.Sprintf(" (objective %s: %s)", report.Seconds(o.RecoveryTimeSeconds), map[bool]string{true: "met", false: "**missed**"}[o.Met])
		}
		row("recovery time", value)
	}
	if c := r.Changed(); c != nil {
		row("against run "+code(c.Against), change(c))
	}
	row("commit", code(r.Commit))
	if r.CommitAgeSeconds != nil {
		row("its age at the start", report.Seconds(*r.CommitAgeSeconds))
	}
	if r.CleanedUp != nil {
		row("cleaned up", map[bool]string{true: "yes", false: "**no**"}[*r.CleanedUp])
	}
	if r.FinishedAt != nil {
		row("finished", stamp(*r.FinishedAt))
	}
}

func failure(b *bytes.Buffer, r *report.Report) {
	if f := r.Failure; f != nil {
		fmt.Fprintf(b, "\n**Failed in %s (%s):** %s\n", code(string(f.Phase)), code(f.Reason), code(f.Message))
	}
}

func path(b *bytes.Buffer, r *report.Report) {
	p := r.Path()
	if p == nil {
		return
	}
	b.WriteString("\n### Critical path\n\n| part | time | share |\n|---|--:|--:|\n")
	for _, s := range p.Parts {
		fmt.Fprintf(b, "| %s | %s | %.1f%% |\n", code(string(s.Part)), report.Seconds(s.Seconds), s.Percent)
	}
	fmt.Fprintf(b, "| all | %s | 100.0%% |\n", report.Seconds(p.Seconds))
	gates := r.SlowestGates(maxGates)
	if len(gates) == 0 {
		return
	}
	b.WriteString("\nSlowest gates:\n\n")
	for i := range gates {
		fmt.Fprintf(b, "- %s: %s\n", code(gates[i].ID), report.Seconds(gates[i].GateSeconds()))
	}
}

func verification(b *bytes.Buffer, v *report.Verification) {
	if v == nil {
		return
	}
	fmt.Fprintf(b, "\n### Verification\n\n%s\n", v.Summary())
	for _, list := range v.Details.Named() {
		if !list.Mismatch || len(list.Findings) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n%s:\n\n", list.Name)
		for _, f := range list.Findings[:min(maxFindings, len(list.Findings))] {
			line := "- " + code(f.ID)
			if why := f.Explained(); why != "" {
				line += ": " + code(why)
			}
			b.WriteString(line + "\n")
		}
		if left := len(list.Findings) - maxFindings; left > 0 {
			fmt.Fprintf(b, "- and %d more\n", left)
		}
	}
}

func deviations(b *bytes.Buffer, all []report.Deviation) {
	if len(all) == 0 {
		return
	}
	b.WriteString("\n### Deviations\n\n")
	for _, d := range all {
		line := "- " + code(d.Kind) + ": "
		if d.Count > 0 {
			line += fmt.Sprintf("%d ", d.Count)
		}
		b.WriteString(line + code(d.What) + "\n")
		for _, e := range d.Examples[:min(maxExamples, len(d.Examples))] {
			b.WriteString("  - " + code(e) + "\n")
		}
	}
}

func tail(b *bytes.Buffer, r *report.Report, digest string) {
	if r.Chain == nil && digest == "" {
		return
	}
	b.WriteString("\n---\n\n")
	if c := r.Chain; c != nil {
		fmt.Fprintf(b, "Report number %d of its plan. ", c.Sequence)
		if c.Previous != nil {
			fmt.Fprintf(b, "Before it: run %s, %s. ", code(c.Previous.Run), code(c.Previous.Digest))
		}
	}
	if digest != "" {
		fmt.Fprintf(b, "Digest of the canonical JSON form: %s", code(digest))
	}
	b.WriteString("\n")
}

func change(c *report.Shift) string {
	signed := func(s float64) string {
		if s < 0 {
			return "−" + report.Seconds(-s)
		}
		return "+" + report.Seconds(s)
	}
	text := fmt.Sprintf("%s (%+.0f%%)", signed(c.Seconds), c.Percent)
	if c.Phase != "" {
		text += fmt.Sprintf(", most of it in %s: %s", code(string(c.Phase)), signed(c.PhaseSeconds))
	}
	return text
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// code shows a text as it is: nothing in it is taken for Markdown or HTML. In a table a bar
// would end the cell even so.
func code(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if fence != "`" {
		s = " " + s + " " // so that backticks at the ends are not part of the fence
	}
	return fence + strings.ReplaceAll(s, "|", `\|`) + fence
}
