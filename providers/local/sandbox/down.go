package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/filelock"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// Down stops every process of the sandbox in dir: the supervisor first, so that nothing
// is started again, then the controller, then all planes. With purge it also removes
// every file. It may be called again after it failed half-way, and when nothing runs.
func Down(ctx context.Context, dir string, purge bool) error {
	dir, err := process.Canonical(dir)
	if err != nil {
		return err
	}
	l := layout(dir)
	ours, err := l.marked()
	if err != nil {
		return err
	}
	if !ours {
		// Somebody may have removed the files of a sandbox that runs.
		if err := process.StopBelow(ctx, dir); err != nil {
			return err
		}
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("%w in %s; nothing was removed", ErrNone, dir)
	}
	lock, err := filelock.Acquire(ctx, l.lock(), nil)
	if err != nil {
		return fmt.Errorf("take the sandbox down: %w", err)
	}
	defer lock.Release()
	if err := process.StopAll(ctx, dir, stopGrace, []string{Supervisor}, []string{Controller}); err != nil {
		return fmt.Errorf("stop the sandbox: %w", err)
	}
	if err := l.endPlanes(ctx, purge); err != nil {
		return err
	}
	if !purge {
		return nil
	}
	// What the planes' directories no longer tell of is found by its mark.
	if err := process.StopBelow(ctx, dir); err != nil {
		return fmt.Errorf("stop the sandbox: %w", err)
	}
	for _, reserved := range []string{l.coreHealth(), l.coreHooks(), l.controller()} {
		if err := controlplane.ReleasePort(ctx, reserved); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the sandbox: %w", err)
	}
	return nil
}

// endPlanes stops or purges the clusters and then the management plane.
func (l layout) endPlanes(ctx context.Context, purge bool) error {
	end := controlplane.Stop
	if purge {
		end = controlplane.Purge
	}
	planes, err := l.clusterPlanes()
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, plane := range planes {
		group.Go(func() error { return end(groupCtx, plane) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return end(ctx, l.management())
}
