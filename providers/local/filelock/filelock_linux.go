package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Lock is a held lock.
type Lock struct{ file *os.File }

// Try takes the lock of path, or returns ErrHeld at once.
func Try(path string) (*Lock, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return &Lock{f}, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s: %w", path, ErrHeld)
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// Acquire takes the lock of path and waits for it until ctx ends. waiting, unless
// nil, is called once before a wait.
//
// A wait in the kernel cannot be called off. When ctx ends first, the waiting
// goroutine stays until the lock is free and then gives it back.
func Acquire(ctx context.Context, path string, waiting func()) (*Lock, error) {
	l, err := Try(path)
	if !errors.Is(err, ErrHeld) {
		return l, err
	}
	if waiting != nil {
		waiting()
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- flock(f, unix.LOCK_EX) }()
	select {
	case err := <-done:
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return &Lock{f}, nil
	case <-ctx.Done():
		go func() {
			<-done
			f.Close()
		}()
		return nil, fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx))
	}
}

// Release gives the lock back. The file stays: removing it would let two holders
// have a lock each, on two files of the same name.
func (l *Lock) Release() error { return l.file.Close() }

func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	return f, nil
}

func flock(f *os.File, how int) error {
	for {
		// Fd would put the file into blocking mode for good; that is harmless for
		// a regular file.
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
