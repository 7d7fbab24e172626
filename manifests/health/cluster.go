package health

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests/builtin"
)

func namespace(u *unstructured.Unstructured, _ Environment) Assessment {
	if phase := stringAt(u, "status", "phase"); phase != "Active" {
		return progressing("the namespace is %q, not Active", phase)
	}
	return healthy("")
}

func volume(u *unstructured.Unstructured, _ Environment) Assessment {
	switch phase := stringAt(u, "status", "phase"); phase {
	case "Available", "Bound", "Released":
		return healthy("")
	case "Failed":
		return failed("the volume failed%s", because(stringAt(u, "status", "message")))
	default:
		return progressing("the volume is %q", phase)
	}
}

// selectedNode is set on a claim by the scheduler once a pod that uses it is placed.
const selectedNode = "volume.kubernetes.io/selected-node"

// claim passes unbound when its class waits for the first consumer and there is none
// yet: nothing binds it before the pod that waits for it. Whether the pod gets its
// volume is then the question of the pod's own health.
func claim(u *unstructured.Unstructured, env Environment) Assessment {
	switch phase := stringAt(u, "status", "phase"); phase {
	case "Bound":
		return healthy("")
	case "Lost":
		return failed("the claim lost its volume %q", stringAt(u, "spec", "volumeName"))
	default:
		if phase == "" {
			phase = "new"
		}
		class, _ := builtin.ClaimClass(u.Object)
		node, taken := u.GetAnnotations()[selectedNode]
		switch {
		case taken:
			return progressing("the claim is %s: its volume is being provisioned for node %s", phase, node)
		case env.WaitsForConsumer != nil && env.WaitsForConsumer(class):
			return healthy("not bound: its StorageClass waits for the first pod that uses it")
		}
		return progressing("the claim is %s, not Bound", phase)
	}
}

func service(u *unstructured.Unstructured, _ Environment) Assessment {
	if stringAt(u, "spec", "type") != "LoadBalancer" {
		return healthy("")
	}
	if !hasAddress(u) {
		return progressing("the load balancer has no address yet")
	}
	return healthy("")
}

// ingress is healthy without an address, because many controllers never publish one.
func ingress(u *unstructured.Unstructured, _ Environment) Assessment {
	if !hasAddress(u) {
		return healthy("no controller has published an address for it")
	}
	return healthy("")
}

func hasAddress(u *unstructured.Unstructured) bool {
	list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", "loadBalancer", "ingress")
	for _, i := range maps(list) {
		if text(i["ip"]) != "" || text(i["hostname"]) != "" {
			return true
		}
	}
	return false
}

// autoscaler is healthy while it cannot scale: that needs metrics, which arrive long
// after everything else and prove nothing about the state in Git.
func autoscaler(u *unstructured.Unstructured, _ Environment) Assessment {
	for _, kind := range []string{"AbleToScale", "ScalingActive"} {
		if c := conditionOf(u, kind); c.Status == "False" {
			return healthy("it does not scale yet: %s", c.why())
		}
	}
	return healthy("")
}

func definition(u *unstructured.Unstructured, _ Environment) Assessment {
	names, established := conditionOf(u, "NamesAccepted"), conditionOf(u, "Established")
	switch {
	case names.Status == "False":
		return failed("its names are not accepted: %s", names.why())
	case established.Status == "False" && established.Reason != "Installing":
		return failed("it is not established: %s", established.why())
	case names.Status != "True" || established.Status != "True":
		return progressing("the API server is still installing it")
	}
	return healthy("")
}

func apiService(u *unstructured.Unstructured, env Environment) Assessment {
	backend, aggregated, _ := unstructured.NestedMap(u.Object, "spec", "service")
	available := conditionOf(u, "Available")
	switch {
	case available.Status == "True":
		return healthy("")
	case env.Simulated && aggregated:
		return notProvable("the aggregated API is answered by Service %s/%s, which does not run on a simulated cluster",
			text(backend["namespace"]), text(backend["name"]))
	case available.Status == "False":
		return progressing("it is not available: %s", available.why())
	}
	return progressing("the API server has not checked it yet")
}

// injectors are annotations by which a controller promises to fill in the caBundle.
var injectors = []string{
	"cert-manager.io/inject-ca-from",
	"cert-manager.io/inject-ca-from-secret",
	"cert-manager.io/inject-apiserver-ca",
	"service.beta.openshift.io/inject-cabundle",
}

func webhooks(u *unstructured.Unstructured, env Environment) Assessment {
	list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "webhooks")
	var backends, bare []string
	for _, w := range maps(list) {
		backend, ok, _ := unstructured.NestedMap(w, "clientConfig", "service")
		if !ok {
			continue
		}
		backends = append(backends, text(backend["namespace"])+"/"+text(backend["name"]))
		if ca, _, _ := unstructured.NestedString(w, "clientConfig", "caBundle"); strings.TrimSpace(ca) == "" {
			bare = append(bare, text(w["name"]))
		}
	}
	switch {
	case env.Simulated && len(backends) > 0:
		return notProvable("its webhooks are answered by Service %s, which does not run on a simulated cluster", backends[0])
	case len(bare) > 0 && injected(u):
		return progressing("webhook %s waits for its caBundle to be injected", bare[0])
	case len(bare) > 0:
		return healthy("webhook %s has no caBundle, so calls fail until a controller adds one", bare[0])
	}
	return healthy("")
}

func injected(u *unstructured.Unstructured) bool {
	annotations := u.GetAnnotations()
	for _, key := range injectors {
		if annotations[key] != "" {
			return true
		}
	}
	return false
}
