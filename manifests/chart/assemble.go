package chart

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/render"
)

// assemble makes objects of the engine's output.
func (j *job) assemble(ctx context.Context, out *output) (*Result, error) {
	result := &Result{Warnings: out.warnings}
	definitions, err := j.definitions(out, result)
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(out.templates) {
		if ctx.Err() != nil {
			return nil, j.stopped(context.Cause(ctx), nil)
		}
		text := out.templates[name]
		if strings.HasSuffix(name, "NOTES.txt") || strings.TrimSpace(text) == "" {
			continue
		}
		objects, err := j.documents(j.where(name), text, result)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			rules, reason := j.hook(o)
			if reason != "" {
				result.LeftOut = append(result.LeftOut, LeftOut{ID: o.ID(), Origin: o.Origin, Reason: reason})
				continue
			}
			o.Rules = rules
			result.Objects = append(result.Objects, o)
		}
	}
	if j.PostRender != nil {
		if result.Objects, err = j.PostRender(ctx, result.Objects); err != nil {
			return nil, fmt.Errorf("%s: after rendering: %w", j.Chart, err)
		}
	}
	if j.ReleaseMetadata {
		for _, o := range result.Objects {
			j.own(o)
		}
	}
	if j.IncludeCRDs {
		result.Definitions = len(definitions)
		result.Objects = append(definitions, result.Objects...)
	}
	result.Warnings = append(result.Warnings, j.namespaces(result.Objects, definitions)...)
	slices.Sort(result.Warnings)
	result.Warnings = slices.Compact(result.Warnings)
	for i, w := range result.Warnings {
		result.Warnings[i] = j.hidden.clean(w)
	}
	return result, nil
}

// definitions are the objects of crds directories. They are read also when they are not
// wanted: they tell which kinds have a namespace.
func (j *job) definitions(out *output, result *Result) ([]manifests.Object, error) {
	var all []manifests.Object
	seen := map[manifests.ID]bool{}
	for _, crd := range out.crds {
		objects, warnings, err := render.Documents(j.Unit, j.where(crd.Filename), crd.File.Data, render.DocumentOptions{LastKeyWins: true, Limits: j.limits.Documents})
		if err != nil {
			return nil, err
		}
		result.Warnings = append(result.Warnings, warnings...)
		for _, o := range objects {
			if !seen[o.ID()] { // two charts may bring the same one: Helm keeps the first
				seen[o.ID()] = true
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// marker begins a document for Helm also when more than a blank follows it.
var marker = regexp.MustCompile(`(?m)^---([^\s-])`)

// documents decodes what one template wrote. Lines of it are not lines of the template,
// so they are given only in errors, and as what they are.
func (j *job) documents(file, text string, result *Result) ([]manifests.Object, error) {
	text = marker.ReplaceAllString(text, "--- $1")
	objects, warnings, err := render.Documents(j.Unit, file, []byte(text), render.DocumentOptions{
		LastKeyWins: true, GeneratedNames: j.Hooks == HooksOfSync, Limits: j.limits.Documents,
	})
	var fault *render.InputError
	if errors.As(err, &fault) {
		message := fault.Message
		if fault.Line > 0 {
			message = fmt.Sprintf("line %d of what it renders %s", fault.Line, message)
		}
		return nil, &TemplateError{Chart: j.Chart.String(), File: file, Message: message}
	}
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		result.Warnings = append(result.Warnings, "as rendered, "+w)
	}
	for i := range objects {
		objects[i].Origin.Line = 0
	}
	return objects, nil
}

// own marks an object as one of the release, as Helm does when it installs; hooks are
// none of it.
func (j *job) own(o manifests.Object) {
	if o.GetAnnotations()[hookAnnotation] != "" {
		return
	}
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels["app.kubernetes.io/managed-by"] = "Helm"
	annotations["meta.helm.sh/release-name"] = j.ReleaseName
	annotations["meta.helm.sh/release-namespace"] = j.Namespace
	o.SetLabels(labels)
	o.SetAnnotations(annotations)
}

// namespaces puts objects of namespaced kinds that name no namespace into the release's,
// as Helm does when it installs, and takes it from objects of the whole cluster.
func (j *job) namespaces(objects, definitions []manifests.Object) []string {
	scopes := map[schema.GroupKind]bool{}
	for _, o := range slices.Concat(definitions, objects) {
		if d, ok := definitionOf(o); ok {
			scopes[d.kind] = d.namespaced
		}
	}
	into := cmp.Or(j.Into, j.Namespace)
	if j.Unplaced {
		into = ""
	}
	var warnings []string
	for _, o := range objects {
		gk := o.GroupVersionKind().GroupKind()
		namespaced, known := j.scope(gk, scopes)
		switch {
		case known && !namespaced:
			o.SetNamespace("")
		case o.GetNamespace() == "" && into != "":
			o.SetNamespace(into)
			if !known {
				warnings = append(warnings, fmt.Sprintf("%s: nothing says whether a %s has a namespace: it is put into %s", j.Chart, gk, into))
			}
		}
	}
	return warnings
}

func (j *job) scope(gk schema.GroupKind, scopes map[schema.GroupKind]bool) (namespaced, known bool) {
	if k := builtin.Lookup(gk); k != nil {
		return k.Namespaced, true
	}
	if namespaced, known = scopes[gk]; known {
		return namespaced, true
	}
	if j.Namespaced != nil {
		return j.Namespaced(gk)
	}
	return false, false
}
