package controller

import (
	"context"
	"fmt"
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
	// Note tells what one should know about the commit that is compared with. Optional.
	Note func(string)
}

// VerifyPlan compares the live cluster of a plan with the commit that the run which made it
// pinned. It changes nothing. Every error means that it could not be told whether the cluster
// matches.
func VerifyPlan(ctx context.Context, c client.Client, o VerifyOptions) (*Verified, error) {
	clusters := &capi.Clusters{Client: c, Reader: c, Clock: clock.RealClock{}, Endpoint: o.Endpoint}
	run, err := maker(ctx, c, clusters, o)
	if err != nil {
		return nil, err
	}
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

// maker is the run that made the plan's present cluster.
func maker(ctx context.Context, c client.Reader, clusters *capi.Clusters, o VerifyOptions) (*v1alpha1.RecoveryRun, error) {
	plan := &v1alpha1.RecoveryPlan{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Plan}, plan); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("there is no plan %q in namespace %q; 'refloat get plans' lists them", o.Plan, o.Namespace)
		}
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	obs, err := clusters.Observe(ctx, o.Namespace, plan.Spec.Cluster.Name)
	if err != nil {
		return nil, err
	}
	if !obs.Exists {
		return nil, fmt.Errorf("Cluster %s does not exist, so there is nothing to compare", obs.Incarnation)
	}
	runs := &v1alpha1.RecoveryRunList{}
	if err := c.List(ctx, runs, client.InNamespace(o.Namespace)); err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	run := recovery.Maker(runs.Items, o.Plan, obs.UID)
	if run == nil {
		return nil, fmt.Errorf("no run of this plan is known that applied anything to Cluster %s as it is now, so there is no commit to compare with; compare it with any repository: refloat verify --target-kubeconfig", obs.Incarnation)
	}
	note, fault := recovery.NotRecovered(run)
	if fault != nil {
		return nil, fault
	}
	if note != "" && o.Note != nil {
		o.Note(note)
	}
	return run, nil
}
