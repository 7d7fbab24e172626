package controlplane

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	testTime     = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	testEndpoint = Endpoint{Host: loopback, Port: 20001}
)

func testAuthorities(t *testing.T) *Authorities {
	t.Helper()
	a, err := GenerateAuthorities("test", testTime)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func certificate(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("not PEM: %q", data)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pool(t *testing.T, authority Pair) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	p.AddCert(certificate(t, authority.Cert))
	return p
}

func TestCertificatesHoldForTheirUse(t *testing.T) {
	a := testAuthorities(t)
	server, err := a.ServerPair("kube-apiserver", testTime)
	if err != nil {
		t.Fatal(err)
	}
	client, err := a.clientPair(Admin, testTime)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := a.proxyPair(testTime)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		cert    []byte
		options x509.VerifyOptions
		valid   bool
	}{
		"server by address":       {server.Cert, x509.VerifyOptions{Roots: pool(t, a.CA), DNSName: loopback}, true},
		"server by another name":  {server.Cert, x509.VerifyOptions{Roots: pool(t, a.CA), DNSName: "example.com"}, false},
		"server as a client":      {server.Cert, x509.VerifyOptions{Roots: pool(t, a.CA), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, false},
		"client":                  {client.Cert, x509.VerifyOptions{Roots: pool(t, a.CA), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true},
		"client of another plane": {client.Cert, x509.VerifyOptions{Roots: pool(t, testAuthorities(t).CA), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, false},
		"front proxy as a user":   {proxy.Cert, x509.VerifyOptions{Roots: pool(t, a.CA), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, false},
	} {
		test.options.CurrentTime = testTime
		_, err := certificate(t, test.cert).Verify(test.options)
		if (err == nil) != test.valid {
			t.Errorf("%s: %v", name, err)
		}
	}
	subject := certificate(t, client.Cert).Subject
	if subject.CommonName != Admin.Name || !cmp.Equal(subject.Organization, Admin.Groups) {
		t.Errorf("the client is %s", subject)
	}
}

func TestKubeconfigRefersToNothing(t *testing.T) {
	data, err := KubeconfigFor(testAuthorities(t), "c1", testEndpoint, User{Name: "ann", Validity: time.Hour}, testTime)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://127.0.0.1:20001" || config.CertFile != "" || config.KeyFile != "" || config.CAFile != "" {
		t.Errorf("got %+v", config.Host)
	}
	if end := certificate(t, config.CertData).NotAfter; !end.Equal(testTime.Add(time.Hour)) {
		t.Errorf("the certificate holds until %s", end)
	}
}

func TestAuthoritiesMustFit(t *testing.T) {
	a, b := testAuthorities(t), testAuthorities(t)
	for name, ca := range map[string]Pair{
		"no certificate":      {Key: a.CA.Key},
		"no key":              {Cert: a.CA.Cert},
		"key of another":      {Cert: a.CA.Cert, Key: b.CA.Key},
		"not a key":           {Cert: a.CA.Cert, Key: a.CA.Cert},
		"certificate garbled": {Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), Key: a.CA.Key},
	} {
		broken := *a
		broken.CA = ca
		if _, err := KubeconfigFor(&broken, "c1", testEndpoint, Admin, testTime); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

// issued is what issue made in dir.
func issued(t *testing.T, k pki, wanted *Authorities, e Endpoint, now time.Time) (version string, ca []byte) {
	t.Helper()
	a, err := k.authorities("test", wanted, now)
	if err != nil {
		t.Fatal(err)
	}
	version, err = k.issue(a, "test", e, now)
	if err != nil {
		t.Fatal(err)
	}
	ca, err = os.ReadFile(filepath.Join(k.dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return version, ca
}

func TestCertificatesAreKeptUntilTheyMustChange(t *testing.T) {
	k := pki{t.TempDir()}
	first, ca := issued(t, k, nil, testEndpoint, testTime)
	if again, _ := issued(t, k, nil, testEndpoint, testTime.Add(24*time.Hour)); again != first {
		t.Error("a day later they were made anew")
	}
	late, sameCA := issued(t, k, nil, testEndpoint, testTime.Add(leafValidity-renewBefore+time.Hour))
	if late == first || !cmp.Equal(ca, sameCA) {
		t.Error("before their end the certificates must be made anew, by the same authority")
	}
	moved, _ := issued(t, k, nil, Endpoint{Host: loopback, Port: 20002}, testTime)
	if moved == late {
		t.Error("another endpoint needs other certificates")
	}
	given := testAuthorities(t)
	if other, newCA := issued(t, k, given, testEndpoint, testTime); other == moved || !cmp.Equal(newCA, given.CA.Cert) {
		t.Error("given authorities were not taken")
	}
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestInterruptedIssueIsDoneAgain(t *testing.T) {
	k := pki{t.TempDir()}
	issued(t, k, nil, testEndpoint, testTime)
	for _, name := range []string{"leaves.json", "apiserver.crt"} {
		if err := os.Remove(filepath.Join(k.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	issued(t, k, nil, testEndpoint, testTime)
	if _, err := os.Stat(filepath.Join(k.dir, "apiserver.crt")); err != nil {
		t.Fatal(err)
	}
}
