package main

import (
	"errors"
	"fmt"
	"strings"
)

// Exit codes, the same for every command. Scripts rely on them.
const (
	exitDone            = 0
	exitFailed          = 1
	exitUsage           = 2 // bad usage or bad input
	exitObjectiveMissed = 3 // done, but later than the objective
	exitStillRunning    = 4 // waiting ended, the run goes on
)

// exitError carries the exit code of an error. A nil Err is silent: what there was
// to say has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError marks an error as the user's input, not the tool's failure.
func usageError(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// exitCode of an error that a command returned.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	// cobra has no typed error for an unknown command or too many arguments.
	if s := err.Error(); strings.HasPrefix(s, "unknown command") || strings.HasPrefix(s, "accepts ") ||
		strings.HasPrefix(s, "requires ") || strings.HasPrefix(s, "required flag") {
		return exitUsage
	}
	return exitFailed
}
