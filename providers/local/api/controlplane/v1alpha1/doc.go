// Package v1alpha1 holds the control plane kinds of the local provider: a real
// etcd, API server, controller manager and scheduler run as processes of this
// machine. The kinds follow the ControlPlane rules of Cluster API's provider
// contract v1beta2.
//
// +kubebuilder:object:generate=true
// +groupName=controlplane.cluster.x-k8s.io
package v1alpha1
