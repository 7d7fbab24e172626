package order

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// backends makes webhook configurations and APIServices wait for what answers them.
func (b *builder) backends(x *labelIndex) {
	for _, gk := range []schema.GroupKind{mutatingKind, validatingKind} {
		for _, i := range b.byKind[gk] {
			for _, w := range list(b.items[i].Unstructured.Object, "webhooks") {
				b.answered(x, i, w, "clientConfig", "service")
			}
		}
	}
	for _, i := range b.byKind[apiServiceKind] {
		b.answered(x, i, b.items[i].Unstructured.Object, "spec", "service")
	}
}

// answered makes an item wait for the Service at a path, and for the workloads
// behind it.
func (b *builder) answered(x *labelIndex, i int, at map[string]any, path ...string) {
	namespace, name := str(at, append(path[:len(path):len(path)], "namespace")...), str(at, append(path[:len(path):len(path)], "name")...)
	service := b.find(serviceKind, namespace, name)
	if service < 0 {
		return
	}
	b.prefer(i, service, Applied, backend, "is answered through it")
	for _, w := range x.behind(service) {
		b.prefer(i, w, Ready, backend, fmt.Sprintf("is answered by it through Service %s/%s", namespace, name))
	}
}

// conversions makes objects written in another version than the stored one wait for
// the webhook that converts them. The definition itself cannot wait: the operator
// behind the webhook usually needs it to start.
func (b *builder) conversions(x *labelIndex) {
	for _, gk := range b.definedKinds() {
		d := b.definitions[gk]
		webhook := field(b.items[d.index].Unstructured.Object, "spec", "conversion", "webhook", "clientConfig", "service")
		service, ok := webhook.(map[string]any)
		if !ok {
			continue
		}
		at := b.find(serviceKind, str(service, "namespace"), str(service, "name"))
		if at < 0 {
			continue
		}
		behind := x.behind(at)
		for _, i := range b.byKind[gk] {
			if version := b.items[i].gvk.Version; version != d.storage {
				for _, w := range behind {
					b.prefer(i, w, Ready, conversion, fmt.Sprintf("is converted by it from version %s to %s", version, d.storage))
				}
			}
		}
	}
}

// definedKinds in the sequence of their definitions.
func (b *builder) definedKinds() []schema.GroupKind {
	out := make([]schema.GroupKind, 0, len(b.definitions))
	for _, i := range b.byKind[definitionKind] {
		spec, _ := field(b.items[i].Unstructured.Object, "spec").(map[string]any)
		gk := schema.GroupKind{Group: str(spec, "group"), Kind: str(spec, "names", "kind")}
		if b.definitions[gk].index == i {
			out = append(out, gk)
		}
	}
	return out
}
