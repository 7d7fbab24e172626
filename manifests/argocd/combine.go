package argocd

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// children of a matrix or merge.
func children(body map[string]any) ([]map[string]any, error) {
	list, _ := body["generators"].([]any)
	if len(list) < 2 {
		return nil, errors.New("needs two generators")
	}
	all := make([]map[string]any, 0, len(list))
	for i, entry := range list {
		g, ok := entry.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("generators[%d] must be a mapping", i)
		}
		all = append(all, g)
	}
	return all, nil
}

// matrix combines each set of the first generator with each of the second, which may
// use the parameters of the first.
func (s *set) matrix(body map[string]any, given params, depth int) ([]params, error) {
	generators, err := children(body)
	if err != nil {
		return nil, fmt.Errorf("matrix: %w", err)
	}
	if len(generators) > 2 {
		return nil, errors.New("matrix: takes two generators: nest another matrix for more")
	}
	first, err := s.generate(generators[0], given, depth)
	if err != nil {
		return nil, fmt.Errorf("matrix.generators[0]: %w", err)
	}
	var all []params
	for _, a := range first {
		second, err := s.generate(generators[1], merged(given, a), depth)
		if err != nil {
			return nil, fmt.Errorf("matrix.generators[1]: %w", err)
		}
		if err := s.enough(len(all) + len(second)); err != nil {
			return nil, err
		}
		for _, b := range second {
			both, err := s.combined(a, b)
			if err != nil {
				return nil, fmt.Errorf("matrix: %w", err)
			}
			all = append(all, both)
		}
	}
	return all, nil
}

// combined is both sets together. With Go templates the first one's values stand; else
// they must not disagree.
func (s *set) combined(a, b params) (params, error) {
	if s.definition.Spec.GoTemplate {
		return filled(a, b), nil
	}
	both := make(params, len(a)+len(b))
	for _, side := range []params{a, b} {
		for key, value := range side {
			if old, ok := both[key]; ok && fmt.Sprint(old) != fmt.Sprint(value) {
				return nil, fmt.Errorf("both generators give parameter %q, with different values: rename one, for example by pathParamPrefix", key)
			}
			both[key] = value
		}
	}
	return both, nil
}

// merge adds to each set of the first generator what the later ones say for the same keys.
func (s *set) merge(body map[string]any, given params, depth int) ([]params, error) {
	generators, err := children(body)
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	raw, _ := body["mergeKeys"].([]any)
	var keys []string
	for _, k := range raw {
		if text, ok := k.(string); ok && !slices.Contains(keys, text) {
			keys = append(keys, text)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("merge: mergeKeys is missing: name the parameters that belong together")
	}
	base, err := s.generate(generators[0], given, depth)
	if err != nil {
		return nil, fmt.Errorf("merge.generators[0]: %w", err)
	}
	for i, g := range generators[1:] {
		over, err := s.generate(g, given, depth)
		if err != nil {
			return nil, fmt.Errorf("merge.generators[%d]: %w", i+1, err)
		}
		byKey := map[string]params{}
		for _, p := range over {
			key := keyOf(p, keys)
			if _, ok := byKey[key]; ok {
				return nil, fmt.Errorf("merge.generators[%d]: two sets of parameters have the same %s: they must differ", i+1, strings.Join(keys, ", "))
			}
			byKey[key] = p
		}
		for k, p := range base {
			if o, ok := byKey[keyOf(p, keys)]; ok {
				base[k] = s.overridden(p, o)
			}
		}
	}
	return base, nil
}

func (s *set) overridden(base, over params) params {
	if s.definition.Spec.GoTemplate {
		return merged(base, over)
	}
	out := make(params, len(base)+len(over))
	for _, side := range []params{base, over} {
		for key, value := range side {
			out[key] = value
		}
	}
	return out
}

// keyOf is what the merge keys of a set say. A key with dots may lead into a mapping.
func keyOf(p params, keys []string) string {
	values := make([]any, len(keys))
	for i, key := range keys {
		values[i] = lookup(p, key)
	}
	text, err := json.Marshal(values)
	if err != nil {
		return fmt.Sprint(values)
	}
	return string(text)
}

func lookup(p params, key string) any {
	if value, ok := p[key]; ok {
		return value
	}
	head, rest, dotted := strings.Cut(key, ".")
	below, ok := p[head].(map[string]any)
	if !dotted || !ok {
		return nil
	}
	return lookup(below, rest)
}
