package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func acquire(t *testing.T, path string) *Lock {
	t.Helper()
	l, err := Acquire(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAcquireWaitsForTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held := acquire(t, path)
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Fatalf("got %v, want ErrHeld", err)
	}
	got, waits := make(chan error, 1), make(chan struct{})
	go func() {
		l, err := Acquire(t.Context(), path, func() { close(waits) })
		if err == nil {
			err = l.Release()
		}
		got <- err
	}()
	<-waits
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestWaitCanBeCalledOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held := acquire(t, path)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	_, err := Acquire(ctx, path, func() { cancel(reason) })
	if !errors.Is(err, reason) {
		t.Fatalf("got %v, want the cause of the context", err)
	}
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	if err := acquire(t, path).Release(); err != nil {
		t.Fatal(err)
	}
}

func TestLockOfARemovedFileIsNotEnough(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held := acquire(t, path)
	got, waits := make(chan *Lock, 1), make(chan struct{})
	go func() {
		l, err := Acquire(t.Context(), path, func() { close(waits) })
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	<-waits
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	second := <-got
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Fatalf("got %v: the second holder has a lock that nobody else sees", err)
	}
	if err := second.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryMustExist(t *testing.T) {
	_, err := Try(filepath.Join(t.TempDir(), "none", "lock"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want ErrNotExist", err)
	}
}
