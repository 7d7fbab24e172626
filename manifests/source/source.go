// Package source reads a Git repository at one commit, straight from its objects,
// and presents it as an io/fs tree. Nothing is ever checked out: there is no
// worktree that a crafted repository could write through, and only the files that
// are asked for are inflated.
//
// A fetch is shallow (one commit, no history). With a cache directory the pack of
// each fetched commit is kept, so that a run that resumes after a crash gets
// exactly the commit that it pinned, even when the remote was rewritten or is gone,
// and so that a rebuild can work from the last fetched commit while no remote answers.
//
// No error of this package contains a credential.
package source

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Snapshot is a file tree that does not change.
type Snapshot struct {
	// FS is safe for concurrent use. It implements fs.ReadDirFS, fs.ReadFileFS,
	// fs.StatFS and fs.ReadLinkFS. Symbolic links are followed within the tree; one
	// that leads out of it is an error that wraps ErrOutsideRepository.
	FS fs.FS
	// URL without credentials, or the directory.
	URL string
	// Ref is what was asked for in words: refs/heads/main, refs/tags/v1, commit,
	// HEAD, or "directory" for a plain directory.
	Ref string
	// Commit is 40 hexadecimal digits; "" for a plain directory.
	Commit     string
	CommitTime time.Time
	// From is the URL, without credentials, of the remote that served the commit: URL or a mirror.
	From string
	// FetchedAt is when the commit came from there; zero when that is not known.
	FetchedAt time.Time
	// Stale is true when no remote answered and the last fetched commit was taken.
	Stale bool
	// SignedBy are the signatures that were verified.
	SignedBy []Signature
	// PackBytes is what the commit takes in memory, compressed, submodules included.
	PackBytes int64
	// Warnings that do not stop anything: submodules that are not read, credentials in clear text.
	Warnings []string
}

// Reference is the full name of what Ref stands for, as far as it is known: that of the branch
// that is checked out where Ref says HEAD of a directory.
func (s *Snapshot) Reference() string {
	if name, ok := strings.CutPrefix(s.Ref, "HEAD ("); ok {
		return strings.TrimSuffix(name, ")")
	}
	return s.Ref
}

// Fetch reads one commit of a repository.
//
// Errors that callers branch on: *UnreachableError, *RefNotFoundError,
// *CommitNotFoundError, *SignatureError, ErrEmptyRepository, ErrLimit, and those of ctx.
func Fetch(ctx context.Context, o Options) (*Snapshot, error) {
	o.Limits = o.Limits.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	f, err := newFetch(o)
	if err != nil {
		return nil, err
	}
	var snap *Snapshot
	err = recovered(func() (err error) {
		snap, err = f.run(ctx)
		return err
	})
	if err != nil {
		return nil, f.scrub(ctx, err)
	}
	for _, r := range f.remotes {
		if r.clearText {
			snap.Warnings = append(snap.Warnings, fmt.Sprintf("%s: credentials travel in clear text over http; use https", r.display))
		}
	}
	return snap, nil
}

// fetched is one commit that was found.
type fetched struct {
	commit plumbing.Hash
	ref    string
	pack   []byte
	store  *store
	// tags are the tag objects, as stored, that lead from the reference to the commit.
	tags [][]byte
	// from is the display of the remote, at the time that it was read.
	from string
	at   time.Time
}
