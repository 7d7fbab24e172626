package quarantine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

const (
	announcesWhy = "it would announce the drill's addresses in the real network, as if it were the real cluster"
	meshWhy      = "it would join the drill to the mesh of the real cluster"
)

// announcing kinds by their groups: they tell routers, or the neighbours in a network, where
// addresses are.
var announcing = map[string][]string{
	"cilium.io":             {"CiliumLoadBalancerIPPool", "CiliumL2AnnouncementPolicy", "CiliumEgressGatewayPolicy"},
	"projectcalico.org":     {"BGPPeer", "BGPConfiguration", "BGPFilter"},
	"crd.projectcalico.org": {"BGPPeer", "BGPConfiguration", "BGPFilter"},
	"metallb.io":            {"BGPPeer", "BGPAdvertisement", "L2Advertisement", "IPAddressPool", "AddressPool"},
	"frrk8s.metallb.io":     {"FRRConfiguration"},
}

// meshing groups join clusters to each other.
var meshing = []string{"submariner.io", "multicluster.linkerd.io"}

// announceRule leaves out what reaches for the network around the cluster, or for other
// clusters; nil for every other kind.
func announceRule(gk schema.GroupKind) kindRule {
	switch {
	case slices.Contains(announcing[gk.Group], gk.Kind), gk.Group == "cilium.io" && strings.HasPrefix(gk.Kind, "CiliumBGP"):
		return leftOut("Announcement", announcesWhy)
	case slices.ContainsFunc(meshing, func(group string) bool { return gk.Group == group || strings.HasSuffix(gk.Group, "."+group) }):
		return leftOut("Announcement", meshWhy)
	}
	return nil
}

// meshSecrets hold where Cilium finds the other clusters of its mesh. Its pods run without.
var meshSecrets = []string{"cilium-clustermesh", "cilium-kvstoremesh"}

// meshed leaves out what says where other clusters are: Secrets, what they are made of,
// and the ConfigMap that old versions of MetalLB read.
func (q *quarantine) meshed(i int) bool {
	o := q.objects[i]
	id := o.ID()
	switch id.GroupKind() {
	case schema.GroupKind{Kind: "Secret"}, schema.GroupKind{Group: "bitnami.com", Kind: "SealedSecret"}, schema.GroupKind{Group: "external-secrets.io", Kind: "ExternalSecret"}:
		target := str(o.Object, "spec", "target", "name")
		remote := o.GetLabels()["istio/multiCluster"] == "true" || stringMap(o.Object, "spec", "template", "metadata", "labels")["istio/multiCluster"] == "true" ||
			stringMap(o.Object, "spec", "target", "template", "metadata", "labels")["istio/multiCluster"] == "true"
		if remote || slices.Contains(meshSecrets, id.Name) || slices.Contains(meshSecrets, target) {
			q.omit(i, "Announcement", meshWhy)
		}
	case schema.GroupKind{Kind: "ConfigMap"}:
		if id.Namespace == "metallb-system" && id.Name == "config" {
			q.omit(i, "Announcement", announcesWhy)
		}
	}
	return q.gone[i]
}

// meshSeeds are refused: a seed is put into the cluster as it is.
func (q *quarantine) meshSeeds() {
	for _, id := range slices.SortedFunc(maps.Keys(q.o.Seeds), manifests.ID.Compare) {
		if id.Kind == "Secret" && id.Group == "" && slices.Contains(meshSecrets, id.Name) && q.exception(id) == nil {
			q.refusals = append(q.refusals, Refusal{
				Object: id, Why: "is a seed that would join the drill to the mesh of the real cluster",
				Instead: fmt.Sprintf("take it from the seeds, or write spec.drill.allow with {kind: Secret, namespace: %s, name: %s} and a reason", quoted(id.Namespace), id.Name),
			})
		}
	}
}

// announcements are annotations by which kube-router knows its neighbours, and what to tell
// them.
var announcements = []string{"kube-router.io/peer.", "kube-router.io/service.advertise.", "kube-router.io/node.bgp."}

// unannounced takes such annotations away.
func (q *quarantine) unannounced(i int) {
	for _, key := range slices.Sorted(maps.Keys(mapping(q.objects[i].Object, "metadata", "annotations"))) {
		if slices.ContainsFunc(announcements, func(p string) bool { return strings.HasPrefix(key, p) }) && q.drop(i, "metadata", "annotations", key) {
			q.record(i, "Announcement", "loses "+key, announcesWhy)
		}
	}
}

// peering flags name routers outside, with which the workload exchanges routes.
var peering = []string{"--peer-router-ips", "--peer-router-asns"}

// peers is the flag by which a workload knows routers outside; empty when it has none.
func peers(w *workload) string {
	for _, c := range w.containers() {
		for _, arg := range append(texts(c, "command"), texts(c, "args")...) {
			if name, _, _ := strings.Cut(arg, "="); slices.Contains(peering, name) {
				return name
			}
		}
	}
	return ""
}
