package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
)

// probeTimeout bounds one look at a running plane.
const probeTimeout = 5 * time.Second

// member is one plane of the fleet and the goroutine that brings it up and
// supervises it.
type member struct {
	fleet  *Fleet
	key    types.NamespacedName
	want   Want
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	seen    Observation
	pool    *workload.Pool
	helpers Helpers
}

func newMember(f *Fleet, key types.NamespacedName, want Want) *member {
	ctx, cancel := context.WithCancel(f.ctx)
	return &member{
		fleet: f, key: key, want: want, ctx: ctx, cancel: cancel,
		done: make(chan struct{}), seen: Observation{Phase: Starting},
	}
}

// run starts the plane, again and again until it succeeds, and supervises it.
func (m *member) run() {
	defer m.cancel()
	pause := m.fleet.options.RetryFirst
	for {
		err := m.startAndServe()
		if m.ctx.Err() != nil {
			return
		}
		m.set(StartFailed, err)
		select {
		case <-m.ctx.Done():
			return
		case <-m.fleet.options.Clock.After(pause):
		}
		pause = min(2*pause, m.fleet.options.RetryLimit)
		m.set(Starting, err)
	}
}

func (m *member) startAndServe() error {
	plane, err := m.start()
	if err != nil {
		return err
	}
	helpers, err := m.fleet.options.Driver.Helpers(plane.AdminConfig(), m.key.Name, m.changed)
	if err != nil {
		return err
	}
	if err := m.prepare(helpers); err != nil {
		return err
	}
	if err := m.fleet.rememberServed(m.key); err != nil {
		return err
	}
	m.attach(helpers)
	m.set(Running, nil)
	return m.serve(plane, helpers)
}

// start waits for its turn and starts the plane within the time limit.
func (m *member) start() (Plane, error) {
	if err := m.fleet.starts.Acquire(m.ctx, 1); err != nil {
		return nil, fmt.Errorf("wait for other control planes to start: %w", err)
	}
	defer m.fleet.starts.Release(1)
	ctx, cancel := context.WithTimeout(m.ctx, m.fleet.options.StartTimeout)
	defer cancel()
	if err := m.fleet.checkData(m.key); err != nil {
		return nil, err
	}
	dir := m.fleet.planeDirectory(m.key)
	endpoint, err := m.fleet.options.Driver.Reserve(ctx, dir, m.want.Port)
	if err != nil {
		return nil, fmt.Errorf("take port %d: %w", m.want.Port, err)
	}
	if endpoint.Port != m.want.Port {
		return nil, fmt.Errorf("take port %d: the data directory holds port %d", m.want.Port, endpoint.Port)
	}
	plane, err := m.fleet.options.Driver.Start(ctx, dir, m.key.Name, m.want.Authorities)
	if err != nil {
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	return plane, nil
}

func (m *member) prepare(helpers Helpers) error {
	ctx, cancel := context.WithTimeout(m.ctx, m.fleet.options.StartTimeout)
	defer cancel()
	if err := helpers.Prepare(ctx); err != nil {
		return fmt.Errorf("prepare the cluster: %w", err)
	}
	return nil
}

// serve supervises the plane, probes it and runs its helpers until the member ends.
func (m *member) serve(plane Plane, helpers Helpers) error {
	group, ctx := errgroup.WithContext(m.ctx)
	group.Go(func() error { return endedEarly(ctx, "supervision", plane.Run(ctx)) })
	group.Go(func() error { return m.probe(ctx, plane) })
	group.Go(func() error { return m.help(ctx, helpers) })
	return group.Wait()
}

// endedEarly makes an end that nobody asked for an error, so that all is begun anew.
func endedEarly(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		return fmt.Errorf("%s ended by itself", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (m *member) probe(ctx context.Context, plane Plane) error {
	ticker := m.fleet.options.Clock.NewTicker(m.fleet.options.ProbeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
		once, cancel := context.WithTimeout(ctx, probeTimeout)
		problem := plane.Healthy(once)
		cancel()
		if ctx.Err() == nil {
			m.set(Running, problem)
		}
	}
}

// help runs the helpers, which end when the plane was unreachable for too long.
func (m *member) help(ctx context.Context, helpers Helpers) error {
	for {
		err := helpers.Run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		m.fleet.options.Log.Error(err, "the helpers of a cluster ended and are started again", "cluster", m.key.String())
		select {
		case <-ctx.Done():
			return nil
		case <-m.fleet.options.Clock.After(m.fleet.options.RetryFirst):
		}
	}
}

func (m *member) set(phase Phase, problem error) {
	m.mu.Lock()
	changed := m.seen.Phase != phase || text(m.seen.Problem) != text(problem)
	m.seen.Phase, m.seen.Problem = phase, problem
	m.mu.Unlock()
	if changed {
		m.changed()
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (m *member) changed() { m.fleet.announce(m.key) }

func (m *member) attach(helpers Helpers) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.helpers = helpers
	if m.pool != nil {
		helpers.SetNodes(*m.pool)
	}
}

func (m *member) setNodes(pool workload.Pool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pool = &pool
	if m.helpers != nil {
		m.helpers.SetNodes(pool)
	}
}

func (m *member) observe() Observation {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.seen
	if m.helpers != nil {
		seen.Nodes = m.helpers.Nodes()
	}
	return seen
}
