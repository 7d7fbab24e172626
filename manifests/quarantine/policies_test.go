package quarantine_test

import (
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// TestPoliciesOfNetworks let pods out no more: they would undo the drill's own. What is
// wanted is the JSON of the whole spec, or "" when the policy is left out.
func TestPoliciesOfNetworks(t *testing.T) {
	const cilium, calico, admin = "apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy", "apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy",
		"apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy"
	for name, test := range map[string]struct{ kind, spec, want string }{
		"names":                         {cilium, `{egress: [{toFQDNs: [{matchName: example.com}]}]}`, ""},
		"the world":                     {cilium, `{egress: [{toEntities: [cluster, world]}]}`, ""},
		"all":                           {cilium, `{egress: [{toEntities: [all]}]}`, ""},
		"addresses":                     {cilium, `{egress: [{toCIDR: [0.0.0.0/0]}]}`, ""},
		"sets of addresses":             {cilium, `{egress: [{toCIDRSet: [{cidr: 10.0.0.0/8}]}]}`, ""},
		"ports of everybody":            {cilium, `{egress: [{toPorts: [{ports: [{port: "443"}]}]}]}`, ""},
		"what is not known":             {cilium, `{egress: [{toEndpoints: [{}], toNews: [x]}]}`, ""},
		"of all namespaces":             {"apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy", `{egress: [{toEntities: [world]}]}`, ""},
		"what comes in stays":           {cilium, `{egress: [{toFQDNs: [{}]}], ingress: [{}]}`, `{"ingress":[{}]}`},
		"what is inside stays":          {cilium, `{egress: [{toEndpoints: [{}], toPorts: [{}]}, {toEntities: [kube-apiserver]}, {toCIDR: [x]}]}`, `{"egress":[{"toEndpoints":[{}],"toPorts":[{}]},{"toEntities":["kube-apiserver"]}]}`},
		"denials stay":                  {cilium, `{egressDeny: [{toCIDR: [x]}]}`, `{"egressDeny":[{"toCIDR":["x"]}]}`},
		"Calico: everything":            {calico, `{egress: [{action: Allow}]}`, `{"types":["Egress"]}`},
		"Calico: addresses":             {calico, `{types: [Egress], egress: [{action: Allow, destination: {nets: [0.0.0.0/0]}}, {action: Deny}]}`, `{"egress":[{"action":"Deny"}],"types":["Egress"]}`},
		"Calico: names":                 {calico, `{ingress: [{action: Allow}], egress: [{action: Allow, destination: {domains: [example.com]}}]}`, `{"ingress":[{"action":"Allow"}],"types":["Egress","Ingress"]}`},
		"Calico: the rest of addresses": {calico, `{types: [Egress], egress: [{action: Allow, destination: {notNets: [10.0.0.0/8]}}]}`, `{"types":["Egress"]}`},
		"Calico: past the policies":     {calico, `{types: [Egress], egress: [{action: Pass}]}`, `{"types":["Egress"]}`},
		"Calico: pods":                  {calico, `{egress: [{action: Allow, destination: {selector: "x == 'z'", ports: [80]}}]}`, `{"egress":[{"action":"Allow","destination":{"ports":[80],"selector":"x == 'z'"}}]}`},
		"Calico in namespaces":          {"apiVersion: crd.projectcalico.org/v1, kind: NetworkPolicy", `{types: [Egress], egress: [{action: allow}]}`, `{"types":["Egress"]}`},
		"Calico: sets":                  {"apiVersion: projectcalico.org/v3, kind: GlobalNetworkSet", `{nets: [0.0.0.0/0]}`, ""},
		"admin: addresses":              {admin, `{egress: [{action: Allow, to: [{networks: [0.0.0.0/0]}]}]}`, ""},
		"admin: pods, and left to all":  {admin, `{egress: [{action: Allow, to: [{namespaces: {}}]}, {action: Pass, to: [{networks: [x]}]}]}`, `{"egress":[{"action":"Allow","to":[{"namespaces":{}}]},{"action":"Pass","to":[{"networks":["x"]}]}]}`},
		"Antrea: everybody":             {"apiVersion: crd.antrea.io/v1beta1, kind: ClusterNetworkPolicy", `{egress: [{action: Allow}]}`, ""},
		"GKE: names":                    {"apiVersion: networking.gke.io/v1alpha1, kind: FQDNNetworkPolicy", `{egress: []}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := "{" + test.kind + ", metadata: {name: o, namespace: a}, spec: " + test.spec + "}"
			given := parse(t, in)[0]
			r := drill(t, in, quarantine.Options{})
			got, before := "", jsonOf(t, given.Object["spec"])
			if o := find(r, given.GetKind(), "o"); o != nil {
				got = jsonOf(t, o.Object["spec"])
			}
			if got != test.want || changed(r, "Egress") != (test.want != before) {
				t.Errorf("%s, want %s; changes %v", got, test.want, r.Changes)
			}
			for _, o := range []quarantine.Options{{OpenEgress: true}, {Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Name: "o"}, Reason: "r"}}}} {
				if kept := find(drill(t, in, o), given.GetKind(), "o"); kept == nil || jsonOf(t, kept.Object["spec"]) != before {
					t.Errorf("the plan allows it: %v", kept)
				}
			}
		})
	}
}

// TestSpecsOfCilium are judged one by one.
func TestSpecsOfCilium(t *testing.T) {
	r := drill(t, `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: o, namespace: a}, specs: [{egress: [{toEntities: [world]}]}, {ingress: [{}]}]}`, quarantine.Options{})
	if specs := jsonOf(t, find(r, "CiliumNetworkPolicy", "o").Object["specs"]); specs != `[{"ingress":[{}]}]` {
		t.Errorf("specs %s", specs)
	}
	r = drill(t, `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: o, namespace: a}, specs: [{egress: [{}]}]}`, quarantine.Options{})
	if find(r, "CiliumNetworkPolicy", "o") != nil {
		t.Errorf("it is kept: %v", r.Changes)
	}
}
