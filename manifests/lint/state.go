package lint

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// item is one object with what is read from it more than once.
type item struct {
	manifests.Object
	id          manifests.ID
	gvk         schema.GroupVersionKind
	raw, spec   map[string]any
	annotations map[string]string
	labels      map[string]string
}

// is tells whether the object is of a kind, in any version.
func (it *item) is(gk schema.GroupKind) bool { return it.id.GroupKind() == gk }

// in names an object of the same namespace.
func (it *item) in(gk schema.GroupKind, name string) manifests.ID {
	return manifests.ID{Group: gk.Group, Kind: gk.Kind, Namespace: it.id.Namespace, Name: name}
}

// definition is what a CustomResourceDefinition of the state says.
type definition struct {
	by         *item
	namespaced bool
	served     []string
}

// state is the rendered objects, indexed so that no rule scans them twice.
type state struct {
	items       []*item
	byID        map[manifests.ID]*item
	byKind      map[schema.GroupKind][]*item
	twice       [][2]*item
	definitions map[schema.GroupKind]definition
	aggregated  map[schema.GroupVersion]bool
	known       map[schema.GroupKind]bool
	workloads   []*workload
	inNamespace map[string][]*workload
	refs        []reference
	seeds       map[manifests.ID]bool
	produced    *products
	// opaque objects bring others that were not rendered.
	opaque []*item
}

var (
	definitionKind     = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
	apiServiceKind     = schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}
	mutatingKind       = schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}
	validatingKind     = schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}
	namespaceKind      = schema.GroupKind{Kind: "Namespace"}
	secretKind         = schema.GroupKind{Kind: "Secret"}
	configMapKind      = schema.GroupKind{Kind: "ConfigMap"}
	serviceKind        = schema.GroupKind{Kind: "Service"}
	endpointsKind      = schema.GroupKind{Kind: "Endpoints"}
	sliceKind          = schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}
	accountKind        = schema.GroupKind{Kind: "ServiceAccount"}
	claimKind          = schema.GroupKind{Kind: "PersistentVolumeClaim"}
	quotaKind          = schema.GroupKind{Kind: "ResourceQuota"}
	limitRangeKind     = schema.GroupKind{Kind: "LimitRange"}
	storageClassKind   = schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"}
	priorityClassKind  = schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"}
	runtimeClassKind   = schema.GroupKind{Group: "node.k8s.io", Kind: "RuntimeClass"}
	ingressClassKind   = schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"}
	gatewayClassKind   = schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "GatewayClass"}
	gatewayKind        = schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "Gateway"}
	httpRouteKind      = schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}
	ingressKind        = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	networkPolicyKind  = schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}
	statefulSetKind    = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
	jobKind            = schema.GroupKind{Group: "batch", Kind: "Job"}
	budgetKind         = schema.GroupKind{Group: "policy", Kind: "PodDisruptionBudget"}
	autoscalerKind     = schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}
	roleKind           = schema.GroupKind{Group: rbacGroup, Kind: "Role"}
	clusterRoleKind    = schema.GroupKind{Group: rbacGroup, Kind: "ClusterRole"}
	roleBindingKind    = schema.GroupKind{Group: rbacGroup, Kind: "RoleBinding"}
	clusterBindingKind = schema.GroupKind{Group: rbacGroup, Kind: "ClusterRoleBinding"}
	certificateKind    = schema.GroupKind{Group: certManager, Kind: "Certificate"}
	issuerKind         = schema.GroupKind{Group: certManager, Kind: "Issuer"}
	clusterIssuerKind  = schema.GroupKind{Group: certManager, Kind: "ClusterIssuer"}
	sealedSecretKind   = schema.GroupKind{Group: "bitnami.com", Kind: "SealedSecret"}
	externalSecretKind = schema.GroupKind{Group: "external-secrets.io", Kind: "ExternalSecret"}
	helmReleaseKind    = schema.GroupKind{Group: "helm.toolkit.fluxcd.io", Kind: "HelmRelease"}
	fluxKind           = schema.GroupKind{Group: "kustomize.toolkit.fluxcd.io", Kind: "Kustomization"}
	applicationKind    = schema.GroupKind{Group: "argoproj.io", Kind: "Application"}
	applicationSetKind = schema.GroupKind{Group: "argoproj.io", Kind: "ApplicationSet"}
	helmChartKind      = schema.GroupKind{Group: "helm.cattle.io", Kind: "HelmChart"}
)

const (
	rbacGroup   = "rbac.authorization.k8s.io"
	certManager = "cert-manager.io"
)

// index sorts the objects, which makes everything after it independent of the
// sequence in which they were rendered.
func index(in Input) *state {
	s := &state{
		byID: map[manifests.ID]*item{}, byKind: map[schema.GroupKind][]*item{},
		definitions: map[schema.GroupKind]definition{}, aggregated: map[schema.GroupVersion]bool{},
		known: in.KnownKinds, inNamespace: map[string][]*workload{}, seeds: map[manifests.ID]bool{},
	}
	for _, o := range in.Objects {
		if o.Unstructured == nil || o.GetKind() == "" || o.GetName() == "" {
			continue // nothing can be said about it; whoever renders refuses it
		}
		s.items = append(s.items, &item{
			Object: o, id: o.ID(), gvk: o.GroupVersionKind(), raw: o.Unstructured.Object,
			spec: mapping(o.Unstructured.Object, "spec"), annotations: o.GetAnnotations(), labels: o.GetLabels(),
		})
	}
	slices.SortStableFunc(s.items, func(a, b *item) int {
		return cmp.Or(a.id.Compare(b.id), strings.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line))
	})
	s.items = slices.DeleteFunc(s.items, func(it *item) bool { return !s.add(it) })
	for _, seed := range in.Seeds {
		s.seeds[seed] = true
	}
	s.findOpaque(in.Units)
	s.findWorkloads()
	s.refs = s.readReferences()
	s.produced = s.findProducts()
	return s
}

// add tells whether the object is the first of its ID.
func (s *state) add(it *item) bool {
	if first := s.byID[it.id]; first != nil {
		if !reflect.DeepEqual(first.raw, it.raw) {
			s.twice = append(s.twice, [2]*item{first, it})
		}
		return false
	}
	s.byID[it.id] = it
	s.byKind[it.id.GroupKind()] = append(s.byKind[it.id.GroupKind()], it)
	for _, k := range manifests.KindsMadeFrom(it.Unstructured) {
		if _, taken := s.definitions[k.GroupKind]; taken {
			continue
		}
		s.definitions[k.GroupKind] = definition{by: it, namespaced: k.Namespaced, served: k.Versions}
	}
	switch it.id.GroupKind() {
	case definitionKind:
		s.define(it)
	case apiServiceKind:
		if field(it.spec, "service") != nil {
			s.aggregated[schema.GroupVersion{Group: str(it.spec, "group"), Version: str(it.spec, "version")}] = true
		}
	}
	return true
}

func (s *state) define(it *item) {
	d := definition{by: it, namespaced: str(it.spec, "scope") == "Namespaced"}
	for _, v := range list(it.spec, "versions") {
		if truth(v, "served") {
			d.served = append(d.served, str(v, "name"))
		}
	}
	s.definitions[schema.GroupKind{Group: str(it.spec, "group"), Kind: str(it.spec, "names", "kind")}] = d
}

// find an object; nil if the state has none of this ID.
func (s *state) find(gk schema.GroupKind, namespace, name string) *item {
	return s.byID[manifests.ID{Group: gk.Group, Kind: gk.Kind, Namespace: namespace, Name: name}]
}

// findOpaque lists objects that declare others which nobody rendered.
func (s *state) findOpaque(units []manifests.Unit) {
	expanded := map[manifests.ID]bool{}
	for _, u := range units {
		expanded[u.Definition] = true
	}
	for _, gk := range []schema.GroupKind{helmReleaseKind, fluxKind, applicationKind, applicationSetKind, helmChartKind} {
		for _, it := range s.byKind[gk] {
			if !expanded[it.id] {
				s.opaque = append(s.opaque, it)
			}
		}
	}
}

// brings is an object that was not rendered and could bring something in a namespace,
// or, with "", something of the whole cluster; nil if there is none.
func (s *state) brings(namespace string) *item {
	for _, it := range s.opaque {
		targets := it.targets()
		if namespace == "" || len(targets) == 0 || slices.Contains(targets, namespace) {
			return it
		}
	}
	return nil
}

// targets are the namespaces that what it brings goes to; none if any may be.
func (it *item) targets() []string {
	switch it.id.GroupKind() {
	case helmReleaseKind:
		return []string{cmp.Or(str(it.spec, "targetNamespace"), it.id.Namespace)}
	case helmChartKind:
		return []string{cmp.Or(str(it.spec, "targetNamespace"), it.id.Namespace)}
	}
	return nil
}

// tool of a group of kinds; "" for everybody else.
func tool(group string) string {
	for _, t := range []string{"fluxcd.io", "argoproj.io", "cattle.io"} {
		if group == t || strings.HasSuffix(group, "."+t) {
			return t
		}
	}
	return ""
}

// definedBy is an object that was not rendered and could bring the definitions of a
// group: never one of the tool whose own kinds are missing, which it needs itself.
func (s *state) definedBy(group string) *item {
	for _, it := range s.opaque {
		if t := tool(group); t == "" || t != tool(it.id.Group) {
			return it
		}
	}
	return nil
}

// createdBy is an object that was not rendered and could bring a namespace: never one
// that is in it.
func (s *state) createdBy(namespace string) *item {
	for _, it := range s.opaque {
		if it.id.Namespace != namespace {
			return it
		}
	}
	return nil
}
