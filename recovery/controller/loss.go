package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/pack"
)

// LossSettings say how to preview.
type LossSettings struct {
	Rules loss.Rules
	// Expected objects are written by runs.
	Expected []manifests.ID
	// ClusterID that the cluster must have; empty for any.
	ClusterID types.UID
}

// Loss implements Engine.
func (e *engine) Loss(ctx context.Context, rendered *Rendered, target Target, settings LossSettings) (*loss.Preview, error) {
	settings.Rules.Simulated = target.Simulated
	p, err := loss.Inspect(ctx, rendered.State, loss.Options{
		Config: cmp.Or(target.Reads, target.Config), Ask: target.Config, Expected: settings.Expected, Clock: e.Clock, Log: e.Log, Rules: settings.Rules,
	})
	if err != nil {
		return nil, err
	}
	if want := string(settings.ClusterID); want != "" && p.ClusterID != want {
		return nil, recovery.Faultf("IdentityChanged", "the kubeconfig leads to another cluster than a moment ago (kube-system UID %s, not %s)", p.ClusterID, want)
	}
	return p, nil
}

const (
	// lossTimeout bounds reading one cluster whole.
	lossTimeout = 3 * time.Minute
	// acceptedKey in the ConfigMap with the accepted losses of a plan.
	acceptedKey = "accepted.json.gz"
)

// lossBefore previews what goes with the cluster that a run has to delete, and refuses by
// the plan's policy. It is told to the findings even then, for the report.
//
// A cluster that gives no answer counts as silent once a minute has passed since the first
// look that got none, of all looks since the last that got one; one that a FailoverPolicy
// watched die, at once.
func (r *Reconciler) lossBefore(ctx context.Context, run *v1alpha1.RecoveryRun, f *findings) error {
	if f.previous == nil || f.previous.UID == "" {
		return nil // nothing that could hold anything
	}
	found, err := r.findLoss(ctx, run, f.previous, f.materials.rendered)
	if err != nil {
		return err
	}
	if found.Preview == nil && found.Unseen == "" {
		return nil
	}
	if silent := r.silence(run.UID, found.Preview == nil); found.Preview == nil && recovery.Graceful(run) && silent < recovery.Patience(run) {
		return fmt.Errorf("preview what would be lost with Cluster %s: %s", f.previous.Name, found.Unseen)
	}
	fault, note := recovery.JudgeLoss(run, f.previous.Name, found)
	f.loss = found
	if note != "" {
		f.notes = append(f.notes, note)
	}
	if fault != nil {
		return fault
	}
	return nil
}

// silence is for how long the cluster that a run is to delete gave no answer, whenever this
// process looked.
func (r *Reconciler) silence(run types.UID, silent bool) time.Duration {
	if r.work == nil {
		return 0
	}
	key := workKey{run, "silence"}
	if !silent {
		r.work.used(key)
		return 0
	}
	return r.Clock.Since(r.work.since(key))
}

// findLoss looks at the live cluster. An error is a Fault or may pass; that the cluster
// cannot be read is no error, since people may have decided about that.
func (r *Reconciler) findLoss(ctx context.Context, run *v1alpha1.RecoveryRun, previous *v1alpha1.Incarnation, rendered *Rendered) (recovery.LossFound, error) {
	none, inc := recovery.LossFound{}, incarnation(run, previous)
	obs, err := r.Clusters.Observe(ctx, inc.Namespace, inc.Name)
	if err != nil {
		return none, err
	}
	config, err := r.Clusters.Connect(ctx, inc)
	var notReady *capi.NotReadyError
	switch {
	case errors.As(err, &notReady) && notReady.Reason == "NoKubeconfig" && !obs.Initialized:
		return none, nil // it never became a cluster
	case errors.As(err, &notReady):
		return recovery.LossFound{Unseen: notReady.Error(), Silent: true}, nil
	case err != nil:
		return none, err
	}
	health, err := r.Clusters.Probe(ctx, config, 0)
	if err != nil {
		// One that denies the access is alive.
		return recovery.LossFound{Unseen: err.Error(), Silent: !denied(err)}, ctx.Err()
	}
	if pinned := previous.KubeSystemUID; pinned != "" && health.KubeSystemUID != pinned {
		return none, recovery.Faultf("IdentityChanged", "the kubeconfig of Cluster %s leads to another cluster than a moment ago (kube-system UID %s, not %s)", inc, health.KubeSystemUID, pinned)
	}
	accepted, note, err := r.acceptedLoss(ctx, run)
	if err != nil {
		return none, err
	}
	plan := recovery.DoomedPlan(run)
	bounded, cancel := context.WithTimeout(ctx, lossTimeout)
	defer cancel()
	target, lent := r.readable(bounded, config, previous)
	target.Simulated = health.Simulated
	preview, err := r.Engine.Loss(bounded, rendered, target, LossSettings{
		Rules: recovery.LossRules(plan, r.Clock.Now(), accepted), Expected: recovery.ExpectedOn(plan), ClusterID: health.KubeSystemUID,
	})
	switch {
	case err == nil:
		for _, note := range []string{note, lent} {
			if note != "" {
				preview.Notes = append(preview.Notes, note)
			}
		}
		return recovery.LossFound{Preview: preview}, nil
	case recovery.AsFault(err) != nil || ctx.Err() != nil:
		return none, err
	}
	return recovery.LossFound{Unseen: err.Error()}, nil
}

// denied tells that a cluster answered, and that only the credentials do not fit.
func denied(err error) bool {
	var notReady *capi.NotReadyError
	return errors.As(err, &notReady) && notReady.Reason == capi.ReasonDenied
}

// readable borrows access to a cluster that is about to go. One that lends none, as a sick
// one may, is read with the credentials of Cluster API, and the note says so: nothing is
// written either way.
func (r *Reconciler) readable(ctx context.Context, admin *rest.Config, previous *v1alpha1.Incarnation) (target Target, note string) {
	target = Target{Config: admin}
	if r.Lend == nil || previous.KubeSystemUID == "" {
		return target, ""
	}
	reads, err := r.Lend(ctx, admin, capi.RoleVerifier)
	var asks *rest.Config
	if err == nil {
		asks, err = r.Lend(ctx, admin, capi.RoleApplier)
	}
	if err != nil {
		return target, fmt.Sprintf("the cluster was read as its administrator: %v", err)
	}
	return Target{Config: asks, Reads: reads}, ""
}

// acceptedLoss is the last accepted list of the plan; nil when there is none that could
// count. What is wrong with one is a note: the losses count, then.
func (r *Reconciler) acceptedLoss(ctx context.Context, run *v1alpha1.RecoveryRun) (accepted *loss.Accepted, note string, err error) {
	side := recovery.DoomedSide(run)
	if recovery.DoomedPlan(run).Teardown.Loss.Policy != v1alpha1.LossRefuseIfNew {
		return nil, "", nil
	}
	held := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: run.Namespace, Name: recovery.AcceptedLossName(side.Plan)}
	err = r.Reader.Get(ctx, key, held)
	switch {
	case apierrors.IsNotFound(err):
		return nil, "no losses were accepted yet", nil
	case err != nil:
		return nil, "", fmt.Errorf("read the accepted losses in ConfigMap %s: %w", key, err)
	}
	if owner := metav1.GetControllerOf(held); owner == nil || owner.UID != side.UID {
		return nil, fmt.Sprintf("ConfigMap %s is not of this plan, so nothing was accepted", key), nil
	}
	accepted = &loss.Accepted{}
	if err := pack.Unpack(held.BinaryData[acceptedKey], accepted); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "an accepted list is not taken into account", "configMap", key)
		return nil, fmt.Sprintf("the accepted list in ConfigMap %s cannot be read, so nothing was accepted", key), nil
	}
	return accepted, "", nil
}

// AcceptLoss stores the losses of a preview as accepted, in place of an earlier list.
func AcceptLoss(ctx context.Context, c client.Client, plan *v1alpha1.RecoveryPlan, accepted *loss.Accepted) (name string, err error) {
	raw, err := pack.Pack(accepted)
	if err == nil && len(raw) > pack.Most {
		err = fmt.Errorf("they take %d KiB, and at most %d can be kept", len(raw)>>10, pack.Most>>10)
	}
	if err != nil {
		return "", fmt.Errorf("keep the accepted losses: %w", err)
	}
	key := client.ObjectKey{Namespace: plan.Namespace, Name: recovery.AcceptedLossName(plan.Name)}
	held := &corev1.ConfigMap{}
	err = c.Get(ctx, key, held)
	found := err == nil
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("read ConfigMap %s: %w", key, err)
	}
	if owner := metav1.GetControllerOf(held); found && (owner == nil || owner.UID != plan.UID) {
		return "", fmt.Errorf("ConfigMap %s is not of this plan; remove it", key)
	}
	yes := true
	held.Namespace, held.Name = key.Namespace, key.Name
	held.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "RecoveryPlan", Name: plan.Name, UID: plan.UID, Controller: &yes,
	}}
	held.BinaryData = map[string][]byte{acceptedKey: raw}
	held.Data = map[string]string{"reason": accepted.Reason, "by": accepted.By, "until": accepted.Until.UTC().Format(time.RFC3339)}
	if found {
		err = c.Update(ctx, held)
	} else {
		err = c.Create(ctx, held)
	}
	if err != nil {
		return "", fmt.Errorf("store the accepted losses in ConfigMap %s: %w", key, err)
	}
	return held.Name, nil
}
