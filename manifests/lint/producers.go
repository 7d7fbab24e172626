package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// products are objects that controllers make out of rendered ones. A namespace of ""
// stands for any.
type products struct {
	made map[manifests.ID]bool
	// prefixes of Secrets that an operator derives from the name of its own object,
	// by namespace.
	prefixes map[string][]string
	// arguments of containers that name a Secret to write, by namespace.
	arguments map[string][]string
	// granted are Secrets that a Role lets somebody write by name.
	granted map[manifests.ID]bool
}

// born are ConfigMaps that every cluster writes itself.
var born = map[string][]string{
	"":            {"kube-root-ca.crt"},
	"kube-system": {"extension-apiserver-authentication", "kube-proxy", "kubeadm-config", "kubelet-config", "coredns"},
	"kube-public": {"cluster-info"},
}

func (s *state) findProducts() *products {
	p := &products{made: map[manifests.ID]bool{}, prefixes: map[string][]string{}, arguments: map[string][]string{}, granted: map[manifests.ID]bool{}}
	for namespace, names := range born {
		for _, name := range names {
			p.make(configMapKind, namespace, name)
		}
	}
	for _, it := range s.items {
		if produce := producers[it.id.GroupKind()]; produce != nil {
			produce(p, it)
		}
		p.common(it)
	}
	for _, w := range s.workloads {
		p.arguments[w.id.Namespace] = append(p.arguments[w.id.Namespace], w.secretArguments()...)
	}
	return p
}

func (p *products) make(gk schema.GroupKind, namespace, name string) {
	if name != "" {
		p.made[manifests.ID{Group: gk.Group, Kind: gk.Kind, Namespace: namespace, Name: name}] = true
	}
}

// has tells whether some controller makes the object.
func (p *products) has(id manifests.ID) bool {
	anywhere := id
	anywhere.Namespace = ""
	if p.made[id] || p.made[anywhere] || p.granted[id] || p.granted[anywhere] {
		return true
	}
	if id.Kind != "Secret" {
		return false
	}
	return slices.Contains(p.arguments[id.Namespace], id.Name) ||
		slices.ContainsFunc(p.prefixes[id.Namespace], func(prefix string) bool { return derived(id.Name, prefix) })
}

// derived recognises pg-app and app.pg.credentials as made for pg.
func derived(name, of string) bool {
	return name == of || strings.HasPrefix(name, of+"-") || strings.HasPrefix(name, of+".") || strings.Contains(name, "."+of+".")
}

// at makes a producer of one Secret whose name is at a path, or that of the object.
func at(path ...string) func(*products, *item) {
	return func(p *products, it *item) {
		name := it.id.Name
		if len(path) > 0 {
			name = cmp.Or(str(it.raw, path...), name)
		}
		p.make(secretKind, it.id.Namespace, name)
	}
}

// producers of Secrets and the like that tools document.
var producers = map[schema.GroupKind]func(*products, *item){
	sealedSecretKind:   at("spec", "template", "metadata", "name"),
	externalSecretKind: at("spec", "target", "name"),
	certificateKind:    at("spec", "secretName"),
	issuerKind:         acmeAccount, clusterIssuerKind: acmeAccount,
	ingressKind: annotatedCertificates, gatewayKind: annotatedCertificates,
	statefulSetKind: templateClaims, serviceKind: servingCertificate, roleKind: grantedWrites, clusterRoleKind: grantedWrites,
	{Group: "external-secrets.io", Kind: "ClusterExternalSecret"}: func(p *products, it *item) {
		p.make(secretKind, "", cmp.Or(str(it.spec, "externalSecretSpec", "target", "name"), str(it.spec, "externalSecretName"), it.id.Name))
	},
	{Group: "trust.cert-manager.io", Kind: "Bundle"}: func(p *products, it *item) {
		p.make(configMapKind, "", it.id.Name)
		p.make(secretKind, "", it.id.Name)
	},
	{Group: "secrets.hashicorp.com", Kind: "VaultStaticSecret"}:  at("spec", "destination", "name"),
	{Group: "secrets.hashicorp.com", Kind: "VaultDynamicSecret"}: at("spec", "destination", "name"),
	{Group: "secrets.hashicorp.com", Kind: "VaultPKISecret"}:     at("spec", "destination", "name"),
	{Group: "onepassword.com", Kind: "OnePasswordItem"}:          at(),
	{Group: "secrets.infisical.com", Kind: "InfisicalSecret"}:    at("spec", "managedSecretReference", "secretName"),
	{Group: "secrets.doppler.com", Kind: "DopplerSecret"}:        at("spec", "managedSecret", "name"),
	{Group: "spv.no", Kind: "AzureKeyVaultSecret"}:               at("spec", "output", "secret", "name"),
	{Group: "kafka.strimzi.io", Kind: "KafkaUser"}:               at(),
	{Group: "secretgen.k14s.io", Kind: "Password"}:               at(),
	{Group: "secretgen.k14s.io", Kind: "Certificate"}:            at(),
	{Group: "secretgen.k14s.io", Kind: "RSAKey"}:                 at(),
	{Group: "secretgen.k14s.io", Kind: "SSHKey"}:                 at(),
	{Group: "secretgen.carvel.dev", Kind: "SecretImport"}:        at(),
	{Group: "cdi.kubevirt.io", Kind: "DataVolume"}:               func(p *products, it *item) { p.make(claimKind, it.id.Namespace, it.id.Name) },
	artifactGeneratorKind: func(p *products, it *item) {
		for _, a := range list(it.spec, "artifacts") {
			p.make(schema.GroupKind{Group: sourceGroup, Kind: "ExternalArtifact"}, it.id.Namespace, str(a, "name"))
		}
	},
	{Group: "isindir.github.com", Kind: "SopsSecret"}: func(p *products, it *item) {
		for _, t := range list(it.spec, "secretTemplates") {
			p.make(secretKind, it.id.Namespace, str(t, "name"))
		}
	},
	{Group: "secrets-store.csi.x-k8s.io", Kind: "SecretProviderClass"}: func(p *products, it *item) {
		for _, o := range list(it.spec, "secretObjects") {
			p.make(secretKind, it.id.Namespace, str(o, "secretName"))
		}
	},
	{Group: "kyverno.io", Kind: "ClusterPolicy"}: func(p *products, it *item) {
		for _, r := range list(it.spec, "rules") {
			p.make(schema.GroupKind{Kind: str(r, "generate", "kind")}, "", str(r, "generate", "name"))
		}
	},
}

// derivers are groups whose operators make Secrets named after their own objects.
var derivers = set("postgresql.cnpg.io", "acid.zalan.do", "rabbitmq.com", "elasticsearch.k8s.elastic.co", "kibana.k8s.elastic.co",
	"kafka.strimzi.io", "pgv2.percona.com", "pxc.percona.com", "psmdb.percona.com", "mongodbcommunity.mongodb.com",
	"minio.min.io", "mysql.oracle.com", "k8s.mariadb.com", "databases.spotahome.com", "postgres-operator.crunchydata.com",
	"mysql.presslabs.org", "opensearch.opster.io", "k8ssandra.io", "cassandra.datastax.com", "dragonflydb.io", "monitoring.coreos.com")

// replicated are annotations by which a Secret or ConfigMap is copied into other
// namespaces.
var replicated = []string{
	"reflector.v1.k8s.emberstack.com/reflection-allowed", "reflector.v1.k8s.emberstack.com/reflection-auto-enabled",
	"replicator.v1.mittwald.de/replicate-to", "replicator.v1.mittwald.de/replicate-to-matching",
	"kubed.appscode.com/sync", "config.syncer.appscode.com/sync",
}

// common finds what any object may produce.
func (p *products) common(it *item) {
	for _, a := range replicated {
		if _, ok := it.annotations[a]; ok {
			p.make(it.id.GroupKind(), "", it.id.Name)
		}
	}
	if derivers[it.id.Group] {
		p.prefixes[it.id.Namespace] = append(p.prefixes[it.id.Namespace], it.id.Name)
	}
	// Crossplane writes how to connect to what it provisioned.
	for _, key := range []string{"writeConnectionSecretToRef", "publishConnectionDetailsTo"} {
		if ref := mapping(it.spec, key); ref != nil {
			p.make(secretKind, cmp.Or(str(ref, "namespace"), it.id.Namespace), str(ref, "name"))
		}
	}
}

// acmeAccount is the key that cert-manager registers; of a ClusterIssuer it lies in
// cert-manager's own namespace.
func acmeAccount(p *products, it *item) {
	p.make(secretKind, it.id.Namespace, str(it.spec, "acme", "privateKeySecretRef", "name"))
}

// annotatedCertificates are made by cert-manager's shim.
func annotatedCertificates(p *products, it *item) {
	a := it.annotations
	if a["cert-manager.io/issuer"] == "" && a["cert-manager.io/cluster-issuer"] == "" && a["kubernetes.io/tls-acme"] != "true" {
		return
	}
	for _, t := range list(it.spec, "tls") {
		p.make(secretKind, it.id.Namespace, str(t, "secretName"))
	}
	for _, l := range list(it.spec, "listeners") {
		for _, c := range list(l, "tls", "certificateRefs") {
			p.make(secretKind, cmp.Or(str(c, "namespace"), it.id.Namespace), str(c, "name"))
		}
	}
}

// templateClaims are made for the pods of a StatefulSet.
func templateClaims(p *products, it *item) {
	const most = 1000 // replicas, which is more than anyone refers to by name
	for _, t := range list(it.spec, "volumeClaimTemplates") {
		for n := range min(number(it.spec, 1, "replicas"), most) {
			p.make(claimKind, it.id.Namespace, fmt.Sprintf("%s-%s-%d", str(t, "metadata", "name"), it.id.Name, n))
		}
	}
}

// servingCertificate is what OpenShift makes for a Service.
func servingCertificate(p *products, it *item) {
	for _, a := range []string{"service.beta.openshift.io/serving-cert-secret-name", "service.alpha.openshift.io/serving-cert-secret-name"} {
		p.make(secretKind, it.id.Namespace, it.annotations[a])
	}
}

// grantedWrites are Secrets and ConfigMaps that somebody may change by name: whoever
// may, keeps it.
func grantedWrites(p *products, it *item) {
	for _, r := range list(it.raw, "rules") {
		if !contains(texts(r, "verbs"), "update", "patch", "*") {
			continue
		}
		for resource, gk := range map[string]schema.GroupKind{"secrets": secretKind, "configmaps": configMapKind} {
			if !contains(texts(r, "resources"), resource) {
				continue
			}
			for _, name := range texts(r, "resourceNames") {
				p.granted[manifests.ID{Kind: gk.Kind, Namespace: it.id.Namespace, Name: name}] = true
			}
		}
	}
}

// secretArguments are the values of flags that tell a program which Secret to write,
// such as --secret-name=x.
func (w *workload) secretArguments() []string {
	var out []string
	for _, c := range w.containers() {
		args := append(texts(c.raw, "command"), texts(c.raw, "args")...)
		for i, a := range args {
			if !strings.HasPrefix(a, "-") || !strings.Contains(a, "secret") {
				continue
			}
			if _, value, ok := strings.Cut(a, "="); ok {
				out = append(out, value[strings.LastIndex(value, "/")+1:])
			} else if i+1 < len(args) {
				out = append(out, args[i+1])
			}
		}
	}
	return out
}
