package quarantine_test

import (
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// TestIngressesOfClouds are served by nobody: a managed control plane makes load balancers
// of them without any Service.
func TestIngressesOfClouds(t *testing.T) {
	const nginx = `{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: web, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}, spec: {controller: k8s.io/ingress-nginx}}`
	const auto = `{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: web, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}, spec: {controller: eks.amazonaws.com/alb}}`
	for name, test := range map[string]struct {
		annotations, spec, class string
		nobody                   bool
	}{
		"ALB":                            {"{alb.ingress.kubernetes.io/group.name: prod}", "{ingressClassName: alb}", "", true},
		"GCE by annotation":              {"{kubernetes.io/ingress.class: gce, kubernetes.io/ingress.global-static-ip-name: prod}", "{}", "", true},
		"GKE serves what has no class":   {"{}", "{}", "", true},
		"a name of its own":              {"{}", "{ingressClassName: web}", auto, true},
		"the default class of a cloud":   {"{}", "{}", auto, true},
		"another default class":          {"{}", "{}", nginx, false},
		"another class":                  {"{}", "{ingressClassName: web}", nginx, false},
		"another, with a cloud's advice": {"{networking.gke.io/managed-certificates: prod}", "{ingressClassName: web}", nginx, false},
		"a class that is not known":      {"{}", "{ingressClassName: nginx}", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			in := `{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: o, namespace: a, annotations: ` + test.annotations + `}, spec: ` + test.spec + `}`
			if test.class != "" {
				in += "\n---\n" + test.class
			}
			r := drill(t, in, quarantine.Options{})
			o := find(r, "Ingress", "o")
			raw := jsonOf(t, o.Object)
			nobody := strings.Contains(raw, `"kubernetes.io/ingress.class":"refloat-drill-nobody"`) && !strings.Contains(raw, "ingressClassName") && o.Rules != nil && o.Rules.HealthIgnored
			if nobody != test.nobody || strings.Contains(raw, "prod") {
				t.Errorf("%s; changes %v", raw, r.Changes)
			}
			if nobody && !changed(r, "LoadBalancer") {
				t.Errorf("nothing says so: %v", r.Changes)
			}
			kept := drill(t, in, quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "Ingress"}, Reason: "r"}}})
			if raw := jsonOf(t, find(kept, "Ingress", "o").Object); strings.Contains(raw, "nobody") {
				t.Errorf("the plan allows it: %s", raw)
			}
		})
	}
}

func TestGatewaysOfClouds(t *testing.T) {
	for class, nobody := range map[string]bool{"gke-l7-global-external-managed": true, "amazon-vpc-lattice": true, "mine": true, "istio": false} {
		t.Run(class, func(t *testing.T) {
			r := drill(t, `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g, namespace: a, annotations: {networking.gke.io/certmap: prod}}, spec: {gatewayClassName: `+class+`, addresses: [{type: NamedAddress, value: prod}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: a}, spec: {parentRefs: [{name: g}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: mine}, spec: {controllerName: networking.gke.io/gateway}}`, quarantine.Options{})
			raw := jsonOf(t, find(r, "Gateway", "g").Object)
			if strings.Contains(raw, `"gatewayClassName":"refloat-drill-nobody"`) != nobody || strings.Contains(raw, "prod") {
				t.Errorf("%s; changes %v", raw, r.Changes)
			}
			if route := find(r, "HTTPRoute", "r"); (route.Rules != nil && route.Rules.HealthIgnored) != nobody {
				t.Errorf("its route is not asked how it is: %v", !nobody)
			}
		})
	}
}

func TestObjectsBehindLoadBalancers(t *testing.T) {
	r := drill(t, `{apiVersion: elbv2.k8s.aws/v1beta1, kind: TargetGroupBinding, metadata: {name: o, namespace: a}, spec: {targetGroupARN: prod}}
---
{apiVersion: networking.gke.io/v1, kind: MultiClusterIngress, metadata: {name: o, namespace: a}, spec: {}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a, annotations: {cloud.google.com/neg: "{}"}}, spec: {}}`, quarantine.Options{})
	if find(r, "TargetGroupBinding", "o") != nil || find(r, "MultiClusterIngress", "o") != nil || len(find(r, "Service", "s").GetAnnotations()) != 0 {
		t.Errorf("the drill is behind a load balancer: %v", r.Changes)
	}
}
