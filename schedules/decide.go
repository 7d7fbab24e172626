package schedules

import (
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/cron"
)

// State of a plan's cluster.
type State string

// The states of a cluster, as far as a timetable cares.
const (
	Unknown State = ""
	Up      State = "Up"
	// Down: there is no cluster.
	Down State = "Down"
	// Broken: there is one, but the last rebuild of it failed.
	Broken State = "Broken"
)

// Observed is what is known of one plan at one instant.
type Observed struct {
	Now time.Time
	// Since is when the timetable came to count for the plan: earlier times do not.
	Since time.Time
	// Teardown and Rebuild are the last times of each direction that were dealt with.
	Teardown, Rebuild *v1alpha1.HandledTime
	// Drill is the last time of a drill that was dealt with, and Drilling an unfinished drill
	// of the plan.
	Drill     *v1alpha1.HandledTime
	Drilling  *Busy
	Notified  string
	Postponed *v1alpha1.Postponement
	Pace      Pace
	State     State
	// Busy is an unfinished rebuild or teardown of the plan.
	Busy *Busy
	// Queued are other runs that the schedule ordered and that did not start.
	Queued []Busy
	// Finished is when the last rebuild or teardown of the plan ended.
	Finished time.Time
	// DownSince is when the last teardown of the plan ended, zero when it was rebuilt since.
	DownSince time.Time
	Holds     []Hold
	// Unlocated: nobody asked yet whether another plan serves in this one's place; Elsewhere
	// says so, and is empty when none does.
	Unlocated bool
	Elsewhere string
	// Use is what looking into the cluster came to, nil when nobody looked.
	Use *Use
}

// Busy is a run that is not finished.
type Busy struct {
	Run string
	// Ours: the schedule ordered it, for this time.
	Ours      bool
	Operation v1alpha1.Direction
	Nominal   string
	Started   bool
	// Cancelled: it only has to end.
	Cancelled bool
}

// Hold keeps a cluster.
type Hold struct {
	Name, Reason string
	Since, Until time.Time
}

// Use of a cluster; Reason is empty when nobody uses it.
type Use struct{ Reason string }

// Action is what a schedule does about one plan.
type Action string

// The actions of a schedule.
const (
	// Rest: nothing is due.
	Rest Action = "Rest"
	// Order creates the run of a time.
	Order Action = "Order"
	// Withdraw cancels a run that waits in the queue and whose time is over.
	Withdraw Action = "Withdraw"
	// Locate finds out whether another plan serves in this one's place.
	Locate Action = "Locate"
	// Look finds out whether the cluster is in use.
	Look Action = "Look"
	// Notify tells people of a teardown.
	Notify Action = "Notify"
	// Postpone waits although a time is due.
	Postpone Action = "Postpone"
	// Record writes down times that are dealt with without a run.
	Record Action = "Record"
)

// Decision is one action about one plan.
type Decision struct {
	Action Action
	// Due is the time that the action is about.
	Due Due
	// Attempt of the time, from 1.
	Attempt int32
	// Run to withdraw.
	Run string
	// Dealt are times that are dealt with, by direction.
	Dealt map[v1alpha1.Direction]Dealt
	// Postponed is what waits; nil when nothing does.
	Postponed *v1alpha1.Postponement
	// Message for people.
	Message string
	// Again is when to look again at the latest; zero for never.
	Again time.Time
}

// maxAttempts for one time in mode Level, and the wait after a run that failed.
const (
	maxAttempts  = 3
	attemptPause = 5 * time.Minute
	// busyPause is when a run that is under way is asked for again, in case nobody tells.
	busyPause = 30 * time.Minute
	// lookBack is how far a timetable of mode Level looks for the time that holds.
	lookBack = 366 * 24 * time.Hour
)

// Decide what to do about a plan. Of all times that are due only the latest counts.
func (t *Timetable) Decide(o Observed) Decision {
	d := Decision{Action: Rest, Dealt: map[v1alpha1.Direction]Dealt{}}
	due, ok := t.latest(o, &d)
	if ok {
		t.act(o, due, &d)
	}
	if d.Action == Rest && len(d.Dealt) > 0 {
		d.Action = Record
	}
	if d.Action == Rest || d.Action == Record {
		t.notify(o, &d)
	}
	if d.Action == Rest || d.Action == Record || d.Action == Postpone || d.Action == Notify {
		t.again(o, &d)
	}
	return d
}

// latest of the times that are due, and what becomes of the others.
func (t *Timetable) latest(o Observed, d *Decision) (Due, bool) {
	if t.mode == v1alpha1.ModeLevel {
		o.Since = o.Now.Add(-lookBack)
		return t.holding(o)
	}
	var chosen *Due
	for _, name := range []v1alpha1.Direction{v1alpha1.DirectionRebuild, v1alpha1.DirectionTeardown} {
		last := o.handled(name)
		due, ok := t.LastOf(name, o.Since, o.Now, o.Pace)
		if ok && o.newer(due, last) && t.overtaken(o, due) {
			d.Dealt[name] = due.dealt(v1alpha1.OutcomeSuperseded, fmt.Sprintf("by a later %s", opposite(name)))
			continue
		}
		if !ok || !o.newer(due, last) {
			if raw, ok := t.lastAny(name, o.Since, o.Now, o.Pace); ok && raw.Skipped != "" && o.newer(raw, last) {
				d.Dealt[name] = raw.dealt(v1alpha1.OutcomeSkipped, raw.Skipped)
			}
			continue
		}
		if chosen != nil && !due.Start.After(chosen.Start) {
			d.supersede(due, *chosen)
			continue
		}
		if chosen != nil {
			d.supersede(*chosen, due)
		}
		chosen = &due
	}
	if chosen == nil {
		return Due{}, false
	}
	return *chosen, true
}

// holding is the last time of both directions, dealt with or not.
func (t *Timetable) holding(o Observed) (Due, bool) {
	rebuild, up := t.LastOf(v1alpha1.DirectionRebuild, o.Since, o.Now, o.Pace)
	teardown, down := t.LastOf(v1alpha1.DirectionTeardown, o.Since, o.Now, o.Pace)
	if down && (!up || teardown.Start.After(rebuild.Start)) {
		return teardown, true
	}
	return rebuild, up
}

// overtaken by a later time of the other direction that was dealt with.
func (t *Timetable) overtaken(o Observed, due Due) bool {
	other := t.directions[opposite(due.Operation)]
	last := o.handled(opposite(due.Operation))
	return other != nil && last != nil && last.At.After(o.Since) && !due.Start.After(last.At.Add(t.offset(other, o.Pace)))
}

// Holding is the direction of the last time that counts: whether the timetable wants the
// cluster up or down. Before the first time it wants nothing.
func (t *Timetable) Holding(now, since time.Time, p Pace) (v1alpha1.Direction, bool) {
	if early := now.Add(-lookBack); since.Before(early) || t.mode == v1alpha1.ModeLevel {
		since = early
	}
	due, ok := t.holding(Observed{Now: now, Since: since, Pace: p})
	return due.Operation, ok
}

func (d *Decision) supersede(old, by Due) {
	d.Dealt[old.Operation] = old.dealt(v1alpha1.OutcomeSuperseded, fmt.Sprintf("by the %s of %s", by.Operation, by.Nominal))
}

// act on the time that counts.
func (t *Timetable) act(o Observed, due Due, d *Decision) {
	last := o.handled(due.Operation)
	again := last != nil && last.Nominal == due.Nominal.String()
	switch {
	case d.outdated(o, due):
	case o.Busy != nil && (t.ordered(o, due) || !t.late(o, due)):
		t.behind(o, due, d)
	case t.satisfied(due, o.State):
		if !again {
			d.Dealt[due.Operation] = due.dealt(v1alpha1.OutcomeAlreadySo, fmt.Sprintf("the cluster was %s already", o.State))
		}
	case again && (last.Attempts >= maxAttempts || o.Now.Before(o.Finished.Add(attemptPause))):
		if last.Attempts < maxAttempts {
			d.Again = o.Finished.Add(attemptPause)
		}
	case t.late(o, due):
		d.Dealt[due.Operation] = due.dealt(v1alpha1.OutcomeMissed, fmt.Sprintf("nobody could act on it for more than %s", t.directions[due.Operation].deadline))
	case t.kept(o, due, d):
	default:
		d.Action, d.Due, d.Attempt = Order, due, 1
		if again {
			d.Attempt = last.Attempts + 1
		}
	}
}

// kept from a run, for now or this time: by people, by who serves instead, or by use.
func (t *Timetable) kept(o Observed, due Due, d *Decision) bool {
	return t.held(o, due, d) || t.elsewhere(o, due, d) || t.used(o, due, d)
}

// ordered is true when the run that is not finished is the one of this time.
func (t *Timetable) ordered(o Observed, due Due) bool {
	b := o.Busy
	return b != nil && b.Ours && b.Operation == due.Operation && b.Nominal == due.Nominal.String()
}

// behind a run that is not finished: the one of this time, one that is out of date, or one
// that has to end first.
func (t *Timetable) behind(o Observed, due Due, d *Decision) {
	busy := o.Busy
	switch {
	case t.ordered(o, due):
		if last := o.handled(due.Operation); last == nil || last.Nominal != busy.Nominal {
			h := due.dealt(v1alpha1.OutcomeOrdered, "")
			h.Run, h.Attempt = busy.Run, 1
			d.Dealt[due.Operation] = h
		}
	case busy.Ours && !busy.Started && !busy.Cancelled:
		d.withdraw(busy.Run, due)
	case t.mode == v1alpha1.ModeLevel && o.handled(due.Operation) != nil && o.handled(due.Operation).Nominal == due.Nominal.String():
	default:
		d.postpone(due, o.Now.Add(busyPause), "run "+busy.Run+" is under way", o)
	}
}

func (d *Decision) withdraw(run string, due Due) {
	d.Action, d.Due, d.Run = Withdraw, due, run
	d.Message = fmt.Sprintf("its time is over: the %s of %s is due", due.Operation, due.Nominal)
}

// outdated is true when a run waits, perhaps behind another one that is under way, whose
// time is over. It would start when nobody thinks of it any more.
func (d *Decision) outdated(o Observed, due Due) bool {
	for _, q := range o.Queued {
		if q.Operation != due.Operation || q.Nominal != due.Nominal.String() {
			d.withdraw(q.Run, due)
			return true
		}
	}
	return false
}

// satisfied is true when there is nothing to do: the cluster is as it should be.
func (t *Timetable) satisfied(due Due, state State) bool {
	if due.Operation == v1alpha1.DirectionTeardown {
		return state == Down
	}
	return state == Up && (t.wakes || t.mode == v1alpha1.ModeLevel)
}

// notify people of a teardown that is near.
func (t *Timetable) notify(o Observed, d *Decision) {
	if t.notice == 0 || o.State == Down {
		return
	}
	due, ok := t.NextOf(v1alpha1.DirectionTeardown, o.Now, o.Pace)
	if !ok || o.Now.Before(due.Start.Add(-t.notice)) || o.Notified == due.Nominal.String() {
		return
	}
	d.Action, d.Due = Notify, due
	d.Message = fmt.Sprintf("the cluster is torn down at %s, in %s; refloat snooze puts it off",
		due.Start.In(t.zone).Format("15:04 MST"), due.Start.Sub(o.Now).Round(time.Second))
}

// again says when something can change although nothing happens.
func (t *Timetable) again(o Observed, d *Decision) {
	if next, ok := t.Next(o.Now, o.Pace); ok {
		d.sooner(next.Start)
	}
	if t.notice == 0 {
		return
	}
	after := o.Now
	if d.Action == Notify {
		after = d.Due.Start
	}
	if next, ok := t.NextOf(v1alpha1.DirectionTeardown, after, o.Pace); ok {
		if at := next.Start.Add(-t.notice); at.After(o.Now) {
			d.sooner(at)
		} else if next, ok := t.NextOf(v1alpha1.DirectionTeardown, next.Start, o.Pace); ok {
			d.sooner(next.Start.Add(-t.notice))
		}
	}
}

func (d *Decision) sooner(at time.Time) {
	if d.Again.IsZero() || at.Before(d.Again) {
		d.Again = at
	}
}

func (o Observed) handled(name v1alpha1.Direction) *v1alpha1.HandledTime {
	switch name {
	case v1alpha1.DirectionTeardown:
		return o.Teardown
	case v1alpha1.DirectionDrill:
		return o.Drill
	}
	return o.Rebuild
}

// newer than what was dealt with. Local times decide, so that an hour that repeats, or a
// clock that was set back, brings nothing back. What was dealt with before the timetable
// came to be as it is was in other terms, perhaps in another zone.
func (o Observed) newer(due Due, last *v1alpha1.HandledTime) bool {
	if last == nil || !last.At.After(o.Since) || o.mistaken(last.At.Time, due) {
		return true
	}
	nominal, err := cron.ParseNominal(last.Nominal)
	return due.Tick.After(last.At.Time) && (err != nil || due.Nominal.Compare(nominal) > 0)
}

// clockSlack is how far a clock may be set back before what was recorded under it counts as a
// mistake of the clock.
const clockSlack = 24 * time.Hour

// mistaken is true of a time that was dealt with while the clock was far ahead: to heed it
// would stop the timetable until then. A time that has to be ready by then is dealt with early.
func (o Observed) mistaken(at time.Time, due Due) bool {
	return at.After(o.Now.Add(max(due.Tick.Sub(due.Start), 0) + clockSlack))
}

// Mistaken says that an instant from which on times count was recorded while the clock was far
// ahead.
func Mistaken(since, now time.Time) bool { return since.After(now.Add(clockSlack)) }

func opposite(d v1alpha1.Direction) v1alpha1.Direction {
	if d == v1alpha1.DirectionTeardown {
		return v1alpha1.DirectionRebuild
	}
	return v1alpha1.DirectionTeardown
}

// Record what came of a time.
func (o *Observed) Record(d v1alpha1.Direction, h *v1alpha1.HandledTime) {
	switch d {
	case v1alpha1.DirectionTeardown:
		o.Teardown = h
	case v1alpha1.DirectionDrill:
		o.Drill = h
	default:
		o.Rebuild = h
	}
}
