package capi_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
)

// TestOffered tells only what a ClusterClass says.
func TestOffered(t *testing.T) {
	const (
		header    = `{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: dev}, spec: {`
		classless = header + `controlPlaneRef: {apiGroup: a, kind: Any, name: dev}}}`
		ofClass   = header + `topology: {classRef: {name: small}, version: v1.34.1}}}`
		elsewhere = header + `topology: {classRef: {name: small, namespace: classes}, version: v1.34.1}}}`
		versioned = header + `topology: {classRef: {name: small}}}}`
		class     = `{apiVersion: cluster.x-k8s.io/v1beta2, kind: ClusterClass, metadata: {name: small}, spec: {}}`
	)
	for name, test := range map[string]struct {
		documents []string
		in        string // namespace of the class
		versions  []string
		want      *capi.Offer
	}{
		"by the class":                {[]string{ofClass}, "fleet", []string{"v1.35.0", "v1.36.3"}, &capi.Offer{Class: "fleet/small", Wanted: "v1.34.1", Versions: []string{"v1.35.0", "v1.36.3"}}},
		"by a class elsewhere":        {[]string{elsewhere}, "classes", []string{"v1.36.3"}, &capi.Offer{Class: "classes/small", Wanted: "v1.34.1", Versions: []string{"v1.36.3"}}},
		"the class names none":        {[]string{ofClass}, "fleet", nil, nil},
		"there is no such class":      {[]string{ofClass}, "other", []string{"v1.36.3"}, nil},
		"no class":                    {[]string{classless}, "fleet", []string{"v1.36.3"}, nil},
		"no version is wanted":        {[]string{versioned}, "fleet", []string{"v1.36.3"}, nil},
		"the class is made with it":   {[]string{class, ofClass}, "fleet", []string{"v1.36.3"}, nil},
		"another class is made, also": {[]string{`{apiVersion: cluster.x-k8s.io/v1beta2, kind: ClusterClass, metadata: {name: big}, spec: {}}`, ofClass}, "fleet", []string{"v1.36.3"}, &capi.Offer{Class: "fleet/small", Wanted: "v1.34.1", Versions: []string{"v1.36.3"}}},
	} {
		t.Run(name, func(t *testing.T) {
			store := fake.New(t, fake.Options{Clock: clock.RealClock{}})
			class := &clusterv1.ClusterClass{ObjectMeta: metav1.ObjectMeta{Namespace: test.in, Name: "small"}, Spec: clusterv1.ClusterClassSpec{KubernetesVersions: test.versions}}
			if err := store.Store.Create(t.Context(), class); err != nil {
				t.Fatal(err)
			}
			var sources []capi.Source
			for _, text := range test.documents {
				u := &unstructured.Unstructured{}
				if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
					t.Fatal(err)
				}
				sources = append(sources, capi.Source{Object: u, From: "a.yaml:1"})
			}
			m, err := capi.Parse(sources, "dev", "fleet")
			if err != nil {
				t.Fatal(err)
			}
			got, err := store.Clusters(store.Store).Offered(t.Context(), m)
			if err != nil || (got == nil) != (test.want == nil) || got != nil && (got.Class != test.want.Class || got.Wanted != test.want.Wanted || !slices.Equal(got.Versions, test.want.Versions)) {
				t.Errorf("%+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}
