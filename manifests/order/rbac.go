package order

import (
	"cmp"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const rbacGroup = "rbac.authorization.k8s.io"

var (
	roleKind               = schema.GroupKind{Group: rbacGroup, Kind: "Role"}
	clusterRoleKind        = schema.GroupKind{Group: rbacGroup, Kind: "ClusterRole"}
	roleBindingKind        = schema.GroupKind{Group: rbacGroup, Kind: "RoleBinding"}
	clusterRoleBindingKind = schema.GroupKind{Group: rbacGroup, Kind: "ClusterRoleBinding"}
)

type account struct{ namespace, name string }

// permissions are in place before the workloads that use them: a controller that
// starts without them often gives up for minutes.
func (b *builder) permissions(workloads []workload) {
	b.aggregation()
	granted := map[account][]int{}
	for _, gk := range []schema.GroupKind{roleBindingKind, clusterRoleBindingKind} {
		for _, i := range b.byKind[gk] {
			b.binding(i, granted)
		}
	}
	users := map[account][]int{}
	var accounts []account
	for _, w := range workloads {
		a := account{b.items[w.index].id.Namespace, w.serviceAccount()}
		if len(granted[a]) == 0 {
			continue
		}
		if len(users[a]) == 0 {
			accounts = append(accounts, a)
		}
		users[a] = append(users[a], w.index)
	}
	for _, a := range accounts {
		b.join(users[a], granted[a], Applied, reference,
			"the permissions of ServiceAccount "+a.namespace+"/"+a.name, "is granted permissions by it")
	}
}

// binding waits for its role and grants it to accounts.
func (b *builder) binding(i int, granted map[account][]int) {
	it := b.items[i]
	switch role := str(it.Unstructured.Object, "roleRef", "name"); str(it.Unstructured.Object, "roleRef", "kind") {
	case "Role":
		b.prefer(i, b.find(roleKind, it.id.Namespace, role), Applied, reference, "grants it")
	case "ClusterRole":
		b.prefer(i, b.find(clusterRoleKind, "", role), Applied, reference, "grants it")
	}
	seen := map[account]bool{}
	for _, s := range list(it.Unstructured.Object, "subjects") {
		a := account{cmp.Or(str(s, "namespace"), it.id.Namespace), str(s, "name")}
		if str(s, "kind") == "ServiceAccount" && !seen[a] {
			seen[a] = true
			granted[a] = append(granted[a], i)
		}
	}
}

// aggregation makes a ClusterRole that collects others wait for them.
func (b *builder) aggregation() {
	roles := b.byKind[clusterRoleKind]
	byLabel := b.labelled(roles)
	for _, i := range roles {
		for _, raw := range list(b.items[i].Unstructured.Object, "aggregationRule", "clusterRoleSelectors") {
			selector, required, ok := parseSelector(raw)
			if !ok || selector.Empty() {
				continue
			}
			candidates := roles
			for k, v := range required {
				if with := byLabel[label{key: k, value: v}]; len(with) < len(candidates) {
					candidates = with
				}
			}
			for _, c := range candidates {
				if selector.Matches(labels.Set(b.items[c].labels)) {
					b.prefer(i, c, Applied, reference, "aggregates it")
				}
			}
		}
	}
}

func (s *set) labelled(items []int) map[label][]int {
	m := map[label][]int{}
	for _, i := range items {
		for k, v := range s.items[i].labels {
			m[label{key: k, value: v}] = append(m[label{key: k, value: v}], i)
		}
	}
	return m
}
