package apply

import (
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
)

// accepted records the API server's yes to a write.
func (e *engine) accepted(a *answer) {
	it := &e.items[a.item]
	now := e.Clock.Now()
	it.phase, it.appliedAt, it.lastError = applied, now, ""
	it.resource, it.mapped, it.watched = a.resource, true, a.watched
	it.doomed, it.deadline, it.note = a.doomed, now.Add(e.timeout(a.item)), a.note
	e.timers.add(it.deadline, a.item)
	e.watchPods(a.item, now)
	e.tally.applied++
	e.sched.observe(a.item, order.Applied)
	if newer(it.seen.version, a.seen.version) {
		it.seen = a.seen
	}
	e.assessed(a.item)
}

// refused decides about a write that failed.
func (e *engine) refused(a *answer) {
	it := &e.items[a.item]
	now := e.Clock.Now()
	it.lastError = a.message
	if a.verdict.action == fallBack && !it.create && e.rules(a.item).Write == manifests.WriteApply {
		it.create, it.refusal = true, a.message
		e.Log.Info("server-side apply refused an object; it is created plainly", "object", e.name(a.item), "reason", a.message)
		e.delay(a.item, now)
		return
	}
	limit := it.deadline
	if a.verdict.within > 0 {
		limit = it.startedAt.Add(min(a.verdict.within, e.timeout(a.item)))
	}
	next := now.Add(backoff(it.attempts, a.verdict.after, e.Random()))
	if a.verdict.action != retry || next.After(limit) {
		e.fail(a.item, a.message)
		return
	}
	e.Log.V(1).Info("an object was refused and will be sent again", "object", e.name(a.item), "attempt", it.attempts, "reason", a.message)
	e.delay(a.item, next)
}

func (e *engine) delay(i int, until time.Time) {
	it := &e.items[i]
	it.phase, it.due, e.tally.changed = delayed, until, true
	e.timers.add(until, i)
}

// observed takes in what a watch saw. It may be older than what is known, or come
// before the answer to the write that caused it.
func (e *engine) observed(o *observed) {
	it := &e.items[o.item]
	if !newer(it.seen.version, o.version) {
		return
	}
	if it.retired {
		return // it did its work; that it goes away now is expected
	}
	it.seen = o.observation
	switch {
	case it.phase != applied:
	case o.Status == health.Missing && it.doomed:
		e.Log.V(1).Info("an object that was being deleted is gone and will be applied anew", "object", e.name(o.item))
		it.doomed = false
		e.tally.applied--
		e.delay(o.item, e.Clock.Now())
	default:
		e.assessed(o.item)
	}
}

// assessed draws the conclusions from the newest observation of an accepted object.
func (e *engine) assessed(i int) {
	it := &e.items[i]
	if isDefinition(e.graph.Nodes[i].Object) && it.seen.Status == health.Healthy && !it.served {
		it.seen.Assessment = health.Assessment{Status: health.Progressing, Message: unserved}
	}
	if s := it.seen.Settles; s != nil {
		e.timers.add(s.At, i)
	}
	before := e.tally.status[i]
	if it.given && settled(it.seen.Status) {
		e.recovered(i)
	}
	e.tally.set(i, it.seen.Status)
	switch it.seen.Status {
	case health.Healthy, health.NotProvable:
		if it.readyAt.IsZero() {
			it.readyAt = e.Clock.Now()
		}
		e.sched.observe(i, order.Ready)
		e.retire(i, true)
	case health.Failed:
		if !it.failed {
			e.explain(i, it.seen.Message)
		}
	default:
		// An object that was healthy and no longer is has its time-out again.
		if settled(before) {
			it.deadline = e.Clock.Now().Add(e.timeout(i))
			e.timers.add(it.deadline, i)
		}
	}
}

// unserved is why an established definition is not healthy yet.
const unserved = "it is established; its kind is not answered for yet"

// fail ends the run because of one object, unless it is optional.
func (e *engine) fail(i int, message string) {
	it := &e.items[i]
	if it.failed {
		return
	}
	it.failed, it.lastError = true, message
	e.retire(i, false)
	if it.phase != applied {
		it.phase = ended
	}
	if e.rules(i).Optional {
		if e.stopping {
			it.given = true // the run ends, but not because of this
			return
		}
		if e.givenUp++; e.MaxFailures == 0 || e.givenUp <= e.MaxFailures {
			e.giveUp(i)
			return
		}
		it.lastError += fmt.Sprintf(" (it is optional, but no more than %d such objects may fail)", e.MaxFailures)
	}
	e.stopping = true
	e.Log.Info("an object failed; nothing more is sent", "object", e.name(i), "reason", message)
}

// giveUp an optional object: the run goes on, and so does whatever waits for the object,
// but for what cannot be without it.
func (e *engine) giveUp(i int) {
	it := &e.items[i]
	it.given = true
	e.tally.giveUp(i, true)
	e.Log.Info("an optional object failed; the run goes on without it", "object", e.name(i), "reason", it.lastError)
	for _, d := range e.sched.giveUp(i) {
		e.fail(d, fmt.Sprintf("it cannot be without %s, which is optional and failed: %s", e.graph.Nodes[i].Object.ID(), it.lastError))
	}
}

// recovered takes back that an object was given up: it was only late.
func (e *engine) recovered(i int) {
	it := &e.items[i]
	it.failed, it.given = false, false
	it.note = "it was late: " + it.lastError
	it.lastError = ""
	e.givenUp--
	e.tally.giveUp(i, false)
}

// watchPods sets the time of the next look at the pods of a workload.
func (e *engine) watchPods(i int, now time.Time) {
	if !e.items[i].watched || podsOf(e.graph.Nodes[i].Object) == nil {
		return
	}
	e.items[i].suspectAt = now.Add(min(suspicion, e.timeout(i)/4))
	e.timers.add(e.items[i].suspectAt, i)
}

// expire handles all that is due: attempts to repeat and objects that are late.
func (e *engine) expire(now time.Time) {
	for {
		i, ok := e.timers.pop(now)
		if !ok {
			return
		}
		switch it := &e.items[i]; {
		case it.phase == delayed && !it.due.After(now):
			it.phase = waiting
			e.sched.again(i)
		case it.phase == applied && !it.failed:
			e.overdue(i, now)
		}
	}
}

// overdue looks at an accepted object whose time has come.
func (e *engine) overdue(i int, now time.Time) {
	switch it := &e.items[i]; {
	case it.settled(now):
		e.assessed(i)
	case it.done():
	case !it.deadline.After(now):
		e.explain(i, fmt.Sprintf("not healthy within %s: %s", e.timeout(i), it.seen.Message))
	case !it.suspectAt.IsZero() && !it.suspectAt.After(now):
		e.suspect(i)
		e.watchPods(i, now)
	}
}

func (e *engine) setTimer() {
	next := time.Hour
	if at, ok := e.timers.next(); ok {
		next = max(at.Sub(e.Clock.Now()), 0)
	}
	if e.Progress != nil && e.tally.changed {
		next = min(next, max(progressEvery-e.Clock.Since(e.reported), 0))
	}
	if !e.timer.Stop() {
		select {
		case <-e.timer.C():
		default:
		}
	}
	e.timer.Reset(next)
}

func (e *engine) name(i int) string {
	object := e.graph.Nodes[i].Object
	if origin := object.Origin.String(); origin != "" {
		return object.ID().String() + " (" + origin + ")"
	}
	return object.ID().String()
}
