package argocd

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// kustomizationNames in the order in which kustomize looks for them.
var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// kustomization is the name of the directory's kustomization; "" when it has none.
func (j *sourceJob) kustomization() string {
	for _, name := range kustomizationNames {
		if j.exists(name) {
			return name
		}
	}
	return ""
}

// kustomize builds the directory with what the definition changes in its kustomization.
func (j *sourceJob) kustomize(ctx context.Context) (Rendered, error) {
	o := j.source.Kustomize
	if o == nil {
		o = &kustomizeOptions{}
	}
	request := KustomizeRequest{
		Tree: j.tree, Path: j.dir, KubeVersion: o.KubeVersion, APIVersions: o.APIVersions,
		LoadAnywhere: j.settings.Kustomize.LoadAnywhere, EnableHelm: j.settings.Kustomize.EnableHelm,
	}
	name := j.kustomization()
	if name == "" {
		return Rendered{}, fmt.Errorf("directory %s has no kustomization.yaml: add one or take kustomize out of the source", j.dir)
	}
	if o.Version != "" {
		j.warn("asks for kustomize %q: the version that is built in is used", cut(o.Version))
	}
	edit := &kustomizeEdit{job: j, options: o}
	changed, err := edit.run(path.Join(j.dir, name))
	if err != nil {
		return Rendered{}, err
	}
	if changed != nil {
		request.Overlay = map[string][]byte{path.Join(j.dir, name): changed}
	}
	return j.renderer.Kustomize(ctx, request)
}

// kustomizeEdit changes a kustomization as the commands of "kustomize edit" would,
// which is how Argo CD does it.
type kustomizeEdit struct {
	job     *sourceJob
	options *kustomizeOptions
	content map[string]any
	changed bool
}

// run returns the changed file; nil when nothing is to be changed.
func (e *kustomizeEdit) run(file string) ([]byte, error) {
	data, err := readFile(e.job.tree.FS, file, e.job.options.Limits.FileBytes)
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(data, &e.content); err != nil {
		return nil, fmt.Errorf("%s is no YAML mapping: %w", file, err)
	}
	if e.content == nil {
		e.content = map[string]any{}
	}
	e.set("namePrefix", e.options.NamePrefix)
	e.set("nameSuffix", e.options.NameSuffix)
	e.set("namespace", e.options.Namespace)
	e.images()
	e.replicas()
	for _, step := range []func() error{e.labels, e.annotations, e.components} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if len(e.options.Patches) > 0 {
		e.append("patches", e.options.Patches...)
	}
	if !e.changed {
		return nil, nil
	}
	return yaml.Marshal(e.content)
}

func (e *kustomizeEdit) set(field, value string) {
	if value != "" {
		e.content[field], e.changed = value, true
	}
}

func (e *kustomizeEdit) list(field string) []any {
	list, _ := e.content[field].([]any)
	return list
}

func (e *kustomizeEdit) append(field string, more ...any) {
	e.content[field], e.changed = append(slices.Clone(e.list(field)), more...), true
}

// put replaces the entry of a list that has the same name, or appends one.
func (e *kustomizeEdit) put(field string, entry map[string]any) {
	list := slices.Clone(e.list(field))
	for i, old := range list {
		if m, ok := old.(map[string]any); ok && m["name"] == entry["name"] {
			list[i] = kept(entry, m)
			e.content[field], e.changed = list, true
			return
		}
	}
	e.append(field, kept(entry, nil))
}

// kept replaces the value * by the old one.
func kept(entry, old map[string]any) map[string]any {
	for key, value := range entry {
		if key == "name" || value != "*" {
			continue
		}
		if entry[key] = old[key]; entry[key] == nil {
			delete(entry, key)
		}
	}
	return entry
}

func (e *kustomizeEdit) images() {
	for _, image := range e.options.Images {
		e.put("images", imageOf(e.job.environment(image)))
	}
}

// imageOf reads name=newName:newTag@digest, of which all but the name may be missing.
func imageOf(text string) map[string]any {
	name, target, renamed := strings.Cut(text, "=")
	if !renamed {
		target = text
	}
	entry := map[string]any{}
	target, digest, hasDigest := strings.Cut(target, "@")
	if hasDigest {
		entry["digest"] = digest
	}
	// A colon before a slash belongs to the port of the registry.
	if i := strings.LastIndexByte(target, ':'); i > strings.LastIndexByte(target, '/') {
		entry["newTag"] = target[i+1:]
		target = target[:i]
	}
	if !renamed {
		name = target
	} else if target != "" {
		entry["newName"] = target
	}
	entry["name"] = name
	return entry
}

func (e *kustomizeEdit) replicas() {
	for _, r := range e.options.Replicas {
		e.put("replicas", map[string]any{"name": r.Name, "count": r.Count})
	}
}

func (e *kustomizeEdit) labels() error {
	o := e.options
	if len(o.CommonLabels) == 0 {
		return nil
	}
	if o.LabelWithoutSelector {
		e.append("labels", map[string]any{
			"pairs": anyMap(o.CommonLabels), "includeSelectors": false, "includeTemplates": o.LabelIncludeTemplates,
		})
		return nil
	}
	return e.pairs("commonLabels", o.CommonLabels, o.ForceCommonLabels)
}

func (e *kustomizeEdit) annotations() error {
	o := e.options
	values := maps.Clone(o.CommonAnnotations)
	if o.CommonAnnotationsEnvsubst {
		for key, value := range values {
			values[key] = e.job.environment(value)
		}
	}
	return e.pairs("commonAnnotations", values, o.ForceCommonAnnotations)
}

// pairs adds to a map of the kustomization, whose own entries stand unless forced.
func (e *kustomizeEdit) pairs(field string, values map[string]string, force bool) error {
	if len(values) == 0 {
		return nil
	}
	old, _ := e.content[field].(map[string]any)
	out := maps.Clone(old)
	if out == nil {
		out = map[string]any{}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if _, ok := out[key]; ok && !force {
			return fmt.Errorf("%s has %q already, and the Application gives it too: set the option that forces it or take one away", field, key)
		}
		out[key] = values[key]
	}
	e.content[field], e.changed = out, true
	return nil
}

func (e *kustomizeEdit) components() error {
	for _, c := range e.options.Components {
		dir, err := inside(e.job.dir, c)
		if err != nil {
			return err
		}
		if _, err := fs.Stat(e.job.tree.FS, dir); err != nil && e.options.IgnoreMissingComponents {
			continue
		}
		e.append("components", c)
	}
	return nil
}

func anyMap(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for key, value := range m {
		out[key] = value
	}
	return out
}
