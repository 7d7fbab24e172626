package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests/builtin"
)

// groups collects items of one cause in the sequence in which the causes are met.
type groups struct {
	causes []finding
	items  map[string][]*item
}

func (g *groups) add(it *item, f finding) {
	key := f.rule + "\x00" + f.subject + "\x00" + it.Origin.Unit
	if g.items == nil {
		g.items = map[string][]*item{}
	}
	if len(g.items[key]) == 0 {
		g.causes = append(g.causes, f)
	}
	g.items[key] = append(g.items[key], it)
}

func (g *groups) report(c *checker) {
	for _, key := range slices.Sorted(maps.Keys(g.items)) {
		rule, rest, _ := strings.Cut(key, "\x00")
		subject, _, _ := strings.Cut(rest, "\x00")
		for _, f := range g.causes {
			if f.rule == rule && f.subject == subject {
				c.reportAll(g.items[key], f)
				break
			}
		}
	}
}

// kinds must be known to the API server in the version in which they are written.
func (c *checker) kinds() {
	var all groups
	for _, it := range c.items {
		if f, ok := c.kind(it); ok {
			f.subject = cmp.Or(f.subject, it.gvk.GroupVersion().String()+" "+it.id.Kind)
			all.add(it, f)
		}
	}
	all.report(c)
}

// kind finds what is wrong with the kind, version or scope of one object.
func (c *checker) kind(it *item) (finding, bool) {
	gk, version := it.id.GroupKind(), it.gvk.Version
	if r, ok := removals[it.gvk]; ok && c.lookup(gk, version) == nil {
		return c.removed(it, r)
	}
	if namespaced, ok := c.known[gk]; ok {
		return scoped(it, namespaced)
	}
	if d, ok := c.definitions[gk]; ok {
		if !slices.Contains(d.served, version) {
			return finding{rule: "version-not-served", message: fmt.Sprintf("version %s of {} is not served: %s (%s) has %s",
				version, d.by.id, d.by.Origin, cmp.Or(strings.Join(d.served, ", "), "none"))}, true
		}
		return scoped(it, d.namespaced)
	}
	k := builtin.Lookup(gk)
	switch {
	case k == nil && c.aggregated[it.gvk.GroupVersion()]:
		return finding{}, false
	case k == nil:
		return finding{rule: "missing-definition", by: c.definedBy(gk.Group), message: "nothing in the given paths defines the kind of {}"}, true
	case !slices.Contains(k.Versions, version):
		return finding{rule: "version-not-served", message: fmt.Sprintf("version %s of {} is not served: Kubernetes %s has %s",
			version, builtin.Release, strings.Join(k.Versions, ", "))}, true
	case strings.Contains(version, "alpha") || strings.Contains(version, "beta"):
		return finding{rule: "api-not-enabled", message: fmt.Sprintf("version %s of {} is served only by an API server that is told to", version)}, true
	}
	return scoped(it, k.Namespaced)
}

// lookup a built-in kind in a version that the table has, if the table is of the
// release that is asked about.
func (c *checker) lookup(gk schema.GroupKind, version string) *builtin.Kind {
	if k := builtin.Lookup(gk); k != nil && slices.Contains(k.Versions, version) {
		return k
	}
	return nil
}

func scoped(it *item, namespaced bool) (finding, bool) {
	switch {
	case namespaced && it.id.Namespace == "":
		return finding{rule: "namespace-required", subject: "namespace", message: "metadata.namespace is missing in {}"}, true
	case !namespaced && it.id.Namespace != "":
		return finding{rule: "namespace-forbidden", subject: "namespace", message: "metadata.namespace is set in {}, whose kind belongs to the whole cluster"}, true
	}
	return finding{}, false
}

// removed says since when an API is gone, or that it soon will be.
func (c *checker) removed(it *item, r removal) (finding, bool) {
	fix := fmt.Sprintf("Write it as %s.", r.instead)
	if r.instead == "" {
		fix = "Remove it; nothing takes its place."
	}
	if c.release >= r.in {
		return finding{rule: "removed-api", fix: fix, message: fmt.Sprintf("apiVersion %s of {} was removed in Kubernetes %s",
			it.gvk.GroupVersion(), r.in)}, true
	}
	return finding{rule: "deprecated-api", fix: fix, message: fmt.Sprintf("apiVersion %s of {} goes in Kubernetes %s",
		it.gvk.GroupVersion(), r.in)}, true
}

// namespaces must be created by somebody.
func (c *checker) namespaces() {
	var all groups
	made := c.madeNamespaces()
	for _, it := range c.items {
		if ns := it.id.Namespace; ns != "" && !builtin.Namespace(ns) && !made[ns] {
			all.add(it, finding{rule: "missing-namespace", subject: ns, by: c.createdBy(ns),
				message: fmt.Sprintf("nothing in the given paths creates namespace %s of {}", ns)})
		}
	}
	all.report(c)
}

// madeNamespaces are rendered, come with a seed, or are created by Argo CD or Flux
// for what they install.
func (c *checker) madeNamespaces() map[string]bool {
	made := map[string]bool{}
	for _, it := range c.byKind[namespaceKind] {
		made[it.id.Name] = true
	}
	for seed := range c.seeds {
		made[seed.Namespace] = true
	}
	for _, it := range c.byKind[applicationKind] {
		if contains(texts(it.spec, "syncPolicy", "syncOptions"), "CreateNamespace=true") {
			made[str(it.spec, "destination", "namespace")] = true
		}
	}
	for _, it := range c.byKind[helmReleaseKind] {
		if truth(it.spec, "install", "createNamespace") {
			made[str(it.spec, "targetNamespace")] = true
		}
	}
	for _, it := range c.byKind[helmChartKind] {
		if truth(it.spec, "createNamespace") {
			made[str(it.spec, "targetNamespace")] = true
		}
	}
	return made
}
