package quarantine

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// nobody is the class of what no controller is to serve. A managed control plane serves what
// has no class at all, so that taking the class away would not do.
const nobody = "refloat-drill-nobody"

const cloudWhy = "a managed control plane would make a load balancer of it, or take the address of the real one"

// cloudClasses of Ingresses, and the controllers by which the classes of a state say the same.
var (
	cloudClasses = []string{
		"alb", "gce", "gce-internal", "azure-application-gateway", "azure/application-gateway", "azure-alb-external", "azure-alb-internal",
		"native-ic-ingress-class", "openstack", "qcloud", "nsx", "avi-lb", "tailscale", "ngrok", "cloudflare-tunnel",
	}
	cloudControllers = []string{
		"ingress.k8s.aws/", "eks.amazonaws.com/", "gateway.k8s.aws/", "application-networking.k8s.aws/", "networking.gke.io/", "k8s.io/ingress-gce",
		"azure/application-gateway", "alb.networking.azure.io/", "oci.oraclecloud.com/", "ingress.k8s.alibabacloud/", "gateway.k8s.alibabacloud/",
		"ako.vmware.com/", "tailscale.com/", "k8s.ngrok.com/",
	}
	// cloudGateways are how the classes of Gateways begin that managed control planes bring.
	cloudGateways = []string{"gke-", "amazon-vpc-lattice", "aws-alb", "aws-nlb", "azure-alb-"}
	// cloudAnnotations say what a cloud makes, or which address it takes.
	cloudAnnotations = []string{
		"kubernetes.io/ingress.global-static-ip-name", "kubernetes.io/ingress.regional-static-ip-name", "networking.gke.io/", "ingress.gcp.kubernetes.io/",
		"alb.ingress.kubernetes.io/", "appgw.ingress.kubernetes.io/", "alb.networking.azure.io/", "cloud.google.com/neg",
	}
)

const classAnnotation = "kubernetes.io/ingress.class"

func beginsWith(prefixes []string, s string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// uncloud takes annotations for clouds away, and tells whether there were any.
func uncloud(q *quarantine, i int) bool {
	found := false
	for _, key := range slices.Sorted(maps.Keys(mapping(q.objects[i].Object, "metadata", "annotations"))) {
		if beginsWith(cloudAnnotations, key) && q.drop(i, "metadata", "annotations", key) {
			q.record(i, "LoadBalancer", "loses "+key, cloudWhy)
			found = true
		}
	}
	return found
}

// ingress that a cloud would serve is given to nobody.
func ingress(q *quarantine, i int) {
	o := q.objects[i].Object
	annotated, classed := str(o, "metadata", "annotations", classAnnotation), str(o, "spec", "ingressClassName")
	cloudy := uncloud(q, i)
	switch {
	case annotated == "" && classed == "":
		cloudy = cloudy || !q.defaultClass()
	default:
		cloudy = q.cloudClass(annotated) || q.cloudClass(classed)
	}
	if !cloudy {
		return
	}
	q.drop(i, "spec", "ingressClassName")
	q.annotate(i, classAnnotation, nobody)
	q.rules(i).HealthIgnored = true
	q.record(i, "LoadBalancer", "is served by nobody", cloudWhy)
}

// cloudClass tells whether a class of Ingresses is that of a cloud: by its controller where
// the state has it.
func (q *quarantine) cloudClass(name string) bool {
	if at, ok := q.classAt("networking.k8s.io", "IngressClass", name); ok {
		return beginsWith(cloudControllers, str(q.objects[at].Object, "spec", "controller"))
	}
	return slices.Contains(cloudClasses, name)
}

// defaultClass tells whether the state has a class for Ingresses without one that is not
// that of a cloud. Where it has none, it is for the control plane to say.
func (q *quarantine) defaultClass() bool {
	return slices.ContainsFunc(q.classes, func(i int) bool {
		o := q.objects[i]
		return o.GetKind() == "IngressClass" && o.GetAnnotations()["ingressclass.kubernetes.io/is-default-class"] == "true" && !q.cloudClass(o.GetName())
	})
}

func (q *quarantine) classAt(group, kind, name string) (int, bool) {
	for _, i := range q.classes {
		if id := q.objects[i].ID(); name != "" && id.Group == group && id.Kind == kind && id.Name == name {
			return i, true
		}
	}
	return 0, false
}

// cloudGateway tells whether a cloud would serve a Gateway.
func (q *quarantine) cloudGateway(class string) bool {
	if at, ok := q.classAt("gateway.networking.k8s.io", "GatewayClass", class); ok {
		return beginsWith(cloudControllers, str(q.objects[at].Object, "spec", "controllerName"))
	}
	return beginsWith(cloudGateways, class)
}

// balancing kinds bring what is in the cluster behind load balancers that may exist already.
var balancing = map[string][]string{
	"elbv2.k8s.aws":     {"TargetGroupBinding"},
	"eks.amazonaws.com": {"TargetGroupBinding"},
	"networking.gke.io": {"MultiClusterIngress", "MultiClusterService", "ManagedCertificate", "ServiceAttachment"},
}

func balancingRule(gk schema.GroupKind) kindRule {
	if slices.Contains(balancing[gk.Group], gk.Kind) {
		return leftOut("LoadBalancer", "a managed control plane would put the drill behind a load balancer, maybe the real one")
	}
	return nil
}

// routes of Gateways that nobody serves are never accepted, and so not waited for.
func (q *quarantine) routes() {
	for i, o := range q.objects {
		id := o.ID()
		if q.gone[i] || id.Group != "gateway.networking.k8s.io" || !strings.HasSuffix(id.Kind, "Route") {
			continue
		}
		for _, parent := range list(o.Object, "spec", "parentRefs") {
			gateway := manifests.ID{Group: id.Group, Kind: "Gateway", Namespace: cmp.Or(str(parent, "namespace"), id.Namespace), Name: str(parent, "name")}
			if at, ok := q.index[gateway]; ok && str(q.objects[at].Object, "spec", "gatewayClassName") == nobody {
				q.rules(i).HealthIgnored = true
				q.record(i, "LoadBalancer", "is not asked how it is", "nobody serves "+gateway.String())
				break
			}
		}
	}
}
