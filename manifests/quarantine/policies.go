package quarantine

import (
	"slices"
	"strings"
)

// undone is why no other policy may let pods out: those of networks decide before
// NetworkPolicies do, and one that allows more is enough.
const undone = "the drill's own policies would be undone"

// keepEgress keeps of the rules about outgoing connections of a policy's spec those that
// pass, and tells whether any went.
func keepEgress(spec map[string]any, pass func(rule map[string]any) bool) bool {
	rules, _ := spec["egress"].([]any)
	var kept []any
	for _, r := range rules {
		if rule, _ := r.(map[string]any); pass(rule) {
			kept = append(kept, r)
		}
	}
	if len(kept) == len(rules) {
		return false
	}
	if spec["egress"] = kept; len(kept) == 0 {
		delete(spec, "egress")
	}
	return true
}

// only tells whether a mapping has one of the keys at least, and none besides.
func only(m map[string]any, keys ...string) bool {
	for key := range m {
		if !slices.Contains(keys, key) {
			return false
		}
	}
	return len(m) > 0
}

// empty tells whether a policy says nothing any more, which its kind may not.
func empty(spec map[string]any, sections ...string) bool {
	return !slices.ContainsFunc(sections, func(s string) bool { return spec[s] != nil })
}

// ciliumPolicy has one spec or several.
func ciliumPolicy(q *quarantine, i int) {
	if q.o.OpenEgress {
		return
	}
	o, changed := q.edit(i), false
	all, _ := o["specs"].([]any)
	var kept []any
	for _, s := range all {
		spec, _ := s.(map[string]any)
		went := keepEgress(spec, ciliumInside)
		changed = changed || went
		if !went || !ciliumEmpty(spec) {
			kept = append(kept, s)
		}
	}
	if len(kept) < len(all) {
		if o["specs"] = kept; len(kept) == 0 {
			delete(o, "specs")
		}
	}
	if spec := mapping(o, "spec"); keepEgress(spec, ciliumInside) {
		changed = true
		if ciliumEmpty(spec) {
			delete(o, "spec")
		}
	}
	switch {
	case !changed:
	case o["spec"] == nil && o["specs"] == nil:
		q.omit(i, "Egress", "it allows connections to the outside: "+undone)
	default:
		q.record(i, "Egress", "allows no connection to the outside", undone)
	}
}

func ciliumEmpty(spec map[string]any) bool {
	return empty(spec, "ingress", "ingressDeny", "egress", "egressDeny")
}

// ciliumEntities are in the cluster.
var ciliumEntities = []string{"cluster", "host", "remote-node", "kube-apiserver", "health", "init", "unmanaged", "ingress", "none"}

// ciliumInside tells whether a rule lets pods connect to the cluster only. One that names no
// peers, but ports at most, is for all of them; what is not known is outside.
func ciliumInside(rule map[string]any) bool {
	peers := 0
	for key, value := range rule {
		switch key {
		case "toPorts", "icmps", "authentication", "toRequires":
			continue
		case "toEndpoints", "toNodes":
		case "toEntities":
			entities, _ := value.([]any)
			for _, e := range entities {
				if name, _ := e.(string); !slices.Contains(ciliumEntities, strings.ToLower(name)) {
					return false
				}
			}
		default:
			return false
		}
		peers++
	}
	return peers > 0
}

// calicoPolicy keeps its types: without any, and without rules, it would be about what
// comes in.
func calicoPolicy(q *quarantine, i int) {
	if q.o.OpenEgress {
		return
	}
	spec := mapping(q.edit(i), "spec")
	if !keepEgress(spec, calicoInside) {
		return
	}
	if spec["types"] == nil {
		types := []any{"Egress"}
		if spec["ingress"] != nil {
			types = append(types, "Ingress")
		}
		spec["types"] = types
	}
	q.record(i, "Egress", "allows no connection to the outside", undone)
}

// calicoInside tells whether a rule denies, or is about selected pods.
func calicoInside(rule map[string]any) bool {
	if action := strings.ToLower(str(rule, "action")); action == "deny" || action == "log" {
		return true
	}
	to := mapping(rule, "destination")
	if api := mapping(to, "services"); str(api, "name") == "kubernetes" && str(api, "namespace") == "default" {
		return only(to, "services")
	}
	return only(to, "selector", "namespaceSelector", "serviceAccounts", "ports", "notPorts", "notSelector") &&
		(str(to, "selector") != "" || str(to, "namespaceSelector") != "" || len(mapping(to, "serviceAccounts")) > 0)
}

// outsideSet is what lets pods connect to addresses or names outside, and nothing else: a
// set of them that the selectors of policies find, or a policy about names.
func outsideSet(q *quarantine, i int) {
	if !q.o.OpenEgress {
		q.omit(i, "Egress", "it opens addresses outside of the cluster: "+undone)
	}
}

// adminPolicy is one for all namespaces that decides before NetworkPolicies do.
func adminPolicy(q *quarantine, i int) {
	if q.o.OpenEgress {
		return
	}
	spec := mapping(q.edit(i), "spec")
	if !keepEgress(spec, adminInside) {
		return
	}
	if empty(spec, "ingress", "egress") {
		q.omit(i, "Egress", "it allows connections to the outside: "+undone)
		return
	}
	q.record(i, "Egress", "allows no connection to the outside", undone)
}

// adminInside tells whether a rule denies, leaves it to NetworkPolicies, or is about pods
// and nodes.
func adminInside(rule map[string]any) bool {
	switch strings.ToLower(str(rule, "action")) {
	case "deny", "drop", "reject", "pass":
		return true
	}
	to, _ := rule["to"].([]any)
	return len(to) > 0 && !slices.ContainsFunc(to, func(p any) bool {
		peer, _ := p.(map[string]any)
		return !only(peer, "namespaces", "pods", "nodes", "podSelector", "namespaceSelector", "nodeSelector", "serviceAccount")
	})
}
