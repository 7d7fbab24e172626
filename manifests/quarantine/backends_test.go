package quarantine_test

import (
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// TestBackendsOutside are called by the API server itself, through Services that lead out.
func TestBackendsOutside(t *testing.T) {
	const callers = `
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: o}, webhooks: [{name: w, clientConfig: {service: {name: s, namespace: a}}}]}
---
{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: o}, spec: {service: {name: s, namespace: a}}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: o}, spec: {group: x.example, names: {kind: X, plural: xs}, conversion: {strategy: Webhook, webhook: {clientConfig: {service: {name: s, namespace: a}}}}}}`
	const selectorless = `{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {ports: [{port: 443}]}}`
	for name, test := range map[string]struct {
		in   string
		away bool
	}{
		"a name": {`{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {type: ExternalName, externalName: real.example.com}}`, true},
		"addresses": {selectorless + `
---
{apiVersion: v1, kind: Endpoints, metadata: {name: s, namespace: a}, subsets: [{addresses: [{ip: 192.0.2.1}]}]}`, true},
		"slices": {selectorless + `
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s-1, namespace: a, labels: {kubernetes.io/service-name: s}}, addressType: IPv4}`, true},
		"addresses of another one": {selectorless + `
---
{apiVersion: v1, kind: Endpoints, metadata: {name: other, namespace: a}}`, false},
		"pods": {`{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {selector: {x: d}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			look := func(r *quarantine.Result, away bool) {
				t.Helper()
				crd := jsonOf(t, find(r, "CustomResourceDefinition", "o").Object)
				if (find(r, "MutatingWebhookConfiguration", "o") == nil) != away || (find(r, "APIService", "o") == nil) != away || strings.Contains(crd, `"strategy":"None"`) != away || changed(r, "Webhook") != away {
					t.Errorf("want it taken for outside: %v; changes %v", away, r.Changes)
				}
			}
			look(drill(t, test.in+callers, quarantine.Options{}), test.away)
			look(drill(t, test.in+callers, quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "Service"}, Reason: "r"}}}), false)
		})
	}
}
