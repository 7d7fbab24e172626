package controller

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/certificate"
	"github.com/refloat-dev/refloat/recovery/report"
)

// certifying is a plan that asks for all that verification can do, and the public key.
func certifying(t *testing.T, w *world) *certificate.VerifyingKey {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat("canary!!", 4)))
	private, err := x509.MarshalPKCS8PrivateKey(key)
	w.must(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	w.must(err)
	w.must(w.store.Store.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "signing"},
		Data:       map[string][]byte{signingKeyField: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})},
	}))
	w.plan(func(p *v1alpha1.RecoveryPlan) {
		p.Spec.Verify = v1alpha1.VerifyPolicy{
			Thorough: true, StableFor: &metav1.Duration{Duration: 30 * time.Second},
			Certificate: &v1alpha1.CertificatePolicy{SecretRef: v1alpha1.LocalSecretReference{Name: "signing"}},
		}
	})
	verifying, err := certificate.ParseVerifyingKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	w.must(err)
	return verifying
}

func TestVerifiedRunIsCertified(t *testing.T) {
	w := newWorld(t)
	key := certifying(t, w)
	w.order("run", v1alpha1.OperationRebuild)
	run := w.finish("run")
	if s := w.engine.settings; !s.Thorough || s.StableFor != 30*time.Second {
		t.Errorf("settings %+v", s)
	}
	r := w.report(run)
	s, err := certificate.Open(t.Context(), r.Certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	p, target := s.Predicate, run.Status.Target
	if p.Verdict != certificate.Matches || p.Run != "run" || p.Plan != "plan" || p.Cluster.UID != string(target.UID) ||
		p.Cluster.KubeSystemUID != string(target.KubeSystemUID) || p.Repository.URL != "https://git.example.com/fleet.git" {
		t.Errorf("predicate %+v of %+v", p, target)
	}
	if run.Status.Verification.CertificateKeyID != key.ID() {
		t.Errorf("verification %+v, want key %s", run.Status.Verification, key.ID())
	}
	text, err := r.JSON()
	w.must(err)
	if strings.Contains(fmt.Sprintf("%+v %s", run, text), "canary") {
		t.Error("the signing key is in the status or the report")
	}
}

func TestNoCertificateOfADifference(t *testing.T) {
	w := newWorld(t)
	certifying(t, w)
	w.engine.verdict = &report.Verification{Rendered: 3, Matched: 2, Changed: 1}
	w.order("run", v1alpha1.OperationRebuild)
	run := w.finish("run")
	if run.Status.Failure == nil || len(w.report(run).Certificate) > 0 || run.Status.Verification.CertificateKeyID != "" {
		t.Errorf("failure %+v, certificate %s", run.Status.Failure, w.report(run).Certificate)
	}
}

func TestSigningKeyIsCheckedBeforeAnythingIsDestroyed(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.Secret)
		want   string
	}{
		"another field": {func(s *corev1.Secret) { s.Data = map[string][]byte{"tls.key": nil} }, "has no key key.pem"},
		"no key":        {func(s *corev1.Secret) { s.Data[signingKeyField] = []byte("canary") }, "not in PEM form"},
		"no Secret":     {nil, "Secret fleet/signing, which the plan names in spec.verify.certificate.secretRef, does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			certifying(t, w)
			w.existing(earlier)
			held := &corev1.Secret{}
			w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "signing"}, held))
			if test.change == nil {
				w.must(w.store.Store.Delete(t.Context(), held))
			} else {
				test.change(held)
				w.must(w.store.Store.Update(t.Context(), held))
			}
			w.order("run", v1alpha1.OperationRebuild)
			f := w.finish("run").Status.Failure
			if f == nil || f.Phase != v1alpha1.PhasePreflight || !strings.Contains(f.Message, test.want) || strings.Contains(f.Message, "canary") {
				t.Errorf("failure %+v, want one in Preflight with %q", f, test.want)
			}
			if len(w.deletes) > 0 {
				t.Errorf("deleted %v", w.deletes)
			}
		})
	}
}

func TestLostSigningKeyCostsOnlyTheCertificate(t *testing.T) {
	w := newWorld(t)
	certifying(t, w)
	w.order("run", v1alpha1.OperationRebuild)
	w.until("run", "the cluster", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Target != nil && run.Status.Target.UID != "" })
	w.must(w.store.Store.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "signing"}}))
	run := w.finish("run")
	r := w.report(run)
	if run.Status.Failure != nil || len(r.Certificate) > 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "no certificate was made: Secret fleet/signing") {
		t.Errorf("failure %+v, notes %q, certificate %s", run.Status.Failure, r.Notes, r.Certificate)
	}
}
