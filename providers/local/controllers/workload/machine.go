package workload

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// MachineLabel is carried by the node of a machine; its value is of no meaning.
const MachineLabel = "local.refloat.dev/machine"

// ErrForeignNode says that a node of that name exists and is not of the machine.
var ErrForeignNode = errors.New("the node belongs to another machine")

// Machine describes one node that is not part of the pool.
type Machine struct {
	// Name is that of the node.
	Name string
	// ProviderID is the identity of the node.
	ProviderID string
	// Capacity overrides single quantities of the default capacity.
	Capacity corev1.ResourceList
	// Labels are added to those that every node has.
	Labels map[string]string
	// Zone is where the node is; empty means nowhere in particular.
	Zone string
}

func (m Machine) node() *corev1.Node {
	capacity := defaultCapacity()
	maps.Copy(capacity, m.Capacity)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        m.Name,
			Labels:      nodeLabels(m.Labels, MachineLabel, "true", m.Name, m.Zone),
			Annotations: map[string]string{kwokAnnotation: "fake"},
		},
		Spec:   corev1.NodeSpec{ProviderID: m.ProviderID},
		Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity.DeepCopy()},
	}
}

// EnsureNode creates the node of a machine unless it is there.
func (c *Cluster) EnsureNode(ctx context.Context, m Machine) error {
	direct, err := c.connect()
	if err != nil {
		return err
	}
	return ensureNode(ctx, direct, m)
}

// RemoveNode deletes the node of a machine if it is there.
func (c *Cluster) RemoveNode(ctx context.Context, m Machine) error {
	direct, err := c.connect()
	if err != nil {
		return err
	}
	return removeNode(ctx, direct, m)
}

func ensureNode(ctx context.Context, c client.Client, m Machine) error {
	err := c.Create(ctx, m.node())
	if err == nil {
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create node %s: %w", m.Name, err)
	}
	_, err = findNode(ctx, c, m)
	return err
}

func removeNode(ctx context.Context, c client.Client, m Machine) error {
	node, err := findNode(ctx, c, m)
	if apierrors.IsNotFound(err) || errors.Is(err, ErrForeignNode) {
		return nil
	}
	if err != nil {
		return err
	}
	err = c.Delete(ctx, node, client.Preconditions{UID: &node.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete node %s: %w", m.Name, err)
	}
	return nil
}

func findNode(ctx context.Context, c client.Client, m Machine) (*corev1.Node, error) {
	node := &corev1.Node{}
	if err := c.Get(ctx, client.ObjectKey{Name: m.Name}, node); err != nil {
		return nil, fmt.Errorf("read node %s: %w", m.Name, err)
	}
	if node.Spec.ProviderID != m.ProviderID {
		return nil, fmt.Errorf("node %s: %w", m.Name, ErrForeignNode)
	}
	return node, nil
}
