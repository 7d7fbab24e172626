package quarantine

import (
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// product is a controller that the rules know.
type product struct {
	name string
	// images are the last elements of its images' repositories, each a pattern.
	images []string
	// names are values of the labels by which workloads say what they are.
	names []string
	// labelled workloads have this label, whatever its value.
	labelled string
	// flags of which its pods have one out of each group.
	flags [][]string
	// fate of its workloads.
	fate fate
	// why, in words that follow the change.
	why string
	// groups of the objects that it acts on: nothing answers them while it is stopped. One
	// that begins with a dot stands for all groups that end so.
	groups []string
	kinds  []string
	// open lets its pods connect to where they like.
	open bool
}

// nameLabels are where workloads say what they are.
var nameLabels = []string{"app.kubernetes.io/name", "app.kubernetes.io/part-of", "app.kubernetes.io/component", "app", "k8s-app", "name"}

// products that the rules know. The first that fits counts.
var products = []product{
	{
		name: "external-dns", images: []string{"external-dns"}, names: []string{"external-dns"}, fate: stopped,
		flags: [][]string{{"--source"}, {"--provider", "--registry", "--txt-owner-id", "--txt-prefix"}},
		why:   "it would point DNS names at the drill", groups: []string{"externaldns.k8s.io"},
	},
	{
		name: "cert-manager", images: []string{"cert-manager-*"}, names: []string{"cert-manager"}, fate: disarmed,
		why: "its issuers sign by themselves in a drill, so it needs no credentials",
	},
	{
		name: "external-secrets", images: []string{"external-secrets", "secrets-store-csi-driver*"}, names: []string{"external-secrets"}, fate: serves,
		why: "it only reads, since nothing is left for it to push; where it reads has to be a destination that drills may connect to (spec.drill.egress)",
	},
	{
		name: "Crossplane", images: []string{"crossplane", "universal-crossplane", "upbound/provider-*", "crossplane-contrib/provider-*"},
		names: []string{"crossplane", "crossplane-rbac-manager"}, fate: stopped,
		why: "it would make or take over cloud resources", groups: []string{"crossplane.io", ".crossplane.io", ".upbound.io"},
	},
	{
		name: "AWS Controllers for Kubernetes", images: []string{"aws-controllers-k8s/*"}, fate: stopped,
		why: "it would make or take over cloud resources", groups: []string{"services.k8s.aws", ".services.k8s.aws"},
	},
	{
		name: "Config Connector", images: []string{"cnrm/*"}, labelled: "cnrm.cloud.google.com/component", fate: stopped,
		why: "it would make or take over cloud resources", groups: []string{"cnrm.cloud.google.com", ".cnrm.cloud.google.com"},
	},
	{
		name: "Azure Service Operator", images: []string{"azureserviceoperator*"}, names: []string{"azure-service-operator"}, fate: stopped,
		why: "it would make or take over cloud resources", groups: []string{".azure.com"},
	},
	{
		name: "Terraform and Pulumi", images: []string{"tf-controller", "tofu-controller", "pulumi-kubernetes-operator", "hcp-terraform-operator", "terraform-cloud-operator"},
		names: []string{"tf-controller", "tofu-controller", "pulumi-kubernetes-operator"}, fate: stopped,
		why: "it would change what it manages outside", groups: []string{"infra.contrib.fluxcd.io", ".pulumi.com", "app.terraform.io"},
	},
	{
		name: "load balancer controller", images: []string{"aws-load-balancer-controller", "aws-alb-ingress-controller", "ingress-azure", "ingress-gce"},
		names: []string{"aws-load-balancer-controller", "ingress-azure"}, fate: stopped,
		why: "it would make load balancers", groups: []string{"elbv2.k8s.aws"},
	},
	{
		name: "autoscaler of nodes", images: []string{"cluster-autoscaler", "cluster-autoscaler-*", "karpenter", "karpenter/controller", "aws-node-termination-handler"},
		names: []string{"cluster-autoscaler", "aws-cluster-autoscaler", "karpenter", "aws-node-termination-handler"}, fate: stopped,
		why: "it would make and remove machines", groups: []string{"karpenter.sh", "karpenter.k8s.aws", "karpenter.azure.com"},
	},
	{
		name: "Velero", images: []string{"velero", "velero-plugin-*"}, names: []string{"velero"}, fate: stopped,
		why: "it would write to, and expire, the backups of the real cluster", groups: []string{"velero.io"},
	},
	{
		name: "Cluster API", images: []string{"cluster-api-*controller*", "capi-*"}, labelled: "cluster.x-k8s.io/provider", fate: stopped,
		why: "it would make clusters", groups: []string{"cluster.x-k8s.io", ".cluster.x-k8s.io"},
	},
	{
		name: "Refloat", images: []string{"refloat"}, names: []string{"refloat"}, fate: stopped,
		why: "it would rebuild clusters", groups: []string{"refloat.dev"},
	},
	{
		name: "Argo CD", images: []string{"argocd-image-updater", "argocd-applicationset", "argocd-notifications"},
		names: []string{"argocd-application-controller", "argocd-applicationset-controller", "argocd-notifications-controller", "argocd-image-updater"}, fate: stopped,
		why: "it would bring back what the drill takes out, and tell people about it", kinds: []string{"Application.argoproj.io", "ApplicationSet.argoproj.io"},
	},
	{
		name: "tunnel", images: []string{"cloudflared", "ngrok", "ngrok-*", "tailscale", "tailscale/*", "inlets-pro"}, names: []string{"cloudflared", "ngrok-operator", "tailscale-operator"}, fate: stopped,
		why: "it would bring real requests into the drill", groups: []string{"tailscale.com"},
	},
	{
		name: "Submariner", images: []string{"submariner-*", "lighthouse-agent", "lighthouse-coredns"},
		names: []string{"submariner-operator", "submariner-gateway", "submariner-routeagent", "submariner-lighthouse-agent"}, fate: stopped,
		why: meshWhy, groups: []string{"submariner.io"},
	},
	{
		name: "kube-vip", images: []string{"kube-vip", "kube-vip-iptables", "kube-vip-cloud-provider"}, names: []string{"kube-vip", "kube-vip-ds", "kube-vip-cloud-provider"}, fate: stopped,
		why: "it would take addresses over from the real cluster",
	},
	{
		name: "runner of CI jobs", images: []string{"gitlab-runner", "gha-runner-scale-set-controller", "actions-runner-controller", "actions-runner"},
		names: []string{"gitlab-runner", "gha-rs-controller", "actions-runner-controller"}, fate: stopped,
		why: "it would take real jobs", groups: []string{"actions.github.com", "actions.summerwind.dev"},
	},
	{
		name: "cloud node manager", images: []string{"*cloud-node-manager"}, names: []string{"cloud-node-manager"}, fate: serves, open: true,
		why: "it tells each node who it is, and changes nothing in the cloud",
	},
	{
		name: "cloud controller manager", images: []string{"*cloud-controller-manager", "cloud-controller-manager*", "cloud-provider-*", "cpi*/manager"},
		names: []string{"cloud-controller-manager", "vsphere-cpi"}, flags: [][]string{{"--configure-cloud-routes", "--allocate-node-cidrs", "--route-reconciliation-period", "--cloud-config"}, {"--cloud-provider"}, {"--cluster-name"}}, fate: stopped,
		why: "it has the name of the real cluster, and would remove its routes and load balancers; where nodes wait for it to be ready, allow it in the plan, with nothing of the real cluster in its flags",
	},
	{
		name: "storage or network driver", images: []string{
			"*-csi-driver", "csi-*", "*-csi", "*-csi-plugin", "*csi-driver-*", "*csi-plugin*", "amazon-k8s-cni*", "amazon/aws-network-policy-agent", "cilium/cilium", "cilium/operator-*", "calico/*",
		},
		names: []string{"aws-ebs-csi-driver", "aws-efs-csi-driver", "aws-node", "cilium-operator", "azuredisk-csi-driver", "azurefile-csi-driver"}, fate: serves, open: true,
		why: "pods have no network or no volumes without it; what it makes for the drill goes with the drill",
	},
}

// productOf a workload; nil when the rules do not know it.
func productOf(w *workload) *product {
	for i := range products {
		if products[i].fits(w) {
			return &products[i]
		}
	}
	return nil
}

func (p *product) fits(w *workload) bool {
	if p.labelled != "" && (has(w.labels, p.labelled) || has(w.podLabels, p.labelled)) {
		return true
	}
	for _, key := range nameLabels {
		if slices.Contains(p.names, w.labels[key]) || slices.Contains(p.names, w.podLabels[key]) {
			return true
		}
	}
	for _, c := range w.containers() {
		image := str(c, "image")
		if slices.ContainsFunc(p.images, func(pattern string) bool { return imageFits(pattern, image) }) || p.flagged(c) {
			return true
		}
	}
	return false
}

// flagged tells whether a container is started as the product is.
func (p *product) flagged(container map[string]any) bool {
	if len(p.flags) == 0 {
		return false
	}
	given := append(texts(container, "command"), texts(container, "args")...)
	for _, group := range p.flags {
		if !slices.ContainsFunc(given, func(arg string) bool {
			name, _, _ := strings.Cut(arg, "=")
			return slices.Contains(group, name)
		}) {
			return false
		}
	}
	return true
}

// acts tells whether the product acts on objects of a kind.
func (p *product) acts(gk schema.GroupKind) bool {
	if slices.Contains(p.kinds, gk.Kind+"."+gk.Group) {
		return true
	}
	return slices.ContainsFunc(p.groups, func(group string) bool {
		return group == gk.Group || strings.HasPrefix(group, ".") && strings.HasSuffix(gk.Group, group)
	})
}

// imageFits tells whether the repository of an image ends as the pattern says.
func imageFits(pattern, image string) bool {
	image, _, _ = strings.Cut(image, "@")
	if slash := strings.LastIndexByte(image, '/'); strings.LastIndexByte(image, ':') > slash {
		image = image[:strings.LastIndexByte(image, ':')]
	}
	have, want := strings.Split(image, "/"), strings.Split(pattern, "/")
	if len(have) < len(want) {
		return false
	}
	have = have[len(have)-len(want):]
	for i := range want {
		if ok, err := path.Match(want[i], have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func has(m map[string]string, key string) bool { _, ok := m[key]; return ok }
