package render

import (
	"context"
	"fmt"
	"path"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

// oneBuild is held while kustomize runs. kustomize keeps the OpenAPI schema of a
// build in variables of the process, so two builds at once corrupt each other.
var oneBuild = make(chan struct{}, 1)

// schemaDirty says that the last build may have left a schema of its own behind,
// which would silently change how later builds merge lists. Guarded by oneBuild.
var schemaDirty bool

// kustomize builds the kustomization of a directory.
func (r *renderer) kustomize(ctx context.Context, unit, dir string) ([]manifests.Object, error) {
	dir, err := delink(r.files, dir) // kustomize resolves it too, and names files below what it found
	if err != nil {
		return nil, fmt.Errorf("path %q: %w", unit, err)
	}
	pre, err := r.survey(ctx, unit, dir)
	if err != nil {
		return nil, err
	}
	built, err := r.build(ctx, pre, dir)
	if err != nil {
		return nil, err
	}
	resources := built.Resources()
	if len(resources) > r.limits.Objects {
		return nil, inputErrorf(pre.root, 0, "builds more than %d objects", r.limits.Objects)
	}
	objects := make([]manifests.Object, len(resources))
	faults := make([]error, len(resources))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, res := range resources {
		group.Go(func() error {
			faults[i] = recovered(pre.root, func() (err error) {
				objects[i], err = pre.object(res)
				return err
			})
			return nil
		})
	}
	_ = group.Wait()
	for _, o := range objects {
		r.builtBy[o.Unstructured] = pre.root
	}
	return objects, joined(faults)
}

// build runs kustomize. kustomize cannot be interrupted: when ctx ends, build
// returns and the build goes on by itself until it next reads a file, which fails,
// or ends. Because it holds oneBuild until then, there is never more than one.
func (r *renderer) build(ctx context.Context, pre *survey, dir string) (resmap.ResMap, error) {
	select {
	case oneBuild <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another kustomize build to end: %w", context.Cause(ctx))
	}
	type outcome struct {
		built resmap.ResMap
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-oneBuild }()
		var o outcome
		if schemaDirty {
			openapi.ResetOpenAPI()
		}
		schemaDirty = true // until the build has ended well
		o.err = recovered(pre.root, func() (err error) {
			o.built, err = krusty.MakeKustomizer(pre.options()).Run(&jail{ctx: ctx, r: r, overlay: pre.overlay}, inJail(dir))
			return err
		})
		schemaDirty = pre.customSchema || o.err != nil
		done <- o
	}()
	select {
	case o := <-done:
		if o.err != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("%s: kustomize build: %w", pre.root, context.Cause(ctx))
		}
		if o.err != nil {
			return nil, inputErrorf(pre.root, 0, "kustomize cannot build it: %s", outOfJail(o.err.Error()))
		}
		return o.built, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: kustomize build: %w", pre.root, context.Cause(ctx))
	}
}

// options: plugins, functions and Helm are off. Files may come from anywhere in the
// repository, as with Flux; the jail keeps them inside it.
func (s *survey) options() *krusty.Options {
	o := krusty.MakeDefaultOptions()
	o.LoadRestrictions = types.LoadRestrictionsNone
	o.PluginConfig = types.DisabledPluginConfig()
	o.Reorder = krusty.ReorderOptionNone
	if s.sorts {
		o.Reorder = krusty.ReorderOptionUnspecified
	}
	return o
}

const originAnnotation = "config.kubernetes.io/origin"

// object converts a resource and finds out where it was written.
func (s *survey) object(res *resource.Resource) (manifests.Object, error) {
	text, err := res.MarshalJSON()
	if err != nil {
		return manifests.Object{}, inputErrorf(s.root, 0, "kustomize built %s, which cannot be written as JSON: %v", res.CurId(), err)
	}
	var content map[string]any
	if err := utiljson.Unmarshal(text, &content); err != nil {
		return manifests.Object{}, inputErrorf(s.root, 0, "kustomize built %s, which cannot be read: %v", res.CurId(), err)
	}
	o := manifests.Object{
		Unstructured: &unstructured.Unstructured{Object: content},
		Origin:       s.origin(res, content),
	}
	i := item{file: o.Origin.File, line: o.Origin.Line, content: content}
	if err := s.r.open(&i); err != nil {
		return manifests.Object{}, err
	}
	o.Object = i.content
	s.traced(res, &o)
	_, kind, err := i.types()
	if err != nil {
		return manifests.Object{}, err
	}
	return o, i.check(kind)
}

// origin reads kustomize's annotation and takes it off again, unless the author asked for it.
func (s *survey) origin(res *resource.Resource, content map[string]any) manifests.Origin {
	origin := manifests.Origin{Unit: s.unit, File: s.root}
	metadata, _ := content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	text, _ := annotations[originAnnotation].(string)
	if text != "" && !s.keepOrigin {
		delete(annotations, originAnnotation)
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	var said struct {
		Path         string `json:"path"`
		ConfiguredIn string `json:"configuredIn"`
	}
	if text == "" || sigsyaml.Unmarshal([]byte(text), &said) != nil {
		return origin
	}
	switch {
	case said.Path != "":
		origin.File = path.Join(s.dir, said.Path)
		if url, ok := s.fetched[origin.File]; ok {
			origin.File = url
			return origin
		}
		if s.inflated[origin.File] != nil {
			return origin
		}
		if canonical, err := delink(s.r.files, origin.File); err == nil {
			origin.File = canonical
		}
		origin.Line = s.lines[origin.File].find(res.GetKind(), res.GetName())
	case said.ConfiguredIn != "":
		origin.File = path.Join(s.dir, said.ConfiguredIn)
	}
	return origin
}

// outline is what a file defines and where.
type outline struct {
	byKind map[string]map[string]int // kind -> name -> line
}

// find returns the line of an object, or 0. kustomize may have put text around its
// name: then the longest name in the file that the new one contains is meant.
func (o outline) find(kind, name string) int {
	names := o.byKind[kind]
	if line, ok := names[name]; ok {
		return line
	}
	best, line := "", 0
	for candidate, at := range names {
		if strings.Contains(name, candidate) && (len(candidate) > len(best) || len(candidate) == len(best) && candidate < best) {
			best, line = candidate, at
		}
	}
	if line == 0 && len(names) == 1 {
		for _, at := range names {
			return at // renamed beyond recognition, but the only one of its kind
		}
	}
	return line
}

// jailRoot is where the repository seems to lie for kustomize. Paths with .. that
// climb out of it do not silently end up at the root again.
const jailRoot = "/the-repository"

func inJail(name string) string { return path.Join(jailRoot, name) }

// outOfJail makes kustomize's messages readable again.
func outOfJail(message string) string {
	message = strings.ReplaceAll(message, jailRoot+"/", "")
	return strings.TrimSpace(strings.ReplaceAll(message, jailRoot, "."))
}
