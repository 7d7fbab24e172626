package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/process"
)

// Run starts components again when they end, until ctx ends, and then returns nil
// and leaves them running. It returns ErrStopped when the plane is stopped or
// purged by anybody.
func (p *Plane) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range componentsOf(p.options.Role) {
		group.Go(func() error { return p.keep(ctx, name) })
	}
	return group.Wait()
}

// keep keeps one component running.
func (p *Plane) keep(ctx context.Context, name string) error {
	log := p.options.Log.WithValues("plane", p.options.Name, "component", name)
	retry := delay{backoff: p.options.Backoff, clock: p.options.Clock}
	for {
		began := p.options.Clock.Now()
		r, started, err := p.ensure(ctx, name)
		if err == nil {
			if started {
				log.Info("Started a component", "pid", r.PID)
			}
			err = ended(ctx, r)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrStopped):
			return fmt.Errorf("control plane %s: %w", p.options.Name, ErrStopped)
		}
		log.Info("A component ended and will be started again", "reason", err.Error())
		if !retry.wait(ctx, p.options.Clock.Since(began)) {
			return nil
		}
	}
}

// delay is the state of a Backoff.
type delay struct {
	backoff Backoff
	clock   clock.WithTicker
	next    time.Duration
}

// after returns how long to wait after an attempt that lasted for lived.
func (d *delay) after(lived time.Duration) time.Duration {
	if d.next == 0 || lived > d.backoff.Limit {
		d.next = d.backoff.First
	}
	now := d.next
	d.next = min(2*d.next, d.backoff.Limit)
	return now
}

// wait says whether to go on.
func (d *delay) wait(ctx context.Context, lived time.Duration) bool {
	timer := d.clock.NewTimer(d.after(lived))
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// Inspect describes the plane in dir by its records, without a request to it. It
// returns fs.ErrNotExist when there is none.
func Inspect(dir string) (Status, error) {
	s, err := readState(dir)
	if err != nil {
		return Status{}, err
	}
	status := Status{Name: s.Name, Role: s.Role, Endpoint: s.Endpoint}
	for _, name := range componentsOf(s.Role) {
		c := Component{Name: name, LogPath: process.LogPath(dir, name)}
		if r, err := process.Find(dir, name); err == nil {
			c.PID, c.Running, c.Since = r.PID, true, r.StartedAt
		}
		status.Components = append(status.Components, c)
	}
	return status, nil
}
