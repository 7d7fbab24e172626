package order

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// labelIndex finds the workloads whose pods a Service selects.
type labelIndex struct {
	set       *set
	workloads []workload
	byLabel   map[label][]int // index into workloads
}

func newLabelIndex(s *set, workloads []workload) *labelIndex {
	x := &labelIndex{set: s, workloads: workloads, byLabel: map[label][]int{}}
	for n, w := range workloads {
		for k, v := range w.labels {
			l := label{namespace: s.items[w.index].id.Namespace, key: k, value: v}
			x.byLabel[l] = append(x.byLabel[l], n)
		}
	}
	return x
}

// behind lists the workloads behind a Service of the set. A Job ends and a CronJob
// comes and goes: neither is what keeps a Service answering.
func (x *labelIndex) behind(service int) []int {
	it := x.set.items[service]
	selector, _ := field(it.Unstructured.Object, "spec", "selector").(map[string]any)
	if len(selector) == 0 {
		return nil
	}
	var candidates []int
	for n, k := range sortedKeys(selector) {
		value, _ := selector[k].(string)
		with := x.byLabel[label{namespace: it.id.Namespace, key: k, value: value}]
		if n == 0 || len(with) < len(candidates) {
			candidates = with
		}
	}
	var out []int
	for _, n := range candidates {
		w := x.workloads[n]
		if x.set.items[w.index].id.Group != "batch" && selects(selector, w.labels) {
			out = append(out, w.index)
		}
	}
	return out
}

func selects(selector map[string]any, labels map[string]string) bool {
	for k, v := range selector {
		if text, ok := v.(string); !ok || labels[k] != text {
			return false
		}
	}
	return true
}

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
