package lint

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// workload is an object that makes pods.
type workload struct {
	*item
	template map[string]any
	pod      map[string]any    // the spec of its pods
	podLabel map[string]string // the labels of its pods
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

func (s *state) findWorkloads() {
	for _, it := range s.items {
		path, ok := podPaths[it.id.GroupKind()]
		if !ok {
			continue
		}
		template := mapping(it.raw, path...)
		w := &workload{item: it, template: template, pod: mapping(template, "spec"), podLabel: stringMap(template, "metadata", "labels")}
		s.workloads = append(s.workloads, w)
		s.inNamespace[it.id.Namespace] = append(s.inNamespace[it.id.Namespace], w)
	}
}

// container of a pod with words that name it.
type container struct {
	raw  map[string]any
	name string
	init bool
}

func (w *workload) containers() []container {
	var out []container
	for _, kind := range []string{"initContainers", "containers"} {
		for _, c := range list(w.pod, kind) {
			out = append(out, container{raw: c, name: "container " + str(c, "name"), init: kind == "initContainers"})
		}
	}
	return out
}

// account that the pods run as.
func (w *workload) account() string {
	return cmp.Or(str(w.pod, "serviceAccountName"), str(w.pod, "serviceAccount"), "default")
}

// lasting workloads answer requests; a Job ends and a CronJob comes and goes.
func (w *workload) lasting() bool { return w.id.Group != "batch" }

// replicas that the workload asks for at least; a DaemonSet has one on each of an
// unknown number of nodes.
func (s *state) replicas(w *workload) int64 {
	switch w.id.Kind {
	case "CronJob":
		return 0
	case "Job":
		return max(1, min(number(w.spec, 1, "parallelism"), number(w.spec, 1, "completions")))
	case "Deployment", "StatefulSet", "ReplicaSet", "ReplicationController":
		return number(w.spec, 1, "replicas")
	}
	return 1
}

// matching lists the workloads in a namespace whose pods a selector selects.
func (s *state) matching(namespace string, selector labels.Selector) []*workload {
	var out []*workload
	for _, w := range s.inNamespace[namespace] {
		if selector.Matches(labels.Set(w.podLabel)) {
			out = append(out, w)
		}
	}
	return out
}

// behind lists the lasting workloads behind a Service of the state.
func (s *state) behind(service *item) []*workload {
	required := labels.Set(stringMap(service.spec, "selector"))
	if len(required) == 0 {
		return nil
	}
	var out []*workload
	for _, w := range s.matching(service.id.Namespace, required.AsSelectorPreValidated()) {
		if w.lasting() {
			out = append(out, w)
		}
	}
	return out
}

// selfMade tells whether a Service gets its endpoints without selecting pods.
func (s *state) selfMade(service *item) bool {
	if str(service.spec, "type") == "ExternalName" {
		return true
	}
	if len(stringMap(service.spec, "selector")) > 0 {
		return false
	}
	if s.find(endpointsKind, service.id.Namespace, service.id.Name) != nil {
		return true
	}
	for _, slice := range s.byKind[sliceKind] {
		if slice.id.Namespace == service.id.Namespace && slice.labels["kubernetes.io/service-name"] == service.id.Name {
			return true
		}
	}
	return false
}

// podMaker is a custom resource of a namespace from which a controller may make pods
// that no rendered object describes; nil if there is none.
func (s *state) podMaker(namespace string) *item {
	for _, it := range s.items {
		if it.id.Namespace != namespace {
			continue
		}
		if _, custom := s.definitions[it.id.GroupKind()]; !custom && builtinGroup(it.id.Group) {
			continue
		}
		if !podless[it.id.Kind] {
			return it
		}
	}
	return s.brings(namespace)
}

// podless are custom kinds that no controller makes pods of.
var podless = set("ServiceMonitor", "PodMonitor", "PrometheusRule", "Probe", "AlertmanagerConfig", "ScrapeConfig",
	"Certificate", "Issuer", "ExternalSecret", "SecretStore", "PushSecret", "SealedSecret",
	"Gateway", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute", "ReferenceGrant", "BackendTLSPolicy",
	"GitRepository", "OCIRepository", "HelmRepository", "Bucket", "HelmChart", "ImageRepository", "ImagePolicy",
	"ScaledObject", "TriggerAuthentication", "VerticalPodAutoscaler", "IngressRoute", "Middleware",
	"VirtualService", "DestinationRule", "PeerAuthentication", "AuthorizationPolicy", "Sidecar", "ServiceEntry",
	"VolumeSnapshot", "AppProject", "CiliumNetworkPolicy")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// builtinGroup recognises the groups of Kubernetes itself.
func builtinGroup(group string) bool {
	if !strings.Contains(group, ".") {
		return true
	}
	for _, own := range []string{"gateway.networking.k8s.io", "snapshot.storage.k8s.io"} {
		if group == own {
			return false
		}
	}
	return strings.HasSuffix(group, ".k8s.io") && strings.Count(group, ".") == 2
}
