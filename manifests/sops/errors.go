package sops

import (
	"errors"
	"fmt"
	"strings"
)

// MissingKeyError says that none of the given keys opens a document.
type MissingKeyError struct {
	// Needs names the keys of which one is enough, by their public half.
	Needs []string
	// Unsupported names keys of the document that are kept in a cloud or in a form
	// that cannot be given.
	Unsupported []string
	// Notes say which of the given keys could not be used, and why.
	Notes []string
}

// shownKeys bounds how many keys an error names.
const shownKeys = 8

func (e *MissingKeyError) Error() string {
	var b strings.Builder
	b.WriteString("is encrypted with SOPS and no given key opens it")
	switch {
	case len(e.Needs) > 0:
		b.WriteString(": needs one of: " + listed(e.Needs) + ": add the Secret with it to the plan's seeds")
	case len(e.Unsupported) > 0:
		b.WriteString(": it is encrypted only for " + listed(e.Unsupported) +
			", which is not supported: add an age or OpenPGP key as a recipient (sops updatekeys) and its Secret to the plan's seeds")
	}
	if len(e.Notes) > 0 {
		b.WriteString(" (" + listed(e.Notes) + ")")
	}
	return b.String()
}

func listed(names []string) string {
	if more := len(names) - shownKeys; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shownKeys], ", "), more)
	}
	return strings.Join(names, ", ")
}

// ErrDamaged is wrapped by the errors about documents that a given key should open,
// but that are not what SOPS wrote.
var ErrDamaged = errors.New("the document is damaged: restore it, or encrypt it anew")

// damaged explains without the text of the library, which may quote values.
func damaged(format string, args ...any) error {
	return fmt.Errorf("is encrypted with SOPS, but %s: %w", fmt.Sprintf(format, args...), ErrDamaged)
}

// ErrTooLarge is wrapped by the errors about documents beyond the bounds.
var ErrTooLarge = errors.New("split the document")

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("is encrypted with SOPS and %s: %w", fmt.Sprintf(format, args...), ErrTooLarge)
}

// guarded turns a panic of the library into an error. The panic's own text may quote
// values and is left out.
func guarded(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = damaged("it cannot be read")
		}
	}()
	return f()
}
