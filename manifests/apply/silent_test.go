package apply_test

import (
	"testing"
	"time"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/health"
)

// silentKind is a kind with a status that nobody writes.
func silentKind() manifests.Object {
	return planetest.Object(map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "silents.test.example.com"},
		"spec": map[string]any{
			"group": "test.example.com", "scope": "Cluster",
			"names": map[string]any{"kind": "Silent", "plural": "silents"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	})
}

func silent(name string) manifests.Object {
	return planetest.Object(map[string]any{"apiVersion": "test.example.com/v1", "kind": "Silent",
		"metadata": map[string]any{"name": name}, "spec": map[string]any{"size": int64(1)}})
}

// A resource that its operator never mentions counts as healthy in the end, and not before
// its time; one with a check of the repository is judged by that.
func TestSilentOperator(t *testing.T) {
	o := options()
	o.Simulated, o.Settle = false, 3*time.Second
	checked := silent("checked")
	checked.Rules = &manifests.Rules{Health: &manifests.HealthCheck{Current: "spec.size == 1"}}
	r, err := apply.Run(t.Context(), build(t, []manifests.Object{silentKind(), silent("plain"), checked}), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Objects {
		took := x.ReadyAt.Sub(x.AppliedAt)
		switch {
		case x.Status != health.Healthy:
			t.Errorf("%s: %s %q", x.ID, x.Status, x.Message)
		case x.ID.Name == "plain" && (took < time.Second || x.Message != "no operator has reported on it yet"):
			// Creation times are whole seconds, so up to one of the three is missing.
			t.Errorf("%s after %s: %q", x.ID, took, x.Message)
		case x.ID.Name == "checked" && (took > o.Settle || x.Message != ""):
			t.Errorf("%s after %s: %q", x.ID, took, x.Message)
		}
	}
}
