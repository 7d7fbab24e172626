package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// handle is a hold on one process; its id cannot come to mean another one.
type handle struct{ file *os.File }

// open takes hold of the process that r describes, or returns ErrNotRunning.
//
// The order matters. Had the process ended before the pidfd was opened, then what
// is checked afterwards is somebody else and differs; had it not, then the pidfd
// is the process, whatever happens later.
func open(r Record) (*handle, error) {
	gone := fmt.Errorf("%s (process %d): %w", r.Name, r.PID, ErrNotRunning)
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	if boot != r.BootID || r.PID <= 1 {
		return nil, gone
	}
	fd, err := unix.PidfdOpen(r.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, gone
	}
	if err != nil {
		return nil, fmt.Errorf("open process %d (Linux 5.10 or newer is needed): %w", r.PID, err)
	}
	h := &handle{os.NewFile(uintptr(fd), r.Name)}
	ticks, err := startTicks(r.PID)
	if err != nil || ticks != r.StartTicks {
		h.close()
		return nil, gone
	}
	marks, err := environment(r.PID)
	if err != nil || marks[envToken] != r.Token {
		h.close()
		return nil, gone
	}
	return h, nil
}

func (h *handle) close() { _ = h.file.Close() }

// signal sends s; a process that ended meanwhile is no error.
func (h *handle) signal(s unix.Signal) error {
	conn, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) {
		result = unix.PidfdSendSignal(int(fd), s, nil, 0)
	}); err != nil {
		return err
	}
	if errors.Is(result, unix.ESRCH) {
		return nil
	}
	return result
}

// wait returns nil when the process ended, or the cause of ctx.
func (h *handle) wait(ctx context.Context) error {
	conn, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = h.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	// The runtime's poller waits: no thread is spent on a process that runs.
	err = conn.Read(func(fd uintptr) bool {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // File descriptors are small.
		n, err := unix.Poll(set, 0)
		return err == nil && n > 0
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

// Alive says whether the process runs.
func (r Record) Alive() bool {
	h, err := open(r)
	if err != nil {
		return false
	}
	h.close()
	return true
}

// Wait returns nil when the process has ended, whoever its parent is, or the cause
// of ctx.
func (r Record) Wait(ctx context.Context) error {
	h, err := open(r)
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.close()
	return h.wait(ctx)
}

// Stop asks the process to end and waits for it; after grace it is killed. With no
// grace it is killed at once. A process that does not run is stopped already.
func (r Record) Stop(ctx context.Context, grace time.Duration) error {
	h, err := open(r)
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.close()
	if grace > 0 {
		if err := h.signal(unix.SIGTERM); err != nil {
			return fmt.Errorf("ask %s (process %d) to end: %w", r.Name, r.PID, err)
		}
		graceful, cancel := context.WithTimeout(ctx, grace)
		err := h.wait(graceful)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for %s (process %d) to end: %w", r.Name, r.PID, context.Cause(ctx))
		}
		if err := h.file.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
	}
	if err := h.signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("kill %s (process %d): %w", r.Name, r.PID, err)
	}
	if err := h.wait(ctx); err != nil {
		return fmt.Errorf("wait for %s (process %d) to end after it was killed: %w", r.Name, r.PID, err)
	}
	return nil
}
