// Package sops opens what a repository encrypts with SOPS.
//
// Keys are given as bytes, as the seeds of a plan hold them: age identities and
// OpenPGP private keys. Nothing is taken from files, environment variables or agents,
// no program is run and no cloud is asked; a document that is encrypted only for a
// key in a cloud is refused by name.
//
// The rules of Flux hold, so that a repository means the same to both:
//
//   - Objects are opened after the build (Object). What a build puts into an object
//     would break its message authentication code, so that is not checked; each value
//     is authenticated by itself, together with its place.
//   - Values of a Secret that are SOPS documents by themselves are opened too.
//   - Files that a kustomization reads, such as the sources of a Secret generator, are
//     opened before the build (File). They are as SOPS wrote them, so their code is
//     checked: with these Refloat is stricter than Flux.
//
// Errors name keys by their public half and values by their place, never by content.
package sops

import (
	"io"

	"github.com/getsops/sops/v3/logging"
)

const (
	// maxBytes of one encrypted document.
	maxBytes = 10 << 20
	// maxDepth of nesting and maxValues of one encrypted document.
	maxDepth  = 100
	maxValues = 100_000
	// maxSteps bounds the lengths of the paths of all values together: for each step
	// SOPS compiles and matches the rule that says what is encrypted.
	maxSteps = 400_000
	// maxRule bounds that rule, in instructions of its compiled form.
	maxRule = 500
	// maxRecipients and maxSealed bound the keys of one document: how many there are,
	// and how large the data key is that was encrypted for each.
	maxRecipients = 256
	maxSealed     = 16 << 10
	// maxKeyFile bounds a file of private keys.
	maxKeyFile = 1 << 20
)

// The library logs to the standard error stream on its own account; what it knows is
// in our errors.
func init() {
	for _, l := range logging.Loggers {
		l.SetOutput(io.Discard)
	}
}
