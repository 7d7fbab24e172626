package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/internal/storm"
	"github.com/refloat-dev/refloat/providers/capi"
	recoverycontroller "github.com/refloat-dev/refloat/recovery/controller"
	"github.com/refloat-dev/refloat/recovery/failover/controller"
)

var plane *planetest.Plane

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(planetest.Main(m, &plane, planetest.Options{}))
}

// world is a real management cluster with the controller in it, and clusters that are only
// what a prober sees of one, behind a network that can be cut.
type world struct {
	t      *testing.T
	ns     string
	c      client.WithWatch
	scheme *runtime.Scheme

	mu       sync.Mutex
	clusters map[string]*cluster
	stop     func()
}

// install the definitions of Cluster API once for all tests.
var install = sync.OnceValue(func() error { return planetest.InstallClusterAPI(context.Background(), plane.Config) })

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clusters: map[string]*cluster{}, scheme: runtime.NewScheme()}
	w.must(recoverycontroller.AddToScheme(w.scheme))
	_, err := storm.New(t.Context(), plane.Config) // installs the API
	w.must(err)
	w.must(install())
	access := rest.CopyConfig(plane.Config)
	access.QPS = -1
	w.c, err = client.NewWithWatch(access, client.Options{Scheme: w.scheme})
	w.must(err)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "failover-"}}
	w.must(w.c.Create(t.Context(), ns))
	w.ns = ns.Name
	t.Cleanup(func() {
		if w.stop != nil {
			w.stop()
		}
		for _, c := range w.clusters {
			c.close()
		}
	})
	return w
}

// start the controller, or another one in its place.
func (w *world) start(change func(*controller.Options)) {
	w.t.Helper()
	if w.stop != nil {
		w.stop()
	}
	skip := true
	access := rest.CopyConfig(plane.Config)
	access.QPS = -1
	mgr, err := ctrl.NewManager(access, ctrl.Options{
		Scheme: w.scheme, Metrics: server.Options{BindAddress: "0"}, Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{w.ns: {}}}, Controller: config.Controller{SkipNameValidation: &skip},
	})
	w.must(err)
	o := controller.Options{Clusters: w}
	if change != nil {
		change(&o)
	}
	w.must(controller.SetupWithManager(mgr, o))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the controller ended: %v", err)
		}
		w.stop = nil
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// policy for a new plan and cluster of the name.
func (w *world) policy(name string, change func(*v1alpha1.FailoverPolicySpec)) *v1alpha1.FailoverPolicy {
	w.t.Helper()
	plan := storm.Plan(name)
	plan.Namespace, plan.Spec.Cluster.Name = w.ns, name
	w.must(w.c.Create(w.t.Context(), plan))
	w.mu.Lock()
	w.clusters[name] = newCluster(name)
	w.mu.Unlock()
	p := &v1alpha1.FailoverPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name},
		Spec: v1alpha1.FailoverPolicySpec{
			PlanRef: v1alpha1.PlanReference{Name: name},
			Unhealthy: v1alpha1.UnhealthyRule{
				For: seconds(1), RecoverFor: seconds(1),
				Signals: []v1alpha1.Signal{{Name: "api", APIServer: &v1alpha1.APIServerSignal{Interval: seconds(1), UnreachableAfter: seconds(3)}}},
			},
			Cooldown: &metav1.Duration{},
		},
	}
	if change != nil {
		change(&p.Spec)
	}
	w.must(w.c.Create(w.t.Context(), p))
	return p
}

func seconds(n int) *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(n) * time.Second}
}

// until a policy is as it is wanted. Every status on the way is held against the rules of
// conditions.
func (w *world) until(p *v1alpha1.FailoverPolicy, what string, ok func(*v1alpha1.FailoverPolicy) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	events, err := w.c.Watch(ctx, &v1alpha1.FailoverPolicyList{}, client.InNamespace(w.ns), client.MatchingFields{"metadata.name": p.Name})
	w.must(err)
	defer events.Stop()
	for e := range events.ResultChan() {
		now, is := e.Object.(*v1alpha1.FailoverPolicy)
		if !is {
			continue
		}
		for _, c := range now.Status.Conditions {
			if c.Reason == "" || c.Message == "" || c.ObservedGeneration == 0 {
				w.t.Errorf("condition %+v", c)
			}
		}
		if ok(now) {
			*p = *now
			return
		}
		*p = *now
	}
	w.t.Fatalf("policy %s is not %s: %+v", p.Name, what, p.Status)
}

// condition of a policy with a reason.
func has(kind, reason string) func(*v1alpha1.FailoverPolicy) bool {
	return func(p *v1alpha1.FailoverPolicy) bool {
		c := meta.FindStatusCondition(p.Status.Conditions, kind)
		return c != nil && c.Reason == reason
	}
}

// runs that there are.
func (w *world) runs(want int) []v1alpha1.RecoveryRun {
	w.t.Helper()
	list := &v1alpha1.RecoveryRunList{}
	w.must(w.c.List(w.t.Context(), list, client.InNamespace(w.ns)))
	if len(list.Items) != want {
		w.t.Fatalf("%d runs, want %d", len(list.Items), want)
	}
	return list.Items
}

// noRunFor a time, in which every run would be seen.
func (w *world) noRunFor(d time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	events, err := w.c.Watch(ctx, &v1alpha1.RecoveryRunList{}, client.InNamespace(w.ns))
	w.must(err)
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-events.ResultChan():
			if !open {
				w.t.Fatal("the watch ended before the time was up")
			}
			if run, ok := e.Object.(*v1alpha1.RecoveryRun); ok {
				w.t.Fatalf("run %s was ordered: %s", run.Name, run.Spec.Reason)
			}
		}
	}
}

// Observe implements controller.Clusters.
func (w *world) Observe(_ context.Context, namespace, name string) (capi.Observation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil {
		return capi.Observation{}, nil
	}
	seen := c.seen
	seen.Exists, seen.Incarnation = true, capi.Incarnation{Namespace: namespace, Name: name, UID: c.uid}
	return seen, nil
}

// Connect implements controller.Clusters.
func (w *world) Connect(_ context.Context, inc capi.Incarnation) (*rest.Config, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clusters[inc.Name].access(), nil
}

// Lend implements controller.Clusters.
func (w *world) Lend(_ context.Context, admin *rest.Config, _ capi.Role) (*rest.Config, error) {
	return rest.CopyConfig(admin), nil
}

// set the state of the network to a cluster.
func (w *world) set(name string, s state) {
	w.mu.Lock()
	c := w.clusters[name]
	w.mu.Unlock()
	c.set(s)
}

// state of the way to a cluster.
type state int32

const (
	up state = iota
	// refused connections: nothing listens there.
	refused
	// cut is a network that swallows everything.
	cut
	// slow answers take seconds.
	slow
)

// cluster is as much of one as a prober sees.
type cluster struct {
	name   string
	uid    types.UID
	seen   capi.Observation
	server *httptest.Server
	state  atomic.Int32
	leases atomic.Int32
	ended  chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newCluster(name string) *cluster {
	c := &cluster{name: name, uid: types.UID("uid-" + name), seen: capi.Observation{Initialized: true}, ended: make(chan struct{}), conns: map[net.Conn]bool{}}
	c.server = httptest.NewUnstartedServer(c)
	c.server.EnableHTTP2 = true
	c.server.Config.ErrorLog = nil
	c.server.StartTLS()
	return c
}

func (c *cluster) close() {
	close(c.ended)
	c.server.CloseClientConnections()
	c.server.Close()
}

func (c *cluster) set(s state) {
	c.state.Store(int32(s))
	if s == up || s == slow {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = map[net.Conn]bool{}
}

func (c *cluster) access() *rest.Config {
	return &rest.Config{Host: c.server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: authority(c.server)}, QPS: -1, Dial: c.dial}
}

func (c *cluster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch state(c.state.Load()) {
	case refused:
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case cut:
		select {
		case <-ctx.Done():
		case <-c.ended:
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	case up, slow:
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		c.mu.Lock()
		c.conns[conn] = true
		c.mu.Unlock()
	}
	return conn, err
}

// ServeHTTP answers as an API server does.
func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if state(c.state.Load()) == slow {
		timer := time.NewTimer(2 * time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		case <-c.ended:
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/readyz":
		fmt.Fprint(w, "ok")
	case r.URL.Query().Get("watch") != "":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-c.ended:
		}
	case strings.HasSuffix(r.URL.Path, "/namespaces/kube-system"):
		fmt.Fprintf(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"system-%s"}}`, c.name)
	case strings.Contains(r.URL.Path, "/leases/"):
		c.leases.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": map[string]any{"name": "refloat-probe"}})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}
