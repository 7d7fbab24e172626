package lint

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// webhooks that nothing answers, or that stand in the way of what answers them.
func (c *checker) webhooks() {
	for _, gk := range webhookKinds {
		for _, it := range c.byKind[gk] {
			for _, w := range list(it.raw, "webhooks") {
				c.webhook(it, w)
			}
		}
	}
}

func (c *checker) webhook(it *item, w map[string]any) {
	ref := mapping(w, "clientConfig", "service")
	if ref == nil {
		return // answered from outside the cluster
	}
	name, severity := str(w, "name"), Error
	closed := str(w, "failurePolicy") != "Ignore" // Fail is the default
	if !closed {
		severity = Warning
	}
	b, problem := c.backendOf(ref)
	if problem != "" {
		c.report(it, finding{rule: "webhook-without-backend", severity: severity, subject: name, by: c.unless(b),
			message: fmt.Sprintf("webhook %s is answered through %s", name, problem)})
	}
	if c.uncertified(it, w) && c.brings(b.namespace) == nil {
		c.report(it, finding{rule: "webhook-without-ca", severity: severity, subject: name,
			message: fmt.Sprintf("webhook %s has no caBundle, and nothing in the given paths fills one in", name)})
	}
	if closed {
		c.selfBlocking(it, w, b)
	}
}

// uncertified tells whether the API server will not trust the backend's certificate.
func (c *checker) uncertified(it *item, w map[string]any) bool {
	if bundle := str(w, "clientConfig", "caBundle"); bundle != "" && bundle != "Cg==" {
		return false
	}
	for key := range it.annotations {
		if strings.HasPrefix(key, certManager+"/inject-") || strings.Contains(key, "inject-cabundle") {
			return false
		}
	}
	return !c.patched(it)
}

// patched tells whether somebody may or does write certificates into webhook
// configurations: a Role that allows it, or a program that is told the name.
func (c *checker) patched(it *item) bool {
	for _, role := range c.byKind[clusterRoleKind] {
		for _, r := range list(role.raw, "rules") {
			if contains(texts(r, "verbs"), "update", "patch", "*") && contains(texts(r, "apiGroups"), it.id.Group, "*") {
				return true
			}
		}
	}
	for _, w := range c.workloads {
		for _, x := range w.containers() {
			for _, a := range append(texts(x.raw, "command"), texts(x.raw, "args")...) {
				if strings.Contains(a, it.id.Name) {
					return true
				}
			}
		}
	}
	return false
}

// selfBlocking webhooks see the pods that they need to be answered.
func (c *checker) selfBlocking(it *item, w map[string]any, b backend) {
	if len(list(w, "matchConditions")) > 0 {
		return // expressions that narrow it in ways that are not evaluated here
	}
	name := str(w, "name")
	for _, p := range b.workloads {
		switch {
		case c.intercepts(w, "", "pods", p.id.Namespace, p.podLabel):
			c.report(it, finding{rule: "webhook-blocks-itself", subject: name,
				message: fmt.Sprintf("webhook %s must answer before a pod of %s, which answers it, can be made", name, p.id)})
			return
		case c.intercepts(w, p.id.Group, strings.ToLower(p.id.Kind)+"s", p.id.Namespace, p.labels):
			c.report(it, finding{rule: "webhook-blocks-itself", severity: Warning, subject: name,
				message: fmt.Sprintf("webhook %s must answer before %s, which answers it, can be made", name, p.id)})
			return
		}
	}
	if c.intercepts(w, "", "pods", "kube-system", map[string]string{"k8s-app": "kube-dns"}) {
		c.report(it, finding{rule: "webhook-blocks-kube-system", subject: name,
			message: fmt.Sprintf("webhook %s must answer before any pod of kube-system can be made", name)})
	}
}

// intercepts tells whether a webhook is asked about the creation of an object.
func (c *checker) intercepts(w map[string]any, group, resource, namespace string, own map[string]string) bool {
	asked := slices.ContainsFunc(list(w, "rules"), func(r map[string]any) bool {
		return contains(texts(r, "operations"), "CREATE", "*") && contains(texts(r, "apiGroups"), "*", group) &&
			contains(texts(r, "resources"), "*", "*/*", resource) && str(r, "scope") != "Cluster"
	})
	if !asked {
		return false
	}
	of := labels.Set{}
	if ns := c.find(namespaceKind, "", namespace); ns != nil {
		of = labels.Merge(of, ns.labels)
	}
	of["kubernetes.io/metadata.name"] = namespace
	return selects(w, "namespaceSelector", of) && selects(w, "objectSelector", own)
}

// selects is true for a selector that is absent.
func selects(w map[string]any, key string, of labels.Set) bool {
	raw := mapping(w, key)
	if len(raw) == 0 {
		return true
	}
	selector, ok := parseSelector(raw)
	return ok && selector.Matches(of)
}
