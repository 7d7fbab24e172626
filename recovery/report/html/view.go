package html

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/report"
)

// view is what the template shows of a report.
type view struct {
	Title, Result, ResultClass, Finished, Digest string
	Style                                        template.CSS
	R                                            *report.Report
	Tiles, Asked, Origin                         []fact
	Inputs                                       []input
	Gantt                                        *gantt
	Parts                                        []partRow
	PathSum, Shorter                             string
	HasRecovery                                  bool
	Steps                                        []stepRow
	Gates                                        []gateRow
	Phases                                       []phaseRow
	Deviations                                   []deviationRow
	Waves                                        []waveView
	WavesSum, LeftOut                            string
	V                                            *verificationView
	Certificate                                  string
	HasLoss                                      bool
	Loss                                         *lossView
	Cleanup                                      fact
	Trend                                        *trendView
}

// fact is a name with a value.
type fact struct {
	Name, Value, Note, Class string
	Code                     bool
}

type input struct{ Where, Asked, Came, Digest string }

type partRow struct{ Class, Name, Time, Percent, Recovery string }

type stepRow struct{ Class, Name, Phase, What, At, Time string }

type gateRow struct {
	ID, Time, Origin string
	Wave             int
}

type phaseRow struct{ Name, Began, Time, Message string }

type deviationRow struct {
	report.Deviation
	More string
}

const (
	// maxText of a message, and how many gates are named.
	maxText  = 600
	maxGates = 10
)

func viewOf(r *report.Report, digest string, budget int) *view {
	v := &view{
		Title: fmt.Sprintf("%s of plan %s/%s: %s", r.Operation, r.Namespace, r.Plan, outcome(r)), Style: sheet(),
		Result: outcome(r), ResultClass: classOf(r), Digest: digest, R: r,
		Tiles: tiles(r), Asked: asked(r), Origin: origin(r), Inputs: inputs(r), Cleanup: cleanup(r), V: verificationOf(r.Verification),
		HasLoss: r.Loss != nil || r.LossUnseen != "", Loss: lossOf(r.Loss), Certificate: certificate(r.Certificate),
	}
	if r.FinishedAt != nil {
		v.Finished = stamp(*r.FinishedAt)
	}
	if path := r.Path(); path != nil {
		v.path(path)
		v.Gantt = ganttOf(r, path)
	}
	for _, o := range r.SlowestGates(maxGates) {
		v.Gates = append(v.Gates, gateRow{ID: o.ID, Time: report.Seconds(o.GateSeconds()), Origin: o.Origin, Wave: o.Wave})
	}
	for _, p := range r.Phases {
		v.Phases = append(v.Phases, phaseRow{Name: string(p.Name), Began: p.StartedAt.Format(time.TimeOnly), Time: took(p), Message: clip(p.Message)})
	}
	for _, d := range r.Notable() {
		row := deviationRow{Deviation: d}
		if left := d.Count - len(d.Examples); left > 0 && len(d.Examples) > 0 {
			row.More = fmt.Sprintf("and %d more", left)
		}
		v.Deviations = append(v.Deviations, row)
	}
	v.waves(r, budget)
	if len(r.History) > 0 {
		runs := append(append([]report.Past{}, r.History...), r.Past())
		v.Trend = trendOf(report.TrendOf(r.Namespace, r.Plan, runs))
	}
	return v
}

func outcome(r *report.Report) string { return cmp.Or(string(r.Result), "not finished") }

func classOf(r *report.Report) string {
	switch {
	case r.Result == v1alpha1.ResultFailed:
		return "bad"
	case r.Result == "", r.Objective != nil && r.RecoveryTimeSeconds != nil && !r.Objective.Met:
		return "warn"
	}
	return "good"
}

func took(p report.Phase) string {
	if p.FinishedAt == nil {
		return "goes on"
	}
	return report.Seconds(p.Seconds)
}

// tiles are the numbers that most readers come for.
func tiles(r *report.Report) []fact {
	var out []fact
	if r.RecoveryTimeSeconds != nil {
		t := fact{Name: "recovery time", Value: report.Seconds(*r.RecoveryTimeSeconds), Note: "no objective"}
		if o := r.Objective; o != nil {
			t.Note, t.Class = "objective "+report.Seconds(o.RecoveryTimeSeconds)+": missed", "bad"
			if o.Met {
				t.Note, t.Class = "objective "+report.Seconds(o.RecoveryTimeSeconds)+": met", "good"
			}
		}
		out = append(out, t)
	} else if o := r.Objective; o != nil && r.Operation != v1alpha1.OperationTeardown {
		out = append(out, fact{Name: "recovery time", Value: "not recovered", Note: "objective " + report.Seconds(o.RecoveryTimeSeconds), Class: "bad"})
	}
	if r.CommitAgeSeconds != nil {
		out = append(out, fact{Name: "age of the commit", Value: report.Seconds(*r.CommitAgeSeconds), Note: "when the run began"})
	}
	if v := r.Verification; v != nil {
		t := fact{Name: "objects that match", Value: fmt.Sprintf("%d of %d", v.Matched, v.Rendered), Note: fmt.Sprintf("%d healthy", v.Healthy), Class: "bad"}
		if v.Matches() {
			t.Class = "good"
		}
		out = append(out, t)
	}
	if c := r.Changed(); c != nil {
		out = append(out, fact{Name: "against run " + c.Against, Value: signed(c.Seconds), Note: blamed(c)})
	}
	return out
}

func asked(r *report.Report) []fact {
	var out []fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, fact{Name: name, Value: value})
		}
	}
	add("operation", string(r.Operation))
	add("requested by", r.RequestedBy)
	add("reason", r.Reason)
	if r.OrderedAt != nil {
		add("ordered", stamp(*r.OrderedAt))
	}
	if r.StartedAt != nil {
		add("began", stamp(*r.StartedAt))
	}
	if s := r.Schedule; s != nil {
		add("by schedule", fmt.Sprintf("%s, for %s, due %s", s.Name, s.Nominal, stamp(s.Due)))
		if s.ReadyBy != nil {
			add("ready by", stamp(*s.ReadyBy))
		}
	}
	if p := r.Proposal; p != nil {
		add("by policy", fmt.Sprintf("%s, for an outage since %s", p.Policy, stamp(p.OutageSince)))
		for _, e := range p.Evidence {
			add("evidence", e.String())
		}
	}
	if a := r.Approval; a != nil {
		value := "asked for at " + stamp(a.RequestedAt) + ", and not given"
		if a.At != nil {
			value = fmt.Sprintf("by %s at %s", a.By, stamp(*a.At))
			if a.Reason != "" {
				value += ": " + a.Reason
			}
		}
		add("approval", value)
	}
	for _, h := range r.HoldsOverridden {
		add("hold overridden", fmt.Sprintf("%s, until %s: %s", h.Name, stamp(h.Until), h.Reason))
	}
	if r.Retried != nil {
		add("retry of", fmt.Sprintf("%s, which failed in %s", r.Retried.Run, r.Retried.Phase))
	}
	return out
}

func origin(r *report.Report) []fact {
	var out []fact
	add := func(f fact) {
		if f.Value != "" {
			out = append(out, f)
		}
	}
	add(fact{Name: "commit", Value: r.Commit, Code: true})
	if r.CommitTime != nil {
		value := stamp(*r.CommitTime)
		if r.CommitAgeSeconds != nil {
			value += ", " + report.Seconds(*r.CommitAgeSeconds) + " before the run began"
		}
		add(fact{Name: "made", Value: value})
	}
	if o := r.Origin; o != nil {
		add(fact{Name: "from", Value: o.From})
		add(fact{Name: "ref", Value: o.Ref})
		if o.FetchedAt != nil {
			add(fact{Name: "fetched", Value: stamp(*o.FetchedAt)})
		}
		if o.Stale {
			add(fact{Name: "stale", Value: "no remote answered: the last fetched commit was taken", Class: "warn"})
		}
		for _, s := range o.SignedBy {
			add(fact{Name: "signature", Value: s})
		}
	}
	add(fact{Name: "SHA-256 of the render", Value: r.RenderDigest, Code: true})
	if len(out) == 0 {
		add(fact{Name: "commit", Value: "none was pinned"})
	}
	return out
}

func inputs(r *report.Report) []input {
	var out []input
	for _, c := range r.Charts {
		out = append(out, input{Where: strings.TrimSpace(c.Repository + " " + c.Name), Asked: c.Requested, Came: c.Version, Digest: c.Digest})
	}
	for _, s := range r.Sources {
		out = append(out, input{Where: s.URL, Asked: s.Requested, Came: s.Revision, Digest: s.Digest})
	}
	return out
}

func cleanup(r *report.Report) fact {
	switch {
	case r.CleanedUp == nil:
		return fact{Value: "The run had nothing to delete.", Class: "soft"}
	case *r.CleanedUp:
		return fact{Value: "Nothing is left of what the run had to delete.", Class: "good"}
	}
	return fact{Value: "What the run had to delete may still be there.", Class: "bad"}
}

// path shows where the time went.
func (v *view) path(p *report.Path) {
	recovery := map[report.Part]string{}
	for _, s := range p.Recovery {
		recovery[s.Part] = fmt.Sprintf("%.1f%%", s.Percent)
	}
	v.HasRecovery, v.PathSum = len(p.Recovery) > 0, report.Seconds(p.Seconds)
	for _, s := range p.Parts {
		v.Parts = append(v.Parts, partRow{
			Class: partClass(s.Part), Name: partName(s.Part), Time: report.Seconds(s.Seconds), Percent: fmt.Sprintf("%.1f%%", s.Percent), Recovery: recovery[s.Part],
		})
	}
	for _, s := range p.Steps {
		v.Steps = append(v.Steps, stepRow{
			Class: partClass(s.Part), Name: partName(s.Part), Phase: string(s.Phase), What: clip(s.What),
			At: "+" + report.Seconds(s.StartedAt.Sub(p.From).Seconds()), Time: report.Seconds(s.Seconds),
		})
	}
	if p.Shorter > 0 {
		v.Shorter = fmt.Sprintf("%d shorter ones, %s together, are left out", p.Shorter, report.Seconds(p.ShorterSeconds))
	}
}

var partNames = map[report.Part][2]string{
	report.PartEarlier: {"earlier attempt", "earlier"}, report.PartWaiting: {"waiting", "waiting"}, report.PartPreflight: {"preflight", "preflight"},
	report.PartTeardown: {"teardown", "teardown"}, report.PartProvision: {"provision", "provision"}, report.PartApply: {"apply", "apply"},
	report.PartGates: {"gates", "gates"}, report.PartVerify: {"verify", "verify"}, report.PartCleanup: {"cleanup", "cleanup"}, report.PartOther: {"other", "other"},
}

func partName(p report.Part) string {
	if known, ok := partNames[p]; ok {
		return known[0]
	}
	return string(p) // a phase that has no part of its own
}

func partClass(p report.Part) string {
	if known, ok := partNames[p]; ok {
		return known[1]
	}
	return "other"
}

func certificate(envelope json.RawMessage) string {
	if len(envelope) == 0 {
		return ""
	}
	var out bytes.Buffer
	if err := json.Indent(&out, envelope, "", "  "); err != nil {
		return string(envelope)
	}
	return out.String()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// clip bounds a message.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
