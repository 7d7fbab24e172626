package capi_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/providers/capi"
)

func TestParseRefuses(t *testing.T) {
	cluster := "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev}\n"
	for name, test := range map[string]struct {
		documents []string
		want      string
	}{
		"nothing":              {nil, "exactly one Cluster"},
		"no cluster":           {[]string{"apiVersion: v1\nkind: Secret\nmetadata: {name: s}"}, "f:1: no Cluster"},
		"two clusters":         {[]string{cluster, strings.Replace(cluster, "dev", "dev2", 1)}, "f:2: Cluster dev2: is the second Cluster (the first is dev at f:1)"},
		"another name":         {[]string{strings.Replace(cluster, "dev", "prod", 1)}, "f:1: Cluster prod: the plan's cluster is dev"},
		"old version":          {[]string{strings.Replace(cluster, "v1beta2", "v1beta1", 1)}, "f:1: Cluster dev: is written as cluster.x-k8s.io/v1beta1; convert it to cluster.x-k8s.io/v1beta2"},
		"another namespace":    {[]string{strings.Replace(cluster, "name: dev", "name: dev, namespace: other", 1)}, "metadata.namespace is other"},
		"a workload":           {[]string{cluster, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}"}, "f:2: Deployment x: does not belong into the cluster path"},
		"a lookalike group":    {[]string{cluster, "apiVersion: evilcluster.x-k8s.io/v1\nkind: X\nmetadata: {name: x}"}, "f:2: X x: does not belong"},
		"twice":                {[]string{cluster, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}"}, "f:3: Secret s: is written twice; the first is at f:2"},
		"no name":              {[]string{cluster, "apiVersion: v1\nkind: Secret\nmetadata: {generateName: s}"}, "has no metadata.name"},
		"bad name":             {[]string{cluster, "apiVersion: v1\nkind: Secret\nmetadata: {name: A_b}"}, "metadata.name"},
		"no kind":              {[]string{cluster, "apiVersion: v1\nmetadata: {name: s}"}, "has no apiVersion or kind"},
		"finalizers":           {[]string{strings.Replace(cluster, "name: dev", "name: dev, finalizers: [x]", 1)}, "belong to a live object"},
		"too many":             {many(501), "at most 500"},
		"a cluster of another": {[]string{"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Cluster}"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := capi.Parse(decode(t, test.documents...), "dev", "fleet")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to say %q", err, test.want)
			}
			var input *capi.InputError
			var named *capi.NameError
			if !errors.As(err, &input) && !errors.As(err, &named) {
				t.Errorf("%T is not typed", err)
			}
		})
	}
}

func TestParseNormalises(t *testing.T) {
	in := decode(t, "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev, uid: x, resourceVersion: '3'}\nstatus: {phase: Provisioned}\n")
	m, err := capi.Parse(in, "dev", "fleet")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "metadata": map[string]any{"name": "dev", "namespace": "fleet"}}
	if diff := cmp.Diff(want, m.Sources()[0].Object.Object); diff != "" {
		t.Errorf("cluster (-want +got):\n%s", diff)
	}
	if in[0].Object.GetUID() != "x" {
		t.Error("the input was changed")
	}
}

// TestRename renders each case of testdata/rename: NAME.yaml renamed is NAME.want.yaml.
func TestRename(t *testing.T) {
	inputs, err := filepath.Glob("testdata/rename/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in.yaml"), func(t *testing.T) {
			m, err := capi.Parse(decode(t, documents(t, input)...), "dev", "fleet")
			if err != nil {
				t.Fatal(err)
			}
			live := map[string]bool{}
			for _, src := range m.Sources() {
				live[src.Object.GetKind()+" "+src.Object.GetName()] = true
			}
			renamed := m.Rename("dev-drill-1a2b3c")
			got := map[string]any{}
			for _, src := range renamed.Sources() {
				key := src.Object.GetKind() + " " + src.Object.GetName()
				if live[key] {
					t.Errorf("%s has the name of a live object", key)
				}
				got[key] = src.Object.Object
			}
			want := map[string]any{}
			for _, src := range decode(t, documents(t, strings.Replace(input, ".in.", ".want.", 1))...) {
				src.Object.SetNamespace("fleet")
				want[src.Object.GetKind()+" "+src.Object.GetName()] = src.Object.Object
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("renamed (-want +got):\n%s", diff)
			}
			again := m.Sources()
			for _, src := range again {
				if !live[src.Object.GetKind()+" "+src.Object.GetName()] {
					t.Errorf("Rename changed its receiver: %s", src.Object.GetName())
				}
			}
		})
	}
}

func TestRenameKeepsNamesDerivedFromVariables(t *testing.T) {
	m, err := capi.Parse(decode(t,
		"apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev-drill-1}\nspec: {controlPlaneEndpoint: {host: dev-drill-1.example.com, port: 6443}}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: dev-drill-1-ca}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: shared}"), "dev-drill-1", "fleet")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	renamed := m.Rename("dev-drill-1")
	for _, src := range renamed.Sources() {
		names = append(names, src.Object.GetName())
	}
	if diff := cmp.Diff([]string{"dev-drill-1-ca", "shared-d4cb7b77", "dev-drill-1"}, names); diff != "" && !strings.HasPrefix(names[1], "shared-") {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if len(renamed.Notes) > 0 {
		t.Errorf("an endpoint that follows the name was dropped: %v", renamed.Notes)
	}
}

func TestRenameKeepsLongNamesApart(t *testing.T) {
	long := strings.Repeat("a", 60)
	m, err := capi.Parse(decode(t,
		"apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: dev-"+long+"x}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: dev-"+long+"y}"), "dev", "fleet")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, src := range m.Rename("dev-drill-1").Sources() {
		if name := src.Object.GetName(); len(name) > 63 || seen[name] {
			t.Errorf("name %q is too long or taken", name)
		} else {
			seen[name] = true
		}
	}
}

func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: s%d}", i)
	}
	return out
}

func documents(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(raw), "\n---\n")
}

func decode(t *testing.T, documents ...string) []capi.Source {
	t.Helper()
	var out []capi.Source
	for i, document := range documents {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
			t.Fatal(err)
		}
		out = append(out, capi.Source{Object: u, From: fmt.Sprintf("f:%d", i+1)})
	}
	return out
}
