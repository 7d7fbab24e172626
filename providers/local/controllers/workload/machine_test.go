package workload

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestNodeOfAMachine(t *testing.T) {
	m := Machine{Name: "m-1", ProviderID: "local://fleet/one/m-1", Zone: "a", Labels: map[string]string{"tier": "front"}}
	c := newClient()
	for range 2 {
		if err := ensureNode(t.Context(), c, m); err != nil {
			t.Fatal(err)
		}
	}
	node := &corev1.Node{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "m-1"}, node); err != nil {
		t.Fatal(err)
	}
	_, machine := node.Labels[MachineLabel]
	_, pooled := node.Labels[PoolLabel]
	if !machine || pooled || node.Labels["tier"] != "front" || node.Labels[corev1.LabelTopologyZone] != "a" ||
		node.Annotations[kwokAnnotation] != "fake" || node.Status.Capacity.Cpu().IsZero() {
		t.Errorf("node %+v", node)
	}

	other := m
	other.ProviderID = "local://fleet/two/m-1"
	if err := ensureNode(t.Context(), c, other); !errors.Is(err, ErrForeignNode) {
		t.Errorf("error %v, want %v", err, ErrForeignNode)
	}
	if err := removeNode(t.Context(), c, other); err != nil {
		t.Error(err)
	}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "m-1"}, node); err != nil {
		t.Errorf("the node of another machine was removed: %v", err)
	}
	for range 2 {
		if err := removeNode(t.Context(), c, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Get(t.Context(), client.ObjectKey{Name: "m-1"}, node); !apierrors.IsNotFound(err) {
		t.Errorf("the node is still there: %v", err)
	}
}
