package verify

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests/builtin"
)

// proven tells, without a request, that applying desired to live would change
// nothing. It may say no where that is so; it must not say yes where it is not.
//
// The argument. A server-side apply by our manager can change three things: fields
// that desired has and live has not, or with other values; fields that we applied
// before and that desired no longer has, which it removes; and where list elements
// go. So it changes nothing when
//
//  1. every field of desired is in live with an equal value, lists of equal length
//     compared element by element in sequence (stricter than any way lists merge),
//  2. every field that the record says we own is in live, and is in desired, so none is
//     removed, and
//  3. the record is of the same API version, so its paths mean the same, and
//  4. the record covers every field of desired, and what it knows as a whole, such as a
//     selector, is equal as a whole. What another writer took over by changing it is not
//     in the record any more.
//
// Values that the server rewrites (quantities, defaults inside of a list element's
// key) fail a condition and are asked about instead.
//
// ours is the manager under which the object was applied.
func proven(desired map[string]any, live *unstructured.Unstructured, ours string) bool {
	d := differ{subset: true, ignored: ignores{{path: []string{"apiVersion"}}}}
	d.walk(nil, desired, live.Object)
	return len(d.found) == 0 && nothingToRemove(desired, live, ours)
}

// held tells whether the record covers all that desired has, below its head.
func held(owned, desired map[string]any, live *unstructured.Unstructured) bool {
	kubernetes := builtin.Lookup(live.GroupVersionKind().GroupKind()) != nil
	for field, v := range desired {
		switch field {
		case "apiVersion", "kind":
			continue
		case "metadata":
			if !heldMetadata(owned, v, live.Object[field], kubernetes) {
				return false
			}
			continue
		}
		below, recorded := owned["f:"+field].(map[string]any)
		if v != nil && (!recorded || !heldBelow(below, v, live.Object[field], kubernetes)) {
			return false
		}
	}
	return true
}

// heldMetadata leaves out what identifies an object, which is in no record.
func heldMetadata(owned map[string]any, desired, live any, kubernetes bool) bool {
	want, _ := desired.(map[string]any)
	have, _ := live.(map[string]any)
	record, _ := owned["f:metadata"].(map[string]any)
	for field, v := range want {
		if field == "name" || field == "namespace" || v == nil {
			continue
		}
		below, recorded := record["f:"+field].(map[string]any)
		if !recorded || !heldBelow(below, v, have[field], kubernetes) {
			return false
		}
	}
	return true
}

// heldBelow compares as a whole what the record knows as a whole.
func heldBelow(record map[string]any, desired, live any, kubernetes bool) bool {
	switch want := desired.(type) {
	case map[string]any:
		if !granular(record) {
			return equal(desired, live)
		}
		have, _ := live.(map[string]any)
		for field, v := range want {
			below, recorded := record["f:"+field].(map[string]any)
			if v != nil && (!recorded || !heldBelow(below, v, have[field], kubernetes)) {
				return false
			}
		}
		return true
	case []any:
		if !granular(record) {
			return equal(desired, live)
		}
		have, _ := live.([]any)
		for i, v := range want {
			if i >= len(have) || !heldElement(record, v, have[i], kubernetes) {
				return false
			}
		}
		return true
	}
	return true // a value, which was compared
}

// granular tells whether a record goes into a map or list.
func granular(record map[string]any) bool {
	for key := range record {
		if key != "." {
			return true
		}
	}
	return false
}

func heldElement(record map[string]any, desired, live any, kubernetes bool) bool {
	for key, below := range record {
		if key == "." {
			continue
		}
		if _, ok := step(key, []any{desired}, kubernetes); !ok {
			continue
		}
		deeper, _ := below.(map[string]any)
		return strings.HasPrefix(key, "v:") || heldBelow(deeper, desired, live, kubernetes)
	}
	return false
}

// nothingToRemove tells whether our manager owns no field that desired does not have.
func nothingToRemove(desired map[string]any, live *unstructured.Unstructured, ours string) bool {
	owned, ok := ownedBy(live, ours)
	if !ok {
		// No record is kept of an object of which nothing but its name was applied.
		return bare(desired)
	}
	return held(owned, desired, live) && covered(owned, live.Object, false) && covered(owned, desired, builtin.Lookup(live.GroupVersionKind().GroupKind()) != nil)
}

// ownedBy is the set of fields of a manager's last apply, in the form of the record;
// false when there is none, or one of another version.
func ownedBy(live *unstructured.Unstructured, manager string) (map[string]any, bool) {
	for _, m := range live.GetManagedFields() {
		if m.Manager != manager || m.Operation != metav1.ManagedFieldsOperationApply || m.Subresource != "" {
			continue
		}
		fields, ok := fieldsOf(m)
		return fields, ok && m.APIVersion == live.GetAPIVersion()
	}
	return nil, false
}

func fieldsOf(m metav1.ManagedFieldsEntry) (map[string]any, bool) {
	if m.FieldsV1 == nil {
		return nil, false
	}
	var fields map[string]any
	if err := json.Unmarshal(m.FieldsV1.GetRawBytes(), &fields); err != nil {
		return nil, false
	}
	return fields, true
}

func bare(desired map[string]any) bool {
	for field, v := range desired {
		switch field {
		case "apiVersion", "kind":
		case "metadata":
			metadata, _ := v.(map[string]any)
			for field := range metadata {
				if field != "name" && field != "namespace" {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

// covered tells whether every recorded path exists in value.
func covered(fields map[string]any, value any, kubernetes bool) bool {
	for key, below := range fields {
		if key == "." {
			continue
		}
		next, ok := step(key, value, kubernetes)
		if !ok {
			return false
		}
		if deeper, _ := below.(map[string]any); !covered(deeper, next, kubernetes) {
			return false
		}
	}
	return true
}

// step follows one element of a recorded path: f:name of a map, k:{...} the element
// of a list with these keys, v:... an element of a set.
func step(key string, value any, kubernetes bool) (any, bool) {
	kind, rest, _ := strings.Cut(key, ":")
	switch kind {
	case "f":
		m, _ := value.(map[string]any)
		v, ok := m[rest]
		return v, ok
	case "k":
		var keys map[string]any
		if json.Unmarshal([]byte(rest), &keys) != nil {
			return nil, false
		}
		return element(value, keys, kubernetes)
	case "v":
		var v any
		list, _ := value.([]any)
		if json.Unmarshal([]byte(rest), &v) != nil {
			return nil, false
		}
		return nil, slices.ContainsFunc(list, func(e any) bool { return equal(e, v) })
	}
	return nil, false
}

// element of a list that has all keys. A key left to its default is not known here,
// and the API server is asked then, with one exception: the protocol of a port, in
// the kinds of Kubernetes itself, which would otherwise be most of what is asked.
func element(value any, keys map[string]any, kubernetes bool) (any, bool) {
	list, _ := value.([]any)
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			continue
		}
		all := true
		for k, v := range keys {
			defaulted := kubernetes && k == "protocol" && v == "TCP" && m[k] == nil
			all = all && (defaulted || equal(m[k], v))
		}
		if all {
			return m, true
		}
	}
	return nil, false
}
