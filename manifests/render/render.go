// Package render turns paths of a repository into Kubernetes objects.
//
// A directory with a kustomization is built by kustomize inside this process; any
// other directory is read as plain YAML and JSON, recursively. Nothing is executed,
// nothing outside the repository is read, and nothing is fetched from a network.
// Every object knows the file and line it came from, and every error names them.
//
// Input is untrusted: size, depth, number and expansion of what is read are bounded
// by Limits before it is decoded.
package render

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/source"
)

// Options of a rendering.
type Options struct {
	// Variables replace ${NAME} and ${NAME:=default} in every file before it is
	// parsed, as clusterctl does. nil turns that off; an empty map leaves only
	// defaults to use.
	Variables map[string]string
	// AllowRemoteBases lets kustomizations name files by http(s) URL, which kustomize
	// then fetches: such a rendering is no longer a function of the commit. Remote
	// Git bases are refused always, because they would run a git command.
	AllowRemoteBases bool
	// DefaultNamespace is given to objects that have none and are not of a kind that
	// is known to be cluster-scoped. "" leaves objects as they are.
	DefaultNamespace string
	// PathNamespaces are given likewise to the objects of a path that Render was asked
	// for, by its name there, and only to built-in kinds and those that its result
	// defines: others are left as they are.
	PathNamespaces map[string]string
	// GeneratedNames takes objects that have only a generateName. The caller has to give
	// them a name (manifests.Named), or nobody can apply them.
	GeneratedNames bool
	// Decrypt opens what is encrypted: documents of plain files and objects after a
	// kustomize build, and the files that generators and patches read before it. nil
	// refuses encrypted documents with ErrEncrypted.
	Decrypt Decrypter
	// Inflate renders the charts that kustomizations list in helmCharts; nil refuses them
	// with ErrProgram.
	Inflate Inflater
	Limits  Limits
}

// Limits bound what a rendering may cost. Zero values mean the defaults.
type Limits struct {
	// FileBytes is the largest manifest file: 10 MiB.
	FileBytes int64
	// TotalBytes of all manifest files: 512 MiB.
	TotalBytes int64
	// Files read in all: 50,000.
	Files int
	// Documents in one file: 10,000.
	Documents int
	// Depth of nesting in a document: 100.
	Depth int
	// Nodes of one document after its aliases are expanded: 1,000,000.
	Nodes int
	// Objects rendered in all: 100,000.
	Objects int
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		value    *int
		fallback int
	}{{&l.Files, 50_000}, {&l.Documents, 10_000}, {&l.Depth, 100}, {&l.Nodes, 1_000_000}, {&l.Objects, 100_000}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if l.FileBytes <= 0 {
		l.FileBytes = 10 << 20
	}
	if l.TotalBytes <= 0 {
		l.TotalBytes = 512 << 20
	}
	return l
}

// Result is everything that a set of paths says should be on a cluster.
type Result struct {
	// Objects sorted by ID and API version, each ID once.
	Objects []manifests.Object
	// Digest is the SHA-256, in hexadecimal, of the objects in canonical form. It
	// depends neither on the order of files nor on where objects are written.
	Digest string
	// Warnings for people, in a fixed order.
	Warnings []string
}

// Render renders paths of a snapshot. A path is a directory or a single file,
// relative to the snapshot's root; "." is the root. No paths means the root.
//
// Errors about content are *InputError, possibly several joined.
func Render(ctx context.Context, snap *source.Snapshot, paths []string, o Options) (*Result, error) {
	r := newRenderer(snap.FS, where(snap), o)
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var all []manifests.Object
	named := map[string]string{}
	for _, p := range paths {
		unit, err := cleanPath(p)
		if err != nil {
			return nil, err
		}
		objects, err := r.unit(ctx, unit)
		if err != nil {
			return nil, err
		}
		if len(objects) == 0 {
			return nil, &InputError{File: unit, Message: "holds no Kubernetes object; a cluster cannot be rebuilt from nothing, check the path"}
		}
		named[unit] = o.PathNamespaces[p]
		if all = append(all, objects...); len(all) > r.limits.Objects {
			return nil, &InputError{File: unit, Message: fmt.Sprintf("more than %d objects in all", r.limits.Objects)}
		}
	}
	Place(all, func(o manifests.Object) string { return named[o.Origin.Unit] })
	return r.result(all)
}

// result brings objects into the form in which they are handed out.
func (r *renderer) result(all []manifests.Object) (*Result, error) {
	for i := range all {
		r.warnings.add(normalise(&all[i], r.options.DefaultNamespace)...)
	}
	all, err := r.deduplicate(all)
	if err != nil {
		return nil, err
	}
	digest, err := digest(all)
	if err != nil {
		return nil, err
	}
	return &Result{Objects: all, Digest: digest, Warnings: r.warnings.sorted()}, nil
}

func newRenderer(files fs.FS, where string, o Options) *renderer {
	return &renderer{
		files: files, where: where, options: o, limits: o.Limits.withDefaults(),
		builtBy: map[*unstructured.Unstructured]string{},
	}
}

// renderer is the state of one call of Render.
type renderer struct {
	files    fs.FS
	where    string
	options  Options
	limits   Limits
	budget   budget
	warnings warnings
	// lastKeyWins accepts keys that are written twice, with a warning.
	lastKeyWins bool
	// changes are made to the kustomization of the rendered directory; nil for none.
	changes *Changes
	// builtBy is the kustomization that built an object. One file built by two
	// overlays gives two objects of the same origin.
	builtBy map[*unstructured.Unstructured]string
}

// said names where an object comes from, with the kustomization that built it.
func (r *renderer) said(o manifests.Object) string {
	if k, ok := r.builtBy[o.Unstructured]; ok {
		return fmt.Sprintf("%s (built by %s)", o.Origin, k)
	}
	return o.Origin.String()
}

// where names the snapshot in messages.
func where(snap *source.Snapshot) string {
	if snap.Commit == "" {
		return snap.URL
	}
	return fmt.Sprintf("commit %.12s of %s", snap.Commit, snap.URL)
}

// cleanPath accepts what people write for a path in a repository: /a/b, ./a/b, a/b/.
func cleanPath(p string) (string, error) {
	clean := path.Clean("./" + strings.TrimLeft(p, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") || !fs.ValidPath(clean) {
		return "", fmt.Errorf("path %q leaves the repository: give a path inside it", p)
	}
	return clean, nil
}

// unit renders one path.
func (r *renderer) unit(ctx context.Context, unit string) ([]manifests.Object, error) {
	info, err := fs.Stat(r.files, unit)
	if err != nil {
		return nil, r.missing(unit, err)
	}
	if !info.IsDir() {
		if isKustomizationName(path.Base(unit)) && r.isKustomization(unit) {
			return r.kustomize(ctx, unit, path.Dir(unit))
		}
		return r.plainFiles(ctx, unit, []string{unit})
	}
	found, err := r.discover(ctx, unit, false)
	if err != nil {
		return nil, err
	}
	objects, err := r.plainFiles(ctx, unit, found.files)
	if err != nil {
		return nil, err
	}
	for _, dir := range found.kustomizations {
		built, err := r.kustomize(ctx, unit, dir)
		if err != nil {
			return nil, err
		}
		objects = append(objects, built...)
	}
	return objects, nil
}

// missing explains a path that cannot be read, and names what is beside it.
func (r *renderer) missing(unit string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("path %q in %s: %w", unit, r.where, reason(err))
	}
	parent := path.Dir(unit)
	entries, readErr := fs.ReadDir(r.files, parent)
	for readErr != nil && parent != "." {
		parent = path.Dir(parent)
		entries, readErr = fs.ReadDir(r.files, parent)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	const shown = 12
	list := strings.Join(names[:min(shown, len(names))], ", ")
	if len(names) > shown {
		list += ", …"
	}
	return &MissingPathError{Path: unit, Where: r.where, Parent: parent, Entries: list}
}
