package source

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

const (
	maxModuleDepth = 8
	maxModuleBytes = 1 << 20
)

// budget is what a repository and all its submodules may cost together.
type budget struct {
	bytes   int64
	modules int
}

// modules are the submodules of a tree. They are found by the hash of their commit,
// which fixes their content wherever they appear.
type modules struct {
	roots    map[plumbing.Hash]plumbing.Hash // commit -> its tree
	stores   []*store
	warnings []string
}

// module is one submodule as a commit names it.
type module struct {
	path, url string
	commit    plumbing.Hash
}

// submodules reads all submodules of a commit, those of submodules too. nil when they are not asked for.
func (f *fetch) submodules(ctx context.Context, got fetched) (*modules, error) {
	if !f.Submodules {
		return nil, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.Limits.Duration,
		fmt.Errorf("fetching submodules took longer than %s: %w", f.Limits.Duration, context.DeadlineExceeded))
	defer cancel()
	all := &modules{roots: map[plumbing.Hash]plumbing.Hash{}, stores: []*store{got.store}}
	err := f.collect(ctx, got, all)
	if err != nil && context.Cause(ctx) != nil {
		err = fmt.Errorf("repository %s: %w", f.main().display, context.Cause(ctx))
	}
	return all, err
}

func (f *fetch) collect(ctx context.Context, got fetched, all *modules) error {
	named, err := namedModules(got.store, got.commit)
	if err != nil {
		return fmt.Errorf("repository %s, commit %s: %w", f.main().display, got.commit, err)
	}
	for _, m := range named {
		if _, known := all.roots[m.commit]; known {
			continue
		}
		if f.budget.modules--; f.budget.modules < 0 {
			return fmt.Errorf("repository %s has more than %d submodules: %w", f.main().display, f.Limits.Submodules, ErrLimit)
		}
		if err := f.module(ctx, m, all); err != nil {
			return err
		}
	}
	return nil
}

// module fetches one submodule and what is below it.
func (f *fetch) module(ctx context.Context, m module, all *modules) error {
	child, err := f.child(m)
	if err != nil {
		return fmt.Errorf("repository %s, submodule %s: %w", f.main().display, m.path, err)
	}
	got, notes, err := child.find(ctx)
	if err != nil {
		return child.scrub(ctx, fmt.Errorf("submodule %s of %s: %w", m.path, f.main().display, err))
	}
	commit, err := got.store.commit(m.commit)
	if err != nil {
		return err
	}
	all.warnings = append(all.warnings, notes.warnings...)
	for _, r := range child.remotes {
		if r.clearText {
			all.warnings = append(all.warnings, fmt.Sprintf("%s: credentials travel in clear text over http; use https", r.display))
		}
	}
	all.roots[m.commit] = commit.TreeHash
	all.stores = append(all.stores, got.store)
	return child.collect(ctx, got, all)
}

// child is the fetch of a submodule: its pinned commit, from the place that is named
// relative to each remote of the parent, or from one place of its own.
func (f *fetch) child(m module) (*fetch, error) {
	c := &fetch{
		Options: Options{CacheDir: f.CacheDir, Submodules: true, Limits: f.Limits, Now: f.Now},
		want:    target{commit: m.commit}, budget: f.budget,
		above: append(slices.Clone(f.above), f.main().identity),
	}
	if relative(m.url) {
		for _, r := range f.remotes {
			sub, err := r.beside(m.url)
			if err != nil {
				return nil, err
			}
			c.remotes = append(c.remotes, sub)
		}
	} else {
		sub, err := f.elsewhere(m.url)
		if err != nil {
			return nil, err
		}
		c.remotes = []*remote{sub}
	}
	for i, above := range c.above {
		if sameRepository(above, c.main().identity) {
			return nil, fmt.Errorf("the submodules form a cycle: %s", strings.Join(append(c.above[i:], c.main().identity), " -> "))
		}
	}
	if len(c.above) > maxModuleDepth {
		return nil, fmt.Errorf("submodules are nested deeper than %d: %w", maxModuleDepth, ErrLimit)
	}
	c.packs = packCache{dir: f.CacheDir, url: c.main().identity, limits: f.Limits}
	return c, nil
}

func sameRepository(a, b string) bool {
	plain := func(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "/"), ".git") }
	return plain(a) == plain(b)
}

func relative(url string) bool {
	return strings.HasPrefix(url, "./") || strings.HasPrefix(url, "../")
}

// beside resolves a relative URL as Git does: below the remote's own path, which each ../ shortens.
func (r *remote) beside(url string) (*remote, error) {
	base, _, _ := strings.Cut(r.endpoint.Path, "?")
	joined := path.Join("/", base, url)
	if r.local() {
		return parseRemote("file://"+joined, Auth{})
	}
	host := r.endpoint.Host
	if strings.Contains(host, ":") && host[0] != '[' {
		host = "[" + host + "]"
	}
	switch {
	case r.endpoint.Protocol != "ssh":
		return parseRemote(r.endpoint.Protocol+"://"+withPort(host, r.endpoint.Port)+joined, r.auth)
	case !strings.HasPrefix(base, "/"): // user@host:path, relative to the user's home
		return parseRemote(r.endpoint.User+"@"+host+":"+strings.TrimPrefix(joined, "/"), r.auth)
	}
	return parseRemote("ssh://"+r.endpoint.User+"@"+withPort(host, r.endpoint.Port)+joined, r.auth)
}

func withPort(host string, port int) string {
	if port == 0 {
		return host
	}
	return fmt.Sprintf("%s:%d", host, port)
}

// elsewhere takes a URL that a repository names. It gets credentials only where they
// were given for the same protocol, host and port, and never reads files of this machine.
func (f *fetch) elsewhere(url string) (*remote, error) {
	trust := Auth{CABundle: f.main().auth.CABundle, SSHKnownHosts: f.main().auth.SSHKnownHosts, Proxy: f.main().auth.Proxy}
	sub, err := parseRemote(url, trust)
	if err != nil {
		return nil, err
	}
	if sub.local() {
		return nil, errors.New("its URL names files of this machine, which a repository may not ask for: give it an https or ssh URL, or a relative one")
	}
	for _, r := range f.remotes {
		if r.origin() == sub.origin() {
			return parseRemote(url, r.auth)
		}
	}
	return sub, nil
}

// origin is what credentials belong to.
func (r *remote) origin() string {
	port := r.endpoint.Port
	if port == 0 {
		port = map[string]int{"https": 443, "http": 80, "ssh": 22}[r.endpoint.Protocol]
	}
	return fmt.Sprintf("%s://%s:%d", r.endpoint.Protocol, strings.ToLower(strings.Trim(r.endpoint.Host, "[]")), port)
}

// namedModules reads .gitmodules and finds the commit at each path.
func namedModules(st *store, commit plumbing.Hash) ([]module, error) {
	c, err := st.commit(commit)
	if err != nil {
		return nil, err
	}
	file, err := entryAt(st, c.TreeHash, ".gitmodules")
	if err != nil || file.hash.IsZero() {
		return nil, err
	}
	if file.mode != filemode.Regular && file.mode != filemode.Executable && file.mode != filemode.Deprecated {
		return nil, errors.New(".gitmodules is not a file")
	}
	content, err := st.read(plumbing.BlobObject, file.hash, maxModuleBytes)
	if err != nil {
		return nil, fmt.Errorf(".gitmodules: %w", err)
	}
	parsed := config.NewModules()
	if err := recovered(func() error { return parsed.Unmarshal(content) }); err != nil {
		return nil, fmt.Errorf(".gitmodules is malformed: %w", err)
	}
	var all []module
	for _, m := range parsed.Submodules {
		at, err := entryAt(st, c.TreeHash, m.Path)
		if err != nil {
			return nil, err
		}
		if at.isSubmodule() {
			all = append(all, module{path: m.Path, url: m.URL, commit: at.hash})
		}
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

// entryAt finds the entry of a tree at a path without following links; a zero node when there is none.
func entryAt(st *store, root plumbing.Hash, at string) (node, error) {
	found := node{mode: filemode.Dir, hash: root}
	for part := range strings.SplitSeq(path.Clean(at), "/") {
		if !found.isDir() {
			return node{}, nil
		}
		t, err := st.tree(found.hash)
		if err != nil {
			return node{}, err
		}
		found = node{}
		for _, e := range t.Entries {
			if e.Name == part {
				found = node{name: e.Name, mode: e.Mode, hash: e.Hash}
			}
		}
	}
	return found, nil
}

// union reads objects from several stores as from one.
func union(stores []*store) *store {
	if len(stores) == 1 {
		return stores[0]
	}
	return &store{
		object: func(h plumbing.Hash) (plumbing.EncodedObject, error) {
			return firstOf(stores, func(s *store) (plumbing.EncodedObject, error) { return s.object(h) })
		},
		size: func(h plumbing.Hash) (int64, error) {
			return firstOf(stores, func(s *store) (int64, error) { return s.size(h) })
		},
	}
}

func firstOf[T any](stores []*store, read func(*store) (T, error)) (found T, err error) {
	for _, s := range stores {
		if found, err = read(s); err == nil || !errors.Is(err, plumbing.ErrObjectNotFound) {
			return found, err
		}
	}
	return found, err
}
