package chart

import (
	"bytes"
	"fmt"
	"strings"

	helmloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/strvals"
)

// mostValues is the largest file of values.
const mostValues = 10 << 20

// Values are what a release sets, in Helm's order: each step overrides those before it,
// and a chart's own values.yaml comes before all of them.
type Values struct {
	// Files in their order.
	Files []ValuesFile
	// Inline goes after the files.
	Inline map[string]any
	// Parameters go after that, one by one; those with ForceString after the others.
	Parameters []Parameter
	// FileParameters set a value to the content of a file; they go last.
	FileParameters []FileParameter
}

// ValuesFile is one file of values.
type ValuesFile struct {
	Name string // for messages
	Data []byte
}

// Parameter sets one value by its path, as helm --set does: a.b, a[0], a\.b.
type Parameter struct {
	Name, Value string
	// ForceString keeps 1 and true from becoming a number and a boolean.
	ForceString bool
	// Literal takes the value as it is: no lists in braces, no escapes.
	Literal bool
}

// FileParameter sets one value to a text.
type FileParameter struct {
	Name    string
	Content []byte
}

// Merge makes one map of all of them. It changes none of its inputs.
func (v Values) Merge() (map[string]any, error) {
	merged := map[string]any{}
	for _, f := range v.Files {
		values, err := ParseValues(f.Name, f.Data)
		if err != nil {
			return nil, err
		}
		merged = MergeValues(merged, values)
	}
	merged = MergeValues(merged, copied(v.Inline))
	for _, strings := range []bool{false, true} {
		for _, p := range v.Parameters {
			if p.ForceString != strings {
				continue
			}
			if err := p.into(merged); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range v.FileParameters {
		read := func([]rune) (any, error) { return string(p.Content), nil } //nolint:unparam // the parser's type
		if err := guarded(p.Name, func() error { return strvals.ParseIntoFile(p.Name+"=file", merged, read) }); err != nil {
			return nil, err
		}
	}
	return merged, nil
}

// ParseValues reads a file of values. Several documents in it are merged in their order.
func ParseValues(name string, data []byte) (values map[string]any, err error) {
	if len(data) > mostValues {
		return nil, fmt.Errorf("%s: values are larger than %d bytes: %w", name, mostValues, ErrLimit)
	}
	defer func() {
		if p := recover(); p != nil {
			values, err = nil, &InvalidError{Message: name + ": the parser failed on it"}
		}
	}()
	values, err = helmloader.LoadValues(bytes.NewReader(data))
	if err != nil {
		return nil, &InvalidError{Message: fmt.Sprintf("%s is not a file of values: %s", name, yamlReason(err))}
	}
	return values, nil
}

// yamlReason keeps the place and leaves out what the file says: it may be a secret.
func yamlReason(err error) string {
	text := err.Error()
	if i := strings.Index(text, "yaml: "); i >= 0 && !strings.Contains(text, "`") {
		return printable(text[i+len("yaml: "):])
	}
	return "it must hold one YAML mapping"
}

// MergeValues merges maps; later ones win, key by key. Lists are replaced as a whole.
func MergeValues(layers ...map[string]any) map[string]any {
	merged := map[string]any{}
	for _, l := range layers {
		merged = helmloader.MergeMaps(merged, l)
	}
	return merged
}

func (p Parameter) into(values map[string]any) error {
	return guarded(p.Name, func() error {
		switch {
		case p.Literal:
			return strvals.ParseLiteralInto(p.Name+"="+p.Value, values)
		case p.ForceString:
			return strvals.ParseIntoString(p.Name+"="+listSafe(p.Value), values)
		}
		return strvals.ParseInto(p.Name+"="+listSafe(p.Value), values)
	})
}

// listSafe keeps a comma from beginning another parameter, unless the value is a list
// in braces. A comma that is escaped already stays so.
func listSafe(value string) string {
	if strings.HasPrefix(value, "{") && strings.HasSuffix(value, "}") {
		return value
	}
	var b strings.Builder
	for i := range len(value) {
		if value[i] == ',' && (i == 0 || value[i-1] != '\\') {
			b.WriteByte('\\')
		}
		b.WriteByte(value[i])
	}
	return b.String()
}

// guarded calls a parser of parameters. Its errors repeat the value, so they are not
// passed on.
func guarded(name string, parse func() error) (err error) {
	fault := &InvalidError{Message: fmt.Sprintf("parameter %s cannot be set: its name must be a path like a.b or a[0], and what is above it must not be another kind of value",
		printable(name))}
	defer func() {
		if p := recover(); p != nil {
			err = fault
		}
	}()
	if name == "" || parse() != nil {
		return fault
	}
	return nil
}

// copied is a deep copy of values as a file would give them: whole numbers become
// floating-point ones, which templates print differently, and Flux and Argo CD hand
// over such.
func copied(values map[string]any) map[string]any {
	out := make(map[string]any, len(values))
	for k, v := range values {
		out[k] = copiedValue(v)
	}
	return out
}

func copiedValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return copied(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = copiedValue(v[i])
		}
		return out
	case int64:
		return float64(v)
	case int:
		return float64(v)
	}
	return v
}
