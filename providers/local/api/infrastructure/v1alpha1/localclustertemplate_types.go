package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// LocalClusterTemplate is what a ClusterClass stamps LocalClusters from.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:resource:path=localclustertemplates,shortName=lclt,scope=Namespaced,categories=cluster-api
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=infrastructure-local"
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LocalClusterTemplate struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec holds the template.
	//
	// +required
	Spec LocalClusterTemplateSpec `json:"spec"`
}

// LocalClusterTemplateList is a list of LocalClusterTemplates.
//
// +kubebuilder:object:root=true
type LocalClusterTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LocalClusterTemplate `json:"items"`
}

// LocalClusterTemplateSpec holds the template.
type LocalClusterTemplateSpec struct {
	// template is the LocalCluster to be made.
	//
	// +required
	Template LocalClusterTemplateResource `json:"template"`
}

// LocalClusterTemplateResource is a LocalCluster without identity.
type LocalClusterTemplateResource struct {
	// metadata holds labels and annotations of what is made.
	//
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is the spec of what is made.
	//
	// +optional
	Spec LocalClusterSpec `json:"spec,omitempty"`
}
