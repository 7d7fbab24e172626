// Package builtin knows the kinds that a Kubernetes API server has without any
// CustomResourceDefinition: their resource names and scopes. A repository can so be
// checked and ordered before there is a cluster to ask.
package builtin

import (
	_ "embed"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Release of Kubernetes that the table was taken from.
const Release = "1.36"

// kinds is a table, not code, so that the next release is one file to replace. It
// includes the kinds of alpha and beta APIs, which a cluster may have enabled.
//
//go:embed kinds.txt
var kinds string

// Kind is one built-in kind.
type Kind struct {
	// Resource is the plural in request paths, for example "deployments".
	Resource string
	// Namespaced is false for kinds of the whole cluster.
	Namespaced bool
	// Versions that are served, for example v1.
	Versions []string
}

var table = parse(kinds)

// Lookup a kind; nil when it is not built in.
func Lookup(gk schema.GroupKind) *Kind { return table[gk] }

// Kinds lists all of them, in no order.
func Kinds() []schema.GroupKind { return slices.Collect(maps.Keys(table)) }

func parse(text string) map[schema.GroupKind]*Kind {
	table := map[schema.GroupKind]*Kind{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 5 || strings.HasPrefix(line, "#") {
			continue
		}
		gk := schema.GroupKind{Group: strings.TrimPrefix(f[0], "-"), Kind: f[2]}
		k := table[gk]
		if k == nil {
			k = &Kind{Resource: f[3], Namespaced: f[4] == "Namespaced"}
			table[gk] = k
		}
		k.Versions = append(k.Versions, f[1])
	}
	return table
}
