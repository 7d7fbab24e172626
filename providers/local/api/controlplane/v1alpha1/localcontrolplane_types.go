package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// ControlPlaneFinalizer keeps a LocalControlPlane until its processes are gone
// and its data directory is removed.
const ControlPlaneFinalizer = "localcontrolplane.controlplane.cluster.x-k8s.io"

// Conditions of a LocalControlPlane, beside Paused, which Cluster API defines.
const (
	// AvailableCondition is True while the API server answers /readyz and every
	// process of the control plane is alive. Cluster API mirrors it to
	// ControlPlaneAvailable of the Cluster.
	AvailableCondition = clusterv1.AvailableCondition
	// CertificatesAvailableCondition is True when the certificate Secrets of the
	// cluster exist and can be used.
	CertificatesAvailableCondition = "CertificatesAvailable"
	// KubeconfigAvailableCondition is True when the kubeconfig Secret holds
	// credentials that open the running API server and do not expire soon.
	KubeconfigAvailableCondition = "KubeconfigAvailable"
)

// Reasons of the conditions of a LocalControlPlane.
const (
	// AvailableReason: the API server is ready and every process is alive.
	AvailableReason = clusterv1.AvailableReason
	// WaitingForEndpointReason: nobody has said yet where the API server shall listen.
	WaitingForEndpointReason = "WaitingForEndpoint"
	// StartingReason: the processes are being started.
	StartingReason = "Starting"
	// StartFailedReason: the last start failed; it is tried again.
	StartFailedReason = "StartFailed"
	// ProcessesDownReason: processes that should run do not; they are started again.
	ProcessesDownReason = "ProcessesDown"
	// APIServerNotReadyReason: the processes run, but /readyz does not answer ok.
	APIServerNotReadyReason = "APIServerNotReady"
	// VersionNotAvailableReason: this provider cannot run the version in spec.
	VersionNotAvailableReason = "VersionNotAvailable"
	// ForeignStateReason: the data directory belongs to another cluster authority.
	ForeignStateReason = "ForeignState"
	// DataLostReason: the cluster served before, and its data is gone. Nothing is
	// started in its place; the cluster has to be deleted and made again.
	DataLostReason = "DataLost"
	// SecretsUsableReason: what the condition speaks of exists and is good.
	SecretsUsableReason = "Usable"
	// SecretsFailedReason: what the condition speaks of could not be read or made.
	SecretsFailedReason = "Failed"
	// DeletingReason: the control plane is being taken away.
	DeletingReason = clusterv1.DeletingReason
)

// LocalControlPlane is a Kubernetes control plane whose processes run on this
// machine and listen on its loopback interface.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=localcontrolplanes,shortName=lcp,scope=Namespaced,categories=cluster-api
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=control-plane-local"
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`
// +kubebuilder:printcolumn:name="Initialized",type=boolean,JSONPath=`.status.initialization.controlPlaneInitialized`
// +kubebuilder:printcolumn:name="Available",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].reason`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Paused",type=string,priority=10,JSONPath=`.status.conditions[?(@.type=="Paused")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LocalControlPlane struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the control plane should be like.
	//
	// +required
	Spec LocalControlPlaneSpec `json:"spec"`
	// status is what it is like. All of it is derived again from spec and from
	// what runs on this machine when it is lost.
	//
	// +optional
	Status LocalControlPlaneStatus `json:"status,omitempty,omitzero"`
}

// LocalControlPlaneList is a list of LocalControlPlanes.
//
// +kubebuilder:object:root=true
type LocalControlPlaneList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LocalControlPlane `json:"items"`
}

// LocalControlPlaneSpec is what a user asks for. There is no number of replicas:
// on one machine a second instance protects against nothing.
type LocalControlPlaneSpec struct {
	// version is the Kubernetes version, with or without the leading v. It must be
	// the version that the provider was built with, which the Available condition
	// names when another one is asked for.
	//
	// +required
	// +kubebuilder:validation:MinLength=5
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)([-+][0-9a-zA-Z.+-]*)?$`
	Version string `json:"version,omitempty"`
}

// LocalControlPlaneStatus is what was observed.
type LocalControlPlaneStatus struct {
	// initialization says how far the first start got. Its fields belong to the
	// Cluster API contract and never go back; conditions tell the present.
	//
	// +optional
	Initialization LocalControlPlaneInitialization `json:"initialization,omitempty,omitzero"`
	// externalManagedControlPlane is always true: no Node and no Machine stands for
	// this control plane.
	//
	// +optional
	ExternalManagedControlPlane *bool `json:"externalManagedControlPlane,omitempty"`
	// versions holds the version that the API server reports.
	//
	// +optional
	// +listType=map
	// +listMapKey=version
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	Versions []clusterv1.StatusVersion `json:"versions,omitempty"`
	// observedGeneration is the generation that this status speaks of.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Available, CertificatesAvailable, KubeconfigAvailable and Paused.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// LocalControlPlaneInitialization is the progress of the first start.
//
// +kubebuilder:validation:MinProperties=1
type LocalControlPlaneInitialization struct {
	// controlPlaneInitialized is true once the API server accepted requests and
	// the kubeconfig Secret was written.
	//
	// +optional
	ControlPlaneInitialized *bool `json:"controlPlaneInitialized,omitempty"`
}

// GetConditions returns the conditions, as Cluster API's helpers want them.
func (c *LocalControlPlane) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions replaces the conditions.
func (c *LocalControlPlane) SetConditions(conditions []metav1.Condition) {
	c.Status.Conditions = conditions
}
