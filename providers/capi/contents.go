package capi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Item is one object on the management cluster that belongs to a cluster.
type Item struct {
	Kind, Name string
	UID        types.UID
	Finalizers []string
	Deleting   bool
	// Owned items go with the Cluster, or with owners that are gone or going. One that
	// something else alive owns as well is not Owned: it stays.
	Owned bool
	// Made is true for what Create made, in any run.
	Made bool
	// Message of the condition that says why the deletion does not go on, if any.
	Message string

	gvk     schema.GroupVersionKind
	version string
	run     types.UID // that made it
	owners  []types.UID
}

// Goes tells whether the item will go by itself once the Cluster is gone.
func (i Item) Goes() bool { return i.Owned || i.Deleting }

// Abandoned tells whether nobody but Refloat will delete the item: Create made it, and
// nothing owns it, not even something that stays.
func (i Item) Abandoned() bool { return i.Made && !i.Goes() && len(i.owners) == 0 }

// String names the item, its finalizers and why it stays.
func (i Item) String() string {
	s := i.Kind + " " + i.Name
	if len(i.Finalizers) > 0 {
		s += " (finalizer " + strings.Join(i.Finalizers, ", ") + ")"
	}
	if i.Message != "" {
		s += ": " + i.Message
	}
	return s
}

// Contents lists what the management cluster holds of one incarnation besides the
// Cluster itself: objects of Cluster API kinds, Secrets and ConfigMaps that carry its
// name or have it as owner. A deletion is complete when the Cluster is gone and
// Contents is empty.
func (c *Clusters) Contents(ctx context.Context, inc Incarnation) ([]Item, error) {
	kinds, err := c.kinds(ctx)
	if err != nil {
		return nil, err
	}
	wellKnown := map[string]bool{}
	for _, purpose := range []secret.Purpose{secret.Kubeconfig, secret.ClusterCA, secret.EtcdCA, secret.FrontProxyCA, secret.ServiceAccount} {
		wellKnown[secret.Name(inc.Name, purpose)] = true
	}
	lists, err := c.listAll(ctx, kinds, inc.Namespace)
	if err != nil {
		return nil, err
	}
	var items []Item
	var found []*metav1.PartialObjectMetadata
	line := c.lineage(inc)
	for n, gvk := range kinds {
		for i := range lists[n].Items {
			if o := &lists[n].Items[i]; belongs(o, gvk, inc, wellKnown) {
				items, found = append(items, itemOf(o, gvk)), append(found, o)
				line.known[o.UID] = o
			}
		}
	}
	for i := range items {
		if items[i].Owned, err = line.goes(ctx, found[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(items, func(a, b Item) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	return items, nil
}

// listsAtOnce bounds the requests of one look. They are sent side by side because an API
// server takes a second for the first list of a kind that nobody watches.
const listsAtOnce = 16

// lister lists what belongs to clusters. Secrets are among it, which nobody else may list.
func (c *Clusters) lister() client.Reader {
	if c.Destroyer != nil {
		return c.Destroyer
	}
	return c.Reader
}

// listAll lists the metadata of every kind, in the order of kinds.
func (c *Clusters) listAll(ctx context.Context, kinds []schema.GroupVersionKind, namespace string) ([]metav1.PartialObjectMetadataList, error) {
	lists := make([]metav1.PartialObjectMetadataList, len(kinds))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(listsAtOnce)
	for i, gvk := range kinds {
		group.Go(func() error {
			lists[i].SetGroupVersionKind(gvk)
			err := c.lister().List(ctx, &lists[i], client.InNamespace(namespace))
			if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
				return nil // the kind was uninstalled meanwhile
			}
			if err != nil {
				return fmt.Errorf("list %s: %w", gvk.Kind, err)
			}
			return nil
		})
	}
	return lists, group.Wait()
}

func belongs(o *metav1.PartialObjectMetadata, gvk schema.GroupVersionKind, inc Incarnation, wellKnown map[string]bool) bool {
	if gvk.Kind == "Cluster" && gvk.Group == clusterv1.GroupVersion.Group {
		return false
	}
	if inc.UID != "" && slices.ContainsFunc(o.OwnerReferences, func(ref metav1.OwnerReference) bool { return ref.UID == inc.UID }) {
		return true
	}
	return o.Labels[clusterv1.ClusterNameLabel] == inc.Name || o.Labels[LabelCluster] == inc.Name ||
		gvk.Kind == "Secret" && wellKnown[o.Name]
}

// itemOf leaves Owned to a lineage.
func itemOf(o *metav1.PartialObjectMetadata, gvk schema.GroupVersionKind) Item {
	stamp, stamped := stampOf(o.Annotations)
	item := Item{
		Kind: gvk.Kind, Name: o.Name, UID: o.UID, Finalizers: o.Finalizers, Deleting: o.DeletionTimestamp != nil,
		Made: stamped && stamp.Run != "" && o.Labels[LabelCluster] != "",
		gvk:  gvk, version: o.ResourceVersion, run: stamp.Run,
	}
	for _, ref := range o.OwnerReferences {
		item.owners = append(item.owners, ref.UID)
	}
	return item
}

// kinds lists the namespaced kinds that Contents looks at.
func (c *Clusters) kinds(ctx context.Context) ([]schema.GroupVersionKind, error) {
	definitions := &metav1.PartialObjectMetadataList{}
	definitions.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	if err := c.lister().List(ctx, definitions); err != nil {
		return nil, fmt.Errorf("list CustomResourceDefinitions: %w", err)
	}
	kinds := []schema.GroupVersionKind{corev1.SchemeGroupVersion.WithKind("Secret"), corev1.SchemeGroupVersion.WithKind("ConfigMap")}
	mapper := c.Client.RESTMapper()
	for _, definition := range definitions.Items {
		resource, group, _ := strings.Cut(definition.Name, ".")
		if !inClusterAPI(group) {
			continue
		}
		gvk, err := mapper.KindFor(schema.GroupVersionResource{Group: group, Resource: resource})
		if meta.IsNoMatchError(err) {
			continue // defined, not served (yet): nothing of it can be read
		}
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", definition.Name, err)
		}
		mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", gvk, err)
		}
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			kinds = append(kinds, gvk)
		}
	}
	return kinds, nil
}

// Blocker names what holds up a deletion: the deepest object with finalizers, that
// is one that owns no other such object. It returns nil when nothing has any.
func (c *Clusters) Blocker(ctx context.Context, inc Incarnation) (*Item, error) {
	items, err := c.Contents(ctx, inc)
	if err != nil {
		return nil, err
	}
	blocker := deepest(items)
	if blocker == nil {
		return nil, nil
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(blocker.gvk)
	err = c.Reader.Get(ctx, types.NamespacedName{Namespace: inc.Namespace, Name: blocker.Name}, live)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read %s %s: %w", blocker.Kind, blocker.Name, err)
	}
	blocker.Message = deletionMessage(live)
	return blocker, nil
}

func deepest(items []Item) *Item {
	held := map[types.UID]bool{}
	for _, item := range items {
		if len(item.Finalizers) == 0 {
			continue
		}
		for _, owner := range item.owners {
			held[owner] = true
		}
	}
	var found *Item
	for i, item := range items {
		if len(item.Finalizers) == 0 || held[item.UID] {
			continue
		}
		// One that is being deleted is nearer to the cause than one not asked yet.
		if found == nil || item.Deleting && !found.Deleting {
			found = &items[i]
		}
	}
	return found
}

// deletionMessage finds the condition that explains a pending deletion.
func deletionMessage(live *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(live.Object, "status", "conditions")
	messages := map[string]string{}
	for _, raw := range conditions {
		condition, ok := raw.(map[string]any)
		if !ok {
			continue
		}
		kind, _ := condition["type"].(string)
		status, _ := condition["status"].(string)
		message, _ := condition["message"].(string)
		if (kind == "Paused" || kind == "Deleting") == (status == "True") {
			messages[kind] = oneLine(message)
		}
	}
	if hasKey(live.GetAnnotations(), clusterv1.PausedAnnotation) {
		return "it is paused by annotation " + clusterv1.PausedAnnotation
	}
	for _, kind := range []string{"Paused", "Deleting", "Ready", "Available"} {
		if messages[kind] != "" {
			return messages[kind]
		}
	}
	return ""
}

// oneLine makes a condition message fit into a sentence.
func oneLine(message string) string {
	const limit = 300
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > limit {
		message = strings.ToValidUTF8(message[:limit], "") + "…"
	}
	return message
}
