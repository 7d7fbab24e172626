package chart

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

var errRenderTime = errors.New("the time to render a chart is over")

const (
	// sampleEvery is how often a running template looks at memory and time.
	sampleEvery = time.Millisecond
	// mostFrames is how deep the stack may be, about 2,000 templates in each other: the
	// engine's own limit is 1,000, but it counts each name apart. An error that comes up
	// from far below grows with every level, and at 1 GB of stack the process ends.
	mostFrames = 30_000
	// depthEvery is after how many ticks the stack is measured: it takes as many to get
	// as many templates deeper.
	depthEvery = 512
	// grace is how long an abandoned rendering is waited for: most stop within a tick.
	grace = 2 * time.Second
)

// guard stops a rendering that takes too long or too much. Its methods are called from
// templates, which run in one goroutine.
type guard struct {
	ctx    context.Context
	limits Limits
	start  uint64 // bytes of live heap
	last   time.Time
	ticks  int

	mu    sync.Mutex
	cause error
}

// liveHeap is how much memory the process held when it last looked for garbage.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

func newGuard(ctx context.Context, limits Limits) *guard {
	return &guard{ctx: ctx, limits: limits, start: liveHeap()}
}

// tick is called from templates; an error ends the rendering.
func (g *guard) tick() (string, error) {
	if g.ticks++; g.ticks%depthEvery == 0 {
		var frame [1]uintptr
		if runtime.Callers(mostFrames, frame[:]) > 0 {
			return "", g.stop(fmt.Errorf("templates include each other too deep: %w", ErrLimit))
		}
	}
	now := time.Now()
	if now.Sub(g.last) < sampleEvery {
		return "", nil
	}
	g.last = now
	if g.ctx.Err() != nil {
		return "", g.stop(context.Cause(g.ctx))
	}
	if liveHeap() > g.start+uint64(g.limits.Memory) {
		return "", g.stop(fmt.Errorf("it takes more than %d MiB of memory: %w", g.limits.Memory>>20, ErrLimit))
	}
	return "", nil
}

// count is how much of something a function may make at once.
func (g *guard) count(name string, n, most int64) error {
	if n > most {
		return g.stop(fmt.Errorf("%s asks for %d, more than %d: %w", name, n, most, ErrLimit))
	}
	_, err := g.tick()
	return err
}

func (g *guard) stop(cause error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause == nil {
		g.cause = cause
	}
	return g.cause
}

// stopped says why the guard ended the rendering; nil when it did not.
func (g *guard) stopped() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}

// run calls f and comes back when f does or when the time is over, whichever is first.
// What then still runs ends at its next tick. A loop without one, in a text that is
// passed to tpl, cannot be ended; it is left behind.
func (g *guard) run(f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("rendering failed: %s", printable(fmt.Sprint(p)))
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-g.ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return g.stop(context.Cause(g.ctx))
	}
}
