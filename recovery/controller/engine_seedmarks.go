package controller

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/refloat-dev/refloat/manifests"
)

// secretType is the label by which Argo CD knows its Secrets, clusterSecret its value for
// those of clusters.
const (
	secretType    = "argocd.argoproj.io/secret-type"
	clusterSecret = "cluster"
)

// recognised are the labels and annotations by which controllers on the new cluster know a
// Secret for theirs: Argo CD its repositories and clusters, Sealed Secrets its keys, Flux
// what it watches. Others do not go along: some say which tool on the management cluster
// owns the Secret, and a tool of the same name here might delete what it finds with it;
// and what kubectl applied last is the whole Secret once more, in clear text.
var recognised = []string{
	secretType,
	"argocd.argoproj.io/auto-label-cluster-info",
	"argocd.argoproj.io/skip-reconcile",
	"managed-by", // Argo CD: whether its own interface made the Secret
	"reconcile.fluxcd.io/watch",
	"sealedsecrets.bitnami.com/sealed-secrets-key",
}

// ofTools are the domains of keys that tools write. The Secret of one of Argo CD's
// clusters is the exception to the list above: ApplicationSets choose clusters by any of
// its labels and fill templates with its annotations, so those that people made go along.
// Without them Argo CD would make other Applications than were just built.
var ofTools = []string{
	"argoproj.io", "cattle.io", "crossplane.io", "external-secrets.io", "fluxcd.io", "helm.sh", "k8s.io", "kubernetes.io", "refloat.dev", "x-k8s.io",
}

// seedLabels marks a seed and keeps what it is recognised by.
func seedLabels(source *corev1.Secret) map[string]string {
	labels := kept(source, source.Labels)
	labels[manifests.SeedLabel] = "true"
	return labels
}

// seedAnnotations keeps what a seed is recognised by.
func seedAnnotations(source *corev1.Secret) map[string]string {
	return kept(source, source.Annotations)
}

func kept(source *corev1.Secret, from map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range from {
		if slices.Contains(recognised, key) || source.Labels[secretType] == clusterSecret && !byTool(key) {
			out[key] = value
		}
	}
	return out
}

// byTool is true for a key in the domain of a tool.
func byTool(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	return ok && slices.ContainsFunc(ofTools, func(tool string) bool { return domain == tool || strings.HasSuffix(domain, "."+tool) })
}
