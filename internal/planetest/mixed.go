package planetest

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

// Object from a literal, with an origin that names it.
func Object(content map[string]any) manifests.Object {
	u := &unstructured.Unstructured{Object: content}
	return manifests.Object{Unstructured: u, Origin: manifests.Origin{File: strings.ToLower(u.GetKind()) + ".yaml", Line: 1}}
}

// perNamespace objects share a namespace in Mixed.
const perNamespace = 200

// Mixed makes n objects (at least 10) as a repository holds them: namespaces, a
// CustomResourceDefinition and its instances, RBAC, ServiceAccounts, ConfigMaps of 1
// KiB, Secrets, headless Services and Deployments without replicas.
func Mixed(n int, prefix string) []manifests.Object {
	out := []manifests.Object{definition(prefix)}
	for i := 0; len(out) < n; i++ {
		if i%perNamespace == 0 {
			out = append(out, Namespace(fmt.Sprintf("%s-%d", prefix, i/perNamespace)))
			continue
		}
		out = append(out, Object(makers[i%len(makers)](prefix, fmt.Sprintf("%s-%d", prefix, i/perNamespace), fmt.Sprintf("o%d", i))))
	}
	return out
}

// Namespace with a label, as most have.
func Namespace(name string) manifests.Object {
	return Object(map[string]any{"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"made-by": "planetest"}}})
}

// ConfigMap with one value.
func ConfigMap(namespace, name, value string) manifests.Object {
	return Object(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(namespace, name),
		"data": map[string]any{"value": value}})
}

// Deployment with pods of one container.
func Deployment(namespace, name string, replicas int64) manifests.Object {
	return Object(deployment(namespace, name, replicas))
}

func meta(namespace, name string) map[string]any {
	return map[string]any{"namespace": namespace, "name": name, "labels": map[string]any{"app.kubernetes.io/name": name}}
}

type maker func(prefix, namespace, name string) map[string]any

var makers = []maker{
	func(_, ns, name string) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(ns, name)}
	},
	func(_, ns, name string) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(ns, name),
			"data": map[string]any{"config.yaml": strings.Repeat("key: value of this setting\n", 38)}}
	},
	func(_, ns, name string) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": meta(ns, name), "spec": map[string]any{
			"clusterIP": "None", "selector": map[string]any{"app": name},
			"ports": []any{map[string]any{"name": "http", "port": int64(80), "targetPort": int64(8080)}}}}
	},
	func(_, ns, name string) map[string]any { return deployment(ns, name, 0) },
	func(_, ns, name string) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": meta(ns, name), "type": "Opaque",
			"stringData": map[string]any{"password": "not a secret " + name}}
	},
	func(_, ns, name string) map[string]any {
		return map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta(ns, name),
			"rules": []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"configmaps"}, "verbs": []any{"get", "list"}}}}
	},
	func(prefix, ns, name string) map[string]any {
		return map[string]any{"apiVersion": prefix + ".planetest.dev/v1", "kind": "Widget", "metadata": meta(ns, name),
			"spec": map[string]any{"size": int64(3), "colour": "blue"}}
	},
}

func deployment(namespace, name string, replicas int64) map[string]any {
	labels := map[string]any{"app": name}
	return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(namespace, name), "spec": map[string]any{
		"replicas": replicas,
		"selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{
			"containers": []any{map[string]any{"name": "main", "image": "registry.example/app:1.2.3",
				"args":  []any{"--config", "/etc/config.yaml"},
				"ports": []any{map[string]any{"name": "http", "containerPort": int64(8080)}},
				"env":   []any{map[string]any{"name": "MODE", "value": "test"}}}}}}}}
}

func definition(prefix string) manifests.Object {
	group := prefix + ".planetest.dev"
	return Object(map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "widgets." + group},
		"spec": map[string]any{"group": group, "scope": "Namespaced",
			"names": map[string]any{"kind": "Widget", "plural": "widgets", "singular": "widget"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
					"spec": map[string]any{"type": "object", "properties": map[string]any{
						"size":   map[string]any{"type": "integer"},
						"colour": map[string]any{"type": "string"},
						"depth":  map[string]any{"type": "integer", "default": int64(1)}}}}}}}}}})
}
