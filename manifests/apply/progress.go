package apply

import (
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
)

// progressEvery bounds how often progress is reported.
const progressEvery = 250 * time.Millisecond

// tally counts objects by status, and what is left in each wave.
type tally struct {
	total, applied, healthy, notProvable, givenUp int

	status []health.Status
	wave   []int // of each object, from 0
	left   []int // objects of each wave that are neither healthy nor not provable
	first  int   // no wave before this one has anything left, unless health went back
	// changed since the last report.
	changed bool
}

func newTally(g *order.Graph) tally {
	t := tally{total: g.Len(), status: make([]health.Status, g.Len()), wave: make([]int, g.Len()), left: make([]int, len(g.Waves))}
	for w, members := range g.Waves {
		t.left[w] = len(members)
		for _, i := range members {
			t.wave[i] = w
		}
	}
	return t
}

func settled(s health.Status) bool { return s == health.Healthy || s == health.NotProvable }

// set records the status of an accepted object.
func (t *tally) set(i int, s health.Status) {
	before := t.status[i]
	t.status[i], t.changed = s, true
	t.count(before, -1)
	t.count(s, 1)
	switch w := t.wave[i]; {
	case settled(s) && !settled(before):
		t.left[w]--
	case !settled(s) && settled(before):
		t.left[w]++
		t.first = min(t.first, w)
	}
}

func (t *tally) count(s health.Status, by int) {
	switch s {
	case health.Healthy:
		t.healthy += by
	case health.NotProvable:
		t.notProvable += by
	}
}

// giveUp counts an object that is not healthy as done, or takes that back.
func (t *tally) giveUp(i int, yes bool) {
	t.changed = true
	if yes {
		t.givenUp++
		t.left[t.wave[i]]--
		return
	}
	t.givenUp--
	t.left[t.wave[i]]++
	t.first = min(t.first, t.wave[i])
}

func (t *tally) complete() bool { return t.healthy+t.notProvable+t.givenUp == t.total }

// earliest wave that is not complete, from 0; false when all are.
func (t *tally) earliest() (int, bool) {
	for t.first < len(t.left) && t.left[t.first] == 0 {
		t.first++
	}
	return t.first, t.first < len(t.left)
}

// report calls back, at most every progressEvery unless it is the last time.
func (e *engine) report(last bool) {
	if e.Progress == nil || !last && (!e.tally.changed || e.Clock.Since(e.reported) < progressEvery) {
		return
	}
	e.reported, e.tally.changed = e.Clock.Now(), false
	p := Progress{Total: e.tally.total, Applied: e.tally.applied, Healthy: e.tally.healthy, NotProvable: e.tally.notProvable, GivenUp: e.tally.givenUp}
	if w, ok := e.tally.earliest(); ok {
		p.Wave = w + 1
		p.Waiting, p.Since, p.Until = e.waitingFor(w)
	}
	e.Progress(p)
}

// waitingFor is the first object of a wave that is not done, in words.
func (e *engine) waitingFor(wave int) (sentence string, since, until time.Time) {
	for _, i := range e.graph.Waves[wave] {
		it := &e.items[i]
		if it.done() {
			continue
		}
		sentence = fmt.Sprintf("%s: %s", e.graph.Nodes[i].Object.ID(), e.stateOf(i))
		if others := e.tally.left[wave] - 1; others > 0 {
			sentence += fmt.Sprintf(" (and %d more of wave %d)", others, wave+1)
		}
		since = it.startedAt
		if it.phase == applied {
			since = it.appliedAt
		}
		return sentence, since, it.deadline
	}
	return "", time.Time{}, time.Time{}
}

// stateOf an object that is not done, in words.
func (e *engine) stateOf(i int) string {
	it := &e.items[i]
	switch {
	case it.failed:
		return it.lastError
	case it.phase == applied:
		return it.seen.Message
	case it.phase == delayed:
		return fmt.Sprintf("refused %d times, will be sent again: %s", it.attempts, it.lastError)
	case it.phase == inFlight:
		return "sent, not answered yet"
	}
	if edge, ok := e.sched.unmet(i); ok {
		return fmt.Sprintf("needs %s of %s (%s)", edge.Gate, e.describe(edge.From), edge.Reason)
	}
	return "queued"
}

func (e *engine) describe(node int) string {
	n := e.graph.Nodes[node]
	if n.Virtual() {
		return n.Barrier
	}
	return n.Object.ID().String()
}

func (e *engine) result() *Result {
	r := &Result{Objects: make([]ObjectResult, len(e.items))}
	for i := range e.items {
		r.Objects[i] = e.resultOf(i)
	}
	return r
}

func (e *engine) resultOf(i int) ObjectResult {
	it, n := &e.items[i], e.graph.Nodes[i]
	r := ObjectResult{
		ID: n.Object.ID(), Origin: n.Object.Origin, Wave: n.Wave,
		Status: it.seen.Status, Message: it.seen.Message, Failed: it.failed, Optional: e.rules(i).Optional,
		ReleasedAt: it.releasedAt, StartedAt: it.startedAt, AppliedAt: it.appliedAt, ReadyAt: it.readyAt,
		Attempts: it.attempts, Adopted: it.adopted, Created: it.refusal != "" && it.phase == applied,
	}
	switch {
	case it.failed:
		r.Message = it.lastError
	case it.note != "" && it.phase == applied:
		r.Message = it.note
	case r.Created && r.Message == "":
		r.Message = "created plainly, because server-side apply refused it: " + it.refusal
	case it.phase == waiting && it.attempts == 0:
		r.Status, r.Message = health.Missing, "skipped: "+e.stateOf(i)
	case it.phase != applied:
		r.Status, r.Message = health.Missing, "not applied: "+e.stateOf(i)
	}
	return r
}
