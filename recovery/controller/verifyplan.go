package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/certificate"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// VerifyOptions of VerifyPlan.
type VerifyOptions struct {
	Engine Engine
	// Namespace and Plan name what to verify.
	Namespace, Plan string
	// Endpoint of the management cluster, which is never taken for a target.
	Endpoint string
	// Thorough asks about every object, besides what the plan says.
	Thorough bool
	// StableFor is how long objects have to stay healthy; 0 does not wait.
	StableFor time.Duration
	// Key signs a certificate of the outcome, whatever it is; nil makes none.
	Key *certificate.SigningKey
	// Tell what is waited for.
	Tell func(ApplyProgress)
}

// VerifyPlan compares the live cluster of a plan with the commit that its last
// successful rebuild pinned. It changes nothing. Every error means that it could not be
// told whether the cluster matches.
func VerifyPlan(ctx context.Context, c client.Client, o VerifyOptions) (*Verified, error) {
	run, err := lastRebuild(ctx, c, o)
	if err != nil {
		return nil, err
	}
	clusters := &capi.Clusters{Client: c, Reader: c, Clock: clock.RealClock{}, Endpoint: o.Endpoint}
	r := &Reconciler{Client: c, Reader: c, Clusters: clusters, Engine: o.Engine, Clock: clock.RealClock{}}
	target, err := r.target(ctx, run)
	if err != nil {
		return nil, err
	}
	m, err := r.render(ctx, run, run.Status.Pinned.Commit)
	if err != nil {
		return nil, err
	}
	if m.rendered.Digest != run.Status.Pinned.RenderDigest {
		return nil, recovery.Faultf("RenderChanged", "commit %s renders to something else than run %s applied; rebuild with this version of Refloat first", run.Status.Pinned.Commit, run.Name)
	}
	settings := VerifySettings{
		Thorough:  o.Thorough || run.Status.Pinned.Plan.Verify.Thorough,
		StableFor: o.StableFor, Key: o.Key, Unmatched: true, Facts: factsOf(run),
	}
	tell := o.Tell
	if tell == nil {
		tell = func(ApplyProgress) {}
	}
	return o.Engine.Verify(ctx, m.rendered, target, settings, tell)
}

// lastRebuild is the successful rebuild that made the plan's present cluster.
func lastRebuild(ctx context.Context, c client.Reader, o VerifyOptions) (*v1alpha1.RecoveryRun, error) {
	plan := &v1alpha1.RecoveryPlan{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Plan}, plan); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("there is no plan %q in namespace %q; 'refloat get plans' lists them", o.Plan, o.Namespace)
		}
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	runs := &v1alpha1.RecoveryRunList{}
	if err := c.List(ctx, runs, client.InNamespace(o.Namespace)); err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var rebuilds []*v1alpha1.RecoveryRun
	for i := range runs.Items {
		run := &runs.Items[i]
		if run.Spec.PlanRef.Name == o.Plan && run.Spec.Operation == v1alpha1.OperationRebuild &&
			run.Status.RecoveredAt != nil && run.Status.Pinned != nil && run.Status.Target != nil {
			rebuilds = append(rebuilds, run)
		}
	}
	if len(rebuilds) == 0 {
		return nil, errors.New("no rebuild of this plan has succeeded yet, so there is no commit to compare with")
	}
	return slices.MaxFunc(rebuilds, func(a, b *v1alpha1.RecoveryRun) int {
		return a.Status.RecoveredAt.Compare(b.Status.RecoveredAt.Time)
	}), nil
}
