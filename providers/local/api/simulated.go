// Package api holds what the local provider promises to everyone who looks at
// its clusters from outside: the mark of a simulated cluster. The kinds live in
// the packages below it, one per API group.
package api

// SimulatedLabel marks what belongs to a cluster whose control plane is real and
// whose nodes and pods are not: no container runs there. It stands, with the
// value SimulatedValue, on every LocalCluster and LocalControlPlane that the
// provider has taken on and on the namespace kube-system of the cluster itself,
// where a client that only has the cluster's kubeconfig finds it.
const SimulatedLabel = "refloat.dev/simulated"

// SimulatedValue is the value of SimulatedLabel.
const SimulatedValue = "true"
