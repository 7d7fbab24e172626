package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/process"
)

// probeInterval is how often a starting API server is asked whether it is ready.
// Nothing tells when another process listens on a port.
const probeInterval = 50 * time.Millisecond

// Start adopts the components of the plane that run, starts those that do not, and
// returns when the API server says that it is ready. A component that ends
// meanwhile ends Start with a ComponentError.
//
// When Start fails, nothing is stopped: it may be called again, or Stop or Purge.
func Start(ctx context.Context, o Options) (*Plane, error) {
	p, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("control plane %s: %w", o.Name, err)
	}
	if err := p.bringUp(ctx); err != nil {
		return nil, fmt.Errorf("control plane %s: %w", o.Name, err)
	}
	return p, nil
}

func (o *Options) complete() error {
	switch {
	case o.Name == "":
		return errors.New("the name is empty")
	case o.Role != Management && o.Role != Workload && o.Role != Bare:
		return fmt.Errorf("role %q: want %s, %s or %s", o.Role, Management, Workload, Bare)
	case o.Binaries.Kubernetes == "":
		return errors.New("the path of the Kubernetes program is empty")
	case o.Role == Workload && o.Binaries.Kwok == "":
		return errors.New("the path of the kwok program is empty")
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Backoff == (Backoff{}) {
		o.Backoff = Backoff{First: 250 * time.Millisecond, Limit: 10 * time.Second}
	}
	return nil
}

// open writes what the components read, and that they are wanted.
func open(ctx context.Context, o Options) (*Plane, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	dir, lock, err := lockNewDir(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	o.Dir = dir
	endpoint, err := Reserve(ctx, dir)
	if err != nil {
		return nil, err
	}
	keys := pki{filepath.Join(o.Dir, "pki")}
	for _, dir := range []string{keys.dir, filepath.Join(o.Dir, "log")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	p := &Plane{options: o, endpoint: endpoint}
	now := o.Clock.Now()
	if p.authorities, err = keys.authorities(o.Name, o.Authorities, now); err != nil {
		return nil, err
	}
	certificates, err := keys.issue(p.authorities, o.Name, endpoint, now)
	if err != nil {
		return nil, err
	}
	if p.admin, err = adminConfig(p.authorities, endpoint, o.Clock); err != nil {
		return nil, err
	}
	p.specs = specs{options: o, endpoint: endpoint, certificates: certificates}
	if err := p.writeConfigs(); err != nil {
		return nil, err
	}
	return p, writeState(o.Dir, state{Name: o.Name, Role: o.Role, Endpoint: endpoint})
}

func (p *Plane) writeConfigs() error {
	if len(p.options.AuditPolicy) > 0 {
		if err := process.WriteFile(filepath.Join(p.options.Dir, auditPolicyFile), p.options.AuditPolicy); err != nil {
			return err
		}
	}
	if p.options.Role != Workload {
		return nil
	}
	return process.WriteFile(filepath.Join(p.options.Dir, kwokConfigFile), kwokConfig())
}

// ensure makes sure that a component runs, if the plane still is to run.
func (p *Plane) ensure(ctx context.Context, name string) (process.Record, bool, error) {
	lock, err := lockDir(ctx, p.options.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return process.Record{}, false, ErrStopped
	}
	if err != nil {
		return process.Record{}, false, err
	}
	defer lock.Release()
	s, err := readState(p.options.Dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && s.Stopped {
		return process.Record{}, false, ErrStopped
	}
	if err != nil {
		return process.Record{}, false, err
	}
	return process.Start(ctx, p.options.Dir, p.specs.of(name), p.options.Clock.Now())
}

// bringUp starts the components in the order that is fastest: the API server when
// etcd can be reached, and everything else when the API server answers at all.
func (p *Plane) bringUp(ctx context.Context) error {
	began := p.options.Clock.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	group, watch := errgroup.WithContext(ctx)
	start := func(name string) error {
		r, started, err := p.ensure(ctx, name)
		if err != nil {
			return err
		}
		if started {
			p.options.Log.V(1).Info("Started a component", "plane", p.options.Name, "component", name, "pid", r.PID)
		}
		group.Go(func() error {
			err := ended(watch, r)
			if err != nil {
				cancel(err)
			}
			return err
		})
		return nil
	}
	err := p.startAll(ctx, start)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	cancel(nil)
	_ = group.Wait()
	if err == nil {
		p.options.Log.V(1).Info("The control plane is ready", "plane", p.options.Name,
			"endpoint", p.endpoint.String(), "took", p.options.Clock.Since(began).String())
	}
	return err
}

func (p *Plane) startAll(ctx context.Context, start func(string) error) error {
	if err := p.startEtcd(ctx, start); err != nil {
		return err
	}
	if err := p.checkPort(); err != nil {
		return err
	}
	if err := start(apiServer); err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(p.admin)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	others := componentsOf(p.options.Role)[2:]
	var last error
	err = wait.PollUntilContextCancel(ctx, probeInterval, true, func(ctx context.Context) (bool, error) {
		last = p.ready(ctx, client)
		var notReady *notReadyError
		if last == nil || errors.As(last, &notReady) {
			for _, name := range others {
				if err := start(name); err != nil {
					return false, err
				}
			}
			others = nil
		}
		return last == nil, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("wait for the API server at %s: %w (last answer: %w)", p.endpoint, err, last)
	}
	return err
}

// startEtcd starts etcd and returns when it accepts connections: an API server
// that finds it missing looks again only after a second.
func (p *Plane) startEtcd(ctx context.Context, start func(string) error) error {
	if _, err := process.Find(p.options.Dir, etcd); err == nil {
		return start(etcd)
	}
	watch, err := watchFile(p.options.Dir, etcdSocket)
	if err != nil {
		return err
	}
	defer watch.close()
	if err := start(etcd); err != nil {
		return err
	}
	if err := watch.created(ctx); err != nil {
		return fmt.Errorf("wait for etcd to listen: %w", err)
	}
	return nil
}

// checkPort explains a port that somebody else took while the plane was down; the
// API server would only end.
func (p *Plane) checkPort() error {
	if _, err := process.Find(p.options.Dir, apiServer); err == nil || PortFree(p.endpoint.Port) {
		return nil
	}
	return fmt.Errorf("port %d, which clients know this control plane by, is in use by another program; stop that program, or purge the control plane to get another port", p.endpoint.Port)
}

// ended waits for a process that should not end.
func ended(ctx context.Context, r process.Record) error {
	if err := r.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return &ComponentError{Component: r.Name, LogPath: r.LogPath(), Tail: process.Tail(r.LogPath())}
}
