package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
)

// clusterFacts is what the conditions of a LocalCluster follow from.
type clusterFacts struct {
	// local is true when the control plane is one of ours.
	local bool
	// initialized is what our control plane reports to Cluster API: it answered and
	// its kubeconfig Secret is written.
	initialized bool
	// kubeconfig is true when our control plane reports that its kubeconfig Secret is
	// written, which it does while the plane still starts.
	kubeconfig bool
	// seen is what is known of the plane.
	seen fleet.Observation
	// nodes is how many nodes are asked for.
	nodes int
}

// provisioned tells whether Cluster API may connect from now on. A control plane
// of another provider has its own ways; then the address is all there is to wait for.
func (f clusterFacts) provisioned() bool { return !f.local || f.reachable() }

// reachable tells whether the plane answered and the kubeconfig for it is there. Seen
// with our own eyes it need not wait until the control plane's status says so too.
func (f clusterFacts) reachable() bool {
	return f.initialized || f.kubeconfig && f.seen.Healthy()
}

// nodesReady makes the NodesReady condition.
func (f clusterFacts) nodesReady() metav1.Condition {
	answer := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return condition(infrav1.NodesReadyCondition, status, reason, message)
	}
	switch {
	case f.nodes == 0:
		return answer(metav1.ConditionTrue, infrav1.NodesReadyReason, "no nodes are asked for")
	case !f.local:
		return answer(metav1.ConditionTrue, infrav1.NodesReadyReason,
			"nodes are created only in clusters with a LocalControlPlane")
	case !f.seen.Healthy():
		return answer(metav1.ConditionUnknown, infrav1.NodesUnknownReason, "the API server cannot be asked")
	case f.seen.Nodes.Desired != f.nodes || f.seen.Nodes.Ready < f.nodes:
		return answer(metav1.ConditionFalse, infrav1.WaitingForNodesReason,
			fmt.Sprintf("%d of %d nodes are ready", f.seen.Nodes.Ready, f.nodes))
	}
	return answer(metav1.ConditionTrue, infrav1.NodesReadyReason, "")
}

// ready makes the Ready condition, which Cluster API shows as InfrastructureReady.
func (f clusterFacts) ready() metav1.Condition {
	answer := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return condition(infrav1.ReadyCondition, status, reason, message)
	}
	nodes := f.nodesReady()
	switch {
	case f.local && !f.reachable():
		return answer(metav1.ConditionFalse, infrav1.WaitingForControlPlaneReason,
			"waiting for the control plane to answer for the first time")
	case f.local && !f.seen.Healthy():
		return answer(metav1.ConditionFalse, infrav1.WaitingForControlPlaneReason,
			"the control plane is not healthy; the LocalControlPlane says why")
	case nodes.Status != metav1.ConditionTrue:
		return answer(metav1.ConditionFalse, nodes.Reason, nodes.Message)
	}
	return answer(metav1.ConditionTrue, infrav1.ProvisionedReason, "")
}

func failureDomains(zones []string) []clusterv1.FailureDomain {
	domains := make([]clusterv1.FailureDomain, 0, len(zones))
	for _, zone := range zones {
		domains = append(domains, clusterv1.FailureDomain{Name: zone})
	}
	return domains
}
