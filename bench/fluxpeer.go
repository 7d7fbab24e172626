package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/refloat-dev/refloat/internal/planetest"
)

const (
	fluxPeerModule = "github.com/fluxcd/kustomize-controller"
	fluxPeerDir    = "fluxpeer"
	// fluxBuildLimit is generous: the first build takes minutes.
	fluxBuildLimit = 30 * time.Minute
	fluxStopDelay  = 10 * time.Second
)

// fluxPeer is Flux's kustomize-controller, as a program.
type fluxPeer struct {
	program string
	// definition is the file of its CustomResourceDefinition.
	definition string
}

// buildFluxPeer builds the version that its module file pins. The program is kept by
// version in the user's cache directory, so that only the first build takes long.
func buildFluxPeer(ctx context.Context) (*fluxPeer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fluxBuildLimit, fmt.Errorf("the build took more than %s", fluxBuildLimit))
	defer cancel()
	if _, err := goInFluxPeer(ctx, "mod", "download", fluxPeerModule); err != nil {
		return nil, err
	}
	found, err := goInFluxPeer(ctx, "list", "-m", "-f", "{{.Version}}\n{{.Dir}}", fluxPeerModule)
	if err != nil {
		return nil, err
	}
	version, sources, _ := strings.Cut(found, "\n")
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	p := &fluxPeer{
		program:    filepath.Join(cache, "refloat", "bench", "kustomize-controller-"+version),
		definition: filepath.Join(sources, "config", "crd", "bases", "kustomize.toolkit.fluxcd.io_kustomizations.yaml"),
	}
	fmt.Fprintln(os.Stderr, "chain: building kustomize-controller", version, "which takes some minutes the first time")
	_, err = goInFluxPeer(ctx, "build", "-ldflags=-s -w", "-o", p.program, fluxPeerModule)
	return p, err
}

// goInFluxPeer runs the Go command where the controller's version is pinned.
func goInFluxPeer(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = fluxPeerDir
	cmd.WaitDelay = fluxStopDelay
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("go %s: %w", args[0], context.Cause(ctx))
	}
	if err != nil {
		said := complaint.Bytes()
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, said[max(0, len(said)-1000):])
	}
	return strings.TrimSpace(string(text)), nil
}

// run the controller on a plane, with its defaults, while use is at work. use begins
// when the controller waits for objects, and its context ends when the controller does.
// Nothing of the controller is left afterwards.
func (p *fluxPeer) run(ctx context.Context, plane *planetest.Plane, use func(context.Context) error) (err error) {
	dir, err := os.MkdirTemp("", "bench-flux-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(kubeconfigOf(plane.Config), kubeconfig); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	cmd := exec.CommandContext(ctx, p.program, "--metrics-addr=127.0.0.1:0", "--health-addr=127.0.0.1:0")
	cmd.Env = []string{"KUBECONFIG=" + kubeconfig, "RUNTIME_NAMESPACE=" + fluxNamespace, "HOME=" + dir, "TMPDIR=" + dir}
	cmd.Dir = dir
	said := &controllerLog{working: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = fluxStopDelay
	if err := cmd.Start(); err != nil {
		cancel(nil)
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
		cancel(fmt.Errorf("kustomize-controller ended by itself: %s", cmd.ProcessState))
	}()
	defer func() {
		cancel(nil)
		<-ended
	}()
	select {
	case <-said.working:
		err = use(ctx)
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w; kustomize-controller said last: %s", context.Cause(ctx), said.last())
	}
	return err
}

// startedWorkers is what controllers log when they wait for objects.
const startedWorkers = "Starting workers"

// controllerLog keeps the end of what a controller says.
type controllerLog struct {
	working chan struct{}

	mu      sync.Mutex
	started bool
	kept    []byte
}

const keptLog = 8 << 10

func (l *controllerLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, b...)
	if !l.started && bytes.Contains(l.kept, []byte(startedWorkers)) {
		l.started = true
		close(l.working)
	}
	l.kept = l.kept[max(0, len(l.kept)-keptLog):]
	return len(b), nil
}

func (l *controllerLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kept[max(0, len(l.kept)-1000):])
}
