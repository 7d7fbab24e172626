package order

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// maxInterceptions bounds the edges of one graph that webhooks cause. Beyond it the
// order is left to the retries of whoever applies the objects.
const maxInterceptions = 1 << 20

// interceptor is one webhook: what it wants to see.
type interceptor struct {
	rules             []map[string]any
	namespaces, items labels.Selector // nil selects everything
}

// interceptions makes what a webhook changes or may refuse wait until the webhook is
// in place. What the webhook itself needs is spared when soft edges are settled.
func (b *builder) interceptions(workloads []workload) {
	configurations := append(slices.Clone(b.byKind[mutatingKind]), b.byKind[validatingKind]...)
	if len(configurations) == 0 {
		return
	}
	m := newMatcher(b.set, workloads)
	budget := maxInterceptions
	for _, c := range configurations {
		if injected(b.items[c].Unstructured.GetAnnotations()) {
			// It becomes ready when an injector has filled in its certificate, and its
			// backend when the same controller has made one. That controller may be
			// among what it intercepts, which no field of any object tells.
			continue
		}
		seen := map[int]bool{}
		for _, w := range list(b.items[c].Unstructured.Object, "webhooks") {
			in, ok := readWebhook(w, b.items[c].id.GroupKind() == mutatingKind)
			if !ok {
				continue
			}
			for _, i := range m.matches(in) {
				if seen[i] || budget == 0 {
					continue
				}
				seen[i] = true
				budget--
				b.prefer(i, c, Ready, interception, "is intercepted by it")
			}
		}
	}
	if budget == 0 {
		b.warn("webhooks intercept more than %d pairs of objects: the others are not ordered after their webhooks", maxInterceptions)
	}
}

// injected tells whether a controller fills in the certificate of a configuration.
func injected(annotations map[string]string) bool {
	for key := range annotations {
		if strings.HasPrefix(key, "cert-manager.io/inject-") {
			return true
		}
	}
	return false
}

// readWebhook leaves out webhooks without which objects are written just the same:
// those that only validate and may be ignored, and those that do not see creations.
func readWebhook(w map[string]any, mutating bool) (interceptor, bool) {
	if !mutating && str(w, "failurePolicy") == "Ignore" {
		return interceptor{}, false
	}
	in := interceptor{}
	for _, r := range list(w, "rules") {
		if operations := texts(r, "operations"); slices.Contains(operations, "CREATE") || slices.Contains(operations, "*") {
			in.rules = append(in.rules, r)
		}
	}
	var ok bool
	if in.namespaces, ok = selectorAt(w, "namespaceSelector"); !ok {
		return in, false
	}
	in.items, ok = selectorAt(w, "objectSelector")
	return in, ok && len(in.rules) > 0
}

// selectorAt is nil for a selector that is absent or selects everything.
func selectorAt(w map[string]any, key string) (labels.Selector, bool) {
	raw, _ := w[key].(map[string]any)
	if len(raw) == 0 {
		return nil, true
	}
	selector, _, ok := parseSelector(raw)
	return selector, ok
}

// sees tells whether a rule asks for a resource in a version.
func sees(rule map[string]any, gvk schema.GroupVersionKind, resource string, namespaced bool) bool {
	has := func(key string, values ...string) bool {
		return slices.ContainsFunc(texts(rule, key), func(v string) bool { return slices.Contains(values, v) })
	}
	if !has("apiGroups", "*", gvk.Group) || !has("resources", "*", "*/*", resource) {
		return false
	}
	// With matchPolicy Equivalent, the default, any version of the group counts. A
	// rule for another version only is so rare that waiting for it does no harm.
	switch str(rule, "scope") {
	case "Cluster":
		return !namespaced
	case "Namespaced":
		return namespaced
	}
	return true
}

// matcher finds the items that a webhook would see when they are written, workloads
// also through the pods they make.
type matcher struct {
	set       *set
	kinds     []schema.GroupKind
	workloads []workload
}

var podGVK = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}

func newMatcher(s *set, workloads []workload) *matcher {
	m := &matcher{set: s, workloads: workloads}
	for gk := range s.byKind {
		// The API server calls no webhook about webhooks, lest none could be removed.
		if !strings.HasSuffix(gk.Kind, "WebhookConfiguration") {
			m.kinds = append(m.kinds, gk)
		}
	}
	slices.SortFunc(m.kinds, func(a, b schema.GroupKind) int { return strings.Compare(a.String(), b.String()) })
	return m
}

// matches lists items, possibly repeatedly.
func (m *matcher) matches(in interceptor) []int {
	var out []int
	inNamespace := m.namespaceFilter(in.namespaces)
	for _, gk := range m.kinds {
		items := m.set.byKind[gk]
		first := m.set.items[items[0]]
		if !seen(in.rules, first.gvk, m.set.resource(gk), first.id.Namespace != "") {
			continue
		}
		for _, i := range items {
			if it := m.set.items[i]; inNamespace(it) && (in.items == nil || in.items.Matches(labels.Set(it.labels))) {
				out = append(out, i)
			}
		}
	}
	if !seen(in.rules, podGVK, "pods", true) {
		return out
	}
	for _, w := range m.workloads {
		if inNamespace(m.set.items[w.index]) && (in.items == nil || in.items.Matches(labels.Set(w.labels))) {
			out = append(out, w.index)
		}
	}
	return out
}

func seen(rules []map[string]any, gvk schema.GroupVersionKind, resource string, namespaced bool) bool {
	return slices.ContainsFunc(rules, func(r map[string]any) bool { return sees(r, gvk, resource, namespaced) })
}

// namespaceFilter applies a namespaceSelector as the API server does: to the labels of
// the object's namespace, of a Namespace itself, and to nothing of the whole cluster.
func (m *matcher) namespaceFilter(selector labels.Selector) func(item) bool {
	known := map[string]bool{}
	return func(it item) bool {
		name := it.id.Namespace
		if it.id.GroupKind() == namespaceKind {
			name = it.id.Name
		}
		if selector == nil || name == "" {
			return true
		}
		match, ok := known[name]
		if !ok {
			set := labels.Set{"kubernetes.io/metadata.name": name}
			if i := m.set.find(namespaceKind, "", name); i >= 0 {
				set = labels.Merge(labels.Set(m.set.items[i].labels), set)
			}
			match = selector.Matches(set)
			known[name] = match
		}
		return match
	}
}
