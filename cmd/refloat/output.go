package main

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// outputFormat is the value of -o: empty for people, json or yaml for programs.
type outputFormat string

var _ pflag.Value = (*outputFormat)(nil)

func (o *outputFormat) addFlag(flags *pflag.FlagSet) {
	flags.VarP(o, "output", "o", "output format: json or yaml (default: text for people)")
}

// String implements pflag.Value.
func (o *outputFormat) String() string { return string(*o) }

// Type implements pflag.Value.
func (o *outputFormat) Type() string { return "format" }

// Set implements pflag.Value.
func (o *outputFormat) Set(s string) error {
	switch s {
	case "json", "yaml":
		*o = outputFormat(s)
	case "text", "table":
		*o = ""
	default:
		return usageError("%q is none of json, yaml, text", s)
	}
	return nil
}

func (o outputFormat) structured() bool { return o != "" }

// write prints v in the chosen structured format, and nothing else.
func (o outputFormat) write(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if o == "yaml" {
		if data, err = yaml.JSONToYAML(data); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, strings.TrimRight(string(data), "\n")+"\n")
	return err
}
