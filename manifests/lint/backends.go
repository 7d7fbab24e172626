package lint

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests/builtin"
)

// backend is what answers through a Service.
type backend struct {
	service   *item
	namespace string
	workloads []*workload
}

// backendOf reads a reference to a Service. The text says what is wrong with it; "" if
// nothing is, or nothing can be told.
func (c *checker) backendOf(ref map[string]any) (backend, string) {
	namespace, name := str(ref, "namespace"), str(ref, "name")
	b := backend{namespace: namespace, service: c.find(serviceKind, namespace, name)}
	if name == "" || namespace == "" {
		return b, ""
	}
	if b.service == nil {
		return b, fmt.Sprintf("Service %s/%s, which nothing in the given paths makes", namespace, name)
	}
	b.workloads = c.behind(b.service)
	if len(b.workloads) == 0 && !c.selfMade(b.service) && c.podMaker(namespace) == nil {
		return b, fmt.Sprintf("Service %s/%s, which selects no pod of the given paths", namespace, name)
	}
	return b, ""
}

// apiServices must be answered by something.
func (c *checker) apiServices() {
	for _, it := range c.byKind[apiServiceKind] {
		ref := mapping(it.spec, "service")
		if ref == nil {
			continue
		}
		if b, problem := c.backendOf(ref); problem != "" {
			c.report(it, finding{rule: "apiservice-without-backend", by: c.unless(b),
				message: fmt.Sprintf("%s is answered through %s", it.id, problem)})
		}
	}
}

// unless is what could bring the backend.
func (c *checker) unless(b backend) *item {
	if b.service != nil {
		return nil
	}
	return c.brings(b.namespace)
}

// conversions of a CustomResourceDefinition must be answered, or no object written in
// another version than the stored one can be read.
func (c *checker) conversions() {
	for _, it := range c.byKind[definitionKind] {
		if str(it.spec, "conversion", "strategy") != "Webhook" {
			continue
		}
		ref := mapping(it.spec, "conversion", "webhook", "clientConfig", "service")
		if b, problem := c.backendOf(ref); ref != nil && problem != "" {
			c.report(it, finding{rule: "conversion-without-backend", by: c.unless(b),
				message: fmt.Sprintf("%s is converted between versions through %s", it.id, problem)})
		}
	}
}

// serviceSelectors that select no pod of the repository.
func (c *checker) serviceSelectors() {
	for _, it := range c.byKind[serviceKind] {
		if len(stringMap(it.spec, "selector")) == 0 || str(it.spec, "type") == "ExternalName" || builtin.Namespace(it.id.Namespace) {
			continue
		}
		if len(c.behind(it)) == 0 && c.podMaker(it.id.Namespace) == nil {
			c.report(it, finding{rule: "service-without-pods", message: fmt.Sprintf("%s selects no pod of the given paths", it.id)})
		}
	}
}

// disruptionBudgets that cover no pod of the repository.
func (c *checker) disruptionBudgets() {
	for _, it := range c.byKind[budgetKind] {
		selector, ok := parseSelector(mapping(it.spec, "selector"))
		if ok && len(c.matching(it.id.Namespace, selector)) == 0 && c.podMaker(it.id.Namespace) == nil {
			c.report(it, finding{rule: "budget-without-pods", message: fmt.Sprintf("%s covers no pod of the given paths", it.id)})
		}
	}
}

var webhookKinds = []schema.GroupKind{mutatingKind, validatingKind}
