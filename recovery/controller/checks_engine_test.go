package controller

import (
	"strings"
	"testing"

	"filippo.io/age"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/gittest"
)

const (
	plainObject = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: default}\n"
	sealed      = plainObject + `data: {a: "ENC[AES256_GCM,data:AAAA,iv:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]"}
sops:
  age: [{recipient: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p, enc: nothing}]
  lastmodified: "2026-01-01T00:00:00Z"
  mac: "ENC[AES256_GCM,data:AAAA,iv:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]"
  version: 3.9.0
`
	opens = `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: sealed, namespace: flux-system}
spec: {path: sealed, prune: true, interval: 1h, sourceRef: {kind: GitRepository, name: flux-system}, decryption: {provider: sops, secretRef: {name: age}}}
`
	release = `apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: web, namespace: default}
spec: {interval: 1h, chart: {spec: {chart: web, version: 1.0.0, sourceRef: {kind: HelmRepository, name: charts}}}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: charts, namespace: default}
spec: {interval: 1h, url: "http://127.0.0.1:1"}
`
	elsewhere = `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: lib, namespace: default}
spec: {path: deploy, prune: true, interval: 1h, sourceRef: {kind: GitRepository, name: lib}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: lib, namespace: default}
spec: {interval: 1m, url: "http://127.0.0.1:1/lib.git", ref: {branch: main}}
`
	// lonelyWebhook is answered by nothing, which lint calls an error.
	lonelyWebhook = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: gate}
webhooks:
  - name: gate.example.com
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Fail
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
    clientConfig: {service: {name: gate, namespace: default}}
`
)

// TestEvaluationWithTheRealEngine sorts the faults that fetching and rendering have, and finds
// what was wrong mended.
func TestEvaluationWithTheRealEngine(t *testing.T) {
	w := newWorld(t)
	repo := gittest.NewRepo(t)
	server := gittest.NewServer(t, map[string]*gittest.Repo{"fleet.git": repo})
	identity, err := age.GenerateX25519Identity()
	w.must(err)
	w.r.Engine = NewEngine(EngineOptions{CacheDir: t.TempDir(), Clock: w.clock})
	w.ready(func(p *v1alpha1.RecoveryPlan) {
		p.Spec.Source = v1alpha1.GitSource{
			URL: server.URL("fleet.git"), SecretRef: &v1alpha1.LocalSecretReference{Name: "git"}, Mirrors: []v1alpha1.GitMirror{{URL: "http://127.0.0.1:1/fleet.git"}},
		}
		p.Spec.Evaluate.Every = &metav1.Duration{}
	})
	withoutSecret("age")(w)
	w.must(w.store.Store.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "git"}, Data: map[string][]byte{"ca.crt": server.CA()}}))
	w.must(w.store.Store.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "age"}, Data: map[string][]byte{"id.agekey": []byte(identity.String())},
	}))
	cluster := "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev}\nspec: {}\n"
	for i, test := range []struct {
		state, cluster string
		status         metav1.ConditionStatus
		check          string
		says           string
	}{
		{plainObject, cluster, "True", "", ""},
		{"kind: [", cluster, "False", "Rendering", "state/all.yaml"},
		{sealed, cluster, "False", "Decryption", "no key is given"},
		{opens, cluster, "False", "Decryption", "age1ql3z7"},
		{release, cluster, "False", "Charts", "127.0.0.1:1"},
		{elsewhere, cluster, "False", "Sources", "127.0.0.1:1/lib.git"},
		{lonelyWebhook, cluster, "False", "Lint", "gate"},
		{plainObject, "kind: [", "False", "ClusterManifests", "capi/cluster.yaml"},
		{plainObject, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n", "False", "ClusterManifests", "no Cluster"},
		{plainObject, cluster, "True", "", ""},
	} {
		repo.Commit(map[string]string{"state/all.yaml": test.state, "capi/cluster.yaml": test.cluster, "sealed/one.yaml": sealed})
		plan := w.planned()
		plan.Annotations = map[string]string{v1alpha1.AnnotationEvaluate: string(rune('a' + i))}
		w.must(w.store.Store.Update(t.Context(), plan))
		w.evaluate()
		plan = w.planned()
		c := meta.FindStatusCondition(plan.Status.Conditions, v1alpha1.ConditionRecoverable)
		var found, dead []v1alpha1.RecoverabilityBlocker
		for _, b := range plan.Status.Recoverability.Blockers {
			if b.Check == "Git" {
				dead = append(dead, b)
			} else {
				found = append(found, b)
			}
		}
		if c.Status != test.status || (test.check == "") != (len(found) == 0) || len(found) > 0 && (found[0].Check != test.check || !strings.Contains(found[0].Message, test.says)) {
			t.Errorf("%d: %s, %s: %+v, want %s %s that says %q", i, c.Status, c.Message, found, test.status, test.check, test.says)
		}
		if len(dead) != 1 || dead[0].Severity != v1alpha1.SeverityWarning || !strings.Contains(dead[0].Message, "127.0.0.1:1/fleet.git") {
			t.Errorf("%d: of the dead mirror it says %+v", i, dead)
		}
	}
}
