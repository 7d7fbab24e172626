package crds

import (
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// inTheWorkloadCluster are the fields that name a namespace: of the cluster that a plan
// makes, never of the management cluster.
var inTheWorkloadCluster = []string{
	"RecoveryPlan.spec.argoCD.namespace", "RecoveryPlan.spec.drill.allow[].namespace", "RecoveryPlan.spec.drill.neutralise[].namespace", // compared with what is rendered, and read nowhere
	"RecoveryPlan.spec.seeds[].namespace",
	"RecoveryPlan.spec.state[].namespace",
	"RecoveryPlan.spec.teardown.loss.waivers[].object.namespace",
	"RecoveryPlan.spec.waves.optional[].namespace",
}

// TestNothingNamesAnotherNamespace: whatever a plan, a run, a hold or an approval refers to
// on the management cluster is in its own namespace, because there is no field to say
// otherwise. A reference has a name and at most a key.
func TestNothingNamesAnotherNamespace(t *testing.T) {
	definitions, err := All()
	if err != nil {
		t.Fatal(err)
	}
	var namespaces []string
	references := 0
	for _, d := range definitions {
		if d.Spec.Scope != apiextensionsv1.NamespaceScoped {
			t.Errorf("%s is not namespaced", d.Name)
		}
		for _, v := range d.Spec.Versions {
			walk(d.Spec.Names.Kind+".spec", v.Schema.OpenAPIV3Schema.Properties["spec"], func(path string, schema apiextensionsv1.JSONSchemaProps) {
				if strings.HasSuffix(path, ".namespace") {
					namespaces = append(namespaces, path)
				}
				if !strings.HasSuffix(path, "Ref") {
					return
				}
				references++
				for name := range schema.Properties {
					if name != "name" && name != "key" {
						t.Errorf("%s has %s", path, name)
					}
				}
			})
		}
	}
	slices.Sort(namespaces)
	if !slices.Equal(namespaces, inTheWorkloadCluster) {
		t.Errorf("fields that name a namespace: %v, want %v", namespaces, inTheWorkloadCluster)
	}
	if references < 8 {
		t.Errorf("only %d references were found", references)
	}
}

func walk(path string, schema apiextensionsv1.JSONSchemaProps, visit func(string, apiextensionsv1.JSONSchemaProps)) {
	visit(path, schema)
	for name, property := range schema.Properties {
		walk(path+"."+name, property, visit)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		walk(path+"[]", *schema.Items.Schema, visit)
	}
}
