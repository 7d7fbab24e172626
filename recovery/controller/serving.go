package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// The serving record in a Lease: its holder is the plan that serves, its transitions are the
// epoch, and the rest is in annotations.
const (
	annotationServingCluster = "refloat.dev/serving-cluster"
	annotationServingUID     = "refloat.dev/serving-uid"
	annotationServingRun     = "refloat.dev/serving-run"
	annotationServingDone    = "refloat.dev/serving-run-uid"
	annotationPending        = "refloat.dev/pending-plan"
	annotationPendingRun     = "refloat.dev/pending-run"
	annotationPendingUID     = "refloat.dev/pending-run-uid"
)

// servingLease of a primary plan, and what it says; nil when there is none.
func (r *Reconciler) servingLease(ctx context.Context, namespace, plan string) (*coordinationv1.Lease, *recovery.Serving, error) {
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: namespace, Name: recovery.ServingName(plan)}
	err := r.Reader.Get(ctx, key, lease)
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read Lease %s: %w", key, err)
	}
	a := lease.Annotations
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" || lease.Spec.LeaseTransitions == nil {
		return nil, nil, recovery.Faultf("ServingUnreadable", "Lease %s, which says which plan serves for plan %s, has no holder or no transitions; somebody edited it: restore both, or delete it when plan %s serves itself", key, plan, plan)
	}
	s := &recovery.Serving{
		Plan: *lease.Spec.HolderIdentity, Cluster: a[annotationServingCluster], UID: types.UID(a[annotationServingUID]),
		Epoch: int64(*lease.Spec.LeaseTransitions), Run: a[annotationServingRun], Done: types.UID(a[annotationServingDone]),
		Pending: a[annotationPending], PendingName: a[annotationPendingRun], PendingRun: types.UID(a[annotationPendingUID]),
	}
	if at := lease.Spec.AcquireTime; at != nil {
		s.Since = at.Time
	}
	return lease, s, nil
}

// NewElsewhere tells, from fresh reads, why a plan does not serve: for those who would order a
// rebuild that is refused. A record that nobody can read is such a reason, too.
func NewElsewhere(reader client.Reader) func(context.Context, *v1alpha1.RecoveryPlan) (string, error) {
	r := &Reconciler{Reader: reader}
	return func(ctx context.Context, plan *v1alpha1.RecoveryPlan) (string, error) {
		_, serving, err := r.servingLease(ctx, plan.Namespace, plan.Name)
		fault := recovery.AsFault(err)
		if err != nil && fault == nil {
			return "", err
		}
		if fault == nil {
			fault = recovery.ServesElsewhere(plan.Name, serving)
		}
		if fault == nil {
			return "", nil
		}
		return fault.Message, nil
	}
}

// sides reads what a run that did not start needs to know about who serves.
func (r *Reconciler) sides(ctx context.Context, o *recovery.Observation) error {
	run := o.Run
	if !recovery.FailsOver(run) && run.Spec.Operation != v1alpha1.OperationRebuild {
		return nil
	}
	_, serving, err := r.servingLease(ctx, run.Namespace, o.Plan.Name)
	if fault := recovery.AsFault(err); fault != nil {
		o.Sides.Fault = fault
		return nil
	}
	if err != nil {
		return err
	}
	o.Serving = serving
	if run.Spec.Failover == nil || !recovery.FailsOver(run) {
		return nil
	}
	to := run.Spec.Failover.To.Name
	if o.Sides.FromName, o.Sides.Fault = recovery.Outgoing(o.Plan.Name, serving, to); o.Sides.Fault != nil {
		return nil
	}
	if serving != nil && serving.Pending != "" && serving.Pending == o.Sides.FromName {
		opened, err := r.opener(ctx, run.Namespace, serving)
		if err != nil {
			return err
		}
		o.Sides.FromIdle = recovery.Idle(o.Plan, serving, o.Sides.FromName, opened)
	}
	if o.Sides.From, err = r.planNamed(ctx, run.Namespace, o.Sides.FromName); err != nil {
		return err
	}
	if o.Sides.To, err = r.planNamed(ctx, run.Namespace, to); err != nil {
		return err
	}
	return r.bound(ctx, o, to)
}

// bound refuses sides that the other plans of the namespace have for theirs.
func (r *Reconciler) bound(ctx context.Context, o *recovery.Observation, to string) error {
	plans := &v1alpha1.RecoveryPlanList{}
	var names []string
	if err := r.pages(ctx, o.Run.Namespace, plans, func() {
		for i := range plans.Items {
			names = append(names, plans.Items[i].Name)
		}
	}); err != nil {
		return err
	}
	records := map[string]*recovery.Serving{}
	for _, name := range names {
		if name == o.Plan.Name {
			continue
		}
		_, s, err := r.servingLease(ctx, o.Run.Namespace, name)
		if o.Sides.Fault = recovery.AsFault(err); o.Sides.Fault != nil {
			return nil
		}
		if err != nil {
			return err
		}
		records[name] = s
	}
	for _, side := range []string{o.Sides.FromName, to} {
		if o.Sides.Fault = recovery.Bound(side, records); o.Sides.Fault != nil {
			return nil
		}
	}
	return nil
}

// observeCommit reads what is recorded of a switch that is decided, and whether its old side
// is still there.
func (r *Reconciler) observeCommit(ctx context.Context, o *recovery.Observation) (err error) {
	run := o.Run
	_, o.Serving, err = r.servingLease(ctx, run.Namespace, run.Spec.PlanRef.Name)
	if fault := recovery.AsFault(err); fault != nil {
		o.Sides.Fault, err = fault, nil
	}
	if err == nil && run.Status.Previous != nil {
		o.Old.Observation, err = r.Clusters.Observe(ctx, run.Namespace, run.Status.Previous.Name)
	}
	return err
}

// transition changes the serving record, on condition that nobody else did. done tells
// whether this run changed it before, in which case nothing is written.
func (r *Reconciler) transition(ctx context.Context, o recovery.Observation, change func(lease *coordinationv1.Lease, s *recovery.Serving) (done bool, err error)) (int64, error) {
	run := o.Run
	if err := r.inCharge(ctx, o); err != nil {
		return 0, err
	}
	lease, s, err := r.servingLease(ctx, run.Namespace, run.Spec.PlanRef.Name)
	if err != nil {
		return 0, err
	}
	found := lease != nil
	if !found {
		s = &recovery.Serving{Plan: run.Spec.PlanRef.Name}
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: recovery.ServingName(run.Spec.PlanRef.Name)}}
	}
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	done, err := change(lease, s)
	switch {
	case err != nil:
		return 0, err
	case done:
	case found:
		err = r.Client.Update(ctx, lease)
	default:
		err = r.Client.Create(ctx, lease)
	}
	if err != nil {
		return 0, fmt.Errorf("record which plan serves in Lease %s: %w", lease.Name, err)
	}
	return int64(*lease.Spec.LeaseTransitions), nil
}

// raiseEpoch begins the transition in the record and stamps the side that serves, before
// anything of it is touched.
func (r *Reconciler) raiseEpoch(ctx context.Context, o recovery.Observation) error {
	run, f := o.Run, o.Run.Status.Failover
	epoch, err := r.transition(ctx, o, func(lease *coordinationv1.Lease, s *recovery.Serving) (bool, error) {
		if s.PendingRun == run.UID {
			return true, nil
		}
		if s.Epoch != f.FoundEpoch {
			return false, recovery.Faultf("ServingChanged", "the record of which plan serves for plan %s changed while the run was in its preflight (epoch %d, not %d); order another run", run.Spec.PlanRef.Name, s.Epoch, f.FoundEpoch)
		}
		next := int32(s.Epoch + 1)
		lease.Spec.HolderIdentity, lease.Spec.LeaseTransitions = &f.From.Plan, &next
		a := lease.Annotations
		a[annotationServingCluster] = f.From.Cluster
		a[annotationPending], a[annotationPendingRun], a[annotationPendingUID] = f.To.Plan, run.Name, string(run.UID)
		return false, nil
	})
	if err != nil {
		return err
	}
	if err := r.markServing(ctx, run, run.Status.Previous, epoch, false); err != nil {
		return err
	}
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, _ time.Time) { recovery.RecordEpoch(run, epoch) })
}

// markServing on a Cluster, if it is still there.
func (r *Reconciler) markServing(ctx context.Context, run *v1alpha1.RecoveryRun, inc *v1alpha1.Incarnation, epoch int64, serves bool) error {
	if inc == nil || inc.UID == "" {
		return nil
	}
	err := r.Clusters.MarkServing(ctx, incarnation(run, inc), epoch, serves)
	var gone *capi.NotFoundError
	if errors.As(err, &gone) {
		return nil
	}
	return err
}

// commitServing makes the new side the one that serves.
func (r *Reconciler) commitServing(ctx context.Context, o recovery.Observation) error {
	f, target := o.Run.Status.Failover, o.Run.Status.Target
	if err := r.markServing(ctx, o.Run, target, f.Epoch, true); err != nil {
		return err
	}
	if err := r.endTransition(ctx, o, f.To, target.UID, f.Epoch); err != nil {
		return err
	}
	return r.update(ctx, o, recovery.RecordCommitted)
}

// returnService ends the transition with the old side serving, under an epoch of its own.
func (r *Reconciler) returnService(ctx context.Context, o recovery.Observation) error {
	f, previous := o.Run.Status.Failover, o.Run.Status.Previous
	if err := r.markServing(ctx, o.Run, o.Run.Status.Target, f.Epoch+1, false); err != nil {
		return err
	}
	if err := r.markServing(ctx, o.Run, previous, f.Epoch+1, true); err != nil {
		return err
	}
	if err := r.endTransition(ctx, o, f.From, previous.UID, f.Epoch+1); err != nil {
		return err
	}
	return r.update(ctx, o, recovery.RecordGivenBack)
}

// endTransition records who serves, and tells the plan.
func (r *Reconciler) endTransition(ctx context.Context, o recovery.Observation, side v1alpha1.FailoverSide, uid types.UID, epoch int64) error {
	run, at := o.Run, metav1.NewMicroTime(o.Now)
	_, err := r.transition(ctx, o, func(lease *coordinationv1.Lease, s *recovery.Serving) (bool, error) {
		if s.Done == run.UID && s.Pending == "" && s.Epoch == epoch {
			return true, nil
		}
		if s.PendingRun != run.UID || s.Epoch != run.Status.Failover.Epoch {
			return false, recovery.Faultf("ServingChanged", "another run changed which plan serves for plan %s (epoch %d, run %s); this one is not wanted any more", run.Spec.PlanRef.Name, s.Epoch, s.PendingName)
		}
		next := int32(epoch)
		lease.Spec.HolderIdentity, lease.Spec.LeaseTransitions, lease.Spec.AcquireTime = &side.Plan, &next, &at
		a := lease.Annotations
		a[annotationServingCluster], a[annotationServingUID] = side.Cluster, string(uid)
		a[annotationServingRun], a[annotationServingDone] = run.Name, string(run.UID)
		for _, key := range []string{annotationPending, annotationPendingRun, annotationPendingUID} {
			delete(a, key)
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	plan, err := r.plan(ctx, run)
	if err != nil || plan == nil {
		return err
	}
	if told := plan.Status.Serving; told != nil && told.Epoch >= epoch {
		return nil
	}
	plan.Status.Serving = &v1alpha1.ServingStatus{Plan: side.Plan, Cluster: side.Cluster, UID: uid, Epoch: epoch, Since: at, Run: run.Name}
	if err := r.Client.Status().Update(ctx, plan); err != nil {
		return fmt.Errorf("record which plan serves in plan %s: %w", plan.Name, err)
	}
	return nil
}

// ServingOf reads which plan serves for a primary plan; nil when none ever took over.
func ServingOf(ctx context.Context, c client.Reader, namespace, plan string) (*recovery.Serving, error) {
	_, s, err := (&Reconciler{Reader: c}).servingLease(ctx, namespace, plan)
	return s, err
}
