package manifests_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

func TestKindsMadeFrom(t *testing.T) {
	gk := func(group, kind string) schema.GroupKind { return schema.GroupKind{Group: group, Kind: kind} }
	served := []string{"v1alpha1"}
	for name, test := range map[string]struct {
		text string
		want []manifests.MadeKind
	}{
		"a constraint": {
			`{apiVersion: templates.gatekeeper.sh/v1, kind: ConstraintTemplate, metadata: {name: owned}, spec: {crd: {spec: {names: {kind: Owned}}}}}`,
			[]manifests.MadeKind{{GroupKind: gk("constraints.gatekeeper.sh", "Owned"), Versions: []string{"v1", "v1beta1", "v1alpha1"}}},
		},
		"a template without a name": {`{apiVersion: templates.gatekeeper.sh/v1, kind: ConstraintTemplate, metadata: {name: owned}, spec: {crd: 1}}`, nil},
		"a composite resource and its claim": {
			`{apiVersion: apiextensions.crossplane.io/v1, kind: CompositeResourceDefinition, metadata: {name: x}, spec: {group: db.example.com, names: {kind: XDatabase, plural: xdatabases}, claimNames: {kind: Database, plural: databases}, versions: [{name: v1alpha1, served: true}, {name: v0, served: false}, 3]}}`,
			[]manifests.MadeKind{
				{GroupKind: gk("db.example.com", "XDatabase"), Plural: "xdatabases", Versions: served},
				{GroupKind: gk("db.example.com", "Database"), Plural: "databases", Namespaced: true, Versions: served},
			},
		},
		"one of the second version": {
			`{apiVersion: apiextensions.crossplane.io/v2, kind: CompositeResourceDefinition, metadata: {name: x}, spec: {group: db.example.com, names: {kind: Database, plural: databases}, versions: [{name: v1alpha1, served: true}]}}`,
			[]manifests.MadeKind{{GroupKind: gk("db.example.com", "Database"), Plural: "databases", Namespaced: true, Versions: served}},
		},
		"one of the second version, cluster-wide": {
			`{apiVersion: apiextensions.crossplane.io/v2, kind: CompositeResourceDefinition, metadata: {name: x}, spec: {scope: Cluster, group: db.example.com, names: {kind: Database, plural: databases}, versions: [{name: v1alpha1, served: true}]}}`,
			[]manifests.MadeKind{{GroupKind: gk("db.example.com", "Database"), Plural: "databases", Versions: served}},
		},
		"anything else": {`{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(test.text), &u.Object); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, manifests.KindsMadeFrom(u)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
