package quarantine_test

import (
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// TestStoppedBackends take the webhooks with them that they would answer, or no write
// would succeed.
func TestStoppedBackends(t *testing.T) {
	r := drill(t, deployment("d", `{containers: [{name: c, image: karpenter}]}`)+`
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {selector: {x: d}, ports: [{port: 443}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: alive, namespace: a}, spec: {selector: {x: other}, ports: [{port: 443}]}}
---
`+deployment("other", plain)+`
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: both}, webhooks: [{name: dead, clientConfig: {service: {name: s, namespace: a}}}, {name: live, clientConfig: {service: {name: alive, namespace: a}}}]}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: dead}, webhooks: [{name: dead, clientConfig: {service: {name: s, namespace: a}}}]}
---
{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.x.example}, spec: {service: {name: s, namespace: a}}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: nodepools.karpenter.sh}, spec: {group: karpenter.sh, names: {kind: NodePool, plural: nodepools}, conversion: {strategy: Webhook, webhook: {clientConfig: {service: {name: s, namespace: a}}}}}}
---
{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: known}, spec: {}}
---
{apiVersion: karpenter.k8s.aws/v1, kind: EC2NodeClass, metadata: {name: unknown}, spec: {}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: a}, spec: {scaleTargetRef: {kind: Deployment, name: d}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: after, namespace: a, annotations: {config.kubernetes.io/depends-on: "karpenter.k8s.aws/EC2NodeClass/unknown,apps/namespaces/a/Deployment/other"}}}`, quarantine.Options{})
	for _, gone := range []struct{ kind, name string }{{"ValidatingWebhookConfiguration", "dead"}, {"APIService", "v1.x.example"}, {"EC2NodeClass", "unknown"}, {"HorizontalPodAutoscaler", "h"}} {
		if find(r, gone.kind, gone.name) != nil {
			t.Errorf("%s %s is still there", gone.kind, gone.name)
		}
	}
	if hooks := jsonOf(t, find(r, "MutatingWebhookConfiguration", "both").Object["webhooks"]); strings.Contains(hooks, "dead") || !strings.Contains(hooks, "live") {
		t.Errorf("webhooks are %s", hooks)
	}
	if c := jsonOf(t, find(r, "CustomResourceDefinition", "nodepools.karpenter.sh").Object["spec"].(map[string]any)["conversion"]); c != `{"strategy":"None"}` {
		t.Errorf("conversion is %s", c)
	}
	if pool := find(r, "NodePool", "known"); pool.Rules == nil || !pool.Rules.HealthIgnored {
		t.Error("somebody waits for what nobody makes ready")
	}
	if got := find(r, "ConfigMap", "after").GetAnnotations()["config.kubernetes.io/depends-on"]; got != "apps/namespaces/a/Deployment/other" {
		t.Errorf("depends on %q", got)
	}
}

// TestGuards are added to every drill, and the whole can be ordered.
func TestGuards(t *testing.T) {
	r := drill(t, `{apiVersion: v1, kind: Namespace, metadata: {name: a}}
---
`+deployment("d", plain)+`
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: csi, namespace: a}, spec: {template: {metadata: {labels: {y: csi}}, spec: {containers: [{name: c, image: aws-ebs-csi-driver}]}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent, namespace: kube-system}, spec: {template: {metadata: {labels: {y: agent}}, spec: {containers: [{name: c, image: agent}]}}}}`,
		quarantine.Options{Networks: []string{"10.128.0.0/14"}, Destinations: []quarantine.Destination{{CIDR: "192.0.2.0/24", Ports: []int32{443}}}})
	deny := find(r, "NetworkPolicy", quarantine.EgressName)
	if deny == nil || deny.GetNamespace() != "a" || deny.GetLabels()[quarantine.Label] == "" {
		t.Fatalf("namespace a may connect to the outside: %v", r.Changes)
	}
	spec := jsonOf(t, deny.Object["spec"])
	for _, want := range []string{`"podSelector":{}`, "10.128.0.0/14", "192.0.2.0/24", `"port":6443`} {
		if !strings.Contains(spec, want) {
			t.Errorf("%s does not have %s", spec, want)
		}
	}
	if strings.Contains(spec, "0.0.0.0/0") {
		t.Error("it allows everything")
	}
	if find(r, "NetworkPolicy", "refloat-drill-open-csi") == nil || find(r, "NetworkPolicy", quarantine.EgressName+"-agent") == nil {
		t.Errorf("the storage driver is cut off, or the agent of kube-system is not: %v", r.Changes)
	}
	if find(r, "ValidatingAdmissionPolicy", quarantine.GuardName) == nil || find(r, "ValidatingAdmissionPolicyBinding", quarantine.GuardName) == nil {
		t.Error("nothing refuses load balancers")
	}
	g, err := order.Build(r.Objects, order.Options{Units: r.Units})
	if err != nil {
		t.Fatal(err)
	}
	if g.Len() != len(r.Objects) {
		t.Errorf("%d objects ordered of %d", g.Len(), len(r.Objects))
	}
	open := drill(t, deployment("d", plain), quarantine.Options{OpenEgress: true})
	if find(open, "NetworkPolicy", quarantine.EgressName) != nil {
		t.Error("the plan allows egress, and it is denied")
	}
}

// TestAllowedLoadBalancer is let through by the guard, by name.
func TestAllowedLoadBalancer(t *testing.T) {
	r := drill(t, `{apiVersion: v1, kind: Service, metadata: {name: o, namespace: a}, spec: {type: LoadBalancer, ports: [{port: 80}]}}`,
		quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "Service", Name: "o"}, Reason: "r"}}})
	if kind := find(r, "Service", "o").Object["spec"].(map[string]any)["type"]; kind != "LoadBalancer" {
		t.Errorf("type is %v", kind)
	}
	if policy := jsonOf(t, find(r, "ValidatingAdmissionPolicy", quarantine.GuardName).Object); !strings.Contains(policy, "'a/o'") {
		t.Errorf("the guard refuses it: %s", policy)
	}
}
