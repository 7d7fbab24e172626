package verify

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

// TestOffspringOfAPrefixIsKnown has a live object whose name the API server made from a
// rendered prefix.
func TestOffspringOfAPrefixIsKnown(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"generateName": "migrate-", "namespace": "shop"}}}
	v := newVerifier([]manifests.Object{{Unstructured: u}}, Options{}, nil)
	if err := v.indexAll(); err != nil {
		t.Fatal(err)
	}
	live := func(namespace, name string) manifests.ID {
		return manifests.ID{Group: "batch", Kind: "Job", Namespace: namespace, Name: name}
	}
	if !v.generated(live("shop", "migrate-x7k2p"), "migrate-") {
		t.Error("the Job that was made from it counts as a stranger")
	}
	if v.generated(live("other", "migrate-x7k2p"), "migrate-") || v.generated(live("shop", "backup-x7k2p"), "backup-") {
		t.Error("a stranger counts as made from it")
	}
}
