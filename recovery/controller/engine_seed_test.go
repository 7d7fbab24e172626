package controller

import (
	"errors"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/recovery"
)

// TestSeedRefused holds answers of an API server, some of which quote the value.
func TestSeedRefused(t *testing.T) {
	const value = "canary"
	secrets := schema.GroupResource{Resource: "secrets"}
	for name, test := range map[string]struct {
		resource string
		err      error
		says     string
		fault    bool
	}{
		"invalid": {"secrets", apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "age", field.ErrorList{
			field.Invalid(field.NewPath("data").Key("a"), value, "not so")}), "data[a]", true},
		"bad request":       {"secrets", apierrors.NewBadRequest("cannot read " + value), "BadRequest", true},
		"overloaded":        {"secrets", apierrors.NewTooManyRequests("later, "+value, 1), "TooManyRequests", false},
		"forbidden":         {"secrets", apierrors.NewForbidden(secrets, "age", errors.New(value)), "Forbidden", false},
		"invalid namespace": {"namespaces", apierrors.NewInvalid(schema.GroupKind{Kind: "Namespace"}, "flux-system", nil), "create its namespace", true},
	} {
		client := fake.NewClientset()
		client.PrependReactor("*", test.resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, test.err })
		err := seedOne(t.Context(), client, SeedSecret{Namespace: "flux-system", Secret: &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "age"}, Data: map[string][]byte{"a": []byte(value)}}})
		switch {
		case err == nil:
			t.Errorf("%s: no error", name)
		case strings.Contains(err.Error(), value):
			t.Errorf("%s: it says the value: %v", name, err)
		case !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "seed flux-system/age"):
			t.Errorf("%s: %v, want it to say %q", name, err, test.says)
		case (recovery.AsFault(err) != nil) != test.fault:
			t.Errorf("%s: %v, want a fault %t", name, err, test.fault)
		}
	}
}

// TestSeedIsRecognised has Argo CD and Sealed Secrets find their Secrets, and no tool
// those of its namesake.
func TestSeedIsRecognised(t *testing.T) {
	got := seedLabels(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{
		"argocd.argoproj.io/secret-type":               "repository",
		"sealedsecrets.bitnami.com/sealed-secrets-key": "active",
		"app.kubernetes.io/instance":                   "fleet",
		"kustomize.toolkit.fluxcd.io/name":             "fleet",
		"cluster.x-k8s.io/cluster-name":                "management",
	}}})
	want := map[string]string{
		manifests.SeedLabel:                            "true",
		"argocd.argoproj.io/secret-type":               "repository",
		"sealedsecrets.bitnami.com/sealed-secrets-key": "active",
	}
	if !maps.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
}

// TestSeedOfAClusterKeepsWhatApplicationSetsChooseBy, and nothing that a tool wrote.
func TestSeedOfAClusterKeepsWhatApplicationSetsChooseBy(t *testing.T) {
	client := fake.NewClientset()
	seed := SeedSecret{Namespace: "argocd", Secret: &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "edge", Namespace: "fleet",
			Labels: map[string]string{
				"argocd.argoproj.io/secret-type": "cluster", "env": "prod", "team.example.com/tier": "1",
				"app.kubernetes.io/instance": "fleet", "argocd.argoproj.io/instance": "fleet", "kustomize.toolkit.fluxcd.io/name": "fleet", "cluster.x-k8s.io/cluster-name": "m",
			},
			Annotations: map[string]string{
				"region": "eu", "managed-by": "argocd.argoproj.io", "argocd.argoproj.io/tracking-id": "fleet:x",
				"kubectl.kubernetes.io/last-applied-configuration": `{"stringData":{"config":"canary"}}`,
			},
		},
		Data: map[string][]byte{"config": []byte("canary")},
	}}
	if err := seedOne(t.Context(), client, seed); err != nil {
		t.Fatal(err)
	}
	got, err := client.CoreV1().Secrets("argocd").Get(t.Context(), "edge", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{
		manifests.SeedLabel: "true", "argocd.argoproj.io/secret-type": "cluster", "env": "prod", "team.example.com/tier": "1",
	}
	annotations := map[string]string{"region": "eu", "managed-by": "argocd.argoproj.io"}
	if !maps.Equal(got.Labels, labels) || !maps.Equal(got.Annotations, annotations) {
		t.Errorf("labels %v, annotations %v, want %v and %v", got.Labels, got.Annotations, labels, annotations)
	}
	// A Secret that is for no cluster keeps only what it is recognised by.
	delete(seed.Secret.Labels, "argocd.argoproj.io/secret-type")
	if l, a := seedLabels(seed.Secret), seedAnnotations(seed.Secret); len(l) != 1 || len(a) != 1 {
		t.Errorf("labels %v, annotations %v", l, a)
	}
}
