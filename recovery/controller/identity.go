package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// typeIdentity of the Secret in which a run keeps an identity. Neither type nor labels are
// those that Cluster API looks for.
const typeIdentity corev1.SecretType = "refloat.dev/identity"

// identityKeepable proves in the preflight that the identity can be kept.
func (r *Reconciler) identityKeepable(ctx context.Context, run *v1alpha1.RecoveryRun, f *findings) error {
	if !recovery.KeepsIdentity(run) {
		return nil
	}
	if err := f.materials.cluster.HoldsIdentity(); err != nil {
		return err
	}
	if f.previous == nil || f.previous.UID == "" {
		if err := r.identityWaits(ctx, run); err != nil {
			return err
		}
		f.notes = append(f.notes, "there is no cluster whose identity could be kept: the new one gets its own")
		return nil
	}
	_, err := r.Clusters.Identity(ctx, incarnation(run, f.previous))
	return err
}

// identityWaits refuses to make up new keys while the copy of the old ones lies with an
// earlier run, which failed before it could give them back. Who made the Secrets from it has
// decided.
func (r *Reconciler) identityWaits(ctx context.Context, run *v1alpha1.RecoveryRun) error {
	key := client.ObjectKey{Namespace: run.Namespace, Name: secret.Name(run.Status.Pinned.Plan.Cluster.Name, secret.ClusterCA)}
	err := r.Reader.Get(ctx, key, &corev1.Secret{})
	if err == nil {
		return nil
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("look for Secret %s: %w", key, err)
	}
	var others []v1alpha1.RecoveryRun
	page := &v1alpha1.RecoveryRunList{}
	err = r.pages(ctx, run.Namespace, page, func() {
		for i := range page.Items {
			if page.Items[i].Spec.PlanRef == run.Spec.PlanRef {
				others = append(others, page.Items[i])
			}
		}
	})
	if err != nil {
		return err
	}
	if holder := recovery.HoldsIdentity(run, others); holder != nil {
		return recovery.Faultf("IdentityWaits", "run %s kept the identity of the cluster before in Secret %s and failed before it made the new one; create the Secrets of Cluster %s from it, or delete that run or set spec.cluster.identity of the plan to Rotate for new keys",
			holder.Name, holder.Status.Identity.SecretName, run.Status.Pinned.Plan.Cluster.Name)
	}
	return nil
}

// keepIdentity copies the identity into a Secret of the run, and then says so. Stopped in
// between, it is done again.
func (r *Reconciler) keepIdentity(ctx context.Context, o recovery.Observation) error {
	id, err := r.Clusters.Identity(ctx, incarnation(o.Run, o.Run.Status.Previous))
	if err != nil {
		return err
	}
	kept := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.Run.Namespace, Name: recovery.IdentityName(o.Run), OwnerReferences: []metav1.OwnerReference{ownerOf(o.Run)},
		},
		Type: typeIdentity, Data: flat(id),
	}
	err = r.Clusters.Client.Create(ctx, kept)
	if apierrors.IsAlreadyExists(err) {
		err = r.keepAgain(ctx, o.Run, kept)
	}
	if err != nil {
		return fmt.Errorf("keep the identity of Cluster %s in Secret %s: %w", o.Run.Status.Previous.Name, kept.Name, withoutContent(err))
	}
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
		recovery.RecordIdentity(run, v1alpha1.KeptIdentity{
			SecretName: kept.Name, Parts: slices.Collect(maps.Keys(id)), Fingerprint: recovery.Fingerprint(id[string(secret.ClusterCA)][secret.TLSCrtDataName]),
		}, now)
	})
}

// keepAgain brings what an attempt before left up to date.
func (r *Reconciler) keepAgain(ctx context.Context, run *v1alpha1.RecoveryRun, kept *corev1.Secret) error {
	held := &corev1.Secret{}
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(kept), held); err != nil {
		return err
	}
	if !metav1.IsControlledBy(held, run) {
		return errors.New("it is not of this run; remove it")
	}
	before := held.DeepCopy()
	held.Data = kept.Data
	return r.Clusters.Client.Patch(ctx, held, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// withoutContent leaves out what a policy may quote of a Secret that it refuses.
func withoutContent(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && !apierrors.IsConflict(err) {
		return fmt.Errorf("the API server refused it (%d %s)", status.Status().Code, status.Status().Reason)
	}
	return err
}

// withIdentity gives the new cluster what was kept of the one before.
func (r *Reconciler) withIdentity(ctx context.Context, o recovery.Observation, m *capi.Manifests) (*capi.Manifests, error) {
	about := o.Run.Status.Identity
	if about == nil {
		return m, nil
	}
	held := &corev1.Secret{}
	key := client.ObjectKey{Namespace: o.Run.Namespace, Name: about.SecretName}
	err := r.Reader.Get(ctx, key, held)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	id := parts(held.Data)
	if err != nil || !metav1.IsControlledBy(held, o.Run) || !slices.Equal(slices.Sorted(maps.Keys(id)), about.Parts) ||
		recovery.Fingerprint(id[string(secret.ClusterCA)][secret.TLSCrtDataName]) != about.Fingerprint {
		return nil, recovery.Faultf("IdentityLost", "Secret %s with the identity of the cluster before is gone or was changed; set spec.cluster.identity of the plan to Rotate and order another rebuild", key)
	}
	return r.Clusters.WithIdentity(ctx, m, id, stampOf(o))
}

// flat is an identity as the data of one Secret: ca.tls.crt and so on.
func flat(id capi.Identity) map[string][]byte {
	data := map[string][]byte{}
	for purpose, part := range id {
		for key, value := range part {
			data[purpose+"."+key] = value
		}
	}
	return data
}

// parts is the identity in the data of one Secret.
func parts(data map[string][]byte) capi.Identity {
	id := capi.Identity{}
	for name, value := range data {
		purpose, key, ok := strings.Cut(name, ".")
		if !ok {
			continue
		}
		if id[purpose] == nil {
			id[purpose] = map[string][]byte{}
		}
		id[purpose][key] = value
	}
	return id
}
