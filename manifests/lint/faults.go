package lint

import (
	"errors"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/render"
)

// FaultsOf takes apart an error of a rendering; none if it is not about the content of
// files.
func FaultsOf(err error) []Fault {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		var out []Fault
		for _, e := range all.Unwrap() {
			out = append(out, FaultsOf(e)...)
		}
		return out
	}
	var input *render.InputError
	var definition *flux.DefinitionError
	switch {
	case errors.As(err, &input):
	case errors.As(err, &definition):
		message := strings.TrimPrefix(definition.Error(), definition.Origin.String()+": ")
		return []Fault{{File: definition.Origin.File, Line: definition.Origin.Line, Message: message}}
	default:
		return nil
	}
	f := Fault{File: input.File, Line: input.Line, Message: input.Message}
	if errors.Is(err, render.ErrDuplicate) {
		f.Rule = "duplicate-object"
	}
	return []Fault{f}
}

// Closed leaves what a repository encrypts as it is: names and keys can be read
// without the content, and no rule asks for more.
type Closed struct{}

var _ render.Decrypter = Closed{}

// Object changes nothing.
func (Closed) Object(*unstructured.Unstructured) (bool, error) { return false, nil }

// File changes nothing.
func (Closed) File(_ string, content []byte) ([]byte, bool, error) { return content, false, nil }

// faults of files become findings like all others.
func (c *checker) faults() {
	for _, f := range c.in.Faults {
		name := f.Rule
		if name == "" {
			name = "invalid-manifest"
		}
		r := rule(name)
		c.found = append(c.found, Finding{
			Rule: name, Severity: r.Severity, Origin: manifests.Origin{File: f.File, Line: f.Line},
			Message: strings.ReplaceAll(f.Message, "\n", " "), Why: r.Why, Fix: r.Fix,
		})
	}
}
