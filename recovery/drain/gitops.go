package drain

import (
	"k8s.io/apimachinery/pkg/labels"
)

// maker is a controller that makes objects from Git again when they are deleted.
type maker struct {
	tool string
	// namespace of its own, when its labels say little.
	namespace string
	labels    labels.Set
}

// makers in the order in which they stop: an operator first, for it would start what it
// looks after again. The labels are those of the projects' own manifests and charts.
var makers = []maker{
	{tool: "Flux Operator", labels: labels.Set{"app.kubernetes.io/name": "flux-operator"}},
	{tool: "Argo CD Operator", labels: labels.Set{"control-plane": "argocd-operator"}},
	{tool: "Flux", labels: labels.Set{"app.kubernetes.io/part-of": "flux"}},
	{tool: "Argo CD", labels: labels.Set{"app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/component": "applicationset-controller"}},
	{tool: "Argo CD", labels: labels.Set{"app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/component": "application-controller"}},
	{tool: "Fleet", namespace: "cattle-fleet-system", labels: labels.Set{"app": "fleet-agent"}},
	{tool: "Config Sync", namespace: "config-management-system", labels: labels.Set{"k8s-app": "reconciler-manager"}},
	{tool: "Config Sync", namespace: "config-management-system", labels: labels.Set{"app": "reconciler"}},
}

// rank of a workload among those that stop, and -1 for one that goes on.
func rank(namespace string, has labels.Set) int {
	for i, m := range makers {
		if (m.namespace == "" || m.namespace == namespace) && labels.SelectorFromSet(m.labels).Matches(has) {
			return i
		}
	}
	return -1
}
