package filelock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Lock is a held lock.
type Lock struct{ file *os.File }

// Try takes the lock of path, or returns ErrHeld at once.
func Try(path string) (*Lock, error) {
	for {
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("%s: %w", path, ErrHeld)
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if current(f, path) {
			return &Lock{f}, nil
		}
		f.Close()
	}
}

// Acquire takes the lock of path and waits for it until ctx ends. waiting, unless
// nil, is called once before a wait.
//
// A wait in the kernel cannot be called off. When ctx ends first, the waiting
// goroutine stays until the lock is free and then gives it back.
func Acquire(ctx context.Context, path string, waiting func()) (*Lock, error) {
	for {
		l, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return l, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		if err := wait(ctx, path); err != nil {
			return nil, err
		}
	}
}

// wait returns when the lock of path was free for a moment.
func wait(ctx context.Context, path string) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		done <- flock(f, unix.LOCK_EX)
		f.Close()
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("lock %s: %w", path, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx))
	}
}

// Release gives the lock back. The file stays, unless its holder removed it.
func (l *Lock) Release() error { return l.file.Close() }

// current says whether f is still the file at path. A holder may remove the file,
// with the directory that it guards; who waited for it must then start over.
func current(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the directory of the lock %s: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	return f, nil
}

func flock(f *os.File, how int) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) {
		for {
			result = unix.Flock(int(fd), how)
			if !errors.Is(result, unix.EINTR) {
				return
			}
		}
	}); err != nil {
		return err
	}
	return result
}
