// Package source reads a Git repository at one commit, straight from its objects,
// and presents it as an io/fs tree. Nothing is ever checked out: there is no
// worktree that a crafted repository could write through, and only the files that
// are asked for are inflated.
//
// A fetch is shallow (one commit, no history). With a cache directory the pack of
// each fetched commit is kept, so that a run that resumes after a crash gets
// exactly the commit that it pinned, even when the remote was rewritten or is gone.
//
// No error of this package contains a credential.
package source

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Options of a fetch.
type Options struct {
	// URL of the repository: https, http, ssh, file, user@host:path or a local path.
	URL string
	// Branch, Tag and Commit say what to read; at most one of Branch and Tag. A
	// Commit (40 hexadecimal digits) wins over both and is the only one that can be
	// served from the cache. With none of them the remote's default branch is read.
	Branch, Tag, Commit string
	Auth                Auth
	// CacheDir keeps the packs of fetched commits; "" keeps nothing. What is in it is
	// readable to whoever may use it and knows a commit's hash, whatever credentials
	// they hold: callers that serve several tenants give each a directory of its own.
	CacheDir string
	Limits   Limits
}

// Auth holds credentials and trust for a remote. User and password in the URL are
// used when Username, Password and BearerToken are empty.
type Auth struct {
	Username, Password string
	BearerToken        string
	// SSHIdentity is a PEM private key; Password decrypts it when it is encrypted.
	SSHIdentity []byte
	// SSHKnownHosts is the text of a known_hosts file. It is required for ssh: a host
	// that is not in it is refused.
	SSHKnownHosts []byte
	// CABundle is PEM certificates trusted for https besides the system's.
	CABundle []byte
}

// Limits bound what a repository may cost. Zero values mean the defaults.
type Limits struct {
	// PackBytes is the most that is read from a remote: 256 MiB. They are held in memory, compressed.
	PackBytes int64
	// Objects in a pack: 1,000,000.
	Objects int
	// ExpandedBytes is the sum of all objects after decompression: 2 GiB.
	ExpandedBytes int64
	// Files in the tree, counting a shared sub-tree as often as it appears: 200,000.
	Files int
	// FileBytes is the largest file that can be opened: 64 MiB.
	FileBytes int64
	// Duration of the whole fetch: 5 minutes.
	Duration time.Duration
	// CacheBytes is the most that CacheDir holds: 1 GiB. The packs used longest ago go first.
	CacheBytes int64
}

func (l Limits) withDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.PackBytes, 256<<20)
	def(&l.ExpandedBytes, 2<<30)
	def(&l.FileBytes, 64<<20)
	def(&l.CacheBytes, 1<<30)
	if l.Objects <= 0 {
		l.Objects = 1_000_000
	}
	if l.Files <= 0 {
		l.Files = 200_000
	}
	if l.Duration <= 0 {
		l.Duration = 5 * time.Minute
	}
	return l
}

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
	// Warnings that do not stop anything: submodules that are not read, credentials in clear text.
	Warnings []string
}

// Fetch reads one commit of a repository.
//
// Errors that callers branch on: *UnreachableError, *RefNotFoundError,
// *CommitNotFoundError, ErrEmptyRepository, ErrLimit, and those of ctx.
func Fetch(ctx context.Context, o Options) (*Snapshot, error) {
	o.Limits = o.Limits.withDefaults()
	remote, err := parseRemote(o.URL, o.Auth)
	if err != nil {
		return nil, err
	}
	want, err := o.want()
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", remote.display, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.Limits.Duration,
		fmt.Errorf("fetching took longer than %s: %w", o.Limits.Duration, context.DeadlineExceeded))
	defer cancel()

	var snap *Snapshot
	err = recovered(func() (err error) {
		snap, err = fetch(ctx, remote, want, o)
		return err
	})
	if err != nil {
		return nil, remote.scrub(ctx, err)
	}
	if remote.clearText {
		snap.Warnings = append(snap.Warnings, fmt.Sprintf("%s: credentials travel in clear text over http; use https", remote.display))
	}
	return snap, nil
}

func fetch(ctx context.Context, r *remote, want target, o Options) (*Snapshot, error) {
	packs := packCache{dir: o.CacheDir, url: r.identity, limits: o.Limits}
	if !want.commit.IsZero() {
		if st := packs.load(ctx, want.commit); st != nil {
			return snapshot(st, r, fetched{commit: want.commit, ref: want.String()}, o.Limits)
		}
	}
	if r.local() {
		return fetchLocal(ctx, r, want, packs, o.Limits)
	}
	got, err := r.download(ctx, want, o.Limits)
	if err != nil {
		return nil, err
	}
	if err := got.store.complete(ctx, got.commit); err != nil {
		return nil, fmt.Errorf("repository %s: commit %s arrived incomplete: %w", r.display, got.commit, err)
	}
	if err := packs.save(got.commit, got.pack); err != nil {
		return nil, fmt.Errorf("keep commit %s in the cache: %w", got.commit, err)
	}
	return snapshot(got.store, r, got, o.Limits)
}

// fetched is one commit that was found.
type fetched struct {
	commit plumbing.Hash
	ref    string
	pack   []byte
	store  *store
}

func snapshot(st *store, r *remote, got fetched, limits Limits) (*Snapshot, error) {
	tree, err := newTree(st, got.commit, limits)
	if err != nil {
		return nil, fmt.Errorf("repository %s, commit %s: %w", r.display, got.commit, err)
	}
	return &Snapshot{
		FS: tree, URL: r.display, Ref: got.ref,
		Commit: got.commit.String(), CommitTime: tree.time, Warnings: tree.warnings,
	}, nil
}
