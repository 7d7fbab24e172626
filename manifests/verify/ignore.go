package verify

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// ignores are paths at which a live object may differ from the rendered one, because
// somebody else is meant to write there. "*" stands for any one element.
type ignores [][]string

// match tells whether a path is one of them or below one.
func (g ignores) match(path []string) bool {
	for _, pattern := range g {
		if len(path) >= len(pattern) && matches(pattern, path) {
			return true
		}
	}
	return false
}

func matches(pattern, path []string) bool {
	for i, p := range pattern {
		if p != "*" && p != path[i] {
			return false
		}
	}
	return true
}

// always holds what the API server writes itself, for every object.
var always = ignores{
	{"metadata", "managedFields"}, {"metadata", "resourceVersion"}, {"metadata", "generation"},
	{"metadata", "uid"}, {"metadata", "creationTimestamp"}, {"metadata", "selfLink"},
	{"status"},
}

// scalers make the number of replicas of what they refer to their own business.
var scalers = map[schema.GroupKind][]string{
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: {"spec", "scaleTargetRef"},
	{Group: "keda.sh", Kind: "ScaledObject"}:                {"spec", "scaleTargetRef"},
}

// scaled are the objects whose replicas something in the set decides about.
func scaled(objects []manifests.Object) map[manifests.ID]bool {
	out := map[manifests.ID]bool{}
	for _, o := range objects {
		path, ok := scalers[o.ID().GroupKind()]
		if !ok {
			continue
		}
		ref, _, _ := unstructured.NestedMap(o.Object, path...)
		kind, _ := ref["kind"].(string)
		name, _ := ref["name"].(string)
		version, _ := ref["apiVersion"].(string)
		if kind == "" { // KEDA's default
			kind, version = "Deployment", "apps/v1"
		}
		gv, err := schema.ParseGroupVersion(version)
		if err != nil {
			continue
		}
		out[manifests.ID{Group: gv.Group, Kind: kind, Namespace: o.GetNamespace(), Name: name}] = true
	}
	return out
}

// ignoredIn one rendered object.
func ignoredIn(o manifests.Object, scaled map[manifests.ID]bool) ignores {
	out := append(ignores{}, always...)
	id := o.ID()
	if scaled[id] {
		out = append(out, []string{"spec", "replicas"})
	}
	switch id.Group {
	case "admissionregistration.k8s.io":
		if injected(o.Unstructured) {
			out = append(out, []string{"webhooks", "*", "clientConfig", "caBundle"})
		}
	case "apiextensions.k8s.io":
		if injected(o.Unstructured) {
			out = append(out, []string{"spec", "conversion", "webhook", "clientConfig", "caBundle"})
		}
	case "apiregistration.k8s.io":
		if injected(o.Unstructured) {
			out = append(out, []string{"spec", "caBundle"})
		}
	case "rbac.authorization.k8s.io":
		if o.Object["aggregationRule"] != nil {
			out = append(out, []string{"rules"})
		}
	}
	return out
}

// injected tells whether a controller fills in the caBundle: by annotation, or because
// the repository leaves it to be filled in.
func injected(u *unstructured.Unstructured) bool {
	for key := range u.GetAnnotations() {
		if strings.HasPrefix(key, "cert-manager.io/inject-") || strings.HasSuffix(key, "openshift.io/inject-cabundle") {
			return true
		}
	}
	return !hasBundle(u.Object)
}

func hasBundle(v any) bool {
	switch x := v.(type) {
	case map[string]any:
		if b, ok := x["caBundle"].(string); ok && b != "" {
			return true
		}
		for _, below := range x {
			if hasBundle(below) {
				return true
			}
		}
	case []any:
		for _, below := range x {
			if hasBundle(below) {
				return true
			}
		}
	}
	return false
}
