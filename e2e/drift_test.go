package e2e

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestVerifyFindsDrift changes a field and deletes an object by hand, and adds another.
func TestVerifyFindsDrift(t *testing.T) {
	const name = "drifting"
	repo := newRepository(t, filesOf(t, "../examples/shop", "state/"))
	box.must(t, "rebuild", "-f", repo.plan(t, name, "", "state"), "--confirm", name)
	box.must(t, "verify", name, "-n", "default")

	kube := kubernetes.NewForConfigOrDie(workload(t, name))
	if _, err := kube.AppsV1().Deployments("shop").Patch(t.Context(), "catalogue", types.MergePatchType,
		[]byte(`{"spec":{"replicas":1}}`), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
	if err := kube.CoreV1().ServiceAccounts("shop").Delete(t.Context(), "catalogue", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.CoreV1().Namespaces().Patch(t.Context(), "stranger", types.ApplyPatchType,
		[]byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"stranger"}}`), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
	r := box.run(t, "verify", name, "-n", "default")
	if r.code != 1 {
		t.Errorf("verify of a drifted cluster: exit code %d, want 1\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, want := range []string{
		"missing", "ServiceAccount shop/catalogue",
		"changed", "Deployment.apps shop/catalogue", "spec.replicas",
		"extra", "Namespace stranger",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("verify does not say %q:\n%s", want, r.stdout)
		}
	}
	// What was changed is in no repository, so the cluster stays until somebody takes that.
	r = box.run(t, "teardown", name, "-n", "default", "--confirm", name)
	if r.code != 1 || !strings.Contains(r.stderr, "Namespace stranger") {
		t.Errorf("teardown of a drifted cluster: exit code %d\n%s", r.code, r.stderr)
	}
	warnOfLosses(t, name)
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
}

// warnOfLosses lets a plan's cluster go, whatever is lost with it.
func warnOfLosses(t *testing.T, plan string) {
	t.Helper()
	o := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: plan}}
	if err := managementClient(t).Patch(t.Context(), o, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"teardown":{"loss":{"policy":"Warn"}}}}`))); err != nil {
		t.Fatal(err)
	}
}
