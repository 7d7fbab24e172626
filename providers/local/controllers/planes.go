// Package controllers holds the controllers of the local provider: a Cluster API
// provider, contract v1beta2, whose clusters are control planes on this machine.
//
// LocalCluster owns the address and a pool of nodes, LocalControlPlane the
// processes, the certificates and the kubeconfig, LocalMachine one more node. A LocalCluster reports provisioned only
// once its control plane answers and the kubeconfig Secret is written: Cluster
// API connects the moment it sees provisioned, and tries again only 30 s later.
//
// The controllers decide from what they read and observe each time, and write
// status that can be lost: it is derived again. Slow work happens in the fleet,
// in the background, and wakes the controllers when something changed.
package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// Planes are the control planes of this machine, each known by the namespace and
// name of its Cluster. fleet.Fleet is the real implementation.
type Planes interface {
	// Reserve chooses a port, or takes the given one, and keeps it until Purge.
	Reserve(ctx context.Context, key types.NamespacedName, port int) (controlplane.Endpoint, error)
	// Ensure asks for a plane to be started or adopted in the background.
	Ensure(key types.NamespacedName, want fleet.Want) error
	// Observe returns what is known of a plane at once.
	Observe(key types.NamespacedName) fleet.Observation
	// SetNodes says what nodes the cluster should have.
	SetNodes(key types.NamespacedName, pool workload.Pool)
	// EnsureNode creates the node of a machine; fleet.ErrNotServing when it cannot now.
	EnsureNode(ctx context.Context, key types.NamespacedName, machine workload.Machine) error
	// RemoveNode deletes the node of a machine; fleet.ErrNotServing when it cannot now.
	RemoveNode(ctx context.Context, key types.NamespacedName, machine workload.Machine) error
	// Purge ends a plane and removes all traces of it; it may be called again.
	Purge(ctx context.Context, key types.NamespacedName) error
	// Listen registers a function called with each plane whose observation changed.
	Listen(changed func(types.NamespacedName))
}
