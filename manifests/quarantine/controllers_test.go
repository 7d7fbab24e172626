package quarantine_test

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// TestControllers are recognised in every way in which they are installed.
func TestControllers(t *testing.T) {
	labelled := func(key, value string) string {
		return `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: a, labels: {` + key + `: ` + value + `}}, spec: {selector: {}, template: {metadata: {labels: {x: d}}, spec: ` + plain + `}}}`
	}
	image := func(ref string) string { return deployment("d", `{containers: [{name: c, image: "`+ref+`"}]}`) }
	for name, test := range map[string]struct {
		in   string
		runs bool
	}{
		"external-dns by its image":        {image("registry.k8s.io/external-dns/external-dns:v0.15"), false},
		"external-dns by digest and port":  {image("localhost:5000/mirror/external-dns@sha256:" + strings.Repeat("a", 64)), false},
		"external-dns by its label":        {labelled("app.kubernetes.io/name", "external-dns"), false},
		"external-dns by its flags":        {deployment("d", `{containers: [{name: c, image: "x/y", args: [--source=service, --provider=aws]}]}`), false},
		"one flag is not enough":           {deployment("d", `{containers: [{name: c, image: "x/y", args: [--source=service]}]}`), true},
		"an image that only looks like it": {image("x/my-external-dns-exporter:1"), true},
		"Crossplane":                       {image("xpkg.upbound.io/upbound/provider-aws-s3:v1"), false},
		"ACK":                              {image("public.ecr.aws/aws-controllers-k8s/s3-controller:1"), false},
		"Config Connector":                 {labelled("cnrm.cloud.google.com/component", "cnrm-controller-manager"), false},
		"cluster autoscaler":               {image("registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.0"), false},
		"Karpenter":                        {image("public.ecr.aws/karpenter/controller:1"), false},
		"Velero":                           {image("velero/velero:v1"), false},
		"load balancer controller":         {image("public.ecr.aws/eks/aws-load-balancer-controller:v2"), false},
		"Cluster API providers":            {labelled("cluster.x-k8s.io/provider", "infrastructure-aws"), false},
		"Refloat":                          {image("ghcr.io/refloat-dev/refloat:1"), false},
		"Argo CD":                          {labelled("app.kubernetes.io/name", "argocd-application-controller"), false},
		"a tunnel":                         {image("cloudflare/cloudflared:2026"), false},
		"a runner":                         {image("gitlab/gitlab-runner:v18"), false},
		"cert-manager runs":                {image("quay.io/jetstack/cert-manager-controller:v1"), true},
		"the cloud controller manager":     {image("registry.k8s.io/provider-aws/cloud-controller-manager:v1"), false},
		"that of Hetzner":                  {image("hetznercloud/hcloud-cloud-controller-manager:v1"), false},
		"that of vSphere":                  {image("registry.k8s.io/cloud-pv-vsphere/cloud-provider-vsphere:v1"), false},
		"one by its label":                 {labelled("k8s-app", "cloud-controller-manager"), false},
		"one by its flags":                 {deployment("d", `{containers: [{name: c, image: x/y, args: [--cloud-provider=x, --cluster-name=prod, --configure-cloud-routes=true]}]}`), false},
		"the cloud node manager runs":      {image("mcr.microsoft.com/oss/kubernetes/azure-cloud-node-manager:v1"), true},
		"storage drivers run":              {image("public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1"), true},
		"the others of Argo CD run":        {labelled("app.kubernetes.io/name", "argocd-server"), true},
		"external-secrets runs":            {image("ghcr.io/external-secrets/external-secrets:v1"), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := drill(t, test.in, quarantine.Options{})
			n, _, _ := unstructured.NestedInt64(find(r, "Deployment", "d").Object, "spec", "replicas")
			if runs := n != 0 || find(r, "Deployment", "d").Object["spec"].(map[string]any)["replicas"] == nil; runs != test.runs {
				t.Errorf("%d replicas, want that it runs: %v; changes %v", n, test.runs, r.Changes)
			}
			if !test.runs && !changed(r, "KnownController") {
				t.Errorf("nothing says so: %v", r.Changes)
			}
		})
	}
}

func changed(r *quarantine.Result, rule string) bool {
	for _, c := range r.Changes {
		if c.Rule == rule && c.Why != "" && c.Change != "" {
			return true
		}
	}
	return false
}

// TestUnknownControllers with cloud credentials are refused, with what to write into the
// plan; what the plan then says is done.
func TestUnknownControllers(t *testing.T) {
	account := func(annotation string) string {
		return `{apiVersion: v1, kind: ServiceAccount, metadata: {name: sa, namespace: a, annotations: {` + annotation + `: x}}}` +
			"\n---\n" + deployment("d", `{serviceAccountName: sa, containers: [{name: c, image: x/y}]}`)
	}
	secret := func(key, pod string) string {
		return `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: a}, data: {` + key + `: c2VjcmV0}}` + "\n---\n" + deployment("d", pod)
	}
	mounted := `{containers: [{name: c, image: x/y}], volumes: [{name: v, secret: {secretName: s}}]}`
	for name, test := range map[string]struct{ in, says string }{
		"IRSA":                 {account("eks.amazonaws.com/role-arn"), "eks.amazonaws.com/role-arn"},
		"workload identity":    {account("iam.gke.io/gcp-service-account"), "iam.gke.io/gcp-service-account"},
		"Azure":                {account("azure.workload.identity/client-id"), "azure.workload.identity/client-id"},
		"environment":          {deployment("d", `{containers: [{name: c, image: x/y, env: [{name: AWS_SECRET_ACCESS_KEY, value: geheim}]}]}`), "AWS_SECRET_ACCESS_KEY of container c"},
		"of an init container": {deployment("d", `{containers: [], initContainers: [{name: i, image: x/y, env: [{name: GOOGLE_APPLICATION_CREDENTIALS}]}]}`), "GOOGLE_APPLICATION_CREDENTIALS"},
		"environment from":     {secret("AZURE_CLIENT_SECRET", `{containers: [{name: c, image: x/y, envFrom: [{secretRef: {name: s}}]}]}`), "AZURE_CLIENT_SECRET of Secret a/s"},
		"a mounted key":        {secret("aws-secret-access-key", mounted), "aws-secret-access-key of Secret a/s"},
		"a mounted file":       {secret("azure.json", mounted), "azure.json of Secret a/s"},
		"a token":              {deployment("d", `{containers: [{name: c, image: x/y}], volumes: [{name: v, projected: {sources: [{serviceAccountToken: {audience: sts.amazonaws.com}}]}}]}`), "a token for sts.amazonaws.com"},
		"kube2iam":             {`{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: a}, spec: {template: {metadata: {annotations: {iam.amazonaws.com/role: x}}, spec: ` + plain + `}}}`, "iam.amazonaws.com/role of its pods"},
		"a custom workload":    {`{apiVersion: x.example/v1, kind: Deployment, metadata: {name: d, namespace: a}, spec: {replicas: 2, template: {spec: {containers: [{name: c, env: [{name: AWS_ROLE_ARN}]}]}}}}`, "AWS_ROLE_ARN"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := quarantine.Apply(parse(t, test.in), nil, quarantine.Options{})
			var refused *quarantine.RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("not refused: %v", err)
			}
			for _, part := range []string{test.says, "s/all.yaml:", " a/d ", "spec.drill.neutralise with {kind: Deployment, namespace: a, name: d, how: ScaleToZero}", "spec.drill.allow"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("a secret is said: %v", err)
			}
			pattern := manifests.Pattern{Kind: "Deployment", Name: "d"}
			r := drill(t, test.in, quarantine.Options{Neutralise: []quarantine.Class{{Pattern: pattern, How: quarantine.ScaleToZero}}})
			if n, _, _ := unstructured.NestedInt64(find(r, "Deployment", "d").Object, "spec", "replicas"); n != 0 || !changed(r, "Neutralised") {
				t.Errorf("runs although the plan stops it: %v", r.Changes)
			}
			r = drill(t, test.in, quarantine.Options{Allow: []quarantine.Exception{{Pattern: pattern, Reason: "reads only"}}})
			if !changed(r, "Allowed") {
				t.Errorf("nothing says that it is allowed: %v", r.Changes)
			}
			r = drill(t, test.in, quarantine.Options{Neutralise: []quarantine.Class{{Pattern: pattern, How: quarantine.Omit}}})
			if find(r, "Deployment", "d") != nil {
				t.Error("it is not left out")
			}
		})
	}
}

// TestPlansThatCannotBeFollowed are refused: else something would run that the plan stops.
func TestPlansThatCannotBeFollowed(t *testing.T) {
	made := `{apiVersion: x.example/v1, kind: Server, metadata: {name: d, namespace: a}, spec: {template: {spec: {containers: [{name: c}]}}}}`
	for name, test := range map[string]struct {
		in   string
		how  quarantine.How
		says string
	}{
		"a Deployment has no suspend":     {deployment("d", plain), quarantine.Suspend, "write how: ScaleToZero"},
		"a custom kind without replicas":  {made, quarantine.ScaleToZero, "write how: Omit"},
		"a custom kind may be suspended":  {made, quarantine.Suspend, ""},
		"a ConfigMap cannot be suspended": {`{apiVersion: v1, kind: ConfigMap, metadata: {name: d, namespace: a}}`, quarantine.Suspend, "write how: Omit"},
		"a ConfigMap can be left out":     {`{apiVersion: v1, kind: ConfigMap, metadata: {name: d, namespace: a}}`, quarantine.Omit, ""},
		"a CronJob is suspended anyway":   {`{apiVersion: batch/v1, kind: CronJob, metadata: {name: d, namespace: a}, spec: {}}`, quarantine.ScaleToZero, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := quarantine.Options{Neutralise: []quarantine.Class{{Pattern: manifests.Pattern{Name: "d"}, How: test.how}}}
			r, err := quarantine.Apply(parse(t, test.in), nil, o)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Fatalf("%v, want it to say %q", err, test.says)
			}
			if err == nil && !changed(r, "Neutralised") {
				t.Errorf("nothing was done: %v", r.Changes)
			}
		})
	}
	r := drill(t, deployment("d", plain), quarantine.Options{Neutralise: []quarantine.Class{{Pattern: manifests.Pattern{Name: "mistyped"}, How: quarantine.Omit}}})
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "spec.drill.neutralise[0] of the plan selects no object") {
		t.Errorf("warnings %v", r.Warnings)
	}
}

func TestGatewaysGetNoAddress(t *testing.T) {
	r := drill(t, `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g, namespace: a}, spec: {}}
---
{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyProxy, metadata: {name: e, namespace: a}, spec: {provider: {type: Kubernetes}}}`, quarantine.Options{})
	g := find(r, "Gateway", "g")
	if g.Rules == nil || !g.Rules.HealthIgnored || g.GetAnnotations()["networking.istio.io/service-type"] != "ClusterIP" {
		t.Errorf("somebody waits for its address: %+v", g.Object)
	}
	if spec := jsonOf(t, find(r, "EnvoyProxy", "e").Object["spec"]); !strings.Contains(spec, `"envoyService":{"type":"ClusterIP"}`) {
		t.Errorf("the proxy asks for a load balancer: %s", spec)
	}
}

func TestSeedsCount(t *testing.T) {
	in := deployment("d", `{containers: [{name: c, image: x/y, envFrom: [{secretRef: {name: s}}]}]}`)
	seeds := map[manifests.ID][]string{{Kind: "Secret", Namespace: "a", Name: "s"}: {"AWS_ACCESS_KEY_ID"}}
	if _, err := quarantine.Apply(parse(t, in), nil, quarantine.Options{Seeds: seeds}); err == nil {
		t.Error("credentials of a seed are not seen")
	}
}

// TestCustomObjectsWithCredentials become pods by the hand of operators.
func TestCustomObjectsWithCredentials(t *testing.T) {
	workflow := `{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: w, namespace: a}, spec: {templates: [{container: {env: [{name: AWS_SECRET_ACCESS_KEY, value: geheim}]}}]}}`
	_, err := quarantine.Apply(parse(t, workflow), nil, quarantine.Options{})
	if err == nil || !strings.Contains(err.Error(), "s/all.yaml:1: Workflow.argoproj.io a/w has cloud credentials in AWS_SECRET_ACCESS_KEY") || strings.Contains(err.Error(), "geheim") {
		t.Errorf("not refused, or not well: %v", err)
	}
	pattern := manifests.Pattern{Kind: "Workflow"}
	if r := drill(t, workflow, quarantine.Options{Neutralise: []quarantine.Class{{Pattern: pattern, How: quarantine.Omit}}}); find(r, "Workflow", "w") != nil {
		t.Error("it is not left out")
	}
	if r := drill(t, workflow, quarantine.Options{Allow: []quarantine.Exception{{Pattern: pattern, Reason: "reads only"}}}); find(r, "Workflow", "w") == nil {
		t.Error("it is left out though the plan allows it")
	}
	// What a stopped tool reads does nothing.
	drill(t, `{apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, metadata: {name: h, namespace: a}, spec: {values: {env: [{name: AWS_REGION}]}}}`, quarantine.Options{})
}

func TestDisarmedControllersLoseTheirEnvironment(t *testing.T) {
	in := deployment("d", `{containers: [{name: c, image: cert-manager-controller, env: [{name: AWS_ACCESS_KEY_ID, value: x}, {name: POD_NAMESPACE, value: y}]}]}`)
	if pod := jsonOf(t, find(drill(t, in, quarantine.Options{}), "Deployment", "d").Object); strings.Contains(pod, "AWS_") || !strings.Contains(pod, "POD_NAMESPACE") {
		t.Errorf("its pods are %s", pod)
	}
}

// TestIdentities stay only with what runs and needs them.
func TestIdentities(t *testing.T) {
	const annotated = `{apiVersion: v1, kind: ServiceAccount, metadata: {name: sa, namespace: a, annotations: {eks.amazonaws.com/role-arn: x, other: z}}}`
	for name, test := range map[string]struct {
		pod  string
		o    quarantine.Options
		kept bool
	}{
		"used by a stopped one":    {`{serviceAccountName: sa, containers: [{name: c, image: external-dns}]}`, quarantine.Options{}, false},
		"used by cert-manager":     {`{serviceAccountName: sa, containers: [{name: c, image: cert-manager-controller}]}`, quarantine.Options{}, false},
		"used by nobody":           {plain, quarantine.Options{}, false},
		"used by a storage driver": {`{serviceAccountName: sa, containers: [{name: c, image: aws-ebs-csi-driver}]}`, quarantine.Options{}, true},
		"used by what is allowed":  {`{serviceAccountName: sa, containers: [{name: c, image: x}]}`, quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "Deployment"}, Reason: "r"}}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := drill(t, annotated+"\n---\n"+deployment("d", test.pod), test.o)
			a := find(r, "ServiceAccount", "sa").GetAnnotations()
			if _, kept := a["eks.amazonaws.com/role-arn"]; kept != test.kept || a["other"] != "z" {
				t.Errorf("annotations %v, want the identity: %v", a, test.kept)
			}
		})
	}
}

// TestCloudControllerManagers take the routes of the real cluster away, whose name they
// have: in a drill they run where the plan says so, and nowhere else.
func TestCloudControllerManagers(t *testing.T) {
	const in = `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: ccm, namespace: kube-system}, spec: {template: {metadata: {labels: {k8s-app: ccm}}, spec: {containers: [{name: c, image: registry.k8s.io/provider-aws/cloud-controller-manager:v1, args: [--cluster-name=prod, --configure-cloud-routes=true]}]}}}}`
	r := drill(t, in, quarantine.Options{})
	if spec := jsonOf(t, find(r, "DaemonSet", "ccm").Object); !strings.Contains(spec, `"nodeSelector":{"refloat.dev/drill":"nowhere"}`) || !changed(r, "KnownController") {
		t.Errorf("it runs: %s; changes %v", spec, r.Changes)
	}
	if find(r, "NetworkPolicy", "refloat-drill-open-ccm") != nil {
		t.Error("it may connect to the outside")
	}
	kept := drill(t, in, quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "DaemonSet"}, Reason: "a name of its own"}}})
	if spec := jsonOf(t, find(kept, "DaemonSet", "ccm").Object); strings.Contains(spec, "nowhere") || !changed(kept, "Allowed") {
		t.Errorf("the plan allows it: %s; changes %v", spec, kept.Changes)
	}
}
