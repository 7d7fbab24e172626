// Package text prints a graph for people: wave by wave, every object with its place
// in the repository and every edge with its reason, in plain columns.
package text

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/order"
)

// Options of Write.
type Options struct {
	// All prints every edge on a line of its own. Otherwise a run of edges of one
	// reason to objects of one kind is cut after a few, and counted.
	All bool
}

// alike is how many dependencies of one kind and reason are spelled out.
const alike = 3

// widest bounds the padding of a column, so that one long name does not push the
// others off the screen.
const widest = 72

// Write the view. Objects of one wave that are of one kind and wait for the same
// things are one block.
func Write(w io.Writer, v order.View, o Options) error {
	p := printer{w: bufio.NewWriter(w), options: o}
	p.legend(v)
	p.units(v)
	for _, wave := range v.Waves {
		p.wave(wave)
	}
	for _, b := range v.Barriers {
		p.barrier(b)
	}
	if len(v.Warnings) > 0 {
		p.line("Warnings")
		for _, text := range v.Warnings {
			p.line("  - " + text)
		}
	}
	return p.w.Flush()
}

type printer struct {
	w       *bufio.Writer
	options Options
}

// line drops trailing blanks, which padded columns leave. Errors stay in the buffered
// writer until it is flushed.
func (p *printer) line(s string) {
	_, _ = p.w.WriteString(strings.TrimRight(s, " ") + "\n")
}

func (p *printer) legend(v order.View) {
	total := 0
	for _, w := range v.Waves {
		total += len(w.Objects)
	}
	p.line(fmt.Sprintf("%s in %s. Each goes as soon as what is listed below it is there.", count(total, "object"), count(len(v.Waves), "wave")))
	p.line("")
}

// units are worth a list when there is more to them than the paths that were given.
func (p *printer) units(v order.View) {
	declared := slices.ContainsFunc(v.Units, func(u order.UnitView) bool { return u.Definition != nil || len(u.After) > 0 })
	if declared {
		p.line("Units")
		rows := make([][2]string, 0, len(v.Units))
		for _, u := range v.Units {
			rows = append(rows, [2]string{u.Name, ""})
		}
		width := columnWidth(rows)
		for _, u := range v.Units {
			p.line(fmt.Sprintf("  %-*s  %s  %s", width, u.Name, count(u.Objects, "object"), u.Origin))
			for _, d := range u.After {
				p.line(fmt.Sprintf("    after %s  %s", d.Unit, d.Reason))
			}
		}
		p.line("")
	}
	if len(v.LeftOut) > 0 {
		p.line("Not written")
		for _, o := range v.LeftOut {
			p.line(fmt.Sprintf("  %s  %s", name(o.ID), o.Origin))
		}
		p.line("")
	}
}

func (p *printer) wave(w order.WaveView) {
	p.line(fmt.Sprintf("Wave %d (%s)", w.Number, count(len(w.Objects), "object")))
	rows := make([][2]string, 0, len(w.Objects))
	for _, o := range w.Objects {
		rows = append(rows, [2]string{name(o.ID), ""})
	}
	width := columnWidth(rows)
	for _, b := range group(w.Objects) {
		for _, o := range b {
			p.line(fmt.Sprintf("  %-*s  %s", width, name(o.ID), o.Origin))
		}
		p.needs(b[0].After, len(b))
	}
	p.line("")
}

// name leaves out the group of kinds that everyone knows without it.
func name(id manifests.ID) string {
	if builtin.Lookup(id.GroupKind()) != nil {
		id.Group = ""
	}
	return id.String()
}

func dependency(n order.NeedView) string {
	if n.Object != nil {
		return name(*n.Object)
	}
	return n.Barrier
}

// group puts together objects of one kind with the same needs, in the sequence in
// which the first of each block comes.
func group(all []order.ObjectView) [][]order.ObjectView {
	at := map[string]int{}
	var out [][]order.ObjectView
	for _, o := range all {
		key := signature(o)
		k, ok := at[key]
		if !ok {
			k = len(out)
			at[key] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], o)
	}
	return out
}

func signature(o order.ObjectView) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\x00%s", o.Kind, o.Group)
	for _, n := range o.After {
		fmt.Fprintf(&b, "\x00%s\x00%s\x00%s\x00%s", n.Name(), n.Gate, n.Kind, n.Reason)
	}
	return b.String()
}

func (p *printer) needs(needs []order.NeedView, waiting int) {
	word := "after"
	if waiting > 1 {
		word = "each after"
	}
	rows := p.rows(needs)
	width := columnWidth(rows)
	for _, r := range rows {
		p.line(fmt.Sprintf("    %s %-*s  %s", word, width, r[0], r[1]))
	}
}

// rows are dependency and reason; the gate stands in parentheses after the reason.
func (p *printer) rows(needs []order.NeedView) [][2]string {
	rows := make([][2]string, 0, len(needs))
	for len(needs) > 0 {
		n := needs[0]
		same := 1
		for same < len(needs) && similar(n, needs[same]) {
			same++
		}
		shown := same
		if !p.options.All && same > alike+1 {
			shown = alike
		}
		for _, m := range needs[:shown] {
			rows = append(rows, [2]string{dependency(m), because(m)})
		}
		if more := same - shown; more > 0 {
			rows = append(rows, [2]string{fmt.Sprintf("%d more of kind %s", more, n.Object.Kind), because(n)})
		}
		needs = needs[same:]
	}
	return rows
}

// similar edges differ only in the name of the dependency.
func similar(a, b order.NeedView) bool {
	return a.Object != nil && b.Object != nil && a.Object.GroupKind() == b.Object.GroupKind() &&
		a.Gate == b.Gate && a.Kind == b.Kind && a.Reason == b.Reason
}

func because(n order.NeedView) string {
	return fmt.Sprintf("%s (%s)", n.Reason, gates[n.Gate])
}

var gates = map[order.Gate]string{
	order.Applied: "applied",
	order.Served:  "served",
	order.Ready:   "ready",
}

// barrier prints what an object that waits for many waits for.
func (p *printer) barrier(b order.BarrierView) {
	p.line(fmt.Sprintf("Barrier: %s", b.Description))
	needs := slices.Clone(b.After)
	slices.SortStableFunc(needs, func(a, c order.NeedView) int { return strings.Compare(kindOf(a), kindOf(c)) })
	p.needs(needs, 1)
	p.line("")
}

func kindOf(n order.NeedView) string {
	if n.Object == nil {
		return ""
	}
	return n.Object.GroupKind().String()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func columnWidth(rows [][2]string) int {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	return min(width, widest)
}
