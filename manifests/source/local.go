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
		snap, err := Fetch(context.Background(), Options{URL: dir})
		if err != nil {
			return nil, err
		}
		snap.Warnings = append(snap.Warnings, fmt.Sprintf(
			"%s is a Git repository: read at commit %.12s; changes that are not committed are not seen", dir, snap.Commit))
		return snap, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", dir, err)
	}
	return &Snapshot{FS: root.FS(), URL: dir, From: dir, Ref: "directory"}, nil
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

// fetchLocal reads a commit out of a repository on this machine. With copied its
// objects are packed, so that the commit survives what happens to the repository.
func fetchLocal(ctx context.Context, r *remote, want target, copied bool, limits Limits) (fetched, error) {
	repo, err := r.openLocal()
	if err != nil {
		return fetched{}, err
	}
	st := &store{
		object: func(h plumbing.Hash) (plumbing.EncodedObject, error) {
			return repo.Storer.EncodedObject(plumbing.AnyObject, h)
		},
		size: repo.Storer.EncodedObjectSize,
	}
	tip, ref, err := r.resolveLocal(repo, st, want)
	if err != nil {
		return fetched{}, err
	}
	commit, tags, err := st.peel(tip)
	if err != nil {
		if want.commit == tip && errors.Is(err, plumbing.ErrObjectNotFound) {
			return fetched{}, &CommitNotFoundError{URL: r.display, Commit: tip.String()}
		}
		return fetched{}, fmt.Errorf("repository %s, %s: %w", r.display, want, err)
	}
	if !want.commit.IsZero() && commit != want.commit {
		return fetched{}, movedTag(r.display, ref, commit, want.commit)
	}
	got := fetched{commit: commit, ref: ref, store: st, tags: tags}
	if !copied {
		return got, nil
	}
	if got.pack, err = st.extract(ctx, commit, limits); err != nil {
		return fetched{}, fmt.Errorf("repository %s, commit %s: %w", r.display, commit, err)
	}
	if got.store, err = openPack(ctx, got.pack, limits); err != nil {
		return fetched{}, fmt.Errorf("repository %s, commit %s: %w", r.display, commit, err)
	}
	return got, nil
}

func (r *remote) openLocal() (*git.Repository, error) {
	path := r.endpoint.Path
	if info, err := os.Stat(path); err != nil {
		reason := "cannot be opened"
		if errors.Is(err, fs.ErrNotExist) {
			reason = "the path does not exist"
		}
		return nil, &UnreachableError{URL: r.display, Reason: reason, Why: Absent}
	} else if !info.IsDir() {
		return nil, &UnreachableError{URL: r.display, Reason: "the path is not a directory", Why: Absent}
	}
	repo, err := git.PlainOpenWithOptions(path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, &UnreachableError{URL: r.display, Reason: "the directory is not a Git repository", Why: Absent}
	}
	if err != nil {
		return nil, &UnreachableError{URL: r.display, Reason: err.Error(), Why: Absent}
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

func (r *remote) resolveLocal(repo *git.Repository, st *store, want target) (plumbing.Hash, string, error) {
	if !want.commit.IsZero() && !want.byTag {
		return want.commit, want.String(), nil
	}
	if want.ref == "" && want.semver == nil {
		return r.localHead(repo)
	}
	name := want.ref
	names, listErr := r.localNames(repo)
	if want.semver != nil && listErr == nil && len(names) > 0 {
		best, err := want.semver.newest(r.display, names, func(name string) bool {
			return want.commit.IsZero() || leadsTo(repo, st, name, want.commit)
		})
		if err != nil {
			return plumbing.ZeroHash, "", err
		}
		name = plumbing.ReferenceName(best)
	}
	if name != "" {
		if ref, err := repo.Reference(name, true); err == nil {
			return ref.Hash(), name.String(), nil
		}
	}
	switch {
	case listErr != nil:
		return plumbing.ZeroHash, "", fmt.Errorf("repository %s: read its references: %w", r.display, listErr)
	case len(names) == 0:
		return plumbing.ZeroHash, "", fmt.Errorf("repository %s: %w", r.display, ErrEmptyRepository)
	}
	return plumbing.ZeroHash, "", refNotFound(r.display, name, names)
}

func (r *remote) localHead(repo *git.Repository) (plumbing.Hash, string, error) {
	head, err := repo.Head()
	if err == nil {
		return head.Hash(), "HEAD (" + head.Name().String() + ")", nil
	}
	if names, err := r.localNames(repo); err == nil && len(names) == 0 {
		return plumbing.ZeroHash, "", fmt.Errorf("repository %s: %w", r.display, ErrEmptyRepository)
	}
	return plumbing.ZeroHash, "", fmt.Errorf("repository %s has no default branch: say which branch to read", r.display)
}

// leadsTo says whether a reference ends at a commit.
func leadsTo(repo *git.Repository, st *store, name string, commit plumbing.Hash) bool {
	ref, err := repo.Reference(plumbing.ReferenceName(name), true)
	if err != nil {
		return false
	}
	peeled, _, err := st.peel(ref.Hash())
	return err == nil && peeled == commit
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
