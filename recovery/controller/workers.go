package controller

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// workKey names one piece of long work: a run and what is done for it, a phase or the
// making of its materials.
type workKey struct {
	run  types.UID
	what string
}

// materials is the key of the rendered inputs of a run.
func materialsKey(run types.UID) workKey { return workKey{run, "materials"} }

func phaseKey(run types.UID, phase v1alpha1.Phase) workKey { return workKey{run, string(phase)} }

// advance is what work under way tells about itself.
type advance struct {
	progress     v1alpha1.Progress
	waiting      string
	since, until time.Time
}

// job is one piece of work and what came of it.
type job struct {
	state    recovery.WorkState
	cancel   context.CancelFunc
	result   any
	fault    *recovery.Fault
	advance  advance
	lastErr  string
	retryAt  time.Time
	failures int
	// first is when it was first begun, run whom it is for.
	first    time.Time
	run      client.ObjectKey
	notified time.Time
}

// workers run long work beside the reconcile loop, one goroutine each, and tell the
// loop when there is something to see.
type workers struct {
	clock  clock.PassiveClock
	spawn  func(func())
	notify func(client.ObjectKey)

	mu      sync.Mutex
	jobs    map[workKey]*job
	stopped bool
	running sync.WaitGroup
}

func newWorkers(c clock.PassiveClock, spawn func(func()), notify func(client.ObjectKey)) *workers {
	return &workers{clock: c, spawn: spawn, notify: notify, jobs: map[workKey]*job{}}
}

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// begin starts work unless it is under way. An error of do that is no Fault makes it
// begin again after a while.
func (w *workers) begin(key workKey, run client.ObjectKey, do func(context.Context, func(advance)) (any, error)) {
	j, ctx := w.enter(key, run)
	if j == nil {
		return
	}
	w.spawn(func() {
		defer w.running.Done()
		result, err := guarded(ctx, do, func(a advance) { w.tell(key, j, run, a) })
		w.end(j, result, err)
		w.notify(run)
	})
}

// enter marks the work as running; nil when it already is, or nothing may begin.
func (w *workers) enter(key workKey, run client.ObjectKey) (*job, context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.jobs[key]
	if j == nil {
		j = &job{first: w.clock.Now()}
		w.jobs[key] = j
	}
	j.run = run
	if w.stopped || j.state == recovery.WorkRunning {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	j.state, j.cancel, j.result, j.fault = recovery.WorkRunning, cancel, nil, nil
	w.running.Add(1)
	return j, ctx
}

// guarded turns a panic on some input into a fault of that run, instead of the end of
// every run.
func guarded(ctx context.Context, do func(context.Context, func(advance)) (any, error), tell func(advance)) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = defect(ctx, p, debug.Stack())
		}
	}()
	return do(ctx, tell)
}

// defect says no more of a panic than what cannot hold anything that was rendered; the
// log has the places.
func defect(ctx context.Context, p any, stack []byte) *recovery.Fault {
	what := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		what = err.Error()
	}
	ctrl.LoggerFrom(ctx).Error(nil, "a defect of Refloat", "panic", what, "stack", string(stack))
	return recovery.Faultf("InternalError", "a defect of Refloat (%s); its log has the details", what)
}

func (w *workers) tell(key workKey, j *job, run client.ObjectKey, a advance) {
	w.mu.Lock()
	now := w.clock.Now()
	due := w.jobs[key] == j && now.Sub(j.notified) >= progressEvery
	j.advance = a
	if due {
		j.notified = now
	}
	w.mu.Unlock()
	if due {
		w.notify(run)
	}
}

func (w *workers) end(j *job, result any, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j.cancel()
	j.result, j.advance.waiting = result, ""
	if err == nil {
		j.state = recovery.WorkReady
		return
	}
	if j.fault = recovery.AsFault(err); j.fault != nil {
		j.state = recovery.WorkFailed
		return
	}
	j.failures++
	j.state, j.lastErr = recovery.WorkBackoff, err.Error()
	j.retryAt = w.clock.Now().Add(min(firstRetry<<min(j.failures-1, 10), lastRetry))
}

// state of the work, as Decide sees it.
func (w *workers) state(key workKey) recovery.Work {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.jobs[key]
	switch {
	case j == nil:
		return recovery.Work{}
	case j.state == recovery.WorkBackoff && !w.clock.Now().Before(j.retryAt):
		return recovery.Work{}
	case j.state == recovery.WorkBackoff:
		return recovery.Work{State: j.state, Waiting: j.lastErr, RetryAt: j.retryAt}
	}
	return recovery.Work{State: j.state, Fault: j.fault, Waiting: j.advance.waiting, Since: j.advance.since, Until: j.advance.until}
}

// progress of running work; nil when it tells none.
func (w *workers) progress(key workKey) *v1alpha1.Progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.jobs[key]
	if j == nil || j.state != recovery.WorkRunning || j.advance.progress.Total == 0 {
		return nil
	}
	p := j.advance.progress
	return &p
}

// put stores a result that other work made.
func (w *workers) put(key workKey, result any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[key] = &job{state: recovery.WorkReady, result: result}
}

// since is when it was first asked about a key that is no work, until it is used.
func (w *workers) since(key workKey) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobs[key] == nil {
		w.jobs[key] = &job{first: w.clock.Now()}
	}
	return w.jobs[key].first
}

// used forgets ended work whose outcome was recorded, so that it can be begun anew.
func (w *workers) used(key workKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j := w.jobs[key]; j != nil && j.state != recovery.WorkRunning {
		delete(w.jobs, key)
	}
}

// outcome of ended work of type T; an error when there is none.
func outcome[T any](w *workers, key workKey) (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j := w.jobs[key]; j != nil && j.state != recovery.WorkRunning {
		if result, ok := j.result.(T); ok {
			return result, nil
		}
	}
	var none T
	return none, fmt.Errorf("the outcome of %s was lost; it is made again", key.what)
}

// drop forgets all work of a run and ends what is under way. It does not wait.
func (w *workers) drop(run types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, j := range w.jobs {
		if key.run == run {
			if j.cancel != nil {
				j.cancel()
			}
			delete(w.jobs, key)
		}
	}
}

// dropNamed does so for a run that is gone without having ended, as when somebody takes its
// finalizer away: nobody else would.
func (w *workers) dropNamed(run client.ObjectKey) {
	w.mu.Lock()
	gone := map[types.UID]bool{}
	for key, j := range w.jobs {
		if j.run == run {
			gone[key.run] = true
		}
	}
	w.mu.Unlock()
	for uid := range gone {
		w.drop(uid)
	}
}

// stop ends all work and waits for it.
func (w *workers) stop() {
	w.mu.Lock()
	w.stopped = true
	for _, j := range w.jobs {
		if j.cancel != nil {
			j.cancel()
		}
	}
	w.mu.Unlock()
	w.running.Wait()
}
