package controllers

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

func TestKubeconfigIsRenewed(t *testing.T) {
	tests := map[string]struct {
		spoil func(b *bench)
		again bool
	}{
		"untouched":     {func(*bench) {}, false},
		"half its life": {func(b *bench) { b.clock.SetTime(now.Add(190 * 24 * time.Hour)) }, true},
		"almost half":   {func(b *bench) { b.clock.SetTime(now.Add(170 * 24 * time.Hour)) }, false},
		"garbage":       {func(b *bench) { b.spoilKubeconfig(func([]byte) []byte { return []byte("{") }) }, true},
		"another server": {func(b *bench) {
			b.spoilKubeconfig(func(raw []byte) []byte { return bytes.ReplaceAll(raw, []byte("20001"), []byte("20002")) })
		}, true},
		"deleted": {func(b *bench) {
			if err := b.client.Delete(b.t.Context(), b.secret("one-kubeconfig")); err != nil {
				b.t.Fatal(err)
			}
		}, true},
		"of another authority": {func(b *bench) {
			b.spoilKubeconfig(func([]byte) []byte { return foreignKubeconfig(b.t) })
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, cluster(), localControlPlane(), placedCluster())
			b.planes.seen = alive
			b.settle(b.controlPlanes)
			test.spoil(b)
			b.events = nil
			b.settle(b.controlPlanes)
			after := b.secret("one-kubeconfig")
			if again := slices.ContainsFunc(b.events, func(e string) bool { return strings.HasSuffix(e, "*v1.Secret one-kubeconfig") }); again != test.again {
				t.Errorf("written again: %v, want %v", again, test.again)
			}
			if _, err := checkKubeconfig(after.Data["value"], b.planes.want.Authorities, controlplane.Endpoint{Host: "127.0.0.1", Port: port}); err != nil {
				t.Errorf("the kubeconfig is not good: %v", err)
			}
			checkClusterSecret(t, after)
		})
	}
}

func TestAuthoritiesAreReused(t *testing.T) {
	b := newBench(t, cluster(), localControlPlane(), placedCluster())
	b.planes.seen = alive
	b.settle(b.controlPlanes)
	first := *b.planes.want.Authorities
	for _, name := range []string{"one-ca", "one-proxy", "one-sa"} {
		checkClusterSecret(t, b.secret(name))
	}
	// Secrets restored from a backup name an owner that no longer exists.
	restored := b.secret("one-ca")
	restored.OwnerReferences[0].UID = "earlier-uid"
	restored.Labels = nil
	if err := b.client.Update(t.Context(), restored); err != nil {
		t.Fatal(err)
	}
	b.settle(b.controlPlanes)
	if diff := cmp.Diff(first, *b.planes.want.Authorities); diff != "" {
		t.Error("the keys changed")
	}
	checkClusterSecret(t, b.secret("one-ca"))
}

func TestSecretWithAnotherController(t *testing.T) {
	b := newBench(t, cluster(), localControlPlane(), placedCluster())
	b.planes.seen = alive
	b.settle(b.controlPlanes)
	shared := b.secret("one-ca")
	shared.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "other-uid", Controller: ptr.To(true)},
	}
	if err := b.client.Update(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	b.settle(b.controlPlanes)
	owners := b.secret("one-ca").OwnerReferences
	if len(owners) != 2 || owners[1].UID != "plane-uid" || ptr.Deref(owners[1].Controller, false) {
		t.Errorf("owners %+v, want the other controller and a plain reference to ours", owners)
	}
}

func TestUnusableAuthority(t *testing.T) {
	b := newBench(t, cluster(), localControlPlane(), placedCluster(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "one-ca"},
		Type:       clusterv1.ClusterSecretType,
		Data:       map[string][]byte{"tls.crt": []byte("only a certificate")},
	})
	var err error
	for range 3 { // past the finalizer and the Paused condition
		_, err = b.controlPlanes.Reconcile(t.Context(), requestFor())
	}
	if err == nil || !strings.Contains(err.Error(), "fleet/one-ca") || strings.Contains(err.Error(), "only a certificate") {
		t.Errorf("error %v, want one that names the Secret and nothing of its content", err)
	}
	if got := conditions.GetReason(b.controlPlane(), controlplanev1.CertificatesAvailableCondition); got != controlplanev1.SecretsFailedReason {
		t.Errorf("reason %q", got)
	}
	if b.planes.want != nil {
		t.Error("a plane was started without keys")
	}
}

func checkClusterSecret(t *testing.T, secret *corev1.Secret) {
	t.Helper()
	if secret.Type != clusterv1.ClusterSecretType || secret.Labels[clusterv1.ClusterNameLabel] != name {
		t.Errorf("Secret %s has type %s and labels %v", secret.Name, secret.Type, secret.Labels)
	}
	if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != "plane-uid" {
		t.Errorf("Secret %s has owners %v", secret.Name, secret.OwnerReferences)
	}
}

func (b *bench) secret(name string) *corev1.Secret {
	b.t.Helper()
	secret := &corev1.Secret{}
	if err := b.client.Get(b.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
		b.t.Fatal(err)
	}
	return secret
}

func (b *bench) spoilKubeconfig(spoil func([]byte) []byte) {
	b.t.Helper()
	secret := b.secret("one-kubeconfig")
	secret.Data["value"] = spoil(secret.Data["value"])
	if err := b.client.Update(b.t.Context(), secret); err != nil {
		b.t.Fatal(err)
	}
}

func foreignKubeconfig(t *testing.T) []byte {
	t.Helper()
	other, err := controlplane.GenerateAuthorities(name, now)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := controlplane.KubeconfigFor(other, name, controlplane.Endpoint{Host: "127.0.0.1", Port: port}, controlplane.Admin, now)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func proxyPair(t *testing.T) map[string][]byte {
	t.Helper()
	a, err := controlplane.GenerateAuthorities("users-own", now)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"tls.crt": a.FrontProxy.Cert, "tls.key": a.FrontProxy.Key}
}
