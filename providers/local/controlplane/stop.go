package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/refloat-dev/refloat/providers/local/process"
)

// stopGrace is how long a component may take to end by itself.
const stopGrace = 10 * time.Second

// Stop ends every component of the plane in dir, dependants first, and keeps the
// data and the port. A plane that does not run, or does not exist, is stopped
// already.
func Stop(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return process.StopAll(ctx, dir, 0)
	}
	lock, err := lockDir(ctx, dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := markStopped(dir); err != nil {
		return err
	}
	err = process.StopAll(ctx, dir, stopGrace, []string{kwok, scheduler, controllerManager}, []string{apiServer})
	if err != nil {
		return fmt.Errorf("stop the control plane in %s: %w", dir, err)
	}
	return nil
}

// Purge ends every component at once, removes dir with all that is in it, and
// gives the port back. It may be called again after it failed half-way.
func Purge(ctx context.Context, dir string) error {
	dir, err := process.Canonical(dir)
	if err != nil {
		return err
	}
	lock, err := lockDir(ctx, dir)
	switch {
	case err == nil:
		defer lock.Release()
		if err := markStopped(dir); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := process.StopAll(ctx, dir, 0); err != nil {
		return fmt.Errorf("stop the control plane in %s: %w", dir, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the control plane: %w", err)
	}
	return ReleasePort(ctx, dir)
}

// markStopped keeps supervisors from starting components.
func markStopped(dir string) error {
	s, err := readState(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		// Whatever is in the file, nothing may be started from it.
		s = state{}
	}
	s.Stopped = true
	return writeState(dir, s)
}
