package capi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// MaxObjects bounds the manifests of one cluster.
const MaxObjects = 500

// Source is one object and where it was written.
type Source struct {
	Object *unstructured.Unstructured
	// From is file:line, for messages.
	From string
}

// Manifests are the Cluster API objects of one cluster, checked.
type Manifests struct {
	// Name and Namespace of the Cluster.
	Name, Namespace string
	// Notes are sentences about what Rename had to change that a reader should know.
	Notes []string

	cluster Source
	others  []Source
}

// Sources returns all objects, the Cluster last. They must not be changed.
func (m *Manifests) Sources() []Source { return append(slices.Clone(m.others), m.cluster) }

// Parse checks that objects make exactly one cluster of the given name in the given
// namespace. Objects without namespace get it. What the API server fills in is
// dropped. Parse leaves its input alone.
//
// The errors are InputError and NameError.
func Parse(objects []Source, clusterName, namespace string) (*Manifests, error) {
	if len(objects) == 0 {
		return nil, &InputError{Problem: "no Cluster API manifests; the cluster path must hold exactly one Cluster"}
	}
	if len(objects) > MaxObjects {
		return nil, &InputError{Problem: fmt.Sprintf("%d Cluster API objects; at most %d are allowed", len(objects), MaxObjects)}
	}
	m := &Manifests{Name: clusterName, Namespace: namespace}
	var clusters []Source
	seen := map[objectKey]string{}
	for _, in := range objects {
		src := Source{Object: in.Object.DeepCopy(), From: in.From}
		if err := accept(src, namespace); err != nil {
			return nil, err
		}
		key := keyOf(src.Object)
		if first, dup := seen[key]; dup {
			return nil, fault(src, "is written twice; the first is at %s", first)
		}
		seen[key] = src.From
		if isCluster(src.Object) {
			clusters = append(clusters, src)
		} else {
			m.others = append(m.others, src)
		}
	}
	switch len(clusters) {
	case 0:
		return nil, &InputError{From: objects[0].From, Problem: fmt.Sprintf("no Cluster of %s among the %d objects of the cluster path", clusterv1.GroupVersion, len(objects))}
	case 1:
		m.cluster = clusters[0]
	default:
		return nil, fault(clusters[1], "is the second Cluster (the first is %s at %s); a plan makes exactly one", clusters[0].Object.GetName(), clusters[0].From)
	}
	if got := m.cluster.Object.GetName(); got != clusterName {
		return nil, &NameError{From: m.cluster.From, Want: clusterName, Got: got}
	}
	slices.SortStableFunc(m.others, func(a, b Source) int { return cmp.Compare(rank(a.Object), rank(b.Object)) })
	return m, nil
}

// accept checks one object by itself and normalises it.
func accept(src Source, namespace string) error {
	u := src.Object
	gvk := u.GroupVersionKind()
	switch {
	case gvk.Kind == "" || gvk.Version == "":
		return fault(src, "has no apiVersion or kind")
	case gvk.Group == "" && (gvk.Kind == "Secret" || gvk.Kind == "ConfigMap"):
	case !inClusterAPI(gvk.Group):
		return fault(src, "does not belong into the cluster path, which takes kinds of *.cluster.x-k8s.io, Secrets and ConfigMaps only; put it into a state path")
	case gvk.Group == clusterv1.GroupVersion.Group && gvk.Version != clusterv1.GroupVersion.Version:
		return fault(src, "is written as %s; convert it to %s", gvk.GroupVersion(), clusterv1.GroupVersion)
	}
	if u.GetName() == "" {
		return fault(src, "has no metadata.name (generateName cannot be rebuilt the same)")
	}
	if faults := validation.IsDNS1123Subdomain(u.GetName()); len(faults) > 0 {
		return fault(src, "metadata.name: %s", strings.Join(faults, "; "))
	}
	if ns := u.GetNamespace(); ns != "" && ns != namespace {
		return fault(src, "metadata.namespace is %s; everything of a cluster lives in the plan's namespace %s", ns, namespace)
	}
	if len(u.GetOwnerReferences()) > 0 || len(u.GetFinalizers()) > 0 {
		return fault(src, "metadata.ownerReferences and metadata.finalizers belong to a live object; remove them")
	}
	u.SetNamespace(namespace)
	for _, field := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "generateName"} {
		unstructured.RemoveNestedField(u.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(u.Object, "status")
	return nil
}

func fault(src Source, format string, args ...any) error {
	return &InputError{From: src.From, Object: src.Object.GetKind() + " " + src.Object.GetName(), Problem: fmt.Sprintf(format, args...)}
}

func isCluster(u *unstructured.Unstructured) bool {
	gvk := u.GroupVersionKind()
	return gvk.Group == clusterv1.GroupVersion.Group && gvk.Kind == "Cluster"
}

// rank orders creation: what others name comes first, so that no controller meets a
// reference to nothing and backs off.
func rank(u *unstructured.Unstructured) int {
	gvk := u.GroupVersionKind()
	switch {
	case gvk.Group == "":
		return 0
	case strings.HasSuffix(gvk.Kind, "Template"):
		return 1
	case gvk.Kind == "ClusterClass":
		return 2
	case gvk.Group == clusterv1.GroupVersion.Group:
		return 4
	}
	return 3
}

// objectKey names an object within one namespace, whatever the version.
type objectKey struct {
	schema.GroupKind
	Name string
}

func keyOf(u *unstructured.Unstructured) objectKey {
	return objectKey{u.GroupVersionKind().GroupKind(), u.GetName()}
}
