package controller

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery/failover"
)

// board is what this process knows of the clusters that policies watch. It is lost with the
// process: the next one starts to look anew, and nothing counts as dead before it has
// looked for as long as a policy says.
type board struct {
	mu    sync.Mutex
	known map[client.ObjectKey]*watch
	// breakers outlive probes: neither an edit nor a pause closes one.
	breakers map[client.ObjectKey]*breaker
	// made holds when a run of a policy last took a cluster's place: for a while it counts as
	// one that died, so that a fault that creeps does not take one cluster after the other.
	made map[client.ObjectKey]time.Time
	// last fleet that the breakers were stepped with.
	last failover.Fleet
}

type breaker struct {
	failover.Breaker
	most intstr.IntOrString
}

// madeLately is how long a cluster that was made anew counts as one that died.
const madeLately = time.Hour

// watch of one policy.
type watch struct {
	// what is probed; another one means new probes.
	what subject
	// stop the probes, and wait for their end.
	stop   func()
	tracks map[string]failover.Track
	asking map[string]failover.Asking
	// verdict as it was when the policy was looked at last.
	verdict failover.Verdict
	judged  bool
	// barred clusters are not expected to live: they count for nothing.
	barred bool
	// from is since when nothing stands in the way; zero while something does.
	from time.Time
}

// subject of probes.
type subject struct {
	policy     types.UID
	generation int64
	cluster    capi.Incarnation
}

func newBoard() *board {
	return &board{known: map[client.ObjectKey]*watch{}, breakers: map[client.ObjectKey]*breaker{}, made: map[client.ObjectKey]time.Time{}}
}

// starter starts probes that report, and returns what waits for their end.
type starter func(ctx context.Context, report func(signal string, r failover.Reading)) (wait func())

// ensure that the probes of a policy run, and only they.
func (b *board) ensure(ctx context.Context, key client.ObjectKey, what subject, asking map[string]failover.Asking, start starter) {
	b.mu.Lock()
	now := b.known[key]
	if now != nil && now.what == what {
		b.mu.Unlock()
		return
	}
	probing, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	next := &watch{what: what, tracks: map[string]failover.Track{}, asking: asking, stop: func() { cancel(); <-ended }}
	b.known[key] = next
	b.mu.Unlock()
	if now != nil {
		now.stop()
	}
	wait := start(probing, func(signal string, r failover.Reading) { b.report(key, what, signal, r) })
	go func() {
		wait()
		close(ended)
	}()
}

// report a reading.
func (b *board) report(key client.ObjectKey, what subject, signal string, r failover.Reading) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.known[key]; w != nil && w.what == what {
		w.tracks[signal] = w.tracks[signal].Next(r)
	}
}

// track of a signal.
func (b *board) track(key client.ObjectKey, signal string) failover.Track {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.known[key]; w != nil {
		return w.tracks[signal]
	}
	return failover.Track{}
}

// rest ends the probes of a policy that has nothing to watch.
func (b *board) rest(key client.ObjectKey) {
	b.mu.Lock()
	w := b.known[key]
	delete(b.known, key)
	b.mu.Unlock()
	if w != nil {
		w.stop()
	}
}

// forget a policy that is gone.
func (b *board) forget(key client.ObjectKey) {
	b.rest(key)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.breakers, key)
	delete(b.made, key)
}

// clear the board: the process ends.
func (b *board) clear() {
	b.mu.Lock()
	keys := make([]client.ObjectKey, 0, len(b.known))
	for key := range b.known {
		keys = append(keys, key)
	}
	b.mu.Unlock()
	for _, key := range keys {
		b.forget(key)
	}
}

// remade keeps when a run of a policy took a cluster's place.
func (b *board) remade(key client.ObjectKey, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made[key] = at
}

// judgement is what there is to know of a policy before it is decided.
type judgement struct {
	verdict failover.Verdict
	barrier failover.Barrier
	// doubted: an observer sees it alive, so that the time begins anew when it does not.
	doubted bool
	// open tells that the breaker was open when the process before this one ended.
	open bool
	rule v1alpha1.BreakerRule
}

// judge keeps what is known of a policy's cluster and gives back what the breaker and the
// barriers make of it.
func (b *board) judge(key client.ObjectKey, j judgement, now time.Time) (failover.Breaker, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.breakers[key]
	if own == nil {
		own = &breaker{}
		if j.open {
			own.Since = now
		}
		b.breakers[key] = own
	}
	own.most = failover.DefaultMaxUnhealthy
	if j.rule.MaxUnhealthyClusters != nil {
		own.most = *j.rule.MaxUnhealthyClusters
	}
	from := now
	if w := b.known[key]; w != nil {
		w.verdict, w.judged = j.verdict, true
		w.barred = j.barrier.Reason != "" && j.barrier.Reason != reasonStopped
		switch {
		case j.barrier.Reason != "" || j.doubted:
			w.from = time.Time{}
		case w.from.IsZero():
			w.from = now
		}
		from = w.from
	}
	fleet := b.fleet(now)
	if fleet != b.last {
		b.last = fleet
		for other, known := range b.breakers {
			if other != key {
				known.Breaker = known.Next(fleet, known.most, now)
			}
		}
	}
	own.Breaker = own.Next(fleet, own.most, now)
	return own.Breaker, from
}

// fleet counts clusters, each once.
func (b *board) fleet(now time.Time) failover.Fleet {
	seen := map[capi.Incarnation]bool{}
	fleet := failover.Fleet{}
	for key, w := range b.known {
		lately := b.lately(key, now)
		if !lately && (w.barred || seen[w.what.cluster] || w.judged && !w.verdict.Known) {
			continue
		}
		seen[w.what.cluster] = true
		fleet.Watched++
		switch {
		case lately || w.verdict.LooksDead:
			fleet.LookDead++
		case !w.judged || w.verdict.Pending || w.late(now):
			fleet.Pending++
		}
	}
	for key := range b.made {
		if b.known[key] == nil && b.lately(key, now) {
			fleet.Watched++
			fleet.LookDead++
		}
	}
	return fleet
}

func (b *board) lately(key client.ObjectKey, now time.Time) bool {
	at, ok := b.made[key]
	return ok && now.Before(at.Add(madeLately))
}

// late tells whether enough answers are late that quorum may be about to fail.
func (w *watch) late(now time.Time) bool {
	for signal, how := range w.asking {
		if how.Late(w.tracks[signal], now) {
			return true
		}
	}
	return false
}
