package html

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/report"
)

type trendView struct {
	Summary string
	Chart   *chart
	Rows    []trendRow
}

type trendRow struct {
	Run, Operation, Finished, Result, Class, Time, Objective, ObjectiveClass string
}

type chart struct {
	Width, Height, Left, Right, LabelX int
	Ticks                              []chartLine
	Objective                          *chartLine
	Points                             string
	Dots                               []dot
}

type chartLine struct {
	Y     string
	TextY string
	Label string
}

type dot struct{ X, Y, Class, Title string }

const (
	chartWidth, chartHeight    = 900, 220
	chartLeft, chartRight      = 70, 880
	chartTop, chartBottom      = 20, 200
	chartTicks                 = 4
	maxTrendRows               = 200
	maxChartPoints             = 100
	chartLabelDown, chartDotUp = 4.0, 6.0
)

func trendOf(t *report.Trend) *trendView {
	v := &trendView{Summary: summary(t), Chart: chartOf(t.Runs)}
	runs := t.Runs[max(0, len(t.Runs)-maxTrendRows):]
	for i := len(runs) - 1; i >= 0; i-- {
		p := runs[i]
		row := trendRow{Run: p.Run, Operation: string(p.Operation), Finished: stamp(p.FinishedAt), Result: p.How(), Class: "good"}
		switch {
		case p.Ending != "":
			row.Class = ""
		case p.Result == v1alpha1.ResultFailed:
			row.Class = "bad"
		}
		if p.RecoveryTimeSeconds != nil {
			row.Time = report.Seconds(*p.RecoveryTimeSeconds)
		}
		if p.ObjectiveSeconds > 0 && p.Operation != v1alpha1.OperationTeardown {
			row.Objective, row.ObjectiveClass = report.Seconds(p.ObjectiveSeconds)+" missed", "bad"
			if p.ObjectiveMet {
				row.Objective, row.ObjectiveClass = report.Seconds(p.ObjectiveSeconds)+" met", "good"
			}
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}

func summary(t *report.Trend) string {
	if t.Measured == 0 {
		return "No recovery time was measured yet."
	}
	s := fmt.Sprintf("%d measured recovery times: half of them took at most %s, nine in ten at most %s.", t.Measured, report.Seconds(*t.P50Seconds), report.Seconds(*t.P90Seconds))
	if c := t.Change; c != nil {
		s += fmt.Sprintf(" Run %s took %s (%+.0f%%) against run %s; %s.", c.Run, signed(c.Seconds), c.Percent, c.Against, blamed(c))
	}
	return s
}

// signed seconds, as a difference.
func signed(s float64) string {
	if s < 0 {
		return "−" + report.Seconds(-s)
	}
	return "+" + report.Seconds(s)
}

// blamed is the phase that changed most.
func blamed(c *report.Shift) string {
	if c.Phase == "" {
		return "no phase changed"
	}
	return fmt.Sprintf("most of it in %s, %s", cmp.Or(partName(report.Part(c.Phase)), string(c.Phase)), signed(c.PhaseSeconds))
}

// chartOf the recovery times that were measured, with the objective of the last run.
func chartOf(runs []report.Past) *chart {
	var points []report.Past
	top := 0.0
	for _, p := range runs {
		if p.RecoveryTimeSeconds != nil {
			points = append(points, p)
		}
	}
	points = points[max(0, len(points)-maxChartPoints):]
	if len(points) < 2 {
		return nil
	}
	objective := points[len(points)-1].ObjectiveSeconds
	for _, p := range points {
		top = max(top, *p.RecoveryTimeSeconds, objective)
	}
	if top <= 0 {
		return nil
	}
	top *= 1.1
	y := func(s float64) float64 { return chartBottom - s/top*(chartBottom-chartTop) }
	c := &chart{Width: chartWidth, Height: chartHeight, Left: chartLeft, Right: chartRight, LabelX: chartLeft - 6}
	step := roundStep(time.Duration(top*float64(time.Second)), chartTicks).Seconds()
	for s := 0.0; s <= top; s += step {
		c.Ticks = append(c.Ticks, chartLine{Y: px(y(s)), TextY: px(y(s) + chartLabelDown), Label: axisLabel(time.Duration(s * float64(time.Second)))})
	}
	if objective > 0 {
		c.Objective = &chartLine{Y: px(y(objective)), TextY: px(y(objective) - chartDotUp), Label: "objective " + report.Seconds(objective)}
	}
	var line []string
	for i, p := range points {
		x := chartLeft + 15 + float64(i)/float64(len(points)-1)*(chartRight-chartLeft-30)
		d := dot{X: px(x), Y: px(y(*p.RecoveryTimeSeconds)), Title: fmt.Sprintf("%s (%s): %s", p.Run, p.Operation, report.Seconds(*p.RecoveryTimeSeconds))}
		if p.ObjectiveSeconds > 0 && !p.ObjectiveMet || p.Result == v1alpha1.ResultFailed {
			d.Class = "fail"
		}
		c.Dots = append(c.Dots, d)
		line = append(line, d.X+","+d.Y)
	}
	c.Points = strings.Join(line, " ")
	return c
}
