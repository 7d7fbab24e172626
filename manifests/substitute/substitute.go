// Package substitute replaces ${VAR} in rendered objects the way Flux does after a
// build: bash's forms of parameter expansion, on the YAML text of each object, so
// that a value may become a number or a list.
//
// Values may be secret: no error contains one.
package substitute

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/envsubst"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// DisabledKey is the label or annotation that exempts an object with the value "disabled".
const DisabledKey = "kustomize.toolkit.fluxcd.io/substitute"

const (
	// maxText bounds an object's text before and after.
	maxText = 16 << 20
	// maxDepth of variables within variables.
	maxDepth = 50
	// maxCutValue bounds values from which a pattern is cut: the time grows with its square.
	maxCutValue = 16 << 10
)

var validName = regexp.MustCompile(`^[_[:alpha:]][_[:alpha:][:digit:]]*$`)

// Values of variables by name.
type Values map[string]string

// Set a variable. Newlines are taken out of its value, as Flux does.
func (v Values) Set(name, value string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("the variable name %q is not valid: use letters, digits and _, not beginning with a digit", short(name))
	}
	v[name] = strings.ReplaceAll(value, "\n", "")
	return nil
}

// Object replaces the variables in an object. With no values at all nothing happens,
// unless always is set. A variable that has neither a value nor a default is an error.
func Object(u *unstructured.Unstructured, values Values, always bool) error {
	if len(values) == 0 && !always || Disabled(u) {
		return nil
	}
	text, err := yaml.Marshal(u.Object)
	if err != nil {
		return fmt.Errorf("cannot be written as YAML: %w", err)
	}
	replaced, err := replace(string(text), values)
	if err != nil || replaced == string(text) {
		return err
	}
	content := map[string]any{}
	asJSON, err := yaml.YAMLToJSON([]byte(replaced))
	if err == nil {
		err = utiljson.Unmarshal(asJSON, &content)
	}
	if err != nil {
		// The parser's own words could quote a value.
		return fmt.Errorf("is no longer valid YAML when its variables are replaced: quote ${%s} where a text is meant", firstUsed(string(text), values))
	}
	u.Object = content
	return nil
}

// Disabled says whether an object is exempt.
func Disabled(u *unstructured.Unstructured) bool {
	return strings.EqualFold(u.GetLabels()[DisabledKey], "disabled") || strings.EqualFold(u.GetAnnotations()[DisabledKey], "disabled")
}

// replace bounds what the library is given: it can be interrupted by nothing.
func replace(text string, values Values) (replaced string, err error) {
	if !strings.Contains(text, "${") {
		// The library still turns $$ into $.
		if !strings.Contains(text, "$$") {
			return text, nil
		}
	}
	if err := checkText(text, values); err != nil {
		return "", err
	}
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("has a variable that cannot be parsed: write $${ for a literal ${")
		}
	}()
	size, missing := len(text), ""
	replaced, err = envsubst.Eval(text, func(name string) (string, bool) {
		value, ok := values[name]
		if size += len(value); size > maxText {
			missing = ""
			return "", false
		}
		if !ok {
			missing = name
		}
		return value, ok
	})
	switch {
	case size > maxText || len(replaced) > maxText:
		return "", fmt.Errorf("grows beyond %d bytes when its variables are replaced", maxText)
	case err != nil && missing != "":
		return "", fmt.Errorf("uses the variable %s, which has no value: set it, write ${%s:=default}, or $${%s} to keep it as it is (known: %s)", missing, missing, missing, known(values))
	case err != nil:
		return "", fmt.Errorf("has a variable that cannot be parsed: write $${ for a literal ${")
	}
	return replaced, nil
}

// replacing and cutting are the forms whose cost is more than the size of the text.
var (
	replacing = regexp.MustCompile(`\$\{([_[:alpha:]]\w*)//?[#%]?([^}]*)`)
	cutting   = regexp.MustCompile(`\$\{([_[:alpha:]]\w*)[#%]`)
)

func checkText(text string, values Values) error {
	if len(text) > maxText {
		return fmt.Errorf("is larger than %d bytes", maxText)
	}
	text = strings.ReplaceAll(text, "$$", "  ") // what is escaped is no variable
	depth := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			if depth++; depth > maxDepth {
				return fmt.Errorf("has variables nested deeper than %d, or a ${ that is never closed", maxDepth)
			}
		case text[i] == '}' && depth > 0:
			depth--
		}
	}
	for _, m := range replacing.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[2], "${") {
			return fmt.Errorf("replaces text in the variable %s by another variable: not supported", m[1])
		}
		if len(values[m[1]])*len(m[2]) > maxText {
			return fmt.Errorf("grows beyond %d bytes when text in the variable %s is replaced", maxText, m[1])
		}
	}
	for _, m := range cutting.FindAllStringSubmatch(text, -1) {
		if len(values[m[1]]) > maxCutValue {
			return fmt.Errorf("cuts a pattern from the variable %s, whose value is longer than %d bytes", m[1], maxCutValue)
		}
	}
	return nil
}

var anyVariable = regexp.MustCompile(`\$\{([_[:alpha:]]\w*)`)

func firstUsed(text string, values Values) string {
	text = strings.ReplaceAll(text, "$$", "  ")
	for _, m := range anyVariable.FindAllStringSubmatch(text, -1) {
		if _, ok := values[m[1]]; ok {
			return m[1]
		}
	}
	return "VAR"
}

func known(values Values) string {
	const shown = 12
	names := make([]string, 0, len(values))
	for n := range values {
		names = append(names, n)
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	list := strings.Join(names[:min(shown, len(names))], ", ")
	if len(names) > shown {
		list += ", …"
	}
	return list
}

func short(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
