package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// runView prints a run as append-only lines, one for each phase that ended and one
// for what is going on. On a smart terminal the latter is repainted in place; in a
// log it is repeated only by the heartbeat.
type runView struct {
	w        io.Writer
	smart    bool
	finished int    // phases printed as ended
	begun    int    // phases announced as begun, on a plain terminal
	last     string // the line of what is going on
	painted  bool
	ended    bool
	beaten   string // the line that was last repeated
	quiet    int    // beats since
	told     string // the trouble that was told last
}

func newRunView(w io.Writer, smart bool) *runView { return &runView{w: w, smart: smart} }

// show prints what changed since the last call.
func (v *runView) show(run *v1alpha1.RecoveryRun) {
	phases := run.Status.Phases
	for ; v.finished < len(phases) && phases[v.finished].FinishedAt != nil; v.finished++ {
		v.line(phaseLine(phases[v.finished], run))
	}
	v.begun = max(v.begun, v.finished)
	v.last = currentLine(run)
	switch {
	case run.Status.FinishedAt != nil:
		if !v.ended {
			v.ended = true
			v.line(outcomeLine(run))
		}
	case v.smart:
		v.erase()
		fmt.Fprintf(v.w, "\r%s", v.last)
		v.painted = true
	case v.begun < len(phases):
		v.begun = len(phases)
		v.line(v.last)
	}
}

// quietBeats is how many beats pass before a line that has not changed is repeated.
const quietBeats = 6

// beat shows in a log that a long wait is alive: at once when what is waited for has
// changed, and now and then when it has not.
func (v *runView) beat() {
	if v.smart || v.last == "" || v.ended {
		return
	}
	if v.last == v.beaten && v.quiet < quietBeats {
		v.quiet++
		return
	}
	v.beaten, v.quiet = v.last, 0
	v.line(v.last)
}

// seen tells whether anything was shown.
func (v *runView) seen() bool { return v.last != "" }

// trouble tells once that the management cluster does not answer.
func (v *runView) trouble(err error) {
	if text := err.Error(); text != v.told {
		v.told = text
		v.line("… " + text + "; trying again, the run goes on meanwhile")
	}
}

// waitingFor is the current line without its marker, for a closing sentence.
func (v *runView) waitingFor() string { return strings.TrimSpace(strings.TrimPrefix(v.last, "◎")) }

func (v *runView) close() { v.erase() }

func (v *runView) line(s string) {
	v.erase()
	fmt.Fprintln(v.w, s)
}

func (v *runView) erase() {
	if v.painted {
		fmt.Fprint(v.w, "\r\x1b[K")
		v.painted = false
	}
}

func phaseLine(p v1alpha1.PhaseRecord, run *v1alpha1.RecoveryRun) string {
	mark := "✔"
	if f := run.Status.Failure; f != nil && f.Phase == p.Name {
		mark = "✗"
	}
	return strings.TrimRight(fmt.Sprintf("%s %-10s %7s  %s", mark, p.Name, seconds(p.FinishedAt.Sub(p.StartedAt.Time)), p.Message), " ")
}

func currentLine(run *v1alpha1.RecoveryRun) string {
	s := run.Status
	if len(s.Phases) == 0 {
		if s.Waiting != nil {
			return "◎ Queued     " + s.Waiting.For
		}
		return "◎ Queued     waiting for the controller to take the run"
	}
	p := s.Phases[len(s.Phases)-1]
	parts := []string{}
	if s.Progress != nil && p.Name == v1alpha1.PhaseWaves {
		parts = append(parts, fmt.Sprintf("wave %d, %d of %d applied, %d healthy", s.Progress.Wave, s.Progress.Applied, s.Progress.Total, s.Progress.Healthy))
	}
	if s.Waiting != nil {
		parts = append(parts, "waiting for "+s.Waiting.For)
	}
	return strings.TrimRight(fmt.Sprintf("◎ %-10s %7s  %s", p.Name, "", strings.Join(parts, "; ")), " ")
}

func outcomeLine(run *v1alpha1.RecoveryRun) string {
	succeeded := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionSucceeded)
	if succeeded == nil || succeeded.Status != "True" {
		message := "no reason was recorded"
		if succeeded != nil {
			message = succeeded.Message
		}
		how := "failed"
		if run.Status.Outcome == v1alpha1.DrillInterrupted {
			how = "interrupted"
		}
		if f := run.Status.Failure; f != nil && told(run, f) {
			message = fmt.Sprintf("%s in %s, as it says above; refloat why %s -n %s tells what can be done", f.Reason, f.Phase, run.Name, run.Namespace)
		}
		return fmt.Sprintf("✗ %s %s: %s", strings.ToLower(string(run.Spec.Operation)), how, message)
	}
	line := fmt.Sprintf("✔ %s succeeded", strings.ToLower(string(run.Spec.Operation)))
	if s := run.Status; s.RecoveredAt != nil && s.StartedAt != nil {
		line += fmt.Sprintf(": recovery time %s", seconds(s.RecoveredAt.Sub(s.StartedAt.Time)))
		if met := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionObjectiveMet); met != nil && s.Pinned != nil && s.Pinned.Plan.Objective.RecoveryTime != nil {
			verdict := "met"
			if met.Status != "True" {
				verdict = "missed"
			}
			line += fmt.Sprintf(" (objective %s %s)", s.Pinned.Plan.Objective.RecoveryTime.Duration, verdict)
		}
	}
	return line
}

// told tells whether the line of the phase that failed has the message already.
func told(run *v1alpha1.RecoveryRun, f *v1alpha1.Failure) bool {
	return slices.ContainsFunc(run.Status.Phases, func(p v1alpha1.PhaseRecord) bool {
		return p.Name == f.Phase && p.FinishedAt != nil && p.Message == f.Message
	})
}

// seconds is a duration to a tenth, as people compare them.
func seconds(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

func conditionTrue(run *v1alpha1.RecoveryRun, kind string) bool {
	return meta.IsStatusConditionTrue(run.Status.Conditions, kind)
}

func conditionFalse(run *v1alpha1.RecoveryRun, kind string) bool {
	return meta.IsStatusConditionFalse(run.Status.Conditions, kind)
}
