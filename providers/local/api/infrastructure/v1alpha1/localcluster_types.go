package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// ClusterFinalizer keeps a LocalCluster until its address and what was
// reserved for it on this machine are given back.
const ClusterFinalizer = "localcluster.infrastructure.cluster.x-k8s.io"

// DefaultNodes is the number of nodes of a cluster that asks for none in
// particular: enough for a quorum spread by anti-affinity.
const DefaultNodes = 3

// Conditions of a LocalCluster, beside Paused, which Cluster API defines.
const (
	// ReadyCondition is True when the cluster can be reached and all its nodes
	// are ready. Cluster API mirrors it to InfrastructureReady of the Cluster.
	ReadyCondition = clusterv1.ReadyCondition
	// NodesReadyCondition is True when every node asked for exists and is ready.
	NodesReadyCondition = "NodesReady"
)

// Reasons of the conditions of a LocalCluster.
const (
	// ProvisionedReason: all that was asked for is there.
	ProvisionedReason = clusterv1.ProvisionedReason
	// WaitingForControlPlaneReason: the API server does not answer yet, or no more.
	WaitingForControlPlaneReason = "WaitingForControlPlane"
	// WaitingForNodesReason: fewer nodes are ready than were asked for.
	WaitingForNodesReason = "WaitingForNodes"
	// NodesReadyReason: every node is ready.
	NodesReadyReason = "NodesReady"
	// NodesUnknownReason: the nodes cannot be read at the moment.
	NodesUnknownReason = "NodesUnknown"
	// EndpointFailedReason: no address could be reserved on this machine.
	EndpointFailedReason = "EndpointFailed"
	// DeletingReason: the cluster is being taken away.
	DeletingReason = clusterv1.DeletingReason
)

// LocalCluster is the infrastructure of one cluster on this machine: a loopback
// address for its API server and the nodes that are played in it. Its pods are
// simulated, its API server is not.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=localclusters,shortName=lcl,scope=Namespaced,categories=cluster-api
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:metadata:labels="cluster.x-k8s.io/provider=infrastructure-local"
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`
// +kubebuilder:printcolumn:name="Port",type=integer,JSONPath=`.spec.controlPlaneEndpoint.port`
// +kubebuilder:printcolumn:name="Provisioned",type=boolean,JSONPath=`.status.initialization.provisioned`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=`.status.nodes.ready`
// +kubebuilder:printcolumn:name="Paused",type=string,priority=10,JSONPath=`.status.conditions[?(@.type=="Paused")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LocalCluster struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the cluster should be like.
	//
	// +optional
	Spec LocalClusterSpec `json:"spec,omitempty"`
	// status is what it is like. All of it is derived again from spec and from
	// what runs on this machine when it is lost.
	//
	// +optional
	Status LocalClusterStatus `json:"status,omitempty,omitzero"`
}

// LocalClusterList is a list of LocalClusters.
//
// +kubebuilder:object:root=true
type LocalClusterList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LocalCluster `json:"items"`
}

// LocalClusterSpec is what a user asks for. A LocalClusterTemplate holds the same.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.controlPlaneEndpoint) || has(self.controlPlaneEndpoint)",message="controlPlaneEndpoint cannot be removed once set"
type LocalClusterSpec struct {
	// controlPlaneEndpoint is the address of the API server. Leave it out: the
	// provider reserves a free port on the loopback interface and writes it here.
	// Written once, it never changes, as Cluster API demands.
	//
	// +optional
	ControlPlaneEndpoint APIEndpoint `json:"controlPlaneEndpoint,omitempty,omitzero"`
	// nodes describes the nodes that the provider creates in the cluster itself.
	//
	// +optional
	// +kubebuilder:default={}
	Nodes Nodes `json:"nodes,omitempty"`
	// failureDomains are the names of the zones over which the nodes are spread in
	// turn. Each node carries its zone in the label topology.kubernetes.io/zone.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={"local-a","local-b","local-c"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	FailureDomains []string `json:"failureDomains,omitempty"`
}

// APIEndpoint is where an API server listens.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="controlPlaneEndpoint is immutable once set"
type APIEndpoint struct {
	// host is the loopback address.
	//
	// +required
	// +kubebuilder:validation:Enum="127.0.0.1"
	Host string `json:"host,omitempty"`
	// port is the TCP port.
	//
	// +required
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// IsZero tells whether the endpoint has not been set.
func (e APIEndpoint) IsZero() bool { return e == APIEndpoint{} }

// Nodes describes nodes that are alike.
type Nodes struct {
	// count is how many nodes the provider creates; 0 leaves them to others.
	//
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Count *int32 `json:"count,omitempty"`
	// capacity is what each node claims to have, as Kubernetes quantities. Nothing
	// of it is used on this machine, but the scheduler respects it. What is left
	// out is cpu 32, memory 256Gi, ephemeral-storage 1Ti, pods 110.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="size(self) <= 16",message="at most 16 resources"
	Capacity corev1.ResourceList `json:"capacity,omitempty"`
	// labels are put on each node in addition to those that a node always has.
	// Labels that the provider sets itself cannot be overridden.
	//
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]string `json:"labels,omitempty"`
}

// LocalClusterStatus is what was observed.
type LocalClusterStatus struct {
	// initialization says how far the first provisioning got. Its fields belong to
	// the Cluster API contract and never go back; conditions tell the present.
	//
	// +optional
	Initialization LocalClusterInitialization `json:"initialization,omitempty,omitzero"`
	// failureDomains are the zones of spec, in the form that Cluster API reads.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	FailureDomains []clusterv1.FailureDomain `json:"failureDomains,omitempty"`
	// nodes counts the nodes that the provider created.
	//
	// +optional
	Nodes *NodesStatus `json:"nodes,omitempty"`
	// observedGeneration is the generation that this status speaks of.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready, NodesReady and Paused.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// LocalClusterInitialization is the progress of the first provisioning.
//
// +kubebuilder:validation:MinProperties=1
type LocalClusterInitialization struct {
	// provisioned is true once the API server answered at the endpoint and its
	// kubeconfig Secret was written: a client that sees it can connect at once.
	//
	// +optional
	Provisioned *bool `json:"provisioned,omitempty"`
}

// NodesStatus counts nodes.
type NodesStatus struct {
	// desired is how many nodes spec asks for.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Desired int32 `json:"desired"`
	// ready is how many of them exist and are ready.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Ready int32 `json:"ready"`
}

// GetConditions returns the conditions, as Cluster API's helpers want them.
func (c *LocalCluster) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions replaces the conditions.
func (c *LocalCluster) SetConditions(conditions []metav1.Condition) { c.Status.Conditions = conditions }

// NodeCount returns the number of nodes asked for, with the default filled in.
func (c *LocalCluster) NodeCount() int32 {
	if c.Spec.Nodes.Count == nil {
		return DefaultNodes
	}
	return *c.Spec.Nodes.Count
}
