// Package seeded switches the deliberate bugs of a mutated build on and off. Nothing of the
// product imports it; the patches in ../testdata/bugs do, in a build of their own.
package seeded

import "os"

// Variable names the bug that a process is to have.
const Variable = "REFLOAT_CHAOS_BUG"

// Built is true in a build that holds the bugs.
var Built bool

var bug = os.Getenv(Variable)

// Is tells whether this process has a bug.
func Is(name string) bool { return bug == name }
