// Package fleet runs the control planes of this machine in the background: it
// starts or adopts each one, supervises it, probes it and looks after the nodes
// and volumes in it, while the reconcilers that ask for planes never wait.
//
// A fleet holds nothing that cannot be found again: planes and their processes
// are on disk and outlive the program. A new fleet that is asked for a plane that
// already runs adopts it.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// ErrForeignState says that the directory of a plane holds the data of a cluster
// with another certificate authority: a leftover, or a plane of someone else.
var ErrForeignState = errors.New("the data directory belongs to a cluster with another certificate authority")

// ErrDataLost says that the data of a cluster that was served before is gone.
// Starting an empty cluster in its place would pass off a new cluster as the old.
var ErrDataLost = errors.New("the data of the cluster is gone from its directory; delete the Cluster and make it again")

// ErrNotServing says that a cluster cannot be asked for anything at the moment.
var ErrNotServing = errors.New("the API server of the cluster does not serve")

// Phase is how far a plane got.
type Phase string

// The phases of a plane.
const (
	// Absent: nobody asked for the plane since this program started.
	Absent Phase = "Absent"
	// Starting: its processes are being started or adopted.
	Starting Phase = "Starting"
	// StartFailed: the last start failed; the next one follows after a pause.
	StartFailed Phase = "StartFailed"
	// Running: it started, and is supervised. Problem says if it ails.
	Running Phase = "Running"
)

// Observation is what is known of a plane, without any request to it.
type Observation struct {
	Phase Phase
	// Served tells whether the plane served at any time since it was made, be it
	// for an earlier program.
	Served bool
	// Problem is why the plane is not healthy; nil when it is, or nothing is known yet.
	Problem error
	// Nodes is the last count of its nodes.
	Nodes workload.NodeCount
}

// Healthy tells whether the plane served requests at the last look.
func (o Observation) Healthy() bool { return o.Phase == Running && o.Problem == nil }

// Want says what plane is asked for.
type Want struct {
	// Authorities are the keys of the cluster.
	Authorities *controlplane.Authorities
	// Port is where the API server must listen; see Fleet.Reserve.
	Port int
}

// Options say how planes are run. StateDir and Driver are required.
type Options struct {
	// StateDir is where the directories of all planes lie; made with mode 0700.
	StateDir string
	// Driver runs one plane.
	Driver Driver
	// Concurrency is how many planes may start at the same time; 0 means 2. A
	// plane that starts takes a processor for some seconds.
	Concurrency int
	// StartTimeout bounds one start; 0 means 2 minutes.
	StartTimeout time.Duration
	// ProbeInterval is the time between two looks at a running plane; 0 means 2 s.
	ProbeInterval time.Duration
	// RetryFirst and RetryLimit space the starts that follow a failed one; the
	// pause doubles. 0 means 1 s and 30 s.
	RetryFirst, RetryLimit time.Duration
	// Clock paces all of it; nil is the real one.
	Clock clock.WithTicker
	Log   logr.Logger
}

func (o *Options) complete() {
	orDefault(&o.Concurrency, 2)
	orDefault(&o.StartTimeout, 2*time.Minute)
	orDefault(&o.ProbeInterval, 2*time.Second)
	orDefault(&o.RetryFirst, time.Second)
	orDefault(&o.RetryLimit, 30*time.Second)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Fleet runs planes, each known by the namespace and name of its Cluster.
type Fleet struct {
	options Options
	starts  *semaphore.Weighted
	// ctx ends with the fleet; every member's context derives from it.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex
	members   map[types.NamespacedName]*member
	listeners []func(types.NamespacedName)
}

// New makes a fleet. It does nothing until planes are asked for, and must be
// ended by Run or Close.
func New(o Options) *Fleet {
	o.complete()
	ctx, cancel := context.WithCancel(context.Background())
	return &Fleet{
		options: o, ctx: ctx, cancel: cancel,
		starts:  semaphore.NewWeighted(int64(o.Concurrency)),
		members: map[types.NamespacedName]*member{},
	}
}

// Start keeps the fleet until ctx ends, as a Runnable of a manager. The processes
// of the planes stay: they are adopted by the next fleet.
func (f *Fleet) Start(ctx context.Context) error {
	<-ctx.Done()
	f.Close()
	return nil
}

// Close ends all supervision and waits until it ended. No plane is stopped.
func (f *Fleet) Close() {
	f.cancel()
	f.work.Wait()
}

// Listen registers a function that is called with the key of each plane whose
// observation changed. It is called from many goroutines and must not block.
// Listeners are registered before the first plane is asked for.
func (f *Fleet) Listen(changed func(types.NamespacedName)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners = append(f.listeners, changed)
}

func (f *Fleet) announce(key types.NamespacedName) {
	f.mu.Lock()
	listeners := f.listeners
	f.mu.Unlock()
	for _, changed := range listeners {
		changed(key)
	}
}

// Ensure asks for a plane. It returns at once: the plane is started or adopted in
// the background, and supervised from then on. Asking again changes nothing.
func (f *Fleet) Ensure(key types.NamespacedName, want Want) error {
	if err := f.claim(key, want.Authorities); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.members[key]; ok || f.ctx.Err() != nil {
		return nil
	}
	m := newMember(f, key, want)
	f.members[key] = m
	f.work.Go(func() {
		defer close(m.done)
		m.run()
	})
	return nil
}

// Observe returns what is known of a plane.
func (f *Fleet) Observe(key types.NamespacedName) Observation {
	f.mu.Lock()
	m := f.members[key]
	f.mu.Unlock()
	seen := Observation{Phase: Absent}
	if m != nil {
		seen = m.observe()
	}
	seen.Served = f.served(key)
	return seen
}

// SetNodes says what nodes the cluster of a plane should have. It has no effect
// on a plane that nobody asked for yet.
func (f *Fleet) SetNodes(key types.NamespacedName, pool workload.Pool) {
	f.mu.Lock()
	m := f.members[key]
	f.mu.Unlock()
	if m != nil {
		m.setNodes(pool)
	}
}

// EnsureNode creates the node of a machine in the cluster of a plane.
func (f *Fleet) EnsureNode(ctx context.Context, key types.NamespacedName, machine workload.Machine) error {
	helpers, err := f.serving(key)
	if err != nil {
		return err
	}
	return helpers.EnsureNode(ctx, machine)
}

// RemoveNode deletes the node of a machine in the cluster of a plane.
func (f *Fleet) RemoveNode(ctx context.Context, key types.NamespacedName, machine workload.Machine) error {
	helpers, err := f.serving(key)
	if err != nil {
		return err
	}
	return helpers.RemoveNode(ctx, machine)
}

func (f *Fleet) serving(key types.NamespacedName) (Helpers, error) {
	f.mu.Lock()
	m := f.members[key]
	f.mu.Unlock()
	if m == nil || !m.observe().Healthy() {
		return nil, ErrNotServing
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.helpers, nil
}

// Reserve chooses the port of a plane, or takes the one that is given, and keeps
// it until Purge. Calling it again returns the same.
func (f *Fleet) Reserve(ctx context.Context, key types.NamespacedName, port int) (controlplane.Endpoint, error) {
	if err := f.makeDirectory(key); err != nil {
		return controlplane.Endpoint{}, err
	}
	endpoint, err := f.options.Driver.Reserve(ctx, f.planeDirectory(key), port)
	if err != nil {
		return controlplane.Endpoint{}, fmt.Errorf("reserve a port for cluster %s: %w", key, err)
	}
	return endpoint, nil
}

// Purge stops the processes of a plane and removes all that it left on this
// machine. It asks nothing of the plane, and works when nothing is there.
func (f *Fleet) Purge(ctx context.Context, key types.NamespacedName) error {
	if err := f.dismiss(ctx, key); err != nil {
		return err
	}
	if err := f.options.Driver.Purge(ctx, f.planeDirectory(key)); err != nil {
		return fmt.Errorf("stop and remove the control plane of cluster %s: %w", key, err)
	}
	return f.removeDirectory(key)
}

// dismiss ends the supervision of a plane, so that nothing restarts what Purge stops.
func (f *Fleet) dismiss(ctx context.Context, key types.NamespacedName) error {
	f.mu.Lock()
	m := f.members[key]
	f.mu.Unlock()
	if m == nil {
		return nil
	}
	m.cancel()
	select {
	case <-m.done:
	case <-ctx.Done():
		return fmt.Errorf("wait for the supervision of cluster %s to end: %w", key, ctx.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members[key] == m {
		delete(f.members, key)
	}
	return nil
}
