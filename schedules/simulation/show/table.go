// Package show writes a simulation for people and for programs: as a table, as JSON, as an
// iCalendar and as a page with a calendar.
package show

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/refloat-dev/refloat/schedules/simulation"
)

// Table of the transitions, and what they come to.
func Table(w io.Writer, r *simulation.Result, skipped bool) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TIME\tPLAN\tOPERATION\tREASON")
	for _, t := range r.Transitions {
		operation, reason := string(t.Operation), t.Reason
		if t.Skipped != "" {
			if !skipped {
				continue
			}
			operation, reason = "(no "+strings.ToLower(operation)+")", t.Skipped+"; "+t.Reason
		}
		if t.Wait > 0 {
			reason += fmt.Sprintf("; waits %s in the queue", seconds(t.Wait))
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", t.Time.Format("Mon 2006-01-02 15:04 MST"), t.Plan, operation, reason)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, "\n", Summary(r))
	return err
}

// Summary in a few lines.
func Summary(r *simulation.Result) string {
	var b strings.Builder
	made, plans := 0, map[string]bool{}
	left := map[string]int{}
	for _, t := range r.Transitions {
		plans[t.Plan] = true
		if t.Skipped == "" {
			made++
			continue
		}
		left[t.Skipped]++
	}
	fmt.Fprintf(&b, "%s of %s from %s to %s", counted(made, "transition"), counted(len(plans), "plan"), r.From.Format("2006-01-02"), r.Until.Format("2006-01-02"))
	if r.Peak > 0 {
		fmt.Fprintf(&b, "; at most %d at a time (%s)", r.Peak, r.PeakAt.In(r.From.Location()).Format("2006-01-02 15:04"))
	}
	if r.Longest > 0 {
		fmt.Fprintf(&b, "; the longest wait in a queue is %s", r.Longest.Round(time.Second))
	}
	fmt.Fprintln(&b)
	for _, why := range sortedKeys(left) {
		fmt.Fprintf(&b, "no run at %s: %s\n", counted(left[why], "time"), why)
	}
	for _, text := range Warnings(r) {
		fmt.Fprintf(&b, "warning: %s\n", text)
	}
	return b.String()
}

// Warnings about what is probably not meant. Forms that are for programs do not hold them.
func Warnings(r *simulation.Result) []string {
	var all []string
	for _, o := range r.Overlaps {
		all = append(all, fmt.Sprintf("plan %s is in two schedules, %s and %s", o.Plan, o.Between[0], o.Between[1]))
	}
	for _, name := range r.OneWay {
		all = append(all, fmt.Sprintf("schedule %s tears clusters down and nothing brings them back; is spec.rebuild missing?", name))
	}
	for _, name := range r.Suspended {
		all = append(all, fmt.Sprintf("schedule %s is suspended: it does nothing until spec.suspend is false", name))
	}
	return all
}

// JSON is an array with one object per transition.
func JSON(w io.Writer, r *simulation.Result, skipped bool) error {
	data, err := json.MarshalIndent(Listed(r, skipped), "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// Listed are the transitions that make a run, or all.
func Listed(r *simulation.Result, skipped bool) []simulation.Transition {
	listed := []simulation.Transition{}
	for _, t := range r.Transitions {
		if skipped || t.Skipped == "" {
			listed = append(listed, t)
		}
	}
	return listed
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}

func sortedKeys(m map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
