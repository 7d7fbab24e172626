package fleet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// Driver runs one control plane in one directory, and looks after what is in it.
type Driver interface {
	// Reserve chooses a port for dir, or takes port when it is not zero.
	Reserve(ctx context.Context, dir string, port int) (controlplane.Endpoint, error)
	// HasData tells whether a plane was ever started in dir and not purged since.
	HasData(dir string) (bool, error)
	// Start starts what is missing of the plane in dir and returns when it serves.
	Start(ctx context.Context, dir, name string, authorities *controlplane.Authorities) (Plane, error)
	// Purge ends every process of dir and removes it.
	Purge(ctx context.Context, dir string) error
	// Helpers makes what looks after the cluster behind a plane.
	Helpers(config *rest.Config, name string, nodesChanged func()) (Helpers, error)
}

// Plane is a control plane that served at least once.
type Plane interface {
	// Healthy returns what is wrong with the plane, nil when nothing is.
	Healthy(ctx context.Context) error
	// Run supervises its processes until ctx ends and leaves them running.
	Run(ctx context.Context) error
	// AdminConfig reaches it with all rights.
	AdminConfig() *rest.Config
}

// Helpers look after nodes and volumes of one cluster.
type Helpers interface {
	Prepare(ctx context.Context) error
	Run(ctx context.Context) error
	SetNodes(pool workload.Pool)
	Nodes() workload.NodeCount
	EnsureNode(ctx context.Context, machine workload.Machine) error
	RemoveNode(ctx context.Context, machine workload.Machine) error
}

// Real is the Driver that runs real processes.
type Real struct {
	Binaries    assets.Binaries
	AuditPolicy []byte
	Clock       clock.WithTicker
	Log         logr.Logger
}

// Reserve implements Driver.
func (r *Real) Reserve(ctx context.Context, dir string, port int) (controlplane.Endpoint, error) {
	endpoint, err := controlplane.Reserve(ctx, dir)
	if err == nil && port != 0 && endpoint.Port != port {
		return endpoint, fmt.Errorf("port %d was asked for and %s holds port %d", port, dir, endpoint.Port)
	}
	return endpoint, err
}

// HasData implements Driver.
func (r *Real) HasData(dir string) (bool, error) {
	_, err := controlplane.Inspect(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Start implements Driver.
func (r *Real) Start(ctx context.Context, dir, name string, authorities *controlplane.Authorities) (Plane, error) {
	plane, err := controlplane.Start(ctx, controlplane.Options{
		Dir: dir, Name: name, Role: controlplane.Workload,
		Binaries: r.Binaries, Authorities: authorities, AuditPolicy: r.AuditPolicy,
		Clock: r.Clock, Log: r.Log.WithValues("cluster", name),
	})
	if err != nil {
		return nil, err // not *Plane(nil) in an interface
	}
	return plane, nil
}

// Purge implements Driver.
func (r *Real) Purge(ctx context.Context, dir string) error { return controlplane.Purge(ctx, dir) }

// Helpers implements Driver.
func (r *Real) Helpers(config *rest.Config, name string, nodesChanged func()) (Helpers, error) {
	return workload.New(workload.Options{
		Config: config, NodesChanged: nodesChanged, Log: r.Log.WithValues("cluster", name),
	})
}
