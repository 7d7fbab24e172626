package quarantine

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

// The names of what a drill adds.
const (
	// GuardName is the policy that refuses load balancers, whoever asks for one.
	GuardName = "refloat-drill-no-load-balancers"
	// EgressName is the policy of a namespace about outgoing connections.
	EgressName = "refloat-drill-egress"
	// openName is followed by the name of a workload that the cluster cannot be without.
	openName = "refloat-drill-open-"
)

// UnitName is the unit of what a drill adds. Everything else goes after its guard.
const UnitName = "drill profile"

// added is an object that the drill has besides the state.
func added(apiVersion, kind, namespace, name string, spec map[string]any) manifests.Object {
	metadata := map[string]any{"name": name, "labels": map[string]any{Label: "quarantine"}}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return manifests.Object{
		Unstructured: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": apiVersion, "kind": kind, "metadata": metadata, "spec": spec,
		}},
	}
}

// purpose of what is added.
func purpose(o manifests.Object) string {
	switch {
	case o.GetKind() == "ValidatingAdmissionPolicy":
		return "it refuses load balancers, also those that controllers ask for"
	case o.GetKind() == "ValidatingAdmissionPolicyBinding":
		return "it puts the policy into force"
	case strings.HasPrefix(o.GetName(), openName):
		return "the cluster cannot be without these pods, and they may connect to the outside"
	}
	return "pods connect to nothing outside of the cluster, as far as its network enforces policies"
}

// guards refuse load balancers at the API server, where those end up that controllers make
// of other kinds, Gateways for example.
func (q *quarantine) guards() []manifests.Object {
	if q.o.OlderThan130 {
		q.warnings = append(q.warnings, "the cluster is older than Kubernetes 1.30 and cannot refuse load balancers; controllers that make some of other kinds than Services could make one")
		return nil
	}
	expression := "!has(object.spec.type) || object.spec.type != 'LoadBalancer'"
	var names []any
	for _, o := range q.objects {
		if id := o.ID(); id.Kind == "Service" && id.Group == "" && q.exception(id) != nil && str(o.Object, "spec", "type") == "LoadBalancer" {
			names = append(names, fmt.Sprintf("'%s/%s'", id.Namespace, id.Name))
		}
	}
	if len(names) > 0 {
		expression += fmt.Sprintf(" || (object.metadata.namespace + '/' + object.metadata.name) in %v", "["+joined(names)+"]")
	}
	const group = "admissionregistration.k8s.io/v1"
	guards := []manifests.Object{
		added(group, "ValidatingAdmissionPolicy", "", GuardName, map[string]any{
			"failurePolicy": "Fail",
			"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
				"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE", "UPDATE"}, "resources": []any{"services"},
			}}},
			"validations": []any{map[string]any{
				"expression": expression, "message": "this cluster is a drill of Refloat, in which there are no load balancers",
			}},
		}),
		added(group, "ValidatingAdmissionPolicyBinding", "", GuardName, map[string]any{
			"policyName": GuardName, "validationActions": []any{"Deny"},
		}),
	}
	for i := range guards {
		guards[i].Origin.Unit = UnitName
	}
	return guards
}

func joined(names []any) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprint(n)
	}
	return strings.Join(out, ", ")
}

// systemNamespace has pods that the state does not show and the cluster cannot be without.
const systemNamespace = "kube-system"

// egress denies outgoing connections in every namespace of the state.
func (q *quarantine) egress() []manifests.Object {
	if q.o.OpenEgress {
		return nil
	}
	var out []manifests.Object
	for _, ns := range q.namespaces() {
		if ns != systemNamespace {
			out = append(out, q.policy(ns, EgressName, map[string]any{}, q.destinations()))
		}
	}
	taken := map[string]bool{}
	for _, w := range q.pods {
		name, rules := q.ownPolicy(w)
		if name == "" {
			continue
		}
		name = strings.TrimRight(name[:min(len(name), 240)], "-.")
		if taken[w.id.Namespace+"/"+name] {
			name += "-" + strings.ToLower(w.id.Kind)
		}
		taken[w.id.Namespace+"/"+name] = true
		labels := map[string]any{}
		for k, v := range w.podLabels {
			labels[k] = v
		}
		out = append(out, q.policy(w.id.Namespace, name, map[string]any{"matchLabels": labels}, rules))
	}
	return out
}

// ownPolicy of a workload that has one: one that may connect to where it likes, and every
// other one of the system's namespace, where there is no policy for all pods.
func (q *quarantine) ownPolicy(w *workload) (name string, rules []any) {
	open, system := w.fate == serves && w.product != nil && w.product.open, w.id.Namespace == systemNamespace
	switch {
	case len(w.podLabels) == 0, w.fate == stopped, q.gone[w.at], open == system:
		return "", nil
	case open:
		return openName + w.id.Name, []any{map[string]any{}}
	}
	return EgressName + "-" + w.id.Name, q.destinations()
}

func (q *quarantine) policy(namespace, name string, selector map[string]any, rules []any) manifests.Object {
	return added("networking.k8s.io/v1", "NetworkPolicy", namespace, name, map[string]any{
		"podSelector": selector, "policyTypes": []any{"Egress"}, "egress": rules,
	})
}

// namespaces of the state, sorted.
func (q *quarantine) namespaces() []string {
	var out []string
	for i, o := range q.objects {
		if q.gone[i] {
			continue
		}
		if id := o.ID(); id.Kind == "Namespace" && id.Group == "" {
			out = append(out, id.Name)
		} else if id.Namespace != "" {
			out = append(out, id.Namespace)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// private networks are where API servers of clusters are, besides public ones.
var private = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"}

// nodeCache is where the name server of a node listens, if there is one.
const nodeCache = "169.254.20.10/32"

// kubelet is the port of each node's agent, which serves metrics.
const kubelet = 10250

// destinations are what pods may connect to: each other, name servers, the API server and
// what the plan says. A connection to the API server's Service is judged, by most networks,
// by the address behind it, which is not known yet: so its port is open on private networks,
// and that of the nodes' agents, too.
func (q *quarantine) destinations() []any {
	ports := q.o.APIPorts
	if len(ports) == 0 {
		ports = []int32{6443}
	}
	rules := []any{
		map[string]any{"to": []any{map[string]any{"namespaceSelector": map[string]any{}}}},
		map[string]any{"to": blocks(nodeCache), "ports": append(portList("UDP", 53), portList("TCP", 53)...)},
		map[string]any{"to": blocks(private...), "ports": append(portList("TCP", ports...), portList("TCP", kubelet)...)},
	}
	if len(q.o.Networks) > 0 {
		rules = append(rules, map[string]any{"to": blocks(q.o.Networks...)})
	}
	for _, d := range q.o.Destinations {
		rule := map[string]any{"to": blocks(d.CIDR)}
		if len(d.Ports) > 0 {
			rule["ports"] = portList("TCP", d.Ports...)
		}
		rules = append(rules, rule)
	}
	return rules
}

func blocks(cidrs ...string) []any {
	out := make([]any, len(cidrs))
	for i, cidr := range cidrs {
		out[i] = map[string]any{"ipBlock": map[string]any{"cidr": cidr}}
	}
	return out
}

func portList(protocol string, ports ...int32) []any {
	out := make([]any, len(ports))
	for i, port := range ports {
		out[i] = map[string]any{"protocol": protocol, "port": int64(port)}
	}
	return out
}
