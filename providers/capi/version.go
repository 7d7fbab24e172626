package capi

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/version"
)

// KubernetesVersion that the manifests of a cluster ask for, with a leading v: of the
// topology, else of the control plane that the Cluster refers to. It is empty when they
// do not say, or not with a version.
func KubernetesVersion(sources []Source) string {
	for _, src := range sources {
		if !isCluster(src.Object) {
			continue
		}
		if v := versionAt(src.Object, "spec", "topology", "version"); v != "" {
			return v
		}
		kind, _, _ := unstructured.NestedString(src.Object.Object, "spec", "controlPlaneRef", "kind")
		name, _, _ := unstructured.NestedString(src.Object.Object, "spec", "controlPlaneRef", "name")
		for _, other := range sources {
			if other.Object.GetKind() == kind && other.Object.GetName() == name {
				return versionAt(other.Object, "spec", "version")
			}
		}
	}
	return ""
}

func versionAt(u *unstructured.Unstructured, path ...string) string {
	text, _, _ := unstructured.NestedString(u.Object, path...)
	v, err := version.ParseSemantic(text)
	if err != nil {
		return ""
	}
	return "v" + v.String()
}
