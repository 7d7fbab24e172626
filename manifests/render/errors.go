package render

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
)

// InputError says what is wrong in a file of the repository.
type InputError struct {
	File    string // within the repository
	Line    int    // from 1; 0 when not known
	Message string
	// Err is what the message was made of, where a caller can act on it; else nil:
	// ErrDuplicate, ErrEncrypted, ErrProgram, or what a Decrypter returned.
	Err error
}

// ErrDuplicate marks an object that is defined twice with different content.
var ErrDuplicate = errors.New("defined twice")

// ErrProgram marks a kustomization that kustomize builds only with the help of a program.
var ErrProgram = errors.New("needs a program that is not run here")

// Unwrap gives what the message was made of.
func (e *InputError) Unwrap() error { return e.Err }

func (e *InputError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
	}
	return e.File + ": " + e.Message
}

func inputErrorf(file string, line int, format string, args ...any) *InputError {
	return &InputError{File: file, Line: line, Message: fmt.Sprintf(format, args...)}
}

// MissingPathError says that a path to render does not exist.
type MissingPathError struct {
	Path, Where string
	// Parent is the deepest directory above Path that exists, Entries what it holds.
	Parent, Entries string
}

func (e *MissingPathError) Error() string {
	parent := "the root"
	if e.Parent != "." {
		parent = e.Parent
	}
	return fmt.Sprintf("path %q does not exist in %s; %s holds: %s", e.Path, e.Where, parent, e.Entries)
}

// reason takes the operation and path off an error of a file system: the caller names the file better.
func reason(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// shownErrors is how many faults of a repository are reported at once.
const shownErrors = 10

// joined puts the faults of many files into one error, in the order of files and lines.
func joined(faults []error) error {
	faults = slices.DeleteFunc(faults, func(e error) bool { return e == nil })
	if len(faults) == 0 {
		return nil
	}
	slices.SortStableFunc(faults, func(a, b error) int {
		var x, y *InputError
		if errors.As(a, &x) && errors.As(b, &y) {
			return cmp.Or(strings.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line))
		}
		return 0
	})
	if more := len(faults) - shownErrors; more > 0 {
		faults = append(faults[:shownErrors:shownErrors], fmt.Errorf("and %d more", more))
	}
	return errors.Join(faults...)
}

// warnings collects messages from many goroutines, each once.
type warnings struct {
	mu   sync.Mutex
	text map[string]bool
}

func (w *warnings) add(messages ...string) {
	if len(messages) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.text == nil {
		w.text = map[string]bool{}
	}
	for _, m := range messages {
		w.text[m] = true
	}
}

func (w *warnings) sorted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]string, 0, len(w.text))
	for m := range w.text {
		all = append(all, m)
	}
	slices.Sort(all)
	return all
}

// recovered turns a panic of a parser into an error about the file.
func recovered(file string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = inputErrorf(file, 0, "the parser failed on it: %v", p)
		}
	}()
	return f()
}
