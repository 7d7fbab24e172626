package manifests

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// MadeKind is a kind that an operator defines once it has seen an object.
type MadeKind struct {
	schema.GroupKind
	Plural     string
	Namespaced bool
	// Versions that it is served in.
	Versions []string
}

// The objects from which operators make kinds.
var (
	constraintTemplate = schema.GroupKind{Group: "templates.gatekeeper.sh", Kind: "ConstraintTemplate"}
	compositeResource  = schema.GroupKind{Group: "apiextensions.crossplane.io", Kind: "CompositeResourceDefinition"}
)

// KindsMadeFrom lists the kinds that an operator makes from an object: Gatekeeper its
// constraints, Crossplane its composite resources and their claims. They are defined by
// no CustomResourceDefinition that anybody writes.
func KindsMadeFrom(u *unstructured.Unstructured) []MadeKind {
	text := func(path ...string) string {
		s, _, _ := unstructured.NestedString(u.Object, path...)
		return s
	}
	switch u.GroupVersionKind().GroupKind() {
	case constraintTemplate:
		// https://open-policy-agent.github.io/gatekeeper: constraints are cluster-wide, and
		// their resource is the kind in lower case.
		kind := text("spec", "crd", "spec", "names", "kind")
		return named(MadeKind{
			GroupKind: schema.GroupKind{Group: "constraints.gatekeeper.sh", Kind: kind},
			Versions:  []string{"v1", "v1beta1", "v1alpha1"},
		})
	case compositeResource:
		versions := servedVersions(u)
		group := text("spec", "group")
		return named(
			MadeKind{
				GroupKind: schema.GroupKind{Group: group, Kind: text("spec", "names", "kind")}, Plural: text("spec", "names", "plural"),
				Namespaced: text("spec", "scope") == "Namespaced" || text("spec", "scope") == "" && u.GroupVersionKind().Version == "v2", Versions: versions,
			},
			MadeKind{
				GroupKind: schema.GroupKind{Group: group, Kind: text("spec", "claimNames", "kind")}, Plural: text("spec", "claimNames", "plural"),
				Namespaced: true, Versions: versions,
			})
	}
	return nil
}

// named leaves out what an object does not name.
func named(kinds ...MadeKind) []MadeKind {
	kinds = slices.DeleteFunc(kinds, func(k MadeKind) bool { return k.Kind == "" || k.Group == "" })
	if len(kinds) == 0 {
		return nil
	}
	return kinds
}

func servedVersions(u *unstructured.Unstructured) []string {
	var out []string
	versions, _, _ := unstructured.NestedSlice(u.Object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if served, _ := version["served"].(bool); !served {
			continue
		}
		if name, _ := version["name"].(string); name != "" {
			out = append(out, name)
		}
	}
	return out
}
