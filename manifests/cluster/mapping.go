package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// Kinds maps kinds to resources, exactly by group, version and kind. It learns from
// the server's discovery and from CustomResourceDefinitions, which tell about kinds
// that the server does not serve yet. It may be used concurrently.
type Kinds struct {
	mu        sync.RWMutex
	served    map[schema.GroupVersionKind]Resource
	announced map[schema.GroupVersionKind]Resource
	preferred map[schema.GroupKind]string
}

// Lookup a kind. The second result is false for a kind of which nothing is known.
func (k *Kinds) Lookup(gvk schema.GroupVersionKind) (Resource, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if r, ok := k.served[gvk]; ok {
		return r, true
	}
	r, ok := k.announced[gvk]
	return r, ok
}

// Served tells whether discovery listed the kind when it was last read.
func (k *Kinds) Served(gvk schema.GroupVersionKind) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	_, ok := k.served[gvk]
	return ok
}

// Preferred lists one resource per served kind, in the version that the server
// prefers, sorted.
func (k *Kinds) Preferred() []Resource {
	k.mu.RLock()
	defer k.mu.RUnlock()
	out := make([]Resource, 0, len(k.preferred))
	for gk, version := range k.preferred {
		out = append(out, k.served[gk.WithVersion(version)])
	}
	slices.SortFunc(out, func(a, b Resource) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// Announce learns the kinds that a CustomResourceDefinition will have served and
// returns them. What is malformed is left to the API server to complain about.
func (k *Kinds) Announce(definition *unstructured.Unstructured) []Resource {
	found := definedBy(definition)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.announced == nil {
		k.announced = map[schema.GroupVersionKind]Resource{}
	}
	for _, r := range found {
		k.announced[r.GroupVersionKind()] = r
	}
	return found
}

func definedBy(definition *unstructured.Unstructured) []Resource {
	text := func(fields ...string) string {
		s, _, _ := unstructured.NestedString(definition.Object, fields...)
		return s
	}
	versions, _, _ := unstructured.NestedFieldNoCopy(definition.Object, "spec", "versions")
	list, _ := versions.([]any)
	var out []Resource
	for _, item := range list {
		v, _ := item.(map[string]any)
		if served, _ := v["served"].(bool); !served {
			continue
		}
		name, _ := v["name"].(string)
		_, status, _ := unstructured.NestedFieldNoCopy(v, "subresources", "status")
		gv := schema.GroupVersion{Group: text("spec", "group"), Version: name}
		out = append(out, Resource{
			GroupVersionResource: gv.WithResource(text("spec", "names", "plural")),
			Kind:                 text("spec", "names", "kind"),
			Namespaced:           text("spec", "scope") == "Namespaced",
			StatusSubresource:    status,
			Listable:             true,
			Watchable:            true,
		})
	}
	return out
}

// Discover reads what the server serves, in two requests, and replaces what an
// earlier Discover learned. The errors of single groups, whose aggregated API server
// does not answer, come back as a *PartialError: all other groups are known.
func (c *Client) Discover(ctx context.Context, k *Kinds) error {
	// The discovery client takes no context; the connections' own limits bound it.
	if err := ctx.Err(); err != nil {
		return err
	}
	d, err := discovery.NewDiscoveryClientForConfigAndClient(c.config, c.reads.client)
	if err != nil {
		return fmt.Errorf("make a client for discovery: %w", err)
	}
	groups, lists, err := d.ServerGroupsAndResources()
	failed := &discovery.ErrGroupDiscoveryFailed{}
	partial := errors.As(err, &failed)
	if err != nil && !partial {
		return fmt.Errorf("read which kinds the API server serves: %w", err)
	}
	k.replace(groups, lists)
	if partial {
		return &PartialError{Groups: failed.Groups}
	}
	return nil
}

// PartialError names the groups that could not be discovered.
type PartialError struct {
	Groups map[schema.GroupVersion]error
}

func (e *PartialError) Error() string {
	names := make([]string, 0, len(e.Groups))
	for gv := range e.Groups {
		names = append(names, gv.String())
	}
	slices.Sort(names)
	return "the API server cannot tell what it serves in " + strings.Join(names, ", ")
}

func (k *Kinds) replace(groups []*metav1.APIGroup, lists []*metav1.APIResourceList) {
	served := map[schema.GroupVersionKind]Resource{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range resourcesOf(gv, list.APIResources) {
			served[r.GroupVersionKind()] = r
		}
	}
	preferred := map[schema.GroupKind]string{}
	for gvk := range served {
		preferred[gvk.GroupKind()] = better(groups, gvk, preferred[gvk.GroupKind()])
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.served, k.preferred = served, preferred
}

func resourcesOf(gv schema.GroupVersion, list []metav1.APIResource) []Resource {
	status := map[string]bool{}
	for _, r := range list {
		if name, found := strings.CutSuffix(r.Name, "/status"); found {
			status[name] = true
		}
	}
	var out []Resource
	for _, r := range list {
		if strings.Contains(r.Name, "/") {
			continue
		}
		out = append(out, Resource{
			GroupVersionResource: gv.WithResource(r.Name),
			Kind:                 r.Kind,
			Namespaced:           r.Namespaced,
			StatusSubresource:    status[r.Name],
			Listable:             slices.Contains(r.Verbs, "list"),
			Watchable:            slices.Contains(r.Verbs, "watch"),
		})
	}
	return out
}

// better keeps the group's preferred version of a kind, or the earlier in the
// group's own sequence of preference.
func better(groups []*metav1.APIGroup, gvk schema.GroupVersionKind, present string) string {
	if present == "" {
		return gvk.Version
	}
	for _, g := range groups {
		if g.Name != gvk.Group {
			continue
		}
		if g.PreferredVersion.Version == gvk.Version || g.PreferredVersion.Version == present {
			return g.PreferredVersion.Version
		}
		for _, v := range g.Versions {
			if v.Version == gvk.Version || v.Version == present {
				return v.Version
			}
		}
	}
	return present
}
