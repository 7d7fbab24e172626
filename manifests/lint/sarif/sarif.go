// Package sarif writes findings in the Static Analysis Results Interchange Format
// 2.1.0, which code hosts show beside the lines that they are about.
package sarif

import (
	"encoding/json"
	"io"
	"net/url"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/lint"
)

const (
	version = "2.1.0"
	schema  = "https://json.schemastore.org/sarif-2.1.0.json"
	// root is the base of all addresses: the root of the repository.
	root = "%SRCROOT%"
	// fingerprint is versioned, so that a change of what it is made of is no surprise.
	fingerprint = "refloat/v1"
)

type log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool struct {
		Driver driver `json:"driver"`
	} `json:"tool"`
	ColumnKind string   `json:"columnKind"`
	Results    []result `json:"results"`
}

type driver struct {
	Name           string `json:"name"`
	Version        string `json:"version,omitempty"`
	InformationURI string `json:"informationUri"`
	Rules          []rule `json:"rules"`
}

type text struct {
	Text string `json:"text"`
}

type rule struct {
	ID               string `json:"id"`
	ShortDescription text   `json:"shortDescription"`
	FullDescription  text   `json:"fullDescription"`
	Help             text   `json:"help"`
	Default          struct {
		Level lint.Severity `json:"level"`
	} `json:"defaultConfiguration"`
}

type result struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        lint.Severity     `json:"level"` // error, warning and note are SARIF's own words
	Message      text              `json:"message"`
	Locations    []location        `json:"locations,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Suppressions []suppression     `json:"suppressions,omitempty"`
}

type suppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

type location struct {
	Physical *physical `json:"physicalLocation,omitempty"`
	Logical  []logical `json:"logicalLocations,omitempty"`
}

type physical struct {
	Artifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId"`
	} `json:"artifactLocation"`
	Region *region `json:"region,omitempty"`
}

type region struct {
	StartLine int `json:"startLine"`
}

type logical struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
	Kind               string `json:"kind"`
}

// Write the report. Ignored findings are results that are suppressed in source.
func Write(w io.Writer, r *lint.Report, toolVersion string) error {
	one := run{ColumnKind: "utf16CodeUnits", Results: []result{}}
	one.Tool.Driver = driver{Name: "refloat", Version: toolVersion, InformationURI: "https://refloat.dev", Rules: []rule{}}
	index := map[string]int{}
	for i, l := range lint.Rules() {
		index[l.ID] = i
		described := rule{ID: l.ID, ShortDescription: text{l.Title + "."}, FullDescription: text{l.Why}, Help: text{l.Fix}}
		described.Default.Level = l.Severity
		one.Tool.Driver.Rules = append(one.Tool.Driver.Rules, described)
	}
	for _, f := range r.Findings {
		one.Results = append(one.Results, resultOf(f, index))
	}
	for _, f := range r.Ignored {
		ignored := resultOf(f, index)
		ignored.Suppressions = []suppression{{Kind: "inSource", Justification: "annotation " + lint.IgnoreAnnotation}}
		one.Results = append(one.Results, ignored)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(log{Schema: schema, Version: version, Runs: []run{one}})
}

func resultOf(f lint.Finding, index map[string]int) result {
	r := result{
		RuleID: f.Rule, RuleIndex: index[f.Rule], Level: f.Severity,
		Message:      text{strings.TrimSuffix(f.Message, ".") + ". " + f.Why + " " + f.Fix},
		Fingerprints: map[string]string{fingerprint: f.Fingerprint},
	}
	var at location
	if f.Origin.File != "" {
		at.Physical = &physical{}
		at.Physical.Artifact.URI = (&url.URL{Path: f.Origin.File}).String()
		at.Physical.Artifact.URIBaseID = root
		if f.Origin.Line > 0 {
			at.Physical.Region = &region{StartLine: f.Origin.Line}
		}
	}
	if (f.Object != manifests.ID{}) {
		at.Logical = []logical{{FullyQualifiedName: f.Object.String(), Kind: "object"}}
	}
	if at.Physical != nil || at.Logical != nil {
		r.Locations = []location{at}
	}
	return r
}
