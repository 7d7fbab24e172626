package controller

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// observe reads everything that Decide needs in the state that the run is in.
func (r *Reconciler) observe(ctx context.Context, key client.ObjectKey) (recovery.Observation, error) {
	o := recovery.Observation{Run: &v1alpha1.RecoveryRun{}, Now: r.Clock.Now()}
	if err := r.Reader.Get(ctx, key, o.Run); err != nil {
		return o, fmt.Errorf("read run %s: %w", key, err)
	}
	o.Claimed = r.claims.of(o.Run.UID)
	err := r.around(ctx, &o)
	if err != nil {
		return o, err
	}
	if o.Run.Status.FinishedAt != nil {
		return o, nil
	}
	if o.Run.Status.StartedAt == nil {
		if o.Behind, err = r.turn(ctx, o); err != nil {
			return o, err
		}
		if err = r.gates(ctx, &o); err != nil {
			return o, err
		}
	}
	current := recovery.Current(o.Run)
	if current == nil {
		if o.Report, err = r.storedReport(ctx, o.Run); err != nil {
			// To store it reads it as well, and that is not tried for ever.
			ctrl.LoggerFrom(ctx).Error(err, "the report is taken for missing")
		}
		return o, nil
	}
	if o.MoreUrgent, err = r.moreUrgent(ctx, o.Run); err != nil {
		return o, err
	}
	r.observeWork(&o, current.Name)
	if err = r.consent(ctx, &o, current.Name); err != nil {
		return o, err
	}
	if o.Budgets, err = r.budgets(ctx, o, current.Name); err != nil {
		return o, err
	}
	if current.Name == v1alpha1.PhaseCommit {
		if err = r.observeCommit(ctx, &o); err != nil {
			return o, err
		}
	}
	if o.Cluster, err = r.cluster(ctx, o.Run, current.Name); err != nil {
		return o, err
	}
	return o, r.standsIn(ctx, &o, current.Name)
}

// standsIn tells whether the cluster that a Teardown is about to delete serves for another
// plan: one that serves, and whose own plan never gave way to another.
func (r *Reconciler) standsIn(ctx context.Context, o *recovery.Observation, phase v1alpha1.Phase) error {
	previous := o.Run.Status.Previous
	if o.Run.Spec.Operation != v1alpha1.OperationTeardown || !o.Cluster.Serves || previous == nil || previous.DeleteRequestedAt != nil ||
		phase != v1alpha1.PhaseApproval && phase != v1alpha1.PhaseTeardown {
		return nil
	}
	lease, _, err := r.servingLease(ctx, o.Run.Namespace, o.Run.Spec.PlanRef.Name)
	if err != nil && recovery.AsFault(err) == nil {
		return err
	}
	o.ServesAnother = err == nil && lease == nil
	return nil
}

// around reads what the run works with besides the cluster: its plan, and its locks.
func (r *Reconciler) around(ctx context.Context, o *recovery.Observation) (err error) {
	started, finished := o.Run.Status.StartedAt != nil, o.Run.Status.FinishedAt != nil
	if !started || finished {
		if o.Plan, err = r.plan(ctx, o.Run); err != nil {
			return err
		}
		o.PlanInformed = informed(o.Run, o.Plan)
	}
	if !started && o.Plan != nil {
		if err = r.sides(ctx, o); err != nil {
			return err
		}
	}
	o.Lock, err = r.locks(ctx, *o)
	return err
}

// workOf the phase under way: its own, or a part of it.
func workOf(run *v1alpha1.RecoveryRun, phase v1alpha1.Phase) workKey {
	if call := recovery.PendingCall(run); call != nil {
		return callKey(run.UID, call)
	}
	if key, ok := drainKey(run); ok {
		return key
	}
	return phaseKey(run.UID, phase)
}

// observeWork looks at what runs beside the loop.
func (r *Reconciler) observeWork(o *recovery.Observation, phase v1alpha1.Phase) {
	o.Work = r.work.state(workOf(o.Run, phase))
	if recovery.StillWhole(o.Run) {
		o.Preview = r.work.state(previewKey(o.Run.UID))
	}
	o.Materials = r.work.state(materialsKey(o.Run.UID))
}

// moreUrgent is what a drill under way has to give way to. It is read from the cache: one
// that comes is told of by a watch.
func (r *Reconciler) moreUrgent(ctx context.Context, run *v1alpha1.RecoveryRun) (string, error) {
	if run.Spec.Operation != v1alpha1.OperationDrill || run.Status.StartedAt == nil {
		return "", nil
	}
	runs := &v1alpha1.RecoveryRunList{}
	if err := r.Client.List(ctx, runs, client.InNamespace(run.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("list what a drill gives way to: %w", err)
	}
	return recovery.MoreUrgent(run, runs.Items), nil
}

// consent reads what people say about the deletion that the run is about to send.
func (r *Reconciler) consent(ctx context.Context, o *recovery.Observation, phase v1alpha1.Phase) error {
	previous := o.Run.Status.Previous
	asks := phase == v1alpha1.PhaseApproval || phase == v1alpha1.PhaseFence && recovery.AskedUnfenced(o.Run)
	begun := previous == nil && phase != v1alpha1.PhaseFence || previous != nil && previous.DeleteRequestedAt != nil
	if !asks && (!deletes(phase) || begun) {
		return nil
	}
	if err := r.wanted(ctx, o, phase); err != nil {
		return err
	}
	if err := r.holds(ctx, o); err != nil {
		return err
	}
	if a := o.Run.Status.Approval; !asks && (a == nil || a.ApprovedAt == nil) {
		return nil
	}
	return r.approvals(ctx, o)
}

// holds of the plan whose cluster goes.
func (r *Reconciler) holds(ctx context.Context, o *recovery.Observation) error {
	holds := &v1alpha1.HoldList{}
	return r.pages(ctx, o.Run.Namespace, holds, func() {
		for _, hold := range holds.Items {
			if hold.Spec.PlanRef.Name == recovery.DoomedSide(o.Run).Plan {
				o.Holds = append(o.Holds, hold)
			}
		}
	})
}

// approvals of the run.
func (r *Reconciler) approvals(ctx context.Context, o *recovery.Observation) error {
	approvals := &v1alpha1.RunApprovalList{}
	return r.pages(ctx, o.Run.Namespace, approvals, func() {
		for _, approval := range approvals.Items {
			if approval.Spec.RunRef.Name == o.Run.Name {
				o.Approvals = append(o.Approvals, approval)
			}
		}
	})
}

// deletes tells whether a phase deletes what the run did not make.
func deletes(phase v1alpha1.Phase) bool {
	return phase == v1alpha1.PhaseTeardown || phase == v1alpha1.PhaseFence
}

// pageSize bounds what one answer of the API server holds: people make these objects, and
// anybody may make many.
const pageSize = 500

// pages reads a list of the namespace page by page. Each page is read into an empty list:
// decoded over the last one, an object would keep what it does not name itself, such as that
// it is being deleted, and would change what was taken of the page before.
func (r *Reconciler) pages(ctx context.Context, namespace string, list client.ObjectList, each func()) error {
	for next := ""; ; {
		reflect.ValueOf(list).Elem().SetZero()
		if err := r.Reader.List(ctx, list, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(next)); err != nil {
			return fmt.Errorf("list %T: %w", list, err)
		}
		each()
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}

// plan of the run, nil when it does not exist.
func (r *Reconciler) plan(ctx context.Context, run *v1alpha1.RecoveryRun) (*v1alpha1.RecoveryPlan, error) {
	return r.planNamed(ctx, run.Namespace, run.Spec.PlanRef.Name)
}

func (r *Reconciler) planNamed(ctx context.Context, namespace, name string) (*v1alpha1.RecoveryPlan, error) {
	plan := &v1alpha1.RecoveryPlan{}
	key := client.ObjectKey{Namespace: namespace, Name: name}
	err := r.Reader.Get(ctx, key, plan)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", key, err)
	}
	return plan, nil
}

// informed tells whether the plan's status knows of this run, or of a later one.
func informed(run *v1alpha1.RecoveryRun, plan *v1alpha1.RecoveryPlan) bool {
	if run.Status.FinishedAt == nil || plan == nil || run.Status.Pinned == nil || plan.UID != run.Status.Pinned.PlanUID {
		return true
	}
	last := plan.Status.LastRun
	return last != nil && (last.UID == run.UID || last.FinishedAt.After(run.Status.FinishedAt.Time))
}

// cluster reads what the phase needs to know of its cluster.
func (r *Reconciler) cluster(ctx context.Context, run *v1alpha1.RecoveryRun, phase v1alpha1.Phase) (recovery.Cluster, error) {
	pinned := run.Status.Target
	if deletes(phase) || phase == v1alpha1.PhaseApproval {
		pinned = run.Status.Previous
	}
	if pinned == nil || phase == v1alpha1.PhasePreflight {
		return recovery.Cluster{}, nil
	}
	obs, err := r.Clusters.Observe(ctx, run.Namespace, pinned.Name)
	if err != nil {
		return recovery.Cluster{}, err
	}
	cluster := recovery.Cluster{Observation: obs}
	switch phase {
	case v1alpha1.PhaseTeardown, v1alpha1.PhaseCleanup, v1alpha1.PhaseFence:
		err = r.remains(ctx, &cluster, incarnation(run, pinned))
	case v1alpha1.PhaseBootstrap:
		err = r.health(ctx, &cluster, run)
	}
	return cluster, err
}

// patience is how long a deletion goes on before it is asked what holds it up: the
// answer takes a request per kind.
const patience = 3 * time.Second

func (r *Reconciler) remains(ctx context.Context, cluster *recovery.Cluster, inc capi.Incarnation) error {
	if !cluster.Exists {
		items, err := r.Clusters.Contents(ctx, inc)
		cluster.Leftovers = items
		return err
	}
	if cluster.DeletingSince.IsZero() || r.Clock.Since(cluster.DeletingSince) < patience {
		return nil
	}
	blocker, err := r.Clusters.Blocker(ctx, inc)
	if err != nil { // the deletion does not depend on whether it can be explained
		ctrl.LoggerFrom(ctx).Error(err, "what holds up the deletion cannot be told")
	}
	if blocker != nil {
		cluster.Blocker = blocker.String()
	}
	return nil
}

func (r *Reconciler) health(ctx context.Context, cluster *recovery.Cluster, run *v1alpha1.RecoveryRun) error {
	target := run.Status.Target
	if !cluster.Exists || cluster.UID != target.UID {
		return nil
	}
	config, err := r.Clusters.Connect(ctx, incarnation(run, target))
	var health capi.Health
	if err == nil {
		health, err = r.Clusters.Probe(ctx, config, recovery.MinReadyNodes(run.Status.Pinned.Plan))
	}
	var notReady *capi.NotReadyError
	switch {
	case err == nil:
		cluster.Health = &health
	case errors.As(err, &notReady) || recovery.AsFault(err) != nil:
		cluster.HealthErr = err
	default:
		return err
	}
	return nil
}

func incarnation(run *v1alpha1.RecoveryRun, pinned *v1alpha1.Incarnation) capi.Incarnation {
	return capi.Incarnation{Namespace: run.Namespace, Name: pinned.Name, UID: pinned.UID}
}
