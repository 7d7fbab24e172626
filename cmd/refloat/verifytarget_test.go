package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

const shopState = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: a}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: shop}
data: {colour: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: shop}
stringData: {password: canary-one}
`

// plane is a control plane with the state applied, its kubeconfig and the repository.
func plane(t *testing.T) (client kubernetes.Interface, kubeconfig, repository string) {
	t.Helper()
	p, err := planetest.Start(t.Context(), planetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	repository, kubeconfig = filepath.Join(dir, "repository"), filepath.Join(dir, "kubeconfig")
	must(t, os.MkdirAll(filepath.Join(repository, "state"), 0o700))
	must(t, os.WriteFile(filepath.Join(repository, "state", "shop.yaml"), []byte(shopState), 0o600))
	snapshot, err := source.Directory(repository)
	must(t, err)
	rendered, err := render.Render(t.Context(), snapshot, []string{"state"}, render.Options{})
	must(t, err)
	graph, err := order.Build(rendered.Objects, order.Options{Simulated: true})
	must(t, err)
	_, err = apply.Run(t.Context(), graph, apply.Options{Config: p.Config, Simulated: true, Timeout: time.Minute})
	must(t, err)
	must(t, clientcmd.WriteToFile(api.Config{
		CurrentContext: "x", Contexts: map[string]*api.Context{"x": {Cluster: "x", AuthInfo: "x"}},
		Clusters:  map[string]*api.Cluster{"x": {Server: p.Config.Host, CertificateAuthorityData: p.Config.CAData}},
		AuthInfos: map[string]*api.AuthInfo{"x": {ClientCertificateData: p.Config.CertData, ClientKeyData: p.Config.KeyData, Token: p.Config.BearerToken}},
	}, kubeconfig))
	client, err = kubernetes.NewForConfig(p.Config)
	must(t, err)
	return client, kubeconfig, repository
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestVerifyAnyClusterAndCheckItsCertificate(t *testing.T) {
	client, kubeconfig, repository := plane(t)
	dir := t.TempDir()
	private, public := keyPair(t, dir, "key")
	file := filepath.Join(dir, "it.certificate.json")
	run := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := execute(t.Context(), args, terminal{In: strings.NewReader(""), Out: &out, Err: &errs})
		return code, out.String(), errs.String()
	}
	base := []string{"verify", "--target-kubeconfig", kubeconfig, "--target-simulated", "--git", repository, "--path", "state"}
	code, out, errs := run(append(base, "--thorough", "--signing-key", private, "--certificate", file, "--stable-for", "1s")...)
	if code != 0 || !strings.Contains(out, "3 of 3 objects match") || !strings.Contains(errs, "to stay healthy for 1s") {
		t.Fatalf("exit %d\nout: %s\nerr: %s", code, out, errs)
	}
	if code, out, errs := run("certificate", "check", file, "--key", public); code != 0 || !strings.Contains(out, "thorough") || !strings.Contains(out, "1s") {
		t.Errorf("exit %d\nout: %s\nerr: %s", code, out, errs)
	}

	patch := func(resource, body string) {
		t.Helper()
		o := metav1.PatchOptions{FieldManager: "kubectl-edit"}
		var err error
		if resource == "secrets" {
			_, err = client.CoreV1().Secrets("shop").Patch(t.Context(), "key", types.MergePatchType, []byte(body), o)
		} else {
			_, err = client.CoreV1().ConfigMaps("shop").Patch(t.Context(), "web", types.MergePatchType, []byte(body), o)
		}
		must(t, err)
	}
	patch("configmaps", `{"data":{"colour":"red"}}`)
	patch("secrets", `{"stringData":{"password":"canary-two"}}`)
	code, out, _ = run(append(base, "-o", "json", "--signing-key", private, "--certificate", file)...)
	var v struct {
		Matches                    bool
		Rendered, Matched, Changed int
		Details                    struct {
			Changed []struct {
				ID      string
				Changes []struct{ Path, Rendered, Live, Manager, Time string }
			}
		}
		Certificate json.RawMessage
	}
	must(t, json.Unmarshal([]byte(out), &v))
	if code != 1 || v.Matches || v.Rendered != 3 || v.Matched != 1 || v.Changed != 2 || len(v.Certificate) == 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	if c := v.Details.Changed[0].Changes[0]; c.Path != "data.colour" || c.Rendered != `"blue"` || c.Live != `"red"` || c.Manager != "kubectl-edit" || c.Time == "" {
		t.Errorf("change %+v", c)
	}
	if c := v.Details.Changed[1].Changes[0]; c.Path != "data.password" || c.Rendered+c.Live != "" || c.Manager != "kubectl-edit" {
		t.Errorf("change %+v", c)
	}
	for _, text := range []string{"canary", "Y2FuYXJ5"} {
		if strings.Contains(out, text) {
			t.Errorf("a value of a Secret is shown:\n%s", out)
		}
	}
	if code, out, _ := run("certificate", "check", file, "--key", public); code != 1 || !strings.Contains(out, "DIFFERS") {
		t.Errorf("exit %d\n%s", code, out)
	}

	patch("configmaps", `{"data":{"colour":"blue"}}`)
	patch("secrets", `{"stringData":{"password":"canary-one"}}`)
	_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}, metav1.CreateOptions{})
	must(t, err)
	if code, out, _ := run(base...); code != 1 || !strings.Contains(out, "extra         Namespace mine") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, out, _ := run(append(base, "--allow-extra")...); code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
}
