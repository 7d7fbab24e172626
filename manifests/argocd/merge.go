package argocd

import "reflect"

// mergePatch merges as RFC 7396 says: null deletes, lists are replaced.
func mergePatch(target map[string]any, patch map[string]any) map[string]any {
	if target == nil {
		target = map[string]any{}
	}
	for key, value := range patch {
		sub, isMap := value.(map[string]any)
		switch {
		case value == nil:
			delete(target, key)
		case isMap:
			below, _ := target[key].(map[string]any)
			target[key] = mergePatch(below, sub)
		default:
			target[key] = value
		}
	}
	return target
}

// filled is base with what it leaves empty taken from more. Neither is changed.
func filled(base, more map[string]any) map[string]any { return merged(more, base) }

// merged is base with what over says on top; what over leaves empty stays. Neither is
// changed, but values that nobody merges are shared.
func merged(base, over map[string]any) map[string]any {
	out := make(map[string]any, len(base)+len(over))
	for key, value := range base {
		out[key] = value
	}
	for key, value := range over {
		below, isMap := out[key].(map[string]any)
		sub, isSub := value.(map[string]any)
		_, present := out[key]
		switch {
		case isMap && isSub:
			out[key] = merged(below, sub)
		case !present || !empty(value):
			out[key] = value
		}
	}
	return out
}

func empty(value any) bool {
	if value == nil {
		return true
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}
