package flux

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"

	"github.com/refloat-dev/refloat/manifests/tree"
)

const (
	// maxFiles in one tree.
	maxFiles = 200_000
	// maxIgnoreFile bounds a .sourceignore.
	maxIgnoreFile = 256 << 10
)

// filtered is the part of a tree that source-controller would archive: regular files
// that no .sourceignore, and no list of the source itself, excludes. Its own default
// list counts only where neither says anything.
func filtered(files fs.FS, ignore *string, sparse []string) (*tree.Tree, error) {
	var names []string
	var patterns []gitignore.Pattern
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() || !within(name, sparse) {
			return err
		}
		if names = append(names, name); len(names) > maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		if d.Name() != sourceignore.IgnoreFile {
			return nil
		}
		text, err := readSmall(files, name)
		if err == nil {
			patterns = append(patterns, sourceignore.ReadPatterns(bytes.NewReader(text), domain(path.Dir(name)))...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if ignore != nil {
		patterns = append(patterns, sourceignore.ReadPatterns(strings.NewReader(*ignore), nil)...)
	}
	matcher := sourceignore.NewDefaultMatcher(nil, nil)
	if len(patterns) > 0 {
		matcher = sourceignore.NewMatcher(patterns)
	}
	t := tree.New()
	for _, name := range names {
		if !matcher.Match(strings.Split(name, "/"), false) {
			t.Link(name, files, name)
		}
	}
	return t, nil
}

func domain(dir string) []string {
	if dir == "." {
		return nil
	}
	return strings.Split(dir, "/")
}

func readSmall(files fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxIgnoreFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxIgnoreFile)
	}
	return fs.ReadFile(files, name)
}

// within is true for files of a sparse checkout, and for all when it is not one.
func within(name string, dirs []string) bool {
	for _, dir := range dirs {
		if dir = clean(dir); dir == "." || name == dir || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return len(dirs) == 0
}

// graft links a file, or all files of a directory, of one tree into another. skip
// leaves files out.
func graft(into *tree.Tree, files fs.FS, from, to string, skip func(name string) bool) error {
	info, err := fs.Stat(files, from)
	if err != nil {
		return fmt.Errorf("%s does not exist", from)
	}
	if !info.IsDir() {
		if skip == nil || !skip(from) {
			into.Link(to, files, from)
		}
		return nil
	}
	return fs.WalkDir(files, from, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || skip != nil && skip(name) {
			return err
		}
		rel := name
		if from != "." {
			rel = strings.TrimPrefix(name, from+"/")
		}
		target := path.Join(to, rel)
		if !into.Link(target, files, name) {
			return fmt.Errorf("%s cannot be placed at %s", name, target)
		}
		if into.Len() > maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		return nil
	})
}

// clean makes a path relative to the root of a tree; one that leaves it ends at names that do not exist.
func clean(p string) string { return path.Clean("./" + strings.TrimLeft(p, "/")) }

// CanonicalURL makes URLs of one repository equal: scheme, user, port of the scheme,
// .git and the case of the host do not count.
func CanonicalURL(s string) string {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		if host, rest, ok := strings.Cut(s, ":"); ok && !strings.Contains(host, "/") {
			s = "ssh://" + host + "/" + rest // as scp writes it
		} else {
			s = "file://" + s
		}
	}
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	p := strings.TrimSuffix(strings.TrimSuffix(path.Clean("/"+u.Path), "/"), ".git")
	port := u.Port()
	if port == map[string]string{"https": "443", "http": "80", "ssh": "22"}[u.Scheme] {
		port = ""
	}
	return strings.ToLower(u.Hostname()) + ":" + port + p
}

// Redacted takes what may be secret off a URL.
func Redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return s[strings.LastIndex(s, "@")+1:] // a password may hold one too
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}
