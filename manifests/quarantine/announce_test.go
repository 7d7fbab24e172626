package quarantine_test

import (
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// TestAnnouncements to routers, and to the meshes of other clusters, are left out.
func TestAnnouncements(t *testing.T) {
	for in, left := range map[string]bool{
		"apiVersion: cilium.io/v2, kind: CiliumBGPClusterConfig": true, "apiVersion: cilium.io/v2, kind: CiliumBGPPeerConfig": true,
		"apiVersion: cilium.io/v2, kind: CiliumBGPAdvertisement": true, "apiVersion: cilium.io/v2alpha1, kind: CiliumBGPPeeringPolicy": true,
		"apiVersion: cilium.io/v2alpha1, kind: CiliumL2AnnouncementPolicy": true, "apiVersion: cilium.io/v2alpha1, kind: CiliumLoadBalancerIPPool": true,
		"apiVersion: projectcalico.org/v3, kind: BGPPeer": true, "apiVersion: projectcalico.org/v3, kind: BGPConfiguration": true,
		"apiVersion: crd.projectcalico.org/v1, kind: BGPFilter": true, "apiVersion: projectcalico.org/v3, kind: IPPool": false,
		"apiVersion: metallb.io/v1beta2, kind: BGPPeer": true, "apiVersion: metallb.io/v1beta1, kind: BGPAdvertisement": true,
		"apiVersion: metallb.io/v1beta1, kind: L2Advertisement": true, "apiVersion: metallb.io/v1beta1, kind: IPAddressPool": true,
		"apiVersion: submariner.io/v1alpha1, kind: Submariner": true, "apiVersion: operator.submariner.io/v1, kind: X": true, "apiVersion: notsubmariner.io/v1, kind: X": false,
		"apiVersion: cilium.io/v2, kind: CiliumNode": false,
	} {
		t.Run(in, func(t *testing.T) {
			_, kind, _ := strings.Cut(in, "kind: ")
			object := "{" + in + ", metadata: {name: o}, spec: {}}"
			r := drill(t, object, quarantine.Options{})
			if (find(r, kind, "o") == nil) != left || changed(r, "Announcement") != left {
				t.Errorf("want it left out: %v; changes %v", left, r.Changes)
			}
			if kept := drill(t, object, quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: kind}, Reason: "r"}}}); find(kept, kind, "o") == nil {
				t.Error("the plan allows it")
			}
		})
	}
}

func TestMeshes(t *testing.T) {
	for in, left := range map[string]bool{
		`{apiVersion: v1, kind: Secret, metadata: {name: cilium-clustermesh, namespace: kube-system}, data: {}}`:                                                 true,
		`{apiVersion: v1, kind: Secret, metadata: {name: cilium-kvstoremesh, namespace: kube-system}, data: {}}`:                                                 true,
		`{apiVersion: v1, kind: Secret, metadata: {name: other, namespace: kube-system}, data: {}}`:                                                              false,
		`{apiVersion: v1, kind: Secret, metadata: {name: remote, namespace: istio-system, labels: {istio/multiCluster: "true"}}}`:                                true,
		`{apiVersion: external-secrets.io/v1, kind: ExternalSecret, metadata: {name: mesh, namespace: kube-system}, spec: {target: {name: cilium-clustermesh}}}`: true,
		`{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, metadata: {name: cilium-clustermesh, namespace: kube-system}, spec: {}}`:                         true,
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: config, namespace: metallb-system}, data: {config: x}}`:                                              true,
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: config, namespace: a}, data: {config: x}}`:                                                           false,
	} {
		t.Run(in, func(t *testing.T) {
			o := parse(t, in)[0]
			r := drill(t, in, quarantine.Options{})
			if (find(r, o.GetKind(), o.GetName()) == nil) != left || changed(r, "Announcement") != left {
				t.Errorf("want it left out: %v; changes %v", left, r.Changes)
			}
		})
	}
	seeds := map[manifests.ID][]string{{Kind: "Secret", Namespace: "kube-system", Name: "cilium-clustermesh"}: {"prod"}}
	if _, err := quarantine.Apply(nil, nil, quarantine.Options{Seeds: seeds}); err == nil || !strings.Contains(err.Error(), "cilium-clustermesh is a seed") {
		t.Errorf("a seed joins the mesh: %v", err)
	}
}

// TestKubeRouter knows its neighbours by annotations, which go, or by flags, which the plan
// has to answer for.
func TestKubeRouter(t *testing.T) {
	r := drill(t, `{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a, annotations: {kube-router.io/service.advertise.clusterip: "true", x: z}}, spec: {}}
---
{apiVersion: v1, kind: Node, metadata: {name: node, annotations: {kube-router.io/peer.ips: 192.0.2.1, kube-router.io/peer.asns: "64512"}}}`, quarantine.Options{})
	if a := find(r, "Service", "s").GetAnnotations(); len(a) != 1 || a["x"] != "z" {
		t.Errorf("annotations %v", a)
	}
	if a := find(r, "Node", "node").GetAnnotations(); len(a) != 0 || !changed(r, "Announcement") {
		t.Errorf("annotations %v, changes %v", a, r.Changes)
	}
	router := deployment("d", `{containers: [{name: c, image: kube-router, args: [--run-router=true, --peer-router-ips=192.0.2.1]}]}`)
	if _, err := quarantine.Apply(parse(t, router), nil, quarantine.Options{}); err == nil || !strings.Contains(err.Error(), "--peer-router-ips") {
		t.Errorf("it is not refused: %v", err)
	}
	drill(t, router, quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "Deployment"}, Reason: "r"}}})
	for _, image := range []string{"quay.io/submariner/submariner-gateway:0.19", "ghcr.io/kube-vip/kube-vip:v1"} {
		if stopped := drill(t, deployment("d", `{containers: [{name: c, image: "`+image+`"}]}`), quarantine.Options{}); !changed(stopped, "KnownController") {
			t.Errorf("%s runs: %v", image, stopped.Changes)
		}
	}
}
