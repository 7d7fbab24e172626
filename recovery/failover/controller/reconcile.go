// Package controller watches clusters for policies: it starts probes, gathers what is known,
// lets package failover decide, and orders runs through the API. It touches no cluster
// itself: what a run does, and whether it still may, is the business of package recovery.
package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/failover"
	"github.com/refloat-dev/refloat/recovery/failover/probe"
)

// Reconciler deals with one policy at a time.
type Reconciler struct {
	// Client reads policies, plans, holds and runs from a cache, and orders runs.
	Client client.Client
	// Reader asks the API server.
	Reader   client.Reader
	Clusters probe.Clusters
	Recorder events.EventRecorder
	Clock    clock.WithTicker
	// System of Options.
	System string

	board *board
	// life bounds all probes.
	life context.Context //nolint:containedctx // probes outlive the reconcile that starts them, and end with the process
	call func(key client.ObjectKey)

	mu sync.Mutex
	me string
}

// maxRounds of decisions about one policy at one instant.
const maxRounds = 5

// Reconcile decides until there is nothing left to do at this instant.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	for range maxRounds {
		policy := &v1alpha1.FailoverPolicy{}
		err := r.Reader.Get(ctx, request.NamespacedName, policy)
		if apierrors.IsNotFound(err) || err == nil && policy.DeletionTimestamp != nil {
			r.board.forget(request.NamespacedName)
			unobserve(request.Namespace, request.Name)
			return ctrl.Result{}, nil
		}
		if err != nil {
			return ctrl.Result{}, fmt.Errorf("read the policy: %w", err)
		}
		o, plan, err := r.observe(ctx, policy.DeepCopy())
		if err != nil {
			return ctrl.Result{}, err
		}
		d := failover.Decide(o)
		after, news, err := r.act(ctx, o, plan, d)
		if err != nil {
			return ctrl.Result{}, err
		}
		if err := r.record(ctx, policy, after); err != nil {
			return ctrl.Result{}, err
		}
		r.tell(policy, plan, news)
		observe(after, d)
		if d.Action == failover.Rest {
			return again(d.Again, o.Now), nil
		}
	}
	return ctrl.Result{RequeueAfter: time.Second}, nil
}

// again at an instant. Runs and holds are watched, so otherwise nothing changes by itself.
func again(at, now time.Time) ctrl.Result {
	if at.IsZero() {
		return ctrl.Result{}
	}
	return ctrl.Result{RequeueAfter: max(at.Sub(now), time.Millisecond)}
}

// news that people are told, once what happened is recorded.
type news struct {
	kind, reason, note string
}

// act on a decision, with one effect besides the status that is returned.
func (r *Reconciler) act(ctx context.Context, o failover.Observation, plan *v1alpha1.RecoveryPlan, d failover.Decision) (*v1alpha1.FailoverPolicy, *news, error) {
	policy := o.Policy.DeepCopy()
	s := &policy.Status
	s.ObservedGeneration = policy.Generation
	setConditions(o, policy, d)
	s.Signals = signalsOf(o, s.Signals)
	now := metav1.NewMicroTime(o.Now)
	switch d.Action {
	case failover.Confirm:
		s.Outage = &v1alpha1.Outage{ClusterUID: o.Cluster, Since: micros(d.Since), ConfirmedAt: now}
		return policy, &news{corev1.EventTypeWarning, "ClusterDead", d.Message}, nil
	case failover.Order:
		name, err := r.order(ctx, policy, plan, o, d)
		if err != nil {
			return nil, nil, err
		}
		s.Outage.Attempts++
		s.Outage.Run, s.LastOrderedAt = name, &now
		return policy, &news{corev1.EventTypeWarning, "RunOrdered", fmt.Sprintf("%s run %s: %s", verb(policy), name, d.Message)}, nil
	case failover.Withdraw:
		if err := r.withdraw(ctx, policy.Namespace, o.Run.Name, d.Message); err != nil {
			return nil, nil, err
		}
		return policy, &news{corev1.EventTypeNormal, "RunWithdrawn", fmt.Sprintf("run %s: %s", o.Run.Name, d.Message)}, nil
	case failover.End:
		s.Outage.OverAt, s.Outage.Untouched = &now, o.Run != nil && o.Run.Untouched
		return policy, &news{corev1.EventTypeNormal, "OutageOver", d.Message}, nil
	case failover.Rest:
	}
	return policy, opened(o, policy), nil
}

// opened tells once that the breaker opened.
func opened(o failover.Observation, policy *v1alpha1.FailoverPolicy) *news {
	was := meta.FindStatusCondition(o.Policy.Status.Conditions, v1alpha1.ConditionArmed)
	is := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionArmed)
	if is.Reason != failover.ReasonBreakerOpen || was != nil && was.Reason == is.Reason {
		return nil
	}
	return &news{corev1.EventTypeWarning, is.Reason, is.Message}
}

func verb(policy *v1alpha1.FailoverPolicy) string {
	if policy.Spec.Mode == v1alpha1.FailoverAutomatic {
		return "ordered"
	}
	return "proposed"
}

func setConditions(o failover.Observation, policy *v1alpha1.FailoverPolicy, d failover.Decision) {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Watching", Message: "the policy can be followed"}
	if o.Problem != "" {
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, o.ProblemReason, o.Problem
	}
	for _, c := range []metav1.Condition{ready, d.Healthy, d.Armed} {
		if c.Type == "" {
			continue // an outage that ends says nothing of it
		}
		c.ObservedGeneration, c.LastTransitionTime = policy.Generation, metav1.NewTime(o.Now)
		meta.SetStatusCondition(&policy.Status.Conditions, c)
	}
}

// signalsOf samples. One that says the same as before is not written again.
func signalsOf(o failover.Observation, before []v1alpha1.SignalStatus) []v1alpha1.SignalStatus {
	known := map[string]v1alpha1.SignalStatus{}
	for _, s := range before {
		known[s.Name] = s
	}
	var out []v1alpha1.SignalStatus
	for _, s := range o.Samples {
		next := failover.Said(s.Name, s.State, s.Since, o.Now, s.Message)
		if was, ok := known[s.Name]; ok && was.State == next.State && was.Message == next.Message {
			next.Since = was.Since
		}
		out = append(out, next)
	}
	return out
}

// micros as they are stored: to compare what was written with what was read.
func micros(at time.Time) metav1.MicroTime {
	return metav1.NewMicroTime(at.Truncate(time.Microsecond))
}

// order the run of an attempt. Its name makes sure that there is one.
func (r *Reconciler) order(ctx context.Context, policy *v1alpha1.FailoverPolicy, plan *v1alpha1.RecoveryPlan, o failover.Observation, d failover.Decision) (string, error) {
	me, err := r.whoAmI(ctx)
	if err != nil {
		return "", err
	}
	run := failover.RunFor(policy, plan, o, d.Message)
	run.Spec.RequestedBy = me
	err = r.Client.Create(ctx, run)
	if apierrors.IsAlreadyExists(err) {
		err = r.ours(ctx, policy, run.Name)
	}
	if err != nil {
		return "", fmt.Errorf("create run %s: %w", run.Name, err)
	}
	return run.Name, nil
}

// ours makes sure that the run that has the name is the one that was to be created.
func (r *Reconciler) ours(ctx context.Context, policy *v1alpha1.FailoverPolicy, name string) error {
	run := &v1alpha1.RecoveryRun{}
	if err := r.Reader.Get(ctx, client.ObjectKey{Namespace: policy.Namespace, Name: name}, run); err != nil {
		return err
	}
	if run.Spec.Proposal == nil || run.Spec.Proposal.UID != policy.UID {
		return fmt.Errorf("a run of that name exists which the policy did not order")
	}
	return nil
}

// withdraw a run that has touched nothing. If it begins meanwhile, it was written to and the
// update is refused.
func (r *Reconciler) withdraw(ctx context.Context, namespace, name, reason string) error {
	run := &v1alpha1.RecoveryRun{}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, run)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read run %s: %w", name, err)
	}
	if !recovery.Untouched(run) || run.Spec.Cancel != nil {
		return nil // it began meanwhile, and has to come to its end
	}
	run.Spec.Cancel = &v1alpha1.Cancellation{Reason: failover.Clip(reason)}
	if err := r.Client.Update(ctx, run); err != nil {
		return fmt.Errorf("cancel run %s: %w", name, err)
	}
	return nil
}

// whoAmI to the management cluster: who requests a run says so.
func (r *Reconciler) whoAmI(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.me != "" {
		return r.me, nil
	}
	review := &authenticationv1.SelfSubjectReview{}
	if err := r.Client.Create(ctx, review); err != nil {
		return "", fmt.Errorf("ask who this controller is: %w", err)
	}
	r.me = review.Status.UserInfo.Username
	return r.me, nil
}

// record a status that changed. Nothing is written when nothing happened.
func (r *Reconciler) record(ctx context.Context, before, after *v1alpha1.FailoverPolicy) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, after); err != nil {
		return fmt.Errorf("record the state of FailoverPolicy %s: %w", after.Name, err)
	}
	return nil
}

func (r *Reconciler) tell(policy *v1alpha1.FailoverPolicy, plan *v1alpha1.RecoveryPlan, n *news) {
	if n == nil {
		return
	}
	var about runtime.Object
	if plan != nil {
		about = plan
	}
	r.Recorder.Eventf(policy, about, n.kind, n.reason, "Failover", "%s", failover.Clip(n.note))
}
