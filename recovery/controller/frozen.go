package controller

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/pack"
)

// frozenKey in the Secret of a run that holds what charts made up by chance.
const frozenKey = "releases.json.gz"

// freeze keeps releases that would be rendered differently another time, and names the
// Secret; empty when there are none. Who creates clusters writes it: Client writes no
// Secret. Each process that takes the run over writes one of
// its own: what the status names is never written again.
func (r *Reconciler) freeze(ctx context.Context, o recovery.Observation, releases []expand.FrozenRelease) (string, error) {
	if len(releases) == 0 {
		return "", nil
	}
	raw, err := pack.Pack(releases)
	if err != nil {
		return "", fmt.Errorf("keep what charts rendered: %w", err)
	}
	if len(raw) > pack.Most {
		return "", recovery.Faultf("StateInvalid", "charts of the state make up %d KiB that come out differently each time, and at most %d can be kept for the run: give passwords and certificates as values",
			len(raw)>>10, pack.Most>>10)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.Run.Namespace, Name: recovery.FrozenName(o.Run, o.Claimed), OwnerReferences: []metav1.OwnerReference{ownerOf(o.Run)},
		},
		Data: map[string][]byte{frozenKey: raw},
	}
	err = r.Clusters.Client.Create(ctx, secret)
	if apierrors.IsAlreadyExists(err) {
		err = r.refreeze(ctx, o.Run, secret)
	}
	if err != nil {
		return "", fmt.Errorf("keep what charts rendered in Secret %s: %w", secret.Name, err)
	}
	return secret.Name, nil
}

// refreeze replaces what an attempt of this process left before its end was recorded.
func (r *Reconciler) refreeze(ctx context.Context, run *v1alpha1.RecoveryRun, secret *corev1.Secret) error {
	held := &corev1.Secret{}
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(secret), held); err != nil {
		return err
	}
	if !metav1.IsControlledBy(held, run) {
		return errors.New("it is not of this run; remove it")
	}
	before := held.DeepCopy()
	held.Data = secret.Data
	return r.Clusters.Client.Patch(ctx, held, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// thaw reads what the run keeps.
func (r *Reconciler) thaw(ctx context.Context, run *v1alpha1.RecoveryRun) ([]expand.FrozenRelease, error) {
	name := run.Status.Pinned.FrozenSecret
	if name == "" {
		return nil, nil
	}
	held := &corev1.Secret{}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: run.Namespace, Name: name}, held)
	if apierrors.IsNotFound(err) || err == nil && !metav1.IsControlledBy(held, run) {
		return nil, recovery.Faultf("FrozenStateLost", "Secret %s/%s with what charts rendered for the run is gone; start another run", run.Namespace, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", run.Namespace, name, err)
	}
	var releases []expand.FrozenRelease
	if err := pack.Unpack(held.Data[frozenKey], &releases); err != nil {
		return nil, recovery.Faultf("FrozenStateLost", "Secret %s/%s with what charts rendered for the run was changed; start another run", run.Namespace, name)
	}
	return releases, nil
}
