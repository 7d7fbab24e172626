package apply_test

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/health"
)

// veleroKind is a kind as Velero defines it: without a subresource for the status.
func veleroKind(kind, plural string) manifests.Object {
	return planetest.Object(map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{
			"name": plural + ".velero.io", "annotations": map[string]any{"api-approved.kubernetes.io": "unapproved, a test"}},
		"spec": map[string]any{
			"group": "velero.io", "scope": "Namespaced", "names": map[string]any{"kind": kind, "plural": plural},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}},
		},
	})
}

func restore(namespace, schedule string) manifests.Object {
	return planetest.Object(map[string]any{"apiVersion": "velero.io/v1", "kind": "Restore",
		"metadata": map[string]any{"namespace": namespace, "name": "data"}, "spec": map[string]any{"scheduleName": schedule}})
}

var (
	backups  = schema.GroupVersionResource{Group: "velero.io", Version: "v1", Resource: "backups"}
	restores = schema.GroupVersionResource{Group: "velero.io", Version: "v1", Resource: "restores"}
)

func backedUp(t *testing.T, namespace, name string, age time.Duration) {
	t.Helper()
	b := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "velero.io/v1", "kind": "Backup",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"velero.io/schedule-name": "daily"}},
		"status":   map[string]any{"phase": "Completed", "startTimestamp": time.Now().Add(-age).UTC().Format(time.RFC3339)}}}
	if _, err := client(t).Resource(backups).Namespace(namespace).Create(t.Context(), b, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A Restore from a backup that is too old is never written; one from a new one is a gate for
// what depends on it until Velero says that it is complete.
func TestRestoreIsAGate(t *testing.T) {
	const namespace = "velero"
	o := options()
	o.Simulated, o.RecoveryPoint, o.Timeout = false, 24*time.Hour, 3*time.Second
	kinds := []manifests.Object{veleroKind("Backup", "backups"), veleroKind("Restore", "restores"), planetest.Namespace(namespace)}
	if _, err := apply.Run(t.Context(), build(t, kinds), o); err != nil {
		t.Fatal(err)
	}
	backedUp(t, namespace, "old", 25*time.Hour)

	after := planetest.ConfigMap(namespace, "after", "x")
	after.SetAnnotations(map[string]string{"config.kubernetes.io/depends-on": "velero.io/namespaces/" + namespace + "/Restore/data"})
	objects := append(kinds, restore(namespace, "daily"), after)
	_, err := apply.Run(t.Context(), build(t, objects), o)
	if err == nil || !strings.Contains(err.Error(), "backup old began at") || !strings.Contains(err.Error(), "the plan allows 24h0m0s") {
		t.Fatalf("from an old backup: %v", err)
	}
	if _, err := client(t).Resource(restores).Namespace(namespace).Get(t.Context(), "data", metav1.GetOptions{}); err == nil {
		t.Fatal("the Restore was written all the same")
	}

	backedUp(t, namespace, "new", time.Hour)
	o.Timeout = time.Minute
	completed := make(chan time.Time, 1)
	go func() { completed <- completeRestore(t, namespace) }()
	r, err := apply.Run(t.Context(), build(t, objects), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Objects {
		if x.Status != health.Healthy {
			t.Errorf("%s: %s %q", x.ID, x.Status, x.Message)
		}
		if x.ID.Name == "after" && x.AppliedAt.Before(<-completed) {
			t.Error("what depends on the Restore was written before it was complete")
		}
	}
}

// completeRestore does what Velero does, after a while, and tells right before.
func completeRestore(t *testing.T, namespace string) (at time.Time) {
	restored := client(t).Resource(restores).Namespace(namespace)
	seen := 0
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, time.Minute, false, func(ctx context.Context) (bool, error) {
		live, err := restored.Get(ctx, "data", metav1.GetOptions{})
		if err != nil {
			return false, nil //nolint:nilerr // it is on its way
		}
		if seen++; seen < 5 {
			return false, nil
		}
		at = time.Now()
		live.Object["status"] = map[string]any{"phase": "Completed"}
		_, err = restored.Update(ctx, live, metav1.UpdateOptions{})
		return err == nil, nil
	})
	if err != nil {
		t.Error("the Restore never came to be")
	}
	return at
}
