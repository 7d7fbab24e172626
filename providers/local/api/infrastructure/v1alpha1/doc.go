// Package v1alpha1 holds the infrastructure kinds of the local provider: the
// part of a cluster on this machine that is not its control plane, which is the
// address it is reached at and the nodes that are played in it. The kinds follow
// the InfraCluster rules of Cluster API's provider contract v1beta2.
//
// +kubebuilder:object:generate=true
// +groupName=infrastructure.cluster.x-k8s.io
package v1alpha1
