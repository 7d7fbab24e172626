package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// TestSecretsStaySecret plants values in every place that a run reads secrets from and
// looks for them in everything that it writes.
func TestSecretsStaySecret(t *testing.T) {
	const name = "discreet"
	canaries := map[string]string{
		"seed":    "canary-in-a-seed",
		"state":   "canary-in-the-state",
		"refused": "canary-in-a-refused-secret",
	}
	kube := kubernetes.NewForConfigOrDie(box.management(t))
	seed := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "seed", Namespace: "default"}, StringData: map[string]string{"key": canaries["seed"]}}
	if _, err := kube.CoreV1().Secrets("default").Create(t.Context(), seed, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	good := map[string]string{
		"state/a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: inner, namespace: seeded}\nstringData: {key: " + canaries["state"] + "}\n",
	}
	const seeds = "  seeds: [{secretRef: {name: seed}, namespace: seeded}]\n"
	repo := newRepository(t, good)
	said := box.must(t, "rebuild", "-f", repo.plan(t, name, seeds, "state"), "--confirm", name, "-o", "json")
	assertVerified(t, parseReport(t, said.stdout))

	// The seed has arrived, and a changed Secret is found without being quoted.
	inner := kubernetes.NewForConfigOrDie(workload(t, name)).CoreV1().Secrets("seeded")
	if s, err := inner.Get(t.Context(), "seed", metav1.GetOptions{}); err != nil || string(s.Data["key"]) != canaries["seed"] {
		t.Errorf("the seed in the new cluster: %v", err)
	}
	changed, err := inner.Get(t.Context(), "inner", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	changed.Data["key"] = []byte("canary-set-by-hand")
	if _, err := inner.Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	verified := box.run(t, "verify", name, "-n", "default")
	if verified.code != 1 || !strings.Contains(verified.stdout, "Secret seeded/inner") {
		t.Errorf("verify of a changed Secret: exit code %d\n%s", verified.code, verified.stdout)
	}

	// The API server quotes what it refuses.
	repo.commit(t, map[string]string{"state/b.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: refused, namespace: seeded}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: " + canaries["refused"] + "}\n"})
	refused := box.run(t, "drill", name, "-n", "default")
	if refused.code != 1 || !strings.Contains(refused.stderr, "Secret seeded/refused") {
		t.Errorf("a drill with a Secret that is refused: exit code %d\n%s", refused.code, refused.stderr)
	}

	// What would be lost is named, and not quoted either.
	repo.git(t, "rm", "--quiet", "state/b.yaml")
	repo.commit(t, nil)
	lost := box.run(t, "loss", name, "-n", "default")
	kept := box.run(t, "teardown", name, "-n", "default", "--confirm", name)
	for _, r := range []result{lost, kept} {
		if r.code != 1 || !strings.Contains(r.stdout+r.stderr, "Secret seeded/inner") {
			t.Errorf("a Secret that would be lost: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
		}
	}

	written := everythingWritten(t)
	written["output"] = []byte(said.stdout + said.stderr + verified.stdout + verified.stderr + refused.stdout + refused.stderr +
		lost.stdout + lost.stderr + kept.stdout + kept.stderr)
	for place, data := range written {
		for what, canary := range canaries {
			for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))} {
				if bytes.Contains(data, []byte(form)) {
					t.Errorf("%s holds the value of the %s Secret", place, what)
				}
			}
		}
		if bytes.Contains(data, []byte("canary-set-by-hand")) {
			t.Errorf("%s holds the value that was set by hand", place)
		}
	}
	warnOfLosses(t, name)
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
}

// everythingWritten returns the logs of the sandbox and the objects that a run writes on
// the management cluster.
func everythingWritten(t *testing.T) map[string][]byte {
	t.Helper()
	written := map[string][]byte{}
	err := filepath.WalkDir(box.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.Base(path), ".log") {
			return nil //nolint:nilerr // files of clusters come and go
		}
		if data, err := os.ReadFile(path); err == nil {
			written[path] = data
		}
		return nil
	})
	if err != nil || len(written) == 0 {
		t.Fatalf("logs of the sandbox: %d, %v", len(written), err)
	}
	client, err := dynamic.NewForConfig(box.management(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range []schema.GroupVersionResource{
		{Group: "refloat.dev", Version: "v1alpha1", Resource: "recoveryruns"},
		{Group: "refloat.dev", Version: "v1alpha1", Resource: "recoveryplans"},
		{Version: "v1", Resource: "configmaps"},
		{Group: "events.k8s.io", Version: "v1", Resource: "events"},
		clusters,
	} {
		list, err := client.Resource(resource).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) == 0 && resource != clusters {
			t.Fatalf("list %s: %d, %v", resource.Resource, len(list.Items), err)
		}
		data, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		written[resource.Resource] = data
	}
	// Reports are compressed where they are stored; the command prints them.
	runs := box.must(t, "get", "runs", "-n", "default", "-o", "json")
	var parsed struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(runs.stdout), &parsed); err != nil {
		t.Fatal(err)
	}
	for _, run := range parsed.Items {
		for _, form := range []string{"json", "text", "html", "markdown", "junit"} {
			written[form+" report of "+run.Metadata.Name] = []byte(box.must(t, "report", run.Metadata.Name, "-n", "default", "-o", form).stdout)
		}
	}
	return written
}
