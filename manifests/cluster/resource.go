package cluster

import (
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource is how the API server serves one version of one kind.
type Resource struct {
	schema.GroupVersionResource
	// Kind that the resource holds.
	Kind string
	// Namespaced is false for kinds of the whole cluster.
	Namespaced bool
	// StatusSubresource is true when status is written apart from the rest.
	StatusSubresource bool
	// Listable and Watchable kinds can be inventoried and observed.
	Listable, Watchable bool
}

// GroupVersionKind of the resource.
func (r Resource) GroupVersionKind() schema.GroupVersionKind {
	return r.GroupVersion().WithKind(r.Kind)
}

// String is how people write it: deployments.apps/v1.
func (r Resource) String() string {
	if r.Group == "" {
		return r.Resource + "/" + r.Version
	}
	return r.Resource + "." + r.Group + "/" + r.Version
}

// path of one object, or of the collection when name is empty.
func (r Resource) path(namespace, name string) string {
	parts := []string{"", "apis", r.Group, r.Version}
	if r.Group == "" {
		parts = []string{"", "api", r.Version}
	}
	if r.Namespaced {
		parts = append(parts, "namespaces", namespace)
	}
	parts = append(parts, r.Resource)
	if name != "" {
		parts = append(parts, name)
	}
	return strings.Join(parts, "/")
}

// resumable is the token with which a list that took too long can go on. The rest of
// such a list is newer than its beginning.
func resumable(err error) string {
	if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		return ""
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return ""
	}
	return status.Status().Continue
}
