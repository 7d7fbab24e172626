package flux

import (
	"errors"
	"fmt"
	"strings"

	"helm.sh/helm/v4/pkg/strvals"
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
	maxPath        = 4 << 10
	// maxIndexes in a path and its value: each may make a list of 65,536 entries.
	maxIndexes = 20
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

// setPath sets one value as Flux does: the path and the value go through the parser of
// helm --set, so that commas begin further values, braces make a list, and a value in
// quotes stays a text. A literal one is taken as it is.
func setPath(values map[string]any, path, text string, literal bool) (err error) {
	// The parser's own words would quote the value.
	fault := errors.New("and the value do not go together: write the path as a.b or a[0], or set literal where the value holds , { or =")
	switch {
	case len(path) > maxPath, strings.Count(path+text, "[") > maxIndexes && !literal:
		return fmt.Errorf("is longer than %d characters, or sets more than %d entries of lists", maxPath, maxIndexes)
	case strings.Contains(path, "="), strings.Count(path, "[") != strings.Count(path, "]"): // the parser would drop it
		return fault
	}
	defer func() {
		if recover() != nil {
			err = fault
		}
	}()
	switch quoted := inQuotes(text); {
	case literal:
		err = strvals.ParseLiteralInto(path+"="+text, values)
	case quoted:
		err = strvals.ParseIntoString(path+"="+strings.Trim(text, `'"`), values)
	default:
		err = strvals.ParseInto(path+"="+text, values)
	}
	if err != nil {
		return fault
	}
	return nil
}

func inQuotes(text string) bool {
	for _, quote := range []string{"'", `"`} {
		if strings.HasPrefix(text, quote) && strings.HasSuffix(text, quote) {
			return true
		}
	}
	return false
}
