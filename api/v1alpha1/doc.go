// Package v1alpha1 holds the API of Refloat: the plan that says how to make a
// cluster and what it must match, and the run that does it once.
//
// +kubebuilder:object:generate=true
// +groupName=refloat.dev
package v1alpha1

//go:generate go tool controller-gen object crd paths=./... output:crd:dir=crds
