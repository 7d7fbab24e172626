package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	capikubeconfig "sigs.k8s.io/cluster-api/util/kubeconfig"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// errSecret is wrapped by every error about the content of a Secret, which only
// its owner can repair. The content itself is never part of it.
var errSecret = errors.New("unusable Secret")

// clusterSecrets reads and writes the Secrets that Cluster API defines for a
// cluster: its authorities and its kubeconfig. The client reads uncached, because
// a cache would hold every Secret of the management cluster.
type clusterSecrets struct {
	client client.Client
	key    types.NamespacedName
	owner  metav1.OwnerReference
}

// authorities returns the keys of the cluster. Those found in Secrets are used, as
// Cluster API's rule is; the others are made and written.
func (s *clusterSecrets) authorities(ctx context.Context, now time.Time) (*controlplane.Authorities, error) {
	generated, err := controlplane.GenerateAuthorities(s.key.Name, now)
	if err != nil {
		return nil, fmt.Errorf("make the keys of cluster %s: %w", s.key, err)
	}
	for _, one := range []struct {
		purpose secret.Purpose
		pair    *controlplane.Pair
	}{
		{secret.ClusterCA, &generated.CA},
		{secret.FrontProxyCA, &generated.FrontProxy},
		{secret.ServiceAccount, &generated.ServiceAccount},
	} {
		if err := s.lookupOrSave(ctx, one.purpose, one.pair); err != nil {
			return nil, err
		}
	}
	return generated, nil
}

// lookupOrSave replaces pair by what the Secret of that purpose holds, or writes
// pair to a new Secret.
func (s *clusterSecrets) lookupOrSave(ctx context.Context, purpose secret.Purpose, pair *controlplane.Pair) error {
	found, err := s.get(ctx, purpose)
	if err != nil {
		return err
	}
	if found == nil {
		fresh := s.make(purpose, map[string][]byte{secret.TLSCrtDataName: pair.Cert, secret.TLSKeyDataName: pair.Key})
		if err := s.client.Create(ctx, fresh); err != nil {
			return fmt.Errorf("create Secret %s/%s: %w", fresh.Namespace, fresh.Name, err)
		}
		return nil
	}
	pair.Cert, pair.Key = found.Data[secret.TLSCrtDataName], found.Data[secret.TLSKeyDataName]
	if len(pair.Cert) == 0 || len(pair.Key) == 0 {
		return fmt.Errorf("%w %s/%s: keys %s and %s must both be set", errSecret,
			found.Namespace, found.Name, secret.TLSCrtDataName, secret.TLSKeyDataName)
	}
	return s.adopt(ctx, found)
}

// kubeconfig keeps the kubeconfig Secret in line with the authorities and the
// endpoint, and returns when its client certificate is due to be replaced.
func (s *clusterSecrets) kubeconfig(ctx context.Context, a *controlplane.Authorities, e controlplane.Endpoint, now time.Time) (time.Time, error) {
	found, err := s.get(ctx, secret.Kubeconfig)
	if err != nil {
		return time.Time{}, err
	}
	if found != nil {
		if renewAt, err := checkKubeconfig(found.Data[secret.KubeconfigDataName], a, e); err == nil && now.Before(renewAt) {
			return renewAt, s.adopt(ctx, found)
		}
	}
	data, err := controlplane.KubeconfigFor(a, s.key.Name, e, controlplane.Admin, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("make the kubeconfig of cluster %s: %w", s.key, err)
	}
	if err := s.writeKubeconfig(ctx, found, data); err != nil {
		return time.Time{}, err
	}
	return checkKubeconfig(data, a, e)
}

func (s *clusterSecrets) writeKubeconfig(ctx context.Context, found *corev1.Secret, data []byte) error {
	fresh := capikubeconfig.GenerateSecretWithOwner(s.key, data, s.owner)
	if found == nil {
		if err := s.client.Create(ctx, fresh); err != nil {
			return fmt.Errorf("create Secret %s/%s: %w", fresh.Namespace, fresh.Name, err)
		}
		return nil
	}
	if found.Type != fresh.Type {
		return fmt.Errorf("%w %s/%s: its type is %s and must be %s; delete it and it is made anew", errSecret,
			found.Namespace, found.Name, found.Type, fresh.Type)
	}
	found.Data = fresh.Data
	s.claim(found)
	if err := s.client.Update(ctx, found); err != nil {
		return fmt.Errorf("update Secret %s/%s: %w", found.Namespace, found.Name, err)
	}
	return nil
}

// adopt makes an existing Secret ours when it is of Cluster API's type. Secrets of
// other types belong to the user who wrote them, and outlive the cluster.
func (s *clusterSecrets) adopt(ctx context.Context, found *corev1.Secret) error {
	if found.Type != clusterv1.ClusterSecretType {
		return nil
	}
	before := found.DeepCopy()
	if !s.claim(found) {
		return nil
	}
	if err := s.client.Patch(ctx, found, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adopt Secret %s/%s: %w", found.Namespace, found.Name, err)
	}
	return nil
}

// claim sets owner and label and tells whether that changed anything. An owner of
// the same name that is gone, as after a restore, is replaced.
func (s *clusterSecrets) claim(o *corev1.Secret) bool {
	owner := s.owner
	for _, other := range o.OwnerReferences {
		// A second controller would be refused; then ours is a plain owner.
		if ptr.Deref(other.Controller, false) && (other.Kind != owner.Kind || other.Name != owner.Name) {
			owner.Controller = nil
		}
	}
	owners := util.EnsureOwnerRef(slices.Clone(o.OwnerReferences), owner)
	changed := !slices.EqualFunc(owners, o.OwnerReferences, sameOwner) ||
		o.Labels[clusterv1.ClusterNameLabel] != s.key.Name
	o.OwnerReferences = owners
	metav1.SetMetaDataLabel(&o.ObjectMeta, clusterv1.ClusterNameLabel, s.key.Name)
	return changed
}

func sameOwner(a, b metav1.OwnerReference) bool { return a.UID == b.UID && a.Name == b.Name }

// remove deletes the Secrets that the control plane owns. Garbage collection would
// do it too, later, where it runs; a cluster that is gone should leave no keys.
func (s *clusterSecrets) remove(ctx context.Context) error {
	for _, purpose := range []secret.Purpose{
		secret.Kubeconfig, secret.ClusterCA, secret.FrontProxyCA, secret.ServiceAccount,
	} {
		found, err := s.get(ctx, purpose)
		if err != nil {
			return err
		}
		if found == nil || !slices.ContainsFunc(found.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == s.owner.UID }) {
			continue
		}
		err = s.client.Delete(ctx, found, client.Preconditions{UID: &found.UID})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete Secret %s/%s: %w", found.Namespace, found.Name, err)
		}
	}
	return nil
}

// get returns the Secret of a purpose, nil when there is none.
func (s *clusterSecrets) get(ctx context.Context, purpose secret.Purpose) (*corev1.Secret, error) {
	found := &corev1.Secret{}
	key := client.ObjectKey{Namespace: s.key.Namespace, Name: secret.Name(s.key.Name, purpose)}
	err := s.client.Get(ctx, key, found)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	return found, nil
}

func (s *clusterSecrets) make(purpose secret.Purpose, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       s.key.Namespace,
			Name:            secret.Name(s.key.Name, purpose),
			Labels:          map[string]string{clusterv1.ClusterNameLabel: s.key.Name},
			OwnerReferences: []metav1.OwnerReference{s.owner},
		},
		Type: clusterv1.ClusterSecretType,
		Data: data,
	}
}
