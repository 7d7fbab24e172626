package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/refloat-dev/refloat/internal/chaos/seeded"
	"github.com/refloat-dev/refloat/internal/faultproxy"
	"github.com/refloat-dev/refloat/recovery/controller"
)

// order of work for a controller.
type errand struct {
	// Kubeconfig of the management cluster, as the proxy serves it.
	Kubeconfig []byte
	// Namespace that it looks after.
	Namespace string
	CacheDir  string
	// Elect makes it wait for the leader's Lease.
	Elect bool
}

// environment variable by which this program knows that it is to be a controller.
const processVariable = "REFLOAT_CHAOS_PROCESS"

// Process makes this program a controller when its parent wants it to be one, and then
// does not return before the end. Main functions call it first.
func Process() (was bool, err error) {
	raw := os.Getenv(processVariable)
	if raw == "" {
		return false, nil
	}
	var e errand
	if err := json.Unmarshal([]byte(raw), &e); err != nil {
		return true, fmt.Errorf("%s: %w", processVariable, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent is gone
		stop()
	}()
	return true, e.run(ctx, clock.RealClock{}, os.Stderr)
}

// run a controller as the product does.
func (e errand) run(ctx context.Context, c clock.WithTicker, out io.Writer) error {
	access, err := clientcmd.RESTConfigFromKubeConfig(e.Kubeconfig)
	if err != nil {
		return err
	}
	access.QPS = -1
	log := funcr.New(func(prefix, args string) { fmt.Fprintln(out, prefix, args) }, funcr.Options{})
	mgr, err := e.manager(access, log)
	if err != nil {
		return err
	}
	if err := controller.SetupWithManager(mgr, controller.Options{CacheDir: e.CacheDir, Clock: c, Log: log, Version: "chaos"}); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("run a controller: %w", err)
	}
	return nil
}

func (e errand) manager(access *rest.Config, log logr.Logger) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := controller.AddToScheme(scheme); err != nil {
		return nil, err
	}
	lease, renew, retry := 3*time.Second, 2*time.Second, 500*time.Millisecond
	return ctrl.NewManager(access, ctrl.Options{
		Scheme: scheme, Logger: log,
		Metrics:                 server.Options{BindAddress: "0"},
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{e.Namespace: {}}},
		Controller:              config.Controller{SkipNameValidation: ptr.To(true)},
		LeaderElection:          e.Elect,
		LeaderElectionID:        faultproxy.LeaderLease,
		LeaderElectionNamespace: e.Namespace,
		LeaseDuration:           &lease, RenewDeadline: &renew, RetryPeriod: &retry,
		LeaderElectionReleaseOnCancel: true,
	})
}

// process is a controller under test.
type process interface {
	// kill it as kill -9 does. When it returns, it sends nothing any more.
	kill()
	freeze()
	thaw()
	// stop it in good order, or kill it.
	stop()
}

// child is a controller in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{}
}

func startChild(e errand, bug string, out io.Writer) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self) //nolint:noctx // it ends when its standard input does
	cmd.Env = append(os.Environ(), processVariable+"="+string(raw), "GOMAXPROCS=2", "GOGC=200", seeded.Variable+"="+bug)
	cmd.Stdout, cmd.Stderr = out, out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a controller: %w", err)
	}
	c := &child{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is no matter
		close(c.ended)
	}()
	return c, nil
}

func (c *child) signal(s os.Signal) { _ = c.cmd.Process.Signal(s) }

func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	<-c.ended
}

func (c *child) freeze() { c.signal(syscall.SIGSTOP) }
func (c *child) thaw()   { c.signal(syscall.SIGCONT) }

func (c *child) stop() {
	c.thaw()
	_ = c.stdin.Close()
	patience := time.NewTimer(5 * time.Second)
	defer patience.Stop()
	select {
	case <-c.ended:
	case <-patience.C:
		c.kill()
	}
}

// task is a controller inside of this process. It cannot be killed or frozen.
type task struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func startTask(ctx context.Context, e errand, c clock.WithTicker, out io.Writer) *task {
	ctx, cancel := context.WithCancel(ctx)
	t := &task{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(t.ended)
		if err := e.run(ctx, c, out); err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(out, "the controller ended:", err)
		}
	}()
	return t
}

func (t *task) kill()   { t.stop() }
func (t *task) freeze() {}
func (t *task) thaw()   {}
func (t *task) stop()   { t.cancel(); <-t.ended }

// transcript keeps what controllers log, up to a limit.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const maxTranscript = 4 << 20

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf.Len() < maxTranscript {
		t.buf.Write(p)
	}
	return len(p), nil
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
