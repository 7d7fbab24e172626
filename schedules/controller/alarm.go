package controller

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxNap is how long the alarm sleeps at most: a clock that is set forward, or a machine
// that was suspended, makes times come sooner than a timer knows.
const maxNap = 5 * time.Second

// alarm calls schedules up at the instants that they asked for, by the wall clock.
type alarm struct {
	clock clock.Clock
	call  func(client.ObjectKey)

	mu     sync.Mutex
	times  times
	byKey  map[client.ObjectKey]*entry
	sooner chan struct{} // has room for one
}

type entry struct {
	key client.ObjectKey
	at  time.Time
	pos int
}

func newAlarm(c clock.Clock, call func(client.ObjectKey)) *alarm {
	return &alarm{clock: c, call: call, byKey: map[client.ObjectKey]*entry{}, sooner: make(chan struct{}, 1)}
}

// set the instant at which a schedule is called up; zero for never.
func (a *alarm) set(key client.ObjectKey, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byKey[key]
	switch {
	case at.IsZero():
		if e != nil {
			heap.Remove(&a.times, e.pos)
			delete(a.byKey, key)
		}
		return
	case e == nil:
		e = &entry{key: key, at: at}
		a.byKey[key] = e
		heap.Push(&a.times, e)
	default:
		e.at = at
		heap.Fix(&a.times, e.pos)
	}
	if a.times[0] == e {
		select {
		case a.sooner <- struct{}{}:
		default: // it looks already
		}
	}
}

// Start calls schedules up until the context ends.
func (a *alarm) Start(ctx context.Context) error {
	for {
		due, nap := a.due()
		for _, key := range due {
			a.call(key)
		}
		timer := a.clock.NewTimer(nap)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-a.sooner:
			timer.Stop()
		case <-timer.C():
		}
	}
}

// due takes out who is to be called now, and says how long to sleep.
func (a *alarm) due() ([]client.ObjectKey, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	var keys []client.ObjectKey
	for len(a.times) > 0 && !a.times[0].at.After(now) {
		e, _ := heap.Pop(&a.times).(*entry)
		delete(a.byKey, e.key)
		keys = append(keys, e.key)
	}
	if len(a.times) == 0 {
		return keys, maxNap
	}
	return keys, min(a.times[0].at.Sub(now), maxNap)
}

// times is a heap, the earliest first.
type times []*entry

func (t times) Len() int           { return len(t) }
func (t times) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t times) Swap(i, j int)      { t[i], t[j] = t[j], t[i]; t[i].pos, t[j].pos = i, j }

// Push implements heap.Interface.
func (t *times) Push(x any) {
	if e, ok := x.(*entry); ok {
		e.pos = len(*t)
		*t = append(*t, e)
	}
}

// Pop implements heap.Interface.
func (t *times) Pop() any {
	last := len(*t) - 1
	e := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	return e
}
