package argocd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// skipMarker in a file keeps Argo CD from reading it as a manifest.
var skipMarker = []byte("+argocd:skip-file-rendering")

// directory renders the manifests of a directory as they are.
func (j *sourceJob) directory(ctx context.Context) (Rendered, error) {
	o := j.source.Directory
	if o == nil {
		o = &directoryOptions{}
	}
	files, err := j.manifests(o)
	if err != nil {
		return Rendered{}, err
	}
	if len(files) == 0 {
		j.warn("%s holds no manifest", j.source.said())
		return Rendered{}, nil
	}
	return j.renderer.Files(ctx, FilesRequest{Tree: j.tree, Files: files})
}

// manifests are the files that Argo CD would read.
func (j *sourceJob) manifests(o *directoryOptions) ([]string, error) {
	include, err := compileGlob(o.Include, globOptions{braces: true})
	if err != nil {
		return nil, fmt.Errorf("directory.include: %w", err)
	}
	exclude, err := compileGlob(o.Exclude, globOptions{braces: true})
	if err != nil {
		return nil, fmt.Errorf("directory.exclude: %w", err)
	}
	var files []string
	err = walk(j.tree.FS, j.dir, j.options.Limits.Files, func(file string, d fs.DirEntry) error {
		switch {
		case d.IsDir() && !o.Recurse, d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir(), !o.DisableExtensionFilter && !isManifest(file):
			return nil
		}
		relative := strings.TrimPrefix(file, j.dir+"/")
		if o.Exclude != "" && exclude(relative) || o.Include != "" && !include(relative) {
			return nil
		}
		wanted, err := j.wanted(file)
		if wanted {
			files = append(files, file)
		}
		return err
	})
	return files, err
}

func isManifest(file string) bool {
	switch path.Ext(file) {
	case ".yaml", ".yml", ".json", ".jsonnet":
		return true
	}
	return false
}

// wanted is false for a file that holds no manifest or asks not to be read.
func (j *sourceJob) wanted(file string) (bool, error) {
	if path.Ext(file) == ".jsonnet" {
		return false, leaveOut("%s is Jsonnet, which is not supported: render it into the repository", file)
	}
	data, err := readFile(j.tree.FS, file, j.options.Limits.FileBytes)
	if err != nil {
		return false, err
	}
	return looksLikeManifest(file, data) && !bytes.Contains(data, skipMarker), nil
}

// topKind is a kind at the top of a document.
var topKind = regexp.MustCompile(`(?m)^["']?kind["']?[ \t]*:`)

// looksLikeManifest is false for YAML that Argo CD passes over because it is no manifest:
// values, for example, also where they hold something that has a kind.
func looksLikeManifest(file string, data []byte) bool {
	if !bytes.Contains(data, []byte("apiVersion")) || !bytes.Contains(data, []byte("kind")) {
		return false
	}
	first := bytes.TrimLeft(data, " \t\r\n")
	return path.Ext(file) == ".json" || bytes.HasPrefix(first, []byte("{")) || topKind.Match(data) || bytes.Contains(data, []byte("metadata:"))
}

// walk visits what is below a directory in the order of names, each with its path from
// the root.
func walk(files fs.FS, dir string, most int, visit func(string, fs.DirEntry) error) error {
	seen := 0
	return fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", name, plain(err))
		}
		if seen++; seen > most {
			return fmt.Errorf("more than %d files below %s: name a smaller directory", most, dir)
		}
		if name == dir {
			return nil
		}
		err = visit(name, d)
		if errors.Is(err, fs.SkipDir) && !d.IsDir() {
			return nil
		}
		return err
	})
}
