package argocd

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

// namespace is what CreateNamespace=true makes, before everything else of the unit.
// Without metadata of its own it is only created, never changed.
func (x *expansion) namespace() *manifests.Object {
	policy := x.app.Spec.SyncPolicy
	name := x.app.Spec.Destination.Namespace
	if name == "" || !hasOption(policy.SyncOptions, "CreateNamespace", "true") {
		return nil
	}
	for _, o := range x.objects {
		if id := o.ID(); id.Kind == "Namespace" && id.Group == "" && id.Name == name {
			return nil
		}
	}
	o := manifests.Object{
		Unstructured: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
		}},
		Origin: manifests.Origin{Unit: x.unit, File: x.object.Origin.File, Line: x.object.Origin.Line},
		Rules:  &manifests.Rules{Manager: Manager, Phase: manifests.PhaseBefore, Write: manifests.WriteCreate},
	}
	if m := policy.ManagedNamespaceMetadata; m != nil {
		o.Rules.Write = manifests.WriteApply
		annotations := maps.Clone(m.Annotations)
		if annotations == nil {
			annotations = map[string]string{}
		}
		// Argo CD marks the namespaces whose metadata it manages so.
		if annotations[annotationSyncOptions] == "" {
			annotations[annotationSyncOptions] = "ServerSideApply=true"
		}
		o.SetAnnotations(annotations)
		if len(m.Labels) > 0 {
			o.SetLabels(m.Labels)
		}
	}
	return &o
}

// Namespaces decides which of the namespaces that definitions create are added to the
// rendered objects: each once, and none that is rendered, for what is written out wins.
// The metadata of several is put together; where it differs, the first one counts.
func Namespaces(created, rendered []manifests.Object) ([]manifests.Object, []string) {
	taken := map[string]bool{}
	for _, o := range rendered {
		if id := o.ID(); id.Kind == "Namespace" && id.Group == "" {
			taken[id.Name] = true
		}
	}
	var kept []manifests.Object
	var warnings []string
	at := map[string]int{}
	for _, o := range created {
		name := o.GetName()
		if taken[name] {
			continue
		}
		i, ok := at[name]
		if !ok {
			at[name] = len(kept)
			kept = append(kept, o)
			continue
		}
		var more []string
		if kept[i], more = joinedNamespaces(kept[i], o); len(more) > 0 {
			slices.Sort(more)
			warnings = append(warnings, fmt.Sprintf("Namespace %s gets different values for %v from %s and from %s: the first one counts", name, more, kept[i].Origin, o.Origin))
		}
	}
	return kept, warnings
}

// joinedNamespaces puts two declarations of one namespace together and names what they disagree on.
func joinedNamespaces(a, b manifests.Object) (manifests.Object, []string) {
	if b.Rules.Write == manifests.WriteCreate {
		return a, nil
	}
	if a.Rules.Write == manifests.WriteCreate {
		return b, nil
	}
	var differ []string
	a.Unstructured = a.DeepCopy()
	labels, differ := united(a.GetLabels(), b.GetLabels(), differ)
	annotations, differ := united(a.GetAnnotations(), b.GetAnnotations(), differ)
	a.SetLabels(labels)
	a.SetAnnotations(annotations)
	return a, differ
}

func united(a, b map[string]string, differ []string) (map[string]string, []string) {
	out := maps.Clone(a)
	for key, value := range b {
		switch old, ok := out[key]; {
		case !ok && out == nil:
			out = map[string]string{key: value}
		case !ok:
			out[key] = value
		case old != value:
			differ = append(differ, key)
		}
	}
	return out, differ
}
