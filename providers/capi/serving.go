package capi

import (
	"context"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// MarkServing writes on one incarnation since which epoch it serves, or serves no more. A
// higher epoch stays. It makes one attempt; NotFoundError and IdentityChangedError say that
// there is nothing to mark, and a change meanwhile is a NotReadyError.
func (c *Clusters) MarkServing(ctx context.Context, inc Incarnation, epoch int64, serves bool) error {
	if c.Destroyer == nil {
		return errHarmless(inc)
	}
	cluster := &clusterv1.Cluster{}
	if err := c.Reader.Get(ctx, types.NamespacedName{Namespace: inc.Namespace, Name: inc.Name}, cluster); err != nil {
		return ifGone(err, inc, "read")
	}
	if cluster.UID != inc.UID {
		return &IdentityChangedError{Object: "Cluster " + inc.String(), Want: inc.UID, Got: cluster.UID}
	}
	found, err := strconv.ParseInt(cluster.Annotations[AnnotationServing], 10, 64)
	if err == nil && found > epoch || err == nil && found == epoch && cluster.Annotations[AnnotationServes] == strconv.FormatBool(serves) {
		return nil
	}
	before := cluster.DeepCopy()
	if cluster.Annotations == nil {
		cluster.Annotations = map[string]string{}
	}
	cluster.Annotations[AnnotationServing] = strconv.FormatInt(epoch, 10)
	cluster.Annotations[AnnotationServes] = strconv.FormatBool(serves)
	return unlessChanged(c.Destroyer.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})), inc, "mark")
}
