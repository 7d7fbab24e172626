// Package recovery decides what a run does next.
//
// A run is a state machine whose state is the RecoveryRun's status and the world. It
// is driven by one loop: observe everything that matters, Decide, carry out one
// action, record. Decide is pure, so every state is reachable in a table; the loop
// and the actions live in recovery/controller. Any process may die between any two
// steps: the next one observes the same world and decides the same.
//
//	Rebuild   Preflight → [Teardown] → Provision → Bootstrap → [Seed] → Waves → Verify
//	Teardown  Preflight → [Teardown]
//	Drill     Preflight → Provision → Bootstrap → [Seed] → Waves → Verify → Cleanup
//
// A failure ends a run, except that a drill first cleans up what it made. The cluster
// of a failed rebuild is left for inspection; the next rebuild deletes it.
package recovery

import "fmt"

// Finalizer keeps a run until its lock is released and, for a drill, until what it
// made is gone.
const Finalizer = "refloat.dev/run"

// Fault is an error that no repetition will mend: bad input, a refusal, a cluster
// that does not become healthy. Any other error of an action is tried again.
type Fault struct {
	// Reason is one CamelCase word.
	Reason string
	// Message is one sentence: what, where, what next.
	Message string
}

func (f *Fault) Error() string { return f.Message }

// Faultf makes a Fault.
func Faultf(reason, format string, args ...any) *Fault {
	return &Fault{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
