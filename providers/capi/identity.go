package capi

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Identity is what makes a cluster the same to those who trust it: the keys of its
// authorities, by purpose (ca, etcd, proxy, sa), each as its Secret has it.
type Identity map[string]map[string][]byte

// identityPurposes may be kept; those that are not optional have to be there.
var identityPurposes = []struct {
	purpose  secret.Purpose
	optional bool
}{{secret.ClusterCA, false}, {secret.EtcdCA, true}, {secret.FrontProxyCA, true}, {secret.ServiceAccount, false}}

// maxIdentity bounds one Secret of an identity. A key and a certificate take a few KiB.
const maxIdentity = 128 << 10

// Identity reads what would have to be kept of an incarnation: the Secrets that go with it.
// Those of another type than Cluster API's belong to somebody who wrote them, and stay. A
// cluster whose provider keeps no such Secrets is a RefusedError.
func (c *Clusters) Identity(ctx context.Context, inc Incarnation) (Identity, error) {
	found := Identity{}
	for _, p := range identityPurposes {
		held, err := c.identitySecret(ctx, inc.Namespace, inc.Name, string(p.purpose))
		switch {
		case err != nil:
			return nil, err
		case held == nil && p.optional:
			continue
		case held == nil || !complete(held.Data):
			return nil, &RefusedError{Reason: "IdentityUnknown", Message: fmt.Sprintf("the identity of Cluster %s cannot be kept: Secret %s/%s is missing, or has no %s and %s; correct that, or set spec.cluster.identity of the plan to Rotate",
				inc, inc.Namespace, secret.Name(inc.Name, p.purpose), secret.TLSCrtDataName, secret.TLSKeyDataName)}
		case sizeOf(held.Data) > maxIdentity:
			return nil, &RefusedError{Reason: "IdentityUnknown", Message: fmt.Sprintf("Secret %s/%s takes more than %d KiB, which no identity does", held.Namespace, held.Name, maxIdentity>>10)}
		case held.Type != clusterv1.ClusterSecretType:
			continue
		}
		found[string(p.purpose)] = held.Data
	}
	return found, nil
}

func complete(data map[string][]byte) bool {
	return len(data[secret.TLSCrtDataName]) > 0 && len(data[secret.TLSKeyDataName]) > 0
}

func sizeOf(data map[string][]byte) int {
	n := 0
	for _, value := range data {
		n += len(value)
	}
	return n
}

// identitySecret of a purpose, nil when there is none.
func (c *Clusters) identitySecret(ctx context.Context, namespace, cluster, purpose string) (*corev1.Secret, error) {
	held := &corev1.Secret{}
	key := types.NamespacedName{Namespace: namespace, Name: secret.Name(cluster, secret.Purpose(purpose))}
	err := c.Reader.Get(ctx, key, held)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	return held, nil
}

// HoldsIdentity refuses manifests that bring an identity of their own: there is nothing to
// keep, then.
func (m *Manifests) HoldsIdentity() error {
	for _, src := range m.others {
		if purpose := m.authority(src); purpose != "" && purpose != secret.Kubeconfig {
			return fault(src, "holds the %s of the cluster, which the plan wants to be kept (spec.cluster.identity); leave it out, or set that to Rotate", purpose)
		}
	}
	return nil
}

// WithIdentity lets a cluster be made with an identity: its Secrets are created before the
// Cluster, so that whoever makes its control plane finds them. What is there already with
// the same content, as it belongs to somebody else, is left alone; with another content it
// is a RefusedError.
func (c *Clusters) WithIdentity(ctx context.Context, m *Manifests, id Identity, stamp Stamp) (*Manifests, error) {
	out := *m
	out.others = slices.Clone(m.others)
	for _, purpose := range slices.Sorted(maps.Keys(id)) {
		live, err := c.identitySecret(ctx, m.Namespace, m.Name, purpose)
		if err != nil {
			return nil, err
		}
		mine, err := standsFor(live, id[purpose], stamp)
		if err != nil {
			return nil, err
		}
		if live != nil && !mine {
			continue
		}
		src, err := identitySource(m, purpose, id[purpose])
		if err != nil {
			return nil, err
		}
		out.others = slices.Insert(out.others, 0, src)
	}
	return &out, nil
}

// standsFor refuses a Secret that is in the way, and tells whether this run made it.
func standsFor(live *corev1.Secret, part map[string][]byte, stamp Stamp) (mine bool, err error) {
	switch {
	case live == nil:
		return false, nil
	case live.DeletionTimestamp != nil:
		return false, &NotReadyError{Reason: "StillDeleting", Message: fmt.Sprintf("Secret %s/%s is being deleted", live.Namespace, live.Name)}
	case !maps.EqualFunc(live.Data, part, bytes.Equal):
		return false, &RefusedError{Reason: "IdentityConflict", Message: fmt.Sprintf("Secret %s/%s is there, with other keys than those that are kept; remove it", live.Namespace, live.Name)}
	}
	found, _ := stampOf(live.Annotations)
	return found.Run == stamp.Run, nil
}

func identitySource(m *Manifests, purpose string, data map[string][]byte) (Source, error) {
	made := &corev1.Secret{Type: clusterv1.ClusterSecretType, Data: data}
	made.Namespace, made.Name = m.Namespace, secret.Name(m.Name, secret.Purpose(purpose))
	made.Labels = map[string]string{clusterv1.ClusterNameLabel: m.Name}
	made.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(made)
	if err != nil {
		return Source{}, fmt.Errorf("make Secret %s: %w", client.ObjectKeyFromObject(made), err)
	}
	return Source{Object: &unstructured.Unstructured{Object: content}, From: "the identity of the cluster before"}, nil
}
