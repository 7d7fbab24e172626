package capi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// attempts bounds the repetitions of a compare-and-set that others keep winning.
// Cluster API writes a Cluster's status a few times a second at most.
const attempts = 10

// Preflight checks against the management cluster what Parse cannot know: that each
// kind is installed and namespaced, that the API server and its webhooks find each
// object valid (by a dry run, with unknown fields refused), and that the endpoint is
// not the management cluster's. It changes nothing.
func (c *Clusters) Preflight(ctx context.Context, m *Manifests) error {
	for _, src := range m.Sources() {
		gvk := src.Object.GroupVersionKind()
		mapping, err := c.Client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
		switch {
		case meta.IsNoMatchError(err):
			return fault(src, "%s is not served by the management cluster; install the Cluster API provider that brings it", gvk)
		case err != nil:
			return fmt.Errorf("look up %s: %w", gvk, err)
		case mapping.Scope.Name() != meta.RESTScopeNameNamespace:
			return fault(src, "%s is cluster-scoped; a plan may only hold namespaced objects", gvk.Kind)
		}
		if err := c.preflightEndpoint(src); err != nil {
			return err
		}
		if err := c.dryRun(ctx, src); err != nil {
			return err
		}
	}
	return nil
}

func (c *Clusters) preflightEndpoint(src Source) error {
	host, _, _ := unstructured.NestedString(src.Object.Object, "spec", "controlPlaneEndpoint", "host")
	port, _, _ := unstructured.NestedFieldNoCopy(src.Object.Object, "spec", "controlPlaneEndpoint", "port")
	if host != "" && sameEndpoint(c.Endpoint, net.JoinHostPort(host, fmt.Sprint(port))) {
		return fault(src, "spec.controlPlaneEndpoint is the management cluster's; it is never a target")
	}
	return nil
}

// dryRun finds out whether an object would be accepted. Only a verdict on the object
// itself counts: that it exists already, that a webhook misses an object which the same
// set brings, or that a quota is used up by the cluster which is to go, says nothing. That
// Refloat may not create it says that the cluster could not be made again.
func (c *Clusters) dryRun(ctx context.Context, src Source) error {
	err := c.Client.Create(ctx, src.Object.DeepCopy(), client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
	switch {
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		return rejected(src, err)
	case err == nil || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || passing(err):
		return nil
	case apierrors.IsForbidden(err):
		return forbidden(src, err)
	}
	return fmt.Errorf("try %s (%s): %w", describe(src.Object), src.From, err)
}

// passing tells a refusal by quota or webhook, which depends on what else is there, from
// one that stays. Both are Forbidden; the API server tells them apart by text only.
func passing(err error) bool {
	if !apierrors.IsForbidden(err) {
		return false
	}
	message := err.Error()
	return strings.Contains(message, "exceeded quota:") ||
		strings.Contains(message, "admission webhook ") && strings.Contains(message, " denied the request")
}

// forbidden is a refusal that no repetition mends. A Secret's is not quoted, for a policy
// may quote the object.
func forbidden(src Source, err error) error {
	why := oneLine(err.Error())
	if src.Object.GetKind() == "Secret" && !strings.Contains(why, "cannot create resource") {
		why = "a policy forbids it"
	}
	return &RefusedError{Reason: "Forbidden", Message: fmt.Sprintf("%s (%s) could not be created, so nothing may be deleted: %s; grant Refloat the right to get, create, patch and delete it, or mend the policy",
		describe(src.Object), src.From, why)}
}

// rejected is an API server's verdict on an object. What it says about a Secret may
// quote the content, so that is left out.
func rejected(src Source, err error) error {
	if src.Object.GetKind() == "Secret" {
		return fault(src, "the management cluster refuses it as invalid")
	}
	return fault(src, "the management cluster refuses it: %s", oneLine(err.Error()))
}

// Obstacles returns a ForeignError when an object of the set exists already, and would
// still exist after the deletion of the Cluster, so that Create would refuse it.
func (c *Clusters) Obstacles(ctx context.Context, m *Manifests) error {
	obs, err := c.Observe(ctx, m.Namespace, m.Name)
	if err != nil {
		return err
	}
	line := c.lineage(obs.Incarnation)
	for _, src := range m.others {
		about := &metav1.PartialObjectMetadata{}
		about.SetGroupVersionKind(src.Object.GroupVersionKind())
		err := c.Reader.Get(ctx, client.ObjectKeyFromObject(src.Object), about)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for %s: %w", describe(src.Object), err)
		}
		item := itemOf(about, src.Object.GroupVersionKind())
		if item.Owned, err = line.goes(ctx, about); err != nil {
			return err
		}
		if item.Goes() || item.Abandoned() && about.Labels[LabelCluster] == m.Name {
			continue
		}
		stamp, _ := stampOf(about.Annotations)
		return &ForeignError{Object: describe(src.Object), Run: stamp.Run}
	}
	return nil
}

// Create makes every object of the set, the Cluster last, and returns the incarnation.
// Repeated by the same run it continues where it stopped. It never changes an object
// of another run or of nobody: that is a ForeignError. An object of an earlier life
// that is still being deleted is a NotReadyError.
func (c *Clusters) Create(ctx context.Context, m *Manifests, stamp Stamp) (Incarnation, error) {
	return c.CreateWhile(ctx, m, stamp, func(context.Context) error { return nil })
}

// CreateWhile asks, right before it creates each object, whether that is still wanted: a
// process that stood still meanwhile may have been replaced. No provider acts on anything
// before the Cluster is there, but what the others are made of would be left behind. An
// error of wanted is returned as it is.
func (c *Clusters) CreateWhile(ctx context.Context, m *Manifests, stamp Stamp, wanted func(context.Context) error) (Incarnation, error) {
	for _, src := range m.others {
		if err := wanted(ctx); err != nil {
			return Incarnation{}, err
		}
		if _, err := c.createOne(ctx, m, src, stamp); err != nil {
			return Incarnation{}, err
		}
	}
	if err := wanted(ctx); err != nil {
		return Incarnation{}, err
	}
	cluster, err := c.createOne(ctx, m, m.cluster, stamp)
	if err != nil {
		return Incarnation{}, err
	}
	inc := Incarnation{Namespace: m.Namespace, Name: m.Name, UID: cluster.GetUID()}
	for _, src := range m.others {
		if err := c.own(ctx, src, inc); err != nil {
			return Incarnation{}, err
		}
	}
	return inc, nil
}

func (c *Clusters) createOne(ctx context.Context, m *Manifests, src Source, stamp Stamp) (*unstructured.Unstructured, error) {
	u := src.Object.DeepCopy()
	mark(u, m.Name, stamp)
	err := c.Client.Create(ctx, u)
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return u, nil
	case apierrors.IsInvalid(err):
		return nil, rejected(src, err)
	case apierrors.IsAlreadyExists(err):
	case u.GetKind() == "Secret" && errors.As(err, &status):
		// A policy may quote what it refuses.
		return nil, fmt.Errorf("create %s (%s): the API server refused it (%d %s)", describe(u), src.From, status.Status().Code, status.Status().Reason)
	default:
		return nil, fmt.Errorf("create %s (%s): %w", describe(u), src.From, err)
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(u.GroupVersionKind())
	if err := c.Reader.Get(ctx, client.ObjectKeyFromObject(u), live); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, &NotReadyError{Reason: "Vanished", Message: describe(u) + " vanished while it was created"}
		}
		return nil, fmt.Errorf("read %s: %w", describe(u), err)
	}
	if found, _ := stampOf(live.GetAnnotations()); found.Run != stamp.Run {
		return nil, &ForeignError{Object: describe(live), Run: found.Run}
	}
	if live.GetDeletionTimestamp() != nil {
		return nil, &NotReadyError{Reason: "StillDeleting", Message: describe(live) + " is being deleted"}
	}
	return live, nil
}

// own ties an object to the life of the Cluster, so that the garbage collector takes
// it when the Cluster is gone. Cluster API core does so for some kinds only, and not
// yet when the Cluster is deleted before core saw it.
func (c *Clusters) own(ctx context.Context, src Source, inc Incarnation) error {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(src.Object.GroupVersionKind())
	key := types.NamespacedName{Namespace: inc.Namespace, Name: src.Object.GetName()}
	for range attempts {
		if err := c.Reader.Get(ctx, key, live); err != nil {
			return fmt.Errorf("read %s: %w", describe(src.Object), err)
		}
		if slices.ContainsFunc(live.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == inc.UID }) {
			return nil
		}
		owned := live.DeepCopy()
		owned.SetOwnerReferences(append(owned.GetOwnerReferences(), metav1.OwnerReference{
			APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: inc.Name, UID: inc.UID,
		}))
		err := c.Client.Patch(ctx, owned, client.MergeFromWithOptions(live, client.MergeFromWithOptimisticLock{}))
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) {
			return fmt.Errorf("set the owner of %s: %w", describe(src.Object), err)
		}
	}
	return &NotReadyError{Reason: "Conflict", Message: fmt.Sprintf("%s changed %d times while its owner was being set", describe(src.Object), attempts)}
}

func mark(u *unstructured.Unstructured, cluster string, stamp Stamp) {
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationRun] = string(stamp.Run)
	annotations[AnnotationEpoch] = strconv.FormatInt(stamp.Epoch, 10)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	u.SetAnnotations(annotations)
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[LabelCluster] = cluster
	u.SetLabels(labels)
}

// stampOf reads the stamp of an object; ok is false when it has none. An epoch that
// is no number counts as 0, below every process.
func stampOf(annotations map[string]string) (stamp Stamp, ok bool) {
	run := annotations[AnnotationRun]
	epoch, err := strconv.ParseInt(annotations[AnnotationEpoch], 10, 64)
	if err != nil {
		epoch = 0
	}
	return Stamp{Run: types.UID(run), Epoch: epoch}, run != ""
}

func describe(o client.Object) string {
	kind := o.GetObjectKind().GroupVersionKind().Kind
	return kind + " " + o.GetNamespace() + "/" + o.GetName()
}
