package recovery

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// Retry tells with which incarnation a run goes on that is the retry of another, nil with a
// Fault when it cannot. Whether the cluster is still there is for the caller to see.
func Retry(run, failed *v1alpha1.RecoveryRun) (*v1alpha1.Incarnation, *v1alpha1.RetriedRun, *Fault) {
	no := func(why string) (*v1alpha1.Incarnation, *v1alpha1.RetriedRun, *Fault) {
		return nil, nil, Faultf("CannotRetry", "run %s cannot be retried: %s; order a rebuild instead", run.Spec.RetryOf, why)
	}
	if failed == nil {
		return no("it does not exist in namespace " + run.Namespace)
	}
	f, target, pinned := failed.Status.Failure, failed.Status.Target, failed.Status.Pinned
	switch {
	case failed.Status.FinishedAt == nil:
		return no("it has not ended")
	case f == nil:
		return no("it did not fail")
	case failed.Spec.Operation != v1alpha1.OperationRebuild:
		return no("it is a " + string(failed.Spec.Operation) + ", whose cluster does not stay")
	case pinned == nil || pinned.PlanUID != run.Status.Pinned.PlanUID:
		return no("it is a run of another plan")
	case target == nil || target.UID == "":
		return no("it failed in " + string(f.Phase) + ", before it had made a cluster")
	case f.Reason == "IdentityChanged", f.Reason == "ClusterVanished", f.Reason == "ClusterDeleted", f.Reason == "ManagementCluster":
		return no("its cluster is not the one that it made (" + f.Reason + ")")
	}
	going, retried := goingOn(failed)
	return going, retried, nil
}

// goingOn with the cluster that a failed run made.
func goingOn(failed *v1alpha1.RecoveryRun) (*v1alpha1.Incarnation, *v1alpha1.RetriedRun) {
	retried := &v1alpha1.RetriedRun{Name: failed.Name, UID: failed.UID, StartedAt: *failed.Status.StartedAt, Phase: failed.Status.Failure.Phase}
	if first := failed.Status.Retried; first != nil {
		retried.StartedAt = first.StartedAt
	}
	going := failed.Status.Target.DeepCopy()
	going.DeleteRequestedAt, going.Drain = nil, nil
	return going, retried
}

// Completes tells with which incarnation a failover goes on that completes another one: that
// one made it, failed after the fence, and left the record of who serves open. It is nil
// when there is none, so that what exists has to be a standby that matches. The Cluster that
// was found says by its mark that the run made it when that ended before it pinned the UID.
func Completes(run, failed *v1alpha1.RecoveryRun, clusterDigest string, found capi.Observation) (*v1alpha1.Incarnation, *v1alpha1.RetriedRun) {
	if failed == nil || failed.Status.FinishedAt == nil || failed.Status.Failure == nil || failed.Status.Failover == nil || failed.Status.Pinned == nil {
		return nil, nil
	}
	target, pinned := failed.Status.Target, failed.Status.Pinned
	switch failed.Status.Failure.Reason {
	case "IdentityChanged", "ClusterVanished", "ClusterDeleted", "ManagementCluster":
		return nil, nil
	}
	if target == nil || failed.Status.Failover.To.UID != run.Status.Failover.To.UID || pinned.ClusterDigest != clusterDigest {
		return nil, nil
	}
	going, retried := goingOn(failed)
	if target.UID == "" {
		if !found.Exists || found.Name != target.Name || found.Stamp.Run != failed.UID {
			return nil, nil
		}
		created := metav1.NewTime(found.CreatedAt)
		going.UID, going.CreatedAt = found.UID, &created
	}
	return going, retried
}
