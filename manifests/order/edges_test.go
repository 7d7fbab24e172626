package order_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/manifests/order"
)

const (
	wave      = "argocd.argoproj.io/sync-wave"
	dependsOn = "config.kubernetes.io/depends-on"
)

// pod is a Deployment whose pods have a spec.
func deployment(name, spec string) string {
	return meta("apps/v1", "Deployment", name) + "spec: {template: {metadata: {labels: {app: " + name + "}}, spec: " + spec + "}}\n"
}

const widgets = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - {name: v1, served: true, storage: true}
  - {name: v1beta1, served: true, storage: false}
  - {name: v1alpha1, served: false, storage: false}
`

const service = `apiVersion: v1
kind: Service
metadata: {name: hook, namespace: default}
spec: {selector: {app: hook}}
`

func webhook(kind, policy, rules, more string) string {
	return cluster("admissionregistration.k8s.io/v1", kind, "hook") + `webhooks:
- name: a.example.com
  failurePolicy: ` + policy + `
  clientConfig: {service: {namespace: default, name: hook}}
  rules: [` + rules + "]\n" + more
}

const pods = `{apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE]}`

func TestEdges(t *testing.T) {
	type test struct {
		objects string
		options order.Options
		edges   []string
	}
	tests := map[string]test{
		"nothing related": {
			objects: docs(meta("v1", "ConfigMap", "a"), meta("v1", "Secret", "b")),
		},
		"namespace before what is in it": {
			objects: docs("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}", cluster("v1", "Namespace", "shop")),
			edges:   []string{"ConfigMap shop/a after Namespace shop: is in this namespace (Hard Applied)"},
		},
		"definition before its instance": {
			objects: docs(meta("example.com/v1", "Widget", "w"), widgets),
			edges:   []string{"Widget.example.com default/w after CustomResourceDefinition.apiextensions.k8s.io widgets.example.com: is defined by it (Hard Served)"},
		},
		"constraint after the template that its kind is made from": {
			objects: docs(
				cluster("constraints.gatekeeper.sh/v1beta1", "Owned", "all"),
				cluster("templates.gatekeeper.sh/v1", "ConstraintTemplate", "owned")+"spec: {crd: {spec: {names: {kind: Owned}}}}",
				cluster("apiextensions.k8s.io/v1", "CustomResourceDefinition", "constrainttemplates.templates.gatekeeper.sh")+
					"spec: {group: templates.gatekeeper.sh, scope: Cluster, names: {kind: ConstraintTemplate, plural: constrainttemplates}, versions: [{name: v1, served: true, storage: true}]}",
			),
			edges: []string{
				"ConstraintTemplate.templates.gatekeeper.sh owned after CustomResourceDefinition.apiextensions.k8s.io constrainttemplates.templates.gatekeeper.sh: is defined by it (Hard Served)",
				"Owned.constraints.gatekeeper.sh all after ConstraintTemplate.templates.gatekeeper.sh owned: is of a kind that its operator makes from it (Hard Ready)",
			},
		},
		"service account and its permissions before the workload": {
			objects: docs(
				deployment("app", "{serviceAccountName: robot}"),
				meta("v1", "ServiceAccount", "robot")+"imagePullSecrets: [{name: registry}]",
				meta("v1", "Secret", "registry"),
				meta("rbac.authorization.k8s.io/v1", "Role", "reader"),
				meta("rbac.authorization.k8s.io/v1", "RoleBinding", "local")+"roleRef: {kind: Role, name: reader}\nsubjects: [{kind: ServiceAccount, name: robot}]",
				cluster("rbac.authorization.k8s.io/v1", "ClusterRole", "admin"),
				cluster("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "global")+"roleRef: {kind: ClusterRole, name: admin}\nsubjects: [{kind: ServiceAccount, name: robot, namespace: default}]",
				deployment("other", "{serviceAccountName: stranger}"),
			),
			edges: []string{
				"ClusterRoleBinding.rbac.authorization.k8s.io global after ClusterRole.rbac.authorization.k8s.io admin: grants it (Inferred Applied)",
				"Deployment.apps default/app after ClusterRoleBinding.rbac.authorization.k8s.io global: is granted permissions by it (Inferred Applied)",
				"Deployment.apps default/app after RoleBinding.rbac.authorization.k8s.io default/local: is granted permissions by it (Inferred Applied)",
				"Deployment.apps default/app after ServiceAccount default/robot: runs as it (Inferred Applied)",
				"RoleBinding.rbac.authorization.k8s.io default/local after Role.rbac.authorization.k8s.io default/reader: grants it (Inferred Applied)",
				"ServiceAccount default/robot after Secret default/registry: pulls images with it (Inferred Applied)",
			},
		},
		"aggregated cluster role": {
			objects: docs(
				cluster("rbac.authorization.k8s.io/v1", "ClusterRole", "all")+"aggregationRule: {clusterRoleSelectors: [{matchLabels: {into: all}}]}",
				"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: part, labels: {into: all}}",
				"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: apart, labels: {into: none}}",
			),
			edges: []string{"ClusterRole.rbac.authorization.k8s.io all after ClusterRole.rbac.authorization.k8s.io part: aggregates it (Inferred Applied)"},
		},
		"all that a pod names": {
			objects: docs(
				deployment("app", `{
					priorityClassName: high, runtimeClassName: safe, imagePullSecrets: [{name: pull}],
					volumes: [{name: a, secret: {secretName: s1}}, {name: b, configMap: {name: c1}}, {name: c, persistentVolumeClaim: {claimName: data}},
						{name: d, projected: {sources: [{secret: {name: s2}}, {configMap: {name: c2}}]}},
						{name: e, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: fast}}}}],
					initContainers: [{name: i, envFrom: [{secretRef: {name: s3}}]}],
					containers: [{name: m, env: [{name: A, valueFrom: {secretKeyRef: {name: s4}}}, {name: B, valueFrom: {configMapKeyRef: {name: c3}}}],
						envFrom: [{configMapRef: {name: c3, optional: true}}]}]}`),
				cluster("scheduling.k8s.io/v1", "PriorityClass", "high"), cluster("node.k8s.io/v1", "RuntimeClass", "safe"),
				meta("v1", "Secret", "pull"), meta("v1", "Secret", "s1"), meta("v1", "Secret", "s2"), meta("v1", "Secret", "s3"), meta("v1", "Secret", "s4"),
				meta("v1", "ConfigMap", "c1"), meta("v1", "ConfigMap", "c2"), meta("v1", "ConfigMap", "c3"), meta("v1", "ConfigMap", "unused"),
				meta("v1", "PersistentVolumeClaim", "data")+"spec: {storageClassName: fast, volumeName: disk}",
				cluster("storage.k8s.io/v1", "StorageClass", "fast"), cluster("v1", "PersistentVolume", "disk"),
			),
			edges: []string{
				"Deployment.apps default/app after ConfigMap default/c1: mounts it as a volume (Inferred Applied)",
				"Deployment.apps default/app after ConfigMap default/c2: mounts it as a volume (Inferred Applied)",
				"Deployment.apps default/app after ConfigMap default/c3: takes its environment from it (Inferred Applied)",
				"Deployment.apps default/app after PersistentVolumeClaim default/data: mounts it as a volume (Inferred Applied)",
				"Deployment.apps default/app after PriorityClass.scheduling.k8s.io high: has this priority (Inferred Applied)",
				"Deployment.apps default/app after RuntimeClass.node.k8s.io safe: runs with it (Inferred Applied)",
				"Deployment.apps default/app after Secret default/pull: pulls images with it (Inferred Applied)",
				"Deployment.apps default/app after Secret default/s1: mounts it as a volume (Inferred Applied)",
				"Deployment.apps default/app after Secret default/s2: mounts it as a volume (Inferred Applied)",
				"Deployment.apps default/app after Secret default/s3: takes its environment from it (Inferred Applied)",
				"Deployment.apps default/app after Secret default/s4: takes its environment from it (Inferred Applied)",
				"Deployment.apps default/app after StorageClass.storage.k8s.io fast: claims storage of it (Inferred Applied)",
				"PersistentVolumeClaim default/data after PersistentVolume disk: claims this volume (Inferred Applied)",
				"PersistentVolumeClaim default/data after StorageClass.storage.k8s.io fast: claims storage of it (Inferred Applied)",
			},
		},
		"a reference from another namespace is none": {
			objects: docs(deployment("app", "{volumes: [{name: a, secret: {secretName: s}}]}"),
				"apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: kube-system}"),
		},
		"a cron job's pods": {
			objects: docs(meta("batch/v1", "CronJob", "nightly")+"spec: {jobTemplate: {spec: {template: {spec: {volumes: [{name: a, configMap: {name: c}}]}}}}}",
				meta("v1", "ConfigMap", "c")),
			edges: []string{"CronJob.batch default/nightly after ConfigMap default/c: mounts it as a volume (Inferred Applied)"},
		},
		"a stateful set's service and storage": {
			objects: docs(meta("apps/v1", "StatefulSet", "db")+"spec: {serviceName: hook, template: {spec: {}}, volumeClaimTemplates: [{metadata: {annotations: {volume.beta.kubernetes.io/storage-class: fast}}}]}",
				service, cluster("storage.k8s.io/v1", "StorageClass", "fast")),
			edges: []string{
				"StatefulSet.apps default/db after Service default/hook: takes its host names from it (Inferred Applied)",
				"StatefulSet.apps default/db after StorageClass.storage.k8s.io fast: claims storage of it (Inferred Applied)",
			},
		},
		"ingress class": {
			objects: docs(meta("networking.k8s.io/v1", "Ingress", "web")+"spec: {ingressClassName: nginx}", cluster("networking.k8s.io/v1", "IngressClass", "nginx")),
			edges:   []string{"Ingress.networking.k8s.io default/web after IngressClass.networking.k8s.io nginx: has this class (Inferred Applied)"},
		},
		"policies and quotas before the pods they limit": {
			objects: docs(deployment("app", "{}"), deployment("other", "{}"),
				meta("networking.k8s.io/v1", "NetworkPolicy", "mine")+"spec: {podSelector: {matchLabels: {app: app}}}",
				meta("networking.k8s.io/v1", "NetworkPolicy", "deny")+"spec: {podSelector: {}}",
				meta("v1", "LimitRange", "limits"),
				"apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: kube-system}"),
			edges: []string{
				"Deployment.apps default/app after LimitRange default/limits: is limited by it, as all of its namespace (Inferred Applied)",
				"Deployment.apps default/app after NetworkPolicy.networking.k8s.io default/deny: is limited by it, as all of its namespace (Inferred Applied)",
				"Deployment.apps default/app after NetworkPolicy.networking.k8s.io default/mine: is restricted by it (Inferred Applied)",
				"Deployment.apps default/other after LimitRange default/limits: is limited by it, as all of its namespace (Inferred Applied)",
				"Deployment.apps default/other after NetworkPolicy.networking.k8s.io default/deny: is limited by it, as all of its namespace (Inferred Applied)",
			},
		},
		"declared waves are barriers within a unit": {
			objects: docs("# unit a\n"+annotated("late", wave, "5"), annotated("early", wave, "-1"), meta("v1", "ConfigMap", "plain"),
				"# unit b\n"+meta("v1", "ConfigMap", "elsewhere")),
			edges: []string{
				"ConfigMap default/late after [all 1 object of sync-wave 0 of a]: is in sync-wave 5 (Declared Ready)",
				"ConfigMap default/plain after [all 1 object of sync-wave -1 of a]: is in sync-wave 0 (Declared Ready)",
				"[all 1 object of sync-wave -1 of a] after ConfigMap default/early: is in sync-wave -1 (Declared Ready)",
				"[all 1 object of sync-wave 0 of a] after ConfigMap default/plain: is in sync-wave 0 (Declared Ready)",
			},
		},
		"one wave is no barrier": {
			objects: docs(annotated("a", wave, "3"), annotated("b", wave, "3")),
		},
		"depends-on": {
			objects: docs(annotated("a", dependsOn, "/namespaces/default/Secret/b, apps/namespaces/default/Deployment/c,/Namespace/d"),
				meta("v1", "Secret", "b"), deployment("c", "{}"), cluster("v1", "Namespace", "d")),
			edges: []string{
				"ConfigMap default/a after Deployment.apps default/c: declares that it depends on it (Declared Ready)",
				"ConfigMap default/a after Namespace d: declares that it depends on it (Declared Ready)",
				"ConfigMap default/a after Secret default/b: declares that it depends on it (Declared Ready)",
			},
		},
		"depends-on joins what is inferred": {
			objects: docs(`apiVersion: v1
kind: Pod
metadata: {name: p, namespace: default, annotations: {config.kubernetes.io/depends-on: /namespaces/default/Secret/s}}
spec: {volumes: [{name: v, secret: {secretName: s}}]}`, meta("v1", "Secret", "s")),
			edges: []string{"Pod default/p after Secret default/s: declares that it depends on it, mounts it as a volume (Declared Ready)"},
		},
		"webhook after its backend, before what it changes": {
			objects: docs(webhook("MutatingWebhookConfiguration", "Ignore", pods, ""), service,
				deployment("hook", "{volumes: [{name: v, configMap: {name: c}}]}"), deployment("app", "{}"), meta("v1", "ConfigMap", "c")),
			edges: []string{
				"Deployment.apps default/app after MutatingWebhookConfiguration.admissionregistration.k8s.io hook: is intercepted by it (Inferred Ready)",
				"Deployment.apps default/hook after ConfigMap default/c: mounts it as a volume (Inferred Applied)",
				"MutatingWebhookConfiguration.admissionregistration.k8s.io hook after Deployment.apps default/hook: is answered by it through Service default/hook (Inferred Ready)",
				"MutatingWebhookConfiguration.admissionregistration.k8s.io hook after Service default/hook: is answered through it (Inferred Applied)",
			},
		},
		"webhook that sees everything spares what it needs": {
			objects: docs(webhook("ValidatingWebhookConfiguration", "Fail", `{apiGroups: ["*"], apiVersions: ["*"], resources: ["*"], operations: ["*"]}`, ""), service,
				deployment("hook", "{volumes: [{name: v, configMap: {name: c}}]}"), meta("v1", "ConfigMap", "c"), meta("v1", "ConfigMap", "d"),
				cluster("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "other")),
			edges: []string{
				"ConfigMap default/d after ValidatingWebhookConfiguration.admissionregistration.k8s.io hook: is intercepted by it (Inferred Ready)",
				"Deployment.apps default/hook after ConfigMap default/c: mounts it as a volume (Inferred Applied)",
				"ValidatingWebhookConfiguration.admissionregistration.k8s.io hook after Deployment.apps default/hook: is answered by it through Service default/hook (Inferred Ready)",
				"ValidatingWebhookConfiguration.admissionregistration.k8s.io hook after Service default/hook: is answered through it (Inferred Applied)",
			},
		},
		"webhook selectors, operations and policy": {
			objects: docs(webhook("ValidatingWebhookConfiguration", "Fail", `{apiGroups: [example.com], apiVersions: [v1], resources: [widgets], operations: [CREATE]}`,
				"  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}\n  objectSelector: {matchLabels: {check: 'yes'}}\n"+
					"- {name: b, failurePolicy: Fail, rules: [{apiGroups: [''], resources: [secrets], operations: [DELETE]}]}\n"+
					"- {name: c, failurePolicy: Ignore, rules: [{apiGroups: [''], resources: [secrets], operations: ['*']}]}\n"+
					"- {name: d, failurePolicy: Fail, rules: [{apiGroups: [''], resources: [secrets], operations: ['*'], scope: Cluster}]}"),
				widgets, meta("v1", "Secret", "s"), meta("example.com/v1", "Widget", "unlabelled"),
				"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: seen, namespace: default, labels: {check: 'yes'}}",
				"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: far, namespace: kube-system, labels: {check: 'yes'}}"),
			edges: []string{
				"Widget.example.com default/seen after CustomResourceDefinition.apiextensions.k8s.io widgets.example.com: is defined by it (Hard Served)",
				"Widget.example.com default/seen after ValidatingWebhookConfiguration.admissionregistration.k8s.io hook: is intercepted by it (Inferred Ready)",
				"Widget.example.com default/unlabelled after CustomResourceDefinition.apiextensions.k8s.io widgets.example.com: is defined by it (Hard Served)",
				"Widget.example.com kube-system/far after CustomResourceDefinition.apiextensions.k8s.io widgets.example.com: is defined by it (Hard Served)",
			},
		},
		"conversion webhook before other versions than the stored one": {
			objects: docs(widgets+"  conversion: {strategy: Webhook, webhook: {clientConfig: {service: {namespace: default, name: hook}}}}\n",
				service, deployment("hook", "{}"), meta("example.com/v1", "Widget", "stored"), meta("example.com/v1beta1", "Widget", "old")),
			edges: []string{
				"Widget.example.com default/old after CustomResourceDefinition.apiextensions.k8s.io widgets.example.com: is defined by it (Hard Served)",
				"Widget.example.com default/old after Deployment.apps default/hook: is converted by it from version v1beta1 to v1 (Inferred Ready)",
				"Widget.example.com default/stored after CustomResourceDefinition.apiextensions.k8s.io widgets.example.com: is defined by it (Hard Served)",
			},
		},
		"aggregated API after its backend, before its kinds": {
			objects: docs(cluster("apiregistration.k8s.io/v1", "APIService", "v1.wardle.example.com")+"spec: {group: wardle.example.com, version: v1, service: {namespace: default, name: hook}}",
				service, deployment("hook", "{}"), meta("batch/v1", "Job", "migrate")+"spec: {template: {metadata: {labels: {app: hook}}}}", meta("wardle.example.com/v1", "Flunder", "f")),
			edges: []string{
				"APIService.apiregistration.k8s.io v1.wardle.example.com after Deployment.apps default/hook: is answered by it through Service default/hook (Inferred Ready)",
				"APIService.apiregistration.k8s.io v1.wardle.example.com after Service default/hook: is answered through it (Inferred Applied)",
				"Flunder.wardle.example.com default/f after APIService.apiregistration.k8s.io v1.wardle.example.com: is served by its aggregated API (Hard Ready)",
			},
		},
		"simulated: webhooks and aggregated APIs last of all": {
			options: order.Options{Simulated: true},
			objects: docs(webhook("MutatingWebhookConfiguration", "Fail", pods, ""), service, deployment("hook", "{}"), deployment("app", "{}")),
			edges: []string{
				"MutatingWebhookConfiguration.admissionregistration.k8s.io hook after [all 3 other objects]: is answered by nothing on a simulated cluster (Inferred Ready)",
				"[all 3 other objects] after Deployment.apps default/app: goes before what nothing answers here (Inferred Ready)",
				"[all 3 other objects] after Deployment.apps default/hook: goes before what nothing answers here (Inferred Ready)",
				"[all 3 other objects] after Service default/hook: goes before what nothing answers here (Inferred Ready)",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := build(t, tt.objects, tt.options)
			if diff := cmp.Diff(tt.edges, edges(g)); diff != "" {
				t.Errorf("edges (-want +got):\n%s", diff)
			}
			if len(g.Warnings) > 0 {
				t.Errorf("warnings: %q", g.Warnings)
			}
		})
	}
}

// The controller that fills in a webhook's certificate may be among what the webhook
// intercepts; no field of any object tells, so nothing may wait for such a webhook.
func TestNothingWaitsForAnInjectedWebhook(t *testing.T) {
	configuration := strings.Replace(webhook("MutatingWebhookConfiguration", "Fail", pods, ""),
		"metadata: {name: hook", "metadata: {annotations: {cert-manager.io/inject-ca-from: default/hook}, name: hook", 1)
	if !strings.Contains(configuration, "inject-ca-from") {
		t.Fatalf("the configuration has no annotation:\n%s", configuration)
	}
	g := build(t, docs(configuration, service, deployment("hook", "{}"), deployment("app", "{}")), order.Options{})
	for _, e := range edges(g) {
		if strings.Contains(e, "is intercepted by it") {
			t.Errorf("unwanted edge: %s", e)
		}
	}
}
