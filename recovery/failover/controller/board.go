package controller

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
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
}

// watch of one policy.
type watch struct {
	// what is probed; another one means new probes.
	what subject
	// stop the probes, and wait for their end.
	stop   func()
	tracks map[string]failover.Track
	// verdict as it was when the policy was looked at last.
	verdict failover.Verdict
	judged  bool
	// handled clusters have a run at work on them.
	handled bool
	breaker failover.Breaker
	// from is since when nothing stands in the way; zero while something does.
	from time.Time
}

// subject of probes.
type subject struct {
	policy     types.UID
	generation int64
	cluster    capi.Incarnation
}

func newBoard() *board { return &board{known: map[client.ObjectKey]*watch{}} }

// ensure that the probes of a policy run, and only they.
func (b *board) ensure(ctx context.Context, key client.ObjectKey, what subject, start func(ctx context.Context, report func(signal string, r failover.Reading)) (wait func())) {
	b.mu.Lock()
	now := b.known[key]
	if now != nil && now.what == what {
		b.mu.Unlock()
		return
	}
	next := &watch{what: what, tracks: map[string]failover.Track{}}
	if now != nil && now.what.cluster == what.cluster && now.what.policy == what.policy {
		next.breaker = now.breaker // an edit does not close it
	}
	b.known[key] = next
	b.mu.Unlock()
	if now != nil {
		now.stop()
	}
	ctx, cancel := context.WithCancel(ctx)
	wait := start(ctx, func(signal string, r failover.Reading) { b.report(key, what, signal, r) })
	stop := func() { cancel(); wait() }
	b.mu.Lock()
	next.stop = stop
	gone := b.known[key] != next
	b.mu.Unlock()
	if gone {
		stop()
	}
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

// forget a policy and end its probes.
func (b *board) forget(key client.ObjectKey) {
	b.mu.Lock()
	w := b.known[key]
	delete(b.known, key)
	b.mu.Unlock()
	if w != nil && w.stop != nil {
		w.stop()
	}
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

// judged keeps the verdict about a policy's cluster and gives back what the breaker and the
// barriers make of it.
func (b *board) judged(key client.ObjectKey, v failover.Verdict, handled, barred bool, rule v1alpha1.BreakerRule, now time.Time) (failover.Breaker, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.known[key]
	if w == nil {
		return failover.Breaker{}, now
	}
	w.verdict, w.judged, w.handled = v, true, handled
	switch {
	case barred:
		w.from = time.Time{}
	case w.from.IsZero():
		w.from = now
	}
	most := failover.DefaultMaxUnhealthy
	if rule.MaxUnhealthyClusters != nil {
		most = *rule.MaxUnhealthyClusters
	}
	w.breaker = w.breaker.Next(b.fleet(), most, now)
	return w.breaker, w.from
}

// fleet counts clusters, each once.
func (b *board) fleet() failover.Fleet {
	seen := map[capi.Incarnation]bool{}
	fleet := failover.Fleet{}
	for _, w := range b.known {
		if w.handled || seen[w.what.cluster] || w.judged && !w.verdict.Known {
			continue
		}
		seen[w.what.cluster] = true
		fleet.Watched++
		switch {
		case !w.judged || w.verdict.Pending:
			fleet.Pending++
		case w.verdict.LooksDead:
			fleet.LookDead++
		}
	}
	return fleet
}
