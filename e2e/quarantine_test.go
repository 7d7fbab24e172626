package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestDrillOfADangerousRepository drills what would point DNS names, ask an authority, make
// a load balancer, charge customers and wake people up, and looks at the throw-away cluster
// while it lives.
func TestDrillOfADangerousRepository(t *testing.T) {
	const name = "teeth"
	repo := newRepository(t, filesOf(t, "../examples/drill", "state/"))
	plan := repo.plan(t, name, "  verify: {stableFor: 20s}\n  objective: {recoveryTime: 10m}\n", "state")
	if out := box.must(t, "plan", "-f", plan, "--drill").stdout; !strings.Contains(out, "Service web/shop is of type ClusterIP instead of LoadBalancer (LoadBalancer)") {
		t.Errorf("plan --drill does not show what becomes of the load balancer:\n%s", out)
	}
	id := start(t, "drill", "-f", plan)
	run := await(t, id, "to be verified", inPhase(v1alpha1.PhaseVerify))
	target := run.Status.Target.Name
	kube, err := kubernetes.NewForConfig(workload(t, target))
	if err != nil {
		t.Fatal(err)
	}
	assertHarmless(t, kube)
	assertNoIssuerOutside(t, target)
	audit := readAudit(t, box.planeDir(t, target))
	for _, e := range audit {
		if e.ObjectRef.Resource == "pods" && e.Verb == "create" && e.ObjectRef.Namespace == "external-dns" {
			t.Errorf("a pod of external-dns was made: %+v", e.ObjectRef)
		}
		if e.ObjectRef.Resource == "jobs" && e.Verb == "create" {
			t.Errorf("a job was started: %+v", e.ObjectRef)
		}
	}
	refusedLoadBalancer(t, kube)

	done := await(t, id, "the end", finished)
	if !succeeded(done) || done.Status.Outcome != v1alpha1.DrillSucceeded {
		t.Errorf("outcome %q: %+v", done.Status.Outcome, done.Status.Failure)
	}
	if v := done.Status.Verification; v == nil || v.Matched != v.Rendered || v.Rendered != done.Status.Pinned.Objects {
		t.Errorf("verification %+v of %d objects", v, done.Status.Pinned.Objects)
	}
	assertGone(t, target)
	assertToldWhatItChanged(t, id)
}

func assertHarmless(t *testing.T, kube kubernetes.Interface) {
	t.Helper()
	ctx := t.Context()
	services, err := kube.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services.Items {
		if s.Spec.Type == corev1.ServiceTypeLoadBalancer || len(s.Status.LoadBalancer.Ingress) > 0 {
			t.Errorf("Service %s/%s is a load balancer", s.Namespace, s.Name)
		}
	}
	dns, err := kube.AppsV1().Deployments("external-dns").Get(ctx, "external-dns", metav1.GetOptions{})
	if err != nil || dns.Spec.Replicas == nil || *dns.Spec.Replicas != 0 {
		t.Errorf("external-dns: %v, %v", dns.Spec.Replicas, err)
	}
	for _, namespace := range []string{"external-dns", "cert-manager"} {
		accounts, err := kube.CoreV1().ServiceAccounts(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range accounts.Items {
			if a.Annotations["eks.amazonaws.com/role-arn"] != "" {
				t.Errorf("ServiceAccount %s/%s has an identity in a cloud", namespace, a.Name)
			}
		}
	}
	charge, err := kube.BatchV1().CronJobs("web").Get(ctx, "charge", metav1.GetOptions{})
	if err != nil || charge.Spec.Suspend == nil || !*charge.Spec.Suspend {
		t.Errorf("customers are charged: %v", err)
	}
	claim, err := kube.CoreV1().PersistentVolumeClaims("web").Get(ctx, "catalogue", metav1.GetOptions{})
	if err != nil || claim.Spec.VolumeName == "catalogue" {
		t.Errorf("the real catalogue is mounted: %v", err)
	}
	alerts, err := kube.CoreV1().Secrets("web").Get(ctx, "alertmanager-main", metav1.GetOptions{})
	if err != nil || strings.Contains(string(alerts.Data["alertmanager.yaml"]), "pager") || len(alerts.Data["alertmanager.yaml"]) == 0 {
		t.Errorf("somebody is woken up: %v", err)
	}
	for _, namespace := range []string{"web", "cert-manager", "external-dns"} {
		policies, err := kube.NetworkingV1().NetworkPolicies(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		denies := false
		for _, p := range policies.Items {
			denies = denies || p.Name == "refloat-drill-egress" && len(p.Spec.PodSelector.MatchLabels) == 0
			for _, rule := range p.Spec.Egress {
				if len(rule.To) == 0 {
					t.Errorf("NetworkPolicy %s/%s lets everything out", namespace, p.Name)
				}
			}
		}
		if !denies {
			t.Errorf("namespace %s may connect to the outside", namespace)
		}
	}
}

func assertNoIssuerOutside(t *testing.T, target string) {
	t.Helper()
	c, err := dynamic.NewForConfig(workload(t, target))
	if err != nil {
		t.Fatal(err)
	}
	issuers := schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "clusterissuers"}
	issuer, err := c.Resource(issuers).Get(t.Context(), "letsencrypt", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if spec, _ := issuer.Object["spec"].(map[string]any); spec["acme"] != nil || spec["selfSigned"] == nil {
		t.Errorf("the issuer asks an authority outside: %v", spec)
	}
}

// refusedLoadBalancer is what becomes of one that a controller would ask for.
func refusedLoadBalancer(t *testing.T, kube kubernetes.Interface) {
	t.Helper()
	wanted := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "asked-for", Namespace: "web"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	eventually(t, "load balancers to be refused", func(ctx context.Context) (bool, error) {
		_, err := kube.CoreV1().Services("web").Create(ctx, wanted, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "there are no load balancers"), nil
	})
}

func assertToldWhatItChanged(t *testing.T, id string) {
	t.Helper()
	out := box.must(t, "report", id, "-n", "default").stdout
	for _, want := range []string{
		"Drill of plan default/teeth: Succeeded", "Deployment.apps external-dns/external-dns has 0 replicas (KnownController)",
		"ClusterIssuer.cert-manager.io letsencrypt signs by itself (Certificates)", "CronJob.batch web/charge is suspended (CronJob)",
		"NetworkPolicy.networking.k8s.io web/refloat-drill-egress is added (Guard)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "pager.example.com") {
		t.Error("the report holds what was in a Secret")
	}
	if out := box.must(t, "get", "runs", id, "-n", "default").stdout; !strings.Contains(out, "Succeeded") {
		t.Errorf("get runs: %s", out)
	}
}

// TestUnknownControllerStopsADrill before anything is made, and says what to write.
func TestUnknownControllerStopsADrill(t *testing.T) {
	const name = "unknown"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace + `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: mover, namespace: default}
spec:
  selector: {matchLabels: {app: mover}}
  template:
    metadata: {labels: {app: mover}}
    spec: {containers: [{name: mover, image: "registry.example.com/mover:1", env: [{name: AWS_SECRET_ACCESS_KEY, value: geheim}]}]}
`})
	plan := repo.plan(t, name, "", "state")
	for _, args := range [][]string{{"plan", "-f", plan, "--drill"}, {"drill", "-f", plan}} {
		r := box.run(t, args...)
		for _, want := range []string{"Deployment.apps default/mover", "AWS_SECRET_ACCESS_KEY of container mover", "state/a.yaml:", "spec.drill.neutralise with"} {
			if r.code == 0 || !strings.Contains(r.stderr, want) {
				t.Errorf("%s: exit code %d, and it does not say %q:\n%s", args[0], r.code, want, r.stderr)
			}
		}
		if strings.Contains(r.stderr+r.stdout, "geheim") {
			t.Errorf("%s says a secret", args[0])
		}
	}
	assertNoClusters(t, name)
	plan = repo.plan(t, name, "  drill: {neutralise: [{kind: Deployment, name: mover, how: ScaleToZero}]}\n", "state")
	if r := box.run(t, "drill", "-f", plan); r.code != 0 {
		t.Errorf("classified: exit code %d\n%s", r.code, r.stderr)
	}
	assertNoClusters(t, name)
}

// TestDrillEndedInEveryPhase ends drills of a real cluster in each phase: cancelled, and by
// a run that is more urgent. Nothing of them is left.
func TestDrillEndedInEveryPhase(t *testing.T) {
	const name = "ended"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	plan := repo.plan(t, name, "  verify: {stableFor: 10s}\n", "state")
	for _, phase := range []v1alpha1.Phase{v1alpha1.PhasePreflight, v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap, v1alpha1.PhaseWaves, v1alpha1.PhaseVerify} {
		id := start(t, "drill", "-f", plan)
		await(t, id, "to get there", func(r *v1alpha1.RecoveryRun) bool { return entered(r, phase) })
		box.must(t, "cancel", id, "-n", "default", "--reason", "in "+string(phase))
		assertInterrupted(t, id, "Cancelled")
	}
	id := start(t, "drill", "-f", plan)
	await(t, id, "to be under way", inPhase(v1alpha1.PhaseVerify))
	urgent := start(t, "rebuild", name, "-n", "default", "--confirm", name)
	assertInterrupted(t, id, "Interrupted")
	if r := await(t, urgent, "the end", finished); !succeeded(r) {
		t.Errorf("the rebuild: %+v", r.Status.Failure)
	}
	if n := deletionsOf(readAudit(t, filepath.Join(box.dir, "management")), name); n != 0 {
		t.Errorf("the plan's own cluster was deleted %d times", n)
	}
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
}

// TestDrillOfTheDrill injects a fault into a drill, which ends as if there had been none.
func TestDrillOfTheDrill(t *testing.T) {
	const name = "shaken"
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: item-%03d, namespace: fine}\n", i)
	}
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace + b.String()})
	plan := repo.plan(t, name, "", "state")
	for _, fault := range []string{"KillController", "GitGone", "DenyWebhook"} {
		r := box.run(t, "drill", "-f", plan, "--chaos", fault, "--sandbox-dir", box.dir)
		if r.code != 0 || !strings.Contains(r.stderr, "chaos: ") {
			t.Errorf("%s: exit code %d\n%s", fault, r.code, r.stderr)
		}
		if _, err := os.Stat(filepath.Join(repo.dir, ".git")); err != nil {
			t.Fatalf("%s: the repository is not where it was: %v", fault, err)
		}
		assertNoClusters(t, name)
	}
	if r := box.run(t, "drill", "-f", plan, "--chaos", "KillController", "--sandbox-dir", t.TempDir()); r.code != 2 || !strings.Contains(r.stderr, "is for a sandbox only") {
		t.Errorf("a fault outside of the sandbox: exit code %d\n%s", r.code, r.stderr)
	}
}

func entered(r *v1alpha1.RecoveryRun, phase v1alpha1.Phase) bool {
	for _, p := range r.Status.Phases {
		if p.Name == phase {
			return true
		}
	}
	return false
}

func assertInterrupted(t *testing.T, id, reason string) {
	t.Helper()
	r := await(t, id, "the end", finished)
	if f := r.Status.Failure; f == nil || f.Reason != reason || r.Status.Outcome != v1alpha1.DrillInterrupted {
		t.Errorf("%s: outcome %q, failure %+v", reason, r.Status.Outcome, f)
	}
	if target := r.Status.Target; target != nil {
		assertGone(t, target.Name)
	}
}
