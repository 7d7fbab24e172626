package render

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// setByServer are metadata fields that only an API server can know. Exported
// manifests carry them; applied, they would be refused or never match.
var setByServer = []string{"managedFields", "uid", "resourceVersion", "generation", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"}

// lastApplied repeats the whole object, Secrets included.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// normalise takes off what is not desired state and sets the default namespace. It
// returns a warning for what the author would not expect to be dropped.
func normalise(o *manifests.Object, namespace string) []string {
	metadata, ok := o.Object["metadata"].(map[string]any)
	if !ok {
		return nil
	}
	dropped := append(dropStatus(o), dropServerFields(metadata)...)
	dropEmpty(metadata)
	if namespace != "" && o.GetNamespace() == "" && !clusterScoped(o) {
		o.SetNamespace(namespace)
	}
	if len(dropped) == 0 {
		return nil
	}
	slices.Sort(dropped)
	return []string{fmt.Sprintf("%s: %s: left out %v: only a server can set them", o.Origin, o.ID(), dropped)}
}

// dropStatus takes off what controllers write; an empty one is no news.
func dropStatus(o *manifests.Object) []string {
	status, ok := o.Object["status"]
	delete(o.Object, "status")
	s, isMap := status.(map[string]any)
	if !ok || status == nil || isMap && len(s) == 0 || isCRD(o) {
		return nil
	}
	return []string{"status"}
}

// dropServerFields takes off the metadata that a server wrote.
func dropServerFields(metadata map[string]any) (dropped []string) {
	if created, ok := metadata["creationTimestamp"]; ok {
		delete(metadata, "creationTimestamp")
		if created != nil {
			dropped = append(dropped, "metadata.creationTimestamp")
		}
	}
	for _, name := range setByServer {
		if _, ok := metadata[name]; ok {
			delete(metadata, name)
			dropped = append(dropped, "metadata."+name)
		}
	}
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		if _, ok := annotations[lastApplied]; ok {
			delete(annotations, lastApplied)
			dropped = append(dropped, "annotation "+lastApplied)
		}
	}
	return dropped
}

// dropEmpty takes off metadata that says nothing.
func dropEmpty(metadata map[string]any) {
	for _, empty := range []string{"labels", "annotations"} {
		if m, ok := metadata[empty]; ok {
			if entries, isMap := m.(map[string]any); m == nil || (isMap && len(entries) == 0) {
				delete(metadata, empty)
			}
		}
	}
	if ns, ok := metadata["namespace"]; ok && (ns == nil || ns == "") {
		delete(metadata, "namespace")
	}
}

// isCRD: generated CustomResourceDefinitions commonly carry an empty status; dropping it is no news.
func isCRD(o *manifests.Object) bool {
	return o.ID().GroupKind() == schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
}

// clusterScoped knows the built-in kinds that live outside namespaces and may stand
// beside Cluster API manifests.
func clusterScoped(o *manifests.Object) bool {
	switch o.ID().GroupKind() {
	case schema.GroupKind{Kind: "Namespace"}, schema.GroupKind{Kind: "Node"}, schema.GroupKind{Kind: "PersistentVolume"},
		schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
		schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"},
		schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"},
		schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
		schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"},
		schema.GroupKind{Group: "storage.k8s.io", Kind: "CSIDriver"},
		schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"},
		schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"},
		schema.GroupKind{Group: "node.k8s.io", Kind: "RuntimeClass"}:
		return true
	}
	return o.GroupVersionKind().Group == "admissionregistration.k8s.io"
}
