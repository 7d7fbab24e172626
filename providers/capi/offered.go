package capi

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// Offer is what a ClusterClass says of the versions that clusters may have.
type Offer struct {
	Class string
	// Wanted is what the Cluster asks for, and Versions what there are.
	Wanted   string
	Versions []string
}

// Offered finds the versions that the class of a cluster offers. It is nil when nobody says
// so: the cluster has no class, the class comes with the manifests, names no versions, or
// may not be read.
func (c *Clusters) Offered(ctx context.Context, m *Manifests) (*Offer, error) {
	topology, _, _ := unstructured.NestedMap(m.cluster.Object.Object, "spec", "topology")
	name, _, _ := unstructured.NestedString(topology, "classRef", "name")
	namespace, _, _ := unstructured.NestedString(topology, "classRef", "namespace")
	wanted, _, _ := unstructured.NestedString(topology, "version")
	if name == "" || wanted == "" || m.holds("ClusterClass", name) {
		return nil, nil
	}
	key := types.NamespacedName{Namespace: cmp.Or(namespace, m.Namespace), Name: name}
	class := &clusterv1.ClusterClass{}
	err := c.Reader.Get(ctx, key, class)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ClusterClass %s: %w", key, err)
	}
	if len(class.Spec.KubernetesVersions) == 0 {
		return nil, nil
	}
	return &Offer{Class: key.String(), Wanted: wanted, Versions: class.Spec.KubernetesVersions}, nil
}

// holds an object besides the Cluster.
func (m *Manifests) holds(kind, name string) bool {
	return slices.ContainsFunc(m.others, func(s Source) bool { return s.Object.GetKind() == kind && s.Object.GetName() == name })
}
