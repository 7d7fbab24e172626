package controller

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// switchManager owns what switches write: what somebody else manages is not taken over.
const switchManager = "refloat-switch"

// switchable makes sure that the directories of a switch could be applied, and writes
// nothing.
func (r *Reconciler) switchable(ctx context.Context, namespace string, directories map[string][]capi.Source) error {
	for name, objects := range directories {
		if len(objects) == 0 {
			return recovery.Faultf("SwitchInvalid", "the directory of %s holds no object (spec.failover.switch)", name)
		}
		if err := r.applyAll(ctx, namespace, objects, client.DryRunAll); err != nil {
			return err
		}
	}
	return nil
}

// applyDirectory writes one directory to the management cluster. Done again, it changes
// nothing more. A process that stood still meanwhile may have been replaced, and users led back
// by now: each object is looked at, then it is made sure that the run is still ours, then what
// was looked at is changed, and nothing newer. What does not exist yet has no version to name.
func (r *Reconciler) applyDirectory(ctx context.Context, o recovery.Observation, call *recovery.Call) (string, error) {
	m, err := outcome[*materials](r.work, materialsKey(o.Run.UID))
	if err != nil {
		return "", err
	}
	objects := m.rendered.Directories[call.Name]
	for _, src := range objects {
		if err := r.belongs(src, o.Run.Namespace); err != nil {
			return "", err
		}
		seen, err := r.applyOne(ctx, o.Run.Namespace, src, "", client.DryRunAll)
		if err != nil {
			return "", err
		}
		if err := r.inCharge(ctx, o); err != nil {
			return "", err
		}
		if _, err := r.applyOne(ctx, o.Run.Namespace, src, seen); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d objects applied", len(objects)), nil
}

func (r *Reconciler) applyAll(ctx context.Context, namespace string, objects []capi.Source, options ...client.ApplyOption) error {
	for _, src := range objects {
		if err := r.belongs(src, namespace); err != nil {
			return err
		}
	}
	for _, src := range objects {
		if _, err := r.applyOne(ctx, namespace, src, "", options...); err != nil {
			return err
		}
	}
	return nil
}

// applyOne object, at a version of it or at any, and return the version that it has then.
func (r *Reconciler) applyOne(ctx context.Context, namespace string, src capi.Source, at string, options ...client.ApplyOption) (version string, err error) {
	u := src.Object.DeepCopy()
	u.SetNamespace(namespace)
	u.SetResourceVersion(at)
	what := fmt.Sprintf("%s %s/%s (%s)", u.GetKind(), namespace, u.GetName(), src.From)
	err = r.Clusters.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), append(options, client.FieldOwner(switchManager))...)
	switch {
	case err == nil:
		return u.GetResourceVersion(), nil
	case apierrors.IsConflict(err) && apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict):
		return "", recovery.Faultf("SwitchInvalid", "%s is managed by somebody else: %s; leave its fields to the field manager %s", what, oneLine(err), switchManager)
	case apierrors.IsForbidden(err):
		return "", recovery.Faultf("SwitchInvalid", "%s may not be written: %s; grant Refloat's applier the right to create and patch it", what, oneLine(err))
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return "", recovery.Faultf("SwitchInvalid", "%s: the management cluster refuses it: %s", what, oneLine(err))
	}
	return "", fmt.Errorf("apply %s: %w", what, err)
}

// belongs refuses what a switch must not write: clusters, Refloat's own objects, Secrets,
// and anything outside of the plan's namespace.
func (r *Reconciler) belongs(src capi.Source, namespace string) error {
	u := src.Object
	gvk := u.GroupVersionKind()
	no := func(format string, args ...any) error {
		return recovery.Faultf("SwitchInvalid", "%s: %s %s %s", src.From, gvk.Kind, u.GetName(), fmt.Sprintf(format, args...))
	}
	mapping, err := r.Clusters.Client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	switch {
	case meta.IsNoMatchError(err):
		return no("is of a kind that the management cluster does not serve (%s)", gvk)
	case err != nil:
		return fmt.Errorf("look up %s: %w", gvk, err)
	case mapping.Scope.Name() != meta.RESTScopeNameNamespace:
		return no("is cluster-scoped; a switch writes into the plan's namespace only")
	case u.GetNamespace() != "" && u.GetNamespace() != namespace:
		return no("is of namespace %s; a switch writes into the plan's namespace %s only", u.GetNamespace(), namespace)
	case u.GetName() == "":
		return no("has no metadata.name")
	case gvk.Group == v1alpha1.GroupVersion.Group, strings.HasSuffix("."+gvk.Group, ".cluster.x-k8s.io"),
		gvk.Group == "rbac.authorization.k8s.io", gvk.Group == "coordination.k8s.io", gvk.Group == "" && gvk.Kind != "ConfigMap" && gvk.Kind != "Service":
		return no("does not belong into a switch, which takes records of names and the like")
	case len(u.GetOwnerReferences()) > 0 || len(u.GetFinalizers()) > 0:
		return no("has metadata.ownerReferences or metadata.finalizers, which belong to a live object")
	}
	return nil
}

// oneLine of what an API server says.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
