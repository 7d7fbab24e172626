package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/refloat-dev/refloat/providers/local/filelock"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// ErrStopped means that somebody asked for the plane to be stopped or purged.
var ErrStopped = errors.New("the control plane was stopped")

// state is what is wanted of the plane in a directory. It decides, under the
// directory's lock, whether a component may be started; so no supervisor brings
// back what Stop has just ended.
type state struct {
	Name     string   `json:"name"`
	Role     Role     `json:"role"`
	Endpoint Endpoint `json:"endpoint"`
	Stopped  bool     `json:"stopped,omitempty"`
}

func statePath(dir string) string { return filepath.Join(dir, "plane.json") }

// readState returns the state of the plane in dir, or fs.ErrNotExist.
func readState(dir string) (state, error) {
	data, err := os.ReadFile(statePath(dir))
	if err != nil {
		return state{}, fmt.Errorf("read the state of the control plane: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return state{}, fmt.Errorf("read %s: %w", statePath(dir), err)
	}
	return s, nil
}

func writeState(dir string, s state) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return process.WriteFile(statePath(dir), append(data, '\n'))
}

// makeDir makes the directory of a plane and returns the path that it is known by.
func makeDir(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the directory of a control plane: %w", err)
	}
	return process.Canonical(dir)
}

// lockDir takes the lock of an existing directory.
func lockDir(ctx context.Context, dir string) (*filelock.Lock, error) {
	l, err := filelock.Acquire(ctx, filepath.Join(dir, "lock"), nil)
	if err != nil {
		return nil, fmt.Errorf("control plane in %s: %w", dir, err)
	}
	return l, nil
}

// lockNewDir makes dir and takes its lock, also while somebody purges it.
func lockNewDir(ctx context.Context, dir string) (string, *filelock.Lock, error) {
	for {
		known, err := makeDir(dir)
		if err != nil {
			return "", nil, err
		}
		l, err := lockDir(ctx, known)
		if !errors.Is(err, fs.ErrNotExist) {
			return known, l, err
		}
		if ctx.Err() != nil {
			return "", nil, context.Cause(ctx)
		}
	}
}
