package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// wanted reads what may call a run off before it deletes anything: the outage that it was
// ordered for, and the rules.
func (r *Reconciler) wanted(ctx context.Context, o *recovery.Observation) error {
	if proposal := o.Run.Spec.Proposal; proposal != nil {
		policy, err := r.policy(ctx, o.Run.Namespace, proposal.PolicyRef.Name)
		if err != nil {
			return err
		}
		o.OutageOver = recovery.OutageOver(proposal, policy)
	}
	if err := r.gates(ctx, o); err != nil {
		return err
	}
	rules, err := r.rules(ctx, o.Run.Namespace)
	if err != nil {
		return err
	}
	for i := range rules {
		if a := rules[i].Spec.Assertion; a != nil && rules[i].DeletionTimestamp == nil {
			serving, err := r.servingOf(ctx, o.Run.Namespace, a.Plans)
			if err != nil {
				return err
			}
			o.Assertions = append(o.Assertions, recovery.Asserted{Rule: rules[i].Name, Assertion: *a, Serving: serving})
		}
	}
	return nil
}

// gates that stop what machines order.
func (r *Reconciler) gates(ctx context.Context, o *recovery.Observation) error {
	if !recovery.Automated(o.Run) {
		return nil
	}
	for _, in := range []string{o.Run.Namespace, r.System} {
		if in == "" || o.Stopped != "" {
			continue
		}
		rules, err := r.rules(ctx, in)
		if err != nil {
			return err
		}
		o.Stopped = recovery.StoppedBy(rules)
	}
	return nil
}

func (r *Reconciler) rules(ctx context.Context, namespace string) ([]v1alpha1.SafetyRule, error) {
	list := &v1alpha1.SafetyRuleList{}
	var all []v1alpha1.SafetyRule
	err := r.pages(ctx, namespace, list, func() { all = append(all, list.Items...) })
	return all, err
}

// servingOf plans are those whose clusters are Available and not being deleted.
func (r *Reconciler) servingOf(ctx context.Context, namespace string, plans []string) ([]string, error) {
	var serving []string
	for _, name := range plans {
		plan := &v1alpha1.RecoveryPlan{}
		err := r.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, plan)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read plan %s: %w", name, err)
		}
		obs, err := r.Clusters.Observe(ctx, namespace, plan.Spec.Cluster.Name)
		if err != nil {
			return nil, err
		}
		available := meta.FindStatusCondition(obs.Conditions, clusterv1.ClusterAvailableCondition)
		if obs.Exists && obs.DeletingSince.IsZero() && available != nil && available.Status == metav1.ConditionTrue {
			serving = append(serving, name)
		}
	}
	return serving, nil
}

// policy of a proposal, nil when it does not exist.
func (r *Reconciler) policy(ctx context.Context, namespace, name string) (*v1alpha1.FailoverPolicy, error) {
	policy := &v1alpha1.FailoverPolicy{}
	key := client.ObjectKey{Namespace: namespace, Name: name}
	err := r.Reader.Get(ctx, key, policy)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read FailoverPolicy %s: %w", key, err)
	}
	return policy, nil
}
