package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
)

// engine joins the parts. Its state belongs to the goroutine that runs loop; all
// others only send events.
type engine struct {
	Options
	graph   *order.Graph
	client  *cluster.Client
	kinds   *cluster.Kinds
	sched   *scheduler
	limiter *limiter
	watcher *watcher
	classes *cluster.StorageClasses
	refresh singleflight.Group

	items    []item // of the objects, Graph.Nodes[:Len()]
	index    map[manifests.ID]int
	events   chan event
	timers   timers
	timer    clock.Timer
	inFlight int
	probes   int
	// queued is what is to be done beside the writes, underway how much of it is.
	queued   []task
	underway int
	givenUp  int
	stopping bool // an object failed: nothing more is sent
	tally    tally
	reported time.Time
	broken   error
}

// event is what another goroutine found out. Exactly one field is set.
type event struct {
	answer    *answer
	observed  *observed
	probed    *probed
	explained *explained
	retired   *retired
	// broken ends the run: part of it stopped working.
	broken error
}

// observed is the health of a live object, by a watch.
type observed struct {
	item int
	observation
}

// eventBuffer lets watches and writers go on while the loop works.
const eventBuffer = 256

func newEngine(g *order.Graph, o Options, client *cluster.Client) (*engine, error) {
	sched, err := newScheduler(g)
	if err != nil {
		return nil, err
	}
	e := &engine{
		Options: o,
		graph:   g,
		client:  client,
		kinds:   &cluster.Kinds{},
		sched:   sched,
		limiter: newLimiter(o.Concurrency),
		items:   make([]item, g.Len()),
		index:   make(map[manifests.ID]int, g.Len()),
		events:  make(chan event, eventBuffer),
		classes: &cluster.StorageClasses{},
	}
	for i := range e.items {
		e.items[i].seen.Assessment = health.Assessment{Status: health.Missing}
		switch object := g.Nodes[i].Object; {
		case isDefinition(object):
			e.kinds.Announce(object.Unstructured)
		case object.ID().GroupKind() == cluster.StorageClassKind.GroupKind():
			e.classes.Learn(object.Unstructured)
		}
	}
	for i := range e.items {
		e.index[e.key(g.Nodes[i].Object)] = i
	}
	e.tally = newTally(g)
	return e, nil
}

// key is the ID under which a live object answers: a rendered object of a
// cluster-scoped kind may carry a namespace that the API server drops.
func (e *engine) key(object manifests.Object) manifests.ID {
	id := object.ID()
	if k := builtin.Lookup(id.GroupKind()); k != nil && !k.Namespaced {
		id.Namespace = ""
	} else if r, ok := e.kinds.Lookup(object.GroupVersionKind()); ok && !r.Namespaced {
		id.Namespace = ""
	}
	return id
}

// run returns nil once every object is healthy or not provable.
func (e *engine) run(ctx context.Context) error {
	// The libraries below log through the context.
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, e.Log.V(1)))
	e.watcher = newWatcher(e)
	// Nothing that was started outlives run.
	defer func() {
		cancel()
		e.settle()
		e.watcher.wait()
	}()
	if err := e.prepare(ctx); err != nil {
		return err
	}
	if e.Guard != nil {
		if err := e.Guard(ctx); err != nil {
			return fmt.Errorf("nothing was applied, because the cluster could not be confirmed to be the right one: %w", err)
		}
	}
	e.timer = e.Clock.NewTimer(time.Hour)
	defer e.timer.Stop()
	e.start(ctx)
	err := e.loop(ctx)
	e.report(true)
	return err
}

// prepare learns what the cluster serves and what an earlier process has applied.
func (e *engine) prepare(ctx context.Context) error {
	var partial *cluster.PartialError
	if err := e.client.Discover(ctx, e.kinds); errors.As(err, &partial) {
		e.Log.Info("some kinds could not be discovered; only objects of these kinds wait for them", "detail", partial.Error())
	} else if err != nil {
		return err
	}
	return e.adopt(ctx)
}

// loop is the run: send what may go, take in what was found out, until all is done.
func (e *engine) loop(ctx context.Context) error {
	for {
		e.send(ctx)
		e.beside(ctx)
		if e.broken != nil {
			e.settle() // what is on its way is answered, so that the next run finds it
			return e.broken
		}
		if e.over() {
			return e.verdict()
		}
		e.report(false)
		e.setTimer()
		select {
		case ev := <-e.events:
			e.handle(ctx, ev)
			e.drain(ctx)
		case <-e.timer.C():
			e.expire(e.Clock.Now())
		case <-ctx.Done():
			e.stopping = true
			return fmt.Errorf("applying was interrupted: %w", context.Cause(ctx))
		}
	}
}

// drain takes in what has already arrived, so that a burst costs one round.
func (e *engine) drain(ctx context.Context) {
	for range eventBuffer {
		select {
		case ev := <-e.events:
			e.handle(ctx, ev)
		default:
			return
		}
	}
}

// settle waits for the answers of requests cut off by the end of their context; what
// they still say is recorded.
func (e *engine) settle() {
	for e.inFlight > 0 || e.probes > 0 || e.underway > 0 {
		ev := <-e.events
		switch {
		case ev.answer != nil:
			e.inFlight--
			if ev.answer.err == nil {
				e.accepted(ev.answer)
			}
		case ev.probed != nil:
			e.probes--
		case ev.explained != nil, ev.retired != nil:
			e.underway--
		}
	}
}

// task is something to find out or to do about an object beside its write.
type task struct {
	item int
	do   func(context.Context) event
}

// beside starts what was queued to be done beside the writes.
func (e *engine) beside(ctx context.Context) {
	for _, t := range e.queued {
		e.underway++
		go func() { e.events <- e.perform(ctx, t) }()
	}
	e.queued = nil
}

func (e *engine) perform(ctx context.Context, t task) (ev event) {
	defer func() {
		if p := recover(); p != nil {
			ev = event{retired: &retired{item: t.item, err: e.fault(p)}}
		}
	}()
	return t.do(ctx)
}

func (e *engine) over() bool {
	switch {
	case e.underway > 0:
		return false
	case e.stopping:
		return e.inFlight == 0
	}
	return e.tally.complete()
}

func (e *engine) verdict() error {
	failed := &Error{}
	for i := range e.items {
		switch it := &e.items[i]; {
		case it.failed && !it.given:
			failed.Failed = append(failed.Failed, e.resultOf(i))
		case it.attempts == 0 && it.phase == waiting:
			failed.Skipped++
		}
	}
	if len(failed.Failed) == 0 {
		return nil
	}
	return failed
}

// send fills the lane of writes with what may go.
func (e *engine) send(ctx context.Context) {
	for !e.stopping && e.limiter.allows(e.inFlight) {
		i, ok := e.sched.next()
		if !ok {
			return
		}
		it := &e.items[i]
		if it.attempts == 0 {
			it.startedAt = e.Clock.Now()
			it.deadline = it.startedAt.Add(e.timeout(i))
		}
		it.attempts++
		it.phase = inFlight
		e.inFlight++
		e.ready(ctx, it, i)
		j := job{item: i, resource: it.resource, mapped: it.mapped, watched: it.watched, create: it.create}
		go func() { e.events <- event{answer: e.attempt(ctx, j)} }()
	}
}

// ready finds out how an object is addressed and opens the watch of its kind before
// the first of them is written, so that no event is missed.
func (e *engine) ready(ctx context.Context, it *item, i int) {
	if it.mapped {
		return
	}
	object := e.graph.Nodes[i].Object
	if it.resource, it.mapped = e.kinds.Lookup(object.GroupVersionKind()); !it.mapped {
		return
	}
	it.watched = e.needsWatch(object, it.resource)
	if it.watched {
		e.watcher.open(ctx, it.resource)
	}
}

func (e *engine) handle(ctx context.Context, ev event) {
	switch {
	case ev.answer != nil:
		e.inFlight--
		e.limiter.answered(ev.answer.latency, ev.answer.verdict.overloaded)
		switch {
		case ev.answer.err == nil:
			e.accepted(ev.answer)
		case apierrors.IsUnauthorized(ev.answer.err):
			e.broken, e.stopping = loggedOut(ev.answer.err), true
		default:
			e.refused(ev.answer)
		}
		e.probe(ctx, ev.answer.item)
	case ev.observed != nil:
		e.observed(ev.observed)
		e.probe(ctx, ev.observed.item)
	case ev.probed != nil:
		e.probes--
		e.probed(ev.probed)
	case ev.explained != nil:
		e.underway--
		e.explainedNow(ev.explained)
	case ev.retired != nil:
		e.underway--
		e.retiredNow(ev.retired)
	case ev.broken != nil:
		e.broken, e.stopping = ev.broken, true
	}
}
