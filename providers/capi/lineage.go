package capi

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxLineage bounds how far up owners are followed; Cluster API has six levels.
const maxLineage = 12

// lineage tells which objects the garbage collector takes once the Cluster of one
// incarnation is gone: those whose owners all go, by UID. An owner goes when it is that
// Cluster, does not exist any more, is being deleted, or has such a lineage itself. An
// object that something else keeps alive, as an ExternalSecret its Secret, stays.
type lineage struct {
	reader client.Reader
	mapper meta.RESTMapper
	inc    Incarnation
	// known objects by UID, so that most owners need no request.
	known map[types.UID]*metav1.PartialObjectMetadata
	// verdicts by the UID of an owner.
	verdicts map[types.UID]bool
}

func (c *Clusters) lineage(inc Incarnation) *lineage {
	return &lineage{
		reader: c.Reader, mapper: c.Client.RESTMapper(), inc: inc,
		known: map[types.UID]*metav1.PartialObjectMetadata{}, verdicts: map[types.UID]bool{},
	}
}

// goes tells it of one object.
func (l *lineage) goes(ctx context.Context, o *metav1.PartialObjectMetadata) (bool, error) {
	return l.allGo(ctx, o.OwnerReferences, 0)
}

func (l *lineage) allGo(ctx context.Context, owners []metav1.OwnerReference, depth int) (bool, error) {
	if len(owners) == 0 || depth > maxLineage {
		return false, nil
	}
	for _, ref := range owners {
		goes, err := l.ownerGoes(ctx, ref, depth)
		if err != nil || !goes {
			return false, err
		}
	}
	return true, nil
}

func (l *lineage) ownerGoes(ctx context.Context, ref metav1.OwnerReference, depth int) (bool, error) {
	if l.inc.UID != "" && ref.UID == l.inc.UID {
		return true, nil
	}
	if verdict, ok := l.verdicts[ref.UID]; ok {
		return verdict, nil
	}
	owner := l.known[ref.UID]
	if owner == nil {
		var verdict bool
		var err error
		if owner, verdict, err = l.read(ctx, ref); err != nil {
			return false, err
		}
		if owner == nil {
			l.verdicts[ref.UID] = verdict
			return verdict, nil
		}
	}
	if owner.DeletionTimestamp != nil {
		l.verdicts[ref.UID] = true
		return true, nil
	}
	verdict, err := l.allGo(ctx, owner.OwnerReferences, depth+1)
	if err == nil {
		l.verdicts[ref.UID] = verdict
	}
	return verdict, err
}

// read an owner. Without one, goes tells whether it is because it does not exist any
// more. One of a kind that cannot be read is taken for alive, as the garbage collector
// does with kinds that it does not know.
func (l *lineage) read(ctx context.Context, ref metav1.OwnerReference) (owner *metav1.PartialObjectMetadata, goes bool, err error) {
	gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	mapping, err := l.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		mapping, err = l.mapper.RESTMapping(gvk.GroupKind()) // a version that is not served any more
	}
	if meta.IsNoMatchError(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("look up %s: %w", gvk, err)
	}
	key := types.NamespacedName{Name: ref.Name}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		key.Namespace = l.inc.Namespace
	}
	owner = &metav1.PartialObjectMetadata{}
	owner.SetGroupVersionKind(mapping.GroupVersionKind)
	err = l.reader.Get(ctx, key, owner)
	switch {
	case apierrors.IsNotFound(err):
		return nil, true, nil
	case apierrors.IsForbidden(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("read owner %s %s: %w", ref.Kind, key, err)
	case owner.UID != ref.UID:
		return nil, true, nil // another object took its name
	}
	return owner, false, nil
}
