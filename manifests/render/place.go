package render

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// Place gives objects that have no namespace the one that a function says, as kubectl
// does with its --namespace. Objects whose kind lives outside namespaces, and those whose
// kind neither Kubernetes nor the objects themselves define, stay as they are.
func Place(objects []manifests.Object, namespace func(manifests.Object) string) {
	defined := map[schema.GroupKind]bool{}
	for i := range objects {
		if !isCRD(&objects[i]) {
			continue
		}
		group, _, _ := unstructured.NestedString(objects[i].Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(objects[i].Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(objects[i].Object, "spec", "scope")
		defined[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
	}
	for _, o := range objects {
		if o.GetNamespace() != "" {
			continue
		}
		gk := o.GroupVersionKind().GroupKind()
		namespaced := defined[gk]
		if k := builtin.Lookup(gk); k != nil {
			namespaced = k.Namespaced
		}
		if ns := namespace(o); ns != "" && namespaced {
			o.SetNamespace(ns)
		}
	}
}
