package chart

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

// An object that a chart writes twice is compared with its like, not with the other one.
func TestObjectsThatAreWrittenTwiceDoNotDiffer(t *testing.T) {
	object := func(data string) manifests.Object {
		return manifests.Object{Unstructured: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}, "data": data}}}
	}
	twice := func(a, b string) []manifests.Object { return []manifests.Object{object(a), object(b)} }
	if found := Differences(twice("1", "2"), twice("1", "2")); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
	if found := Differences(twice("1", "2"), twice("1", "3")); len(found) != 1 || found[0].Paths[0] != "/data" {
		t.Errorf("found %+v", found)
	}
	if found := Differences(twice("1", "2"), twice("1", "2")[:1]); len(found) != 1 || found[0].Paths[0] != "" {
		t.Errorf("one that goes: %+v", found)
	}
}
