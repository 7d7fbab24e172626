package quarantine_test

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
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
