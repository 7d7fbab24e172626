package quarantine_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// parse documents that --- divides.
func parse(t *testing.T, text string) []manifests.Object {
	t.Helper()
	var out []manifests.Object
	for i, doc := range strings.Split(text, "\n---\n") {
		u := &unstructured.Unstructured{}
		raw, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if err := u.UnmarshalJSON(raw); err != nil {
			t.Fatalf("document %d: %v", i, err)
		}
		out = append(out, manifests.Object{Unstructured: u, Origin: manifests.Origin{Unit: "s", File: "s/all.yaml", Line: i + 1}})
	}
	return out
}

func deployment(name, pod string) string {
	return `{apiVersion: apps/v1, kind: Deployment, metadata: {name: ` + name + `, namespace: a}, spec: {replicas: 2, selector: {matchLabels: {x: ` + name +
		`}}, template: {metadata: {labels: {x: ` + name + `}}, spec: ` + pod + `}}}`
}

const plain = `{containers: [{name: c, image: registry.example.com/team/shop:1}]}`

func drill(t *testing.T, text string, o quarantine.Options) *quarantine.Result {
	t.Helper()
	r, err := quarantine.Apply(parse(t, text), []manifests.Unit{{Name: "s"}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func find(r *quarantine.Result, kind, name string) *manifests.Object {
	for i := range r.Objects {
		if r.Objects[i].GetKind() == kind && r.Objects[i].GetName() == name {
			return &r.Objects[i]
		}
	}
	return nil
}

// TestRules puts one object in and looks at it afterwards: as the JSON of its spec, or ""
// when it is left out.
func TestRules(t *testing.T) {
	for name, test := range map[string]struct{ in, kind, want string }{
		"a load balancer becomes an inner service": {
			`{apiVersion: v1, kind: Service, metadata: {name: o, namespace: a}, spec: {type: LoadBalancer, loadBalancerIP: 1.2.3.4, loadBalancerClass: x, allocateLoadBalancerNodePorts: false, loadBalancerSourceRanges: [10.0.0.0/8], externalTrafficPolicy: Local, healthCheckNodePort: 31000, externalIPs: [1.2.3.4], ports: [{port: 80, nodePort: 30080}]}}`,
			"Service", `{"ports":[{"port":80}],"type":"ClusterIP"}`,
		},
		"external addresses go": {
			`{apiVersion: v1, kind: Service, metadata: {name: o, namespace: a}, spec: {externalIPs: [1.2.3.4], ports: [{port: 80}]}}`, "Service", `{"ports":[{"port":80}]}`,
		},
		"a node port stays": {
			`{apiVersion: v1, kind: Service, metadata: {name: o, namespace: a}, spec: {type: NodePort, ports: [{port: 80, nodePort: 30080}]}}`, "Service", `{"ports":[{"nodePort":30080,"port":80}],"type":"NodePort"}`,
		},
		"a CronJob is suspended": {
			`{apiVersion: batch/v1, kind: CronJob, metadata: {name: o, namespace: a}, spec: {schedule: "* * * * *", jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: i, env: [{name: AWS_REGION}]}]}}}}}}`,
			"CronJob", `{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"env":[{"name":"AWS_REGION"}],"image":"i","name":"c"}]}}}},"schedule":"* * * * *","suspend":true}`,
		},
		"an ACME issuer signs by itself": {
			`{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: o}, spec: {acme: {server: "https://acme.example"}}}`, "ClusterIssuer", `{"selfSigned":{}}`,
		},
		"an issuer of the cluster stays": {
			`{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: o, namespace: a}, spec: {ca: {secretName: x}}}`, "Issuer", `{"ca":{"secretName":"x"}}`,
		},
		"nothing is pushed into stores": {
			`{apiVersion: external-secrets.io/v1alpha1, kind: PushSecret, metadata: {name: o, namespace: a}, spec: {}}`, "PushSecret", "",
		},
		"Flux does not sync": {
			`{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: o, namespace: a}, spec: {path: x}}`, "Kustomization", `{"path":"x","suspend":true}`,
		},
		"Flux tells nobody": {
			`{apiVersion: notification.toolkit.fluxcd.io/v1beta3, kind: Alert, metadata: {name: o, namespace: a}, spec: {}}`, "Alert", `{"suspend":true}`,
		},
		"Argo CD does not sync": {
			`{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: o, namespace: a}, spec: {syncPolicy: {automated: {prune: true}, syncOptions: [x]}}}`, "Application", `{"syncPolicy":{"syncOptions":["x"]}}`,
		},
		"Velero makes no backups": {
			`{apiVersion: velero.io/v1, kind: Schedule, metadata: {name: o, namespace: a}, spec: {schedule: "@daily"}}`, "Schedule", `{"paused":true,"schedule":"@daily"}`,
		},
		"Velero changes none": {
			`{apiVersion: velero.io/v1, kind: BackupStorageLocation, metadata: {name: o, namespace: a}, spec: {provider: aws}}`, "BackupStorageLocation", `{"accessMode":"ReadOnly","provider":"aws"}`,
		},
		"a database archives nothing": {
			`{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, metadata: {name: o, namespace: a}, spec: {instances: 1, backup: {x: y}, plugins: [{name: p, isWALArchiver: true}, {name: q}]}}`, "Cluster", `{"instances":1,"plugins":[{"name":"q"}]}`,
		},
		"metrics stay here": {
			`{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: o, namespace: a}, spec: {replicas: 1, remoteWrite: [{url: x}], thanos: {objectStorageConfig: {key: x}, version: v1}}}`, "Prometheus", `{"replicas":1,"thanos":{"version":"v1"}}`,
		},
		"alerts reach nobody": {
			`{apiVersion: monitoring.coreos.com/v1alpha1, kind: AlertmanagerConfig, metadata: {name: o, namespace: a}, spec: {route: {receiver: pager}, receivers: [{name: pager}]}}`,
			"AlertmanagerConfig", `{"receivers":[{"name":"null"}],"route":{"receiver":"null"}}`,
		},
		"Crossplane's resources observe": {
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: buckets.s3.aws.upbound.io}, spec: {group: s3.aws.upbound.io, names: {kind: Bucket, plural: buckets}, scope: Cluster, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {properties: {spec: {properties: {managementPolicies: {type: array}}}}}}}]}}` +
				"\n---\n" + `{apiVersion: s3.aws.upbound.io/v1, kind: Bucket, metadata: {name: o}, spec: {forProvider: {}}}`, "Bucket", `{"forProvider":{},"managementPolicies":["Observe"]}`,
		},
		"a policy lets nothing out": {
			`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: o, namespace: a}, spec: {podSelector: {}, policyTypes: [Ingress, Egress], egress: [{}], ingress: [{}]}}`,
			"NetworkPolicy", `{"ingress":[{}],"podSelector":{},"policyTypes":["Ingress","Egress"]}`,
		},
		"a policy about the inside stays": {
			`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: o, namespace: a}, spec: {podSelector: {}, egress: [{to: [{podSelector: {}}]}]}}`,
			"NetworkPolicy", `{"egress":[{"to":[{"podSelector":{}}]}],"podSelector":{}}`,
		},
		"what the API server would call outside goes": {
			`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: o}, webhooks: [{name: w, clientConfig: {url: "https://elsewhere.example"}}]}`, "ValidatingWebhookConfiguration", "",
		},
		"clusters are not made": {
			`{apiVersion: cluster.x-k8s.io/v1beta2, kind: Cluster, metadata: {name: o, namespace: a}, spec: {topology: {}}}`, "Cluster", `{"paused":true,"topology":{}}`,
		},
		"an ordinary workload runs": {deployment("o", plain), "Deployment", `"replicas":2`},
	} {
		t.Run(name, func(t *testing.T) {
			before := parse(t, test.in)
			r, err := quarantine.Apply(before, nil, quarantine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if now, was := dump(t, before), dump(t, parse(t, test.in)); now != was {
				t.Errorf("the given objects were changed:\n%s\n%s", now, was)
			}
			got := find(r, test.kind, "o")
			if (got == nil) != (test.want == "") {
				t.Fatalf("found %v, want %q; changes %v", got, test.want, r.Changes)
			}
			if got == nil {
				return
			}
			if spec := jsonOf(t, got.Object["spec"]); spec != test.want && !strings.Contains(spec, test.want) {
				t.Errorf("spec is %s, want %s", spec, test.want)
			}
		})
	}
}

func dump(t *testing.T, objects []manifests.Object) string {
	t.Helper()
	var all []any
	for _, o := range objects {
		all = append(all, o.Object)
	}
	return jsonOf(t, all)
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

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
		"external-dns by its image":         {image("registry.k8s.io/external-dns/external-dns:v0.15"), false},
		"external-dns by digest and port":   {image("localhost:5000/mirror/external-dns@sha256:" + strings.Repeat("a", 64)), false},
		"external-dns by its label":         {labelled("app.kubernetes.io/name", "external-dns"), false},
		"external-dns by its flags":         {deployment("d", `{containers: [{name: c, image: "x/y", args: [--source=service, --provider=aws]}]}`), false},
		"one flag is not enough":            {deployment("d", `{containers: [{name: c, image: "x/y", args: [--source=service]}]}`), true},
		"an image that only looks like it":  {image("x/my-external-dns-exporter:1"), true},
		"Crossplane":                        {image("xpkg.upbound.io/upbound/provider-aws-s3:v1"), false},
		"ACK":                               {image("public.ecr.aws/aws-controllers-k8s/s3-controller:1"), false},
		"Config Connector":                  {labelled("cnrm.cloud.google.com/component", "cnrm-controller-manager"), false},
		"cluster autoscaler":                {image("registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.0"), false},
		"Karpenter":                         {image("public.ecr.aws/karpenter/controller:1"), false},
		"Velero":                            {image("velero/velero:v1"), false},
		"load balancer controller":          {image("public.ecr.aws/eks/aws-load-balancer-controller:v2"), false},
		"Cluster API providers":             {labelled("cluster.x-k8s.io/provider", "infrastructure-aws"), false},
		"Refloat":                           {image("ghcr.io/refloat-dev/refloat:1"), false},
		"Argo CD":                           {labelled("app.kubernetes.io/name", "argocd-application-controller"), false},
		"a tunnel":                          {image("cloudflare/cloudflared:2026"), false},
		"a runner":                          {image("gitlab/gitlab-runner:v18"), false},
		"cert-manager runs":                 {image("quay.io/jetstack/cert-manager-controller:v1"), true},
		"the cloud controller manager runs": {image("registry.k8s.io/provider-aws/cloud-controller-manager:v1"), true},
		"storage drivers run":               {image("public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1"), true},
		"the others of Argo CD run":         {labelled("app.kubernetes.io/name", "argocd-server"), true},
		"external-secrets runs":             {image("ghcr.io/external-secrets/external-secrets:v1"), true},
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

// TestAlertmanagerFiles are replaced, and what they were is said nowhere.
func TestAlertmanagerFiles(t *testing.T) {
	r := drill(t, `{apiVersion: v1, kind: Secret, metadata: {name: o, namespace: a}, stringData: {alertmanager.yaml: "geheim", other: x}}
---
{apiVersion: v1, kind: Secret, metadata: {name: gz, namespace: a}, data: {alertmanager.yaml.gz: Z2VoZWlt}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: m, namespace: a}, data: {alertmanager.yml: "geheim"}}
---
{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, metadata: {name: sealed, namespace: a}, spec: {encryptedData: {alertmanager.yaml: Z2VoZWlt}}}`, quarantine.Options{})
	for _, o := range r.Objects {
		raw := jsonOf(t, o.Object)
		if strings.Contains(raw, "geheim") || strings.Contains(raw, "Z2VoZWlt") {
			t.Errorf("%s still has its configuration", o.ID())
		}
	}
	for _, c := range r.Changes {
		if strings.Contains(c.String(), "geheim") {
			t.Errorf("a change says what it was: %s", c)
		}
	}
	if got := jsonOf(t, find(r, "Secret", "o").Object["data"]); !strings.Contains(got, "alertmanager.yaml") {
		t.Errorf("no configuration is left: %s", got)
	}
	if find(r, "SealedSecret", "sealed") != nil {
		t.Error("a sealed configuration is kept")
	}
}

// TestStoppedBackends take the webhooks with them that they would answer, or no write
// would succeed.
func TestStoppedBackends(t *testing.T) {
	r := drill(t, deployment("d", `{containers: [{name: c, image: karpenter}]}`)+`
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {selector: {x: d}, ports: [{port: 443}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: alive, namespace: a}, spec: {selector: {x: other}, ports: [{port: 443}]}}
---
`+deployment("other", plain)+`
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: both}, webhooks: [{name: dead, clientConfig: {service: {name: s, namespace: a}}}, {name: live, clientConfig: {service: {name: alive, namespace: a}}}]}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: dead}, webhooks: [{name: dead, clientConfig: {service: {name: s, namespace: a}}}]}
---
{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.x.example}, spec: {service: {name: s, namespace: a}}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: nodepools.karpenter.sh}, spec: {group: karpenter.sh, names: {kind: NodePool, plural: nodepools}, conversion: {strategy: Webhook, webhook: {clientConfig: {service: {name: s, namespace: a}}}}}}
---
{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: known}, spec: {}}
---
{apiVersion: karpenter.k8s.aws/v1, kind: EC2NodeClass, metadata: {name: unknown}, spec: {}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: a}, spec: {scaleTargetRef: {kind: Deployment, name: d}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: after, namespace: a, annotations: {config.kubernetes.io/depends-on: "karpenter.k8s.aws/EC2NodeClass/unknown,apps/namespaces/a/Deployment/other"}}}`, quarantine.Options{})
	for _, gone := range []struct{ kind, name string }{{"ValidatingWebhookConfiguration", "dead"}, {"APIService", "v1.x.example"}, {"EC2NodeClass", "unknown"}, {"HorizontalPodAutoscaler", "h"}} {
		if find(r, gone.kind, gone.name) != nil {
			t.Errorf("%s %s is still there", gone.kind, gone.name)
		}
	}
	if hooks := jsonOf(t, find(r, "MutatingWebhookConfiguration", "both").Object["webhooks"]); strings.Contains(hooks, "dead") || !strings.Contains(hooks, "live") {
		t.Errorf("webhooks are %s", hooks)
	}
	if c := jsonOf(t, find(r, "CustomResourceDefinition", "nodepools.karpenter.sh").Object["spec"].(map[string]any)["conversion"]); c != `{"strategy":"None"}` {
		t.Errorf("conversion is %s", c)
	}
	if pool := find(r, "NodePool", "known"); pool.Rules == nil || !pool.Rules.HealthIgnored {
		t.Error("somebody waits for what nobody makes ready")
	}
	if got := find(r, "ConfigMap", "after").GetAnnotations()["config.kubernetes.io/depends-on"]; got != "apps/namespaces/a/Deployment/other" {
		t.Errorf("depends on %q", got)
	}
}

// TestGuards are added to every drill, and the whole can be ordered.
func TestGuards(t *testing.T) {
	r := drill(t, `{apiVersion: v1, kind: Namespace, metadata: {name: a}}
---
`+deployment("d", plain)+`
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: csi, namespace: a}, spec: {template: {metadata: {labels: {y: csi}}, spec: {containers: [{name: c, image: aws-ebs-csi-driver}]}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent, namespace: kube-system}, spec: {template: {metadata: {labels: {y: agent}}, spec: {containers: [{name: c, image: agent}]}}}}`,
		quarantine.Options{Networks: []string{"10.128.0.0/14"}, Destinations: []quarantine.Destination{{CIDR: "192.0.2.0/24", Ports: []int32{443}}}})
	deny := find(r, "NetworkPolicy", quarantine.EgressName)
	if deny == nil || deny.GetNamespace() != "a" || deny.GetLabels()[quarantine.Label] == "" {
		t.Fatalf("namespace a may connect to the outside: %v", r.Changes)
	}
	spec := jsonOf(t, deny.Object["spec"])
	for _, want := range []string{`"podSelector":{}`, "10.128.0.0/14", "192.0.2.0/24", `"port":6443`} {
		if !strings.Contains(spec, want) {
			t.Errorf("%s does not have %s", spec, want)
		}
	}
	if strings.Contains(spec, "0.0.0.0/0") {
		t.Error("it allows everything")
	}
	if find(r, "NetworkPolicy", "refloat-drill-open-csi") == nil || find(r, "NetworkPolicy", quarantine.EgressName+"-agent") == nil {
		t.Errorf("the storage driver is cut off, or the agent of kube-system is not: %v", r.Changes)
	}
	if find(r, "ValidatingAdmissionPolicy", quarantine.GuardName) == nil || find(r, "ValidatingAdmissionPolicyBinding", quarantine.GuardName) == nil {
		t.Error("nothing refuses load balancers")
	}
	g, err := order.Build(r.Objects, order.Options{Units: r.Units})
	if err != nil {
		t.Fatal(err)
	}
	if g.Len() != len(r.Objects) {
		t.Errorf("%d objects ordered of %d", g.Len(), len(r.Objects))
	}
	open := drill(t, deployment("d", plain), quarantine.Options{OpenEgress: true})
	if find(open, "NetworkPolicy", quarantine.EgressName) != nil {
		t.Error("the plan allows egress, and it is denied")
	}
}

// TestAllowedLoadBalancer is let through by the guard, by name.
func TestAllowedLoadBalancer(t *testing.T) {
	r := drill(t, `{apiVersion: v1, kind: Service, metadata: {name: o, namespace: a}, spec: {type: LoadBalancer, ports: [{port: 80}]}}`,
		quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "Service", Name: "o"}, Reason: "r"}}})
	if kind := find(r, "Service", "o").Object["spec"].(map[string]any)["type"]; kind != "LoadBalancer" {
		t.Errorf("type is %v", kind)
	}
	if policy := jsonOf(t, find(r, "ValidatingAdmissionPolicy", quarantine.GuardName).Object); !strings.Contains(policy, "'a/o'") {
		t.Errorf("the guard refuses it: %s", policy)
	}
}

// FuzzApply never panics, whatever the objects look like.
func FuzzApply(f *testing.F) {
	f.Add(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","annotations":null},"spec":{"template":{"spec":{"containers":[null,1,{"env":[{}]}]}}}}`)
	f.Add(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"d"},"spec":{"type":"LoadBalancer","ports":"x"}}`)
	f.Add(`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"d"},"spec":{"egress":[1,null]}}`)
	f.Add(`{"apiVersion":"cert-manager.io/v1","kind":"Issuer","metadata":{"name":"d"},"spec":null}`)
	f.Fuzz(func(_ *testing.T, text string) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON([]byte(text)) != nil {
			return
		}
		_, _ = quarantine.Apply([]manifests.Object{{Unstructured: u}}, nil, quarantine.Options{})
	})
}
