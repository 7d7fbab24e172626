package adopt

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Commit says where files go in a repository.
type Commit struct {
	// Repository is a directory of this machine.
	Repository string
	// Branch to commit on. It is made, at Base, when it does not exist.
	Branch string
	// Base is the commit at which a new branch begins; empty for HEAD.
	Base string
	// Path of the directory in the repository, slash-separated.
	Path string
	// Message of the commit.
	Message string
	At      time.Time
	// Force overwrites files that differ.
	Force bool
}

// To commits files on the branch and returns the hash. The working tree and the index are
// not touched, so the branch must not be the one that is checked out. Where the directory
// has a kustomization, the files are added to it.
func (c Commit) To(files []File) (hash string, err error) {
	clean := path.Clean(strings.Trim(c.Path, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("the path %q leads out of the repository", c.Path)
	}
	repo, err := git.PlainOpen(c.Repository)
	if err != nil {
		return "", fmt.Errorf("open the repository %s: %w", c.Repository, err)
	}
	w := &writer{Commit: c, repo: repo}
	parent, old, err := w.parent()
	if err != nil {
		return "", err
	}
	root, err := parent.Tree()
	if err != nil {
		return "", fmt.Errorf("read commit %s: %w", parent.Hash, err)
	}
	tree, err := w.tree(root, elements(clean), files)
	if err != nil {
		return "", err
	}
	if tree == root.Hash {
		return "", fmt.Errorf("branch %s holds all of it already", c.Branch)
	}
	return w.commit(parent, old, tree)
}

// elements of a path; none for the root.
func elements(clean string) []string {
	if clean == "." || clean == "" {
		return nil
	}
	return strings.Split(clean, "/")
}

type writer struct {
	Commit
	repo *git.Repository
}

func (w *writer) name() plumbing.ReferenceName { return plumbing.NewBranchReferenceName(w.Branch) }

// parent of the new commit, and the branch as it is; nil when it does not exist.
func (w *writer) parent() (*object.Commit, *plumbing.Reference, error) {
	if err := w.name().Validate(); err != nil {
		return nil, nil, fmt.Errorf("%q cannot be the name of a branch: %w", w.Branch, err)
	}
	config, err := w.repo.Config()
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration of %s: %w", w.Repository, err)
	}
	head, err := w.repo.Reference(plumbing.HEAD, false)
	if err == nil && head.Target() == w.name() && !config.Core.IsBare {
		return nil, nil, fmt.Errorf("branch %s is checked out in %s, and working trees are not touched; name another branch", w.Branch, w.Repository)
	}
	old, err := w.repo.Reference(w.name(), true)
	if err == nil {
		commit, err := w.repo.CommitObject(old.Hash())
		if err != nil {
			return nil, nil, fmt.Errorf("read branch %s: %w", w.Branch, err)
		}
		return commit, old, nil
	}
	if !errors.Is(err, plumbing.ErrReferenceNotFound) {
		return nil, nil, fmt.Errorf("read branch %s: %w", w.Branch, err)
	}
	from := plumbing.Revision(w.Base)
	if from == "" {
		from = plumbing.Revision(plumbing.HEAD)
	}
	at, err := w.repo.ResolveRevision(from)
	if err != nil {
		return nil, nil, fmt.Errorf("%s has no commit %s to begin branch %s at; fetch it first: %w", w.Repository, from, w.Branch, err)
	}
	commit, err := w.repo.CommitObject(*at)
	if err != nil {
		return nil, nil, fmt.Errorf("read commit %s: %w", at, err)
	}
	return commit, nil, nil
}

// tree with the files below a path, on top of the present one.
func (w *writer) tree(present *object.Tree, below []string, files []File) (plumbing.Hash, error) {
	next := &object.Tree{}
	if present != nil {
		next.Entries = slices.Clone(present.Entries)
	}
	if len(below) == 0 {
		if err := w.add(present, next, files); err != nil {
			return plumbing.ZeroHash, err
		}
		return w.store(next)
	}
	var child *object.Tree
	if entry := find(next, below[0]); entry != nil {
		if entry.Mode != filemode.Dir {
			return plumbing.ZeroHash, fmt.Errorf("%s in the repository is no directory", below[0])
		}
		var err error
		if child, err = w.repo.TreeObject(entry.Hash); err != nil {
			return plumbing.ZeroHash, fmt.Errorf("read %s: %w", below[0], err)
		}
	}
	hash, err := w.tree(child, below[1:], files)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	set(next, object.TreeEntry{Name: below[0], Mode: filemode.Dir, Hash: hash})
	return w.store(next)
}

// add the files to a directory, and to its kustomization.
func (w *writer) add(present, next *object.Tree, files []File) error {
	var names, added []string
	for _, e := range next.Entries {
		names = append(names, e.Name)
	}
	if slices.Contains(names, "Chart.yaml") {
		return fmt.Errorf("%s holds a Helm chart, which is no place for what was adopted; name another directory with --path", w.Path)
	}
	for _, f := range files {
		hash, err := w.blob(f.Content)
		if err != nil {
			return err
		}
		if entry := find(next, f.Name); entry != nil && entry.Hash != hash && !w.Force {
			return fmt.Errorf("%s exists on branch %s and differs; nothing was committed: overwrite it with --force", path.Join(w.Path, f.Name), w.Branch)
		}
		set(next, object.TreeEntry{Name: f.Name, Mode: filemode.Regular, Hash: hash})
		added = append(added, f.Name)
	}
	kustomization := Kustomization(names)
	if kustomization == "" {
		return nil
	}
	file, err := present.File(kustomization)
	if err != nil {
		return fmt.Errorf("read %s: %w", kustomization, err)
	}
	text, err := file.Contents()
	if err != nil {
		return fmt.Errorf("read %s: %w", kustomization, err)
	}
	content, err := WithResources([]byte(text), added)
	if err != nil {
		return fmt.Errorf("%s: %w", path.Join(w.Path, kustomization), err)
	}
	hash, err := w.blob(content)
	set(next, object.TreeEntry{Name: kustomization, Mode: file.Mode, Hash: hash})
	return err
}

func find(t *object.Tree, name string) *object.TreeEntry {
	for i := range t.Entries {
		if t.Entries[i].Name == name {
			return &t.Entries[i]
		}
	}
	return nil
}

func set(t *object.Tree, entry object.TreeEntry) {
	if e := find(t, entry.Name); e != nil {
		*e = entry
		return
	}
	t.Entries = append(t.Entries, entry)
}

func (w *writer) store(t *object.Tree) (plumbing.Hash, error) {
	sort.Sort(object.TreeEntrySorter(t.Entries))
	encoded := w.repo.Storer.NewEncodedObject()
	if err := t.Encode(encoded); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("store a directory: %w", err)
	}
	return w.repo.Storer.SetEncodedObject(encoded)
}

func (w *writer) blob(content []byte) (plumbing.Hash, error) {
	encoded := w.repo.Storer.NewEncodedObject()
	encoded.SetType(plumbing.BlobObject)
	stream, err := encoded.Writer()
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("store a file: %w", err)
	}
	_, err = stream.Write(content)
	if err = errors.Join(err, stream.(io.Closer).Close()); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("store a file: %w", err)
	}
	return w.repo.Storer.SetEncodedObject(encoded)
}

// commit the tree and move the branch, unless somebody moved it meanwhile.
func (w *writer) commit(parent *object.Commit, old *plumbing.Reference, tree plumbing.Hash) (string, error) {
	who, err := w.author()
	if err != nil {
		return "", err
	}
	encoded := w.repo.Storer.NewEncodedObject()
	commit := &object.Commit{Author: who, Committer: who, Message: w.Message, TreeHash: tree, ParentHashes: []plumbing.Hash{parent.Hash}}
	if err := commit.Encode(encoded); err != nil {
		return "", fmt.Errorf("make the commit: %w", err)
	}
	hash, err := w.repo.Storer.SetEncodedObject(encoded)
	if err != nil {
		return "", fmt.Errorf("store the commit: %w", err)
	}
	if err := w.repo.Storer.CheckAndSetReference(plumbing.NewHashReference(w.name(), hash), old); err != nil {
		return "", fmt.Errorf("move branch %s: %w", w.Branch, err)
	}
	return hash.String(), nil
}

// author as for the user's other commits: by the configuration of the repository, else by
// the user's own.
func (w *writer) author() (object.Signature, error) {
	config, err := w.repo.ConfigScoped(config.GlobalScope)
	if err != nil {
		return object.Signature{}, fmt.Errorf("read the configuration of %s: %w", w.Repository, err)
	}
	who := object.Signature{Name: config.User.Name, Email: config.User.Email, When: w.At}
	if who.Name == "" || who.Email == "" {
		who.Name, who.Email = "refloat", "refloat@localhost"
	}
	return who, nil
}
