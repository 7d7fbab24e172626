package argocd

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// gitItem is one pattern of a git generator.
type gitItem struct {
	path    string
	exclude bool
}

func gitItems(value any, field string) ([]gitItem, error) {
	list, _ := value.([]any)
	items := make([]gitItem, 0, len(list))
	for i, entry := range list {
		m, _ := entry.(map[string]any)
		item := gitItem{}
		item.path, _ = m["path"].(string)
		item.exclude, _ = m["exclude"].(bool)
		if item.path == "" {
			return nil, fmt.Errorf("%s[%d].path is missing", field, i)
		}
		items = append(items, item)
	}
	return items, nil
}

// git gives directories of a repository, or what files in it say.
func (s *set) git(body map[string]any) ([]params, error) {
	url, _ := body["repoURL"].(string)
	revision, _ := body["revision"].(string)
	if url == "" {
		return nil, errors.New("repoURL is missing: name the repository")
	}
	directories, err := gitItems(body["directories"], "directories")
	if err != nil {
		return nil, err
	}
	files, err := gitItems(body["files"], "files")
	if err != nil {
		return nil, err
	}
	if len(directories)+len(files) == 0 {
		return nil, errors.New("has neither directories nor files: name some")
	}
	tree, err := s.renderer.Tree(s.ctx, TreeRequest{RepoURL: url, Revision: revision})
	if err != nil {
		return nil, err
	}
	prefix, _ := body["pathParamPrefix"].(string)
	var all []params
	if len(directories) > 0 {
		all, err = s.gitDirectories(tree, directories, prefix)
	} else {
		all, err = s.gitFiles(tree, files, prefix)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if err := s.addValues(p, body["values"]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// gitDirectories gives the directories that match a pattern and none that excludes.
// Those whose names begin with a dot do not count.
func (s *set) gitDirectories(tree Tree, items []gitItem, prefix string) ([]params, error) {
	for i, item := range items {
		if _, err := path.Match(item.path, ""); err != nil {
			return nil, fmt.Errorf("directories[%d].path %q is no valid pattern", i, cut(item.path))
		}
		items[i].path = strings.TrimSuffix(item.path, "/")
	}
	var all []params
	err := walk(tree.FS, ".", s.options.Limits.Files, func(name string, d fs.DirEntry) error {
		if !d.IsDir() {
			return nil
		}
		if strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		included, excluded := false, false
		for _, item := range items {
			if ok, _ := path.Match(item.path, name); ok {
				included, excluded = included || !item.exclude, excluded || item.exclude
			}
		}
		if included && !excluded {
			p := params{}
			s.addPath(p, prefix, name, "")
			all = append(all, p)
		}
		return s.enough(len(all))
	})
	return all, err
}

func (s *set) enough(n int) error {
	if n > s.options.Limits.Applications {
		return s.tooMany()
	}
	return nil
}

// addPath adds what a set of parameters says about a directory, or a file in it.
func (s *set) addPath(p params, prefix, dir, file string) {
	base := path.Base(dir)
	if s.definition.Spec.GoTemplate {
		segments := strings.Split(dir, "/")
		at := map[string]any{"path": dir, "basename": base, "basenameNormalized": normalized(base), "segments": segments}
		if file != "" {
			at["filename"], at["filenameNormalized"] = file, normalized(file)
		}
		if prefix != "" {
			p[prefix] = map[string]any{"path": at}
		} else {
			p["path"] = at
		}
		return
	}
	name := "path"
	if prefix != "" {
		name = prefix + ".path"
	}
	p[name], p[name+".basename"], p[name+".basenameNormalized"] = dir, base, normalized(base)
	if file != "" {
		p[name+".filename"], p[name+".filenameNormalized"] = file, normalized(file)
	}
	for i, segment := range strings.Split(dir, "/") {
		if segment != "" {
			p[name+"["+strconv.Itoa(i)+"]"] = segment
		}
	}
}

// gitFiles gives what the matching files say.
func (s *set) gitFiles(tree Tree, items []gitItem, prefix string) ([]params, error) {
	names, err := s.matchingFiles(tree, items)
	if err != nil {
		return nil, err
	}
	var all []params
	for _, name := range names {
		found, err := s.fileParams(tree, name)
		if err != nil {
			return nil, err
		}
		for _, content := range found {
			p := params{}
			if s.definition.Spec.GoTemplate {
				maps.Copy(p, content)
			} else {
				for key, value := range flattened(content) {
					p[key] = value
				}
			}
			s.addPath(p, prefix, path.Dir(name), path.Base(name))
			all = append(all, p)
		}
		if err := s.enough(len(all)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s *set) matchingFiles(tree Tree, items []gitItem) ([]string, error) {
	matchers := make([]func(string) bool, len(items))
	for i, item := range items {
		match, err := compileGlob(item.path, globOptions{segments: s.settings.pathGlobs, braces: s.settings.pathGlobs})
		if err != nil {
			return nil, fmt.Errorf("files[%d].path: %w", i, err)
		}
		// Git takes a directory for everything below it.
		below := strings.TrimSuffix(item.path, "/") + "/"
		matchers[i] = func(name string) bool {
			return match(name) || !s.settings.pathGlobs && strings.HasPrefix(name, below)
		}
	}
	var names []string
	err := walk(tree.FS, ".", s.options.Limits.Files, func(name string, d fs.DirEntry) error {
		if d.IsDir() {
			return nil
		}
		included, excluded := false, false
		for i, item := range items {
			if matchers[i](name) {
				included, excluded = included || !item.exclude, excluded || item.exclude
			}
		}
		if included && !excluded {
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// fileParams reads one mapping or a list of them.
func (s *set) fileParams(tree Tree, name string) ([]params, error) {
	data, err := readFile(tree.FS, name, s.options.Limits.FileBytes)
	if err != nil {
		return nil, err
	}
	one := params{}
	if yaml.Unmarshal(data, &one) == nil {
		if one == nil {
			one = params{}
		}
		return []params{one}, nil
	}
	var list []params
	if err := yaml.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s is neither a mapping nor a list of mappings: correct it or exclude it", name)
	}
	return list, nil
}
