package capi_test

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/providers/capi"
)

func TestNetworkOf(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		want capi.Network
	}{
		"all said":                {`{clusterNetwork: {apiServerPort: 7443, pods: {cidrBlocks: [10.244.0.0/16]}, services: {cidrBlocks: [10.96.0.0/12]}}}`, capi.Network{CIDRs: []string{"10.244.0.0/16", "10.96.0.0/12"}, APIPort: 7443}},
		"nothing said":            {`{}`, capi.Network{}},
		"a managed control plane": {`{controlPlaneRef: {kind: AWSManagedControlPlane}}`, capi.Network{APIPort: 443}},
		"nonsense":                {`{clusterNetwork: {apiServerPort: many, pods: none}}`, capi.Network{}},
	} {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{}
			raw, err := yaml.YAMLToJSON([]byte(`{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: dev}, spec: ` + test.spec + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if err := u.UnmarshalJSON(raw); err != nil {
				t.Fatal(err)
			}
			got := capi.NetworkOf([]capi.Source{{Object: u}})
			if got.APIPort != test.want.APIPort || !slices.Equal(got.CIDRs, test.want.CIDRs) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
	for have, want := range map[string]bool{"v1.29.9": true, "v1.30.0": false, "v1.36.3": false, "": false, "latest": false} {
		if got := capi.OlderThan(have, "1.30.0"); got != want {
			t.Errorf("%q is older: %t", have, got)
		}
	}
}
