package controller

import (
	"context"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// preflightFailover proves that the other cluster can be made, or stands by and matches,
// and finds the side that serves. It destroys nothing.
func (r *Reconciler) preflightFailover(ctx context.Context, run *v1alpha1.RecoveryRun) (*findings, error) {
	f, err := r.possible(ctx, run)
	if err != nil {
		return nil, err
	}
	if f.materials, err = r.render(ctx, run, ""); err != nil {
		return nil, err
	}
	if err := r.callable(ctx, run); err != nil {
		return nil, err
	}
	if err := r.switchable(ctx, run.Namespace, f.materials.rendered.Directories); err != nil {
		return nil, err
	}
	if err := r.standIn(ctx, run, f); err != nil {
		return nil, err
	}
	if f.target == nil {
		if err := r.Clusters.Preflight(ctx, f.materials.cluster); err != nil {
			return nil, err
		}
		if err := r.Clusters.Obstacles(ctx, f.materials.cluster); err != nil {
			return nil, err
		}
		if err := r.leftBehind(ctx, run, f); err != nil {
			return nil, err
		}
	}
	return f, r.lossOfOld(ctx, run, f)
}

// standIn finds the cluster that takes over if it exists: a standby that matches, or what
// a failover that did not come to its end made of it, which is gone on with.
func (r *Reconciler) standIn(ctx context.Context, run *v1alpha1.RecoveryRun, f *findings) error {
	var err error
	if f.target, err = r.standby(ctx, run, f.previous); err == nil && f.target == nil {
		return nil
	}
	if err == nil {
		err = r.verifyStandby(ctx, run, f)
	}
	if err == nil {
		f.standby = true
		return nil
	}
	if fault := recovery.AsFault(err); fault == nil || fault.Reason != "StandbyDiffers" && fault.Reason != "StandbyNotReady" {
		return err
	}
	failed, readErr := r.openedBy(ctx, run)
	if readErr != nil {
		return readErr
	}
	obs, readErr := r.Clusters.Observe(ctx, run.Namespace, run.Status.Pinned.Plan.Cluster.Name)
	if readErr != nil {
		return readErr
	}
	if f.target, f.retried = recovery.Completes(run, failed, f.materials.rendered.ClusterDigest, obs); f.target == nil {
		return err
	}
	if failed.Status.Pinned.FrozenSecret != "" && failed.Status.Pinned.Commit == f.materials.rendered.Commit {
		if f.materials, err = r.renderAs(ctx, run, failed); err != nil {
			return err
		}
	}
	if obs.UID != f.target.UID {
		return &capi.IdentityChangedError{Object: "Cluster " + obs.Incarnation.String(), Want: f.target.UID, Got: obs.UID}
	}
	return nil
}

// openedBy is the run that left the record of who serves open; nil when none did, or it is
// gone.
func (r *Reconciler) openedBy(ctx context.Context, run *v1alpha1.RecoveryRun) (*v1alpha1.RecoveryRun, error) {
	_, s, err := r.servingLease(ctx, run.Namespace, run.Spec.PlanRef.Name)
	if err != nil || s == nil || s.Pending != run.Spec.Failover.To.Name {
		return nil, err
	}
	return r.opener(ctx, run.Namespace, s)
}

// opener is the run that began the transition that is open; nil when it is gone.
func (r *Reconciler) opener(ctx context.Context, namespace string, s *recovery.Serving) (*v1alpha1.RecoveryRun, error) {
	failed := &v1alpha1.RecoveryRun{}
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: s.PendingName}, failed)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read run %s, which left the record of who serves open: %w", s.PendingName, err)
	case failed.UID != s.PendingRun:
		return nil, nil
	}
	return failed, nil
}

// callable makes sure that the Secret of every hook exists: after the fence it is too late.
func (r *Reconciler) callable(ctx context.Context, run *v1alpha1.RecoveryRun) error {
	for _, call := range recovery.AllCalls(run.Status.Failover) {
		if ref := call.Hook.SecretRef; ref != nil {
			if _, err := r.secret(ctx, run, ref.Name, "spec.failover, hook "+call.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// standby is the cluster that takes over when it exists already, nil when it is to be made.
func (r *Reconciler) standby(ctx context.Context, run *v1alpha1.RecoveryRun, old *v1alpha1.Incarnation) (*v1alpha1.Incarnation, error) {
	obs, err := r.Clusters.Observe(ctx, run.Namespace, run.Status.Pinned.Plan.Cluster.Name)
	if err != nil || !obs.Exists {
		return nil, err
	}
	switch {
	case !obs.DeletingSince.IsZero():
		return nil, recovery.Faultf("StandbyDeleted", "Cluster %s, which is to take over, is being deleted; order the failover again when it is gone", obs.Incarnation)
	case obs.Stamp.Run == "" && !obs.Adoptable:
		return nil, &capi.ForeignError{Object: "Cluster " + obs.Incarnation.String()}
	case obs.Paused:
		return nil, recovery.Faultf("ClusterPaused", "Cluster %s, which is to take over, is paused; unpause it first", obs.Incarnation)
	}
	return r.usable(ctx, run, obs, old)
}

// usable proves which cluster it is that stands by, and that it answers.
func (r *Reconciler) usable(ctx context.Context, run *v1alpha1.RecoveryRun, obs capi.Observation, old *v1alpha1.Incarnation) (*v1alpha1.Incarnation, error) {
	unusable := func(err error) error {
		return recovery.Faultf("StandbyNotReady", "Cluster %s exists and cannot take over: %v; nothing was fenced. Mend it, or have it made anew: %s", obs.Incarnation, err, anew(run))
	}
	if ok, why := obs.Serving(); !ok {
		return nil, unusable(fmt.Errorf("it waits for %s", why))
	}
	config, err := r.Clusters.Connect(ctx, obs.Incarnation)
	if err != nil {
		return nil, unusable(err)
	}
	health, err := r.Clusters.Probe(ctx, config, recovery.MinReadyNodes(run.Status.Pinned.Plan))
	if err != nil {
		return nil, unusable(err)
	}
	if err := r.Clusters.RefuseManagement(ctx, config, health.KubeSystemUID); err != nil {
		return nil, err
	}
	pinned, err := r.pinnedSystem(ctx, obs.Incarnation)
	switch {
	case err != nil:
		return nil, err
	case pinned != "" && pinned != health.KubeSystemUID:
		return nil, recovery.Faultf("IdentityChanged", "the kubeconfig of Cluster %s leads to another cluster than the one that was made (kube-system UID %s, not %s)", obs.Incarnation, health.KubeSystemUID, pinned)
	case old != nil && old.KubeSystemUID == health.KubeSystemUID:
		return nil, recovery.Faultf("SameCluster", "the kubeconfigs of Clusters %s and %s lead to the same cluster (kube-system UID %s), which cannot take over from itself", old.Name, obs.Name, health.KubeSystemUID)
	case health.ReadyNodes < recovery.MinReadyNodes(run.Status.Pinned.Plan):
		return nil, unusable(fmt.Errorf("%d of its nodes are Ready", health.ReadyNodes))
	}
	created := metav1.NewTime(obs.CreatedAt)
	return &v1alpha1.Incarnation{Name: obs.Name, UID: obs.UID, CreatedAt: &created, KubeSystemUID: health.KubeSystemUID, Simulated: health.Simulated}, nil
}

// anew says how people get rid of a cluster that cannot take over.
func anew(run *v1alpha1.RecoveryRun) string {
	if f := run.Status.Failover; f.FromIdle { // it may serve: nothing fenced it for sure
		return fmt.Sprintf("mend it and order this again, or complete the failover with one to plan %s", f.From.Plan)
	}
	return fmt.Sprintf("'refloat teardown %s', then order the failover again", run.Status.Failover.To.Plan)
}

// verifyStandby compares the cluster that stands by with the render, before anything is
// fenced. It is compared again after the fence.
func (r *Reconciler) verifyStandby(ctx context.Context, run *v1alpha1.RecoveryRun, f *findings) error {
	target, err := r.reach(ctx, run, *f.target, capi.RoleApplier, capi.RoleVerifier)
	if err != nil {
		return err
	}
	v, err := r.Engine.Verify(ctx, f.materials.rendered, target, VerifySettings{}, func(ApplyProgress) {})
	if err != nil {
		return err
	}
	if n := len(f.materials.rendered.State); v.Rendered != n || !v.Matches() {
		return recovery.Faultf("StandbyDiffers", "Cluster %s exists and does not match the repository, so it cannot take over: %s; nothing was fenced. %s",
			f.target.Name, mismatch(v.Verification, n), anew(run))
	}
	return nil
}

// ungracefulLook bounds the look at a cluster that is taken for dead: the failover does not
// depend on it.
const ungracefulLook = 20 * time.Second

// lossOfOld previews what goes with the old side, compared with the state of its own plan.
// In an ungraceful failover that is only told.
func (r *Reconciler) lossOfOld(ctx context.Context, run *v1alpha1.RecoveryRun, f *findings) error {
	if f.previous == nil || f.previous.UID == "" || !recovery.DeletesPrevious(run) {
		return nil
	}
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if !recovery.Graceful(run) {
		bounded, cancel = context.WithTimeout(ctx, ungracefulLook)
	}
	defer cancel()
	old := &findings{previous: f.previous, materials: f.materials}
	var err error
	if !sameState(run.Status.Pinned.Plan, run.Status.Failover.FromPlan, f.materials.rendered) {
		as := run.DeepCopy()
		as.Status.Pinned.Plan, as.Status.Failover = run.Status.Failover.FromPlan, nil
		old.materials, err = r.render(bounded, as, "")
	}
	if err == nil {
		err = r.lossBefore(bounded, run, old)
	}
	f.loss, f.notes = old.loss, append(f.notes, old.notes...)
	fault := recovery.AsFault(err)
	switch {
	case err == nil, recovery.Graceful(run), ctx.Err() != nil, fault != nil && fault.Reason == "IdentityChanged":
		return err
	}
	note := fmt.Sprintf("what would be lost with Cluster %s could not be told: %v", f.previous.Name, err)
	if f.loss.Preview == nil && f.loss.Unseen == "" {
		f.loss.Unseen = note
	}
	f.notes = append(f.notes, note)
	return nil
}

// sameState tells whether two plans ask for the same objects, so that one rendering is that of
// the other. What charts make may depend on the version of the cluster.
func sameState(a, b v1alpha1.RecoveryPlanSpec, rendered *Rendered) bool {
	asks := func(p v1alpha1.RecoveryPlanSpec) v1alpha1.RecoveryPlanSpec {
		return v1alpha1.RecoveryPlanSpec{
			Source: p.Source, State: p.State, Seeds: p.Seeds, KnownKinds: p.KnownKinds, ArgoCD: p.ArgoCD,
			ChartMirrors: p.ChartMirrors, Waves: v1alpha1.WavePolicy{Optional: p.Waves.Optional},
		}
	}
	return len(rendered.Charts) == 0 && apiequality.Semantic.DeepEqual(asks(a), asks(b))
}
