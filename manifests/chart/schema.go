package chart

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
)

// shownFaults is how many faults of values are listed.
const shownFaults = 10

// checkValues holds values against the schemas of a chart and the charts in it. Helm's
// own check would read files of this machine and addresses on the network when a schema
// refers to them; here such a part of a schema allows everything, with a warning.
func checkValues(c *helmchart.Chart, values map[string]any, warn func(string)) []string {
	var faults []string
	if c.Schema != nil {
		for _, f := range validate(c, values, warn) {
			faults = append(faults, c.Name()+": "+f)
		}
	}
	for _, sub := range c.Dependencies() {
		switch v := values[sub.Name()].(type) {
		case nil:
		case map[string]any:
			faults = append(faults, checkValues(sub, v, warn)...)
		default:
			faults = append(faults, fmt.Sprintf("%s: %s must be a mapping: it holds the values of that chart", c.Name(), sub.Name()))
		}
	}
	return faults
}

func validate(c *helmchart.Chart, values map[string]any, warn func(string)) (faults []string) {
	broken := func(what any) []string {
		return []string{"its values.schema.json is not a schema: " + printable(fmt.Sprint(what))}
	}
	defer func() {
		if p := recover(); p != nil {
			faults = broken(p)
		}
	}()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema))
	if err != nil {
		return broken(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(elsewhere(func(address string) {
		warn(fmt.Sprintf("chart %s: its values.schema.json refers to %s, which is not read: that part of the values is not checked", c.Name(), printable(address)))
	}))
	const here = "chart:///values.schema.json"
	if err := compiler.AddResource(here, document); err != nil {
		return broken(err)
	}
	schema, err := compiler.Compile(here)
	if err != nil {
		return broken(err)
	}
	var invalid *jsonschema.ValidationError
	if err = schema.Validate(values); errors.As(err, &invalid) {
		return listed(invalid)
	}
	return nil
}

// elsewhere loads nothing: what it stands for allows everything.
type elsewhere func(address string)

// Load implements jsonschema.URLLoader.
func (e elsewhere) Load(address string) (any, error) {
	e(address)
	return true, nil
}

// listed turns the tree of causes into sentences, without quoting any value.
func listed(e *jsonschema.ValidationError) []string {
	var faults []string
	var visit func(e *jsonschema.ValidationError)
	visit = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			faults = append(faults, strings.Join(slices.Insert(slices.Clone(e.InstanceLocation), 0, "values"), ".")+" "+fault(e.ErrorKind))
		}
		for _, cause := range e.Causes {
			visit(cause)
		}
	}
	visit(e)
	slices.Sort(faults)
	faults = slices.Compact(faults)
	if more := len(faults) - shownFaults; more > 0 {
		faults = append(faults[:shownFaults], fmt.Sprintf("and %d more", more))
	}
	return faults
}

func fault(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("is a %s, not a %s", k.Got, strings.Join(k.Want, " or a "))
	case *kind.Required:
		return "lacks " + strings.Join(k.Missing, ", ")
	case *kind.AdditionalProperties:
		return "has what the chart does not know: " + printable(strings.Join(k.Properties, ", "))
	case *kind.Enum:
		return printable(fmt.Sprintf("is none of %v", k.Want))
	case *kind.Pattern:
		return "does not match the pattern " + printable(k.Want)
	case *kind.Format:
		return "is not a valid " + printable(k.Want)
	case *kind.FalseSchema:
		return "is not allowed"
	}
	return "does not satisfy " + strings.Join(k.KeywordPath(), "/")
}
