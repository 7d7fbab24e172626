package order

import "k8s.io/apimachinery/pkg/runtime/schema"

// ranked is the sequence of kinds within a wave. It decides nothing but which object
// of several that may all go is sent first: what others look at first, what calls
// back into the cluster last. It is the union of the orders that Argo CD, Flux and
// Helm use.
var ranked = ranks(
	"CustomResourceDefinition.apiextensions.k8s.io", "Namespace",
	"PriorityClass.scheduling.k8s.io", "RuntimeClass.node.k8s.io", "StorageClass.storage.k8s.io",
	"VolumeAttributesClass.storage.k8s.io", "VolumeSnapshotClass.snapshot.storage.k8s.io", "IngressClass.networking.k8s.io",
	"GatewayClass.gateway.networking.k8s.io", "DeviceClass.resource.k8s.io",
	"NetworkPolicy.networking.k8s.io", "ResourceQuota", "LimitRange",
	"ServiceAccount", "ClusterRole.rbac.authorization.k8s.io", "ClusterRoleBinding.rbac.authorization.k8s.io",
	"Role.rbac.authorization.k8s.io", "RoleBinding.rbac.authorization.k8s.io",
	"Secret", "ConfigMap", "PersistentVolume", "PersistentVolumeClaim", "Service",
	"DaemonSet.apps", "Deployment.apps", "StatefulSet.apps", "ReplicaSet.apps", "ReplicationController", "Pod",
	"Job.batch", "CronJob.batch", "HorizontalPodAutoscaler.autoscaling", "PodDisruptionBudget.policy", "Ingress.networking.k8s.io",
)

func ranks(kinds ...string) map[schema.GroupKind]int {
	m := make(map[schema.GroupKind]int, len(kinds)+3)
	for i, k := range kinds {
		m[schema.ParseGroupKind(k)] = i
	}
	others := len(kinds) // custom and rarer kinds
	m[apiServiceKind], m[mutatingKind], m[validatingKind] = others+1, others+2, others+3
	return m
}

func rank(gk schema.GroupKind) int {
	if r, ok := ranked[gk]; ok {
		return r
	}
	return len(ranked) - 3
}
