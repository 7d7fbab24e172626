package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// slowest objects are named in the text form, and so many findings of each kind.
	slowest = 10
)

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	r.head(&b)
	r.phases(&b)
	r.path(&b)
	r.waves(&b)
	r.verification(&b)
	r.loss(&b)
	r.drilled(&b)
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "\nnote: %s\n", note)
	}
	r.deviations(&b)
	if _, err := w.Write(Printable(b.Bytes())); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// drilled says what a drill left out, for whoever reads what it proves.
func (r *Report) drilled(b *bytes.Buffer) {
	if len(r.Drilled) == 0 {
		return
	}
	fmt.Fprintf(b, "\nThe drill profile changed:\n")
	for _, c := range r.Drilled {
		fmt.Fprintf(b, "  %s\n", c)
	}
}

// Printable text is without what a terminal would obey: names and messages come from
// repositories and clusters.
func Printable(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

func (r *Report) head(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s of plan %s/%s: %s\n\n", r.Operation, r.Namespace, r.Plan, cmp.Or(string(r.Outcome), string(r.Result), "not finished"))
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, value)
		}
	}
	row("run", r.Run)
	row("reason", r.Reason)
	r.orders(row)
	cluster := r.Cluster
	if r.Simulated {
		cluster += " (simulated: no container ran)"
	}
	row("cluster", cluster)
	row("commit", r.Commit)
	r.origin(row)
	r.charts(row)
	if r.Retried != nil {
		row("retry of", fmt.Sprintf("%s, which failed in %s; the time counts from its start", r.Retried.Run, r.Retried.Phase))
	}
	if r.StartedAt != nil {
		row("started", r.StartedAt.Format(time.RFC3339))
	}
	if r.RecoveryTimeSeconds != nil {
		text := Seconds(*r.RecoveryTimeSeconds)
		if r.Objective != nil {
			verdict := "missed"
			if r.Objective.Met {
				verdict = "met"
			}
			text += fmt.Sprintf(" (objective %s: %s)", Seconds(r.Objective.RecoveryTimeSeconds), verdict)
		}
		row("recovery time", text)
	}
	if c := r.Changed(); c != nil {
		text := fmt.Sprintf("%+.1fs (%+.0f%%)", c.Seconds, c.Percent)
		if c.Phase != "" {
			text += fmt.Sprintf(", most of it in %s: %+.1fs", c.Phase, c.PhaseSeconds)
		}
		row("against "+c.Against, text)
	}
	if r.CleanedUp != nil {
		row("cleaned up", map[bool]string{true: "yes", false: "NO"}[*r.CleanedUp])
	}
	if r.Failure != nil {
		row("failed in", string(r.Failure.Phase)+" ("+r.Failure.Reason+")")
		row("because", r.Failure.Message)
	}
	_ = table.Flush() // a bytes.Buffer takes everything
}

// origin says how old the commit was when the run began, where it came from and who signed it.
func (r *Report) origin(row func(name, value string)) {
	if r.CommitTime != nil {
		text := r.CommitTime.Format(time.RFC3339)
		if r.StartedAt != nil {
			text += fmt.Sprintf(" (%s before the run)", max(0, r.StartedAt.Sub(*r.CommitTime)).Round(time.Second))
		}
		row("commit made", text)
	}
	if r.Origin == nil {
		return
	}
	row("from", r.Origin.From)
	if r.Origin.FetchedAt != nil {
		fetched := r.Origin.FetchedAt.Format(time.RFC3339)
		if r.Origin.Stale {
			fetched += " (REMOTE UNREACHABLE: the last fetched commit was taken)"
		}
		row("fetched", fetched)
	}
	for _, signature := range r.Origin.SignedBy {
		row("signature", signature)
	}
}

// orders says who wanted the run and who agreed.
func (r *Report) orders(row func(name, value string)) {
	row("requested by", r.RequestedBy)
	if s := r.Schedule; s != nil {
		row("by schedule", fmt.Sprintf("%s, for %s", s.Name, s.Nominal))
	}
	if p := r.Proposal; p != nil {
		row("by policy", fmt.Sprintf("%s, for an outage since %s", p.Policy, p.OutageSince.Format(time.RFC3339)))
		for _, e := range p.Evidence {
			row("evidence", e.String())
		}
	}
	if a := r.Approval; a != nil && a.At != nil {
		row("approved by", fmt.Sprintf("%s at %s", a.By, a.At.Format(time.RFC3339)))
		row("approved because", a.Reason)
	}
}

// charts that were fetched, and other sources, by content.
func (r *Report) charts(row func(name, value string)) {
	for _, c := range r.Charts {
		where := c.Repository
		if c.Name != "" {
			where += " " + c.Name
		}
		row("chart", fmt.Sprintf("%s %s (%s)", where, c.Version, c.Digest))
	}
	for _, s := range r.Sources {
		row("source", fmt.Sprintf("%s %s (%s)", s.URL, s.Requested, s.Revision))
	}
}

func (r *Report) phases(b *bytes.Buffer) {
	if len(r.Phases) == 0 {
		return
	}
	b.WriteString("\nphases\n")
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, p := range r.Phases {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", p.Name, Seconds(p.Seconds), p.Message)
	}
	_ = table.Flush()
}

// path says what the time was spent on.
func (r *Report) path(b *bytes.Buffer) {
	p := r.Path()
	if p == nil {
		return
	}
	fmt.Fprintf(b, "\ncritical path: %s\n", Seconds(p.Seconds))
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, s := range p.Parts {
		fmt.Fprintf(table, "  %s\t%s\t%.1f%%\n", s.Part, Seconds(s.Seconds), s.Percent)
	}
	_ = table.Flush()
}

// told elsewhere in the text form, so that it is not said twice.
var told = map[string]bool{
	"Simulated": true, "Retry": true, "OptionalFailed": true, "Missing": true, "Changed": true, "Unhealthy": true, "Exempt": true,
	"Extra": true, "NotProvable": true, "Weak": true, "LossUnseen": true, "Lost": true, "Adopted": true, "ObjectiveMissed": true,
}

func (r *Report) deviations(b *bytes.Buffer) {
	for _, d := range r.Notable() {
		if told[d.Kind] {
			continue
		}
		line := d.What
		if d.Count > 0 {
			line = fmt.Sprintf("%d %s", d.Count, line)
		}
		fmt.Fprintf(b, "\n%s\n", line)
		for _, e := range d.Examples {
			b.WriteString("  " + e + "\n")
		}
	}
}

func (r *Report) waves(b *bytes.Buffer) {
	if len(r.Waves) == 0 {
		return
	}
	var all []Object
	adopted := 0
	for _, wave := range r.Waves {
		all = append(all, wave.Objects...)
	}
	for _, o := range all {
		if o.Adopted {
			adopted++
		}
	}
	fmt.Fprintf(b, "\nwaves: %s in %s", counted(len(all), "object"), counted(len(r.Waves), "wave"))
	if adopted > 0 {
		fmt.Fprintf(b, ", %d of them found applied %s", adopted, r.foundApplied("after a restart"))
	}
	b.WriteString("; the slowest:\n")
	slices.SortStableFunc(all, func(x, y Object) int { return cmp.Compare(y.Seconds, x.Seconds) })
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, o := range all[:min(slowest, len(all))] {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", Seconds(o.Seconds), o.ID, o.Status, o.Origin)
	}
	_ = table.Flush()
	for _, o := range all {
		if o.Optional && o.Status != "Healthy" && o.Status != "NotProvable" {
			fmt.Fprintf(b, "  optional, and failed: %s (%s): %s\n", o.ID, o.Origin, o.Message)
		}
	}
}

func (r *Report) verification(b *bytes.Buffer) {
	v := r.Verification
	if v == nil {
		return
	}
	b.WriteString("\nverification: " + v.Summary() + "\n")
	for _, list := range v.Details.Named() {
		writeFindings(b, list.Name, list.Findings)
	}
	for _, g := range v.Others {
		fmt.Fprintf(b, "  %s, not in the repository: %d (%s), for example %s\n", strings.ToLower(g.Class), g.Count, g.Reason, g.Example)
	}
	if len(r.Certificate) > 0 {
		fmt.Fprintf(b, "  certificate: %d bytes in the JSON form of this report\n", len(r.Certificate))
	}
}

func (r *Report) loss(b *bytes.Buffer) {
	if r.LossUnseen != "" {
		b.WriteString("\nwhat would be lost with the previous cluster could not be told: " + r.LossUnseen + "\n")
	}
	if r.Loss != nil {
		fmt.Fprintf(b, "\nwhat goes with the previous cluster: %d not known to come back\n", r.Loss.Total)
		r.Loss.WriteText(b)
	}
}

// Summary counts in one line.
func (v *Verification) Summary() string {
	s := fmt.Sprintf("%d of %d objects match; %d missing, %d changed, %d extra; %d healthy, %d unhealthy, %d not provable",
		v.Matched, v.Rendered, v.Missing, v.Changed, v.Extra, v.Healthy, v.Unhealthy, v.NotProvable)
	for _, part := range []struct {
		count int
		what  string
	}{{v.Skipped, "need not exist"}, {v.Exempt, "exemptions used"}, {v.Weak, "compared weakly"}} {
		if part.count > 0 {
			s += fmt.Sprintf(", %d %s", part.count, part.what)
		}
	}
	if v.Thorough {
		s += "; every object was asked about"
	}
	if v.StableSeconds > 0 {
		s += "; stable for " + Seconds(v.StableSeconds)
	}
	return s
}

// Seconds as people compare them.
func Seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1fs", s)
}

// writeFindings names every object; those with the same explanation share it.
func writeFindings(b *bytes.Buffer, name string, findings []Finding) {
	var details []string
	sharing := map[string][]Finding{}
	for _, f := range findings {
		detail := f.Explained()
		if _, seen := sharing[detail]; !seen {
			details = append(details, detail)
		}
		sharing[detail] = append(sharing[detail], f)
	}
	for _, detail := range details {
		line := "  " + name
		if detail != "" {
			line += ": " + detail
		}
		b.WriteString(line + "\n")
		for _, f := range sharing[detail] {
			b.WriteString("    " + strings.TrimRight(f.ID+"  "+f.Origin, " ") + "\n")
		}
	}
}

// Explained is the detail with the rule, if there is one.
func (f Finding) Explained() string {
	if f.Rule == "" {
		return f.Detail
	}
	return f.Detail + " (by rule: " + f.Rule + ")"
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// foundApplied says why objects were there: because of the failed run, or as told.
func (r *Report) foundApplied(restart string) string {
	if r.Retried != nil {
		return "as the failed run left them"
	}
	return restart
}
