package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/refloat-dev/refloat/manifests"
)

// pruner takes the fields that the repository's rules leave out away from both sides of
// a comparison. Both are taken away, so that whatever else there is keeps its place.
type pruner struct {
	rules []manifests.IgnoredFields
	// record of ownership of the live object.
	record []metav1.ManagedFieldsEntry
	jq     *jqCache
	used   uses
}

// prune copies; it returns the arguments themselves when there is no rule.
func (p *pruner) prune(ctx context.Context, want, have map[string]any) (map[string]any, map[string]any, error) {
	if len(p.rules) == 0 {
		return want, have, nil
	}
	want, have = runtime.DeepCopyJSON(plain(want)), runtime.DeepCopyJSON(plain(have))
	for _, rule := range p.rules {
		for _, pointer := range rule.Pointers {
			if err := p.pointer(rule.From, pointer, want, have); err != nil {
				return nil, nil, err
			}
		}
		for _, expression := range rule.JQ {
			if err := p.expression(ctx, rule.From, expression, want, have); err != nil {
				return nil, nil, err
			}
		}
		for _, m := range p.record {
			if slices.Contains(rule.Managers, m.Manager) {
				if fields, ok := fieldsOf(m); ok {
					p.owned(rule.From, nil, fields, want, have)
				}
			}
		}
	}
	return want, have, nil
}

// plain makes the numbers of an object such as DeepCopyJSON takes.
func plain(object map[string]any) map[string]any {
	out, _ := plainValue(object).(map[string]any)
	return out
}

func plainValue(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, below := range x {
			out[k] = plainValue(below)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, below := range x {
			out[i] = plainValue(below)
		}
		return out
	case int:
		return int64(x)
	}
	return v
}

// kept are never taken away: without them an object is none.
func kept(path []string) bool {
	return len(path) == 1 && (path[0] == "apiVersion" || path[0] == "kind" || path[0] == "metadata")
}

// pointer removes what one JSON pointer means.
func (p *pruner) pointer(from, pointer string, want, have map[string]any) error {
	if pointer == "" { // the whole object
		p.whole(from, want, have)
		return nil
	}
	if !strings.HasPrefix(pointer, "/") {
		return fmt.Errorf("%s: %q is no JSON pointer; it has to begin with a slash", from, pointer)
	}
	path := strings.Split(pointer[1:], "/")
	for i := range path {
		path[i] = strings.ReplaceAll(strings.ReplaceAll(path[i], "~1", "/"), "~0", "~")
	}
	if kept(path) {
		return fmt.Errorf("%s: %q is in every object; name the field below it", from, pointer)
	}
	p.both(from, indexed(path), path, want, have)
	return nil
}

func (p *pruner) whole(from string, want, have map[string]any) {
	if diff(want, have, always) != nil {
		p.used.add(from, []string{"everything"})
	}
	for _, object := range []map[string]any{want, have} {
		for field := range object {
			if field != "apiVersion" && field != "kind" {
				delete(object, field)
			}
		}
	}
}

// both sides lose what a path means; the rule was used when that differed. The label is
// the whole path, where the sides are parts of an object.
func (p *pruner) both(from string, label, path []string, want, have map[string]any) {
	w, inWant := removed(want, path)
	h, inHave := removed(have, path)
	if inWant != inHave || inWant && !reflect.DeepEqual(w, h) {
		p.used.add(from, label)
	}
}

// removed takes the value at a path away from a tree. Numbers are indices of lists.
func removed(root map[string]any, path []string) (any, bool) {
	if len(path) == 0 {
		return nil, false
	}
	value, ok := root[path[0]]
	if !ok {
		return nil, false
	}
	if len(path) == 1 {
		delete(root, path[0])
		return value, true
	}
	var taken any
	root[path[0]], taken, ok = without(value, path[1:])
	return taken, ok
}

// without is removed for any value: it returns what is left of it too, because a list
// that loses an element is another one.
func without(value any, path []string) (left, taken any, ok bool) {
	switch v := value.(type) {
	case map[string]any:
		taken, ok = removed(v, path)
		return v, taken, ok
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(v) {
			return v, nil, false
		}
		if len(path) == 1 {
			taken = v[i]
			return slices.Delete(v, i, i+1), taken, true
		}
		v[i], taken, ok = without(v[i], path[1:])
		return v, taken, ok
	}
	return value, nil, false
}

// indexed is a path of a pointer as this package writes paths.
func indexed(path []string) []string {
	out := make([]string, len(path))
	for i, p := range path {
		if out[i] = p; i > 0 && p != "" && strings.Trim(p, "0123456789") == "" {
			out[i] = "[" + p + "]"
		}
	}
	return out
}

// expression removes the paths that one jq expression selects, on each side its own.
func (p *pruner) expression(ctx context.Context, from, expression string, want, have map[string]any) error {
	var selected [2][][]string
	for i, object := range []map[string]any{want, have} {
		paths, err := p.jq.paths(ctx, expression, object)
		if err != nil {
			return fmt.Errorf("%s: jq expression %q: %w", from, clipped(expression), err)
		}
		selected[i] = paths
	}
	var taken [2][]any
	for i, object := range []map[string]any{want, have} {
		// From the last, so that those before it keep their place.
		for _, path := range slices.Backward(selected[i]) {
			if kept(path) || len(path) == 0 {
				return fmt.Errorf("%s: jq expression %q selects what is in every object", from, clipped(expression))
			}
			if value, ok := removed(object, path); ok {
				taken[i] = append(taken[i], value)
			}
		}
	}
	if !reflect.DeepEqual(taken[0], taken[1]) {
		for _, path := range append(selected[1], selected[0]...) {
			p.used.add(from, indexed(path))
		}
	}
	return nil
}

func clipped(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxValue)], "") }

// owned removes the fields that a manager owns: below a list, those of the elements with
// the recorded keys, and elements that are the manager's alone.
func (p *pruner) owned(from string, path []string, fields map[string]any, want, have map[string]any) {
	for key, below := range fields {
		name, isField := strings.CutPrefix(key, "f:")
		deeper, _ := below.(map[string]any)
		at := append(slices.Clone(path), name)
		if !isField || kept(at) && len(deeper) == 0 || len(at) == 1 && name == "status" {
			continue
		}
		if len(deeper) == 0 {
			p.both(from, at, []string{name}, want, have)
			continue
		}
		p.ownedBelow(from, at, deeper, want, have)
	}
}

// ownedBelow is owned for one field that holds more: what is left of it, if nothing,
// goes too.
func (p *pruner) ownedBelow(from string, path []string, fields map[string]any, want, have map[string]any) {
	name := path[len(path)-1]
	left := -1
	switch h := have[name].(type) {
	case map[string]any:
		w, _ := want[name].(map[string]any)
		if w == nil {
			w = map[string]any{}
		}
		p.owned(from, path, fields, w, h)
		if fields["."] != nil {
			left = len(h)
		}
	case []any:
		w, _ := want[name].([]any)
		h = p.elements(from, path, fields, w, h)
		have[name], left = h, len(h)
	}
	if left == 0 && want[name] == nil {
		delete(have, name)
	}
}

func (p *pruner) elements(from string, path []string, fields map[string]any, want, have []any) []any {
	for key, below := range fields {
		deeper, _ := below.(map[string]any)
		i := slices.IndexFunc(have, func(e any) bool { return names(key, e, -1) })
		if i < 0 {
			continue
		}
		at := append(slices.Clone(path), "["+strconv.Itoa(i)+"]")
		j := slices.IndexFunc(want, func(e any) bool { return names(key, e, -1) })
		if j < 0 {
			p.used.add(from, at)
			have = slices.Delete(have, i, i+1)
			continue
		}
		h, isMap := have[i].(map[string]any)
		w, alike := want[j].(map[string]any)
		if isMap && alike {
			p.owned(from, at, withoutKeys(deeper, key), w, h)
		}
	}
	return have
}

// withoutKeys leaves the fields that name an element of a list in place.
func withoutKeys(fields map[string]any, key string) map[string]any {
	var keys map[string]any
	_, rest, _ := strings.Cut(key, ":")
	if json.Unmarshal([]byte(rest), &keys) != nil {
		return fields
	}
	out := map[string]any{}
	for field, below := range fields {
		if _, isKey := keys[strings.TrimPrefix(field, "f:")]; !isKey {
			out[field] = below
		}
	}
	return out
}
