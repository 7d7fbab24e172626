package order

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// scope of a kind as far as it can be known before there is a cluster.
type scope int

const (
	unknownScope scope = iota
	clusterScope
	namespacedScope
)

// check finds objects that no API server would take: their kind or version is defined
// by nothing, or their namespace is missing or does not belong there. Faults with one
// cause are one fault.
func (s *set) check(o Options) []error {
	c := checker{set: s, options: o, items: map[cause][]int{}}
	for i := range s.items {
		c.object(i)
	}
	return c.faults()
}

// cause is why some objects cannot be: a sentence around their names.
type cause struct{ before, after string }

type checker struct {
	set     *set
	options Options
	causes  []cause
	items   map[cause][]int
}

func (c *checker) complain(i int, why cause) {
	if len(c.items[why]) == 0 {
		c.causes = append(c.causes, why)
	}
	c.items[why] = append(c.items[why], i)
}

func (c *checker) faults() []error {
	out := make([]error, 0, len(c.causes))
	for _, why := range c.causes {
		out = append(out, errors.New(why.before+c.set.sample(c.items[why])+agreeing(why.after, len(c.items[why]))))
	}
	return out
}

// agreeing is what is wrong with several objects, which is written of one.
func agreeing(wrong string, of int) string {
	if of == 1 {
		return wrong
	}
	for one, several := range map[string]string{" has ": " have ", " lacks ": " lack "} {
		if rest, ok := strings.CutPrefix(wrong, one); ok {
			return several + rest
		}
	}
	return wrong
}

// sample names the first of some objects and counts the others.
func (s *set) sample(items []int) string {
	first := s.items[items[0]].where()
	switch n := len(items) - 1; n {
	case 0:
		return first
	case 1:
		return first + " and 1 more object"
	default:
		return fmt.Sprintf("%s and %d more objects", first, n)
	}
}

func (c *checker) object(i int) {
	it := c.set.items[i]
	if it.id.Kind == "" || it.GetName() == "" {
		c.complain(i, cause{after: " lacks a kind or a metadata.name; a generated name cannot be rebuilt"})
		return
	}
	for _, key := range []string{"annotations", "labels"} {
		if _, _, err := unstructured.NestedStringMap(it.Unstructured.Object, "metadata", key); err != nil {
			c.complain(i, cause{after: " has a value in metadata." + key + " that is no text; quote it"})
			return
		}
	}
	sc, problem := c.set.scope(it.gvk, c.options)
	switch {
	case problem != cause{}:
		c.complain(i, problem)
	case sc == clusterScope && it.id.Namespace != "":
		c.complain(i, cause{after: " has a metadata.namespace, but its kind belongs to the whole cluster; remove the namespace"})
	case sc == namespacedScope && it.id.Namespace == "":
		c.complain(i, cause{after: " has no metadata.namespace; set it there, in the kustomization, or as the namespace of its path in the plan"})
	case it.id.Namespace != "" && !c.namespaceExists(it.id.Namespace):
		c.complain(i, cause{before: "namespace " + it.id.Namespace + " is created by nothing; add a Namespace to the state, for "})
	}
}

func (c *checker) namespaceExists(name string) bool {
	return builtin.Namespace(name) || c.set.find(namespaceKind, "", name) >= 0 ||
		c.options.ExistingNamespace != nil && c.options.ExistingNamespace(name)
}

// scope of a kind, or the cause why no API server will know it.
func (s *set) scope(gvk schema.GroupVersionKind, o Options) (scope, cause) {
	gk := gvk.GroupKind()
	if o.KnownKind != nil {
		if namespaced, known := o.KnownKind(gvk); known {
			return scopeOf(namespaced), cause{}
		}
	}
	if k := builtin.Lookup(gk); k != nil {
		return scopeOf(k.Namespaced), unserved(gvk, k.Versions, "Kubernetes "+builtin.Release)
	}
	if d, ok := s.definitions[gk]; ok {
		return scopeOf(d.namespaced), unserved(gvk, d.served, s.items[d.index].where())
	}
	if _, ok := s.aggregated[gvk.GroupVersion()]; ok {
		return unknownScope, cause{}
	}
	return unknownScope, cause{before: "kind " + kindName(gk) + " is defined by nothing: it is not built in to Kubernetes " + builtin.Release +
		", and the state has neither a CustomResourceDefinition nor an APIService for it (if an operator or the distribution defines it, list it in spec.knownKinds of the plan, or give --known-kind); needed by "}
}

func scopeOf(namespaced bool) scope {
	if namespaced {
		return namespacedScope
	}
	return clusterScope
}

func unserved(gvk schema.GroupVersionKind, served []string, by string) cause {
	if slices.Contains(served, gvk.Version) {
		return cause{}
	}
	has := "no version of it"
	if len(served) > 0 {
		has = strings.Join(served, ", ")
	}
	return cause{before: fmt.Sprintf("version %s of %s is not served: %s has %s; change the apiVersion of ",
		gvk.Version, kindName(gvk.GroupKind()), by, has)}
}

func kindName(gk schema.GroupKind) string {
	return strings.TrimSpace(manifests.ID{Group: gk.Group, Kind: gk.Kind}.String())
}
