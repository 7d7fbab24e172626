package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func managementClient(t *testing.T) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(box.management(t), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start creates a run and returns its name.
func start(t *testing.T, args ...string) string {
	t.Helper()
	out := box.must(t, append(args, "--detach", "-o", "json")...).stdout
	var run v1alpha1.RecoveryRun
	if err := json.Unmarshal([]byte(out), &run); err != nil {
		t.Fatalf("created run: %v\n%s", err, out)
	}
	return run.Name
}

// await watches a run until the condition holds.
func await(t *testing.T, name, what string, holds func(*v1alpha1.RecoveryRun) bool) *v1alpha1.RecoveryRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := managementClient(t)
	var last *v1alpha1.RecoveryRun
	for ctx.Err() == nil {
		w, err := c.Watch(ctx, &v1alpha1.RecoveryRunList{}, &client.ListOptions{
			Namespace: "default", FieldSelector: fields.OneTermEqualSelector("metadata.name", name)})
		if err != nil {
			t.Fatal(err)
		}
		for event := range w.ResultChan() {
			if run, ok := event.Object.(*v1alpha1.RecoveryRun); ok {
				if last = run; holds(run) {
					w.Stop()
					return run
				}
			}
		}
	}
	t.Fatalf("run %s: waited in vain for %s; status: %+v", name, what, last.Status)
	return nil
}

func inPhase(phase v1alpha1.Phase) func(*v1alpha1.RecoveryRun) bool {
	return func(r *v1alpha1.RecoveryRun) bool {
		n := len(r.Status.Phases)
		return n > 0 && r.Status.Phases[n-1].Name == phase
	}
}

func finished(r *v1alpha1.RecoveryRun) bool { return r.Status.FinishedAt != nil }

// killController ends the controller as a power cut would.
func killController(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(box.pid(t, "controller"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// TestKillController kills the controller in the middle of a provision, of a wave and
// of a teardown. The next one finishes the run, with each object and each deletion
// done once.
func TestKillController(t *testing.T) {
	const name = "survivor"
	files := map[string]string{"state/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: many}\n"}
	var b strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: item-%04d, namespace: many}\ndata: {number: %q}\n", i, fmt.Sprint(i))
	}
	files["state/items.yaml"] = b.String()
	files["state/deployment.yaml"] = `apiVersion: apps/v1
kind: Deployment
metadata: {name: last, namespace: many, annotations: {config.kubernetes.io/depends-on: /namespaces/many/ConfigMap/item-1499}}
spec:
  selector: {matchLabels: {app: last}}
  template:
    metadata: {labels: {app: last}}
    spec: {containers: [{name: main, image: registry.example.com/last:1}]}
`
	repo := newRepository(t, files)
	plan := repo.plan(t, name, "", "state")

	run := start(t, "rebuild", "-f", plan, "--confirm", name)
	await(t, run, "Provision", inPhase(v1alpha1.PhaseProvision))
	killController(t)
	await(t, run, "some of the wave applied", func(r *v1alpha1.RecoveryRun) bool {
		return r.Status.Progress != nil && r.Status.Progress.Applied > 0 && r.Status.Progress.Applied < r.Status.Progress.Total
	})
	killController(t)
	await(t, run, "the end", finished)
	assertVerified(t, parseReport(t, box.must(t, "report", run, "-n", "default", "-o", "json").stdout))

	writes := writesBy(readAudit(t, box.planeDir(t, name)), "refloat")
	if len(writes) != 1502 {
		t.Errorf("%d objects were written, want 1502", len(writes))
	}
	for object, n := range writes {
		if n > 1 {
			t.Errorf("%s was written %d times, want once", object, n)
		}
	}

	run = start(t, "teardown", name, "-n", "default", "--confirm", name)
	await(t, run, "the deletion", func(r *v1alpha1.RecoveryRun) bool {
		return r.Status.Previous != nil && r.Status.Previous.DeleteRequestedAt != nil
	})
	killController(t)
	if r := await(t, run, "the end", finished); !succeeded(r) {
		t.Errorf("teardown after a kill: %+v", r.Status.Conditions)
	}
	assertGone(t, name)
	if n := deletionsOf(readAudit(t, filepath.Join(box.dir, "management")), name); n != 1 {
		t.Errorf("the Cluster was deleted %d times, want once", n)
	}
}

func succeeded(r *v1alpha1.RecoveryRun) bool {
	for _, c := range r.Status.Conditions {
		if c.Type == v1alpha1.ConditionSucceeded {
			return c.Status == "True"
		}
	}
	return false
}
