package capi_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/providers/capi"
)

func TestKubernetesVersion(t *testing.T) {
	const refers = `{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: dev}, spec: {controlPlaneRef: {kind: Any, name: dev-cp}}}`
	for name, test := range map[string]struct {
		documents []string
		want      string
	}{
		"of the topology":      {[]string{`{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: dev}, spec: {topology: {version: v1.34.2}}}`}, "v1.34.2"},
		"of the control plane": {[]string{`{apiVersion: controlplane.cluster.x-k8s.io/v1beta2, kind: Any, metadata: {name: dev-cp}, spec: {version: v1.35.1}}`, refers}, "v1.35.1"},
		"without the v":        {[]string{`{apiVersion: controlplane.cluster.x-k8s.io/v1beta2, kind: Any, metadata: {name: dev-cp}, spec: {version: "1.35.1"}}`, refers}, "v1.35.1"},
		"with a suffix":        {[]string{`{apiVersion: controlplane.cluster.x-k8s.io/v1beta2, kind: Any, metadata: {name: dev-cp}, spec: {version: v1.35.1+rke2r1}}`, refers}, "v1.35.1+rke2r1"},
		"vague":                {[]string{`{apiVersion: controlplane.cluster.x-k8s.io/v1beta2, kind: Any, metadata: {name: dev-cp}, spec: {version: latest}}`, refers}, ""},
		"of another":           {[]string{`{apiVersion: controlplane.cluster.x-k8s.io/v1beta2, kind: Any, metadata: {name: other}, spec: {version: v1.35.1}}`, refers}, ""},
		"not said":             {[]string{refers}, ""},
		"no cluster":           {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var sources []capi.Source
			for _, text := range test.documents {
				u := &unstructured.Unstructured{}
				if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
					t.Fatal(err)
				}
				sources = append(sources, capi.Source{Object: u})
			}
			if got := capi.KubernetesVersion(sources); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
