package chart

import (
	"errors"
	"fmt"
	"path"
	"strings"

	helmchart "helm.sh/helm/v4/pkg/chart/v2"
)

// dependencies adds what Chart.yaml names and the chart's directory does not hold.
func (t *treeReader) dependencies(c *Chart, depth int) error {
	loaded, err := c.load()
	if err != nil {
		return err
	}
	for _, want := range missing(loaded) {
		var sub *Chart
		if local, ok := strings.CutPrefix(want.Repository, "file://"); ok {
			sub, err = t.chart(path.Join(c.Dir, local), depth+1)
		} else {
			sub, err = t.fetch(c, loaded.Lock, want)
		}
		if err != nil {
			return fmt.Errorf("%s needs chart %s: %w", c, printable(want.Name), err)
		}
		if !compatible(want.Version, sub.Version) || sub.Name != want.Name {
			return &InvalidError{Message: fmt.Sprintf("%s needs chart %s %s, but %s holds %s %s",
				c, printable(want.Name), printable(want.Version), printable(want.Repository), sub.Name, sub.Version)}
		}
		at := path.Join("charts", sub.Name+"-"+sub.Version+"~")
		for _, f := range sub.files {
			c.files = append(c.files, file{path.Join(at, f.name), f.data})
		}
		c.Dependencies = append(c.Dependencies, sub.Dependencies...)
	}
	return nil
}

// fetch gets one dependency from its chart repository.
func (t *treeReader) fetch(c *Chart, lock *helmchart.Lock, want *helmchart.Dependency) (*Chart, error) {
	repository := want.Repository
	switch {
	case repository == "":
		return nil, &InvalidError{Message: "Chart.yaml names no repository for it and the charts directory does not hold it: commit it there"}
	case strings.HasPrefix(repository, "@"), strings.HasPrefix(repository, "alias:"):
		return nil, &InvalidError{Message: fmt.Sprintf("its repository %s is an alias of somebody's own configuration: write the address, or commit the chart to the charts directory",
			printable(repository))}
	case t.options.Fetcher == nil && t.options.Fetch == nil:
		return nil, &InvalidError{Message: "it is not in the charts directory and nothing may be fetched here: commit it there"}
	}
	ref := Ref{Repository: repository, Name: want.Name, Version: locked(lock, want)}
	if t.options.Auth != nil {
		var err error
		if ref.Auth, ref.PassCredentials, err = t.options.Auth(repository); err != nil {
			return nil, err
		}
	}
	get := t.options.Fetch
	if get == nil {
		get = t.options.Fetcher.Fetch
	}
	fetched, err := get(t.ctx, ref)
	if err != nil {
		return nil, err
	}
	own := *fetched.Chart // whoever fetched it may give it to others too
	sub := &own
	t.unpack.files += len(sub.files)
	for _, f := range sub.files {
		t.unpack.bytes -= int64(len(f.data))
	}
	if t.unpack.files > t.unpack.limits.Files || t.unpack.bytes < 0 {
		return nil, fmt.Errorf("%s with what it depends on is too large: %w", c, ErrLimit)
	}
	sub.Dependencies = []Pinned{fetched.Pinned}
	return sub, nil
}

// locked is the version of a dependency that Chart.lock says, else what Chart.yaml asks for.
func locked(lock *helmchart.Lock, want *helmchart.Dependency) string {
	version := want.Version
	if lock == nil {
		return version
	}
	for _, l := range lock.Dependencies {
		if l != nil && l.Name == want.Name && compatible(want.Version, l.Version) {
			version = l.Version
		}
	}
	return version
}

// complete says which dependencies nobody provided.
func complete(c *Chart, loaded *helmchart.Chart) error {
	var names []string
	for _, d := range missing(loaded) {
		names = append(names, printable(d.Name))
	}
	if len(names) == 0 {
		return nil
	}
	return &InvalidError{Message: fmt.Sprintf("%s lacks charts that it depends on (%s): it was packed without them", c, strings.Join(names, ", "))}
}

// Temporary is true for an error that may be gone when the same is tried later.
func Temporary(err error) bool {
	var unreachable *UnreachableError
	return errors.As(err, &unreachable)
}
