package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// MachineFinalizer keeps a LocalMachine until its node is gone.
const MachineFinalizer = "localmachine.infrastructure.cluster.x-k8s.io"

// Reasons of the Ready condition of a LocalMachine.
const (
	// WaitingForInfrastructureReason: the cluster of the machine is not provisioned yet.
	WaitingForInfrastructureReason = clusterv1.WaitingForClusterInfrastructureReadyReason
	// WaitingForBootstrapDataReason: the Machine names no bootstrap data yet.
	WaitingForBootstrapDataReason = clusterv1.WaitingForBootstrapDataReason
	// WaitingForAPIServerReason: the API server does not answer, so that the node
	// can be neither created nor deleted.
	WaitingForAPIServerReason = "WaitingForAPIServer"
	// NodeFailedReason: the node could not be created.
	NodeFailedReason = "NodeFailed"
)

// LocalMachine is one node of a cluster, in Cluster API's own way of scaling: by
// Machines. Its node is played, no machine and no container runs. The Machine
// needs no bootstrap provider; an empty dataSecretName is enough.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=localmachines,shortName=lma,scope=Namespaced,categories=cluster-api
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=infrastructure-local"
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`
// +kubebuilder:printcolumn:name="Provider ID",type=string,JSONPath=`.spec.providerID`
// +kubebuilder:printcolumn:name="Provisioned",type=boolean,JSONPath=`.status.initialization.provisioned`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Paused",type=string,priority=10,JSONPath=`.status.conditions[?(@.type=="Paused")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LocalMachine struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the node should be like.
	//
	// +optional
	Spec LocalMachineSpec `json:"spec,omitempty"`
	// status is what it is like.
	//
	// +optional
	Status LocalMachineStatus `json:"status,omitempty,omitzero"`
}

// LocalMachineList is a list of LocalMachines.
//
// +kubebuilder:object:root=true
type LocalMachineList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LocalMachine `json:"items"`
}

// LocalMachineSpec is what a user asks for. A LocalMachineTemplate holds the same.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.providerID) || has(self.providerID)",message="providerID cannot be removed once set"
type LocalMachineSpec struct {
	// providerID is the identity of the node. Leave it out: the provider writes it
	// here, once.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="providerID is immutable once set"
	ProviderID string `json:"providerID,omitempty"`
	// capacity is what the node claims to have when it is created, as Kubernetes
	// quantities. What is left out is cpu 32, memory 256Gi, ephemeral-storage 1Ti,
	// pods 110.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="size(self) <= 16",message="at most 16 resources"
	Capacity corev1.ResourceList `json:"capacity,omitempty"`
	// labels are put on the node when it is created, in addition to those that a
	// node always has. Labels of the Machine that Cluster API propagates come on top.
	//
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]string `json:"labels,omitempty"`
}

// LocalMachineStatus is what was observed.
type LocalMachineStatus struct {
	// initialization says how far the first provisioning got. Its fields belong to
	// the Cluster API contract and never go back.
	//
	// +optional
	Initialization LocalMachineInitialization `json:"initialization,omitempty,omitzero"`
	// addresses are those of the node: its host name.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Addresses []clusterv1.MachineAddress `json:"addresses,omitempty"`
	// failureDomain is the zone that the node was put in.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	FailureDomain string `json:"failureDomain,omitempty"`
	// observedGeneration is the generation that this status speaks of.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready and Paused.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// LocalMachineInitialization is the progress of the first provisioning.
//
// +kubebuilder:validation:MinProperties=1
type LocalMachineInitialization struct {
	// provisioned is true once the node was created.
	//
	// +optional
	Provisioned *bool `json:"provisioned,omitempty"`
}

// GetConditions returns the conditions, as Cluster API's helpers want them.
func (m *LocalMachine) GetConditions() []metav1.Condition { return m.Status.Conditions }

// SetConditions replaces the conditions.
func (m *LocalMachine) SetConditions(conditions []metav1.Condition) { m.Status.Conditions = conditions }
