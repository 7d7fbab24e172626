package controller

import (
	"context"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// wanted reads what may call a run off before it deletes anything: the outage that it was
// ordered for, and the rules.
func (r *Reconciler) wanted(ctx context.Context, o *recovery.Observation, phase v1alpha1.Phase) error {
	if proposal := o.Run.Spec.Proposal; proposal != nil {
		policy, err := r.policy(ctx, o.Run.Namespace, proposal.PolicyRef.Name)
		if err != nil {
			return err
		}
		o.OutageOver = recovery.OutageOver(proposal, policy)
		if deletes(phase) && o.OutageOver == "" && !recovery.Leaves(o.Run) {
			o.OutageOver = r.answers(ctx, o.Run)
		}
	}
	if err := r.gates(ctx, o); err != nil {
		return err
	}
	rules, err := r.rules(ctx, o.Run.Namespace)
	if err != nil {
		return err
	}
	for i := range rules {
		a := rules[i].Spec.Assertion
		if a == nil || rules[i].DeletionTimestamp != nil || !slices.Contains(a.Plans, recovery.DoomedSide(o.Run).Plan) {
			continue
		}
		held, err := r.assert(ctx, o.Run, rules[i].Name, *a, deletes(phase))
		if err != nil {
			return err
		}
		o.Assertions = append(o.Assertions, held)
	}
	return nil
}

// answers tells that a cluster that is about to go as a dead one answers after all. What was
// recorded of it may be old: this process, or another one, may have stood still since.
func (r *Reconciler) answers(ctx context.Context, run *v1alpha1.RecoveryRun) string {
	previous := run.Status.Previous
	if previous == nil || previous.UID == "" {
		return ""
	}
	inc := incarnation(run, previous)
	config, err := r.Clusters.Connect(ctx, inc)
	if err != nil {
		return ""
	}
	health, err := r.Clusters.Probe(ctx, config, 0)
	if err != nil {
		return ""
	}
	pinned, err := r.pinnedSystem(ctx, inc)
	if err == nil && pinned != "" && pinned != health.KubeSystemUID {
		return "" // it lost its data: what answers is not what died
	}
	return "its API server answers"
}

// reservations are the plans whose clusters runs are about to delete, so that two runs do not
// count on each other's cluster. Once the deletion is recorded the run itself says so.
type reservations struct {
	mu   sync.Mutex
	runs map[types.UID]string
}

// assert looks what would serve without the cluster of a run, and keeps it from being counted
// by others when the run is about to delete it.
func (r *Reconciler) assert(ctx context.Context, run *v1alpha1.RecoveryRun, rule string, a v1alpha1.Assertion, about bool) (recovery.Asserted, error) {
	r.reserved.mu.Lock()
	defer r.reserved.mu.Unlock()
	leaving, err := r.leaving(ctx, run)
	if err != nil {
		return recovery.Asserted{}, err
	}
	held := recovery.Asserted{Rule: rule, Assertion: a}
	mine := recovery.DoomedSide(run)
	seen := map[string]bool{mine.Cluster: true}
	for _, name := range a.Plans {
		cluster, serves, err := r.serves(ctx, run.Namespace, name)
		if err != nil {
			return held, err
		}
		switch {
		case name == mine.Plan:
			held.Serves = serves != metav1.ConditionFalse && run.Spec.Proposal == nil
		case serves == metav1.ConditionTrue && !leaving[name] && !seen[cluster]:
			seen[cluster] = true
			held.Others = append(held.Others, name)
		}
	}
	if about && held.Holds() {
		r.reserved.runs[run.UID] = mine.Plan
	}
	return held, nil
}

// leaving are the plans whose clusters other runs take out of service, or are about to.
func (r *Reconciler) leaving(ctx context.Context, run *v1alpha1.RecoveryRun) (map[string]bool, error) {
	plans, unfinished := map[string]bool{}, map[types.UID]bool{run.UID: true}
	runs := &v1alpha1.RecoveryRunList{}
	err := r.pages(ctx, run.Namespace, runs, func() {
		for i := range runs.Items {
			other := &runs.Items[i]
			if other.Status.FinishedAt != nil || other.UID == run.UID {
				continue
			}
			unfinished[other.UID] = true
			if recovery.Leaves(other) {
				plans[recovery.DoomedSide(other).Plan] = true
			}
		}
	})
	for other, plan := range r.reserved.runs {
		switch {
		case !unfinished[other] && err == nil:
			delete(r.reserved.runs, other)
		case other != run.UID:
			plans[plan] = true
		}
	}
	return plans, err
}

// serves tells whether the cluster of a plan serves: False when it surely does not.
func (r *Reconciler) serves(ctx context.Context, namespace, name string) (string, metav1.ConditionStatus, error) {
	plan := &v1alpha1.RecoveryPlan{}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, plan)
	if apierrors.IsNotFound(err) {
		return "", metav1.ConditionFalse, nil
	}
	if err != nil {
		return "", "", fmt.Errorf("read plan %s: %w", name, err)
	}
	cluster := plan.Spec.Cluster.Name
	if s := plan.Status.Serving; s != nil && s.Plan != name {
		return cluster, metav1.ConditionFalse, nil
	}
	obs, err := r.Clusters.Observe(ctx, namespace, cluster)
	if err != nil {
		return cluster, "", err
	}
	available := meta.FindStatusCondition(obs.Conditions, clusterv1.ClusterAvailableCondition)
	switch {
	case !obs.Exists || !obs.DeletingSince.IsZero():
		return cluster, metav1.ConditionFalse, nil
	case available == nil:
		return cluster, metav1.ConditionUnknown, nil
	}
	return cluster, available.Status, nil
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
