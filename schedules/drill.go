package schedules

import (
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/cron"
)

// defaultDrillMissed is how late a drill may start: it is in nobody's way, and rare.
const defaultDrillMissed = 12 * time.Hour

func (t *Timetable) addDrill(spec *v1alpha1.DrillTimes) error {
	if spec == nil {
		return nil
	}
	expression, err := cron.Parse(string(spec.Cron))
	if err != nil {
		return fmt.Errorf("spec.drill.cron: %w", err)
	}
	d := &direction{name: v1alpha1.DirectionDrill, cron: expression}
	if d.deadline, err = deadline(spec.Missed, defaultDrillMissed); err != nil || d.deadline == 0 {
		return fmt.Errorf("spec.drill.missed.deadline: %q is not a duration such as 12h", spec.Missed.Deadline)
	}
	t.directions[d.name] = d
	return nil
}

// DecideDrill is what to do about the drills of a plan. They have nothing to do with
// whether its cluster is up: no hold stops them, and nothing that they do is undone by
// another time. A drill comes last: it waits for what works on the plan, until it is late.
func (t *Timetable) DecideDrill(o Observed) Decision {
	d := Decision{Action: Rest, Dealt: map[v1alpha1.Direction]Dealt{}}
	if !t.Has(v1alpha1.DirectionDrill) {
		return d
	}
	due, ok := t.LastOf(v1alpha1.DirectionDrill, o.Since, o.Now, o.Pace)
	if ok && o.newer(due, o.Drill) {
		t.drill(o, due, &d)
	} else if raw, ok := t.lastAny(v1alpha1.DirectionDrill, o.Since, o.Now, o.Pace); ok && raw.Skipped != "" && o.newer(raw, o.Drill) {
		d.Dealt[v1alpha1.DirectionDrill] = raw.dealt(v1alpha1.OutcomeSkipped, raw.Skipped)
	}
	if d.Action == Rest && len(d.Dealt) > 0 {
		d.Action = Record
	}
	if next, ok := t.NextOf(v1alpha1.DirectionDrill, o.Now, o.Pace); ok && d.Action != Order {
		d.sooner(next.Start)
	}
	return d
}

// drill that is due.
func (t *Timetable) drill(o Observed, due Due, d *Decision) {
	limit := t.directions[due.Operation].deadline
	switch b := o.Drilling; {
	case b != nil && b.Ours && b.Nominal == due.Nominal.String():
		h := due.dealt(v1alpha1.OutcomeOrdered, "")
		h.Run, h.Attempt = b.Run, 1
		d.Dealt[due.Operation] = h
	case o.Now.Sub(due.Start) > limit:
		d.Dealt[due.Operation] = due.dealt(v1alpha1.OutcomeMissed, fmt.Sprintf("nobody could act on it for more than %s", limit))
	case b != nil || o.Busy != nil:
		d.Again = o.Now.Add(busyPause)
		if end := due.Start.Add(limit + time.Second); end.Before(d.Again) {
			d.Again = end
		}
	default:
		d.Action, d.Due, d.Attempt = Order, due, 1
	}
}
