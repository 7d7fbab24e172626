package lint

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// quantity reads what YAML gives for one; false when it is none.
func quantity(v any) (resource.Quantity, bool) {
	text := ""
	switch v := v.(type) {
	case string:
		text = v
	case int64, float64:
		text = fmt.Sprint(v)
	}
	if text == "" || len(text) > 40 {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil
}

// defaults are what the LimitRanges of a namespace give containers that ask for
// nothing, by limits or requests and resource.
func (s *state) defaults(namespace string) map[string]map[string]any {
	out := map[string]map[string]any{"limits": {}, "requests": {}}
	for _, it := range s.byKind[limitRangeKind] {
		if it.id.Namespace != namespace {
			continue
		}
		for _, l := range list(it.spec, "limits") {
			if str(l, "type") != "Container" {
				continue
			}
			for _, from := range [][2]string{{"default", "limits"}, {"defaultRequest", "requests"}, {"default", "requests"}, {"max", "limits"}, {"max", "requests"}} {
				for name, v := range mapping(l, from[0]) {
					if out[from[1]][name] == nil {
						out[from[1]][name] = v
					}
				}
			}
		}
	}
	return out
}

// asks is what a container asks for, with the defaults of its namespace. Without a
// request the limit counts.
func asks(c container, part, name string, defaults map[string]map[string]any) (resource.Quantity, bool) {
	for _, v := range []any{mapping(c.raw, "resources", part)[name], ownLimit(c, part, name), defaults[part][name]} {
		if q, ok := quantity(v); ok {
			return q, true
		}
	}
	return resource.Quantity{}, false
}

func ownLimit(c container, part, name string) any {
	if part == "requests" {
		return mapping(c.raw, "resources", "limits")[name]
	}
	return nil
}

// quotas must hold the workloads of their namespace as the repository describes them.
func (c *checker) quotas() {
	for _, it := range c.byKind[quotaKind] {
		if field(it.spec, "scopes") != nil || field(it.spec, "scopeSelector") != nil {
			continue
		}
		hard := mapping(it.spec, "hard")
		for _, name := range sortedKeys(hard) {
			most, ok := quantity(hard[name])
			if !ok {
				continue
			}
			if part, res, compute := computeQuota(name); compute {
				c.computeQuota(it, name, part, res, most)
			} else {
				c.countQuota(it, name, most)
			}
		}
	}
}

// computeQuota splits requests.cpu; cpu alone means requests.cpu.
func computeQuota(name string) (part, res string, ok bool) {
	switch name {
	case "cpu", "memory":
		return "requests", name, true
	case "requests.cpu", "requests.memory", "limits.cpu", "limits.memory":
		part, res, _ = strings.Cut(name, ".")
		return part, res, true
	}
	return "", "", false
}

func (c *checker) computeQuota(it *item, name, part, res string, most resource.Quantity) {
	defaults := c.defaults(it.id.Namespace)
	var total resource.Quantity
	for _, w := range c.inNamespace[it.id.Namespace] {
		pod, silent := podAsks(w, part, res, defaults)
		if silent != "" {
			c.report(w.item, finding{rule: "quota-needs-resources", subject: name,
				message: fmt.Sprintf("%s of %s has no %s of %s, which %s (%s) asks every pod of the namespace for", silent, w.id, part, res, it.id, it.Origin)})
		}
		for range min(c.replicas(w), 10_000) {
			total.Add(pod)
		}
	}
	if total.Cmp(most) > 0 {
		c.report(it, finding{rule: "quota-too-small", subject: name,
			message: fmt.Sprintf("%s allows %s %s, and the workloads of the given paths ask for %s", it.id, most.String(), name, total.String())})
	}
}

// podAsks sums the containers that run together; silent names one that asks for
// nothing.
func podAsks(w *workload, part, res string, defaults map[string]map[string]any) (sum resource.Quantity, silent string) {
	var first resource.Quantity
	for _, x := range w.containers() {
		q, ok := asks(x, part, res, defaults)
		switch {
		case !ok && silent == "" && field(w.pod, "resources") == nil:
			silent = x.name
		case x.init && str(x.raw, "restartPolicy") != "Always":
			if q.Cmp(first) > 0 {
				first = q
			}
		default:
			sum.Add(q)
		}
	}
	if first.Cmp(sum) > 0 {
		sum = first
	}
	return sum, silent
}

// counted kinds of quotas, besides count/resource.group.
var counted = map[string]schema.GroupKind{
	"services": serviceKind, "secrets": secretKind, "configmaps": configMapKind, "persistentvolumeclaims": claimKind,
	"count/services": serviceKind, "count/secrets": secretKind, "count/configmaps": configMapKind,
	"count/persistentvolumeclaims": claimKind, "count/deployments.apps": {Group: "apps", Kind: "Deployment"},
	"count/statefulsets.apps": statefulSetKind, "count/jobs.batch": jobKind, "count/ingresses.networking.k8s.io": ingressKind,
}

func (c *checker) countQuota(it *item, name string, most resource.Quantity) {
	has := int64(0)
	if name == "pods" || name == "count/pods" {
		for _, w := range c.inNamespace[it.id.Namespace] {
			has += c.replicas(w)
		}
	} else {
		gk, ok := counted[name]
		if !ok {
			return
		}
		for _, other := range c.byKind[gk] {
			if other.id.Namespace == it.id.Namespace {
				has++
			}
		}
		if gk == configMapKind {
			has++ // the certificate that every namespace gets
		}
	}
	if has > most.Value() {
		c.report(it, finding{rule: "quota-too-small", subject: name,
			message: fmt.Sprintf("%s allows %s %s, and the given paths have %d", it.id, most.String(), name, has)})
	}
}

// limitRanges must let the containers of their namespace pass.
func (c *checker) limitRanges() {
	for _, it := range c.byKind[limitRangeKind] {
		for _, l := range list(it.spec, "limits") {
			if str(l, "type") != "Container" {
				continue
			}
			for _, w := range c.inNamespace[it.id.Namespace] {
				for _, x := range w.containers() {
					c.withinRange(it, l, w, x)
				}
			}
		}
	}
}

func (c *checker) withinRange(it *item, limit map[string]any, w *workload, x container) {
	for _, bound := range []string{"max", "min"} {
		for _, res := range sortedKeys(mapping(limit, bound)) {
			most, ok := quantity(mapping(limit, bound)[res])
			if !ok {
				continue
			}
			for _, part := range []string{"limits", "requests"} {
				q, given := quantity(mapping(x.raw, "resources", part)[res])
				outside := bound == "max" && q.Cmp(most) > 0 || bound == "min" && q.Cmp(most) < 0
				if given && outside && !slices.Contains([]string{"min limits"}, bound+" "+part) {
					c.report(w.item, finding{rule: "limit-range-refuses", subject: x.name + " " + part + "." + res,
						message: fmt.Sprintf("%s has %s of %s %s, and %s (%s) has the %s %s", x.name, part, res, q.String(), it.id, it.Origin, bound, most.String())})
				}
			}
		}
	}
}
