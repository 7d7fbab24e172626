package html

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/recovery/report"
)

type waveView struct {
	Number  int
	Summary string
	Open    bool
	Rows    []objectRow
}

type objectRow struct{ ID, Status, Class, Message, At, Time, Tries, Origin string }

type verificationView struct {
	Summary, Class string
	Lists          []findingList
	Others         []report.Group
}

type findingList struct {
	Name, More string
	Count      int
	Rows       []findingRow
}

type findingRow struct {
	ID, Detail, Origin string
	Changes            []string
}

type lossView struct {
	Sum, More string
	Rows      []lossRow
}

type lossRow struct{ What, ID, Reason string }

const (
	// maxFindings of a kind, and maxChanges of one of them.
	maxFindings = 300
	maxChanges  = 10
	// rowOverhead is about what the tags of a row take; a character may become five.
	rowOverhead = 130
	// maxMessage of an object in a table of thousands.
	maxMessage = 200
)

// waves shows the objects, as many as the budget allows: those that something is to be said
// about first, then the slowest. The others are counted.
func (v *view) waves(r *report.Report, budget int) {
	shown := choose(r, budget)
	began := time.Time{}
	if r.StartedAt != nil {
		began = *r.StartedAt
	}
	total, left := 0, 0
	for i, w := range r.Waves {
		wave := waveView{Number: w.Number}
		healthy, eventful := 0, 0
		for j := range w.Objects {
			o := &w.Objects[j]
			if o.Settled() {
				healthy++
			}
			if notable(o) {
				eventful++
			}
			if !shown[place{i, j}] {
				left++
				continue
			}
			wave.Rows = append(wave.Rows, rowOf(o, began))
		}
		total += len(w.Objects)
		wave.Summary = fmt.Sprintf("%s, %d settled", objects(len(w.Objects)), healthy)
		if took := length(w); took > 0 {
			wave.Summary += ", " + report.Seconds(took)
		}
		if eventful > 0 {
			wave.Summary += fmt.Sprintf(", %d with something to say", eventful)
		}
		wave.Open = eventful > 0 && len(wave.Rows) <= 100
		v.Waves = append(v.Waves, wave)
	}
	v.WavesSum = fmt.Sprintf("%s in %d waves.", objects(total), len(r.Waves))
	if len(r.Waves) == 1 {
		v.WavesSum = objects(total) + " in 1 wave."
	}
	if left > 0 {
		v.LeftOut = fmt.Sprintf("%d objects are left out of this page, which would be too large; the JSON form has them. Those that failed or were tried again are here, and then the slowest.", left)
	}
}

type place struct{ wave, object int }

func notable(o *report.Object) bool {
	return !o.Settled() || o.Attempts > 1 || o.Message != ""
}

// choose the objects that are shown, by what their rows take.
func choose(r *report.Report, budget int) map[place]bool {
	var all []place
	for i, w := range r.Waves {
		for j := range w.Objects {
			all = append(all, place{i, j})
		}
	}
	at := func(p place) *report.Object { return &r.Waves[p.wave].Objects[p.object] }
	rank := func(p place) int {
		switch o := at(p); {
		case !o.Settled():
			return 0
		case notable(o):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(at(b).Seconds, at(a).Seconds))
	})
	shown := make(map[place]bool, len(all))
	for _, p := range all {
		o := at(p)
		if budget -= rowOverhead + len(o.ID) + len(o.Origin) + min(len(o.Message), maxMessage) + len(o.Status); budget < 0 {
			break
		}
		shown[p] = true
	}
	return shown
}

func rowOf(o *report.Object, began time.Time) objectRow {
	row := objectRow{ID: o.ID, Status: o.Status, Message: o.Message, Origin: o.Origin, Time: report.Seconds(o.Seconds), Tries: strconv.Itoa(o.Attempts)}
	if len(row.Message) > maxMessage {
		row.Message = strings.ToValidUTF8(row.Message[:maxMessage], "") + "…"
	}
	switch {
	case o.Adopted:
		row.Tries, row.Time = "found", ""
	case o.StartedAt != nil && !began.IsZero():
		row.At = "+" + report.Seconds(o.StartedAt.Sub(began).Seconds())
	}
	switch {
	case !o.Settled() && o.Optional:
		row.Class, row.Status = "warn", o.Status+" (optional)"
	case !o.Settled():
		row.Class = "bad"
	}
	return row
}

// length of a wave, from the first object's start to the last one's end.
func length(w report.Wave) float64 {
	from, to := reach(w)
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return max(to.Sub(from).Seconds(), 0)
}

// reach of a wave in time.
func reach(w report.Wave) (from, to time.Time) {
	for i := range w.Objects {
		o := &w.Objects[i]
		if o.StartedAt == nil {
			continue
		}
		if from.IsZero() || o.StartedAt.Before(from) {
			from = *o.StartedAt
		}
		for _, t := range []*time.Time{o.StartedAt, o.AppliedAt, o.ReadyAt} {
			if t != nil && t.After(to) {
				to = *t
			}
		}
	}
	return from, to
}

func verificationOf(v *report.Verification) *verificationView {
	if v == nil {
		return nil
	}
	out := &verificationView{Summary: v.Summary(), Class: "bad", Others: v.Others}
	if v.Matches() {
		out.Class = "good"
	}
	for _, list := range v.Details.Named() {
		if len(list.Findings) == 0 {
			continue
		}
		l := findingList{Name: list.Name, Count: len(list.Findings)}
		if left := len(list.Findings) - maxFindings; left > 0 {
			l.More = fmt.Sprintf("%d more are in the JSON form", left)
		}
		for _, f := range list.Findings[:min(maxFindings, len(list.Findings))] {
			l.Rows = append(l.Rows, findingRow{ID: f.ID, Detail: clip(f.Explained()), Origin: f.Origin, Changes: changes(f.Changes)})
		}
		out.Lists = append(out.Lists, l)
	}
	return out
}

func changes(all []report.Change) []string {
	var out []string
	for _, c := range all[:min(maxChanges, len(all))] {
		line := c.Path
		if c.Rendered != "" || c.Live != "" {
			line += fmt.Sprintf(": %s in the repository, %s in the cluster", cmp.Or(c.Rendered, "nothing"), cmp.Or(c.Live, "nothing"))
		}
		if c.Manager != "" {
			line += ", by " + c.Manager
		}
		out = append(out, clip(line))
	}
	if left := len(all) - maxChanges; left > 0 {
		out = append(out, fmt.Sprintf("and %d more fields", left))
	}
	return out
}

func lossOf(p *loss.Preview) *lossView {
	if p == nil {
		return nil
	}
	out := &lossView{Sum: fmt.Sprintf("%d objects, fields or volumes are not known to come back.", p.Total)}
	all := append(slices.Clone(p.Lost), p.Volumes...)
	for _, i := range all[:min(maxFindings, len(all))] {
		reason := i.Reason
		if i.Excuse != "" {
			reason += " (" + i.Excuse + ")"
		}
		out.Rows = append(out.Rows, lossRow{What: string(i.Class) + " " + string(i.What), ID: i.ID.String(), Reason: clip(reason)})
	}
	if left := len(all) - maxFindings + p.LeftOut; left > 0 && (len(all) > maxFindings || p.LeftOut > 0) {
		out.More = fmt.Sprintf("%d more are not listed here", max(len(all)-maxFindings, 0)+p.LeftOut)
	}
	return out
}
