package html

import (
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/report"
)

// gantt is the timeline, laid out.
type gantt struct {
	Width, Height, Top, Bottom, TickY int
	Ticks                             []tick
	Rows                              []ganttRow
	Lines                             []ganttLine
}

type tick struct {
	X     string
	Label string
}

type ganttRow struct {
	Label, Class  string
	LabelX, TextY int
	Bars          []bar
	Note          *note
}

type bar struct {
	Class, X, W, Title string
	Y, H               int
}

type note struct {
	X     string
	Y     int
	Label string
}

type ganttLine struct {
	Class, X, LabelX, Anchor, Label string
	LabelY                          int
}

const (
	ganttWidth = 1060
	gutter     = 150
	margin     = 90 // on the right, for the last label
	rowHeight  = 24
	barHeight  = 14
	ganttTop   = 36
	// maxWaveRows of waves; more of them are one row.
	maxWaveRows = 30
	// farAway is how much longer than the run the axis becomes for the objective.
	farAway = 3
	// most ticks of the axis.
	mostTicks = 8
)

// scale turns times into places.
type scale struct {
	from  time.Time
	whole time.Duration
}

func (s scale) x(t time.Time) float64 {
	share := float64(t.Sub(s.from)) / float64(s.whole)
	return gutter + min(max(share, 0), 1)*(ganttWidth-gutter-margin)
}

func px(v float64) string { return fmt.Sprintf("%.1f", v) }

// ganttOf a run: its critical path, its phases, and the waves within their phase.
func ganttOf(r *report.Report, path *report.Path) *gantt {
	s := scale{from: path.From, whole: path.To.Sub(path.From)}
	objective := objectiveAt(r)
	// An objective that is far away is said, and the bars are not made tiny for it.
	s.whole = max(s.whole, min(objective.Sub(path.From), farAway*s.whole))
	if s.whole <= 0 {
		return nil
	}
	g := &gantt{Width: ganttWidth, Top: ganttTop}
	row := g.row("critical path", 0, "")
	for _, step := range path.Steps {
		end := step.StartedAt.Add(time.Duration(step.Seconds * float64(time.Second)))
		title := fmt.Sprintf("%s: %s, %s", partName(step.Part), step.What, report.Seconds(step.Seconds))
		row.Bars = append(row.Bars, s.bar(step.StartedAt, end, partClass(step.Part), title, row))
	}
	for _, p := range r.Phases {
		end := path.To
		if p.FinishedAt != nil {
			end = *p.FinishedAt
		}
		row := g.row(string(p.Name), 0, "")
		row.Bars = append(row.Bars, s.bar(p.StartedAt, end, partClass(barPart(p.Name)), fmt.Sprintf("%s: %s", p.Name, report.Seconds(end.Sub(p.StartedAt).Seconds())), row))
		row.Note = &note{X: px(s.x(end) + 5), Y: row.TextY, Label: report.Seconds(end.Sub(p.StartedAt).Seconds())}
		if p.Name == v1alpha1.PhaseWaves {
			g.waves(r.Waves, s)
		}
	}
	g.Bottom = ganttTop + len(g.Rows)*rowHeight
	g.Height, g.TickY = g.Bottom+24, g.Bottom+16
	g.axis(s)
	if !objective.IsZero() {
		label := "objective " + report.Seconds(r.Objective.RecoveryTimeSeconds)
		if objective.After(s.from.Add(s.whole)) {
			label += " →"
		}
		g.line(s, "objective", label, objective, 14)
	}
	if r.RecoveryTimeSeconds != nil && r.StartedAt != nil {
		g.line(s, "recovered", "recovered "+report.Seconds(*r.RecoveryTimeSeconds), since(r).Add(time.Duration(*r.RecoveryTimeSeconds*float64(time.Second))), 28)
	}
	return g
}

// barPart is the colour of a phase.
func barPart(p v1alpha1.Phase) report.Part {
	switch p {
	case v1alpha1.PhaseApproval:
		return report.PartWaiting
	case v1alpha1.PhaseBootstrap:
		return report.PartProvision
	case v1alpha1.PhaseSeed, v1alpha1.PhaseWaves:
		return report.PartApply
	}
	return report.Part(p)
}

// since when the recovery time counts.
func since(r *report.Report) time.Time {
	if r.Retried != nil {
		return r.Retried.StartedAt
	}
	return *r.StartedAt
}

// objectiveAt is when the cluster had to be recovered; zero without an objective.
func objectiveAt(r *report.Report) time.Time {
	if r.Objective == nil || r.StartedAt == nil || r.Operation == v1alpha1.OperationTeardown {
		return time.Time{}
	}
	return since(r).Add(time.Duration(r.Objective.RecoveryTimeSeconds * float64(time.Second)))
}

func (g *gantt) row(label string, indent int, class string) *ganttRow {
	y := ganttTop + len(g.Rows)*rowHeight
	g.Rows = append(g.Rows, ganttRow{Label: label, Class: class, LabelX: 4 + indent, TextY: y + 16})
	return &g.Rows[len(g.Rows)-1]
}

func (s scale) bar(from, to time.Time, class, title string, row *ganttRow) bar {
	x := s.x(from)
	return bar{Class: class, X: px(x), W: px(max(s.x(to)-x, 1)), Title: title, Y: row.TextY - 11, H: barHeight}
}

// waves are rows of their own as long as they are few.
func (g *gantt) waves(waves []report.Wave, s scale) {
	var rest []report.Wave
	if len(waves) > maxWaveRows {
		waves, rest = waves[:maxWaveRows-1], waves[maxWaveRows-1:]
	}
	for _, w := range waves {
		g.wave(fmt.Sprintf("wave %d", w.Number), w, s)
	}
	if len(rest) == 0 {
		return
	}
	var all report.Wave
	for _, w := range rest {
		all.Objects = append(all.Objects, w.Objects...)
	}
	g.wave(fmt.Sprintf("%d more waves", len(rest)), all, s)
}

func (g *gantt) wave(label string, w report.Wave, s scale) {
	from, to := reach(w)
	if from.IsZero() {
		return
	}
	row := g.row(label, 14, "dim")
	row.Bars = append(row.Bars, s.bar(from, to, "gates", fmt.Sprintf("%s: %d objects, %s", label, len(w.Objects), report.Seconds(to.Sub(from).Seconds())), row))
	row.Note = &note{X: px(s.x(to) + 5), Y: row.TextY, Label: objects(len(w.Objects))}
}

func objects(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

// axis has round steps.
func (g *gantt) axis(s scale) {
	step := roundStep(s.whole, mostTicks)
	for at := time.Duration(0); at <= s.whole; at += step {
		g.Ticks = append(g.Ticks, tick{X: px(s.x(s.from.Add(at))), Label: axisLabel(at)})
	}
}

// roundStep that divides a time into so many parts at most.
func roundStep(whole time.Duration, most int) time.Duration {
	for _, step := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	} {
		if whole <= time.Duration(most)*step {
			return step
		}
	}
	return (whole/time.Duration(most) + 24*time.Hour).Truncate(24 * time.Hour)
}

func axisLabel(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 0 && m == 0:
		return fmt.Sprintf("%dh", h)
	case h > 0:
		return fmt.Sprintf("%dh%dm", h, m)
	case m > 0 && s == 0:
		return fmt.Sprintf("%dm", m)
	case m > 0:
		return fmt.Sprintf("%dm%ds", m, s)
	}
	return fmt.Sprintf("%ds", s)
}

// line across all rows, with its label on the side where there is room.
func (g *gantt) line(s scale, class, label string, at time.Time, y int) {
	x := s.x(at)
	l := ganttLine{Class: class, X: px(x), LabelX: px(x + 5), Anchor: "start", LabelY: y, Label: label}
	if x > ganttWidth-160 {
		l.LabelX, l.Anchor = px(x-5), "end"
	}
	g.Lines = append(g.Lines, l)
}
