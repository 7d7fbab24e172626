package quarantine_test

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// many objects of each kind that costs something to look at.
func many(n int) []manifests.Object {
	var all []manifests.Object
	add := func(apiVersion, kind, name string, spec map[string]any) {
		all = append(all, manifests.Object{Unstructured: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name, "namespace": "a"}, "spec": spec,
		}}})
	}
	for i := range n {
		name := fmt.Sprint("o", i)
		labels := map[string]any{"app": name}
		image := map[string]any{"name": "c", "image": "registry.example.com/team/shop:1"}
		if i%10 == 0 {
			image["image"] = "karpenter"
		}
		add("apps/v1", "Deployment", name, map[string]any{"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"containers": []any{image}}}})
		add("v1", "Service", name, map[string]any{"type": "LoadBalancer", "selector": labels, "ports": []any{map[string]any{"port": int64(80)}}})
		add("s3.aws.upbound.io/v1", "Bucket", name, map[string]any{})
		add("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, map[string]any{})
	}
	return all
}

func BenchmarkApply(b *testing.B) {
	objects := many(2500)
	for b.Loop() {
		if _, err := quarantine.Apply(objects, nil, quarantine.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
