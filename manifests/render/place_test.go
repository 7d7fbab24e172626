package render

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPathNamespaces(t *testing.T) {
	unplaced := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	definition := func(kind, scope string) string {
		return "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: " + kind + "}\nspec:\n" +
			"  group: example.com\n  scope: " + scope + "\n  names: {kind: " + kind + "}\n---\napiVersion: example.com/v1\nkind: " + kind + "\nmetadata: {name: a}\n"
	}
	res := render(t, files{
		"base/a.yaml": unplaced + "---\n" + cm("set") + "---\napiVersion: storage.k8s.io/v1\nkind: VolumeAttributesClass\nmetadata: {name: a}\n" +
			definition("Inside", "Namespaced") + definition("Outside", "Cluster") + "---\napiVersion: example.org/v1\nkind: Unknown\nmetadata: {name: a}\n",
		"other/a.yaml": unplaced,
		"none/b.yaml":  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n",
	}, Options{PathNamespaces: map[string]string{"/base/": "one", "other": "two", "none": ""}}, "/base/", "other", "none")
	want := []string{
		"ConfigMap b @ none/b.yaml:1",
		"CustomResourceDefinition.apiextensions.k8s.io Inside @ base/a.yaml:15",
		"CustomResourceDefinition.apiextensions.k8s.io Outside @ base/a.yaml:27",
		"Outside.example.com a @ base/a.yaml:35",
		"Unknown.example.org a @ base/a.yaml:39",
		"VolumeAttributesClass.storage.k8s.io a @ base/a.yaml:11",
		"ConfigMap one/a @ base/a.yaml:1",
		"Inside.example.com one/a @ base/a.yaml:23",
		"ConfigMap two/a @ other/a.yaml:1",
		"ConfigMap x/set @ base/a.yaml:5",
	}
	if diff := cmp.Diff(want, listing(res.Objects)); diff != "" {
		t.Error(diff)
	}
}
