package verify

import (
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
)

// class of a live object that was not rendered.
type class string

const (
	// expected by the caller.
	expected class = "expected"
	// derived from another object, which vouches for it.
	derived class = "derived"
	// system objects are made by Kubernetes or by what set the cluster up.
	system class = "system"
	// extra is everything else.
	extra class = "extra"
)

// stray is a live object that was not rendered, as far as its class needs.
type stray struct {
	id                  manifests.ID
	labels, annotations map[string]string
	owned               bool
	managers            []string
	provisioner         string
}

func (v *verifier) stray(r cluster.Resource, m *metav1.PartialObjectMetadata, provisioner string) {
	s := stray{
		id:     manifests.ID{Group: r.Group, Kind: r.Kind, Namespace: m.Namespace, Name: m.Name},
		labels: m.Labels, annotations: m.Annotations, owned: len(m.OwnerReferences) > 0, provisioner: provisioner,
	}
	for _, entry := range m.ManagedFields {
		if !slices.Contains(s.managers, entry.Manager) {
			s.managers = append(s.managers, entry.Manager)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, rendered := v.index[s.id]; rendered || s.owned {
		return
	}
	v.strays = append(v.strays, s)
}

func metadataOf(u *unstructured.Unstructured) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: u.GetNamespace(), Name: u.GetName(), Labels: u.GetLabels(), Annotations: u.GetAnnotations(),
		OwnerReferences: u.GetOwnerReferences(), ManagedFields: u.GetManagedFields(),
	}}
}

// sortOut classifies the strays, once all are known.
func (v *verifier) sortOut() {
	known := map[manifests.ID]bool{}
	for id := range v.index {
		known[id] = true
	}
	for _, s := range v.strays {
		known[s.id] = true
	}
	for _, s := range v.strays {
		if classify(s, known, v.expected) == extra {
			v.report.Extra = append(v.report.Extra, Finding{ID: s.id, Detail: origin(s)})
		}
	}
}

// origin tells who made an extra object, as far as it is recorded.
func origin(s stray) string {
	if len(s.managers) == 0 {
		return "it is not in the repository"
	}
	return "it is not in the repository; written by " + strings.Join(s.managers, ", ")
}

// skipped kinds are not inventoried: they are records and measurements that come and
// go, or views of other objects.
func skipped(gk schema.GroupKind) bool {
	if strings.HasSuffix(gk.Group, "metrics.k8s.io") {
		return true
	}
	switch gk.String() {
	case "Event", "Event.events.k8s.io", "ComponentStatus", "Lease.coordination.k8s.io",
		"LeaseCandidate.coordination.k8s.io", "StorageVersion.internal.apiserver.k8s.io",
		"CertificateSigningRequest.certificates.k8s.io", "IPAddress.networking.k8s.io":
		return true
	}
	return false
}

// systemKinds are made by nodes and the control plane alone.
var systemKinds = map[string]bool{
	"Node": true, "CSINode.storage.k8s.io": true, "CSIStorageCapacity.storage.k8s.io": true,
	"VolumeAttachment.storage.k8s.io": true, "ResourceSlice.resource.k8s.io": true,
}

// systemNamespaces exist in every cluster.
var systemNamespaces = map[string]bool{"default": true, "kube-system": true, "kube-public": true, "kube-node-lease": true}

// components are the field managers of Kubernetes itself and of what sets it up.
var components = map[string]bool{
	"kube-apiserver": true, "kube-controller-manager": true, "kube-scheduler": true, "kubelet": true, "kube-proxy": true,
	"kubeadm": true, "cloud-controller-manager": true, "kube-aggregator": true, "apiextensions": true,
	"api-priority-and-fairness-config-producer-v1": true, "api-priority-and-fairness-config-consumer-v1": true, "kwok": true,
}

const (
	// simulatedProvisioner belongs to the StorageClass that local clusters are born with.
	simulatedProvisioner = "local.refloat.dev/simulated"
	bootstrapping        = "kubernetes.io/bootstrapping"
	autoManaged          = "kube-aggregator.kubernetes.io/automanaged"
	serviceAccountName   = "kubernetes.io/service-account.name"
	provisionedBy        = "pv.kubernetes.io/provisioned-by"
	boundByController    = "pv.kubernetes.io/bound-by-controller"
	serviceOfSlice       = "kubernetes.io/service-name"
)

// classify one object that is neither rendered nor owned. known holds all live and
// rendered objects.
func classify(s stray, known, wanted map[manifests.ID]bool) class {
	switch {
	case wanted[s.id], s.labels[manifests.SeedLabel] != "":
		return expected
	case isDerived(s, known):
		return derived
	case isSystem(s):
		return system
	}
	return extra
}

func isDerived(s stray, known map[manifests.ID]bool) bool {
	if s.owned {
		return true
	}
	in := func(group, kind, name string) bool {
		return known[manifests.ID{Group: group, Kind: kind, Namespace: s.id.Namespace, Name: name}]
	}
	switch s.id.GroupKind().String() {
	case "Endpoints":
		return in("", "Service", s.id.Name)
	case "EndpointSlice.discovery.k8s.io":
		return in("", "Service", s.labels[serviceOfSlice])
	case "Secret":
		// Tokens, and the records of Helm's releases.
		return s.annotations[serviceAccountName] != "" || s.labels["owner"] == "helm" && strings.HasPrefix(s.id.Name, "sh.helm.release.v1.")
	case "PersistentVolume":
		return s.annotations[provisionedBy] != "" || s.annotations[boundByController] != ""
	case "PersistentVolumeClaim":
		return ofStatefulSet(s.id, known)
	}
	return false
}

// claimName of a StatefulSet: template, set, ordinal. Both names may contain dashes.
var claimName = regexp.MustCompile(`^.+-[0-9]+$`)

func ofStatefulSet(id manifests.ID, known map[manifests.ID]bool) bool {
	if !claimName.MatchString(id.Name) {
		return false
	}
	base := id.Name[:strings.LastIndexByte(id.Name, '-')]
	for at := strings.IndexByte(base, '-'); at >= 0; {
		set := manifests.ID{Group: "apps", Kind: "StatefulSet", Namespace: id.Namespace, Name: base[at+1:]}
		if known[set] {
			return true
		}
		next := strings.IndexByte(base[at+1:], '-')
		if next < 0 {
			return false
		}
		at += 1 + next
	}
	return false
}

func isSystem(s stray) bool {
	if systemKinds[s.id.GroupKind().String()] || bornWithNamespace(s.id) || byComponents(s.managers) {
		return true
	}
	if s.labels[bootstrapping] != "" || s.labels[autoManaged] != "" || s.labels["addonmanager.kubernetes.io/mode"] != "" {
		return true
	}
	name := s.id.Name
	switch s.id.Group {
	case "rbac.authorization.k8s.io":
		return strings.HasPrefix(name, "system:") || strings.HasPrefix(name, "kubeadm:")
	case "flowcontrol.apiserver.k8s.io":
		return s.annotations["apf.kubernetes.io/autoupdate-spec"] != ""
	case "scheduling.k8s.io":
		return strings.HasPrefix(name, "system-")
	case "storage.k8s.io":
		return s.provisioner == simulatedProvisioner
	case "networking.k8s.io":
		return s.id.Kind == "ServiceCIDR" && name == "kubernetes"
	case "":
		return coreOfSystem(s)
	}
	return false
}

// bornWithNamespace objects appear in every namespace.
func bornWithNamespace(id manifests.ID) bool {
	return id.Group == "" && (id.Kind == "ServiceAccount" && id.Name == "default" ||
		id.Kind == "ConfigMap" && id.Name == "kube-root-ca.crt")
}

func coreOfSystem(s stray) bool {
	switch s.id.Kind {
	case "Namespace":
		return systemNamespaces[s.id.Name]
	case "Service":
		return s.id.Namespace == "default" && s.id.Name == "kubernetes"
	case "Secret":
		return s.id.Namespace == "kube-system" && strings.HasPrefix(s.id.Name, "bootstrap-token-")
	case "ServiceAccount":
		// The identities of the controllers carry nothing but a name, so nobody is
		// recorded as their manager.
		return s.id.Namespace == "kube-system" && len(s.managers) == 0
	case "ConfigMap":
		return s.id.Namespace == "kube-system" && (s.id.Name == "extension-apiserver-authentication" ||
			s.id.Name == "kube-apiserver-legacy-service-account-token-tracking")
	}
	return false
}

// byComponents tells whether nobody but Kubernetes wrote the object.
func byComponents(managers []string) bool {
	for _, m := range managers {
		if !components[m] {
			return false
		}
	}
	return len(managers) > 0
}
