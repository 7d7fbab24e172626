package lint

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// removal of a version of a built-in kind.
type removal struct {
	in      minor
	instead string // apiVersion, or "" if nothing takes its place
}

// removals lists release, old apiVersion, new apiVersion and kinds.
var removals = parseRemovals(`
16 extensions/v1beta1 apps/v1 DaemonSet,Deployment,ReplicaSet
16 apps/v1beta1 apps/v1 Deployment,ReplicaSet,StatefulSet
16 apps/v1beta2 apps/v1 DaemonSet,Deployment,ReplicaSet,StatefulSet
16 extensions/v1beta1 networking.k8s.io/v1 NetworkPolicy
16 extensions/v1beta1 - PodSecurityPolicy
22 admissionregistration.k8s.io/v1beta1 admissionregistration.k8s.io/v1 MutatingWebhookConfiguration,ValidatingWebhookConfiguration
22 apiextensions.k8s.io/v1beta1 apiextensions.k8s.io/v1 CustomResourceDefinition
22 apiregistration.k8s.io/v1beta1 apiregistration.k8s.io/v1 APIService
22 certificates.k8s.io/v1beta1 certificates.k8s.io/v1 CertificateSigningRequest
22 coordination.k8s.io/v1beta1 coordination.k8s.io/v1 Lease
22 extensions/v1beta1 networking.k8s.io/v1 Ingress
22 networking.k8s.io/v1beta1 networking.k8s.io/v1 Ingress,IngressClass
22 rbac.authorization.k8s.io/v1beta1 rbac.authorization.k8s.io/v1 ClusterRole,ClusterRoleBinding,Role,RoleBinding
22 rbac.authorization.k8s.io/v1alpha1 rbac.authorization.k8s.io/v1 ClusterRole,ClusterRoleBinding,Role,RoleBinding
22 scheduling.k8s.io/v1beta1 scheduling.k8s.io/v1 PriorityClass
22 storage.k8s.io/v1beta1 storage.k8s.io/v1 CSIDriver,CSINode,StorageClass,VolumeAttachment
25 batch/v1beta1 batch/v1 CronJob
25 discovery.k8s.io/v1beta1 discovery.k8s.io/v1 EndpointSlice
25 events.k8s.io/v1beta1 events.k8s.io/v1 Event
25 autoscaling/v2beta1 autoscaling/v2 HorizontalPodAutoscaler
25 policy/v1beta1 policy/v1 PodDisruptionBudget
25 policy/v1beta1 - PodSecurityPolicy
25 node.k8s.io/v1beta1 node.k8s.io/v1 RuntimeClass
26 flowcontrol.apiserver.k8s.io/v1beta1 flowcontrol.apiserver.k8s.io/v1 FlowSchema,PriorityLevelConfiguration
26 autoscaling/v2beta2 autoscaling/v2 HorizontalPodAutoscaler
27 storage.k8s.io/v1beta1 storage.k8s.io/v1 CSIStorageCapacity
29 flowcontrol.apiserver.k8s.io/v1beta2 flowcontrol.apiserver.k8s.io/v1 FlowSchema,PriorityLevelConfiguration
32 flowcontrol.apiserver.k8s.io/v1beta3 flowcontrol.apiserver.k8s.io/v1 FlowSchema,PriorityLevelConfiguration
`)

func parseRemovals(text string) map[schema.GroupVersionKind]removal {
	out := map[schema.GroupVersionKind]removal{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 4 {
			continue
		}
		in, err := parseRelease("1." + f[0])
		gv, gvErr := schema.ParseGroupVersion(f[1])
		if err != nil || gvErr != nil {
			continue
		}
		for _, kind := range strings.Split(f[3], ",") {
			out[gv.WithKind(kind)] = removal{in: in, instead: strings.TrimPrefix(f[2], "-")}
		}
	}
	return out
}
