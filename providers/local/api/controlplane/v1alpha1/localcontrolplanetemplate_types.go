package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// LocalControlPlaneTemplate is what a ClusterClass stamps LocalControlPlanes from.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:resource:path=localcontrolplanetemplates,shortName=lcpt,scope=Namespaced,categories=cluster-api
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=control-plane-local"
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LocalControlPlaneTemplate struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec holds the template.
	//
	// +required
	Spec LocalControlPlaneTemplateSpec `json:"spec"`
}

// LocalControlPlaneTemplateList is a list of LocalControlPlaneTemplates.
//
// +kubebuilder:object:root=true
type LocalControlPlaneTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LocalControlPlaneTemplate `json:"items"`
}

// LocalControlPlaneTemplateSpec holds the template.
type LocalControlPlaneTemplateSpec struct {
	// template is the LocalControlPlane to be made.
	//
	// +required
	Template LocalControlPlaneTemplateResource `json:"template"`
}

// LocalControlPlaneTemplateResource is a LocalControlPlane without identity.
type LocalControlPlaneTemplateResource struct {
	// metadata holds labels and annotations of what is made.
	//
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is the spec of what is made.
	//
	// +optional
	Spec LocalControlPlaneTemplateResourceSpec `json:"spec,omitempty"`
}

// LocalControlPlaneTemplateResourceSpec is empty so far: the version comes from
// the topology of the Cluster, and there is nothing else to choose.
type LocalControlPlaneTemplateResourceSpec struct{}
