package capi

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// maxInfrastructure is what the API allows of a kind and its group.
const maxInfrastructure = 317

// Infrastructure is the kind of the cluster's infrastructure with its group, such as
// AWSCluster.infrastructure.cluster.x-k8s.io: it tells providers apart. For a cluster with
// a topology it is that of its ClusterClass, if the manifests hold it. Empty when they do not
// say.
func (m *Manifests) Infrastructure() string {
	if kind := referred(m.cluster.Object, "spec", "infrastructureRef"); kind != "" {
		return kind
	}
	class, _, _ := unstructured.NestedString(m.cluster.Object.Object, "spec", "topology", "classRef", "name")
	if class == "" {
		return ""
	}
	for _, o := range m.others {
		gvk := o.Object.GroupVersionKind()
		if gvk.Group != clusterv1.GroupVersion.Group || gvk.Kind != "ClusterClass" || o.Object.GetName() != class {
			continue
		}
		kind, group, _ := strings.Cut(referred(o.Object, "spec", "infrastructure", "templateRef"), ".")
		return schema.GroupKind{Group: group, Kind: strings.TrimSuffix(kind, "Template")}.String()
	}
	return ""
}

// referred kind and group: that of a template comes with its version.
func referred(o *unstructured.Unstructured, path ...string) string {
	ref, _, _ := unstructured.NestedMap(o.Object, path...)
	kind, _ := ref["kind"].(string)
	group, _ := ref["apiGroup"].(string)
	if version, _ := ref["apiVersion"].(string); group == "" && version != "" {
		gv, err := schema.ParseGroupVersion(version)
		if err != nil {
			return ""
		}
		group = gv.Group
	}
	if out := (schema.GroupKind{Group: group, Kind: kind}).String(); kind != "" && len(out) <= maxInfrastructure {
		return out
	}
	return ""
}
