package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// The delay before a part that ended is started again; it doubles until a part lives
// for longer than the limit.
const (
	firstDelay = 250 * time.Millisecond
	lastDelay  = 30 * time.Second
)

// Supervise keeps the parts of the sandbox in dir running until ctx ends, and leaves
// them running then.
func Supervise(ctx context.Context, dir string, log logr.Logger) error {
	dir, err := process.Canonical(dir)
	if err != nil {
		return err
	}
	p := parts{layout: layout(dir), clock: clock.RealClock{}, log: log}
	if p.settings, err = p.layout.readSettings(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return p.keep(ctx, "management", func(ctx context.Context) error {
			plane, err := controlplane.Start(ctx, p.management())
			if err != nil {
				return err
			}
			return plane.Run(ctx)
		})
	})
	for name, describe := range map[string]func(context.Context) (part, error){
		ClusterAPICore: p.core, Controller: p.controller,
	} {
		group.Go(func() error {
			return p.keep(ctx, name, func(ctx context.Context) error { return p.run(ctx, describe) })
		})
	}
	return group.Wait()
}

// run starts or adopts a part and returns when it has ended.
func (p parts) run(ctx context.Context, describe func(context.Context) (part, error)) error {
	part, err := describe(ctx)
	if err != nil {
		return err
	}
	r, started, err := process.Start(ctx, p.layout.dir(), part.spec, p.clock.Now())
	if err != nil {
		return err
	}
	p.log.Info("Keeping a part", "part", r.Name, "pid", r.PID, "started", started)
	if err := r.Wait(ctx); err != nil {
		return err
	}
	return &controlplane.ComponentError{Component: r.Name, LogPath: r.LogPath(), Tail: process.Tail(r.LogPath())}
}

// keep calls run again whenever it returns, until ctx ends or the sandbox is stopped.
func (p parts) keep(ctx context.Context, name string, run func(context.Context) error) error {
	delay := firstDelay
	for {
		began := p.clock.Now()
		err := run(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, controlplane.ErrStopped):
			return fmt.Errorf("%s: %w", name, err)
		}
		if p.clock.Since(began) > lastDelay {
			delay = firstDelay
		}
		p.log.Info("A part ended and will be started again", "part", name, "after", delay.String(), "reason", fmt.Sprint(err))
		timer := p.clock.NewTimer(delay)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		delay = min(2*delay, lastDelay)
	}
}
