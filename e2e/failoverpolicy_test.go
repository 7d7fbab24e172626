package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// awaitPolicy watches a policy until the condition holds.
func awaitPolicy(t *testing.T, name, what string, holds func(*v1alpha1.FailoverPolicy) bool) *v1alpha1.FailoverPolicy {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := managementClient(t)
	last := &v1alpha1.FailoverPolicy{}
	for ctx.Err() == nil {
		w, err := c.Watch(ctx, &v1alpha1.FailoverPolicyList{}, &client.ListOptions{
			Namespace: "default", FieldSelector: fields.OneTermEqualSelector("metadata.name", name)})
		if err != nil {
			t.Fatal(err)
		}
		for event := range w.ResultChan() {
			if policy, ok := event.Object.(*v1alpha1.FailoverPolicy); ok {
				if last = policy; holds(policy) {
					w.Stop()
					return policy
				}
			}
		}
	}
	t.Fatalf("policy %s: waited in vain for %s; status: %+v", name, what, last.Status)
	return nil
}

func reason(kind, want string) func(*v1alpha1.FailoverPolicy) bool {
	return func(p *v1alpha1.FailoverPolicy) bool {
		c := meta.FindStatusCondition(p.Status.Conditions, kind)
		return c != nil && c.Reason == want
	}
}

func proposes(p *v1alpha1.FailoverPolicy) bool {
	return p.Status.Outage != nil && p.Status.Outage.OverAt == nil && p.Status.Outage.Run != ""
}

// observe a policy's cluster from a process of its own, until the test ends. It returns what
// was told, once it has ended.
func observe(t *testing.T, policy, name string) (stop func() string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), box.refloat, "observe", policy, "-n", "default", "--as", name)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(box.dir, "kubeconfig"), "HOME="+box.home)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var told bytes.Buffer
	cmd.Stderr = &told
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() string {
		if !ended {
			ended = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
			_ = cmd.Wait()
		}
		return told.String()
	}
	t.Cleanup(func() { stop() })
	return stop
}

// TestPolicyProposes watches a cluster die, from two sides. A restart makes no run. A death
// makes one, which goes away when the cluster comes back; the next one is approved, and the
// cluster of another plan takes over. Every Cluster is deleted once.
func TestPolicyProposes(t *testing.T) {
	const primary, spare = "lighthouse", "beacon"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	box.must(t, "rebuild", "-f", repo.plan(t, primary, "", "state"), "--confirm", primary)
	c := managementClient(t)
	likewise(t, c, primary, spare)
	policy := &v1alpha1.FailoverPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: primary}}
	policy.Spec = v1alpha1.FailoverPolicySpec{
		PlanRef:   v1alpha1.PlanReference{Name: primary},
		Observers: []v1alpha1.Observer{{Name: "b"}},
		Unhealthy: v1alpha1.UnhealthyRule{RecoverFor: &metav1.Duration{Duration: 2 * time.Second}},
		Cooldown:  &metav1.Duration{},
		Action:    v1alpha1.FailoverAction{Operation: v1alpha1.FailoverToStandby, To: &v1alpha1.PlanReference{Name: spare}},
	}
	if err := c.Create(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	stop := observe(t, primary, "b")
	awaitPolicy(t, primary, "a healthy cluster", reason(v1alpha1.ConditionClusterHealthy, "Alive"))

	kill(box.planeDir(t, primary)) // its supervisor starts it again
	awaitPolicy(t, primary, "a doubt", func(p *v1alpha1.FailoverPolicy) bool {
		return !meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionClusterHealthy)
	})
	if p := awaitPolicy(t, primary, "its end", reason(v1alpha1.ConditionClusterHealthy, "Alive")); p.Status.Outage != nil {
		t.Errorf("a restart is an outage: %+v", p.Status.Outage)
	}

	revive := keepDead(t, primary)
	died := time.Now()
	first := awaitPolicy(t, primary, "a proposal", proposes).Status.Outage.Run
	t.Logf("proposed %s after the death", time.Since(died).Round(10*time.Millisecond))
	await(t, first, "the approval", inPhase(v1alpha1.PhaseApproval))
	revive()
	awaitPolicy(t, primary, "the end of the outage", func(p *v1alpha1.FailoverPolicy) bool { return p.Status.Outage.OverAt != nil })
	// Either the policy takes it back, or the run itself learns first that the observer sees
	// the cluster alive.
	if r := await(t, first, "the end", finished); r.Status.Failure == nil || r.Status.Failure.Reason != "Cancelled" && r.Status.Failure.Reason != "OutageOver" {
		t.Errorf("the run of a cluster that lives: %+v", r.Status.Failure)
	}
	before := clusterUID(t, primary)

	revive = keepDead(t, primary)
	second := awaitPolicy(t, primary, "another proposal", func(p *v1alpha1.FailoverPolicy) bool { return proposes(p) && p.Status.Outage.Run != first }).Status.Outage.Run
	run := await(t, second, "the approval", func(r *v1alpha1.RecoveryRun) bool {
		return inPhase(v1alpha1.PhaseApproval)(r) && r.Status.Waiting != nil
	})
	if e := run.Spec.Proposal.Evidence; len(e) != 2 || e[0].State != v1alpha1.SignalFailing || e[1].Name != "observer/b" || run.Spec.Proposal.ClusterUID != run.Status.Previous.UID {
		t.Errorf("the evidence is %+v", e)
	}
	if clusterUID(t, primary) != before {
		t.Fatal("the cluster was replaced before anybody approved it")
	}
	if out := box.must(t, "get", "policies", primary, "-n", "default").stdout; !strings.Contains(out, "Dead") || !strings.Contains(out, second) {
		t.Errorf("get policies:\n%s", out)
	}
	box.must(t, "approve", second, "-n", "default", "--reason", "it is dead")
	r := await(t, second, "the end", finished)
	revive()
	if !succeeded(r) {
		t.Fatalf("the failover failed: %+v", r.Status.Failure)
	}
	assertGone(t, primary)
	if s := served(t, c, primary); s.Plan != spare {
		t.Errorf("the plan says %+v", s)
	}
	awaitPolicy(t, primary, "the end of the outage", func(p *v1alpha1.FailoverPolicy) bool { return p.Status.Outage.OverAt != nil })
	out := box.must(t, "report", second, "-n", "default").stdout
	for _, want := range []string{"it is dead", "api-server", "observer/b"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report says nothing of %q:\n%s", want, out)
		}
	}
	if told := stop(); !strings.Contains(told, "Healthy") || !strings.Contains(told, "Failing") {
		t.Errorf("the observer told:\n%s", told)
	}
	if r := box.run(t, "teardown", spare, "-n", "default", "--confirm", spare); r.code != 1 || !strings.Contains(r.stderr, "serves in the place of another plan's") {
		t.Errorf("a teardown of the cluster that serves: %d\n%s", r.code, r.stderr)
	}
	box.must(t, "teardown", spare, "-n", "default", "--confirm", spare, "--override-holds", "--reason", "the test is over")
	if err := c.Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	audit := readAudit(t, filepath.Join(box.dir, "management"))
	if p, s := deletionsOf(audit, primary), deletionsOf(audit, spare); p != 1 || s != 1 {
		t.Errorf("Clusters were deleted %d and %d times, want once each", p, s)
	}
}

// TestRulesOfSafety: an assertion keeps the last cluster of a group from being deleted.
func TestRulesOfSafety(t *testing.T) {
	const name = "last"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	box.must(t, "rebuild", "-f", repo.plan(t, name, "", "state"), "--confirm", name)
	c, before := managementClient(t), clusterUID(t, name)
	rule := &v1alpha1.SafetyRule{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one-serves"}}
	rule.Spec.Assertion = &v1alpha1.Assertion{Plans: []string{name, "first"}, AtLeast: 1}
	if err := c.Create(t.Context(), rule); err != nil {
		t.Fatal(err)
	}
	if r := box.run(t, "teardown", name, "-n", "default", "--confirm", name); r.code != 1 || !strings.Contains(r.stderr, "SafetyRule one-serves keeps at least 1") {
		t.Errorf("teardown of the last cluster: exit code %d\n%s", r.code, r.stderr)
	}
	if clusterUID(t, name) != before {
		t.Fatal("the last cluster was replaced")
	}
	if err := c.Delete(t.Context(), rule); err != nil {
		t.Fatal(err)
	}
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
}
