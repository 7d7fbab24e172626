package fleet

import (
	"context"
	"os"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// fakeDriver plays planes whose fate the test decides.
type fakeDriver struct {
	mu      sync.Mutex
	started int
	data    map[string]bool
	// start decides over a start; nil lets it succeed.
	start func(ctx context.Context, n int) error
	// healthy is what every probe answers.
	healthy error
	// ended is closed to make the supervision of a plane end.
	ended   chan struct{}
	helpers *fakeHelpers
}

func newDriver() *fakeDriver {
	return &fakeDriver{data: map[string]bool{}, ended: make(chan struct{}), helpers: &fakeHelpers{}}
}

func (d *fakeDriver) Reserve(_ context.Context, dir string, port int) (controlplane.Endpoint, error) {
	if port == 0 {
		port = 20001
	}
	return controlplane.Endpoint{Host: "127.0.0.1", Port: port}, os.MkdirAll(dir, 0o700)
}

func (d *fakeDriver) HasData(dir string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.data[dir], nil
}

func (d *fakeDriver) Start(ctx context.Context, dir, _ string, _ *controlplane.Authorities) (Plane, error) {
	d.mu.Lock()
	d.started++
	n, start := d.started, d.start
	d.data[dir] = true
	d.mu.Unlock()
	if start != nil {
		if err := start(ctx, n); err != nil {
			return nil, err
		}
	}
	return &fakePlane{driver: d}, nil
}

func (d *fakeDriver) Purge(_ context.Context, dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.data, dir)
	return os.RemoveAll(dir)
}

func (d *fakeDriver) Helpers(*rest.Config, string, func()) (Helpers, error) { return d.helpers, nil }

func (d *fakeDriver) starts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.started
}

func (d *fakeDriver) setHealthy(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.healthy = err
}

type fakePlane struct{ driver *fakeDriver }

func (p *fakePlane) Healthy(context.Context) error {
	p.driver.mu.Lock()
	defer p.driver.mu.Unlock()
	return p.driver.healthy
}

func (p *fakePlane) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-p.driver.ended:
		return controlplane.ErrStopped
	}
}

func (p *fakePlane) AdminConfig() *rest.Config { return &rest.Config{} }

type fakeHelpers struct {
	mu   sync.Mutex
	pool *workload.Pool
}

func (h *fakeHelpers) Prepare(context.Context) error { return nil }

func (h *fakeHelpers) EnsureNode(context.Context, workload.Machine) error { return errBad }

func (h *fakeHelpers) RemoveNode(context.Context, workload.Machine) error { return errBad }

func (h *fakeHelpers) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (h *fakeHelpers) SetNodes(p workload.Pool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pool = &p
}

func (h *fakeHelpers) Nodes() workload.NodeCount {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pool == nil {
		return workload.NodeCount{}
	}
	return workload.NodeCount{Desired: h.pool.Count, Ready: h.pool.Count}
}
