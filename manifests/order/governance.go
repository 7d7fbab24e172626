package order

import "k8s.io/apimachinery/pkg/runtime/schema"

var (
	networkPolicyKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}
	quotaKind         = schema.GroupKind{Kind: "ResourceQuota"}
	limitRangeKind    = schema.GroupKind{Kind: "LimitRange"}
)

// governance makes workloads wait for what limits them: pods made before it would
// escape it.
func (b *builder) governance(x *labelIndex) {
	rules := map[string][]int{} // for all pods of a namespace
	for _, gk := range []schema.GroupKind{quotaKind, limitRangeKind} {
		for _, i := range b.byKind[gk] {
			rules[b.items[i].id.Namespace] = append(rules[b.items[i].id.Namespace], i)
		}
	}
	for _, i := range b.byKind[networkPolicyKind] {
		it := b.items[i]
		raw, _ := field(it.Unstructured.Object, "spec", "podSelector").(map[string]any)
		selector, required, ok := parseSelector(raw)
		switch {
		case !ok: // the API server will say what is wrong with it
		case selector.Empty():
			rules[it.id.Namespace] = append(rules[it.id.Namespace], i)
		default:
			for _, w := range x.matching(it.id.Namespace, selector, required) {
				b.prefer(w, i, Applied, governance, "is restricted by it")
			}
		}
	}
	for _, ns := range sortedKeys(rules) {
		governed := make([]int, 0, len(x.byNamespace[ns]))
		for _, n := range x.byNamespace[ns] {
			governed = append(governed, x.workloads[n].index)
		}
		b.join(governed, rules[ns], Applied, governance,
			count(len(rules[ns]), "object")+" that limit namespace "+ns, "is limited by it, as all of its namespace")
	}
}
