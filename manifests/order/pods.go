package order

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests/builtin"
)

// workload is an object that makes pods.
type workload struct {
	index  int
	labels map[string]string // of its pods
	spec   map[string]any    // of its pods
}

// podPaths say where each kind keeps its pod template; a Pod is its own.
var podPaths = map[schema.GroupKind][]string{
	{Kind: "Pod"}:                        {},
	{Kind: "ReplicationController"}:      {"spec", "template"},
	{Group: "apps", Kind: "Deployment"}:  {"spec", "template"},
	{Group: "apps", Kind: "ReplicaSet"}:  {"spec", "template"},
	{Group: "apps", Kind: "StatefulSet"}: {"spec", "template"},
	{Group: "apps", Kind: "DaemonSet"}:   {"spec", "template"},
	{Group: "batch", Kind: "Job"}:        {"spec", "template"},
	{Group: "batch", Kind: "CronJob"}:    {"spec", "jobTemplate", "spec", "template"},
}

// findWorkloads in the sequence of the items.
func (s *set) findWorkloads() []workload {
	var out []workload
	for i, it := range s.items {
		path, ok := podPaths[it.id.GroupKind()]
		if !ok {
			continue
		}
		template, _ := field(it.Unstructured.Object, path...).(map[string]any)
		spec, _ := template["spec"].(map[string]any)
		w := workload{index: i, spec: spec, labels: map[string]string{}}
		labels, _ := field(template, "metadata", "labels").(map[string]any)
		for k, v := range labels {
			if text, ok := v.(string); ok {
				w.labels[k] = text
			}
		}
		out = append(out, w)
	}
	return out
}

// serviceAccount that the workload's pods run as.
func (w workload) serviceAccount() string {
	for _, key := range []string{"serviceAccountName", "serviceAccount"} {
		if name := str(w.spec, key); name != "" {
			return name
		}
	}
	return "default"
}

var (
	secretKind         = schema.GroupKind{Kind: "Secret"}
	configMapKind      = schema.GroupKind{Kind: "ConfigMap"}
	serviceKind        = schema.GroupKind{Kind: "Service"}
	serviceAccountKind = schema.GroupKind{Kind: "ServiceAccount"}
	claimKind          = schema.GroupKind{Kind: "PersistentVolumeClaim"}
	volumeKind         = schema.GroupKind{Kind: "PersistentVolume"}
	storageClassKind   = schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"}
	priorityClassKind  = schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"}
	runtimeClassKind   = schema.GroupKind{Group: "node.k8s.io", Kind: "RuntimeClass"}
	ingressClassKind   = schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"}
	ingressKind        = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	statefulSetKind    = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
)

// podReferences makes a workload wait for what its pods name. An optional reference
// to an object of the state counts too: pods that start without it would run with
// another configuration than the repository describes.
func (b *builder) podReferences(w workload) {
	ns := b.items[w.index].id.Namespace
	after := func(gk schema.GroupKind, namespace, name, reason string) {
		if name != "" {
			b.prefer(w.index, b.find(gk, namespace, name), Applied, reference, reason)
		}
	}
	after(serviceAccountKind, ns, w.serviceAccount(), "runs as it")
	after(priorityClassKind, "", str(w.spec, "priorityClassName"), "has this priority")
	after(runtimeClassKind, "", str(w.spec, "runtimeClassName"), "runs with it")
	for _, s := range list(w.spec, "imagePullSecrets") {
		after(secretKind, ns, str(s, "name"), "pulls images with it")
	}
	for _, v := range list(w.spec, "volumes") {
		volumeReferences(v, ns, after)
	}
	for _, kind := range []string{"initContainers", "containers"} {
		for _, c := range list(w.spec, kind) {
			containerReferences(c, ns, after)
		}
	}
	if b.items[w.index].id.GroupKind() == statefulSetKind {
		b.statefulReferences(w.index, ns, after)
	}
}

type referrer func(gk schema.GroupKind, namespace, name, reason string)

const (
	mounts = "mounts it as a volume"
	reads  = "takes its environment from it"
)

func volumeReferences(v map[string]any, ns string, after referrer) {
	after(secretKind, ns, str(v, "secret", "secretName"), mounts)
	after(configMapKind, ns, str(v, "configMap", "name"), mounts)
	after(secretKind, ns, str(v, "csi", "nodePublishSecretRef", "name"), mounts)
	after(claimKind, ns, str(v, "persistentVolumeClaim", "claimName"), mounts)
	ephemeral, _ := field(v, "ephemeral", "volumeClaimTemplate").(map[string]any)
	claimed, _ := builtin.ClaimClass(ephemeral)
	after(storageClassKind, "", claimed, "claims storage of it")
	for _, source := range list(v, "projected", "sources") {
		after(secretKind, ns, str(source, "secret", "name"), mounts)
		after(configMapKind, ns, str(source, "configMap", "name"), mounts)
	}
}

func containerReferences(c map[string]any, ns string, after referrer) {
	for _, e := range list(c, "envFrom") {
		after(secretKind, ns, str(e, "secretRef", "name"), reads)
		after(configMapKind, ns, str(e, "configMapRef", "name"), reads)
	}
	for _, e := range list(c, "env") {
		from, ok := e["valueFrom"].(map[string]any)
		if !ok {
			continue
		}
		after(secretKind, ns, str(from, "secretKeyRef", "name"), reads)
		after(configMapKind, ns, str(from, "configMapKeyRef", "name"), reads)
	}
}

func (b *builder) statefulReferences(i int, ns string, after referrer) {
	spec, _ := field(b.items[i].Unstructured.Object, "spec").(map[string]any)
	after(serviceKind, ns, str(spec, "serviceName"), "takes its host names from it")
	for _, t := range list(spec, "volumeClaimTemplates") {
		class, _ := builtin.ClaimClass(t)
		after(storageClassKind, "", class, "claims storage of it")
	}
}
