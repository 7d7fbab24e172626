package order

import (
	"fmt"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

// maxPrinted bounds how many faults or warnings of one graph are spelled out.
const maxPrinted = 20

// Faults are all the reasons why no graph can be made of the objects.
type Faults []error

// Error lists the first of them, one a line, and counts the others.
func (f Faults) Error() string {
	if len(f) == 1 {
		return f[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the objects cannot be ordered, for %d reasons:", len(f))
	for _, e := range f[:min(len(f), maxPrinted)] {
		b.WriteString("\n- " + strings.ReplaceAll(e.Error(), "\n", "\n  "))
	}
	if more := len(f) - maxPrinted; more > 0 {
		fmt.Fprintf(&b, "\n- and %d more", more)
	}
	return b.String()
}

// Unwrap gives errors.As each fault.
func (f Faults) Unwrap() []error { return f }

// CycleError is a shortest cycle of edges none of which may be dropped.
type CycleError struct {
	// Steps wait for one another: each for the next, the last for the first.
	Steps []CycleStep
}

// CycleStep is one object, or barrier, or unit of a cycle.
type CycleStep struct {
	// ID of the object; empty for the others.
	ID manifests.ID
	// Origin of the object, or of the unit's definition.
	Origin manifests.Origin
	// Barrier describes a barrier, or names a unit.
	Barrier string
	// Kind, Gate and Reason of the edge by which this step waits for the next.
	Kind   EdgeKind
	Gate   Gate
	Reason string
}

func (s CycleStep) name() string {
	if s.Barrier != "" {
		return s.Barrier
	}
	return s.ID.String()
}

// Error prints the cycle, one edge a line.
func (c *CycleError) Error() string {
	var b strings.Builder
	b.WriteString("a cycle: each of these waits for the next, and the last for the first:")
	for i, s := range c.Steps {
		fmt.Fprintf(&b, "\n  %s", s.name())
		if at := s.Origin.String(); at != "" {
			fmt.Fprintf(&b, " (%s)", at)
		}
		next := c.Steps[(i+1)%len(c.Steps)]
		fmt.Fprintf(&b, "\n    after %s: %s (%s)", next.name(), s.Reason, strings.ToLower(string(s.Kind)))
	}
	b.WriteString("\n  remove one of the declared edges")
	return b.String()
}
