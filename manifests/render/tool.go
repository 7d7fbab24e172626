package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/tree"
)

// Overlay puts files over a tree: what a tool generates, by name in the repository.
func Overlay(files fs.FS, over map[string][]byte) fs.FS { return tree.Over(files, over) }

// Target is what a tool renders: a directory of a tree, for one of its units.
type Target struct {
	// Files is the tree; a *tree.Tree says where its files come from, and so do
	// objects and errors then.
	Files fs.FS
	// Where names the tree in messages, for example a commit of a repository.
	Where string
	// Dir within the tree; "" and "." are its root.
	Dir string
	// Unit that the objects get in their Origin.
	Unit string
}

// Kustomization builds the kustomization of a directory after changes to it. When the
// directory has none, one is made of all YAML files in it and below; a directory below that
// has a kustomization is built as a whole. A directory without any gives no object.
func Kustomization(ctx context.Context, t Target, c Changes, o Options) (*Result, error) {
	dir, err := cleanPath(t.Dir)
	if err != nil {
		return nil, err
	}
	r := newRenderer(t.Files, t.Where, o)
	r.changes = &c
	info, err := fs.Stat(t.Files, dir)
	if err != nil {
		return nil, r.missing(dir, err)
	}
	if !info.IsDir() {
		return nil, &InputError{File: dir, Message: "is a file: name the directory that holds it"}
	}
	if dir, err = delink(t.Files, dir); err != nil {
		return nil, fmt.Errorf("path %q: %w", t.Dir, err)
	}
	if !r.hasKustomization(dir) {
		text, err := r.generate(ctx, dir)
		if err != nil {
			return nil, relocated(t.Files, err)
		}
		if text == nil {
			return &Result{Warnings: []string{fmt.Sprintf("%s: holds no manifest", tree.OriginIn(t.Files, dir))}}, nil
		}
		r.files = Overlay(t.Files, map[string][]byte{path.Join(dir, kustomizationNames[0]): text})
	}
	objects, err := r.kustomize(ctx, t.Unit, dir)
	if err != nil {
		return nil, relocated(t.Files, err)
	}
	for i := range objects {
		objects[i].Origin.File = tree.OriginIn(t.Files, objects[i].Origin.File)
	}
	return r.result(objects)
}

// Files renders files as they are, one by one and in their order. Objects of the same ID
// all come back: the tool knows which of them counts. t.Dir has no meaning here.
func Files(ctx context.Context, t Target, files []string, o Options) (*Result, error) {
	r := newRenderer(t.Files, t.Where, o)
	objects, err := r.plainFiles(ctx, t.Unit, files)
	if err != nil {
		return nil, relocated(t.Files, err)
	}
	for i := range objects {
		r.warnings.add(normalise(&objects[i], o.DefaultNamespace)...)
		objects[i].Origin.File = tree.OriginIn(t.Files, objects[i].Origin.File)
	}
	return &Result{Objects: objects, Warnings: r.warnings.sorted()}, nil
}

func (r *renderer) hasKustomization(dir string) bool {
	for _, name := range kustomizationNames {
		file := path.Join(dir, name)
		if info, err := fs.Stat(r.files, file); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

// generate writes the kustomization of a directory that has none; nil when there is
// nothing to list.
func (r *renderer) generate(ctx context.Context, dir string) ([]byte, error) {
	all, err := r.discover(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	k := types.Kustomization{TypeMeta: types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind}}
	for _, name := range append(all.files, all.kustomizations...) {
		if path.Ext(name) != ".json" {
			k.Resources = append(k.Resources, strings.TrimPrefix(name, strings.TrimPrefix(dir+"/", "./")))
		}
	}
	if len(k.Resources) == 0 {
		return nil, nil
	}
	slices.Sort(k.Resources)
	return yaml.Marshal(k)
}

// relocated names the files of an error as they are called where they come from.
func relocated(files fs.FS, err error) error {
	if several := interface{ Unwrap() []error }(nil); errors.As(err, &several) {
		for _, e := range several.Unwrap() {
			_ = relocated(files, e)
		}
		return err
	}
	if fault := (*InputError)(nil); errors.As(err, &fault) {
		fault.File = tree.OriginIn(files, fault.File)
	}
	return err
}

// Patched builds objects anew after changes, as a post-renderer does. They keep their
// origin and their rules.
func Patched(ctx context.Context, unit string, objects []manifests.Object, c Changes, o Options) ([]manifests.Object, error) {
	files := map[string][]byte{}
	k := types.Kustomization{TypeMeta: types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind}}
	known := map[string]manifests.Object{}
	for i, object := range objects {
		text, err := json.Marshal(object.Object)
		if err != nil {
			return nil, inputErrorf(object.Origin.File, object.Origin.Line, "%s cannot be written as JSON: %v", object.ID(), err)
		}
		name := fmt.Sprintf("%08d.yaml", i)
		files[name], known[name] = text, object
		k.Resources = append(k.Resources, name)
	}
	if len(objects) == 0 {
		return nil, nil
	}
	text, err := yaml.Marshal(k)
	if err != nil {
		return nil, err
	}
	files[kustomizationNames[0]] = text
	o.Decrypt = nil
	r := newRenderer(tree.Over(nil, files), unit, o)
	r.changes = &c
	built, err := r.kustomize(ctx, unit, ".")
	if err != nil {
		return nil, err
	}
	for i := range built {
		before := known[built[i].Origin.File]
		built[i].Origin, built[i].Rules = before.Origin, before.Rules
	}
	return built, nil
}
