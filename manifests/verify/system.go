package verify

import (
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// systemKinds are made by nodes and the control plane alone.
var systemKinds = map[string]bool{
	"Node": true, "CSINode.storage.k8s.io": true, "CSIStorageCapacity.storage.k8s.io": true,
	"VolumeAttachment.storage.k8s.io": true, "ResourceSlice.resource.k8s.io": true,
}

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
	autoUpdated          = "apf.kubernetes.io/autoupdate-spec"
	mirrorPod            = "kubernetes.io/config.mirror"
)

// addonLabels mark what a distribution puts on every cluster.
var addonLabels = []string{"addonmanager.kubernetes.io/mode", "eks.amazonaws.com/component"}

// addons of kubeadm by kind. Whoever upgrades the cluster writes them too, so that their
// managers do not tell.
var addons = map[string][]string{
	"Deployment.apps":                       {"coredns"},
	"DaemonSet.apps":                        {"kube-proxy"},
	"Service":                               {"kube-dns"},
	"ServiceAccount":                        {"coredns", "kube-proxy"},
	"ConfigMap":                             {"coredns", "kube-proxy", "kubeadm-config", "kubelet-config", "extension-apiserver-authentication", "kube-apiserver-legacy-service-account-token-tracking"},
	"Secret":                                {"kubeadm-certs"},
	"Role.rbac.authorization.k8s.io":        {"kube-proxy"},
	"RoleBinding.rbac.authorization.k8s.io": {"kube-proxy"},
}

// ofSystem says which part of Kubernetes makes the object; empty when none does.
func ofSystem(s stray) string {
	switch {
	case systemKinds[s.id.GroupKind().String()]:
		return "a kind that only nodes and the control plane write"
	case bornWithNamespace(s.id):
		return BornWithNamespace
	case s.labels[bootstrapping] != "" || s.labels[autoManaged] != "" || s.annotations[autoUpdated] != "":
		return "kept by the API server"
	case byComponents(s.managers):
		return "written by nobody but Kubernetes"
	case s.annotations[mirrorPod] != "" && s.id.Kind == "Pod":
		return "a static pod of a node"
	case addon(s):
		return "an add-on that the cluster came with"
	}
	return named(s)
}

func addon(s stray) bool {
	for _, label := range addonLabels {
		if s.labels[label] != "" {
			return true
		}
	}
	return s.id.Namespace == "kube-system" && slices.Contains(addons[s.id.GroupKind().String()], s.id.Name)
}

// named objects are recognised by nothing but name and kind.
func named(s stray) string {
	name := s.id.Name
	const fixed = "a fixed name of Kubernetes"
	switch s.id.Group {
	case "rbac.authorization.k8s.io":
		return when(strings.HasPrefix(name, "system:") || strings.HasPrefix(name, "kubeadm:"), fixed)
	case "scheduling.k8s.io":
		return when(name == "system-node-critical" || name == "system-cluster-critical", fixed)
	case "storage.k8s.io":
		return when(s.provisioner == simulatedProvisioner, "the storage that the cluster came with")
	case "networking.k8s.io":
		return when(s.id.Kind == "ServiceCIDR" && name == "kubernetes", fixed)
	case "certificates.k8s.io":
		return when(s.id.Kind == "ClusterTrustBundle" && strings.HasPrefix(name, "kubernetes.io:"), fixed)
	case "":
		return when(coreOfSystem(s), fixed)
	}
	return ""
}

// bornWithNamespace objects appear in every namespace.
func bornWithNamespace(id manifests.ID) bool {
	return id.Group == "" && (id.Kind == "ServiceAccount" && id.Name == "default" ||
		id.Kind == "ConfigMap" && id.Name == "kube-root-ca.crt")
}

func coreOfSystem(s stray) bool {
	switch s.id.Kind {
	case "Namespace":
		return builtin.Namespace(s.id.Name)
	case "Service", "Endpoints":
		return s.id.Namespace == "default" && s.id.Name == "kubernetes"
	case "Secret":
		return s.id.Namespace == "kube-system" && strings.HasPrefix(s.id.Name, "bootstrap-token-")
	case "ServiceAccount":
		// The identities of the controllers carry nothing but a name, so nobody is
		// recorded as their manager.
		return s.id.Namespace == "kube-system" && len(s.managers) == 0
	case "ConfigMap":
		return s.id.Namespace == "kube-public" && s.id.Name == "cluster-info"
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
