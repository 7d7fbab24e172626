package integration

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
)

// testMachines scales a cluster in Cluster API's own way, without any bootstrap
// provider, and deletes it while a Machine is there.
func testMachines(t *testing.T, m *management) {
	ctx := t.Context()
	stop := m.startProvider(ctx, t)
	began := time.Now()
	apply(ctx, t, m.client, "testdata/machines.yaml", "machines")
	meta := metav1.ObjectMeta{Namespace: "default", Name: "machines"}
	deployment := &clusterv1.MachineDeployment{ObjectMeta: meta}
	await(ctx, t, m.client, deployment, "Available with two replicas", func() bool {
		available := deployment.Status.AvailableReplicas
		return available != nil && *available == 2 && conditions.IsTrue(deployment, clusterv1.MachineDeploymentAvailableCondition)
	})
	cluster := &clusterv1.Cluster{ObjectMeta: meta}
	m.awaitAvailable(ctx, t, cluster)
	t.Logf("with two Machines: create -> Available: %s", time.Since(began).Round(10*time.Millisecond))

	workload := m.connect(ctx, t, "machines")
	nodes := checkNodes(t, workload, 2)
	before := deployment.DeepCopy()
	deployment.Spec.Replicas = new(int32)
	*deployment.Spec.Replicas = 1
	if err := m.client.Patch(ctx, deployment, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, m.client, deployment, "scaled to one", func() bool {
		replicas := deployment.Status.Replicas
		return replicas != nil && *replicas == 1
	})
	var machines infrav1.LocalMachineList
	if err := m.client.List(ctx, &machines, client.InNamespace("default")); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		if len(machines.Items) == 1 && nodes[i].Name != machines.Items[0].Name {
			awaitGone(ctx, t, workload, &nodes[i])
		}
	}
	checkNodes(t, workload, 1)

	if err := m.client.Delete(ctx, cluster); err != nil {
		t.Fatal(err)
	}
	awaitGone(ctx, t, m.client, cluster)
	template := &infrav1.LocalMachineTemplate{ObjectMeta: meta}
	awaitGone(ctx, t, m.client, template)
	m.checkNothingLeft(ctx, t)
	stop()
}

func checkNodes(t *testing.T, workload client.Client, want int) []corev1.Node {
	t.Helper()
	var nodes corev1.NodeList
	if err := workload.List(t.Context(), &nodes); err != nil {
		t.Fatal(err)
	}
	if len(nodes.Items) != want {
		t.Errorf("%d nodes, want %d", len(nodes.Items), want)
	}
	for _, node := range nodes.Items {
		if node.Labels["tier"] != "front" || node.Status.Capacity.Cpu().String() != "2" || node.Spec.ProviderID == "" {
			t.Errorf("node %s: labels %v, capacity %v, provider ID %q", node.Name, node.Labels, node.Status.Capacity, node.Spec.ProviderID)
		}
	}
	return nodes.Items
}
