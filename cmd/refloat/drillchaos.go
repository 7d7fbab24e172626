package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/process"
	"github.com/refloat-dev/refloat/providers/local/sandbox"
)

// The faults of a drill of the drill.
const (
	chaosKill = "KillController"
	chaosGit  = "GitGone"
	chaosDeny = "DenyWebhook"
)

var chaosFaults = []string{chaosKill, chaosGit, chaosDeny}

// chaosFlags ask for a fault during a drill, which has to end as if there had been none.
type chaosFlags struct {
	fault string
	dir   sandboxDir
}

func (f *chaosFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.fault, "chaos", "", "in a sandbox only: inject a fault into the drill: "+chaosKill+" or "+chaosGit+" as soon as its cluster is made, "+chaosDeny+" while the state is applied")
	flags.StringVar((*string)(&f.dir), "sandbox-dir", "", "directory of the sandbox, with --chaos (default: ~/.local/state/refloat/sandbox)")
}

// chaos is a fault that is to be injected once.
type chaos struct {
	fault string
	dir   string
	t     terminal
	// repository that GitGone takes away.
	repository string
	c          client.WithWatch

	mu sync.Mutex
	// undo what the fault left; empty when there is nothing.
	undo []func() error
}

// prepare refuses faults anywhere but in the sandbox that the drill is for; nil without one.
func (f *chaosFlags) prepare(t terminal, a *access, c client.WithWatch, plan *v1alpha1.RecoveryPlan) (*chaos, error) {
	if f.fault == "" {
		return nil, nil
	}
	if !slices.Contains(chaosFaults, f.fault) {
		return nil, usageError("--chaos %s: there is no such fault; there are %s", f.fault, strings.Join(chaosFaults, ", "))
	}
	dir, err := f.dir.resolve()
	if err != nil {
		return nil, err
	}
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	status, err := sandbox.Inspect(dir)
	if err != nil || strings.TrimSuffix(status.Endpoint, "/") != strings.TrimSuffix(config.Host, "/") {
		return nil, usageError("--chaos injects faults, which is for a sandbox only: %s is not the management cluster of a sandbox in %s (--sandbox-dir)", config.Host, dir)
	}
	x := &chaos{fault: f.fault, dir: dir, t: t, c: c}
	if f.fault == chaosGit {
		at, err := url.Parse(plan.Spec.Source.URL)
		if err != nil || at.Scheme != "file" || len(plan.Spec.Source.Mirrors) > 0 {
			return nil, usageError("--chaos %s takes the repository away, and can do so with a file:// address without mirrors only, not with %s", chaosGit, plan.Spec.Source.URL)
		}
		x.repository = filepath.Clean(at.Path)
	}
	return x, nil
}

// begin waits, beside whoever follows the run, for the time of the fault. The function that
// it returns ends the wait and takes back what the fault changed.
func (x *chaos) begin(ctx context.Context, key client.ObjectKey) (end func() error) {
	if x == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- x.await(ctx, key) }()
	return func() error {
		cancel()
		err := <-done
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, undo := range slices.Backward(x.undo) {
			err = errors.Join(err, undo())
		}
		return err
	}
}

// await the phase in which the fault is injected.
func (x *chaos) await(ctx context.Context, key client.ObjectKey) error {
	for ctx.Err() == nil {
		w, err := x.c.Watch(ctx, &v1alpha1.RecoveryRunList{}, &client.ListOptions{
			Namespace: key.Namespace, FieldSelector: fields.OneTermEqualSelector("metadata.name", key.Name),
		})
		if err != nil {
			return fmt.Errorf("watch the run for --chaos: %w", err)
		}
		for event := range w.ResultChan() {
			run, ok := event.Object.(*v1alpha1.RecoveryRun)
			if ok && x.timely(run) {
				w.Stop()
				return x.inject(ctx, run)
			}
		}
	}
	return ctx.Err()
}

// timely tells whether a run is where the fault hurts: what was pinned is needed again, and
// objects are being applied.
func (x *chaos) timely(run *v1alpha1.RecoveryRun) bool {
	phases := run.Status.Phases
	if len(phases) == 0 || run.Status.FinishedAt != nil {
		return false
	}
	current := phases[len(phases)-1].Name
	if x.fault == chaosDeny {
		return current == v1alpha1.PhaseWaves || current == v1alpha1.PhaseSeed
	}
	return current != v1alpha1.PhasePreflight && run.Status.Target != nil && run.Status.Target.UID != ""
}

func (x *chaos) inject(ctx context.Context, run *v1alpha1.RecoveryRun) error {
	switch x.fault {
	case chaosGit:
		if err := x.takeAway(); err != nil {
			return err
		}
		return x.kill() // the next one has to render again what it cannot fetch
	case chaosDeny:
		return x.deny(ctx, run)
	}
	return x.kill()
}

// kill the controller as a power cut would; the sandbox starts another one.
func (x *chaos) kill() error {
	found, err := process.Find(x.dir, sandbox.Controller)
	if err != nil {
		return fmt.Errorf("find the controller of the sandbox for --chaos: %w", err)
	}
	if err := syscall.Kill(found.PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the controller for --chaos: %w", err)
	}
	say(x.t.Err, "chaos: the controller (process %d) was killed", found.PID)
	return nil
}

// takeAway the repository until the drill is over.
func (x *chaos) takeAway() error {
	aside := x.repository + ".refloat-chaos"
	if _, err := os.Lstat(aside); err == nil {
		return fmt.Errorf("--chaos %s: %s is there already; move it back or away first", chaosGit, aside)
	}
	if err := os.Rename(x.repository, aside); err != nil {
		return fmt.Errorf("take the repository away for --chaos: %w", err)
	}
	x.later(func() error {
		if err := os.Rename(aside, x.repository); err != nil {
			return fmt.Errorf("the repository is in %s, and could not be moved back: %w", aside, err)
		}
		return nil
	})
	say(x.t.Err, "chaos: the repository is in %s until the drill is over", aside)
	return nil
}

func (x *chaos) later(undo func() error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.undo = append(x.undo, undo)
}

// denied is how long everything is refused.
const denied = 5 * time.Second

// deny everything that is written into the throw-away cluster, for a while, as a webhook
// does whose backend is gone.
func (x *chaos) deny(ctx context.Context, run *v1alpha1.RecoveryRun) error {
	kube, err := x.drilled(ctx, run)
	if err != nil {
		return err
	}
	hooks := kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := hooks.Create(ctx, denyAll(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("deny everything for --chaos: %w", err)
	}
	say(x.t.Err, "chaos: cluster %s refuses every write for %s", run.Status.Target.Name, denied)
	select {
	case <-time.After(denied):
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lostAnswer)
	defer cancel()
	if err := hooks.Delete(end, denyAll().Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("stop to deny everything for --chaos: %w", err)
	}
	return nil
}
