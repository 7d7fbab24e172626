package order

import "k8s.io/apimachinery/pkg/runtime/schema"

// hard adds what holds by the nature of the API: a kind is served before its objects
// are written, a namespace exists before what is in it.
func (b *builder) hard() {
	for i, it := range b.items {
		if it.id.Namespace != "" {
			if ns := b.find(namespaceKind, "", it.id.Namespace); ns >= 0 {
				b.need(i, ns, Applied, Hard, "is in this namespace")
			}
		}
		b.definedBy(i, it.id.GroupKind())
	}
}

func (b *builder) definedBy(i int, gk schema.GroupKind) {
	if d, ok := b.definitions[gk]; ok && d.made {
		b.need(i, d.index, Ready, Hard, "is of a kind that its operator makes from it")
		if b.simulated {
			b.warn("the kind of %s is made by an operator from %s, which does not run on a simulated cluster: it cannot be applied there",
				b.name(i), b.name(d.index))
		}
		return
	}
	if d, ok := b.definitions[gk]; ok && d.index != i {
		b.need(i, d.index, Served, Hard, "is defined by it")
		return
	}
	if api, ok := b.servedBy(i); ok && b.resource(gk) == "" {
		b.need(i, api, Ready, Hard, "is served by its aggregated API")
		if b.simulated {
			b.warn("%s is served by %s, whose backend does not run on a simulated cluster: it cannot be applied there",
				b.name(i), b.name(api))
		}
	}
}
