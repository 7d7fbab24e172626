package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	gitcache "github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Directory reads a directory of this machine. One that holds a Git repository is
// read at its HEAD commit, as every other user of the repository would see it; a
// warning says so. A plain directory is read as it is, and symbolic links cannot
// lead out of it.
func Directory(path string) (*Snapshot, error) {
	r := &remote{}
	if err := r.setPath(path); err != nil {
		return nil, err
	}
	dir := r.endpoint.Path
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", dir, errors.Unwrap(err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory: give the repository's root and name the file as a path", dir)
	}
	if isRepository(dir) {
		var snap *Snapshot
		err := recovered(func() (err error) {
			snap, err = fetchLocal(context.Background(), r, target{}, packCache{}, Limits{}.withDefaults())
			return err
		})
		if err != nil {
			return nil, r.scrub(context.Background(), err)
		}
		snap.Warnings = append(snap.Warnings, fmt.Sprintf(
			"%s is a Git repository: read at commit %.12s; changes that are not committed are not seen", dir, snap.Commit))
		return snap, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", dir, err)
	}
	return &Snapshot{FS: root.FS(), URL: dir, Ref: "directory"}, nil
}

// isRepository recognises a worktree (.git is a directory, or a file that points to one) and a bare repository.
func isRepository(dir string) bool {
	if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
		return true
	}
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// fetchLocal reads a commit out of a repository on this machine. With a cache the
// commit's objects are copied, so that it survives what happens to the repository.
func fetchLocal(ctx context.Context, r *remote, want target, c packCache, limits Limits) (*Snapshot, error) {
	repo, err := r.openLocal()
	if err != nil {
		return nil, err
	}
	st := &store{
		object: func(h plumbing.Hash) (plumbing.EncodedObject, error) {
			return repo.Storer.EncodedObject(plumbing.AnyObject, h)
		},
		size: repo.Storer.EncodedObjectSize,
	}
	tip, ref, err := r.resolveLocal(repo, want)
	if err != nil {
		return nil, err
	}
	commit, err := st.peel(tip)
	if err != nil {
		if want.commit == tip && errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil, &CommitNotFoundError{URL: r.display, Commit: tip.String()}
		}
		return nil, fmt.Errorf("repository %s, %s: %w", r.display, want, err)
	}
	got := fetched{commit: commit, ref: ref, store: st}
	if c.dir == "" {
		return snapshot(st, r, got, limits)
	}
	if got.pack, err = st.extract(ctx, commit, limits); err != nil {
		return nil, fmt.Errorf("repository %s, commit %s: %w", r.display, commit, err)
	}
	if got.store, err = openPack(ctx, got.pack, limits); err != nil {
		return nil, fmt.Errorf("repository %s, commit %s: %w", r.display, commit, err)
	}
	if err := c.save(commit, got.pack); err != nil {
		return nil, fmt.Errorf("keep commit %s in the cache: %w", commit, err)
	}
	return snapshot(got.store, r, got, limits)
}

func (r *remote) openLocal() (*git.Repository, error) {
	path := r.endpoint.Path
	if info, err := os.Stat(path); err != nil {
		reason := "cannot be opened"
		if errors.Is(err, fs.ErrNotExist) {
			reason = "the path does not exist"
		}
		return nil, &UnreachableError{URL: r.display, Reason: reason}
	} else if !info.IsDir() {
		return nil, &UnreachableError{URL: r.display, Reason: "the path is not a directory"}
	}
	repo, err := git.PlainOpenWithOptions(path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, &UnreachableError{URL: r.display, Reason: "the directory is not a Git repository"}
	}
	if err != nil {
		return nil, &UnreachableError{URL: r.display, Reason: err.Error()}
	}
	return streaming(repo)
}

// streamedFrom is the size from which objects of a local repository are streamed rather than held.
const streamedFrom = 1 << 20

// streaming opens the same repository again with a limit on what is held in memory, which PlainOpen cannot be given.
func streaming(repo *git.Repository) (*git.Repository, error) {
	storage, ok := repo.Storer.(*filesystem.Storage)
	if !ok {
		return repo, nil
	}
	return git.Open(filesystem.NewStorageWithOptions(storage.Filesystem(), gitcache.NewObjectLRU(deltaCacheBytes),
		filesystem.Options{LargeObjectThreshold: streamedFrom}), nil)
}

func (r *remote) resolveLocal(repo *git.Repository, want target) (plumbing.Hash, string, error) {
	if !want.commit.IsZero() {
		return want.commit, want.String(), nil
	}
	if want.ref == "" {
		head, err := repo.Head()
		if err == nil {
			return head.Hash(), "HEAD (" + head.Name().String() + ")", nil
		}
		names, listErr := r.localNames(repo)
		if listErr == nil && len(names) == 0 {
			return plumbing.ZeroHash, "", fmt.Errorf("repository %s: %w", r.display, ErrEmptyRepository)
		}
		return plumbing.ZeroHash, "", fmt.Errorf("repository %s has no default branch: say which branch to read", r.display)
	}
	ref, err := repo.Reference(want.ref, true)
	if err == nil {
		return ref.Hash(), want.String(), nil
	}
	names, listErr := r.localNames(repo)
	switch {
	case listErr != nil:
		return plumbing.ZeroHash, "", fmt.Errorf("repository %s: read its references: %w", r.display, listErr)
	case len(names) == 0:
		return plumbing.ZeroHash, "", fmt.Errorf("repository %s: %w", r.display, ErrEmptyRepository)
	}
	return plumbing.ZeroHash, "", refNotFound(r.display, want.ref, names)
}

// localNames lists branches and tags.
func (r *remote) localNames(repo *git.Repository) ([]string, error) {
	refs, err := repo.References()
	if err != nil {
		return nil, err
	}
	var names []string
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() == plumbing.HashReference && ref.Name() != plumbing.HEAD {
			names = append(names, ref.Name().String())
		}
		return nil
	})
	return names, err
}
