// Package simulation tells what timetables will do, by the same decisions that a
// controller takes, on a clock of its own. It needs no cluster.
package simulation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
	"github.com/refloat-dev/refloat/schedules/cron"
)

// Plan that a schedule is for.
type Plan struct {
	Name string
	Pace schedules.Pace
	// Holds that people made, and the state of the cluster when there are any.
	Holds []schedules.Hold
	State schedules.State
}

// Schedule to simulate.
type Schedule struct {
	Name string
	// Spec as it is written, for the reasons.
	Spec      *v1alpha1.RecoveryScheduleSpec
	Timetable *schedules.Timetable
	Plans     []Plan
}

// Span of time, without its end.
type Span struct{ From, Until time.Time }

// Options of a simulation.
type Options struct {
	Span
	// Outages of the controller.
	Outages []Span
}

// Transition is one time of a timetable and what comes of it.
type Transition struct {
	// Time at which the run starts; of a time that makes no run, when it would have.
	Time      time.Time          `json:"time"`
	Plan      string             `json:"plan"`
	Operation v1alpha1.Direction `json:"operation"`
	// Reason says which time of which timetable it is, and what is special about it.
	Reason   string `json:"reason"`
	Schedule string `json:"schedule"`
	// Nominal is the local time that the timetable names, without an offset.
	Nominal string `json:"nominal"`
	// ReadyBy is when the cluster has to be verified.
	ReadyBy *time.Time `json:"readyBy,omitempty"`
	// Skipped says why there is no run.
	Skipped string `json:"skipped,omitempty"`
	// Wait in the queue of the schedule, in seconds.
	Wait float64 `json:"waitSeconds,omitempty"`
}

// Overlap is a plan that two schedules are for.
type Overlap struct {
	Plan    string
	Between [2]string
}

// Result of a simulation.
type Result struct {
	Span
	// Transitions in the order of their times, those that make no run among them.
	Transitions []Transition
	// Peak is how many runs work at most at a time, and PeakAt when first.
	Peak   int
	PeakAt time.Time
	// Longest wait in a queue, in the order of the times.
	Longest  time.Duration
	Overlaps []Overlap
	// OneWay are the schedules that tear clusters down and never bring them back.
	OneWay []string
	// Suspended are the schedules that do nothing, whatever their timetables say.
	Suspended []string
}

// maxRounds of decisions at one instant; there are two at most.
const maxRounds = 8

// MaxTransitions bounds what one simulation makes: it has fewer.
const MaxTransitions = 1_000_000

// Run a simulation.
func Run(all []Schedule, o Options) (*Result, error) {
	if !o.Until.After(o.From) {
		return nil, fmt.Errorf("nothing to simulate: the end %s is not after the start %s", o.Until, o.From)
	}
	r := &Result{Span: o.Span, Overlaps: overlaps(all)}
	var working []work
	for _, s := range all {
		if s.Timetable.Has(v1alpha1.DirectionTeardown) && !s.Timetable.Has(v1alpha1.DirectionRebuild) {
			r.OneWay = append(r.OneWay, s.Name)
		}
		var of []work
		if s.Spec.Suspend {
			r.Suspended = append(r.Suspended, s.Name)
		}
		for _, g := range groupsOf(s.Plans) {
			list := s.simulate(g.Plan, o)
			// A list of that length was cut off there.
			if len(r.Transitions)+len(list)*len(g.names) >= MaxTransitions {
				return nil, fmt.Errorf("%d transitions or more; simulate fewer days or plans", MaxTransitions)
			}
			for _, name := range g.names {
				for _, t := range list {
					t.Plan = name
					r.Transitions = append(r.Transitions, t)
					if t.Skipped == "" {
						of = append(of, work{at: len(r.Transitions) - 1, start: t.Time, takes: duration(t.Operation, g.Pace), plan: name, priority: s.Spec.Priority})
					}
				}
			}
		}
		queued(of, int(schedules.Concurrency(s.Spec)))
		working = append(working, of...)
	}
	for _, w := range working {
		r.Transitions[w.at].Wait = w.waits.Seconds()
		r.Longest = max(r.Longest, w.waits)
	}
	r.Peak, r.PeakAt = peak(working)
	slices.SortStableFunc(r.Transitions, func(a, b Transition) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Plan, b.Plan), cmp.Compare(a.Schedule, b.Schedule), cmp.Compare(a.Nominal, b.Nominal))
	})
	return r, nil
}

// group of plans for which the same happens at the same times.
type group struct {
	Plan
	names []string
}

// groupsOf plans: a plan that is held is one of its own.
func groupsOf(plans []Plan) []group {
	var groups []group
	at := map[schedules.Pace]int{}
	for _, p := range plans {
		i, known := at[p.Pace]
		if len(p.Holds) > 0 || !known {
			i = len(groups)
			groups = append(groups, group{Plan: p})
		}
		if len(p.Holds) == 0 {
			at[p.Pace] = i
		}
		groups[i].names = append(groups[i].names, p.Name)
	}
	return groups
}

// simulate one schedule for a plan.
func (s Schedule) simulate(plan Plan, o Options) []Transition {
	list := s.timetable(plan, o)
	for i := range list {
		if t := &list[i]; s.Spec.Suspend && t.Skipped == "" {
			t.Skipped = "the schedule is suspended (spec.suspend)"
		}
	}
	return list
}

// timetable of one schedule for a plan.
func (s Schedule) timetable(plan Plan, o Options) []Transition {
	var list []Transition
	table, pace := s.Timetable.Alone(), plan.Pace
	for _, direction := range []v1alpha1.Direction{v1alpha1.DirectionTeardown, v1alpha1.DirectionRebuild, v1alpha1.DirectionDrill} {
		list = append(list, s.skipped(direction, pace, o.Span)...)
	}
	list = append(list, s.drills(table, pace, o)...)
	seen := schedules.Observed{Since: o.From.Add(-1), Pace: pace, Holds: plan.Holds, State: plan.State}
	now, postponed := o.From.Add(-1), time.Time{}
	for len(list) < MaxTransitions {
		next, ok := table.Next(now, pace)
		at := next.Start
		if !postponed.IsZero() && (!ok || postponed.Before(at)) {
			at, ok = postponed, true
		}
		if !ok || !at.Before(o.Until) {
			return list
		}
		if now = awake(at, o.Outages); !now.Before(o.Until) {
			return list
		}
		seen.Now = now
		var made []Transition
		made, postponed = s.at(table, &seen)
		list = append(list, made...)
	}
	return list
}

// drills of one schedule for a plan of that pace.
func (s Schedule) drills(table *schedules.Timetable, pace schedules.Pace, o Options) []Transition {
	var list []Transition
	seen := schedules.Observed{Since: o.From.Add(-1), Pace: pace}
	now := o.From.Add(-1)
	for len(list) < MaxTransitions {
		next, ok := table.NextOf(v1alpha1.DirectionDrill, now, pace)
		if !ok || !next.Start.Before(o.Until) {
			return list
		}
		if now = awake(next.Start, o.Outages); !now.Before(o.Until) {
			return list
		}
		seen.Now = now
		d := table.DecideDrill(seen)
		if dealt, ok := d.Dealt[v1alpha1.DirectionDrill]; ok && dealt.Outcome != v1alpha1.OutcomeSkipped {
			seen.Record(v1alpha1.DirectionDrill, dealt.Record())
			list = append(list, s.transition(dealt.Due, dealt.Due.Start, strings.ToLower(string(dealt.Outcome))+": "+dealt.Message))
		}
		if d.Action == schedules.Order {
			seen.Record(v1alpha1.DirectionDrill, d.Ordered("", now).Record())
			list = append(list, s.transition(d.Due, now, ""))
		}
	}
	return list
}

// at one instant: what a controller does until nothing is left to do, and when a time that a
// hold keeps waiting is looked at again.
func (s Schedule) at(table *schedules.Timetable, seen *schedules.Observed) (list []Transition, again time.Time) {
	for range maxRounds {
		d := table.Decide(*seen)
		for _, direction := range []v1alpha1.Direction{v1alpha1.DirectionTeardown, v1alpha1.DirectionRebuild} {
			dealt, ok := d.Dealt[direction]
			if !ok {
				continue
			}
			seen.Record(direction, dealt.Record())
			if dealt.Due.Skipped != "" { // those are listed anyway
				continue
			}
			why := strings.ToLower(string(dealt.Outcome)) + ": " + dealt.Message
			if dealt.Outcome == v1alpha1.OutcomeSkipped {
				why = dealt.Message
			}
			list = append(list, s.transition(dealt.Due, dealt.Due.Start, why))
		}
		switch d.Action {
		case schedules.Postpone:
			seen.Postponed = d.Postponed
			return list, d.Postponed.Until.Time
		case schedules.Order:
		default:
			return list, time.Time{}
		}
		seen.Record(d.Due.Operation, d.Ordered("", seen.Now).Record())
		seen.Finished = seen.Now // no attempt is needed after it
		list = append(list, s.ordered(d.Due, seen))
		// From here on each time is taken to find what it is about, as without holds.
		seen.Postponed, seen.State = nil, schedules.Unknown
	}
	return list, time.Time{}
}

// ordered is the transition of a run, which may have had to wait for a hold.
func (s Schedule) ordered(due schedules.Due, seen *schedules.Observed) Transition {
	p := seen.Postponed
	if p == nil || p.Operation != due.Operation || p.Nominal != due.Nominal.String() {
		return s.transition(due, seen.Now, "")
	}
	t := s.transition(due, due.Start, "")
	t.Time = seen.Now.In(s.Timetable.Zone())
	t.Reason += fmt.Sprintf("; put off by %s, by %s", seen.Now.Sub(due.Start).Round(time.Second), p.Reason)
	return t
}

// skipped times of a direction.
func (s Schedule) skipped(direction v1alpha1.Direction, pace schedules.Pace, o Span) []Transition {
	var list []Transition
	after := o.From.Add(-1)
	for len(list) < MaxTransitions {
		due, ok := s.Timetable.NextAny(direction, after, pace)
		if !ok || !due.Start.Before(o.Until) {
			return list
		}
		if after = due.Start; due.Skipped != "" {
			list = append(list, s.transition(due, due.Start, due.Skipped))
		}
	}
	return list
}

// awake is when a controller that is down at an instant is up again.
func awake(at time.Time, outages []Span) time.Time {
	for _, o := range outages {
		if !at.Before(o.From) && at.Before(o.Until) {
			at = o.Until
		}
	}
	return at
}

// transition of a time, at the instant at which something is done about it.
func (s Schedule) transition(due schedules.Due, at time.Time, skipped string) Transition {
	t := Transition{
		Time: at.In(s.Timetable.Zone()), Operation: due.Operation, Reason: s.reason(due, at), Schedule: s.Name,
		Nominal: due.Nominal.String(), Skipped: skipped,
	}
	if !due.ReadyBy.IsZero() {
		by := due.ReadyBy.In(s.Timetable.Zone())
		t.ReadyBy = &by
	}
	return t
}

// reason of a time, in one sentence.
func (s Schedule) reason(due schedules.Due, at time.Time) string {
	text := s.expression(due)
	switch due.Shift {
	case cron.ShiftGap:
		text += fmt.Sprintf("; %s does not exist in %s, it runs when the clock jumps", due.Nominal, s.Timetable.Zone())
	case cron.ShiftFold:
		text += fmt.Sprintf("; %s exists twice in %s, it runs the first time", due.Nominal, s.Timetable.Zone())
	}
	if late := at.Sub(due.Start); late > 0 {
		text += fmt.Sprintf("; %s late, because the controller was down", late.Round(time.Second))
	}
	return text
}

func (s Schedule) expression(due schedules.Due) string {
	switch spec := s.Spec; {
	case due.Once:
		return "once"
	case due.Operation == v1alpha1.DirectionDrill && spec.Drill != nil:
		return fmt.Sprintf("drill at %q", spec.Drill.Cron)
	case due.Operation == v1alpha1.DirectionTeardown && spec.Teardown != nil:
		return fmt.Sprintf("teardown at %q", spec.Teardown.Cron)
	case spec.Rebuild != nil && spec.Rebuild.ReadyBy != "":
		return fmt.Sprintf("ready by %q, %s earlier", spec.Rebuild.ReadyBy, due.Tick.Sub(due.Start).Round(time.Second))
	case spec.Rebuild != nil:
		return fmt.Sprintf("rebuild at %q", spec.Rebuild.Cron)
	}
	return "once"
}

func overlaps(all []Schedule) []Overlap {
	var found []Overlap
	first := map[string]string{}
	for _, s := range all {
		if schedules.OnlyDrills(s.Spec) {
			continue
		}
		for _, p := range s.Plans {
			if other, ok := first[p.Name]; ok && other != s.Name {
				found = append(found, Overlap{Plan: p.Name, Between: [2]string{other, s.Name}})
				continue
			}
			first[p.Name] = s.Name
		}
	}
	return found
}
