package flux

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/tree"
)

const (
	maxCopies       = 1_000
	maxAlternatives = 20
	mostWildcards   = 5
)

// externalArtifact finds the ArtifactGenerator that makes an artifact, and makes it.
func (e *Expander) externalArtifact(ctx context.Context, r *reader, field string, id manifests.ID, above []string) (*sourceTree, error) {
	for _, o := range r.state.List(schema.GroupKind{Group: extensionGroup, Kind: "ArtifactGenerator"}) {
		if o.GetNamespace() != id.Namespace {
			continue
		}
		var spec generatorSpec
		if _, err := decode(o, &spec); err != nil {
			return nil, fmt.Errorf("%s: %s: spec cannot be read: %w", o.Origin, o.ID(), err)
		}
		for _, a := range spec.Artifacts {
			if a.Name == id.Name {
				return e.generate(ctx, r, field, o, spec, a, above)
			}
		}
	}
	return nil, &NotYetError{Theirs: true, Err: r.faultf(field, "names %s, which no ArtifactGenerator in the state makes", id)}
}

// generate copies files from sources into a tree, as source-watcher does.
func (e *Expander) generate(ctx context.Context, r *reader, field string, o manifests.Object, spec generatorSpec, a artifact, above []string) (*sourceTree, error) {
	sources := map[string]*sourceTree{}
	for _, s := range spec.Sources {
		if s.Namespace == "" {
			s.Namespace = o.GetNamespace()
		}
		t, err := e.sourceWithin(ctx, r, field, reference{Kind: s.Kind, Namespace: s.Namespace, Name: s.Name}, above)
		if err != nil {
			return nil, err
		}
		sources[s.Alias] = t
	}
	if len(a.Copy) > maxCopies {
		return nil, fmt.Errorf("%s: %s: artifact %s has more than %d copies", o.Origin, o.ID(), a.Name, maxCopies)
	}
	out := &sourceTree{where: "artifact " + a.Name}
	files := tree.New()
	for i, c := range a.Copy {
		if err := copyInto(files, sources, c); err != nil {
			return nil, fmt.Errorf("%s: %s: artifact %s: copy[%d] from %q %w", o.Origin, o.ID(), a.Name, i, c.From, err)
		}
	}
	for _, s := range sources {
		if s.prefix != "" {
			out.prefix = s.prefix
		}
	}
	out.files = files
	return out, nil
}

// copyInto does one copy, with the meaning of cp.
func copyInto(into *tree.Tree, sources map[string]*sourceTree, c copying) error {
	alias, pattern, ok := strings.Cut(strings.TrimPrefix(c.From, "@"), "/")
	if !ok || !strings.HasPrefix(c.From, "@") {
		return fmt.Errorf("is not of the form @alias/pattern")
	}
	from := sources[alias]
	if from == nil {
		return fmt.Errorf("names no source of the generator")
	}
	to, ok := strings.CutPrefix(c.To, "@artifact/")
	if !ok || !fs.ValidPath(clean(to)) {
		return fmt.Errorf("goes to %q, which is not below @artifact/", c.To)
	}
	if c.Strategy != "" && c.Strategy != "Overwrite" {
		return fmt.Errorf("has the strategy %s: only Overwrite is supported", c.Strategy)
	}
	for _, p := range c.Exclude {
		if strings.Count(p, ",") > maxAlternatives || !doublestar.ValidatePattern(p) {
			return fmt.Errorf("excludes %q, which is no valid pattern", p)
		}
	}
	if strings.ContainsAny(pattern, "*?[]{") {
		return copyMatches(into, from.files, c, clean(pattern), clean(to))
	}
	return copyOne(into, from.files, c, clean(pattern), clean(to))
}

// copyOne copies a file or directory that is named as it is.
func copyOne(into *tree.Tree, files fs.FS, c copying, from, to string) error {
	info, err := fs.Stat(files, from)
	if err != nil {
		if c.Optional {
			return nil
		}
		return fmt.Errorf("does not exist")
	}
	target, base := to, "."
	if info.IsDir() {
		base = from
		target = path.Join(to, path.Base(from))
	} else if there, err := fs.Stat(into, to); strings.HasSuffix(c.To, "/") || err == nil && there.IsDir() {
		target = path.Join(to, path.Base(from))
	}
	return graft(into, files, from, target, excluded(c.Exclude, base))
}

// copyMatches copies what a pattern matches. One that ends in /** takes the content of
// a directory; any other keeps the whole path.
func copyMatches(into *tree.Tree, files fs.FS, c copying, pattern, to string) error {
	matches, err := matching(files, pattern)
	if err != nil {
		return err
	}
	if len(matches) == 0 && !c.Optional {
		return fmt.Errorf("matches no file")
	}
	skip := excluded(c.Exclude, literal(pattern))
	for _, match := range matches {
		rel := match
		if dir, ok := strings.CutSuffix(pattern, "/**"); ok {
			rel = strings.TrimPrefix(match, dir+"/")
		}
		if err := graft(into, files, match, path.Join(to, rel), skip); err != nil {
			return err
		}
	}
	return nil
}

// matching are the names that a pattern matches, sorted: with **, which reaches any depth,
// files, and else directories too.
func matching(files fs.FS, pattern string) ([]string, error) {
	if !strings.Contains(pattern, "**") {
		matches, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, fmt.Errorf("is no valid pattern")
		}
		return matches, nil
	}
	if !doublestar.ValidatePattern(pattern) || strings.Count(pattern, "**") > mostWildcards {
		return nil, fmt.Errorf("is no valid pattern, or has more than %d **", mostWildcards)
	}
	dir := literal(pattern)
	if _, err := fs.Stat(files, dir); err != nil {
		return nil, nil
	}
	var matches []string
	err := fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && doublestar.MatchUnvalidated(pattern, name) {
			matches = append(matches, name)
		}
		return err
	})
	return matches, err
}

// literal is the part of a pattern before its first wildcard.
func literal(pattern string) string {
	var parts []string
	for _, part := range strings.Split(pattern, "/") {
		if strings.ContainsAny(part, "*?[]") {
			break
		}
		parts = append(parts, part)
	}
	return path.Join(append([]string{"."}, parts...)...)
}

// excluded matches names, whole and relative to a directory, against patterns.
func excluded(patterns []string, base string) func(string) bool {
	if len(patterns) == 0 {
		return nil
	}
	return func(name string) bool {
		rel := name
		if base != "." {
			rel = strings.TrimPrefix(name, base+"/")
		}
		for _, p := range patterns {
			if doublestar.MatchUnvalidated(p, name) || doublestar.MatchUnvalidated(p, rel) {
				return true
			}
		}
		return false
	}
}
