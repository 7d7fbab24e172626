package health_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests/health"
)

func TestExtensionsOfTheAPI(t *testing.T) {
	crd, api := head("apiextensions.k8s.io/v1", "CustomResourceDefinition"), head("apiregistration.k8s.io/v1", "APIService")
	hook := head("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
	backend := "spec: {service: {namespace: monitoring, name: adapter}}\n"
	answered := "webhooks: [{name: a.example.com, clientConfig: {caBundle: Zm9v, service: {namespace: shop, name: hook}}}]"
	bare := "webhooks: [{name: a.example.com, clientConfig: {service: {namespace: shop, name: hook}}}]"
	unavailable := "status: {conditions: [{type: Available, status: 'False', reason: FailedDiscoveryCheck, message: connection refused}]}"
	check(t, map[string]sample{
		"definition, established": {
			object: crd + "status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}]}", status: health.Healthy,
		},
		"definition, names not accepted yet": {
			object: crd + "status: {conditions: [{type: Established, status: 'True'}]}",
			status: health.Progressing, message: "the API server is still installing it",
		},
		"definition, installing": {
			object: crd + "status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'False', reason: Installing}]}",
			status: health.Progressing, message: "the API server is still installing it",
		},
		"definition, name taken": {
			object: crd + "status: {conditions: [{type: NamesAccepted, status: 'False', reason: PluralConflict, message: already in use}]}",
			status: health.Failed, message: "its names are not accepted: PluralConflict: already in use",
		},
		"API service, available":   {object: api + backend + "status: {conditions: [{type: Available, status: 'True'}]}", status: health.Healthy},
		"API service, not checked": {object: api + backend, status: health.Progressing, message: "the API server has not checked it yet"},
		"API service, backend down": {
			object: api + backend + unavailable, status: health.Progressing,
			message: "it is not available: FailedDiscoveryCheck: connection refused",
		},
		"API service, backend simulated": {
			object: api + backend + unavailable, env: simulated, status: health.NotProvable,
			message: "the aggregated API is answered by Service monitoring/adapter, which does not run on a simulated cluster",
		},
		"API service, local, on a simulated cluster": {
			object: api + "spec: {group: apps}\n", env: simulated, status: health.Progressing, message: "the API server has not checked it yet",
		},
		"webhook": {object: hook + answered, status: health.Healthy},
		"webhook, simulated": {
			object: hook + answered, env: simulated, status: health.NotProvable,
			message: "its webhooks are answered by Service shop/hook, which does not run on a simulated cluster",
		},
		"webhook with a URL, simulated": {
			object: hook + "webhooks: [{name: a.example.com, clientConfig: {url: 'https://hooks.example.com'}}]", env: simulated, status: health.Healthy,
		},
		"webhook without a certificate": {
			object: hook + bare, status: health.Healthy,
			message: "webhook a.example.com has no caBundle, so calls fail until a controller adds one",
		},
		"webhook that waits for its certificate": {
			object: "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: x, annotations: {cert-manager.io/inject-ca-from: shop/cert}}\n" + bare,
			status: health.Progressing, message: "webhook a.example.com waits for its caBundle to be injected",
		},
	})
}

func TestCustomKinds(t *testing.T) {
	w := head("example.com/v1", "Widget")
	reported := health.Environment{StatusSubresource: func(gvk schema.GroupVersionKind) bool { return gvk.Kind == "Widget" }}
	check(t, map[string]sample{
		"no status subresource": {object: w, status: health.Healthy},
		"no status yet":         {object: w, env: reported, status: health.Healthy, message: "no operator has reported on it yet"},
		"no status yet, simulated": {
			object: w, env: simulated, status: health.NotProvable,
			message: "its status is written by an operator, which does not run on a simulated cluster",
		},
		"empty status, simulated": {
			object: w + "status: {}", env: simulated, status: health.NotProvable,
			message: "its status is written by an operator, which does not run on a simulated cluster",
		},
		"without a status subresource, simulated": {object: w, env: health.Environment{Simulated: true}, status: health.Healthy},
		"ready": {object: w + "status: {conditions: [{type: Ready, status: 'True'}]}", env: simulated, status: health.Healthy},
		"not ready": {
			object: w + "status: {conditions: [{type: Ready, status: 'False', reason: Waiting, message: for the moon}]}",
			status: health.Progressing, message: "for the moon",
		},
		"stalled": {
			object: w + "status: {conditions: [{type: Stalled, status: 'True', reason: Broken, message: beyond repair}]}",
			status: health.Failed, message: "beyond repair",
		},
		"reconciling": {
			object: w + "status: {conditions: [{type: Reconciling, status: 'True', reason: Busy, message: at work}]}",
			status: health.Progressing, message: "at work",
		},
		"conditions of an unusual form": {
			object: w + "status: {conditions: {ready: true}}",
			status: health.Healthy, message: "its status has an unusual form and says nothing about readiness",
		},
		"a status that is no map": {
			object: w + "status: fine",
			status: health.Healthy, message: "its status has an unusual form and says nothing about readiness",
		},
	})
}
