package controller

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// create makes the cluster and pins its UID. Stopped in between, it is done again,
// which finds what it made.
func (r *Reconciler) create(ctx context.Context, o recovery.Observation) error {
	m, err := outcome[*materials](r.work, materialsKey(o.Run.UID))
	if err != nil {
		return err
	}
	inc, err := r.Clusters.Create(ctx, m.cluster, stampOf(o))
	if err != nil {
		return err
	}
	return r.pinTarget(ctx, o, inc)
}

func (r *Reconciler) pinTarget(ctx context.Context, o recovery.Observation, inc capi.Incarnation) error {
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
		created := metav1.NewTime(now)
		run.Status.Target.UID = inc.UID
		run.Status.Target.CreatedAt = &created
	})
}

// pinSystem pins the identity of the cluster from inside, unless it is our own.
func (r *Reconciler) pinSystem(ctx context.Context, o recovery.Observation) error {
	config, err := r.Clusters.Connect(ctx, incarnation(o.Run, o.Run.Status.Target))
	if err != nil {
		return err
	}
	health := o.Cluster.Health
	if err := r.Clusters.RefuseManagement(ctx, config, health.KubeSystemUID); err != nil {
		return err
	}
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, _ time.Time) {
		run.Status.Target.KubeSystemUID = health.KubeSystemUID
		run.Status.Target.Simulated = health.Simulated
	})
}

// delete takes one of the three steps of a deletion.
func (r *Reconciler) delete(ctx context.Context, o recovery.Observation, step recovery.Action) error {
	doomed := func(run *v1alpha1.RecoveryRun) *v1alpha1.Incarnation {
		if recovery.Current(run).Name == v1alpha1.PhaseTeardown {
			return run.Status.Previous
		}
		return run.Status.Target
	}
	inc := incarnation(o.Run, doomed(o.Run))
	switch step {
	case recovery.RecordDelete:
		return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
			at := metav1.NewMicroTime(now)
			doomed(run).DeleteRequestedAt = &at
		})
	case recovery.Discard:
		return r.Clusters.Discard(ctx, inc)
	default:
		return r.Clusters.Delete(ctx, inc, stampOf(o))
	}
}

// markApplied lets Cluster API's own Available mean rebuilt and reapplied.
func (r *Reconciler) markApplied(ctx context.Context, o recovery.Observation) error {
	return r.Clusters.MarkApplied(ctx, incarnation(o.Run, o.Run.Status.Target), metav1.Condition{
		Type: v1alpha1.ConditionGitStateApplied, Status: metav1.ConditionTrue, Reason: "Verified",
		Message: fmt.Sprintf("run %s applied and verified commit %s", o.Run.Name, o.Run.Status.Pinned.Commit),
	})
}

// target is the access to the cluster that the run made, with the proof that it is
// the pinned one. The proof is repeated by whoever is about to write.
func (r *Reconciler) target(ctx context.Context, run *v1alpha1.RecoveryRun) (Target, error) {
	pinned := *run.Status.Target
	inc := incarnation(run, &pinned)
	config, err := r.Clusters.Connect(ctx, inc)
	if err != nil {
		return Target{}, err
	}
	guard := func(ctx context.Context) error {
		health, err := r.Clusters.Probe(ctx, config, 0)
		if err != nil {
			return err
		}
		if pinned.KubeSystemUID == "" || health.KubeSystemUID != pinned.KubeSystemUID {
			return recovery.Faultf("IdentityChanged", "the kubeconfig of Cluster %s leads to another cluster than the run pinned (kube-system UID %s, not %s); nothing was written",
				inc, health.KubeSystemUID, pinned.KubeSystemUID)
		}
		return nil
	}
	if err := guard(ctx); err != nil {
		return Target{}, err
	}
	return Target{Config: config, Guard: guard, Simulated: pinned.Simulated}, nil
}
