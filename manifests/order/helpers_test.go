package order_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
)

// parse reads YAML documents. A document's line is its position in the text, and
// "# unit NAME" as its first line sets the unit from there on.
func parse(t testing.TB, text string) []manifests.Object {
	t.Helper()
	var out []manifests.Object
	unit := ""
	for n, doc := range strings.Split(text, "\n---\n") {
		if _, rest, ok := strings.Cut(doc, "# unit "); ok {
			unit, _, _ = strings.Cut(rest, "\n")
		}
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatalf("document %d: %v", n+1, err)
		}
		out = append(out, manifests.Object{Unstructured: u, Origin: manifests.Origin{Unit: unit, File: "f.yaml", Line: n + 1}})
	}
	return out
}

// edges are all edges of the graph, sorted, as sentences.
func edges(g *order.Graph) []string {
	var out []string
	for _, n := range g.Nodes {
		for _, e := range n.Needs {
			out = append(out, fmt.Sprintf("%s after %s: %s (%s %s)", nodeName(n), nodeName(g.Nodes[e.From]), e.Reason, e.Kind, e.Gate))
		}
	}
	slices.Sort(out)
	return out
}

func nodeName(n order.Node) string {
	if n.Virtual() {
		return "[" + n.Barrier + "]"
	}
	return n.Object.ID().String()
}

// levels maps each object to its wave.
func levels(g *order.Graph) map[string]int {
	out := map[string]int{}
	for _, n := range g.Nodes {
		if !n.Virtual() {
			out[nodeName(n)] = n.Wave
		}
	}
	return out
}

func build(t testing.TB, text string, o order.Options) *order.Graph {
	t.Helper()
	g, err := order.Build(parse(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// meta is the head of an object in namespace default.
func meta(apiVersion, kind, name string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: default}\n", apiVersion, kind, name)
}

func cluster(apiVersion, kind, name string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s}\n", apiVersion, kind, name)
}

// annotated is a ConfigMap with one annotation.
func annotated(name, key, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default, annotations: {%s: %q}}\n", name, key, value)
}

func docs(d ...string) string { return strings.Join(d, "\n---\n") }
