package controllers

import (
	"errors"
	"fmt"
	"hash/fnv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
)

// machineObstacle tells why the node of a machine cannot be created yet; nil when
// it can. A bootstrap provider is not needed, but the order of Cluster API is kept:
// the Machine must name its bootstrap data, which may be the empty name.
func machineObstacle(cluster *clusterv1.Cluster, machine *clusterv1.Machine) *metav1.Condition {
	refuse := func(reason, message string) *metav1.Condition {
		c := condition(infrav1.ReadyCondition, metav1.ConditionFalse, reason, message)
		return &c
	}
	switch {
	case !ptr.Deref(cluster.Status.Initialization.InfrastructureProvisioned, false):
		return refuse(infrav1.WaitingForInfrastructureReason, "waiting for the infrastructure of the Cluster")
	case machine.Spec.Bootstrap.DataSecretName == nil:
		return refuse(infrav1.WaitingForBootstrapDataReason, "waiting for the bootstrap data of the Machine")
	case !refersTo(cluster.Spec.ControlPlaneRef, localControlPlaneKind):
		return refuse(infrav1.NodeFailedReason, "nodes can be created only in clusters with a LocalControlPlane")
	}
	return nil
}

// machineCondition turns the outcome of creating a node into the Ready condition.
func machineCondition(err error) metav1.Condition {
	switch {
	case err == nil:
		return condition(infrav1.ReadyCondition, metav1.ConditionTrue, infrav1.ProvisionedReason, "")
	case errors.Is(err, fleet.ErrNotServing):
		return condition(infrav1.ReadyCondition, metav1.ConditionFalse, infrav1.WaitingForAPIServerReason, bounded(err.Error()))
	}
	return condition(infrav1.ReadyCondition, metav1.ConditionFalse, infrav1.NodeFailedReason, bounded(err.Error()))
}

// nodeOf describes the node of a LocalMachine. It is put in the failure domain of
// the Machine, as the contract demands; without one, in a zone that follows from
// the name, so that asking twice gives the same.
func nodeOf(local *infrav1.LocalMachine, machine *clusterv1.Machine, cluster *clusterv1.Cluster) workload.Machine {
	key := types.NamespacedName{Namespace: cluster.Namespace, Name: cluster.Name}
	return workload.Machine{
		Name:       local.Name,
		ProviderID: providerID(key, local.Name),
		Capacity:   local.Spec.Capacity,
		Labels:     local.Spec.Labels,
		Zone:       zoneOf(machine.Spec.FailureDomain, local.Name, cluster.Status.FailureDomains),
	}
}

func providerID(key types.NamespacedName, node string) string {
	return fmt.Sprintf("local://%s/%s", key, node)
}

func zoneOf(wanted, name string, domains []clusterv1.FailureDomain) string {
	if wanted != "" || len(domains) == 0 {
		return wanted
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))                        // never fails
	return domains[h.Sum32()%uint32(len(domains))].Name //nolint:gosec // at most 100
}
