package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/faultproxy"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// onKill ends the controller and starts the next.
func (t *trial) onKill(*faultproxy.Front) {
	t.last().kill()
	t.mu.Lock()
	t.killed = time.Now()
	t.mu.Unlock()
	t.pending.Go(func() {
		if err := t.startProcess(context.Background()); err != nil {
			t.fail(err)
		}
	})
}

func (t *trial) last() process {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.processes[len(t.processes)-1]
}

// takeover is how long the second controller of a frozen one may take to have the run.
const takeover = 20 * time.Second

// onFreeze stops the controller where it is and lets another one take over. When that has
// the run, or is done with it, the first goes on as if nothing had happened.
func (t *trial) onFreeze(front *faultproxy.Front) {
	frozen := t.last()
	frozen.freeze()
	t.pending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), takeover)
		defer cancel()
		epoch := t.epoch(ctx)
		if err := t.startProcess(context.Background()); err != nil {
			t.fail(err)
		}
		_ = until(ctx, 10*time.Millisecond, func() bool { // the limit is as good
			run := t.current(ctx)
			return run != nil && (run.Status.FinishedAt != nil || !t.point.Fault.Late && run.Status.Epoch > epoch)
		})
		frozen.thaw()
		front.Thaw()
	})
}

func (t *trial) current(ctx context.Context) *v1alpha1.RecoveryRun {
	run := &v1alpha1.RecoveryRun{}
	if err := t.client.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: runName}, run); err != nil {
		return nil
	}
	return run
}

func (t *trial) epoch(ctx context.Context) int64 {
	if run := t.current(ctx); run != nil {
		return run.Status.Epoch
	}
	return 0
}

// onEvent is what happens at write k around the controller.
func (t *trial) onEvent(ctx context.Context) func() {
	return func() {
		if err := t.point.Fault.hand(ctx, t); err != nil {
			t.fail(fmt.Errorf("%s: %w", t.point.Fault.Name, err))
		}
	}
}

// gone is how long a server is away.
const gone = 2 * time.Second

// workloadGone takes the new cluster's API server away for a while.
func workloadGone(_ context.Context, t *trial) error {
	front := t.lifecycle.workload()
	if front == nil {
		return nil
	}
	t.pending.Add(1)
	go front.Close() // it waits for the write that is being looked at
	time.AfterFunc(gone, func() {
		defer t.pending.Done()
		if err := front.Reopen(); err != nil {
			t.fail(err)
		}
	})
	return nil
}

// managementRestarts ends the management API server, and only that.
func managementRestarts(_ context.Context, t *trial) error {
	status, err := controlplane.Inspect(t.management.dir)
	if err != nil {
		return err
	}
	for _, c := range status.Components {
		if c.Name != "kube-apiserver" {
			continue
		}
		server, err := os.FindProcess(c.PID)
		if err != nil {
			return err
		}
		if err := server.Kill(); err != nil {
			return err
		}
	}
	t.pending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var last error
		err := until(ctx, 200*time.Millisecond, func() bool { // the one that was killed may still be going
			_, last = controlplane.Start(ctx, t.management.options)
			return last == nil
		})
		if err != nil {
			t.fail(fmt.Errorf("%w: %w", err, last))
		}
	})
	return nil
}

// clockJumps corrects the controller's clock.
func clockJumps(by time.Duration) func(context.Context, *trial) error {
	return func(_ context.Context, t *trial) error {
		t.clock.jump(by)
		return nil
	}
}

// cancel is a person who calls the run off.
func cancel(ctx context.Context, t *trial) error {
	run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: runName}}
	order := `{"spec":{"cancel":{"reason":"chaos"}}}`
	return t.client.Patch(ctx, run, client.RawPatch(types.MergePatchType, []byte(order)))
}

// prepareSource gives points that hurt the repository one of their own.
func (t *trial) prepareSource(ctx context.Context) error {
	if !t.point.Fault.OwnSource {
		return nil
	}
	t.source = filepath.Join(t.dir, "sources", t.namespace)
	return makeRepository(ctx, t.source)
}

// gitGone removes the repository and then kills the controller: the next one has the
// commit from its cache, or does without the run.
func gitGone(_ context.Context, t *trial) error {
	defer t.onKill(nil)
	return os.RemoveAll(t.source)
}

// gitForced replaces the history of the branch, as a force-push does, and kills.
func gitForced(ctx context.Context, t *trial) error {
	defer t.onKill(nil)
	file := filepath.Join(t.source, "state", "shop.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: another}\n"), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-q", "--amend", "-m", "another"}, {"reflog", "expire", "--expire=now", "--all"}, {"gc", "-q", "--prune=now"}} {
		if err := git(ctx, t.source, args...); err != nil {
			return err
		}
	}
	return nil
}

// gitCorrupt spoils every object and kills.
func gitCorrupt(_ context.Context, t *trial) error {
	defer t.onKill(nil)
	objects, err := filepath.Glob(filepath.Join(t.source, ".git", "objects", "*", "*"))
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := os.Chmod(object, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(object, []byte("spoiled"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
