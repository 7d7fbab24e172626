package capi

import (
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/version"
)

// Network is what a cluster's manifests say about its network.
type Network struct {
	// CIDRs of its pods and Services.
	CIDRs []string
	// APIPort of its API server; 0 when it is not said and not known from its kind.
	APIPort int32
}

// NetworkOf a cluster's manifests.
func NetworkOf(sources []Source) Network {
	var n Network
	for _, src := range sources {
		if !isCluster(src.Object) {
			continue
		}
		for _, of := range []string{"pods", "services"} {
			blocks, _, _ := unstructured.NestedStringSlice(src.Object.Object, "spec", "clusterNetwork", of, "cidrBlocks")
			for _, block := range blocks {
				if _, err := netip.ParsePrefix(block); err == nil {
					n.CIDRs = append(n.CIDRs, block)
				}
			}
		}
		// Clouds that run control planes serve the API like any web site.
		if kind, _, _ := unstructured.NestedString(src.Object.Object, "spec", "controlPlaneRef", "kind"); strings.Contains(kind, "Managed") {
			n.APIPort = 443
		}
		port, _, _ := unstructured.NestedFieldNoCopy(src.Object.Object, "spec", "clusterNetwork", "apiServerPort")
		const highest = 65535
		if p, ok := port.(int64); ok && p > 0 && p <= highest {
			n.APIPort = int32(p)
		}
	}
	return n
}

// OlderThan tells whether a version of Kubernetes is known to be older than another one.
func OlderThan(have, want string) bool {
	v, err := version.ParseSemantic(have)
	w, other := version.ParseSemantic(want)
	return err == nil && other == nil && v.LessThan(w)
}
