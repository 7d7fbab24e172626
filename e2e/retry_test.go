package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestRetry mends the repository after a rebuild that failed, and goes on with its cluster.
func TestRetry(t *testing.T) {
	const name = "retried"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace, "state/b.yaml": `
apiVersion: v1
kind: Service
metadata: {name: broken, namespace: default}
spec: {ports: [{port: 70000}]}
`})
	r := box.run(t, "rebuild", "-f", repo.plan(t, name, "", "state"), "--confirm", name)
	if r.code != 1 || !strings.Contains(r.stderr, "refloat retry "+name) && !strings.Contains(r.stderr, "Service default/broken") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	failed := box.must(t, "get", "runs", "-n", "default", "-o", "json").stdout
	id := runOf(t, failed, name)
	before := clusterUID(t, name)
	if why := box.run(t, "why", id, "-n", "default").stdout; !strings.Contains(why, "refloat retry "+id) {
		t.Errorf("why does not speak of a retry:\n%s", why)
	}

	commit := repo.commit(t, map[string]string{"state/b.yaml": `
apiVersion: v1
kind: Service
metadata: {name: broken, namespace: default}
spec: {ports: [{port: 7000}]}
`})
	out := t.TempDir()
	again := box.must(t, "retry", id, "-n", "default", "--report-dir", out)
	if after := clusterUID(t, name); after != before {
		t.Errorf("the retry made another cluster: %s, then %s", before, after)
	}
	if !strings.Contains(again.stdout+again.stderr, commit[:12]) {
		t.Errorf("it does not speak of commit %s:\n%s%s", commit, again.stdout, again.stderr)
	}
	box.must(t, "verify", name, "-n", "default")
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
	if r := box.run(t, "retry", id, "-n", "default"); r.code != 1 || !strings.Contains(r.stderr, "is gone or being deleted") {
		t.Errorf("retry without the cluster: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// TestRetryOfWhatNeverBecameReady mends a Deployment that the API server took and that no
// node can run: the retry writes it anew, and leaves alone what did not change.
func TestRetryOfWhatNeverBecameReady(t *testing.T) {
	const name = "mended"
	web := func(selector string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: default}\n" +
			"spec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n" +
			"    spec:\n      containers: [{name: web, image: web}]\n" + selector
	}
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace, "state/web.yaml": web("      nodeSelector: {no: such-node}\n")})
	r := box.run(t, "rebuild", "-f", repo.plan(t, name, "  waves: {timeout: 10s}\n", "state"), "--confirm", name)
	if r.code != 1 || !strings.Contains(r.stderr, "Deployment.apps default/web") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	id := runOf(t, box.must(t, "get", "runs", "-n", "default", "-o", "json").stdout, name)
	if r := box.run(t, "verify", name, "-n", "default"); r.code != 1 || !strings.Contains(r.stderr, "run "+id+", which failed in Waves") {
		t.Errorf("verify before a run succeeded: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}

	repo.commit(t, map[string]string{"state/web.yaml": web("")})
	again := box.must(t, "retry", id, "-n", "default", "-o", "json").stdout
	report := parseReport(t, again)
	assertVerified(t, report)
	for _, wave := range report.Waves {
		for _, o := range wave.Objects {
			if changed := strings.Contains(o.ID, "web"); o.Adopted == changed {
				t.Errorf("%s: adopted %t", o.ID, o.Adopted)
			}
		}
	}
	box.must(t, "verify", name, "-n", "default")
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
}

// runOf the plan, from a list of runs.
func runOf(t *testing.T, list, plan string) string {
	t.Helper()
	var runs struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ PlanRef struct{ Name string } }
		}
	}
	if err := json.Unmarshal([]byte(list), &runs); err != nil {
		t.Fatal(err)
	}
	for _, run := range runs.Items {
		if run.Spec.PlanRef.Name == plan {
			return run.Metadata.Name
		}
	}
	t.Fatalf("no run of plan %s in %s", plan, list)
	return ""
}
