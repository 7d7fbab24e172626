package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// fileWatch tells when a file is made.
type fileWatch struct {
	events *os.File
	path   string
}

// watchFile removes the file called name in dir, which an earlier process may have
// left, and watches for a new one.
func watchFile(dir, name string) (*fileWatch, error) {
	path := filepath.Join(dir, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove what an earlier process left: %w", err)
	}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	w := &fileWatch{os.NewFile(uintptr(fd), "inotify"), path}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE); err != nil {
		w.close()
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	return w, nil
}

func (w *fileWatch) close() { _ = w.events.Close() }

// created returns nil when the file exists, or the cause of ctx.
func (w *fileWatch) created(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = w.events.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buffer := make([]byte, 4<<10)
	for {
		if _, err := os.Lstat(w.path); err == nil {
			return nil
		}
		// What happened is of no interest: the file is looked at again.
		if _, err := w.events.Read(buffer); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("watch for %s: %w", w.path, err)
		}
	}
}
