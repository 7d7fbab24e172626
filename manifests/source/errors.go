package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"
)

var (
	// ErrEmptyRepository is wrapped when a repository has no commit at all.
	ErrEmptyRepository = errors.New("the repository is empty: push a commit first")
	// ErrLimit is wrapped when a repository is larger than Limits allow.
	ErrLimit = errors.New("limit exceeded")
	// ErrOutsideRepository is wrapped when a symbolic link leads out of the tree.
	ErrOutsideRepository = errors.New("leads out of the repository")
)

// Why a remote could not be read.
type Why string

const (
	// NoAnswer came: no route, no name, refused, too slow, or a server that is out of order.
	NoAnswer Why = "NoAnswer"
	// NotGit answered: something else than a Git server.
	NotGit Why = "NotGit"
	// Denied are the credentials, or some that are needed were not given.
	Denied Why = "Denied"
	// NotTrusted is who answered: a TLS certificate or an ssh host key does not hold.
	NotTrusted Why = "NotTrusted"
	// Absent is the repository, or the credentials may not see it.
	Absent Why = "Absent"
)

// UnreachableError says that a remote could not be asked. Another mirror may do.
type UnreachableError struct {
	URL    string
	Reason string
	Why    Why
}

// Silent says whether no Git server answered at all. Only then may what was fetched before stand in.
func (e *UnreachableError) Silent() bool { return e.Why == NoAnswer || e.Why == NotGit }

func (e *UnreachableError) Error() string {
	next := map[Why]string{
		NoAnswer: "; check the address and the network",
		NotGit:   "; check the address",
		Denied:   "; check the credentials",
		Absent:   "; check the address, and that the credentials may read it",
	}[e.Why]
	return fmt.Sprintf("repository %s cannot be read: %s%s", e.URL, e.Reason, next)
}

// RefNotFoundError says that the remote has no such branch or tag.
type RefNotFoundError struct {
	URL, Ref string
	Near     []string
	// versions is true when Near are the newest versions there are.
	versions bool
}

func (e *RefNotFoundError) Error() string {
	next := "check its name"
	if e.versions {
		next = "no tag there is a version such as 1.2.3 or v1.2.3"
		if len(e.Near) > 0 {
			next = "the newest are " + strings.Join(e.Near, ", ")
		}
	} else if len(e.Near) > 0 {
		next = "did you mean " + strings.Join(e.Near, ", ") + "?"
	}
	return fmt.Sprintf("repository %s has no %s: %s", e.URL, e.Ref, next)
}

// CommitNotFoundError says that a commit is not, or no longer, at the remote.
type CommitNotFoundError struct {
	URL, Commit string
}

func (e *CommitNotFoundError) Error() string {
	return fmt.Sprintf("commit %s is not in repository %s: it was never pushed there or its branch was rewritten; "+
		"push it again under a branch or tag, or pin another commit", e.Commit, e.URL)
}

// scrubbedError is a message without credentials. It unwraps only to errors that
// this package made or that are plain sentinels, never to one that could repeat a URL.
type scrubbedError struct {
	message string
	kind    error
}

func (e *scrubbedError) Error() string { return e.message }
func (e *scrubbedError) Unwrap() error { return e.kind }

// scrub replaces every credential in the text of an error.
func (r *remote) scrub(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = fmt.Errorf("repository %s: %w", r.display, context.Cause(ctx))
	}
	var unreachable *UnreachableError
	if errors.As(err, &unreachable) {
		clean := &UnreachableError{URL: unreachable.URL, Reason: r.clean(unreachable.Reason), Why: unreachable.Why}
		if message := err.Error(); message != unreachable.Error() { // it says more, such as which submodule
			return &scrubbedError{message: r.clean(message), kind: clean}
		}
		return clean
	}
	return &scrubbedError{message: r.clean(err.Error()), kind: kindOf(err)}
}

// clean takes credentials, in every form that a URL gives them, and control characters out of a text.
func (r *remote) clean(text string) string {
	for _, secret := range r.secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), url.User(secret).String()} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	return printable(text)
}

// kindOf finds what callers may branch on.
func kindOf(err error) error {
	var (
		ref       *RefNotFoundError
		commit    *CommitNotFoundError
		signature *SignatureError
	)
	switch {
	case errors.As(err, &ref):
		return ref
	case errors.As(err, &commit):
		return commit
	case errors.As(err, &signature):
		return signature
	}
	for _, sentinel := range []error{ErrEmptyRepository, ErrLimit, ErrOutsideRepository, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, sentinel) {
			return sentinel
		}
	}
	return nil
}

// printable keeps what a server wrote from moving a terminal's cursor or filling a log.
func printable(s string) string {
	const longest = 2000
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) {
			return ' '
		}
		return c
	}, s)
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + " …"
	}
	return s
}

// recovered calls into go-git, which can panic on malformed packs and indexes.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the repository's data is malformed: %v (at %s)", p, panicSite())
		}
	}()
	return f()
}

// panicSite is the function that panicked, for a bug report.
func panicSite() string {
	after := false
	for line := range strings.SplitSeq(string(debug.Stack()), "\n") {
		if strings.HasPrefix(line, "panic(") {
			after = true
			continue
		}
		if after && line != "" && line[0] != '\t' && !strings.HasPrefix(line, "runtime.") {
			return strings.SplitN(line, "(", 2)[0]
		}
	}
	return "unknown"
}
