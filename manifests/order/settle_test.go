package order_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/manifests/order"
)

func TestContradictions(t *testing.T) {
	waved := func(apiVersion, kind, name, n, more string) string {
		return "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: default, annotations: {" + wave + ": '" + n + "'}}\n" + more
	}
	tests := map[string]struct {
		objects  string
		options  order.Options
		levels   map[string]int
		warnings []string
	}{
		"a definition in a later wave than its instance moves forward": {
			objects: docs("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com, annotations: {"+wave+": '5'}}\n"+
				"spec: {group: example.com, scope: Namespaced, names: {kind: Widget, plural: widgets}, versions: [{name: v1, served: true, storage: true}]}",
				waved("example.com/v1", "Widget", "w", "1", ""), meta("v1", "Secret", "first"), waved("v1", "Secret", "last", "5", "")),
			levels: map[string]int{
				"Secret default/first": 1, "CustomResourceDefinition.apiextensions.k8s.io widgets.example.com": 2,
				"Widget.example.com default/w": 3, "Secret default/last": 4,
			},
			warnings: []string{"CustomResourceDefinition.apiextensions.k8s.io widgets.example.com (f.yaml:1) declares sync-wave 5, but Widget.example.com default/w (f.yaml:2) needs it in sync-wave 1: it goes in sync-wave 1"},
		},
		"a namespace in a later wave than its contents moves forward": {
			objects: docs("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: {"+wave+": '1'}}",
				"apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}", waved("v1", "Secret", "last", "1", "")),
			levels:   map[string]int{"Namespace shop": 1, "Secret shop/s": 2, "Secret default/last": 3},
			warnings: []string{"Namespace shop (f.yaml:1) declares sync-wave 1, but Secret shop/s (f.yaml:2) needs it in sync-wave 0: it goes in sync-wave 0"},
		},
		"declared waves win over inference": {
			objects: docs(deployment("app", "{volumes: [{name: v, secret: {secretName: s}}]}"), waved("v1", "Secret", "s", "2", "")),
			levels:  map[string]int{"Deployment.apps default/app": 1, "Secret default/s": 2},
			warnings: []string{"Deployment.apps default/app (f.yaml:1) should wait for Secret default/s (f.yaml:2), because it mounts it as a volume; " +
				"but sync-waves 0 and 2 put it first: declared order wins"},
		},
		"waves of different units do not compare": {
			objects: docs("# unit a\n"+deployment("app", "{volumes: [{name: v, secret: {secretName: s}}]}"),
				"# unit b\n"+waved("v1", "Secret", "s", "2", ""), meta("v1", "Secret", "before")),
			levels: map[string]int{"Secret default/before": 1, "Secret default/s": 2, "Deployment.apps default/app": 3},
		},
		"depends-on wins over inference": {
			objects: docs(deployment("app", "{volumes: [{name: v, configMap: {name: c}}]}"), annotated("c", dependsOn, "apps/namespaces/default/Deployment/app")),
			levels:  map[string]int{"Deployment.apps default/app": 1, "ConfigMap default/c": 2},
			warnings: []string{"Deployment.apps default/app (f.yaml:1) should wait for ConfigMap default/c (f.yaml:2), because it mounts it as a volume; " +
				"but that closes a cycle, as ConfigMap default/c (f.yaml:2) declares that it depends on it: declared order wins"},
		},
		"one cause is one warning": {
			objects: docs(deployment("a", "{volumes: [{name: v, secret: {secretName: s}}]}"), deployment("b", "{volumes: [{name: v, secret: {secretName: s}}]}"),
				waved("v1", "Secret", "s", "2", "")),
			levels: map[string]int{"Deployment.apps default/a": 1, "Deployment.apps default/b": 1, "Secret default/s": 2},
			warnings: []string{"Deployment.apps default/a (f.yaml:1) and 1 more object should wait for Secret default/s (f.yaml:3), because it mounts it as a volume; " +
				"but sync-waves 0 and 2 put it first: declared order wins"},
		},
		"a wave that is no number counts as 0": {
			objects:  docs(annotated("a", wave, "soon"), annotated("b", wave, "1")),
			levels:   map[string]int{"ConfigMap default/a": 1, "ConfigMap default/b": 2},
			warnings: []string{`ConfigMap default/a (f.yaml:1): sync-wave "soon" is not a whole number and counts as 0`},
		},
		"an identical copy is dropped": {
			objects:  docs(meta("v1", "Secret", "a"), meta("v1", "Secret", "a")),
			levels:   map[string]int{"Secret default/a": 1},
			warnings: []string{"Secret default/a is written twice, identically: in f.yaml:1 and in f.yaml:2"},
		},
		"webhooks that intercept each other's backends": {
			objects: docs(
				cluster("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "a")+"webhooks: [{clientConfig: {service: {namespace: default, name: a}}, rules: ["+pods+"]}]",
				cluster("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "b")+"webhooks: [{clientConfig: {service: {namespace: default, name: b}}, rules: ["+pods+"]}]",
				meta("v1", "Service", "a")+"spec: {selector: {app: a}}", meta("v1", "Service", "b")+"spec: {selector: {app: b}}",
				deployment("a", "{}"), deployment("b", "{}"), deployment("c", "{}")),
			levels: map[string]int{
				"Service default/a": 1, "Service default/b": 1, "Deployment.apps default/a": 1, "Deployment.apps default/b": 1,
				"MutatingWebhookConfiguration.admissionregistration.k8s.io a": 2, "MutatingWebhookConfiguration.admissionregistration.k8s.io b": 2,
				"Deployment.apps default/c": 3,
			},
		},
		"simulated: nothing waits for a webhook, neither by wave nor by name": {
			options: order.Options{Simulated: true},
			objects: docs(
				"apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: v, annotations: {"+wave+": '-1'}}",
				annotated("a", dependsOn, "admissionregistration.k8s.io/ValidatingWebhookConfiguration/v"), meta("v1", "Secret", "s")),
			levels: map[string]int{"ConfigMap default/a": 1, "Secret default/s": 1, "ValidatingWebhookConfiguration.admissionregistration.k8s.io v": 2},
			warnings: []string{"ConfigMap default/a (f.yaml:2) declares that it depends on ValidatingWebhookConfiguration.admissionregistration.k8s.io v (f.yaml:1), " +
				"which goes last on a simulated cluster: not waited for"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := build(t, tt.objects, tt.options)
			if diff := cmp.Diff(tt.levels, levels(g)); diff != "" {
				t.Errorf("levels (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, g.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
