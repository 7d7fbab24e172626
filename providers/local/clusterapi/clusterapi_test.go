package clusterapi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefinitionsServeOnlyWhatTheyStore(t *testing.T) {
	definitions, err := Definitions()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, d := range definitions {
		names[d.Name] = true
		if len(d.Spec.Versions) != 1 || !d.Spec.Versions[0].Storage || !d.Spec.Versions[0].Served {
			t.Errorf("%s: want one version, served and stored", d.Name)
		}
		if d.Spec.Conversion != nil && d.Spec.Conversion.Webhook != nil {
			t.Errorf("%s wants a conversion webhook, which does not run", d.Name)
		}
	}
	for _, name := range []string{"clusters.cluster.x-k8s.io", "machinedeployments.cluster.x-k8s.io", "clusterclasses.cluster.x-k8s.io"} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestEveryWebhookPointsToThisMachine(t *testing.T) {
	c, err := read()
	if err != nil {
		t.Fatal(err)
	}
	w := Webhook{Port: 1234, CABundle: []byte("bundle")}
	checked := 0
	for _, m := range c.mutating {
		for i := range m.Webhooks {
			config := &m.Webhooks[i].ClientConfig
			w.rewrite(config)
			checked++
			if config.Service != nil || config.URL == nil || !strings.HasPrefix(*config.URL, "https://127.0.0.1:1234/mutate-") {
				t.Errorf("%s: %+v", m.Webhooks[i].Name, config)
			}
		}
	}
	if checked == 0 || len(c.validating) == 0 {
		t.Errorf("%d mutating webhooks and %d validating configurations: want some", checked, len(c.validating))
	}
}

func TestServingCertificateIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "webhook")
	first, err := ServingCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ServingCertificate(dir)
	if err != nil || string(first) != string(second) {
		t.Errorf("the second call made another bundle (%v)", err)
	}
	for _, name := range []string{certFile, keyFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
}
