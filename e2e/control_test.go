package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// as another user of the management cluster.
func as(t *testing.T, user string) client.Client {
	t.Helper()
	config := box.management(t)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func approvalOf(run *v1alpha1.RecoveryRun, user string) *v1alpha1.RunApproval {
	return &v1alpha1.RunApproval{
		ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: run.Name + "-" + user},
		Spec: v1alpha1.RunApprovalSpec{
			RunRef: v1alpha1.RunReference{Name: run.Name}, Digest: run.Status.Approval.Digest, TargetUID: string(run.Status.Approval.TargetUID), ApprovedBy: user,
		},
	}
}

// TestSecondPerson tears a cluster down that takes two people, as people would.
func TestSecondPerson(t *testing.T) {
	const name = "guarded"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	plan := repo.plan(t, name, "  teardown: {policy: NeedsApproval}\n", "state")
	box.must(t, "rebuild", "-f", plan, "--confirm", name)
	before := clusterUID(t, name)

	id := start(t, "teardown", name, "-n", "default", "--confirm", name)
	run := await(t, id, "the approval", func(r *v1alpha1.RecoveryRun) bool {
		return inPhase(v1alpha1.PhaseApproval)(r) && r.Status.Waiting != nil
	})
	if r := box.run(t, "approve", id, "-n", "default"); r.code != 2 || !strings.Contains(r.stderr, "somebody else") {
		t.Errorf("approving one's own run: exit code %d, %s", r.code, r.stderr)
	}
	own := approvalOf(run, "grace")
	if err := managementClient(t).Create(t.Context(), own); err == nil || !strings.Contains(err.Error(), "must be the user who creates the approval") {
		t.Errorf("approving under another name: %v", err)
	}
	ordered := &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "forged"},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: run.Spec.PlanRef, Operation: v1alpha1.OperationTeardown, RequestedBy: "grace"},
	}
	if err := managementClient(t).Create(t.Context(), ordered); err == nil || !strings.Contains(err.Error(), "must be the user who creates the run") {
		t.Errorf("ordering under another name: %v", err)
	}
	out := box.must(t, "why", id, "-n", "default").stdout
	for _, want := range []string{"Waiting in Approval", "somebody other than", "refloat approve " + id} {
		if !strings.Contains(out, want) {
			t.Errorf("why says nothing of %q:\n%s", want, out)
		}
	}
	if clusterUID(t, name) != before {
		t.Fatal("the cluster was replaced")
	}
	if err := as(t, "grace").Create(t.Context(), approvalOf(run, "grace")); err != nil {
		t.Fatal(err)
	}
	if r := await(t, id, "the end", finished); !succeeded(r) || r.Status.Approval.ApprovedBy != "grace" {
		t.Errorf("approved: %+v", r.Status)
	}
	assertGone(t, name)
	if n := deletionsOf(readAudit(t, filepath.Join(box.dir, "management")), name); n != 1 {
		t.Errorf("the Cluster was deleted %d times, want once", n)
	}
}

// TestHoldSuspendAndCancel leaves a cluster alone in all three ways.
func TestHoldSuspendAndCancel(t *testing.T) {
	const name = "busy"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	box.must(t, "rebuild", "-f", repo.plan(t, name, "", "state"), "--confirm", name)
	before := clusterUID(t, name)

	box.must(t, "hold", name, "-n", "default", "--for", "1h", "--reason", "a load test runs")
	if r := box.run(t, "teardown", name, "-n", "default", "--confirm", name); r.code != 1 || !strings.Contains(r.stderr, "a load test runs") {
		t.Errorf("teardown of a held cluster: exit code %d\n%s", r.code, r.stderr)
	}
	if clusterUID(t, name) != before {
		t.Fatal("the held cluster was replaced")
	}
	if r := box.run(t, "hold", name, "-n", "default", "--for", "1h"); r.code != 2 {
		t.Errorf("a hold without reason: exit code %d", r.code)
	}

	drill := start(t, "drill", name, "-n", "default")
	await(t, drill, "to start", func(r *v1alpha1.RecoveryRun) bool { return r.Status.StartedAt != nil })
	box.must(t, "suspend", drill, "-n", "default")
	await(t, drill, "to stand still", func(r *v1alpha1.RecoveryRun) bool { return r.Status.SuspendedAt != nil })
	if out := box.must(t, "why", drill, "-n", "default").stdout; !strings.Contains(out, "refloat resume "+drill) {
		t.Errorf("why of a suspended run:\n%s", out)
	}
	box.must(t, "resume", drill, "-n", "default")
	await(t, drill, "to go on", func(r *v1alpha1.RecoveryRun) bool { return r.Status.SuspendedAt == nil })
	box.must(t, "cancel", drill, "-n", "default", "--reason", "enough seen")
	r := await(t, drill, "the end", finished)
	if succeeded(r) || r.Status.Failure == nil || r.Status.Failure.Reason != "Cancelled" {
		t.Errorf("cancelled: %+v", r.Status)
	}
	if target := r.Status.Target; target != nil {
		assertGone(t, target.Name)
	}
	if r := box.run(t, "cancel", drill, "-n", "default", "--reason", "again"); r.code != 2 {
		t.Errorf("cancelling a finished run: exit code %d", r.code)
	}

	box.must(t, "teardown", name, "-n", "default", "--confirm", name, "--override-holds", "--reason", "the load test may end")
	assertGone(t, name)
}

// TestBudgetOfAGroup freezes a group, and lets a run wait until the budget has room.
func TestBudgetOfAGroup(t *testing.T) {
	const name = "bounded"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	box.must(t, "rebuild", "-f", repo.plan(t, name, "", "state"), "--confirm", name)
	before, c := clusterUID(t, name), managementClient(t)
	plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	if err := c.Patch(t.Context(), plan, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"group":"bounded"}}}`))); err != nil {
		t.Fatal(err)
	}
	none := int32(0)
	budget := &v1alpha1.TeardownBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "bounded"},
		Spec: v1alpha1.TeardownBudgetSpec{
			PlanSelector: metav1.LabelSelector{MatchLabels: map[string]string{"group": "bounded"}}, MaxPerHour: &none, WaitFor: &metav1.Duration{},
		},
	}
	if err := c.Create(t.Context(), budget); err != nil {
		t.Fatal(err)
	}
	if r := box.run(t, "teardown", name, "-n", "default", "--confirm", name); r.code != 1 || !strings.Contains(r.stderr, "no slot of TeardownBudget bounded") {
		t.Errorf("teardown under a freeze: exit code %d\n%s", r.code, r.stderr)
	}
	if clusterUID(t, name) != before {
		t.Fatal("the cluster was replaced")
	}
	change := func(patch string) {
		t.Helper()
		if err := c.Patch(t.Context(), budget, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	change(`{"spec":{"waitFor":"1h"}}`)
	id := start(t, "teardown", name, "-n", "default", "--confirm", name)
	await(t, id, "its turn", func(r *v1alpha1.RecoveryRun) bool { return r.Status.Waiting != nil && r.Status.Budget != nil })
	if out := box.must(t, "why", id, "-n", "default").stdout; !strings.Contains(out, "a slot of TeardownBudget bounded") || !strings.Contains(out, "refloat get budgets") {
		t.Errorf("why of a run that waits for its turn:\n%s", out)
	}
	change(`{"spec":{"maxPerHour":1}}`)
	if r := await(t, id, "the end", finished); !succeeded(r) {
		t.Errorf("in its turn: %+v", r.Status)
	}
	assertGone(t, name)
	if out := box.must(t, "get", "budgets", "-n", "default").stdout; !strings.Contains(out, "bounded") || !strings.Contains(out, "MAX PER HOUR") {
		t.Errorf("get budgets:\n%s", out)
	}
	if err := c.Delete(t.Context(), budget); err != nil {
		t.Error(err)
	}
}

// TestIdentityIsKept rebuilds a cluster twice, first with its keys and then with new ones.
func TestIdentityIsKept(t *testing.T) {
	const name = "trusted"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	box.must(t, "rebuild", "-f", repo.plan(t, name, "", "state"), "--confirm", name)
	core, err := kubernetes.NewForConfig(box.management(t))
	if err != nil {
		t.Fatal(err)
	}
	authority := func() string {
		t.Helper()
		s, err := core.CoreV1().Secrets("default").Get(t.Context(), name+"-ca", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return string(s.Data["tls.crt"])
	}
	identity := func(rule v1alpha1.IdentityRule) {
		t.Helper()
		plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		patch := []byte(`{"spec":{"cluster":{"identity":"` + string(rule) + `"}}}`)
		if err := managementClient(t).Patch(t.Context(), plan, client.RawPatch(types.MergePatchType, patch)); err != nil {
			t.Fatal(err)
		}
	}
	uid, ca := clusterUID(t, name), authority()
	identity(v1alpha1.IdentityKeep)
	box.must(t, "rebuild", name, "-n", "default", "--confirm", name)
	if clusterUID(t, name) == uid || authority() != ca {
		t.Error("the cluster is the same, or its authority is another one")
	}
	identity(v1alpha1.IdentityRotate)
	box.must(t, "rebuild", name, "-n", "default", "--confirm", name)
	if authority() == ca {
		t.Error("the authority is still the same")
	}
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
}
