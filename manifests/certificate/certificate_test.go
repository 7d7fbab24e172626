package certificate

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

func privatePEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der})
}

func publicPEM(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: der})
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func statement(r *verify.Report) *Statement {
	committed := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	return New(r, Facts{
		Cluster:    Cluster{Namespace: "fleet", Name: "dev", UID: "u-1", KubeSystemUID: "k-1"},
		Repository: Repository{URL: "https://git.example/fleet.git", Commit: strings.Repeat("a", 40), CommitTime: &committed, RenderDigest: strings.Repeat("b", 64)},
		Plan:       "dev", Run: "dev-rebuild-1", RefloatVersion: "v1.2.3",
		StartedAt: committed.Add(time.Hour), FinishedAt: committed.Add(time.Hour + time.Minute),
	})
}

func clean() *verify.Report {
	return &verify.Report{Rendered: 3, Matched: 2, Skipped: 1, Healthy: 2, LiveDigest: strings.Repeat("c", 64), ClusterID: "k-1",
		StableFor: 30 * time.Second, Thorough: true,
		Exempt: []verify.Finding{{ID: manifests.ID{Kind: "Job", Namespace: "a", Name: "b"}, Rule: "a hook", Detail: "it is gone"}}}
}

func TestSignAndOpen(t *testing.T) {
	ed, ec := edKey(t), ecKey(t, elliptic.P256())
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]struct {
		private []byte
		public  crypto.PublicKey
	}{
		"Ed25519":                       {privatePEM(t, ed), ed.Public()},
		"P-256":                         {privatePEM(t, ec), ec.Public()},
		"P-256 as older tools write it": {pem.EncodeToMemory(&pem.Block{Type: ecBlock, Bytes: sec1}), ec.Public()},
	} {
		t.Run(name, func(t *testing.T) {
			signing, err := ParseSigningKey(k.private)
			if err != nil {
				t.Fatal(err)
			}
			verifying, err := ParseVerifyingKey(publicPEM(t, k.public))
			if err != nil {
				t.Fatal(err)
			}
			spki, _ := x509.MarshalPKIXPublicKey(k.public)
			sum := sha256.Sum256(spki)
			if want := hex.EncodeToString(sum[:]); signing.ID() != want || verifying.ID() != want {
				t.Errorf("key IDs %s and %s, want %s", signing.ID(), verifying.ID(), want)
			}
			made := statement(clean())
			envelope, err := Sign(t.Context(), made, signing)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := Open(t.Context(), envelope, verifying)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(made, opened); d != "" {
				t.Errorf("opened (-made +opened):\n%s", d)
			}
			if ids, err := KeyIDs(envelope); err != nil || len(ids) != 1 || ids[0] != signing.ID() {
				t.Errorf("key IDs %v, %v", ids, err)
			}
		})
	}
}

// TestSignedTextIsThatOfTheSpecification computes what DSSE says is signed, independently.
func TestSignedTextIsThatOfTheSpecification(t *testing.T) {
	key := edKey(t)
	signing, err := ParseSigningKey(privatePEM(t, key))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := Sign(t.Context(), statement(clean()), signing)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Payload, PayloadType string
		Signatures           []struct{ Keyid, Sig string }
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	payload, _ := base64.StdEncoding.DecodeString(e.Payload)
	signature, _ := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	text := fmt.Sprintf("DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(payload), payload)
	if !ed25519.Verify(key.Public().(ed25519.PublicKey), []byte(text), signature) {
		t.Error("the signature is not over the pre-authentication encoding")
	}
	if !bytes.Contains(payload, []byte(`"_type":"https://in-toto.io/Statement/v1"`)) || !bytes.Contains(payload, []byte(`"predicateType":"https://refloat.dev/certificate/v1"`)) {
		t.Errorf("payload %s", payload)
	}
}

func TestOpenRefuses(t *testing.T) {
	key := edKey(t)
	signing, err := ParseSigningKey(privatePEM(t, key))
	if err != nil {
		t.Fatal(err)
	}
	verifying, err := ParseVerifyingKey(publicPEM(t, key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	other, err := ParseVerifyingKey(publicPEM(t, edKey(t).Public()))
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := Sign(t.Context(), statement(clean()), signing)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(e map[string]any)) []byte {
		e := map[string]any{}
		if err := json.Unmarshal(envelope, &e); err != nil {
			t.Fatal(err)
		}
		change(e)
		out, _ := json.Marshal(e)
		return out
	}
	foreign := *statement(clean())
	foreign.PredicateType = "https://slsa.dev/provenance/v1"
	signedForeign, err := Sign(t.Context(), &foreign, signing)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		envelope []byte
		key      *VerifyingKey
		forged   bool
		want     string
	}{
		"other key": {envelope, other, true, "signature does not verify"},
		"changed payload": {edit(func(e map[string]any) {
			text, _ := base64.StdEncoding.DecodeString(e["payload"].(string))
			e["payload"] = base64.StdEncoding.EncodeToString(bytes.Replace(text, []byte("Matches"), []byte("Differs"), 1))
		}), verifying, true, "signature does not verify"},
		"no signature":       {edit(func(e map[string]any) { e["signatures"] = []any{} }), verifying, false, "no DSSE envelope"},
		"other payload type": {edit(func(e map[string]any) { e["payloadType"] = "text/plain" }), verifying, false, "payload type"},
		"many signatures": {edit(func(e map[string]any) {
			e["signatures"] = bytes.Split(bytes.Repeat([]byte("x "), 20), []byte(" "))
		}), verifying, false, ""},
		"no JSON":      {[]byte("hello"), verifying, false, "no DSSE envelope"},
		"empty":        {nil, verifying, false, "no DSSE envelope"},
		"too large":    {bytes.Repeat([]byte("x"), maxEnvelope+1), verifying, false, "more than"},
		"other claims": {signedForeign, verifying, false, "no certificate of Refloat"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := Open(context.Background(), tc.envelope, tc.key)
			if err == nil || s != nil || errors.Is(err, ErrSignature) != tc.forged || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("statement %v, error %v; want one with %q", s, err, tc.want)
			}
		})
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	ed := edKey(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const canary = "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"
	broken := []byte("-----BEGIN PRIVATE KEY-----\n" + canary + "\n-----END PRIVATE KEY-----\n")
	for name, tc := range map[string]struct {
		text []byte
		want string
	}{
		"public":     {publicPEM(t, ed.Public()), "it is a public key"},
		"encrypted":  {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte(canary)}), "it is encrypted"},
		"RSA":        {privatePEM(t, rsaKey), "use Ed25519, or ECDSA over P-256"},
		"P-384":      {privatePEM(t, ecKey(t, elliptic.P384())), "over P-384"},
		"no PEM":     {[]byte(canary), "not in PEM form"},
		"broken":     {broken, "no private key that can be read"},
		"two":        {append(privatePEM(t, ed), privatePEM(t, ed)...), "more than one"},
		"other kind": {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), `the PEM block is "CERTIFICATE"`},
		"too large":  {bytes.Repeat([]byte("x"), maxKey+1), "more than"},
		"empty":      {nil, "not in PEM form"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := ParseSigningKey(tc.text)
			if err == nil || k != nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("key %v, error %v; want one with %q", k, err, tc.want)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "canary") {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
	if _, err := ParseVerifyingKey(privatePEM(t, ed)); err == nil || !strings.Contains(err.Error(), "it is a private key") {
		t.Errorf("a private key to verify with: %v", err)
	}
}

func TestAKeyNeverPrints(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	signing, err := ParseSigningKey(privatePEM(t, key))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, signing); got != "key "+signing.ID() {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func TestStatementSaysWhatWasFound(t *testing.T) {
	s := statement(clean())
	if s.Predicate.Verdict != Matches || s.Predicate.Mode != Thorough || s.Predicate.StableSeconds != 30 ||
		s.Subject[0].Digest["sha256"] != strings.Repeat("c", 64) || len(s.Predicate.Exempt) != 1 || s.Predicate.Exempt[0].Rule != "a hook" {
		t.Errorf("statement %+v", s)
	}
	differs := clean()
	differs.Matched, differs.LiveDigest = 1, ""
	differs.Missing = []verify.Finding{{ID: manifests.ID{Kind: "ConfigMap", Name: "x"}}}
	s = statement(differs)
	if s.Predicate.Verdict != Differs || s.Predicate.LiveDigest != "" || s.Predicate.Counts.Missing != 1 {
		t.Errorf("statement %+v", s)
	}
}

func TestListsAreBounded(t *testing.T) {
	r := clean()
	for range 1000 {
		r.Weak = append(r.Weak, verify.Finding{Detail: strings.Repeat("é", 1000)})
	}
	s := statement(r)
	if len(s.Predicate.Weak) != maxItems || s.Predicate.Counts.Weak != 1000 || len(s.Predicate.Weak[0].Detail) > maxDetail+3 {
		t.Errorf("%d items of %d, detail of %d bytes", len(s.Predicate.Weak), s.Predicate.Counts.Weak, len(s.Predicate.Weak[0].Detail))
	}
}

func FuzzOpen(f *testing.F) {
	key := edKey(f)
	signing, err := ParseSigningKey(privatePEM(f, key))
	if err != nil {
		f.Fatal(err)
	}
	verifying, err := ParseVerifyingKey(publicPEM(f, key.Public()))
	if err != nil {
		f.Fatal(err)
	}
	envelope, err := Sign(f.Context(), statement(clean()), signing)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(envelope)
	f.Add([]byte(`{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Open(t.Context(), text, verifying)
		if (s == nil) == (err == nil) {
			t.Errorf("statement %v, error %v", s, err)
		}
	})
}
