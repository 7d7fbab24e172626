package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// LocalMachineTemplate is what a MachineDeployment stamps LocalMachines from.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:resource:path=localmachinetemplates,shortName=lmat,scope=Namespaced,categories=cluster-api
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=infrastructure-local"
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LocalMachineTemplate struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec holds the template.
	//
	// +required
	Spec LocalMachineTemplateSpec `json:"spec"`
}

// LocalMachineTemplateList is a list of LocalMachineTemplates.
//
// +kubebuilder:object:root=true
type LocalMachineTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LocalMachineTemplate `json:"items"`
}

// LocalMachineTemplateSpec holds the template.
type LocalMachineTemplateSpec struct {
	// template is the LocalMachine to be made.
	//
	// +required
	Template LocalMachineTemplateResource `json:"template"`
}

// LocalMachineTemplateResource is a LocalMachine without identity.
type LocalMachineTemplateResource struct {
	// metadata holds labels and annotations of what is made.
	//
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is the spec of what is made.
	//
	// +optional
	Spec LocalMachineSpec `json:"spec,omitempty"`
}
