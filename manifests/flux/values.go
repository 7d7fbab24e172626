package flux

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

type valuesReference struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	ValuesKey  string `json:"valuesKey"`
	TargetPath string `json:"targetPath"`
	Optional   bool   `json:"optional"`
	Literal    bool   `json:"literal"`
}

const (
	maxValuesBytes = 4 << 20
	maxListIndex   = 10_000
)

// values of a release: those of spec.valuesFrom in their order, then its own.
func (r *reader) values(spec helmReleaseSpec) (map[string]any, error) {
	merged := map[string]any{}
	for i, from := range spec.ValuesFrom {
		field := fmt.Sprintf("spec.valuesFrom[%d]", i)
		data, err := r.data(field, from.Kind, from.Name, from.Optional)
		if err != nil {
			return nil, err
		}
		key := from.ValuesKey
		if key == "" {
			key = "values.yaml"
		}
		text, ok := data[key]
		if from.Kind == "Secret" {
			r.redact = append(r.redact, textsOf(text)...)
		}
		switch {
		case !ok && from.Optional:
			continue
		case !ok:
			return nil, r.faultf(field, "names %s %s, which has no key %q", from.Kind, from.Name, key)
		case len(text) > maxValuesBytes:
			return nil, r.faultf(field, "names %s %s, whose key %q is larger than %d bytes", from.Kind, from.Name, key, maxValuesBytes)
		}
		if from.TargetPath != "" {
			if err := setPath(merged, from.TargetPath, string(text), from.Literal); err != nil {
				return nil, r.faultf(field+".targetPath", "%w", err)
			}
			continue
		}
		var values map[string]any
		if err := yaml.Unmarshal(text, &values); err != nil {
			// The parser's own words could quote a secret.
			return nil, r.faultf(field, "names %s %s, whose key %q is not a YAML mapping", from.Kind, from.Name, key)
		}
		merge(merged, values)
	}
	merge(merged, runtime.DeepCopyJSON(normal(spec.Values)))
	return merged, nil
}

// textsOf lists what a value from a Secret could be quoted as: its lines, and the texts in
// it when it is YAML.
func textsOf(text []byte) []string {
	var all []string
	for line := range strings.Lines(string(text)) {
		all = append(all, strings.TrimSpace(line))
	}
	var parsed any
	if len(text) <= maxValuesBytes && yaml.Unmarshal(text, &parsed) == nil {
		all = append(all, leaves(parsed)...)
	}
	return all
}

func leaves(v any) []string {
	var all []string
	switch v := v.(type) {
	case map[string]any:
		for _, below := range v {
			all = append(all, leaves(below)...)
		}
	case []any:
		for _, below := range v {
			all = append(all, leaves(below)...)
		}
	case string:
		all = append(all, v)
	case nil, bool: // not worth hiding: it would garble messages
	default:
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// normal is a mapping that is never nil.
func normal(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// merge puts one mapping over another, key by key.
func merge(into, over map[string]any) {
	for key, v := range over {
		below, isMap := into[key].(map[string]any)
		if above, ok := v.(map[string]any); ok && isMap {
			merge(below, above)
			continue
		}
		into[key] = v
	}
}

// step of a path: a key, or an index of the list below it.
type step struct {
	key   string
	index int
	list  bool
}

// setPath sets one value, as "helm --set path=value" does. Unless it is literal or in
// quotes, a value that looks like a number, a boolean or null becomes one.
func setPath(values map[string]any, path, text string, literal bool) error {
	steps, err := steps(path)
	if err != nil {
		return err
	}
	value, err := scalar(text, literal)
	if err != nil {
		return err
	}
	_, err = set(values, steps, value)
	return err
}

func scalar(text string, literal bool) (any, error) {
	if literal {
		return text, nil
	}
	text = strings.TrimRight(text, "\n")
	for _, quote := range []string{"'", `"`} {
		if len(text) >= 2 && strings.HasPrefix(text, quote) && strings.HasSuffix(text, quote) {
			return strings.Trim(text, quote), nil
		}
	}
	switch text {
	case "true", "false":
		return text == "true", nil
	case "null":
		return nil, nil
	}
	if strings.HasPrefix(text, "{") || strings.Contains(text, ",") {
		return nil, fmt.Errorf("names a value with , or { in it: set literal, or put the value in quotes")
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && (text == "0" || text[0] != '0') {
		return n, nil
	}
	return text, nil
}

// steps reads a.b[0].c; a backslash takes the meaning off a dot.
func steps(path string) ([]step, error) {
	var all []step
	var key strings.Builder
	flush := func() {
		if key.Len() > 0 {
			all = append(all, step{key: key.String()})
			key.Reset()
		}
	}
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '\\':
			if i++; i < len(path) {
				key.WriteByte(path[i])
			}
		case '.':
			flush()
		case '[':
			flush()
			end := strings.IndexByte(path[i:], ']')
			index, err := strconv.Atoi(path[i+1 : max(i+1, i+end)])
			if end < 0 || err != nil || index < 0 || index > maxListIndex || len(all) == 0 {
				return nil, fmt.Errorf("%q is no path: an index is written [0]", path)
			}
			all = append(all, step{index: index, list: true})
			i += end
		default:
			key.WriteByte(path[i])
		}
	}
	flush()
	if len(all) == 0 || len(all) > 100 {
		return nil, fmt.Errorf("%q is no path", path)
	}
	return all, nil
}

// set returns the container with the value in it.
func set(container any, path []step, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	at := path[0]
	if at.list {
		list, ok := container.([]any)
		if !ok && container != nil {
			return nil, fmt.Errorf("leads into something that is not a list")
		}
		for len(list) <= at.index {
			list = append(list, nil)
		}
		below, err := set(list[at.index], path[1:], value)
		list[at.index] = below
		return list, err
	}
	m, ok := container.(map[string]any)
	if !ok && container != nil {
		return nil, fmt.Errorf("leads into something that is not a mapping")
	}
	if m == nil {
		m = map[string]any{}
	}
	below, err := set(m[at.key], path[1:], value)
	m[at.key] = below
	return m, err
}
