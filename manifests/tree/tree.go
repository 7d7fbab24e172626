// Package tree composes file trees from others, without copying: a repository with a
// generated file put over it, or files picked from several places under new names.
//
// A tree knows for each of its files where it came from, so that messages can name
// the place that people know.
package tree

import (
	"io/fs"
	"maps"
	"path"
	"slices"
)

// Tree is a read-only file tree. Build it first, then use it: after that it is safe for concurrent
// use.
type Tree struct {
	base  fs.FS // below the tree's own files; nil for none
	files map[string]file
	dirs  map[string]map[string]bool // directory -> names that the tree's own files bring about in it
}

// file is content, or a file of another tree.
type file struct {
	content []byte
	from    fs.FS
	name    string
}

// New makes an empty tree.
func New() *Tree {
	return &Tree{files: map[string]file{}, dirs: map[string]map[string]bool{".": {}}}
}

// Over puts files, by slash-separated name, over a tree. Names that are not valid
// within a tree are left out.
func Over(base fs.FS, files map[string][]byte) *Tree {
	t := New()
	t.base = base
	for name, content := range files {
		t.put(name, file{content: content})
	}
	return t
}

// Link adds a file of another tree under a name, in place of one that was there. It
// reports whether the name can be one of a file in this tree.
func (t *Tree) Link(name string, from fs.FS, original string) bool {
	return t.put(name, file{from: from, name: original})
}

func (t *Tree) put(name string, f file) bool {
	if !fs.ValidPath(name) || name == "." || t.dirs[name] != nil {
		return false
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, isFile := t.files[dir]; isFile {
			return false
		}
	}
	t.files[name] = f
	for at := name; at != "."; at = path.Dir(at) {
		dir := path.Dir(at)
		if t.dirs[dir] == nil {
			t.dirs[dir] = map[string]bool{}
		}
		t.dirs[dir][path.Base(at)] = true
	}
	return true
}

// Len is the number of the tree's own files.
func (t *Tree) Len() int { return len(t.files) }

// Names of the tree's own files, sorted.
func (t *Tree) Names() []string { return slices.Sorted(maps.Keys(t.files)) }

// Origin is the name that a file has where it was taken from; the same name when it was not.
func (t *Tree) Origin(name string) string {
	f, ok := t.files[name]
	switch {
	case !ok || f.from == nil:
		return name
	default:
		return OriginIn(f.from, f.name)
	}
}

// OriginIn follows a name through trees that are made of trees.
func OriginIn(files fs.FS, name string) string {
	if t, ok := files.(interface{ Origin(string) string }); ok {
		return t.Origin(name)
	}
	return name
}

// Open implements fs.FS.
func (t *Tree) Open(name string) (fs.File, error) {
	if err := valid("open", name); err != nil {
		return nil, err
	}
	if f, ok := t.files[name]; ok {
		return f.open(path.Base(name))
	}
	if t.dirs[name] != nil {
		entries, err := t.ReadDir(name)
		return &directory{info: info{name: path.Base(name), dir: true}, entries: entries}, err
	}
	if t.base != nil {
		return t.base.Open(name)
	}
	return nil, missing("open", name)
}

// ReadDir implements fs.ReadDirFS.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := valid("readdir", name); err != nil {
		return nil, err
	}
	own, isOwn := t.dirs[name]
	entries := map[string]fs.DirEntry{}
	if t.base != nil {
		below, err := fs.ReadDir(t.base, name)
		if err != nil && !isOwn {
			return nil, err
		}
		for _, e := range below {
			entries[e.Name()] = e
		}
	} else if !isOwn {
		return nil, missing("readdir", name)
	}
	for child := range own {
		i, err := t.Lstat(path.Join(name, child))
		if err != nil {
			return nil, err
		}
		entries[child] = fs.FileInfoToDirEntry(i)
	}
	sorted := make([]fs.DirEntry, 0, len(entries))
	for _, child := range slices.Sorted(maps.Keys(entries)) {
		sorted = append(sorted, entries[child])
	}
	return sorted, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	if f, ok := t.files[name]; ok {
		if f.from != nil {
			return fs.ReadFile(f.from, f.name)
		}
		return slices.Clone(f.content), nil
	}
	if t.base != nil && t.dirs[name] == nil {
		return fs.ReadFile(t.base, name)
	}
	return nil, missing("open", name)
}

// Stat implements fs.StatFS.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.stat("stat", name, fs.Stat) }

// Lstat implements fs.ReadLinkFS.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { return t.stat("lstat", name, fs.Lstat) }

func (t *Tree) stat(op, name string, below func(fs.FS, string) (fs.FileInfo, error)) (fs.FileInfo, error) {
	if err := valid(op, name); err != nil {
		return nil, err
	}
	if f, ok := t.files[name]; ok {
		return f.stat(path.Base(name))
	}
	if t.dirs[name] != nil {
		return info{name: path.Base(name), dir: true}, nil
	}
	if t.base != nil {
		return below(t.base, name)
	}
	return nil, missing(op, name)
}

// ReadLink implements fs.ReadLinkFS.
func (t *Tree) ReadLink(name string) (string, error) {
	if _, own := t.files[name]; !own && t.dirs[name] == nil && t.base != nil {
		return fs.ReadLink(t.base, name)
	}
	return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
}

func valid(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

func missing(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}
