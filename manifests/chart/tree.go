package chart

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/ignore"
)

// IsChart is true for a directory that holds a Chart.yaml.
func IsChart(files fs.FS, dir string) bool {
	info, err := fs.Stat(files, path.Join(dir, "Chart.yaml"))
	return err == nil && info.Mode().IsRegular()
}

// TreeOptions of FromFS.
type TreeOptions struct {
	// Fetcher gets dependencies that the repository does not hold; without one they
	// are an error.
	Fetcher *Fetcher
	// Fetch gets a dependency in the Fetcher's stead; nil for the Fetcher itself.
	Fetch func(ctx context.Context, ref Ref) (*Fetched, error)
	// Auth gives the credentials of a dependency's repository; nil means none.
	Auth   func(repository string) (auth Auth, passCredentials bool, err error)
	Limits Limits
}

// FromFS reads a chart from a directory of the repository, with what .helmignore leaves
// of it. Dependencies are taken from its charts directory; those that are not there come
// from where Chart.yaml says, in the version that Chart.lock says: elsewhere in the
// repository (file://) or a chart repository. Symbolic links are followed inside the
// repository only: files has to see to it, as the file system of a snapshot does.
func FromFS(ctx context.Context, files fs.FS, dir string, o TreeOptions) (*Chart, error) {
	limits := o.Limits.withDefaults()
	t := &treeReader{ctx: ctx, files: files, options: o, unpack: &unpacker{limits: limits, bytes: limits.ExpandedBytes}}
	return t.chart(path.Clean(dir), 0)
}

// treeReader reads charts of one file system under one budget.
type treeReader struct {
	ctx     context.Context
	files   fs.FS
	options TreeOptions
	unpack  *unpacker
}

func (t *treeReader) chart(dir string, depth int) (*Chart, error) {
	if depth > mostDepth {
		return nil, fmt.Errorf("chart %s: charts depend on each other more than %d deep: %w", dir, mostDepth, ErrLimit)
	}
	if !fs.ValidPath(dir) {
		return nil, &InvalidError{Message: fmt.Sprintf("chart %s: the path leaves the repository", printable(dir))}
	}
	if !IsChart(t.files, dir) {
		return nil, &InvalidError{Message: fmt.Sprintf("%s is not a chart: it has no Chart.yaml", printable(dir))}
	}
	rules := ignore.Empty()
	if text, err := fs.ReadFile(t.files, path.Join(dir, ".helmignore")); err == nil {
		if rules, err = ignore.Parse(strings.NewReader(string(text))); err != nil {
			return nil, &InvalidError{Message: fmt.Sprintf("%s/.helmignore: %s", dir, printable(err.Error()))}
		}
	}
	rules.AddDefaults()
	c := &Chart{Dir: dir, limits: t.unpack.limits}
	if err := t.walk(c, rules, ".", 0); err != nil {
		return nil, fmt.Errorf("chart %s: %w", dir, err)
	}
	if err := c.identify(); err != nil {
		return nil, err
	}
	return c, t.dependencies(c, depth)
}

// walk reads a directory of the chart. Links to directories are followed, as Helm does.
func (t *treeReader) walk(c *Chart, rules *ignore.Rules, at string, depth int) error {
	const deepest = 64 // links can make a tree that never ends
	if depth > deepest {
		return fmt.Errorf("%s: directories are nested deeper than %d: %w", at, deepest, ErrLimit)
	}
	entries, err := fs.ReadDir(t.files, path.Join(c.Dir, at))
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", at, reason(err))
	}
	for _, e := range entries {
		if t.ctx.Err() != nil {
			return context.Cause(t.ctx)
		}
		name := path.Join(at, e.Name())
		info, err := fs.Stat(t.files, path.Join(c.Dir, name))
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", name, reason(err))
		}
		switch {
		case rules.Ignore(name, info):
			continue
		case info.IsDir():
			err = t.walk(c, rules, name, depth+1)
		case info.Mode().IsRegular():
			err = t.file(c, name, info)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *treeReader) file(c *Chart, name string, info fs.FileInfo) error {
	u := t.unpack
	if u.files++; u.files > u.limits.Files {
		return fmt.Errorf("it holds more than %d files: %w", u.limits.Files, ErrLimit)
	}
	if u.bytes -= info.Size(); u.bytes < 0 {
		return fmt.Errorf("it holds more than %d bytes: %w", u.limits.ExpandedBytes, ErrLimit)
	}
	data, err := fs.ReadFile(t.files, path.Join(c.Dir, name))
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", name, reason(err))
	}
	more, err := u.add(file{name, data}, 0)
	c.files = append(c.files, more...)
	return err
}

// reason takes the operation and path off an error of a file system: the caller names the file better.
func reason(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
