package crds

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/cluster-api/util/contract"
)

// What Cluster API demands of the definitions of a provider, whatever is in them.
func TestContract(t *testing.T) {
	crds, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(crds) != 6 {
		t.Fatalf("%d definitions, want 6", len(crds))
	}
	providers := map[string]string{
		"infrastructure.cluster.x-k8s.io": "infrastructure-local", "controlplane.cluster.x-k8s.io": "control-plane-local",
	}
	for _, crd := range crds {
		t.Run(crd.Spec.Names.Kind, func(t *testing.T) {
			if want := contract.CalculateCRDName(crd.Spec.Group, crd.Spec.Names.Kind); crd.Name != want {
				t.Errorf("name %s, want %s", crd.Name, want)
			}
			if crd.Spec.Scope != apiextensionsv1.NamespaceScoped {
				t.Errorf("scope %s", crd.Spec.Scope)
			}
			if crd.Spec.Names.ListKind != crd.Spec.Names.Kind+"List" {
				t.Errorf("list kind %s", crd.Spec.Names.ListKind)
			}
			if got := crd.Labels["cluster.x-k8s.io/v1beta2"]; got != crd.Spec.Versions[0].Name {
				t.Errorf("contract label %q, version %s", got, crd.Spec.Versions[0].Name)
			}
			if got := crd.Labels["cluster.x-k8s.io/provider"]; got != providers[crd.Spec.Group] {
				t.Errorf("provider label %q", got)
			}
			if _, ok := crd.Labels["clusterctl.cluster.x-k8s.io"]; !ok {
				t.Error("no clusterctl label")
			}
			checkFields(t, crd)
		})
	}
}

// contractFields are the paths that Cluster API core reads.
var contractFields = map[string][][]string{
	"LocalCluster": {
		{"spec", "controlPlaneEndpoint", "host"}, {"spec", "controlPlaneEndpoint", "port"},
		{"status", "initialization", "provisioned"}, {"status", "failureDomains"}, {"status", "conditions"},
	},
	"LocalClusterTemplate": {{"spec", "template", "metadata"}, {"spec", "template", "spec"}},
	"LocalMachine": {
		{"spec", "providerID"}, {"status", "initialization", "provisioned"}, {"status", "addresses"},
		{"status", "failureDomain"}, {"status", "conditions"},
	},
	"LocalMachineTemplate": {{"spec", "template", "metadata"}, {"spec", "template", "spec"}},
	"LocalControlPlane": {
		{"spec", "version"}, {"status", "initialization", "controlPlaneInitialized"},
		{"status", "externalManagedControlPlane"}, {"status", "versions"}, {"status", "conditions"},
	},
	"LocalControlPlaneTemplate": {{"spec", "template", "metadata"}, {"spec", "template", "spec"}},
}

func checkFields(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	version := crd.Spec.Versions[0]
	hasStatus := version.Subresources != nil && version.Subresources.Status != nil
	if wantsStatus := contractFields[crd.Spec.Names.Kind][0][1] != "template"; hasStatus != wantsStatus {
		t.Errorf("status subresource: %v, want %v", hasStatus, wantsStatus)
	}
	for _, path := range contractFields[crd.Spec.Names.Kind] {
		schema := *version.Schema.OpenAPIV3Schema
		for _, field := range path {
			next, ok := schema.Properties[field]
			if !ok {
				t.Errorf("no field %v", path)
				break
			}
			if next.Description == "" && field != "spec" {
				t.Errorf("field %v has no description", path)
			}
			schema = next
		}
	}
}
