package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	if err := r.clear(ctx, o); err != nil {
		return err
	}
	manifests, err := r.withIdentity(ctx, o, m.cluster)
	if err != nil {
		return err
	}
	inc, err := r.Clusters.CreateWhile(ctx, manifests, stampOf(o), func(ctx context.Context) error { return r.inCharge(ctx, o) })
	if err != nil {
		return err
	}
	return r.pinTarget(ctx, o, inc)
}

// clear makes room for the cluster of a failover, of which one that did not come to its end may
// have left pieces. A rebuild has its teardown for that.
func (r *Reconciler) clear(ctx context.Context, o recovery.Observation) error {
	if !recovery.FailsOver(o.Run) || o.Cluster.Exists {
		return nil
	}
	if err := r.inCharge(ctx, o); err != nil {
		return err
	}
	return r.Clusters.Clear(ctx, capi.Incarnation{Namespace: o.Run.Namespace, Name: o.Run.Status.Target.Name}, o.Run.UID)
}

// inCharge tells, from a fresh read, whether this process still has the run, and the run
// still wants what it is about to do: one that failed wants nothing but to clean up.
func (r *Reconciler) inCharge(ctx context.Context, o recovery.Observation) error {
	run := &v1alpha1.RecoveryRun{}
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(o.Run), run); err != nil {
		return fmt.Errorf("read run %s before a cluster is touched: %w", o.Run.Name, err)
	}
	if run.UID != o.Run.UID || run.Status.Epoch != o.Claimed || run.Status.FinishedAt != nil ||
		(run.Status.Failure == nil) != (o.Run.Status.Failure == nil) {
		return &capi.DeposedError{Object: "run " + run.Name, Mine: o.Claimed, Found: run.Status.Epoch}
	}
	return nil
}

func (r *Reconciler) pinTarget(ctx context.Context, o recovery.Observation, inc capi.Incarnation) error {
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
		created := metav1.NewTime(now)
		run.Status.Target.UID = inc.UID
		run.Status.Target.CreatedAt = &created
	})
}

// pinSystem pins the identity of the cluster from inside, unless it is our own or that
// of another cluster.
func (r *Reconciler) pinSystem(ctx context.Context, o recovery.Observation) error {
	config, err := r.Clusters.Connect(ctx, incarnation(o.Run, o.Run.Status.Target))
	if err != nil {
		return err
	}
	health := o.Cluster.Health
	if err := r.Clusters.RefuseManagement(ctx, config, health.KubeSystemUID); err != nil {
		return err
	}
	if err := capi.RefuseOlder(o.Cluster.Observation, *health); err != nil {
		return err
	}
	if err := r.notAnother(ctx, o.Run, health.KubeSystemUID); err != nil {
		return err
	}
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, _ time.Time) {
		run.Status.Target.KubeSystemUID = health.KubeSystemUID
		run.Status.Target.Simulated = health.Simulated
	})
}

// notAnother refuses an identity that is known as another cluster's: of the incarnation
// before, of the plan's live cluster in a drill, or of what another run made.
func (r *Reconciler) notAnother(ctx context.Context, run *v1alpha1.RecoveryRun, system types.UID) error {
	taken := func(whose string) error {
		return recovery.Faultf("IdentityChanged", "the kubeconfig of Cluster %s/%s leads to %s (kube-system UID %s); nothing was written",
			run.Namespace, run.Status.Target.Name, whose, system)
	}
	if p := run.Status.Previous; p != nil && p.KubeSystemUID == system {
		return taken("the cluster that it replaces")
	}
	maker, runs := "", &v1alpha1.RecoveryRunList{}
	err := r.pages(ctx, run.Namespace, runs, func() {
		for i := range runs.Items {
			other := &runs.Items[i]
			if t := other.Status.Target; other.UID != run.UID && t != nil && t.KubeSystemUID == system {
				maker = other.Name
			}
		}
	})
	switch {
	case err != nil:
		return err
	case maker != "":
		return taken("the cluster that run " + maker + " made")
	}
	live := run.Status.Pinned.Plan.Cluster.Name
	if live == run.Status.Target.Name {
		return nil
	}
	known, err := r.identity(ctx, run, live)
	if err == nil && known == system {
		return taken("the live cluster " + live)
	}
	return err
}

// identity of a cluster from inside; empty when it does not exist or gave no answer for a
// minute.
func (r *Reconciler) identity(ctx context.Context, run *v1alpha1.RecoveryRun, name string) (types.UID, error) {
	obs, err := r.Clusters.Observe(ctx, run.Namespace, name)
	if err != nil || !obs.Exists {
		return "", err
	}
	config, err := r.Clusters.Connect(ctx, obs.Incarnation)
	var notReady *capi.NotReadyError
	var gone *capi.NotFoundError
	if errors.As(err, &notReady) || errors.As(err, &gone) || recovery.AsFault(err) != nil {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	health, err := r.Clusters.Probe(ctx, config, 0)
	key := workKey{run.UID, "live"}
	if err != nil && r.Clock.Since(r.work.since(key)) < recovery.SilentPatience {
		return "", err // it may have answered a moment ago, and be the one in question
	}
	r.work.used(key)
	if err != nil {
		return "", nil //nolint:nilerr // one that is dead cannot be the one that answered
	}
	return health.KubeSystemUID, nil
}

// delete takes one of the three steps of a deletion.
func (r *Reconciler) delete(ctx context.Context, o recovery.Observation, step recovery.Action) error {
	inc := incarnation(o.Run, recovery.Doomed(o.Run))
	switch step {
	case recovery.RecordDelete:
		return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
			at := metav1.NewMicroTime(now)
			recovery.Doomed(run).DeleteRequestedAt = &at
			if overridden := recovery.Overridden(o); len(overridden) > 0 {
				run.Status.OverriddenHolds = overridden
			}
		})
	case recovery.Discard:
		return r.Clusters.Discard(ctx, inc, stampOf(o))
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
	return r.reach(ctx, run, *run.Status.Target, capi.RoleApplier)
}

// verifiable is a target that is read with an access of its own.
func (r *Reconciler) verifiable(ctx context.Context, run *v1alpha1.RecoveryRun) (Target, error) {
	return r.reach(ctx, run, *run.Status.Target, capi.RoleApplier, capi.RoleVerifier)
}

// reach one pinned incarnation, as one role or, for what is read only, as another one. The
// credentials of Cluster API serve to prove which cluster it is and to borrow better ones.
func (r *Reconciler) reach(ctx context.Context, run *v1alpha1.RecoveryRun, pinned v1alpha1.Incarnation, role capi.Role, reads ...capi.Role) (Target, error) {
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
	target := Target{Config: config, Guard: guard, Simulated: pinned.Simulated}
	if r.Lend == nil {
		return target, nil
	}
	for _, role := range reads {
		if target.Reads, err = r.Lend(ctx, config, role); err != nil {
			return Target{}, err
		}
	}
	if config, err = r.Lend(ctx, config, role); err != nil { // the guard asks with it too
		return Target{}, err
	}
	target.Config = config
	return target, nil
}
