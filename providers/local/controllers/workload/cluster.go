// Package workload makes a control plane without nodes behave like a cluster
// with them: it creates the nodes that kwok then plays, provides storage classes
// and provisions volumes that exist only as objects, and marks the cluster as
// simulated, so that nobody takes its pods for real ones.
//
// Everything here runs in the process of the provider, one small manager per
// cluster, and keeps no state of its own: after a crash the next process reads
// the objects and goes on.
package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/event"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// fieldOwner is the field manager of what this package applies.
const fieldOwner = client.FieldOwner("refloat-local")

// cacheSyncTimeout bounds the first listing; a plane that cannot list a few
// kinds within it is in trouble, and its supervisor tries again.
const cacheSyncTimeout = time.Minute

// Options say what cluster is looked after.
type Options struct {
	// Config reaches the cluster with all rights.
	Config *rest.Config
	// Log is where the controllers of the cluster write.
	Log logr.Logger
	// NodesChanged is called, from any goroutine, after Nodes answers differently.
	NodesChanged func()
}

// Cluster is one cluster that is looked after.
type Cluster struct {
	options Options
	scheme  *runtime.Scheme
	// wake makes the node controller look at a changed pool. One pending wake-up
	// is enough, so senders never block.
	wake chan event.GenericEvent

	mu sync.Mutex
	// pool is nil until SetNodes said what is wanted; until then nodes are left alone.
	pool *Pool
	seen NodeCount
}

// New prepares to look after a cluster; nothing happens before Prepare and Run.
func New(o Options) (*Cluster, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, storagev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	if o.NodesChanged == nil {
		o.NodesChanged = func() {}
	}
	return &Cluster{options: o, scheme: scheme, wake: make(chan event.GenericEvent, 1)}, nil
}

// Run looks after the cluster until ctx ends. It returns an error when it could
// not start; call it again later.
func (c *Cluster) Run(ctx context.Context) error {
	mgr, err := ctrl.NewManager(c.options.Config, ctrl.Options{
		Scheme:                  c.scheme,
		Logger:                  c.options.Log,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: ptr.To(5 * time.Second),
		// Several clusters have controllers of the same name in one process.
		Controller: config.Controller{SkipNameValidation: ptr.To(true), CacheSyncTimeout: cacheSyncTimeout},
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject:         map[client.Object]cache.ByObject{&corev1.Node{}: {Label: poolSelector()}},
		},
	})
	if err != nil {
		return fmt.Errorf("set up the helpers of the cluster: %w", err)
	}
	if err := (&nodeReconciler{cluster: c, client: mgr.GetClient()}).setup(mgr); err != nil {
		return fmt.Errorf("set up nodes: %w", err)
	}
	if err := setupStorage(mgr); err != nil {
		return fmt.Errorf("set up storage: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the helpers of the cluster: %w", err)
	}
	return nil
}

// connect makes a client without a cache. It knows by itself how the few kinds of
// this package are called, and asks the API server nothing.
func (c *Cluster) connect() (client.Client, error) {
	mapper := meta.NewDefaultRESTMapper(c.scheme.PrioritizedVersionsAllGroups())
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	mapper.Add(storagev1.SchemeGroupVersion.WithKind("StorageClass"), meta.RESTScopeRoot)
	direct, err := client.New(c.options.Config, client.Options{Scheme: c.scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return direct, nil
}

// SetNodes says what nodes the cluster should have from now on.
func (c *Cluster) SetNodes(pool Pool) {
	c.mu.Lock()
	changed := c.pool == nil || !c.pool.equal(pool)
	c.pool = &pool
	c.mu.Unlock()
	if !changed {
		return
	}
	select {
	case c.wake <- event.GenericEvent{Object: &corev1.Node{}}:
	default:
	}
}

// Nodes returns the last count of nodes; zero before the first look.
func (c *Cluster) Nodes() NodeCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

func (c *Cluster) desired() *Pool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pool
}

func (c *Cluster) report(seen NodeCount) {
	c.mu.Lock()
	changed := c.seen != seen
	c.seen = seen
	c.mu.Unlock()
	if changed {
		c.options.NodesChanged()
	}
}
