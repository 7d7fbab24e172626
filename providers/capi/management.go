package capi

import (
	"context"
	"encoding/pem"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// RefuseManagement returns a RefusedError when the access leads to the management
// cluster itself, which is never a target. It compares the endpoint and the identity of
// kube-system. When that is not known, because the cluster does not answer, a common
// certificate authority is enough to refuse: nothing else tells the two apart.
func (c *Clusters) RefuseManagement(ctx context.Context, config *rest.Config, kubeSystem types.UID) error {
	refused := func(how string) error {
		return &RefusedError{Reason: "ManagementCluster", Message: fmt.Sprintf("the cluster at %s is the management cluster itself (%s); it is never a target", config.Host, how)}
	}
	if sameEndpoint(c.Endpoint, config.Host) {
		return refused("same endpoint")
	}
	if kubeSystem == "" {
		if sameAuthority(c.CA, config.CAData) {
			return refused("it does not answer, and its certificate authority is the same")
		}
		return nil
	}
	own := &corev1.Namespace{}
	if err := c.Reader.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, own); err != nil {
		return fmt.Errorf("read namespace kube-system of the management cluster: %w", err)
	}
	if own.UID == kubeSystem {
		return refused("same kube-system namespace")
	}
	return nil
}

// RefuseHome returns a RefusedError when the management cluster runs on machines of this
// Cluster, as its nodes' annotations tell. It needs nothing of the Cluster to answer.
func (c *Clusters) RefuseHome(ctx context.Context, inc Incarnation) error {
	next := ""
	for {
		nodes := &metav1.PartialObjectMetadataList{}
		nodes.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NodeList"))
		if err := c.Reader.List(ctx, nodes, client.Limit(nodePage), client.Continue(next)); err != nil {
			return fmt.Errorf("list the nodes of the management cluster: %w", err)
		}
		for i := range nodes.Items {
			a := nodes.Items[i].Annotations
			if a[clusterv1.ClusterNameAnnotation] == inc.Name && a[clusterv1.ClusterNamespaceAnnotation] == inc.Namespace {
				return &RefusedError{Reason: "ManagementCluster", Message: fmt.Sprintf(
					"node %s of the management cluster belongs to Cluster %s, so that is the management cluster itself; it is never a target", nodes.Items[i].Name, inc)}
			}
		}
		if next = nodes.Continue; next == "" {
			return nil
		}
	}
}

// sameAuthority tells whether two PEM bundles have a certificate in common.
func sameAuthority(a, b []byte) bool {
	ours := map[string]bool{}
	for block, rest := pem.Decode(a); block != nil; block, rest = pem.Decode(rest) {
		ours[string(block.Bytes)] = true
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if ours[string(block.Bytes)] {
			return true
		}
	}
	return false
}

func sameEndpoint(a, b string) bool {
	normal := func(s string) string {
		s = strings.TrimSuffix(strings.TrimPrefix(s, "https://"), "/")
		return strings.TrimSuffix(s, ":443")
	}
	return a != "" && normal(a) == normal(b)
}
