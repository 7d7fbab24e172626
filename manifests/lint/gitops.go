package lint

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

const (
	sourceGroup       = "source.toolkit.fluxcd.io"
	sealedSecretsName = "sealed-secrets"
)

var artifactGeneratorKind = schema.GroupKind{Group: "source.extensions.fluxcd.io", Kind: "ArtifactGenerator"}

// gitopsReferences are what objects of Flux refer to.
func gitopsReferences(r reader) {
	if r.from.is(artifactGeneratorKind) {
		for _, source := range list(r.from.spec, "sources") {
			r.source(source)
		}
	}
	if !strings.HasSuffix(r.from.id.Group, ".toolkit.fluxcd.io") {
		return
	}
	spec := r.from.spec
	r.source(mapping(spec, "sourceRef"))
	r.source(mapping(spec, "chartRef"))
	r.source(mapping(spec, "chart", "spec", "sourceRef"))
	for _, key := range []string{"secretRef", "certSecretRef", "proxySecretRef"} {
		r.local(secretKind, str(spec, key, "name"), "it connects with")
	}
	r.local(secretKind, str(spec, "kubeConfig", "secretRef", "name"), "it connects with")
	r.local(secretKind, str(spec, "decryption", "secretRef", "name"), "it decrypts with")
	r.local(secretKind, str(spec, "verify", "secretRef", "name"), "it verifies signatures with")
	for _, v := range append(list(spec, "valuesFrom"), list(spec, "postBuild", "substituteFrom")...) {
		gk := schema.GroupKind{Kind: str(v, "kind")}
		if gk == secretKind || gk == configMapKind {
			r.local(gk, str(v, "name"), "it takes values from", optionally(truth(v, "optional")))
		}
	}
	if r.from.is(fluxKind) || r.from.is(helmReleaseKind) {
		r.local(accountKind, str(spec, "serviceAccountName"), "it is applied as")
	}
}

func (r reader) source(ref map[string]any) {
	kind := str(ref, "kind")
	group, _, _ := strings.Cut(cmp.Or(str(ref, "apiVersion"), sourceGroup), "/")
	if kind != "" && group == sourceGroup {
		r.add(schema.GroupKind{Group: group, Kind: kind}, cmp.Or(str(ref, "namespace"), r.from.id.Namespace), str(ref, "name"), "its source is")
	}
}

// fluxDependencies are what dependsOn of a Flux object names.
func fluxDependencies(it *item) []manifests.ID {
	if !it.is(fluxKind) && !it.is(helmReleaseKind) {
		return nil
	}
	var out []manifests.ID
	for _, d := range list(it.spec, "dependsOn") {
		id := it.in(it.id.GroupKind(), str(d, "name"))
		id.Namespace = cmp.Or(str(d, "namespace"), it.id.Namespace)
		out = append(out, id)
	}
	return out
}

// sealedSecrets need the key with which they were sealed: a new controller makes
// itself a new one.
func (c *checker) sealedSecrets() {
	sealed := c.byKind[sealedSecretKind]
	if len(sealed) == 0 {
		return
	}
	for seed := range c.seeds {
		if strings.HasPrefix(seed.Name, sealedSecretsName) {
			return
		}
	}
	for _, s := range c.byKind[secretKind] {
		if _, key := s.labels["sealedsecrets.bitnami.com/sealed-secrets-key"]; key {
			return
		}
	}
	c.reportAll(sealed, finding{rule: "sealed-secrets-key", subject: sealedSecretsName,
		message: "no seed holds the key of the old controller, which alone opens {}"})
}

// decryption of SOPS documents by a Flux Kustomization that names no key.
func (c *checker) decryption() {
	for _, it := range c.byKind[fluxKind] {
		d := mapping(it.spec, "decryption")
		if str(d, "provider") == "sops" && str(d, "secretRef", "name") == "" && str(d, "serviceAccountName") == "" {
			c.report(it, finding{rule: "sops-key", message: fmt.Sprintf("%s decrypts with SOPS and names no Secret with the key", it.id)})
		}
	}
	for _, it := range c.items {
		if mac := str(it.raw, "sops", "mac"); mac != "" && !c.anySOPSKey() {
			c.report(it, finding{rule: "sops-key", message: fmt.Sprintf("%s is encrypted with SOPS, and no seed looks like the key", it.id)})
		}
	}
}

func (c *checker) anySOPSKey() bool {
	for seed := range c.seeds {
		if contains(strings.FieldsFunc(seed.Name, func(r rune) bool { return r == '-' || r == '.' }), "sops", "age", "gpg", "pgp") {
			return true
		}
	}
	return false
}

// operator is the controller without which objects of some groups do nothing.
type operator struct {
	groups []string
	// image is part of the name of its image.
	image string
}

var operators = []operator{
	{[]string{"kustomize.toolkit.fluxcd.io"}, "kustomize-controller"},
	{[]string{"helm.toolkit.fluxcd.io"}, "helm-controller"},
	{[]string{sourceGroup}, "source-controller"},
	{[]string{"bitnami.com"}, "sealed-secrets"},
	{[]string{certManager, "acme.cert-manager.io"}, "cert-manager"},
	{[]string{"external-secrets.io"}, "external-secrets"},
	{[]string{"monitoring.coreos.com"}, "prometheus-operator"},
}

// controllers that no workload runs although their kinds are defined and used.
func (c *checker) controllers() {
	images := map[string]bool{}
	for _, w := range c.workloads {
		for _, x := range w.containers() {
			images[str(x.raw, "image")] = true
		}
	}
	for _, op := range operators {
		var used []*item
		for _, it := range c.items {
			if _, defined := c.definitions[it.id.GroupKind()]; defined && contains(op.groups, it.id.Group) {
				used = append(used, it)
			}
		}
		running := false
		for image := range images {
			running = running || strings.Contains(image, op.image)
		}
		if len(used) > 0 && !running {
			c.reportAll(used, finding{rule: "missing-controller", subject: op.image, by: c.brings(""),
				message: fmt.Sprintf("nothing in the given paths runs %s, to which {} would be of use", op.image)})
		}
	}
}
