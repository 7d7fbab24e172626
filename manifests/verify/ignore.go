package verify

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// ignore is a path at which a live object may differ from the rendered one, because
// somebody else is meant to write there. "*" stands for any one element. Without a
// reason it is no exemption: everybody knows that the server writes there.
type ignore struct {
	path   []string
	reason string
}

// ignores of one object.
type ignores []ignore

// match is the rule by which a path, or one above it, is ignored; nil for none.
func (g ignores) match(path []string) *ignore {
	for i := range g {
		if len(path) >= len(g[i].path) && matches(g[i].path, path) {
			return &g[i]
		}
	}
	return nil
}

func matches(pattern, path []string) bool {
	for i, p := range pattern {
		if p != "*" && p != path[i] {
			return false
		}
	}
	return true
}

// uses are the rules that made a difference, each with the fields to which it did.
type uses map[string][]string

// add is of no effect on a nil map, which asks for no record.
func (u uses) add(rule string, path []string) {
	if u == nil || rule == "" {
		return
	}
	if at := pathOf(path); len(u[rule]) < maxDifferences && !slices.Contains(u[rule], at) {
		u[rule] = append(u[rule], at)
	}
}

// each rule in sorted sequence, with its fields in words.
func (u uses) each(yield func(rule, detail string) bool) {
	for _, rule := range slices.Sorted(maps.Keys(u)) {
		fields := slices.Sorted(slices.Values(u[rule]))
		detail := strings.Join(fields, ", ") + " may differ, and does"
		if len(fields) > 1 {
			detail = strings.TrimSuffix(detail, "es")
		}
		if len(fields) == maxDifferences {
			detail += "; perhaps more"
		}
		if !yield(rule, detail) {
			return
		}
	}
}

// always holds what the API server writes itself, for every object.
var always = ignores{
	{path: []string{"metadata", "managedFields"}}, {path: []string{"metadata", "resourceVersion"}},
	{path: []string{"metadata", "generation"}}, {path: []string{"metadata", "uid"}},
	{path: []string{"metadata", "creationTimestamp"}}, {path: []string{"metadata", "selfLink"}},
	{path: []string{"status"}},
}

// scalers make the number of replicas of what they refer to their own business.
var scalers = map[schema.GroupKind][]string{
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: {"spec", "scaleTargetRef"},
	{Group: "keda.sh", Kind: "ScaledObject"}:                {"spec", "scaleTargetRef"},
}

// scaled are the objects whose replicas something in the set decides about, and what.
func scaled(objects []manifests.Object) map[manifests.ID]manifests.ID {
	out := map[manifests.ID]manifests.ID{}
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
		out[manifests.ID{Group: gv.Group, Kind: kind, Namespace: o.GetNamespace(), Name: name}] = o.ID()
	}
	return out
}

// ignoredIn one rendered object, whatever the repository says.
func ignoredIn(o manifests.Object, scaled map[manifests.ID]manifests.ID) ignores {
	out := slices.Clone(always)
	id := o.ID()
	if scaler, ok := scaled[id]; ok {
		out = append(out, ignore{[]string{"spec", "replicas"}, scaler.String() + " decides about the replicas"})
	}
	const bundle = "the caBundle is filled in by a controller"
	switch id.Group {
	case "admissionregistration.k8s.io":
		if injected(o.Unstructured) {
			out = append(out, ignore{[]string{"webhooks", "*", "clientConfig", "caBundle"}, bundle})
		}
	case "apiextensions.k8s.io":
		if injected(o.Unstructured) {
			out = append(out, ignore{[]string{"spec", "conversion", "webhook", "clientConfig", "caBundle"}, bundle})
		}
	case "apiregistration.k8s.io":
		if injected(o.Unstructured) {
			out = append(out, ignore{[]string{"spec", "caBundle"}, bundle})
		}
	case "rbac.authorization.k8s.io":
		if o.Object["aggregationRule"] != nil {
			out = append(out, ignore{[]string{"rules"}, aggregated})
		}
	}
	return out
}

const aggregated = "the rules of an aggregated role are filled in by a controller"

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
