package drain

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Wanted is one thing outside of a cluster that an object asks for by its very ID.
type Wanted struct {
	// Kind is LoadBalancer or Volume.
	Kind string
	// ID as an Entry has it.
	ID string
	// Field of the object that asks.
	Field string
}

// fixedAddresses are annotations of Services, and of Gateways for which Services are made,
// by which load-balancer controllers are asked for addresses, separated by commas.
var fixedAddresses = []string{
	"io.cilium/lb-ipam-ips",
	"kube-vip.io/loadbalancerIPs",
	"lbipam.cilium.io/ips",
	"metallb.io/loadBalancerIPs",
	"metallb.universe.tf/loadBalancerIPs",
	"service.beta.kubernetes.io/azure-load-balancer-ipv4",
	"service.beta.kubernetes.io/azure-load-balancer-ipv6",
}

// Wants lists what an object of a state asks for outside of its cluster by ID. DNS names are
// not among them: a cluster that is rebuilt takes its names over.
func Wants(u *unstructured.Unstructured) []Wanted {
	var out []Wanted
	add := func(kind, field string, ids ...string) {
		for _, id := range ids {
			if id = strings.TrimSpace(id); id != "" {
				out = append(out, Wanted{Kind: kind, ID: id, Field: field})
			}
		}
	}
	gvk := u.GroupVersionKind()
	switch {
	case gvk.Group == "" && gvk.Kind == "Service":
		if kind, _, _ := unstructured.NestedString(u.Object, "spec", "type"); kind != string(corev1.ServiceTypeLoadBalancer) {
			return nil
		}
		address, _, _ := unstructured.NestedString(u.Object, "spec", "loadBalancerIP")
		add(LoadBalancer, "spec.loadBalancerIP", address)
	case gvk.Group == "gateway.networking.k8s.io" && gvk.Kind == "Gateway":
		add(LoadBalancer, "spec.addresses", values(u, "spec", "addresses", "value")...)
	case gvk.Group == "" && gvk.Kind == "PersistentVolume":
		v := &corev1.PersistentVolume{}
		// What the API server would not take either asks for nothing.
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, v); err == nil {
			add(Volume, "the volume's source", handle(v))
		}
		return out
	default:
		return nil
	}
	for _, name := range fixedAddresses {
		add(LoadBalancer, "the annotation "+name, strings.Split(u.GetAnnotations()[name], ",")...)
	}
	return out
}

// Same tells whether two IDs of a kind mean the same thing: addresses and host names can be
// written in several ways.
func Same(kind, a, b string) bool {
	if kind != LoadBalancer {
		return a == b
	}
	return canonical(a) == canonical(b)
}

func canonical(address string) string {
	if ip, err := netip.ParseAddr(address); err == nil {
		return ip.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(address, "."))
}

// Asks finds the first of what an object wants that is the given thing; nil when none is.
func Asks(wants []Wanted, kind, id string) *Wanted {
	i := slices.IndexFunc(wants, func(w Wanted) bool { return w.Kind == kind && Same(kind, w.ID, id) })
	if i < 0 {
		return nil
	}
	return &wants[i]
}
