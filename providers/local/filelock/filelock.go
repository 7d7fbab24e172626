// Package filelock lets processes wait for each other through a lock on a file.
// The kernel releases the lock when its holder ends, however it ends.
package filelock

import "errors"

// ErrHeld means that another process, or another part of this one, has the lock.
var ErrHeld = errors.New("lock is held")
