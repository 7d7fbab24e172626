package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// report is what the tests read of a run's report.
type report struct {
	Result              string  `json:"result"`
	Commit              string  `json:"commit"`
	RecoveryTimeSeconds float64 `json:"recoveryTimeSeconds"`
	Phases              []struct {
		Name    string  `json:"name"`
		Seconds float64 `json:"seconds"`
	} `json:"phases"`
	Waves []struct {
		Objects []struct {
			ID      string `json:"id"`
			Status  string `json:"status"`
			Adopted bool   `json:"adopted"`
		} `json:"objects"`
	} `json:"waves"`
	Verification struct {
		Rendered, Matched, Skipped, Missing, Changed, Extra, Healthy, NotProvable int
	} `json:"verification"`
}

func parseReport(t *testing.T, data string) report {
	t.Helper()
	var r report
	if err := json.Unmarshal([]byte(data), &r); err != nil {
		t.Fatalf("report: %v\n%s", err, data)
	}
	return r
}

// assertVerified checks that the report claims a complete match, and that the claim
// adds up.
func assertVerified(t *testing.T, r report) {
	t.Helper()
	v := r.Verification
	if r.Result != "Succeeded" || r.Commit == "" || r.RecoveryTimeSeconds <= 0 {
		t.Errorf("result %q, commit %q, recovery time %v: want a success with both", r.Result, r.Commit, r.RecoveryTimeSeconds)
	}
	objects := 0
	for _, w := range r.Waves {
		objects += len(w.Objects)
	}
	if v.Matched == 0 || v.Matched+v.Skipped != v.Rendered || objects != v.Rendered {
		t.Errorf("%d rendered, %d matched or need not exist, %d in waves: want all the same and more than none", v.Rendered, v.Matched+v.Skipped, objects)
	}
	if v.Missing+v.Changed+v.Extra != 0 {
		t.Errorf("%d missing, %d changed, %d extra on a fresh cluster: want none", v.Missing, v.Changed, v.Extra)
	}
	if v.Healthy+v.NotProvable < v.Matched {
		t.Errorf("%d healthy and %d not provable of %d: want all", v.Healthy, v.NotProvable, v.Matched)
	}
}

// repositories are real ones that nobody here wrote, where the shared folder is there,
// and the example of this repository, which always is.
func repositories(t *testing.T) map[string]*repository {
	repos := map[string]*repository{
		"shop": newRepository(t, filesOf(t, "../examples/shop", "state/")),
	}
	cases := os.Getenv("CASES")
	if cases == "" {
		cases = "../../shared/cases"
	}
	if _, err := os.Stat(cases); err != nil {
		t.Logf("%s is not there: only the example of this repository is rebuilt", cases)
		return repos
	}
	repos["kube-prometheus"] = newRepository(t, filesOf(t, filepath.Join(cases, "kube-prometheus"), "state/"))
	boutique := filesOf(t, filepath.Join(cases, "online-boutique", "kustomize"), "kustomize/")
	boutique["state/kustomization.yaml"] = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: default
resources: [../kustomize/base]
components:
  - ../kustomize/components/network-policies
  - ../kustomize/components/non-public-frontend
  - ../kustomize/components/single-shared-session
  - ../kustomize/components/without-loadgenerator
  - ../kustomize/components/cymbal-branding
`
	repos["online-boutique"] = newRepository(t, boutique)
	flux := filesOf(t, filepath.Join(cases, "flux-example"), "")
	// Its plain part; TestRebuildFromFlux rebuilds the whole from its Flux entry points.
	// The kinds come with charts, which are not in the repository.
	inCluster := func(definition string) string {
		return strings.Replace(definition, "scope: Namespaced", "scope: Cluster", 1)
	}
	flux["state/definitions.yaml"] = inCluster(definition("cert-manager.io", "v1", "ClusterIssuer")) +
		inCluster(definition("gateway.networking.k8s.io", "v1", "GatewayClass")) +
		definition("gateway.networking.k8s.io", "v1", "Gateway") +
		"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: envoy-gateway-system}\n"
	flux["state/kustomization.yaml"] = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - definitions.yaml
  - ../infrastructure/configs
`
	repos["flux-example"] = newRepository(t, flux)
	return repos
}

// definition of a kind whose schema does not matter here.
func definition(group, version, kind string) string {
	plural := strings.TrimSuffix(strings.ToLower(kind), "y") + "s"
	if strings.HasSuffix(kind, "y") {
		plural = strings.TrimSuffix(plural, "s") + "ies"
	}
	return fmt.Sprintf(`---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[1]s.%[2]s, annotations: {api-approved.kubernetes.io: "unapproved, a stand-in"}}
spec:
  group: %[2]s
  scope: Namespaced
  names: {kind: %[3]s, listKind: %[3]sList, plural: %[1]s, singular: %[4]s}
  versions:
    - name: %[5]s
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, plural, group, kind, strings.ToLower(kind), version)
}

// TestRebuildRepositories rebuilds, verifies, tears down and rebuilds again, for every
// repository at hand.
func TestRebuildRepositories(t *testing.T) {
	for name, repo := range repositories(t) {
		t.Run(name, func(t *testing.T) {
			plan := repo.plan(t, name, "", "state")
			first := parseReport(t, box.must(t, "rebuild", "-f", plan, "--confirm", name, "-o", "json").stdout)
			assertVerified(t, first)
			uid := clusterUID(t, name)

			second := parseReport(t, box.must(t, "rebuild", name, "-n", "default", "--confirm", name, "-o", "json").stdout)
			assertVerified(t, second)
			if again := clusterUID(t, name); again == uid {
				t.Errorf("the cluster has still UID %s: it was not made anew", uid)
			}
			box.must(t, "verify", name, "-n", "default")

			box.must(t, "teardown", name, "-n", "default", "--confirm", name)
			assertGone(t, name)

			third := parseReport(t, box.must(t, "rebuild", name, "-n", "default", "--confirm", name, "-o", "json").stdout)
			assertVerified(t, third)
			box.must(t, "teardown", name, "-n", "default", "--confirm", name)
			assertGone(t, name)
		})
	}
}

var clusters = schema.GroupVersionResource{Group: "cluster.x-k8s.io", Version: "v1beta2", Resource: "clusters"}

func clusterUID(t *testing.T, name string) string {
	t.Helper()
	c, err := dynamic.NewForConfig(box.management(t))
	if err != nil {
		t.Fatal(err)
	}
	u, err := c.Resource(clusters).Namespace("default").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return string(u.GetUID())
}

// assertGone checks that nothing of a cluster is left: objects, Secrets, processes.
func assertGone(t *testing.T, name string) {
	t.Helper()
	config := box.management(t)
	c, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resource(clusters).Namespace("default").Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("Cluster %s: want not found, got %v", name, err)
	}
	kube := kubernetes.NewForConfigOrDie(config)
	secrets, err := kube.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{LabelSelector: "cluster.x-k8s.io/cluster-name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets.Items {
		t.Errorf("Secret %s is left", s.Name)
	}
	if left, err := filepath.Glob(box.clusterFiles(name) + "*"); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	if left := processesOf(box.clusterFiles(name)); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// workload returns a client configuration of a cluster that a run made.
func workload(t *testing.T, name string) *rest.Config {
	t.Helper()
	kube := kubernetes.NewForConfigOrDie(box.management(t))
	s, err := kube.CoreV1().Secrets("default").Get(context.Background(), name+"-kubeconfig", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(s.Data["value"])
	if err != nil {
		t.Fatal(err)
	}
	return config
}
