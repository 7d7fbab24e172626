package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// preflightRetry proves that a run can go on with the cluster that a failed one made.
func (r *Reconciler) preflightRetry(ctx context.Context, run *v1alpha1.RecoveryRun) (*findings, error) {
	failed, err := r.failedRun(ctx, run)
	if err != nil {
		return nil, err
	}
	f := &findings{}
	var fault *recovery.Fault
	if f.target, f.retried, fault = recovery.Retry(run, failed); fault != nil {
		return nil, fault
	}
	if err := r.stillThere(ctx, run, f.target); err != nil {
		return nil, err
	}
	if _, err := r.seeds(ctx, run); err != nil {
		return nil, err
	}
	if _, err := r.signingKey(ctx, run); err != nil {
		return nil, err
	}
	if f.materials, err = r.render(ctx, run, ""); err != nil {
		return nil, err
	}
	if f.materials.rendered.Commit == failed.Status.Pinned.Commit && failed.Status.Pinned.FrozenSecret != "" {
		// What charts made up is on the cluster already, and passwords stay.
		if f.materials, err = r.renderAs(ctx, run, failed); err != nil {
			return nil, err
		}
	}
	if f.materials.rendered.ClusterDigest != failed.Status.Pinned.ClusterDigest {
		return nil, recovery.Faultf("CannotRetry", "run %s cannot be retried: the cluster's manifests at %s are not those that it made Cluster %s from; order a rebuild instead",
			failed.Name, run.Status.Pinned.Plan.Cluster.Path, f.target.Name)
	}
	return f, r.leftBehind(ctx, run, f)
}

// failedRun that is retried, nil when it does not exist.
func (r *Reconciler) failedRun(ctx context.Context, run *v1alpha1.RecoveryRun) (*v1alpha1.RecoveryRun, error) {
	failed := &v1alpha1.RecoveryRun{}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: run.Namespace, Name: run.Spec.RetryOf}, failed)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read run %s, which is retried: %w", run.Spec.RetryOf, err)
	}
	return failed, nil
}

// stillThere refuses a cluster that is not what the failed run made any more.
func (r *Reconciler) stillThere(ctx context.Context, run *v1alpha1.RecoveryRun, target *v1alpha1.Incarnation) error {
	obs, err := r.Clusters.Observe(ctx, run.Namespace, target.Name)
	if err != nil {
		return err
	}
	inc := incarnation(run, target)
	switch {
	case !obs.Exists || !obs.DeletingSince.IsZero():
		return recovery.Faultf("CannotRetry", "run %s cannot be retried: Cluster %s, which it made, is gone or being deleted; order a rebuild instead", run.Spec.RetryOf, inc)
	case obs.UID != target.UID:
		return &capi.IdentityChangedError{Object: "Cluster " + inc.String(), Want: target.UID, Got: obs.UID}
	case obs.Paused:
		return recovery.Faultf("ClusterPaused", "Cluster %s is paused; unpause it first", inc)
	}
	return nil
}

// renderAs renders with what another run of the plan pinned.
func (r *Reconciler) renderAs(ctx context.Context, run, other *v1alpha1.RecoveryRun) (*materials, error) {
	as := run.DeepCopy()
	pinned, from := as.Status.Pinned, other.Status.Pinned
	pinned.Charts, pinned.Sources, pinned.FrozenSecret = from.Charts, from.Sources, ""
	frozen, err := r.thaw(ctx, other)
	if err != nil {
		return nil, err
	}
	return r.renderFrozen(ctx, as, from.Commit, frozen)
}
