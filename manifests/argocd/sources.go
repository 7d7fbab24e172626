package argocd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

// sources renders all sources of the Application. Of an object that two of them render
// the later one wins, as with Argo CD.
func (x *expansion) sources(ctx context.Context) error {
	all, err := x.listed()
	if err != nil {
		return err
	}
	refs := map[string]source{}
	for _, s := range all {
		if s.Ref != "" {
			refs["$"+s.Ref] = s
		}
	}
	at := map[manifests.ID]int{}
	for i := range all {
		if all[i].Ref != "" && all[i].Path == "" && all[i].Chart == "" {
			continue
		}
		job := &sourceJob{expansion: x, refs: refs, source: all[i]}
		rendered, err := job.run(ctx)
		if err != nil {
			return fmt.Errorf("source %d, %s: %w", i+1, all[i].said(), err)
		}
		if x.revision == "" {
			x.revision = job.revision
		}
		x.warnings = append(x.warnings, rendered.Warnings...)
		x.add(rendered.Objects, at)
	}
	return nil
}

// listed are the sources in the form that the Application has chosen.
func (x *expansion) listed() ([]source, error) {
	spec := x.app.Spec
	switch {
	case len(spec.Sources) > 0:
		return spec.Sources, nil
	case spec.SourceHydrator != nil:
		h := spec.SourceHydrator
		url := h.SyncSource.RepoURL
		if url == "" {
			url = h.DrySource.RepoURL
		}
		return []source{{RepoURL: url, TargetRevision: h.SyncSource.TargetBranch, Path: h.SyncSource.Path, hydrated: true}}, nil
	case spec.Source != nil:
		return []source{normalised(*spec.Source)}, nil
	}
	return nil, errors.New("has neither spec.source nor spec.sources: name what it is rendered from")
}

// normalised drops blocks that say nothing from a single source, as Argo CD does before it
// looks at which kind the source is (util/argo NormalizeSource).
func normalised(s source) source {
	if s.Helm != nil && reflect.ValueOf(*s.Helm).IsZero() {
		s.Helm = nil
	}
	if s.Kustomize != nil && reflect.ValueOf(*s.Kustomize).IsZero() {
		s.Kustomize = nil
	}
	if d := s.Directory; d != nil {
		rest := *d
		if text := string(bytes.TrimSpace(rest.Jsonnet)); text == "{}" || text == "null" {
			rest.Jsonnet = nil
		}
		if reflect.ValueOf(rest).IsZero() {
			s.Directory = nil
		}
	}
	return s
}

// add takes rendered objects into the unit. at is where each one is.
func (x *expansion) add(rendered []manifests.Object, at map[manifests.ID]int) {
	for _, o := range rendered {
		x.place(o)
		id := o.ID()
		if i, ok := at[id]; ok && id.Name != "" {
			x.warn("%s is rendered twice, at %s and at %s: the later one counts, as with Argo CD", id, x.objects[i].Origin, o.Origin)
			x.objects[i] = o
			continue
		}
		at[id] = len(x.objects)
		x.objects = append(x.objects, o)
	}
}

// said names a source for messages.
func (s source) said() string {
	switch {
	case s.Chart != "":
		return fmt.Sprintf("chart %s of %s", s.Chart, withoutUser(s.RepoURL))
	case s.RepoURL == "":
		return "path " + s.Path
	}
	return fmt.Sprintf("path %q of %s", s.Path, withoutUser(s.RepoURL))
}

// withoutUser takes credentials off a URL.
func withoutUser(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	host, tail, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if tail != "" {
		host += "/" + tail
	}
	return scheme + "://" + host
}

// sourceJob renders one source.
type sourceJob struct {
	*expansion
	source   source
	refs     map[string]source
	tree     Tree
	dir      string
	revision string
}

func (j *sourceJob) run(ctx context.Context) (Rendered, error) {
	if j.source.RepoURL == "" {
		return Rendered{}, errors.New("repoURL is missing: name the repository")
	}
	if j.source.Chart != "" {
		j.revision = j.source.TargetRevision
		return j.helm(ctx)
	}
	var err error
	if j.tree, err = j.renderer.Tree(ctx, TreeRequest{RepoURL: j.source.RepoURL, Revision: j.source.TargetRevision, Hydrated: j.source.hydrated}); err != nil {
		return Rendered{}, err
	}
	j.revision = j.tree.Commit
	if j.dir, err = inside(".", j.source.Path); err != nil {
		return Rendered{}, err
	}
	info, err := fs.Stat(j.tree.FS, j.dir)
	if err != nil || !info.IsDir() {
		return Rendered{}, fmt.Errorf("directory %q does not exist in the repository: correct the path", j.source.Path)
	}
	if err := j.overrides(); err != nil {
		return Rendered{}, err
	}
	kind, err := j.kind()
	if err != nil {
		return Rendered{}, err
	}
	switch kind {
	case "helm":
		return j.helm(ctx)
	case "kustomize":
		return j.kustomize(ctx)
	case "plugin":
		return Rendered{}, leaveOut("it is rendered by a config management plugin, which would run code of its own")
	}
	return j.directory(ctx)
}

// inside joins a path of a definition to a directory of the repository.
func inside(dir, p string) (string, error) {
	joined := path.Join(dir, p)
	if path.IsAbs(p) {
		joined = path.Join(".", strings.TrimLeft(p, "/"))
	}
	if !fs.ValidPath(joined) {
		return "", fmt.Errorf("path %q leaves the repository: give a path inside it", p)
	}
	return joined, nil
}

// kind of the source: what it says itself, else what the directory holds.
func (j *sourceJob) kind() (string, error) {
	var said []string
	for name, is := range map[string]bool{
		"helm": j.source.Helm != nil, "kustomize": j.source.Kustomize != nil,
		"directory": j.source.Directory != nil, "plugin": j.source.Plugin != nil,
	} {
		if is {
			said = append(said, name)
		}
	}
	if len(said) > 1 {
		return "", errors.New("is of several types at once: keep one of helm, kustomize, directory and plugin")
	}
	if len(said) == 1 {
		return said[0], nil
	}
	if j.exists("Chart.yaml") {
		return "helm", nil
	}
	if j.kustomization() != "" {
		return "kustomize", nil
	}
	return "directory", nil
}

func (j *sourceJob) exists(name string) bool {
	info, err := fs.Stat(j.tree.FS, path.Join(j.dir, name))
	return err == nil && !info.IsDir()
}

// overrides merges what the directory itself says about how it is rendered. Where it
// is rendered from stays as the Application says.
func (j *sourceJob) overrides() error {
	for _, name := range []string{".argocd-source.yaml", ".argocd-source-" + j.instance() + ".yaml"} {
		file := path.Join(j.dir, name)
		if !j.exists(name) {
			continue
		}
		data, err := readFile(j.tree.FS, file, j.options.Limits.FileBytes)
		if err != nil {
			return err
		}
		var patch map[string]any
		if err := yaml.Unmarshal(data, &patch); err != nil {
			return fmt.Errorf("%s is no YAML mapping: %w", file, err)
		}
		merged, err := patched(j.source, patch)
		if err != nil {
			return fmt.Errorf("%s: %s", file, fieldOf(err))
		}
		j.source.Helm, j.source.Kustomize = merged.Helm, merged.Kustomize
		j.source.Directory, j.source.Plugin = merged.Directory, merged.Plugin
	}
	return nil
}

func patched(s source, patch map[string]any) (merged source, err error) {
	text, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	var target map[string]any
	if err := json.Unmarshal(text, &target); err != nil {
		return s, err
	}
	if text, err = json.Marshal(mergePatch(target, patch)); err != nil {
		return s, err
	}
	return merged, json.Unmarshal(text, &merged)
}

// readFile reads a file of a repository, unless it is too large.
func readFile(files fs.FS, name string, most int64) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", name, plain(err))
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", name, plain(err))
	}
	return data, nil
}

// plain takes the operation and path off an error of a file system.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
