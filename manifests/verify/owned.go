package verify

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Owned is what of a live object people and tools wrote, by its record of ownership:
// without the defaults of the API server and without what parts of Kubernetes added. An
// object whose record does not tell, because there is none or it is about another version
// of the API, comes back as it is, and told is false. apiVersion, kind and the name are
// always kept.
func Owned(u *unstructured.Unstructured) (owned *unstructured.Unstructured, told bool) {
	var records []map[string]any
	for _, m := range u.GetManagedFields() {
		if m.Subresource != "" || components[m.Manager] {
			continue
		}
		fields, ok := fieldsOf(m)
		if !ok || m.APIVersion != u.GetAPIVersion() {
			return u.DeepCopy(), false
		}
		records = append(records, fields)
	}
	if len(records) == 0 {
		return u.DeepCopy(), false
	}
	out := &unstructured.Unstructured{Object: map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind()}}
	for field, v := range u.DeepCopy().Object {
		if kept, found := ownedBelow(records, "f:"+field, v); found {
			out.Object[field] = kept
		}
	}
	out.SetName(u.GetName())
	if u.GetNamespace() != "" {
		out.SetNamespace(u.GetNamespace())
	}
	return out, true
}

// ownedBelow is the part of a value that the records hold under a key; false for none.
func ownedBelow(records []map[string]any, key string, v any) (any, bool) {
	var below []map[string]any
	found := false
	for _, r := range records {
		fields, ok := r[key].(map[string]any)
		if !ok {
			continue
		}
		if found = true; len(fields) == 0 {
			return v, true // it is owned as a whole
		}
		below = append(below, fields)
	}
	if !found {
		return nil, false
	}
	switch x := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for field, value := range x {
			if kept, found := ownedBelow(below, "f:"+field, value); found {
				out[field] = kept
			}
		}
		return out, true
	case []any:
		return ownedElements(below, x), true
	}
	return v, true
}

// ownedElements of a list whose elements have records of their own.
func ownedElements(records []map[string]any, list []any) []any {
	out := []any{}
	for i, element := range list {
		for _, key := range keysOf(records, element, i) {
			if kept, found := ownedBelow(records, key, element); found {
				out = append(out, kept)
				break
			}
		}
	}
	return out
}

// keysOf the records that mean an element of a list.
func keysOf(records []map[string]any, element any, index int) []string {
	var out []string
	for _, r := range records {
		for key := range r {
			if !strings.HasPrefix(key, "f:") && key != "." && names(key, element, index) {
				out = append(out, key)
			}
		}
	}
	return out
}
