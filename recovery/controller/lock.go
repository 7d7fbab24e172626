package controller

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// annotationHolder names the run whose UID a Lease has as holder.
const annotationHolder = "refloat.dev/holder"

// locks of all clusters that the run works on.
func (r *Reconciler) locks(ctx context.Context, o recovery.Observation) (recovery.Lock, error) {
	var locks []recovery.Lock
	for _, cluster := range recovery.LockedClusters(o) {
		lock, err := r.lock(ctx, o.Run, cluster)
		if err != nil {
			return recovery.Lock{}, err
		}
		locks = append(locks, lock)
	}
	return recovery.AllLocks(locks), nil
}

// lock reads who holds the lock of a cluster. A holder that is gone or finished holds
// it no more: a run releases its lock at the end, but may die before.
func (r *Reconciler) lock(ctx context.Context, run *v1alpha1.RecoveryRun, cluster string) (recovery.Lock, error) {
	lease, err := r.lease(ctx, run, cluster)
	if err != nil {
		return recovery.Lock{}, err
	}
	return r.holder(ctx, run, lease)
}

func (r *Reconciler) holder(ctx context.Context, run *v1alpha1.RecoveryRun, lease *coordinationv1.Lease) (recovery.Lock, error) {
	if lease == nil || lease.Spec.HolderIdentity == nil {
		return recovery.Lock{State: recovery.LockFree}, nil
	}
	if *lease.Spec.HolderIdentity == string(run.UID) {
		return recovery.Lock{State: recovery.LockMine}, nil
	}
	if lease.Annotations[annotationHolder] == "" {
		return recovery.Lock{State: recovery.LockUnreadable, Holder: lease.Namespace + "/" + lease.Name}, nil
	}
	other := &v1alpha1.RecoveryRun{}
	key := client.ObjectKey{Namespace: run.Namespace, Name: lease.Annotations[annotationHolder]}
	err := r.Reader.Get(ctx, key, other)
	if apierrors.IsNotFound(err) {
		return recovery.Lock{State: recovery.LockFree}, nil
	}
	if err != nil {
		return recovery.Lock{}, fmt.Errorf("read run %s, which holds Lease %s: %w", key, lease.Name, err)
	}
	if string(other.UID) != *lease.Spec.HolderIdentity || other.Status.FinishedAt != nil {
		return recovery.Lock{State: recovery.LockFree}, nil
	}
	return recovery.Lock{State: recovery.LockTaken, Holder: other.Name}, nil
}

// lease of a cluster, nil when there is none.
func (r *Reconciler) lease(ctx context.Context, run *v1alpha1.RecoveryRun, cluster string) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: run.Namespace, Name: recovery.LockName(cluster)}
	err := r.Reader.Get(ctx, key, lease)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Lease %s: %w", key, err)
	}
	return lease, nil
}

// takeLock takes the first lock that the run does not hold, if it is free.
func (r *Reconciler) takeLock(ctx context.Context, o recovery.Observation) error {
	for _, cluster := range recovery.LockedClusters(o) {
		lock, err := r.lock(ctx, o.Run, cluster)
		if err != nil {
			return err
		}
		if lock.State != recovery.LockMine {
			return r.takeOne(ctx, o, cluster)
		}
	}
	return nil
}

// takeOne creates the Lease, or takes over one whose holder is gone; the API server
// lets only one of several runs succeed.
func (r *Reconciler) takeOne(ctx context.Context, o recovery.Observation, cluster string) error {
	run := o.Run
	lease, err := r.lease(ctx, run, cluster)
	if err != nil {
		return err
	}
	if lease == nil {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: recovery.LockName(cluster)}}
		held(lease, run, o.Now)
		if err := r.Client.Create(ctx, lease); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create Lease %s: %w", lease.Name, err)
		}
		return nil
	}
	lock, err := r.holder(ctx, run, lease)
	if err != nil || lock.State != recovery.LockFree {
		return err
	}
	held(lease, run, o.Now)
	if err := r.Client.Update(ctx, lease); err != nil {
		return fmt.Errorf("take Lease %s over: %w", lease.Name, err)
	}
	return nil
}

// releaseLock deletes the Leases that this run still holds.
func (r *Reconciler) releaseLock(ctx context.Context, o recovery.Observation) error {
	for _, cluster := range recovery.LockedClusters(o) {
		if err := r.releaseOne(ctx, o, cluster); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) releaseOne(ctx context.Context, o recovery.Observation, cluster string) error {
	lease, err := r.lease(ctx, o.Run, cluster)
	if err != nil || lease == nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity != string(o.Run.UID) {
		return err
	}
	err = r.Client.Delete(ctx, lease, client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("release Lease %s: %w", lease.Name, err)
	}
	return nil
}

// held writes the holder into a Lease. The Lease goes with the run that holds it.
func held(lease *coordinationv1.Lease, run *v1alpha1.RecoveryRun, now time.Time) {
	holder, at := string(run.UID), metav1.NewMicroTime(now)
	lease.Spec.HolderIdentity, lease.Spec.AcquireTime = &holder, &at
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[annotationHolder] = run.Name
	lease.OwnerReferences = []metav1.OwnerReference{ownerOf(run)}
}

func ownerOf(run *v1alpha1.RecoveryRun) metav1.OwnerReference {
	return *metav1.NewControllerRef(run, v1alpha1.GroupVersion.WithKind("RecoveryRun"))
}
