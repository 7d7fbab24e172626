package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// lossOf asks what would be lost and checks the exit code with it.
func lossOf(t *testing.T, name string) []string {
	t.Helper()
	r := box.run(t, "loss", name, "-n", "default", "-o", "json")
	var p struct {
		Clean bool `json:"clean"`
		Lost  []struct {
			What   string `json:"what"`
			Excuse string `json:"excuse"`
			ID     struct{ Kind, Namespace, Name string }
		} `json:"lost"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &p); err != nil {
		t.Fatalf("loss: exit code %d, %v\n%s%s", r.code, err, r.stdout, r.stderr)
	}
	if want := map[bool]int{true: 0, false: 1}[p.Clean]; r.code != want {
		t.Errorf("loss: exit code %d, clean %t", r.code, p.Clean)
	}
	if strings.Contains(r.stdout+r.stderr, secretCanary) {
		t.Error("loss tells a secret")
	}
	var out []string
	for _, i := range p.Lost {
		if i.Excuse == "" {
			out = append(out, i.What+" "+i.ID.Kind+" "+i.ID.Namespace+"/"+i.ID.Name)
		}
	}
	slices.Sort(out)
	return out
}

const secretCanary = "correct-horse-battery-staple"

// TestLossIsAdoptedBeforeTeardown makes objects by hand in a rebuilt cluster. They keep it
// from being deleted until the repository has them.
func TestLossIsAdoptedBeforeTeardown(t *testing.T) {
	const name = "precious"
	files := filesOf(t, "../examples/shop", "state/")
	repo := newRepository(t, files)
	box.must(t, "rebuild", "-f", repo.plan(t, name, "", "state"), "--confirm", name)
	before := clusterUID(t, name)
	if got := lossOf(t, name); len(got) > 0 {
		t.Fatalf("of a cluster that was just rebuilt, this would be lost: %v", got)
	}

	kube := kubernetes.NewForConfigOrDie(workload(t, name))
	byHand := metav1.CreateOptions{FieldManager: "kubectl-create"}
	_, err := kube.CoreV1().ConfigMaps("shop").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "promotion"}, Data: map[string]string{"discount": "10"}}, byHand)
	if err == nil {
		_, err = kube.CoreV1().Secrets("shop").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "payment"}, StringData: map[string]string{"key": secretCanary}}, byHand)
	}
	if err == nil {
		_, err = kube.AppsV1().Deployments("shop").Patch(t.Context(), "catalogue", types.MergePatchType, []byte(`{"metadata":{"labels":{"owner":"ada"}}}`), metav1.PatchOptions{FieldManager: "kubectl-label"})
	}
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Fields Deployment shop/catalogue", "Object ConfigMap shop/promotion", "Object Secret shop/payment"}
	if got := lossOf(t, name); !slices.Equal(got, want) {
		t.Errorf("lost %q, want %q", got, want)
	}

	id := start(t, "teardown", name, "-n", "default", "--confirm", name)
	run := await(t, id, "the end", finished)
	if f := run.Status.Failure; f == nil || f.Reason != "WouldLose" || !strings.Contains(f.Message, "ConfigMap shop/promotion, written by kubectl-create") {
		t.Errorf("the teardown: %+v", run.Status.Failure)
	}
	if clusterUID(t, name) != before {
		t.Fatal("the cluster was replaced")
	}
	if out := box.must(t, "why", id, "-n", "default").stdout; !strings.Contains(out, "refloat adopt "+name) {
		t.Errorf("why does not tell what to do:\n%s", out)
	}
	if out := box.must(t, "report", id, "-n", "default").stdout; !strings.Contains(out, "Secret shop/payment") || strings.Contains(out, secretCanary) {
		t.Errorf("the report:\n%s", out)
	}

	adopted := box.must(t, "adopt", name, "-n", "default", "--git", repo.dir, "--branch", "adopted")
	for _, say := range []string{"not written: Secret shop/payment", "not written: change state/"} {
		if !strings.Contains(adopted.stderr, say) {
			t.Errorf("adopt does not say %q:\n%s", say, adopted.stderr)
		}
	}
	repo.git(t, "merge", "--quiet", "adopted")
	left := []string{"Fields Deployment shop/catalogue", "Object Secret shop/payment"}
	if got := lossOf(t, name); !slices.Equal(got, left) {
		t.Errorf("after the merge, %q would be lost, want %q", got, left)
	}
	// The Secret is written on demand, and the label undone.
	box.must(t, "adopt", name, "-n", "default", "--git", repo.dir, "--branch", "adopted-2", "--include-secrets", "Secret/shop/payment")
	repo.git(t, "merge", "--quiet", "adopted-2")
	if _, err := kube.AppsV1().Deployments("shop").Patch(t.Context(), "catalogue", types.MergePatchType, []byte(`{"metadata":{"labels":{"owner":null}}}`), metav1.PatchOptions{FieldManager: "kubectl-label"}); err != nil {
		t.Fatal(err)
	}
	if got := lossOf(t, name); len(got) > 0 {
		t.Errorf("in the end, %q would be lost", got)
	}
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
	assertGone(t, name)
}
