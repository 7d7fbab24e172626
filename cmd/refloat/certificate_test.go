package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/certificate"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// keyPair writes the two halves of a new key to files.
func keyPair(t *testing.T, dir, name string) (private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	open, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	private, public = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".pub")
	for file, block := range map[string]*pem.Block{private: {Type: "PRIVATE KEY", Bytes: secret}, public: {Type: "PUBLIC KEY", Bytes: open}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return private, public
}

func certificateFile(t *testing.T, file, key string, r *verify.Report) {
	t.Helper()
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := certificate.ParseSigningKey(text)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := certificate.Sign(t.Context(), certificate.New(r, certificate.Facts{
		Cluster: certificate.Cluster{Namespace: "fleet", Name: "dev"}, Repository: certificate.Repository{Commit: "abc"}}), signing)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, envelope, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCertificateCheck(t *testing.T) {
	dir := t.TempDir()
	private, public := keyPair(t, dir, "key")
	_, other := keyPair(t, dir, "other")
	match, differs, garbage := filepath.Join(dir, "match.json"), filepath.Join(dir, "differs.json"), filepath.Join(dir, "garbage.json")
	certificateFile(t, match, private, &verify.Report{Rendered: 2, Matched: 1, Skipped: 1,
		Exempt: []verify.Finding{{ID: manifests.ID{Kind: "Job", Name: "x"}, Rule: "a hook", Detail: "it is gone"}}})
	certificateFile(t, differs, private, &verify.Report{Rendered: 2, Matched: 1})
	if err := os.WriteFile(garbage, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args     []string
		code     int
		out, err string
	}{
		"match":         {[]string{match, "--key", public}, 0, "the cluster MATCHES the commit", ""},
		"exemptions":    {[]string{match, "--key", public}, 0, "exempt  Job x: it is gone (by rule: a hook)", ""},
		"as JSON":       {[]string{match, "--key", public, "-o", "json"}, 0, `"verdict": "Matches"`, ""},
		"differs":       {[]string{differs, "--key", public}, 1, "the cluster DIFFERS from the commit", ""},
		"other key":     {[]string{match, "--key", other}, 1, "", "the signature does not verify"},
		"garbage":       {[]string{garbage, "--key", public}, 2, "", "no DSSE envelope"},
		"no such file":  {[]string{filepath.Join(dir, "none"), "--key", public}, 2, "", "no such file"},
		"no key":        {[]string{match}, 2, "", "--key is missing"},
		"a private key": {[]string{match, "--key", private}, 2, "", "it is a private key"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := execute(t.Context(), append([]string{"certificate", "check"}, tc.args...), terminal{In: strings.NewReader(""), Out: &out, Err: &errs})
			if code != tc.code || !strings.Contains(out.String(), tc.out) || !strings.Contains(errs.String(), tc.err) {
				t.Errorf("exit %d, want %d\nout: %s\nerr: %s", code, tc.code, &out, &errs)
			}
		})
	}
}

func TestVerifyRefusesBadInput(t *testing.T) {
	dir := t.TempDir()
	_, public := keyPair(t, dir, "key")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"nothing":           {nil, "name either a plan"},
		"both":              {[]string{"plan", "--target-kubeconfig", "x"}, "name either a plan"},
		"no repository":     {[]string{"--target-kubeconfig", "x"}, "needs --git and --path"},
		"no such cluster":   {[]string{"--target-kubeconfig", filepath.Join(dir, "none"), "--git", dir, "--path", "."}, "--target-kubeconfig"},
		"no such key":       {[]string{"plan", "--signing-key", filepath.Join(dir, "none")}, "no such file"},
		"a public key":      {[]string{"plan", "--signing-key", public}, "it is a public key"},
		"nothing to sign":   {[]string{"plan", "--certificate", "x"}, "--certificate needs --signing-key"},
		"negative duration": {[]string{"plan", "--stable-for", "-1s"}, "must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := execute(t.Context(), append([]string{"verify"}, tc.args...), terminal{In: strings.NewReader(""), Out: &out, Err: &errs})
			if code != exitCouldNotTell || !strings.Contains(errs.String(), tc.want) || out.Len() > 0 {
				t.Errorf("exit %d\nout: %s\nerr: %s", code, &out, &errs)
			}
		})
	}
}
