package controller

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/providers/capi"
)

// ErrNothingToLose means that there is no cluster.
var ErrNothingToLose = errors.New("does not exist, so there is nothing to lose")

// LossOptions of PreviewPlan.
type LossOptions struct {
	Engine Engine
	// Namespace and Plan name the cluster.
	Namespace, Plan string
	// Endpoint of the management cluster, which is never taken for a target.
	Endpoint string
}

// PlanLoss is what would be lost with a plan's cluster now.
type PlanLoss struct {
	*loss.Preview
	Plan *v1alpha1.RecoveryPlan
	// Rendered is what the plan refers to now.
	Rendered *Rendered
	// Config leads to the cluster.
	Config *rest.Config
}

// PreviewPlan does what the Preflight of a teardown would, and changes nothing: it compares
// the plan's live cluster with what the plan refers to now. Every error means that it
// could not be told what would be lost.
func PreviewPlan(ctx context.Context, c client.Client, o LossOptions) (*PlanLoss, error) {
	plan := &v1alpha1.RecoveryPlan{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Plan}, plan); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("there is no plan %q in namespace %q; 'refloat get plans' lists them", o.Plan, o.Namespace)
		}
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	clusters := &capi.Clusters{Client: c, Reader: c, Clock: clock.RealClock{}, Endpoint: o.Endpoint}
	r := &Reconciler{Client: c, Reader: c, Clusters: clusters, Engine: o.Engine, Clock: clock.RealClock{}}
	obs, err := clusters.Observe(ctx, o.Namespace, plan.Spec.Cluster.Name)
	if err != nil {
		return nil, err
	}
	if !obs.Exists {
		return nil, fmt.Errorf("Cluster %s %w", obs.Incarnation, ErrNothingToLose)
	}
	run := &v1alpha1.RecoveryRun{}
	run.Namespace, run.Name = o.Namespace, "preview"
	run.Spec = v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: plan.Name}, Operation: v1alpha1.OperationTeardown}
	run.Status.Pinned = &v1alpha1.PinnedInputs{PlanUID: plan.UID, Plan: plan.Spec}
	m, err := r.render(ctx, run, "")
	if err != nil {
		return nil, err
	}
	previous := &v1alpha1.Incarnation{Name: obs.Name, UID: obs.UID}
	found, err := r.findLoss(ctx, run, previous, m.rendered)
	if err != nil {
		return nil, err
	}
	if found.Preview == nil {
		if found.Unseen == "" {
			found.Unseen = "it never came to be"
		}
		return nil, fmt.Errorf("Cluster %s: %s", obs.Incarnation, found.Unseen)
	}
	config, err := clusters.Connect(ctx, obs.Incarnation)
	if err != nil {
		return nil, err
	}
	return &PlanLoss{Preview: found.Preview, Plan: plan, Rendered: m.rendered, Config: config}, nil
}
