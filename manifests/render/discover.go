package render

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/yaml"
)

// found is what a directory holds to render.
type found struct {
	files          []string
	kustomizations []string // directories
}

// kustomizationNames are the file names that kustomize recognises, its favourite first.
var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

func isKustomizationName(name string) bool {
	for _, k := range kustomizationNames {
		if name == k {
			return true
		}
	}
	return false
}

func isManifestName(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// discover walks a directory. One that has a kustomization of its own is not
// entered: what kustomize makes of it counts, as with Flux. Hidden files count only
// when all do.
func (r *renderer) discover(ctx context.Context, dir string, hidden bool) (found, error) {
	var all found
	err := fs.WalkDir(r.files, dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return inputErrorf(name, 0, "cannot be read: %v", reason(err))
		case !hidden && strings.HasPrefix(d.Name(), ".") && name != dir && d.IsDir():
			return fs.SkipDir
		case !hidden && strings.HasPrefix(d.Name(), ".") && name != dir:
			return nil
		case d.IsDir():
			return r.enter(&all, name)
		}
		return r.consider(&all, name, d)
	})
	return all, err
}

// enter decides whether a directory is walked or built.
func (r *renderer) enter(all *found, dir string) error {
	for _, name := range kustomizationNames {
		file := path.Join(dir, name)
		if _, err := fs.Stat(r.files, file); err != nil || !r.isKustomization(file) {
			continue
		}
		if r.isComponent(file) {
			r.warnings.add(fmt.Sprintf("%s: a kustomize component is used only by kustomizations that name it: skipped", file))
		} else {
			all.kustomizations = append(all.kustomizations, dir)
		}
		return fs.SkipDir
	}
	return nil
}

// consider takes a file that looks like a manifest.
func (r *renderer) consider(all *found, name string, d fs.DirEntry) error {
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		info, err := fs.Stat(r.files, name)
		if err != nil {
			if isManifestName(name) {
				return inputErrorf(name, 0, "the symbolic link cannot be followed: %v", reason(err))
			}
			return nil
		}
		if info.IsDir() {
			r.warnings.add(fmt.Sprintf("%s: a symbolic link to a directory is not followed: name its target as a path of its own", name))
			return nil
		}
	case d.Type()&fs.ModeIrregular != 0:
		r.warnings.add(fmt.Sprintf("%s: a Git submodule is not read: copy its files into the repository if they are needed", name))
		return nil
	case !d.Type().IsRegular():
		return nil
	}
	if isManifestName(name) {
		if len(all.files) >= r.limits.Files {
			return inputErrorf(name, 0, "more than %d files: render fewer paths or raise the limit", r.limits.Files)
		}
		all.files = append(all.files, name)
	}
	return nil
}

// isKustomization tells kustomize's own file from a Flux Kustomization that happens
// to be stored under the same name. kustomize accepts a file without apiVersion and kind.
func (r *renderer) isKustomization(file string) bool {
	group, _, _ := strings.Cut(r.typeOf(file).APIVersion, "/")
	return group == "" || group == "kustomize.config.k8s.io"
}

func (r *renderer) isComponent(file string) bool { return r.typeOf(file).Kind == "Component" }

type typeMeta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// typeOf reads apiVersion and kind; nothing when the file cannot be parsed, which whoever parses it then reports.
func (r *renderer) typeOf(file string) (t typeMeta) {
	_ = recovered(file, func() error {
		data, err := r.read(file)
		if err != nil {
			return err
		}
		if docs, fault := split(file, data, r.limits.Documents); fault == nil && len(docs) == 1 {
			if _, err := r.parse(file, docs[0]); err == nil {
				return yaml.Unmarshal(docs[0].text, &t)
			}
		}
		return nil
	})
	return t
}
