package controller

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/failover"
)

// observe what a decision about a policy needs. The plan is nil when there is a problem.
func (r *Reconciler) observe(ctx context.Context, policy *v1alpha1.FailoverPolicy) (failover.Observation, *v1alpha1.RecoveryPlan, error) {
	o := failover.Observation{Now: r.Clock.Now(), Policy: policy}
	key := client.ObjectKeyFromObject(policy)
	if err := r.lastRun(ctx, &o); err != nil {
		return o, nil, err
	}
	plan, err := r.plan(ctx, &o)
	if err != nil {
		return o, nil, err
	}
	if plan == nil || policy.Spec.Suspend {
		r.board.rest(key)
		return o, plan, nil
	}
	seen, err := r.Clusters.Observe(ctx, plan.Namespace, plan.Spec.Cluster.Name)
	if err != nil {
		return o, plan, err
	}
	r.remade(policy, seen)
	if !seen.Exists {
		r.board.rest(key)
		return o, plan, nil
	}
	o.Cluster = seen.UID
	what := subject{policy: policy.UID, generation: policy.Generation, cluster: seen.Incarnation}
	r.board.ensure(r.life, key, what, asked(policy), func(ctx context.Context, report func(string, failover.Reading)) func() {
		return r.probe(ctx, policy.DeepCopy(), seen.Incarnation, report)
	})
	if o.Barrier, err = r.barrier(ctx, policy, plan, seen, o.Now); err != nil {
		return o, plan, err
	}
	if o.Sightings, err = r.sightings(ctx, policy, seen, o.Now); err != nil {
		return o, plan, err
	}
	o.Samples = r.samples(policy, seen, o.Now)
	armed := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionArmed)
	o.Breaker, o.From = r.board.judge(key, judgement{
		verdict: failover.Judge(o.Samples, int(policy.Spec.Unhealthy.Quorum)), barrier: o.Barrier, doubted: failover.SeenAlive(o.Sightings),
		open: armed != nil && armed.Reason == failover.ReasonBreakerOpen, rule: policy.Spec.Breaker,
	}, o.Now)
	return o, plan, nil
}

// remade tells the board when a run of the policy took the place of a cluster that died.
func (r *Reconciler) remade(policy *v1alpha1.FailoverPolicy, seen capi.Observation) {
	outage, ordered := policy.Status.Outage, policy.Status.LastOrderedAt
	if outage != nil && outage.Run != "" && ordered != nil && seen.UID != outage.ClusterUID {
		r.board.remade(client.ObjectKeyFromObject(policy), ordered.Time)
	}
}

// plan of a policy, nil with a problem when it cannot be acted for.
func (r *Reconciler) plan(ctx context.Context, o *failover.Observation) (*v1alpha1.RecoveryPlan, error) {
	policy := o.Policy
	problem := func(reason, format string, args ...any) (*v1alpha1.RecoveryPlan, error) {
		o.ProblemReason, o.Problem = reason, fmt.Sprintf(format, args...)
		return nil, nil
	}
	plan := &v1alpha1.RecoveryPlan{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: policy.Namespace, Name: policy.Spec.PlanRef.Name}, plan)
	if apierrors.IsNotFound(err) {
		return problem("PlanNotFound", "spec.planRef: there is no RecoveryPlan %s in namespace %s", policy.Spec.PlanRef.Name, policy.Namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", policy.Spec.PlanRef.Name, err)
	}
	policies := &v1alpha1.FailoverPolicyList{}
	if err := r.Client.List(ctx, policies, client.InNamespace(policy.Namespace)); err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	for i := range policies.Items {
		if other := &policies.Items[i]; other.UID != policy.UID && other.Spec.PlanRef == policy.Spec.PlanRef && before(other, policy) {
			return problem("AnotherPolicy", "FailoverPolicy %s came first and watches the same plan; only one can. Delete one of the two", other.Name)
		}
	}
	if why := refusedLater(policy, plan); why != "" {
		return problem("CannotAct", "%s", why)
	}
	if to := policy.Spec.Action.To; to != nil {
		standby := &v1alpha1.RecoveryPlan{}
		err := r.Client.Get(ctx, client.ObjectKey{Namespace: policy.Namespace, Name: to.Name}, standby)
		switch {
		case apierrors.IsNotFound(err):
			return problem("StandbyNotFound", "spec.action.to: there is no RecoveryPlan %s in namespace %s", to.Name, policy.Namespace)
		case err != nil:
			return nil, fmt.Errorf("read plan %s: %w", to.Name, err)
		case standby.Spec.Cluster.Name == plan.Spec.Cluster.Name:
			return problem("SameCluster", "spec.action.to: RecoveryPlan %s makes cluster %s, which is the one that is watched", to.Name, plan.Spec.Cluster.Name)
		}
	}
	return plan, nil
}

// before tells which of two policies acts, whoever asks.
func before(a, b *v1alpha1.FailoverPolicy) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

// refusedLater tells why the run that a policy would order cannot work: that is better
// known now than when the cluster is dead.
func refusedLater(policy *v1alpha1.FailoverPolicy, plan *v1alpha1.RecoveryPlan) string {
	t, automatic := plan.Spec.Teardown, policy.Spec.Mode == v1alpha1.FailoverAutomatic
	elsewhere := policy.Spec.Action.Operation == v1alpha1.FailoverToStandby
	deletes := !elsewhere || plan.Spec.Failover == nil || plan.Spec.Failover.Fence.Method != v1alpha1.FenceHook
	switch {
	case deletes && t.Policy == v1alpha1.TeardownForbidden:
		return fmt.Sprintf("RecoveryPlan %s forbids to delete its cluster (spec.teardown.policy), which is what would have to be done", plan.Name)
	case automatic && deletes && t.Policy == v1alpha1.TeardownNeedsApproval:
		return fmt.Sprintf("RecoveryPlan %s asks a person before its cluster is deleted (spec.teardown.policy), so spec.mode cannot be Automatic", plan.Name)
	case automatic && !elsewhere && t.Loss.Policy != v1alpha1.LossWarn && t.Loss.Unreachable != v1alpha1.UnreachableAllowRebuild:
		return fmt.Sprintf("a dead cluster cannot say what would be lost with it: for spec.mode Automatic, set spec.teardown.loss.unreachable of RecoveryPlan %s to AllowRebuild", plan.Name)
	case automatic && len(policy.Spec.Observers) == 0 && len(Signals(policy)) < 2:
		return "one signal from one place cannot tell a dead cluster from a broken network: for spec.mode Automatic, add an observer or a second signal"
	}
	return ""
}

// lastRun that the present outage caused.
func (r *Reconciler) lastRun(ctx context.Context, o *failover.Observation) error {
	outage := failover.Current(o.Policy)
	if outage == nil || outage.Run == "" {
		return nil
	}
	run := &v1alpha1.RecoveryRun{}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: o.Policy.Namespace, Name: outage.Run}, run)
	if apierrors.IsNotFound(err) {
		o.Run = &failover.Run{Name: outage.Run, Finished: true, Gone: true}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read run %s: %w", outage.Run, err)
	}
	o.Run = &failover.Run{
		Name: run.Name, Finished: run.Status.FinishedAt != nil, Succeeded: run.Status.FinishedAt != nil && run.Status.Failure == nil,
		Untouched: recovery.Untouched(run), Cancelled: run.Spec.Cancel != nil,
	}
	return nil
}

// busy conditions of Cluster API: it is at work on the cluster.
var busy = []string{
	clusterv1.ClusterRollingOutCondition, clusterv1.ClusterRemediatingCondition,
	clusterv1.ClusterScalingUpCondition, clusterv1.ClusterScalingDownCondition, clusterv1.ClusterDeletingCondition,
}

const (
	// reasonStopped is the one barrier that says nothing about the cluster.
	reasonStopped = "AutomationStopped"
	// busyFor is how long Cluster API may be at work: a dead cluster is remediated for ever.
	busyFor = time.Hour
)

func bar(reason, format string, args ...any) failover.Barrier {
	return failover.Barrier{Reason: reason, Message: failover.Clip(fmt.Sprintf(format, args...))}
}

// barrier between an outage and a run.
func (r *Reconciler) barrier(ctx context.Context, policy *v1alpha1.FailoverPolicy, plan *v1alpha1.RecoveryPlan, seen capi.Observation, now time.Time) (failover.Barrier, error) {
	if b := ofCluster(plan, seen, now); b.Reason != "" {
		return b, nil
	}
	holds := &v1alpha1.HoldList{}
	if err := r.Client.List(ctx, holds, client.InNamespace(policy.Namespace)); err != nil {
		return failover.Barrier{}, fmt.Errorf("list holds: %w", err)
	}
	for i := range holds.Items {
		if hold := &holds.Items[i]; hold.Spec.PlanRef == policy.Spec.PlanRef && hold.DeletionTimestamp == nil && now.Before(hold.Spec.Until.Time) {
			b := bar("Held", "Hold %s keeps the cluster until %s: %s", hold.Name, hold.Spec.Until.UTC().Format(time.RFC3339), hold.Spec.Reason)
			b.Until = hold.Spec.Until.Time
			return b, nil
		}
	}
	runs := &v1alpha1.RecoveryRunList{}
	if err := r.Client.List(ctx, runs, client.InNamespace(policy.Namespace)); err != nil {
		return failover.Barrier{}, fmt.Errorf("list runs: %w", err)
	}
	for i := range runs.Items {
		if run := &runs.Items[i]; inTheWay(policy, run) {
			return bar("RunUnderWay", "%s run %s is under way", run.Spec.Operation, run.Name), nil
		}
	}
	rules, err := gatesOver(ctx, r.Client, policy.Namespace, r.System)
	if why := recovery.StoppedBy(rules); why != "" {
		return bar(reasonStopped, "%s", why), nil
	}
	return failover.Barrier{}, err
}

// ofCluster is a barrier that the cluster itself is.
func ofCluster(plan *v1alpha1.RecoveryPlan, seen capi.Observation, now time.Time) failover.Barrier {
	serving := plan.Status.Serving
	switch {
	case serving != nil && serving.Plan != plan.Name:
		return bar("NotServing", "the cluster of plan %s serves for this one; 'refloat failback %s' brings it back", serving.Plan, plan.Name)
	case !seen.DeletingSince.IsZero():
		return bar("Deleting", "Cluster %s is being deleted", seen.Name)
	case seen.Paused:
		return bar("Paused", "Cluster %s is paused", seen.Name)
	case !seen.Initialized:
		return bar("Provisioning", "Cluster %s was never up", seen.Name)
	}
	for _, kind := range busy {
		c := meta.FindStatusCondition(seen.Conditions, kind)
		if c == nil || c.Status != metav1.ConditionTrue || now.Sub(c.LastTransitionTime.Time) > busyFor {
			continue
		}
		b := bar("Busy", "Cluster API is at work on Cluster %s (%s is True)", seen.Name, kind)
		b.Until = c.LastTransitionTime.Add(busyFor + time.Second)
		return b
	}
	return failover.Barrier{}
}

// gatesOver a namespace are its own rules and those of the controller's namespace.
func gatesOver(ctx context.Context, reader client.Reader, namespaces ...string) ([]v1alpha1.SafetyRule, error) {
	var all []v1alpha1.SafetyRule
	for _, in := range namespaces {
		if in == "" {
			continue
		}
		list := &v1alpha1.SafetyRuleList{}
		if err := reader.List(ctx, list, client.InNamespace(in)); err != nil {
			return nil, fmt.Errorf("list the safety rules of namespace %s: %w", in, err)
		}
		all = append(all, list.Items...)
	}
	return all, nil
}

// inTheWay are runs that are not over and work on the cluster, but for the one that the
// present outage caused. A drill touches nothing that exists.
func inTheWay(policy *v1alpha1.FailoverPolicy, run *v1alpha1.RecoveryRun) bool {
	if run.Status.FinishedAt != nil || run.Spec.Operation == v1alpha1.OperationDrill {
		return false
	}
	outage := failover.Current(policy)
	if outage != nil && outage.Run == run.Name {
		return false
	}
	return run.Spec.PlanRef == policy.Spec.PlanRef || run.Spec.Failover != nil && run.Spec.Failover.To == policy.Spec.PlanRef
}

// sightings of the observers of a policy.
func (r *Reconciler) sightings(ctx context.Context, policy *v1alpha1.FailoverPolicy, seen capi.Observation, now time.Time) ([]failover.Sighting, error) {
	var out []failover.Sighting
	for _, observer := range policy.Spec.Observers {
		lease := &coordinationv1.Lease{}
		err := r.Reader.Get(ctx, client.ObjectKey{Namespace: policy.Namespace, Name: failover.SightingName(policy.Name, observer.Name)}, lease)
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("read what observer %s says: %w", observer.Name, err)
		}
		out = append(out, failover.ReadSighting(observer.Name, lease, seen.UID, now))
	}
	return out, nil
}
