package capi

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Delete asks Cluster API to take one incarnation down. It first stamps the Cluster
// with the run, then deletes it on condition that neither UID nor resourceVersion
// changed since. A process that lost its leadership meanwhile finds either of them
// changed, so its request fails at the API server.
//
// It makes one attempt. A Cluster that changed meanwhile is a NotReadyError: whether
// it is still to be deleted is for the caller to find out, from its run as it is now.
//
// Delete returns nil when the deletion is under way, whoever began it, and
// NotFoundError when the cluster is gone. IdentityChangedError, ForeignError and
// DeposedError mean that nothing was deleted. It does not wait.
func (c *Clusters) Delete(ctx context.Context, inc Incarnation, stamp Stamp) error {
	if c.Destroyer == nil {
		return errHarmless(inc)
	}
	if inc.UID == "" || stamp.Run == "" {
		return &RefusedError{Reason: "NotPinned", Message: fmt.Sprintf("Cluster %s: a deletion needs the UID of the cluster and of the run", inc)}
	}
	cluster, err := c.deletable(ctx, inc, stamp)
	if err != nil || cluster == nil {
		return err
	}
	if err := c.claim(ctx, cluster, stamp); err != nil {
		return unlessChanged(err, inc, "stamp")
	}
	err = c.Destroyer.Delete(ctx, cluster, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: &cluster.UID, ResourceVersion: &cluster.ResourceVersion})
	if err != nil {
		return unlessChanged(err, inc, "delete")
	}
	return nil
}

// Fence raises the epoch on one incarnation, if it exists and a run of this stamp may
// delete it. Once it returned nil, a process with a lower epoch of the run cannot
// delete the cluster any more: one that read it before fails at its precondition, one
// that reads it later finds itself deposed. Who takes over a run that may have sent a
// deletion calls it before it decides anything.
//
// It makes one attempt, like Delete, with the same errors for a change and for a higher
// epoch. A Cluster that Delete would not touch needs no fence.
func (c *Clusters) Fence(ctx context.Context, inc Incarnation, stamp Stamp) error {
	if c.Destroyer == nil {
		return errHarmless(inc)
	}
	cluster, err := c.deletable(ctx, inc, stamp)
	var gone *NotFoundError
	var changed *IdentityChangedError
	var foreign *ForeignError
	if errors.As(err, &gone) || errors.As(err, &changed) || errors.As(err, &foreign) {
		return nil
	}
	if err != nil || cluster == nil {
		return err
	}
	err = unlessChanged(c.claim(ctx, cluster, stamp), inc, "stamp")
	if errors.As(err, &gone) {
		return nil
	}
	return err
}

// deletable reads the Cluster anew and checks that this run may delete it; nil
// without error means that it is already being deleted.
func (c *Clusters) deletable(ctx context.Context, inc Incarnation, stamp Stamp) (*clusterv1.Cluster, error) {
	cluster := &clusterv1.Cluster{}
	err := c.Reader.Get(ctx, types.NamespacedName{Namespace: inc.Namespace, Name: inc.Name}, cluster)
	if err != nil {
		return nil, ifGone(err, inc, "read")
	}
	found, stamped := stampOf(cluster.Annotations)
	switch {
	case cluster.UID != inc.UID:
		return nil, &IdentityChangedError{Object: "Cluster " + inc.String(), Want: inc.UID, Got: cluster.UID}
	case cluster.DeletionTimestamp != nil:
		return nil, nil
	case !stamped && cluster.Annotations[AnnotationAdopt] != "true":
		return nil, &ForeignError{Object: "Cluster " + inc.String()}
	case found.Run == stamp.Run && found.Epoch > stamp.Epoch:
		return nil, &DeposedError{Object: "Cluster " + inc.String(), Mine: stamp.Epoch, Found: found.Epoch}
	}
	return cluster, nil
}

// claim writes the stamp, on condition that the Cluster did not change, and leaves
// the new resourceVersion in cluster.
func (c *Clusters) claim(ctx context.Context, cluster *clusterv1.Cluster, stamp Stamp) error {
	if found, _ := stampOf(cluster.Annotations); found == stamp {
		return nil
	}
	before := cluster.DeepCopy()
	if cluster.Annotations == nil {
		cluster.Annotations = map[string]string{}
	}
	cluster.Annotations[AnnotationRun] = string(stamp.Run)
	cluster.Annotations[AnnotationEpoch] = strconv.FormatInt(stamp.Epoch, 10)
	return c.Destroyer.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// errHarmless is what an access without the right to delete answers.
func errHarmless(inc Incarnation) error {
	return &RefusedError{Reason: "NoDestroyer", Message: fmt.Sprintf("Cluster %s: this access to the management cluster deletes nothing", inc)}
}

// unlessChanged turns a conflict into a NotReadyError.
func unlessChanged(err error, inc Incarnation, verb string) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err):
		return &NotReadyError{Reason: "Conflict", Message: fmt.Sprintf("Cluster %s changed between the look at it and the attempt to %s it", inc, verb)}
	}
	return ifGone(err, inc, verb)
}

func ifGone(err error, inc Incarnation, verb string) error {
	if apierrors.IsNotFound(err) {
		return &NotFoundError{Namespace: inc.Namespace, Name: inc.Name}
	}
	return fmt.Errorf("%s Cluster %s: %w", verb, inc, err)
}

// Discard deletes what Create made of a cluster whose Cluster was never created or is
// gone, and which therefore nobody else will delete: objects with our stamp, without
// owner. No provider acts on an object before a Cluster owns it, so nothing real
// hangs on them. It refuses while a Cluster of the name exists. What a newer process of the
// run made since is not its own to delete: that is a DeposedError.
func (c *Clusters) Discard(ctx context.Context, inc Incarnation, stamp Stamp) error {
	if c.Destroyer == nil {
		return errHarmless(inc)
	}
	obs, err := c.Observe(ctx, inc.Namespace, inc.Name)
	if err != nil {
		return err
	}
	if obs.Exists {
		return &RefusedError{Reason: "ClusterExists", Message: fmt.Sprintf("Cluster %s exists; what belongs to it goes with it", inc)}
	}
	return c.discard(ctx, inc, "", stamp)
}

// Clear discards what other runs made of a cluster and left without a Cluster, for a run that
// is about to create it and would refuse it. While a Cluster exists it does nothing.
func (c *Clusters) Clear(ctx context.Context, inc Incarnation, run types.UID) error {
	if c.Destroyer == nil {
		return errHarmless(inc)
	}
	obs, err := c.Observe(ctx, inc.Namespace, inc.Name)
	if err != nil || obs.Exists {
		return err
	}
	return c.discard(ctx, inc, run, Stamp{})
}

// discard what is abandoned, but for what the kept run made. What a newer process than the
// stamp's made is not touched.
func (c *Clusters) discard(ctx context.Context, inc Incarnation, kept types.UID, stamp Stamp) error {
	items, err := c.Contents(ctx, inc)
	if err != nil {
		return err
	}
	for _, item := range items {
		if !item.Abandoned() || item.stamp.Run == kept {
			continue
		}
		if item.stamp.Run == stamp.Run && item.stamp.Epoch > stamp.Epoch {
			return &DeposedError{Object: item.Kind + " " + inc.Namespace + "/" + item.Name, Mine: stamp.Epoch, Found: item.stamp.Epoch}
		}
		about := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: inc.Namespace, Name: item.Name}}
		about.SetGroupVersionKind(item.gvk)
		err := c.Destroyer.Delete(ctx, about, client.Preconditions{UID: &item.UID, ResourceVersion: &item.version})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s %s/%s: %w", item.Kind, inc.Namespace, item.Name, err)
		}
	}
	return nil
}
