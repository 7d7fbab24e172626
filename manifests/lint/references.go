package lint

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// reference of one object to another one, which must be there before it works.
type reference struct {
	from *item
	to   manifests.ID
	// key is an entry of a Secret or ConfigMap; "" for the whole of it.
	key string
	// how the object uses it, in words that follow its name: "mounts it as volume x".
	how string
	// optional references may be missing.
	optional bool
	// soft references leave the object running, though not doing all it should.
	soft bool
}

// subject names what is referred to.
func (r reference) subject() string { return r.to.String() }

// reader collects references of one object.
type reader struct {
	from *item
	out  *[]reference
}

func (r reader) add(gk schema.GroupKind, namespace, name, how string, options ...func(*reference)) {
	if name == "" || strings.ContainsAny(name, "${}") {
		return // a variable that somebody else replaces names nothing yet
	}
	ref := reference{from: r.from, how: how, to: manifests.ID{Group: gk.Group, Kind: gk.Kind, Namespace: namespace, Name: name}}
	for _, o := range options {
		o(&ref)
	}
	*r.out = append(*r.out, ref)
}

// local adds a reference within the namespace.
func (r reader) local(gk schema.GroupKind, name, how string, options ...func(*reference)) {
	r.add(gk, r.from.id.Namespace, name, how, options...)
}

func (r reader) global(gk schema.GroupKind, name, how string) {
	r.add(gk, "", name, how)
}

func soft(r *reference) { r.soft = true }

func optionally(v bool) func(*reference) { return func(r *reference) { r.optional = v } }

func entry(key string) func(*reference) { return func(r *reference) { r.key = key } }

// readReferences of all objects, in the sequence of the items.
func (s *state) readReferences() []reference {
	var out []reference
	for _, w := range s.workloads {
		w.references(reader{w.item, &out})
	}
	for _, it := range s.items {
		r := reader{it, &out}
		if read := readers[it.id.GroupKind()]; read != nil {
			read(r)
		}
		gitopsReferences(r)
	}
	return out
}

// readers of kinds that make no pods.
var readers = map[schema.GroupKind]func(reader){
	accountKind:                              accountReferences,
	claimKind:                                func(r reader) { r.storage(r.from.raw, "it claims storage of") },
	ingressKind:                              ingressReferences,
	gatewayKind:                              gatewayReferences,
	roleBindingKind:                          bindingReferences,
	clusterBindingKind:                       bindingReferences,
	certificateKind:                          func(r reader) { r.issuer(mapping(r.from.spec, "issuerRef"), "it is to be signed by") },
	externalSecretKind:                       storeReferences,
	autoscalerKind:                           func(r reader) { r.target(mapping(r.from.spec, "scaleTargetRef")) },
	{Group: "keda.sh", Kind: "ScaledObject"}: func(r reader) { r.target(mapping(r.from.spec, "scaleTargetRef")) },
	{Group: "autoscaling.k8s.io", Kind: "VerticalPodAutoscaler"}:  func(r reader) { r.target(mapping(r.from.spec, "targetRef")) },
	{Group: "external-secrets.io", Kind: "ClusterExternalSecret"}: storeReferences,
	mutatingKind:   injectionReferences,
	validatingKind: injectionReferences,
	apiServiceKind: injectionReferences,
	definitionKind: injectionReferences,
}

func (w *workload) references(r reader) {
	if name := w.account(); name != "default" {
		r.local(accountKind, name, "its pods run as")
	}
	r.global(priorityClassKind, str(w.pod, "priorityClassName"), "its pods have the priority of")
	r.global(runtimeClassKind, str(w.pod, "runtimeClassName"), "its pods run with")
	for _, s := range list(w.pod, "imagePullSecrets") {
		r.local(secretKind, str(s, "name"), "its images are pulled with", soft)
	}
	for _, v := range list(w.pod, "volumes") {
		r.volume(v)
	}
	for _, c := range w.containers() {
		r.environment(c)
	}
	if w.is(statefulSetKind) {
		for _, t := range list(w.spec, "volumeClaimTemplates") {
			r.storage(t, "its claim template "+str(t, "metadata", "name")+" claims storage of")
		}
	}
}

func (r reader) volume(v map[string]any) {
	how := "its volume " + str(v, "name") + " mounts"
	r.file(secretKind, mapping(v, "secret"), "secretName", how)
	r.file(configMapKind, mapping(v, "configMap"), "name", how)
	r.local(secretKind, str(v, "csi", "nodePublishSecretRef", "name"), how)
	r.local(claimKind, str(v, "persistentVolumeClaim", "claimName"), how)
	r.storage(mapping(v, "ephemeral", "volumeClaimTemplate"), "its volume "+str(v, "name")+" claims storage of")
	for _, source := range list(v, "projected", "sources") {
		r.file(secretKind, mapping(source, "secret"), "name", how)
		r.file(configMapKind, mapping(source, "configMap"), "name", how)
	}
}

// file adds a mounted object and each entry of it that is mounted by name.
func (r reader) file(gk schema.GroupKind, source map[string]any, nameField, how string) {
	name, optional := str(source, nameField), optionally(truth(source, "optional"))
	r.local(gk, name, how, optional)
	for _, i := range list(source, "items") {
		r.local(gk, name, how, optional, entry(str(i, "key")))
	}
}

func (r reader) environment(c container) {
	for _, e := range list(c.raw, "envFrom") {
		for field, gk := range map[string]schema.GroupKind{"secretRef": secretKind, "configMapRef": configMapKind} {
			source := mapping(e, field)
			r.local(gk, str(source, "name"), c.name+" takes its environment from", optionally(truth(source, "optional")))
		}
	}
	for _, e := range list(c.raw, "env") {
		how := c.name + " reads variable " + str(e, "name") + " from"
		for field, gk := range map[string]schema.GroupKind{"secretKeyRef": secretKind, "configMapKeyRef": configMapKind} {
			source := mapping(e, "valueFrom", field)
			optional := optionally(truth(source, "optional"))
			r.local(gk, str(source, "name"), how, optional)
			r.local(gk, str(source, "name"), how, optional, entry(str(source, "key")))
		}
	}
}

func (r reader) storage(claim map[string]any, how string) {
	class, _ := builtin.ClaimClass(claim)
	r.global(storageClassKind, class, how)
}

func accountReferences(r reader) {
	for _, s := range list(r.from.raw, "imagePullSecrets") {
		r.local(secretKind, str(s, "name"), "pods that run as it pull images with", soft)
	}
	for _, s := range list(r.from.raw, "secrets") {
		r.local(secretKind, str(s, "name"), "pods that run as it may mount", soft)
	}
}

func ingressReferences(r reader) {
	r.global(ingressClassKind, str(r.from.spec, "ingressClassName"), "it is of the class")
	for _, t := range list(r.from.spec, "tls") {
		r.local(secretKind, str(t, "secretName"), "it answers TLS with", soft)
	}
	r.annotatedIssuer()
}

// annotatedIssuer is what cert-manager's shim for Ingresses and Gateways reads.
func (r reader) annotatedIssuer() {
	a := r.from.annotations
	if group := a["cert-manager.io/issuer-group"]; group != "" && group != certManager {
		return
	}
	r.global(clusterIssuerKind, a["cert-manager.io/cluster-issuer"], "its certificates are to be signed by")
	r.local(issuerKind, a["cert-manager.io/issuer"], "its certificates are to be signed by")
}

func gatewayReferences(r reader) {
	r.global(gatewayClassKind, str(r.from.spec, "gatewayClassName"), "it is of the class")
	for _, l := range list(r.from.spec, "listeners") {
		for _, c := range list(l, "tls", "certificateRefs") {
			if kind := cmp.Or(str(c, "kind"), "Secret"); kind == "Secret" && str(c, "group") == "" {
				r.add(secretKind, cmp.Or(str(c, "namespace"), r.from.id.Namespace), str(c, "name"),
					"its listener "+str(l, "name")+" answers TLS with", soft)
			}
		}
	}
	r.annotatedIssuer()
}

func bindingReferences(r reader) {
	switch name := str(r.from.raw, "roleRef", "name"); str(r.from.raw, "roleRef", "kind") {
	case "Role":
		r.local(roleKind, name, "it grants")
	case "ClusterRole":
		r.global(clusterRoleKind, name, "it grants")
	}
}

func (r reader) issuer(ref map[string]any, how string) {
	if group := cmp.Or(str(ref, "group"), certManager); group != certManager {
		return // an issuer of somebody else, which may be of any kind
	}
	switch cmp.Or(str(ref, "kind"), "Issuer") {
	case "Issuer":
		r.local(issuerKind, str(ref, "name"), how)
	case "ClusterIssuer":
		r.global(clusterIssuerKind, str(ref, "name"), how)
	}
}

func storeReferences(r reader) {
	spec := r.from.spec
	if inner := mapping(spec, "externalSecretSpec"); inner != nil {
		spec = inner
	}
	refs := []map[string]any{mapping(spec, "secretStoreRef")}
	for _, d := range append(list(spec, "data"), list(spec, "dataFrom")...) {
		refs = append(refs, mapping(d, "sourceRef", "storeRef"))
	}
	for _, ref := range refs {
		switch cmp.Or(str(ref, "kind"), "SecretStore") {
		case "SecretStore":
			if r.from.id.Namespace != "" {
				r.local(secretStoreKind, str(ref, "name"), "it reads from")
			}
		case "ClusterSecretStore":
			r.global(clusterStoreKind, str(ref, "name"), "it reads from")
		}
	}
}

var (
	secretStoreKind  = schema.GroupKind{Group: "external-secrets.io", Kind: "SecretStore"}
	clusterStoreKind = schema.GroupKind{Group: "external-secrets.io", Kind: "ClusterSecretStore"}
)

// target of an autoscaler, if it is of a built-in kind.
func (r reader) target(ref map[string]any) {
	kind := cmp.Or(str(ref, "kind"), "Deployment")
	group, _, _ := strings.Cut(cmp.Or(str(ref, "apiVersion"), "apps/v1"), "/")
	gk := schema.GroupKind{Group: group, Kind: kind}
	if gk.Group == "v1" {
		gk.Group = ""
	}
	if _, ok := podPaths[gk]; ok {
		r.local(gk, str(ref, "name"), "it scales")
	}
}

// injectionReferences are the sources from which cert-manager fills in certificates.
func injectionReferences(r reader) {
	for key, gk := range map[string]schema.GroupKind{"inject-ca-from": certificateKind, "inject-ca-from-secret": secretKind} {
		namespace, name, ok := strings.Cut(r.from.annotations[certManager+"/"+key], "/")
		if ok {
			r.add(gk, namespace, name, "its certificate authority comes from")
		}
	}
}
