package verify

import (
	"testing"

	"github.com/refloat-dev/refloat/manifests"
)

// situation is one live object that is not in the repository, and what it is.
type situation struct {
	name  string
	stray stray
	want  Class
}

func one(name, object string, want Class, details ...func(*stray)) situation {
	s := situation{name: name, stray: stray{id: id(object)}, want: want}
	for _, d := range details {
		d(&s.stray)
	}
	return s
}

func by(managers ...string) func(*stray) { return func(s *stray) { s.managers = managers } }

func label(pairs ...string) func(*stray) {
	return func(s *stray) { s.labels = pairsOf(pairs) }
}

func annotation(pairs ...string) func(*stray) {
	return func(s *stray) { s.annotations = pairsOf(pairs) }
}

func pairsOf(pairs []string) map[string]string {
	out := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

const (
	rbac = ".rbac.authorization.k8s.io "
	flux = "kustomize.toolkit.fluxcd.io"
)

// corpus holds what is met on live clusters, each next to what only looks like it.
var corpus = []situation{
	one("made by hand", "ConfigMap shop/mine", Extra, by("kubectl-create")),
	one("without any record", "ConfigMap shop/mine", Extra),
	one("extra namespace", "Namespace mine", Extra, by("kubectl-create")),
	one("made by hand in kube-system", "ConfigMap kube-system/mine", Extra, by("kubectl-create")),
	one("applied by an earlier commit", "Deployment.apps shop/old", Extra, by("refloat", "kube-controller-manager")),
	one("made by an operator", "Secret shop/operator-key", Extra, by("manager")),
	one("seed", "Secret shop/seed", Expected, by("refloat")),
	one("access by label", "ClusterRoleBinding.rbac.authorization.k8s.io refloat-applier", Expected, label(manifests.AccessLabel, "true")),
	one("label of an access on what is none", "Secret shop/x", Extra, label(manifests.AccessLabel, "true")),
	one("seed by label", "Secret shop/x", Expected, label(manifests.SeedLabel, "true")),

	one("endpoints of a service", "Endpoints shop/web", Derived),
	one("endpoints of nothing", "Endpoints shop/other", Extra, by("kubectl-create")),
	one("endpoints of the API server", "Endpoints default/kubernetes", System),
	one("slice of a service", "EndpointSlice.discovery.k8s.io shop/web-x", Derived, label(serviceOfSlice, "web")),
	one("slice of nothing", "EndpointSlice.discovery.k8s.io shop/y", Extra, label(serviceOfSlice, "gone"), by("kubectl")),
	one("slice without a service", "EndpointSlice.discovery.k8s.io shop/z", Extra, by("kubectl")),

	one("token", "Secret shop/t", Derived, annotation(serviceAccountName, "robot")),
	one("token of no account", "Secret shop/t", Extra, annotation(serviceAccountName, "gone"), by("kubectl")),
	one("helm release", "Secret shop/sh.helm.release.v1.x.v1", Derived, label("owner", "helm")),
	one("helm release in a ConfigMap", "ConfigMap shop/sh.helm.release.v1.x.v1", Derived, label("owner", "helm")),
	one("labelled like a helm release", "Secret shop/x", Extra, label("owner", "helm"), by("kubectl")),
	one("certificate's secret", "Secret shop/tls", Derived, annotation(certificateName, "web")),
	one("certificate that is gone", "Secret shop/tls", Extra, annotation(certificateName, "gone")),

	one("claim of a set", "PersistentVolumeClaim shop/data-my-db-0", Derived),
	one("claim with a dashed name", "PersistentVolumeClaim shop/the-data-my-db-12", Derived),
	one("claim of another namespace", "PersistentVolumeClaim other/data-my-db-0", Extra),
	one("claim without ordinal", "PersistentVolumeClaim shop/data-my-db", Extra),
	one("provisioned volume", "PersistentVolume pvc-1", Derived, annotation(provisionedBy, "x")),
	one("volume bound by the controller", "PersistentVolume v", Derived, annotation(boundByController, "yes")),
	one("volume by hand", "PersistentVolume mine", Extra, by("kubectl-create")),
	one("content of a snapshot", "VolumeSnapshotContent.snapshot.storage.k8s.io snapcontent-72d9a349-aacd-42d2-a240-d775650d2455", Derived),
	one("content by hand", "VolumeSnapshotContent.snapshot.storage.k8s.io mine", Extra),

	one("Flux inventory", "ConfigMap shop/else", Derived, label(flux+"/name", "apps", flux+"/namespace", "flux-system")),
	one("Flux object of a Kustomization that is gone", "ConfigMap shop/else", Extra, label(flux+"/name", "gone", flux+"/namespace", "flux-system")),
	one("Argo CD object", "ConfigMap shop/else", Derived, annotation(trackingID, "guestbook:/ConfigMap:shop/else")),
	one("Argo CD annotation, copied", "ConfigMap shop/copy", Extra, annotation(trackingID, "guestbook:/ConfigMap:shop/else")),
	one("Argo CD application that is gone", "ConfigMap shop/else", Extra, annotation(trackingID, "gone:/ConfigMap:shop/else")),
	one("identity of Cilium", "CiliumIdentity.cilium.io 1234", Derived),
	one("block of Calico", "IPAMBlock.crd.projectcalico.org 10-0-0-0-26", Derived),
	one("policy of Calico", "NetworkPolicy.crd.projectcalico.org shop/mine", Extra, by("kubectl")),
	one("authority of Istio", "ConfigMap shop/istio-ca-root-cert", Derived, label("istio.io/config", "true"), by("pilot-discovery")),

	one("default account", "ServiceAccount shop/default", System),
	one("another account", "ServiceAccount shop/mine", Extra),
	one("controller's account", "ServiceAccount kube-system/job-controller", System),
	one("account by hand in kube-system", "ServiceAccount kube-system/mine", Extra, by("kubectl-create")),
	one("root certificate", "ConfigMap shop/kube-root-ca.crt", System),
	one("bootstrap role", "ClusterRole"+rbac+"admin", System, label(bootstrapping, "rbac-defaults")),
	one("system role", "ClusterRole"+rbac+"system:x", System),
	one("role of kubeadm", "ClusterRoleBinding"+rbac+"kubeadm:node-autoapprove-bootstrap", System, by("kubeadm")),
	one("role by hand", "ClusterRole"+rbac+"mine", Extra, by("kubectl-create")),
	one("node", "Node n1", System, by("whoever")),
	one("CSI node", "CSINode.storage.k8s.io n1", System),
	one("attachment", "VolumeAttachment.storage.k8s.io csi-1", System),
	one("kubernetes service", "Service default/kubernetes", System),
	one("service by hand in default", "Service default/mine", Extra, by("kubectl-expose")),
	one("system namespace", "Namespace kube-system", System),
	one("automatic API service", "APIService.apiregistration.k8s.io v1.", System, label(autoManaged, "onstart")),
	one("API service by hand", "APIService.apiregistration.k8s.io v1.mine", Extra, by("kubectl")),
	one("flow schema", "FlowSchema.flowcontrol.apiserver.k8s.io probes", System, annotation(autoUpdated, "true")),
	one("flow schema by hand", "FlowSchema.flowcontrol.apiserver.k8s.io mine", Extra, by("kubectl")),
	one("priority class", "PriorityClass.scheduling.k8s.io system-node-critical", System),
	one("priority class by hand", "PriorityClass.scheduling.k8s.io system-mine", Extra, by("kubectl")),
	one("service range", "ServiceCIDR.networking.k8s.io kubernetes", System),
	one("simulated storage", "StorageClass.storage.k8s.io standard", System, func(s *stray) { s.provisioner = simulatedProvisioner }),
	one("other storage", "StorageClass.storage.k8s.io fast", Extra, func(s *stray) { s.provisioner = "x" }),
	one("coredns, upgraded by Cluster API", "Deployment.apps kube-system/coredns", System, by("kubeadm", "manager", "kube-controller-manager")),
	one("kube-proxy", "DaemonSet.apps kube-system/kube-proxy", System, by("kubeadm", "kube-controller-manager")),
	one("configuration of kubeadm", "ConfigMap kube-system/kubeadm-config", System, by("manager")),
	one("coredns elsewhere", "Deployment.apps shop/coredns", Extra, by("kubectl-create")),
	one("cluster info", "ConfigMap kube-public/cluster-info", System, by("kubeadm")),
	one("bootstrap token", "Secret kube-system/bootstrap-token-abcdef", System, by("manager")),
	one("static pod", "Pod kube-system/etcd-n1", System, annotation(mirrorPod, "x"), by("kubelet")),
	one("pod by hand", "Pod shop/debug", Extra, by("kubectl-run", "kubelet")),
	one("add-on of a distribution", "DaemonSet.apps kube-system/node-agent", System, label("addonmanager.kubernetes.io/mode", "Reconcile")),
	one("by a component", "ConfigMap kube-system/x", System, by("kube-apiserver")),
	one("touched by hand as well", "ConfigMap kube-system/x", Extra, by("kube-apiserver", "kubectl-edit")),
	one("trust bundle", "ClusterTrustBundle.certificates.k8s.io kubernetes.io:kube-apiserver-serving:abc", System),
}

// TestClassifyCorpus measures too: of what is called extra, how much is (precision), and
// of what is extra, how much is called so (recall).
func TestClassifyCorpus(t *testing.T) {
	known := map[manifests.ID]bool{}
	for _, s := range []string{"Service shop/web", "StatefulSet.apps shop/my-db", "ServiceAccount shop/robot",
		"Certificate.cert-manager.io shop/web", "Kustomization." + flux + " flux-system/apps", "Application.argoproj.io argocd/guestbook"} {
		known[id(s)] = true
	}
	wanted := map[manifests.ID]bool{id("Secret shop/seed"): true}
	var called, are, both float64
	for _, s := range corpus {
		got, reason := classify(s.stray, known, wanted)
		if got != s.want {
			t.Errorf("%s: %s is %s (%s), want %s", s.name, s.stray.id, got, reason, s.want)
		}
		if reason == "" {
			t.Errorf("%s: no reason", s.name)
		}
		if got == Extra {
			called++
		}
		if s.want == Extra {
			are++
			if got == Extra {
				both++
			}
		}
	}
	t.Logf("%d situations: precision %.2f, recall %.2f", len(corpus), both/called, both/are)
	if len(corpus) < 40 {
		t.Errorf("only %d situations", len(corpus))
	}
}
