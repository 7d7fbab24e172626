package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

const (
	maxLinks      = 40
	maxLinkTarget = 4096
	maxTreeDepth  = 256
)

// tree is a commit's file tree as an io/fs file system.
type tree struct {
	store  *store
	limits Limits
	time   time.Time
	root   node
	// modules are the submodules that are part of the tree; nil when they were not asked for.
	modules *modules
	// warnings name what is in the tree and cannot be read.
	warnings []string

	mu      sync.Mutex
	folders map[plumbing.Hash][]node // sorted by name
}

// node is one entry of a tree.
type node struct {
	name string
	mode filemode.FileMode
	hash plumbing.Hash
}

func (n node) isDir() bool       { return n.mode == filemode.Dir }
func (n node) isLink() bool      { return n.mode == filemode.Symlink }
func (n node) isSubmodule() bool { return n.mode == filemode.Submodule }

func newTree(st *store, commit plumbing.Hash, below *modules, limits Limits) (*tree, error) {
	c, err := st.commit(commit)
	if err != nil {
		return nil, err
	}
	if below != nil {
		st = union(below.stores)
	}
	t := &tree{
		store: st, limits: limits, time: c.Committer.When.UTC(),
		root:    node{name: ".", mode: filemode.Dir, hash: c.TreeHash},
		folders: map[plumbing.Hash][]node{}, modules: below,
	}
	if below != nil {
		t.warnings = below.warnings
	}
	files, err := t.survey(c.TreeHash, "", 0, map[plumbing.Hash]int{})
	if err != nil {
		return nil, err
	}
	if files > limits.Files {
		return nil, fmt.Errorf("the tree holds more than %d files: %w", limits.Files, ErrLimit)
	}
	return t, nil
}

// survey counts the files below a tree and names submodules. A sub-tree that
// appears many times is read once but counted each time, so that a tree which
// multiplies itself is found out by the count and not by walking it.
func (t *tree) survey(hash plumbing.Hash, at string, depth int, known map[plumbing.Hash]int) (int, error) {
	if n, ok := known[hash]; ok {
		return n, nil
	}
	if depth > maxTreeDepth {
		return 0, fmt.Errorf("%s: directories are nested deeper than %d: %w", at, maxTreeDepth, ErrLimit)
	}
	entries, err := t.entries(hash)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path.Join("/", at), err)
	}
	count := 0
	for _, e := range entries {
		switch {
		case e.isSubmodule():
			t.warnings = append(t.warnings, t.unread(path.Join(at, e.name)))
		case e.isDir():
			n, err := t.survey(e.hash, path.Join(at, e.name), depth+1, known)
			if err != nil {
				return 0, err
			}
			count += n
		default:
			count++
		}
		if count > t.limits.Files {
			return 0, fmt.Errorf("the tree holds more than %d files: %w", t.limits.Files, ErrLimit)
		}
	}
	known[hash] = count
	return count, nil
}

// unread says what to do about a submodule that is not part of the tree.
func (t *tree) unread(name string) string {
	if t.modules != nil {
		return fmt.Sprintf("%s is a Git submodule that .gitmodules does not name, and is not read", name)
	}
	return fmt.Sprintf("%s is a Git submodule and is not read: ask for submodules, or copy its files into the repository, if they are needed", name)
}

// complete checks that every object of the commit's tree is present.
func (s *store) complete(ctx context.Context, commit plumbing.Hash) error {
	c, err := s.commit(commit)
	if err != nil {
		return err
	}
	seen := map[plumbing.Hash]bool{}
	queue := []plumbing.Hash{c.TreeHash}
	for len(queue) > 0 && ctx.Err() == nil {
		hash := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if seen[hash] {
			continue
		}
		seen[hash] = true
		t, err := s.tree(hash)
		if err != nil {
			return err
		}
		for _, e := range t.Entries {
			if e.Mode == filemode.Dir {
				queue = append(queue, e.Hash)
			} else if e.Mode != filemode.Submodule && !seen[e.Hash] {
				seen[e.Hash] = true
				if _, err := s.sizeOf(e.Hash); err != nil {
					return err
				}
			}
		}
	}
	return ctx.Err()
}

// entries lists one directory, sorted by name.
func (t *tree) entries(hash plumbing.Hash) ([]node, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if nodes, ok := t.folders[hash]; ok {
		return nodes, nil
	}
	raw, err := t.store.tree(hash)
	if err != nil {
		return nil, err
	}
	nodes := make([]node, 0, len(raw.Entries))
	for _, e := range raw.Entries {
		if e.Name == "" || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00") {
			return nil, fmt.Errorf("the tree has an entry named %q: the repository is malformed", e.Name)
		}
		n := node{name: e.Name, mode: e.Mode, hash: e.Hash}
		if n.isSubmodule() && t.modules != nil {
			if root, ok := t.modules.roots[n.hash]; ok {
				n.mode, n.hash = filemode.Dir, root
			}
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(nodes); i++ {
		if nodes[i].name == nodes[i-1].name {
			return nil, fmt.Errorf("the tree has two entries named %q: the repository is malformed", nodes[i].name)
		}
	}
	t.folders[hash] = nodes
	return nodes, nil
}

var (
	errSubmodule   = errors.New("is a Git submodule, which is not read")
	errNotDir      = errors.New("not a directory")
	errIsDir       = errors.New("is a directory")
	errTooManyHops = errors.New("too many symbolic links, they may form a loop")
)

// resolve walks to a path. Symbolic links are followed within the tree; the last
// one only when follow is set.
func (t *tree) resolve(name string, follow bool) (node, error) {
	pending := strings.Split(name, "/")
	stack := []node{t.root}
	for hops := 0; len(pending) > 0; {
		part := pending[0]
		pending = pending[1:]
		switch part {
		case ".", "":
			continue
		case "..":
			if len(stack) == 1 {
				return node{}, ErrOutsideRepository
			}
			stack = stack[:len(stack)-1]
			continue
		}
		here, err := t.lookup(stack[len(stack)-1], part)
		if err != nil {
			return node{}, err
		}
		if !here.isLink() || (len(pending) == 0 && !follow) {
			stack = append(stack, here)
			continue
		}
		if hops++; hops > maxLinks {
			return node{}, errTooManyHops
		}
		target, err := t.target(here)
		if err != nil {
			return node{}, err
		}
		pending = append(strings.Split(target, "/"), pending...)
	}
	return stack[len(stack)-1], nil
}

func (t *tree) lookup(dir node, name string) (node, error) {
	switch {
	case dir.isSubmodule():
		return node{}, fmt.Errorf("%s %w", dir.name, errSubmodule)
	case !dir.isDir():
		return node{}, errNotDir
	}
	nodes, err := t.entries(dir.hash)
	if err != nil {
		return node{}, err
	}
	i, ok := slices.BinarySearchFunc(nodes, name, func(n node, s string) int { return strings.Compare(n.name, s) })
	if !ok {
		return node{}, fs.ErrNotExist
	}
	return nodes[i], nil
}

// target of a symbolic link. An absolute one would be a path of the machine, not of the repository.
func (t *tree) target(link node) (string, error) {
	content, err := t.store.read(plumbing.BlobObject, link.hash, maxLinkTarget)
	if err != nil {
		return "", err
	}
	target := string(content)
	if path.IsAbs(target) {
		return "", fmt.Errorf("symbolic link to %q: %w", target, ErrOutsideRepository)
	}
	return target, nil
}
