package capi

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestInfrastructure(t *testing.T) {
	for name, test := range map[string]struct {
		documents []string
		want      string
	}{
		"by reference": {want: "AWSCluster.infrastructure.cluster.x-k8s.io", documents: []string{`
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: dev}
spec: {infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: AWSCluster, name: dev}}`}},
		"by class": {want: "AWSCluster.infrastructure.cluster.x-k8s.io", documents: []string{`
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: dev}
spec: {topology: {classRef: {name: usual}, version: v1.36.3}}`, `
apiVersion: cluster.x-k8s.io/v1beta2
kind: ClusterClass
metadata: {name: usual}
spec: {infrastructure: {templateRef: {apiVersion: infrastructure.cluster.x-k8s.io/v1beta2, kind: AWSClusterTemplate, name: usual}}}`}},
		"by a class that is elsewhere": {documents: []string{`
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: dev}
spec: {topology: {classRef: {name: usual}, version: v1.36.3}}`}},
		"by a reference that nobody understands": {documents: []string{`
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: dev}
spec: {infrastructureRef: {apiVersion: a/b/c, kind: AWSCluster}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			var sources []Source
			for _, document := range test.documents {
				u := &unstructured.Unstructured{}
				if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
					t.Fatal(err)
				}
				sources = append(sources, Source{Object: u, From: name})
			}
			m, err := Parse(sources, "dev", "fleet")
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Infrastructure(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
