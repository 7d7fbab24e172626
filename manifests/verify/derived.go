package verify

import (
	"regexp"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

const (
	serviceAccountName = "kubernetes.io/service-account.name"
	provisionedBy      = "pv.kubernetes.io/provisioned-by"
	boundByController  = "pv.kubernetes.io/bound-by-controller"
	serviceOfSlice     = "kubernetes.io/service-name"
	certificateName    = "cert-manager.io/certificate-name"
	trackingID         = "argocd.argoproj.io/tracking-id"
	helmRecord         = "sh.helm.release.v1."
)

// derivedFrom says which object vouches for this one; empty when none does.
func derivedFrom(s stray, known map[manifests.ID]bool) string {
	if reason := byKind(s, known); reason != "" {
		return reason
	}
	switch gk := s.id.GroupKind().String(); {
	case kindsOfNetwork[gk]:
		return "a record of the network plug-in"
	case kindsOfBackups[gk]:
		return "a record that Velero keeps with the backup"
	}
	return keptByTool(s, known)
}

func byKind(s stray, known map[manifests.ID]bool) string {
	in := func(group, kind, name string) bool {
		return name != "" && known[manifests.ID{Group: group, Kind: kind, Namespace: s.id.Namespace, Name: name}]
	}
	switch s.id.GroupKind().String() {
	case "Endpoints":
		return when(in("", "Service", s.id.Name), "the endpoints of a Service")
	case "EndpointSlice.discovery.k8s.io":
		return when(in("", "Service", s.labels[serviceOfSlice]), "the endpoints of a Service")
	case "PersistentVolume":
		return when(s.annotations[provisionedBy] != "" || s.annotations[boundByController] != "", "the volume of a claim")
	case "PersistentVolumeClaim":
		return when(ofStatefulSet(s.id, known), "the claim of a StatefulSet")
	case "VolumeSnapshotContent.snapshot.storage.k8s.io":
		return when(snapshotContent.MatchString(s.id.Name), "the content of a VolumeSnapshot")
	case "Secret":
		return secretOf(s, in)
	case "ConfigMap":
		if s.id.Name == "istio-ca-root-cert" && s.labels["istio.io/config"] == "true" {
			return "the authority that Istio gives every namespace"
		}
		return helmRelease(s)
	}
	return ""
}

func when(holds bool, reason string) string {
	if holds {
		return reason
	}
	return ""
}

// secretOf another object: tokens, certificates, and the records of Helm's releases.
func secretOf(s stray, in func(group, kind, name string) bool) string {
	switch {
	case in("", "ServiceAccount", s.annotations[serviceAccountName]):
		return "the token of a ServiceAccount"
	case in("cert-manager.io", "Certificate", s.annotations[certificateName]):
		return "the Secret of a Certificate"
	}
	return helmRelease(s)
}

func helmRelease(s stray) string {
	return when(s.labels["owner"] == "helm" && strings.HasPrefix(s.id.Name, helmRecord), "the record of a Helm release")
}

var snapshotContent = regexp.MustCompile(`^snapcontent-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// kindsOfNetwork are written by network plug-ins alone, as they assign addresses.
var kindsOfNetwork = map[string]bool{
	"CiliumIdentity.cilium.io": true, "CiliumNode.cilium.io": true, "CiliumEndpoint.cilium.io": true,
	"CiliumEndpointSlice.cilium.io":   true,
	"IPAMBlock.crd.projectcalico.org": true, "IPAMHandle.crd.projectcalico.org": true,
	"IPAMConfig.crd.projectcalico.org": true, "BlockAffinity.crd.projectcalico.org": true,
	"ClusterInformation.crd.projectcalico.org": true,
}

// kindsOfBackups are written by Velero alone. It reads those of backups from the storage
// again, on another cluster too; the others tell what was done once.
var kindsOfBackups = map[string]bool{
	"Backup.velero.io": true, "PodVolumeBackup.velero.io": true, "DataUpload.velero.io": true,
	"BackupRepository.velero.io": true, "Restore.velero.io": true, "PodVolumeRestore.velero.io": true,
	"DataDownload.velero.io": true, "DeleteBackupRequest.velero.io": true, "DownloadRequest.velero.io": true,
	"ServerStatusRequest.velero.io": true,
}

// keptByTool recognises what a tool of this cluster keeps from another source, by the
// object of the tool that says so and exists.
func keptByTool(s stray, known map[manifests.ID]bool) string {
	for _, tool := range []struct{ prefix, group, kind string }{
		{"kustomize.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io", "Kustomization"},
		{"helm.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io", "HelmRelease"},
	} {
		by := manifests.ID{Group: tool.group, Kind: tool.kind, Namespace: s.labels[tool.prefix+"/namespace"], Name: s.labels[tool.prefix+"/name"]}
		if known[by] {
			return "kept by " + by.String()
		}
	}
	app, rest, ok := strings.Cut(s.annotations[trackingID], ":")
	// A copied annotation names the object that it was copied from.
	if !ok || rest != s.id.Group+"/"+s.id.Kind+":"+s.id.Namespace+"/"+s.id.Name {
		return ""
	}
	for id := range known {
		if id.Group == "argoproj.io" && id.Kind == "Application" && (id.Name == app || id.Namespace+"_"+id.Name == app) {
			return "kept by " + id.String()
		}
	}
	return ""
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
