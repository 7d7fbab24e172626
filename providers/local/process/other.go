//go:build !linux

package process

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

var errPlatform = fmt.Errorf("local control planes run on Linux only, not on %s: %w", runtime.GOOS, errors.ErrUnsupported)

// Start makes sure that the process of the spec runs for dir.
func Start(context.Context, string, Spec, time.Time) (Record, bool, error) {
	return Record{}, false, errPlatform
}

// StopAll stops every process of dir.
func StopAll(context.Context, string, time.Duration, ...[]string) error { return errPlatform }

// StopBelow stops every process of dir and of the directories below it.
func StopBelow(context.Context, string) error { return errPlatform }

// Running returns every live process that was started for dir.
func Running(string) ([]Record, error) { return nil, errPlatform }

// Alive says whether the process runs.
func (r Record) Alive() bool { return false }

// Wait returns nil when the process has ended.
func (r Record) Wait(context.Context) error { return errPlatform }

// Stop asks the process to end and waits for it.
func (r Record) Stop(context.Context, time.Duration) error { return errPlatform }
