package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// secret reads a Secret that the plan of the run names; field says where, for the message.
func (r *Reconciler) secret(ctx context.Context, run *v1alpha1.RecoveryRun, name, field string) (*corev1.Secret, error) {
	namespace, found := run.Namespace, &corev1.Secret{}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, found)
	if apierrors.IsNotFound(err) {
		return nil, unlessDestroyed(run, recovery.Faultf("SecretNotFound", "Secret %s/%s, which the plan names in %s, does not exist", namespace, name, field))
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	return found, nil
}

// unlessDestroyed makes a fault one that may pass once the previous cluster is being
// deleted: to give up then would leave nothing, and the Secret may come back within the
// limit of the phase.
func unlessDestroyed(run *v1alpha1.RecoveryRun, fault *recovery.Fault) error {
	if previous := run.Status.Previous; previous != nil && previous.DeleteRequestedAt != nil {
		return errors.New(fault.Message)
	}
	return fault
}

// seeds reads the Secrets that Git cannot hold.
func (r *Reconciler) seeds(ctx context.Context, run *v1alpha1.RecoveryRun) ([]SeedSecret, error) {
	var seeds []SeedSecret
	for i := range run.Status.Pinned.Plan.Seeds {
		seed, err := r.seedAt(ctx, run, i)
		if err != nil {
			return nil, err
		}
		seeds = append(seeds, seed)
	}
	return seeds, nil
}

// seedAt reads one of them.
func (r *Reconciler) seedAt(ctx context.Context, run *v1alpha1.RecoveryRun, i int) (SeedSecret, error) {
	seed, field := run.Status.Pinned.Plan.Seeds[i], fmt.Sprintf("spec.seeds[%d]", i)
	s, err := r.secret(ctx, run, seed.SecretRef.Name, field)
	if err != nil {
		return SeedSecret{}, err
	}
	if len(s.Data) == 0 {
		return SeedSecret{}, unlessDestroyed(run, recovery.Faultf("SeedEmpty", "Secret %s/%s, which the plan names in %s, is empty", run.Namespace, s.Name, field))
	}
	return SeedSecret{Namespace: seed.Namespace, Secret: s}, nil
}

// seed writes them to the new cluster and ends the phase.
func (r *Reconciler) seed(ctx context.Context, o recovery.Observation) error {
	seeds, err := r.seeds(ctx, o.Run)
	if err != nil {
		return err
	}
	target, err := r.target(ctx, o.Run)
	if err != nil {
		return err
	}
	if err := r.Engine.Seed(ctx, target, seeds); err != nil {
		return err
	}
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
		recovery.RecordAdvance(run, fmt.Sprintf("%d Secrets written", len(seeds)), now)
	})
}
