package builtin

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ClaimClass is the StorageClass of a PersistentVolumeClaim or a template of one. Like
// Kubernetes it prefers the annotation of old days to the field. Without either, given is
// false and the cluster's default class counts.
func ClaimClass(claim map[string]any) (class string, given bool) {
	if class, given, _ = unstructured.NestedString(claim, "metadata", "annotations", corev1.BetaStorageClassAnnotation); given {
		return class, true
	}
	class, given, _ = unstructured.NestedString(claim, "spec", "storageClassName")
	return class, given
}
