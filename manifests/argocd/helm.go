package argocd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// helm renders a chart of the repository or of a chart repository.
func (j *sourceJob) helm(ctx context.Context) (Rendered, error) {
	o := j.source.Helm
	if o == nil {
		o = &helmOptions{}
	}
	request := HelmRequest{
		// helm.namespace is what templates see; objects go where the Application says.
		Release: o.ReleaseName, Namespace: o.Namespace, Into: j.app.Spec.Destination.Namespace,
		SkipCRDs: o.SkipCrds, SkipTests: o.SkipTests, SkipSchemaValidation: o.SkipSchemaValidation, PassCredentials: o.PassCredentials,
		KubeVersion: o.KubeVersion, APIVersions: o.APIVersions,
	}
	if request.Release == "" {
		request.Release = j.app.Metadata.Name
	}
	if request.Namespace == "" {
		request.Namespace = j.app.Spec.Destination.Namespace
	}
	if j.source.Chart != "" {
		request.RepoURL, request.Chart, request.Version = j.source.RepoURL, j.source.Chart, j.source.TargetRevision
	} else {
		request.Tree, request.Path = j.tree, j.dir
	}
	var err error
	if request.Values, err = j.values(ctx, o); err != nil {
		return Rendered{}, err
	}
	if request.Parameters, err = j.parameters(ctx, o); err != nil {
		return Rendered{}, err
	}
	return j.renderer.Helm(ctx, request)
}

// values are the files first, then what the definition gives inline; of the two inline
// forms the object counts.
func (j *sourceJob) values(ctx context.Context, o *helmOptions) ([]HelmValues, error) {
	var all []HelmValues
	for _, file := range o.ValueFiles {
		found, err := j.valueFile(ctx, j.expanded(file), o.IgnoreMissingValueFiles)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	switch text := strings.TrimSpace(string(o.ValuesObject)); {
	case text != "" && text != "null":
		all = append(all, HelmValues{From: "helm.valuesObject", Data: o.ValuesObject})
	case o.Values != "":
		var parsed map[string]any
		if err := yaml.Unmarshal([]byte(o.Values), &parsed); err != nil {
			return nil, errors.New("helm.values is no YAML mapping: correct its indentation or quoting")
		}
		all = append(all, HelmValues{From: "helm.values", Data: []byte(o.Values)})
	}
	return all, nil
}

// place is where a file of a definition lies.
type place struct {
	tree Tree
	file string
	// chart is true for a file within a chart that comes from a chart repository.
	chart bool
}

// expanded substitutes the environment in a path, but not what refers to a source.
func (j *sourceJob) expanded(file string) string {
	name, rest, _ := strings.Cut(file, "/")
	if !strings.HasPrefix(name, "$") || strings.HasPrefix(strings.TrimLeft(name, "${"), "ARGOCD_") && j.refs[name].RepoURL == "" {
		return j.environment(file)
	}
	return name + "/" + j.environment(rest)
}

// locate finds out where a file lies: $name/… in the repository of that source, else
// beside the chart.
func (j *sourceJob) locate(ctx context.Context, file string) (place, error) {
	if scheme, _, ok := strings.Cut(file, "://"); ok {
		return place{}, leaveOut("it takes values by %s from outside the repository, which no commit pins: copy them into the repository", scheme)
	}
	if strings.HasPrefix(file, "$") {
		name, rest, _ := strings.Cut(file, "/")
		ref, ok := j.refs[name]
		if !ok {
			return place{}, fmt.Errorf("file %q refers to a source that does not exist: give one of the sources the ref %q", file, strings.TrimPrefix(name, "$"))
		}
		if ref.Chart != "" {
			return place{}, fmt.Errorf("file %q refers to a source that is a chart: only a repository can be referred to", file)
		}
		tree, err := j.renderer.Tree(ctx, TreeRequest{RepoURL: ref.RepoURL, Revision: ref.TargetRevision})
		if err != nil {
			return place{}, err
		}
		at, err := inside(".", strings.TrimLeft(rest, "/"))
		return place{tree: tree, file: at}, err
	}
	if j.source.Chart != "" {
		at, err := inside(".", strings.TrimLeft(file, "/"))
		return place{file: at, chart: true}, err
	}
	at, err := inside(j.dir, file)
	return place{tree: j.tree, file: at}, err
}

func (j *sourceJob) valueFile(ctx context.Context, file string, optional bool) ([]HelmValues, error) {
	p, err := j.locate(ctx, file)
	if err != nil {
		return nil, err
	}
	if p.chart {
		return []HelmValues{{From: p.file, ChartFile: p.file, Optional: optional}}, nil
	}
	files, err := j.matching(p, file)
	if err != nil {
		return nil, err
	}
	var all []HelmValues
	for _, f := range files {
		data, err := readFile(p.tree.FS, f, j.options.Limits.FileBytes)
		switch {
		case errors.Is(err, fs.ErrNotExist) && optional:
			continue
		case err != nil:
			return nil, fmt.Errorf("helm.valueFiles: %w", err)
		}
		all = append(all, HelmValues{From: f, Data: data})
	}
	if len(all) == 0 && !optional {
		return nil, fmt.Errorf("helm.valueFiles: nothing matches %q: correct it or set ignoreMissingValueFiles", cut(file))
	}
	return all, nil
}

// matching are the files that a pattern names, sorted; a name without wildcards is one file.
func (j *sourceJob) matching(p place, pattern string) ([]string, error) {
	if !strings.ContainsAny(p.file, "*?[") {
		return []string{p.file}, nil
	}
	match, err := compileGlob(p.file, globOptions{segments: true, braces: true})
	if err != nil {
		return nil, fmt.Errorf("helm.valueFiles: %w", err)
	}
	// Only what lies below the part without wildcards has to be looked at.
	dir := path.Dir(p.file[:strings.IndexAny(p.file, "*?[")] + "x")
	var files []string
	err = walk(p.tree.FS, dir, j.options.Limits.Files, func(name string, d fs.DirEntry) error {
		if !d.IsDir() && match(name) {
			files = append(files, name)
		}
		return nil
	})
	// A directory that does not exist holds no match.
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("helm.valueFiles %q: %w", cut(pattern), err)
	}
	slices.Sort(files)
	return files, nil
}

func (j *sourceJob) parameters(ctx context.Context, o *helmOptions) ([]HelmParameter, error) {
	var all []HelmParameter
	for _, p := range o.Parameters {
		all = append(all, HelmParameter{Name: p.Name, Value: j.environment(p.Value), String: p.ForceString})
	}
	for _, p := range o.FileParameters {
		at, err := j.locate(ctx, j.expanded(p.Path))
		if err != nil {
			return nil, err
		}
		if at.chart {
			all = append(all, HelmParameter{Name: p.Name, Literal: true, ChartFile: at.file})
			continue
		}
		data, err := readFile(at.tree.FS, at.file, j.options.Limits.FileBytes)
		if err != nil {
			return nil, fmt.Errorf("helm.fileParameters: %w", err)
		}
		all = append(all, HelmParameter{Name: p.Name, Value: string(data), Literal: true})
	}
	return all, nil
}
