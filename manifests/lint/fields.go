package lint

import (
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// field reads a path of maps; nil if any part of it is absent or of another type.
func field(m map[string]any, path ...string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	return v
}

func mapping(m map[string]any, path ...string) map[string]any {
	v, _ := field(m, path...).(map[string]any)
	return v
}

func str(m map[string]any, path ...string) string {
	s, _ := field(m, path...).(string)
	return s
}

func truth(m map[string]any, path ...string) bool {
	b, _ := field(m, path...).(bool)
	return b
}

// number reads an integer, or the fallback.
func number(m map[string]any, fallback int64, path ...string) int64 {
	switch n := field(m, path...).(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return fallback
}

// list reads a list of maps, leaving out elements of any other type.
func list(m map[string]any, path ...string) []map[string]any {
	elements, _ := field(m, path...).([]any)
	out := make([]map[string]any, 0, len(elements))
	for _, e := range elements {
		if v, ok := e.(map[string]any); ok {
			out = append(out, v)
		}
	}
	return out
}

// texts reads a list of strings.
func texts(m map[string]any, path ...string) []string {
	elements, _ := field(m, path...).([]any)
	out := make([]string, 0, len(elements))
	for _, e := range elements {
		if v, ok := e.(string); ok {
			out = append(out, v)
		}
	}
	return out
}

// stringMap reads a map of strings, leaving out values of any other type.
func stringMap(m map[string]any, path ...string) map[string]string {
	raw := mapping(m, path...)
	out := make(map[string]string, len(raw))
	for k, v := range raw {
		if text, ok := v.(string); ok {
			out[k] = text
		}
	}
	return out
}

// parseSelector reads a LabelSelector; false when no API server would take it.
func parseSelector(raw map[string]any) (labels.Selector, bool) {
	var ls metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &ls); err != nil {
		return nil, false
	}
	selector, err := metav1.LabelSelectorAsSelector(&ls)
	return selector, err == nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// some spells out the first few of many names.
func some(names []string) string {
	const shown = 4
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:shown], ", ") + ", …"
}
