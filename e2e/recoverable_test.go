package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestRecoverable: a repository breaks while nothing happens to its cluster. The plan says so
// at its next evaluation, by itself, and that it is mended when somebody asks. No evaluation
// makes or changes anything but the status of the plan.
func TestRecoverable(t *testing.T) {
	const name = "looked-at"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	c := managementClient(t)
	plan := &v1alpha1.RecoveryPlan{}
	text, err := os.ReadFile(repo.plan(t, name, "  evaluate: {every: 1m, maxDrillAge: 24h}\n", "state"))
	if err == nil {
		err = yaml.Unmarshal(text, plan)
	}
	if err == nil {
		err = c.Create(t.Context(), plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	good := becomes(t, c, name, metav1.ConditionTrue)
	if r := good.Status.Recoverability; len(r.Blockers) != 1 || r.Blockers[0].Check != "LastDrill" || r.Commit != repo.git(t, "rev-parse", "HEAD") || r.NextAt == nil {
		t.Errorf("it found %+v", r)
	}

	repo.commit(t, map[string]string{"state/a.yaml": aNamespace + "---\nkind: [broken\n"})
	bad := becomes(t, c, name, metav1.ConditionFalse)
	if r := bad.Status.Recoverability; r.Blockers[0].Check != "Rendering" || !strings.Contains(r.Blockers[0].Message, "state/a.yaml") || bad.Status.Recoverability.EvaluatedAt.Sub(good.Status.Recoverability.EvaluatedAt.Time) > 75*time.Second {
		t.Errorf("it found %+v", r)
	}
	if out := box.must(t, "get", "plans", name, "-n", "default").stdout; !strings.Contains(out, "RECOVERABLE") || !strings.Contains(out, "no (1 blocker)") {
		t.Errorf("get plans:\n%s", out)
	}
	if r := box.run(t, "check", name, "-n", "default"); r.code != 1 || !strings.Contains(r.stdout, "Blocker  Rendering") {
		t.Errorf("check: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}

	repo.commit(t, map[string]string{"state/a.yaml": aNamespace})
	out := box.must(t, "check", name, "-n", "default", "--now", "-o", "json").stdout
	var answer struct {
		Recoverable string
		Commit      string
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Recoverable != "True" || answer.Commit != repo.git(t, "rev-parse", "HEAD") {
		t.Errorf("check --now: %v\n%s", err, out)
	}
	if r := box.run(t, "check", "nobody", "-n", "default"); r.code != 2 {
		t.Errorf("check of no plan: exit code %d", r.code)
	}
	if err := c.Delete(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	tried := false
	for _, e := range readAudit(t, filepath.Join(box.dir, "management")) {
		_, ours := accountOf(e)
		written := e.Verb == "create" || e.Verb == "update" || e.Verb == "patch" || e.Verb == "delete" || e.Verb == "deletecollection"
		dry := strings.Contains(e.RequestURI, "dryRun=All")
		tried = tried || ours && dry && e.ObjectRef.Name == name && e.ObjectRef.Resource == "clusters"
		if ours && written && !dry && e.ObjectRef.Name == name && !(e.ObjectRef.Resource == "recoveryplans" && e.ObjectRef.Subresource == "status") {
			t.Errorf("an evaluation wrote: %s %s", e.Verb, e.RequestURI)
		}
	}
	if !tried {
		t.Error("no evaluation tried whether the management cluster takes the cluster's manifests")
	}
}

// becomes waits until an evaluation of a plan ends that way.
func becomes(t *testing.T, c client.WithWatch, name string, status metav1.ConditionStatus) *v1alpha1.RecoveryPlan {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	events, err := c.Watch(ctx, &v1alpha1.RecoveryPlanList{}, &client.ListOptions{
		Namespace: "default", FieldSelector: fields.OneTermEqualSelector("metadata.name", name)})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	var last *v1alpha1.RecoveryPlan
	for e := range events.ResultChan() {
		plan, ok := e.Object.(*v1alpha1.RecoveryPlan)
		if !ok {
			continue
		}
		last = plan
		if meta.IsStatusConditionPresentAndEqual(plan.Status.Conditions, v1alpha1.ConditionRecoverable, status) {
			return plan
		}
	}
	t.Fatalf("the plan never had Recoverable %s: %+v", status, last)
	return nil
}
