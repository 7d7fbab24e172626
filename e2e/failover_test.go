package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// switchboard is a hook that keeps what it is told.
type switchboard struct {
	*httptest.Server
	mu   sync.Mutex
	told []string
	keys map[string]int
	// ring, when it is set, takes the first message of each key and keeps it until it is
	// answered there: false for no answer.
	ring chan chan bool
	// refuse answers messages of this kind with 403.
	refuse string
}

func newSwitchboard(t *testing.T) *switchboard {
	t.Helper()
	s := &switchboard{keys: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Kind  string
			Epoch int
			To    struct{ Cluster, Endpoint string }
		}
		raw, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(raw, &body); err != nil || body.Kind == "Switch" && body.To.Endpoint == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		key := r.Header.Get("Idempotency-Key")
		s.mu.Lock()
		s.keys[key]++
		first, ring, refuse := s.keys[key] == 1, s.ring, s.refuse
		if first {
			s.told = append(s.told, fmt.Sprintf("%s to %s at %d", body.Kind, body.To.Cluster, body.Epoch))
		}
		s.mu.Unlock()
		if body.Kind == refuse {
			w.WriteHeader(http.StatusForbidden)
		}
		if ring == nil || !first {
			return
		}
		answer := make(chan bool)
		ring <- answer
		if !<-answer {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// keepDead ends every process of a cluster as a power cut would, and again what its
// supervisor starts, until the returned function is called.
func keepDead(t *testing.T, cluster string) (stop func()) {
	t.Helper()
	dir := box.planeDir(t, cluster)
	if kill(dir) == 0 {
		t.Fatalf("cluster %s has no process that could be killed", cluster)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				kill(dir)
			}
		}
	}()
	return func() { cancel(); <-done }
}

func kill(dir string) (killed int) {
	for _, file := range processesOf(dir) {
		var pid int
		if _, err := fmt.Sscanf(file, "/proc/%d/", &pid); err == nil && pid != os.Getpid() && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

// TestFailover kills the control plane of a cluster, lets another one take over, and fails
// back: each Cluster is deleted once, each switch hook is called once, and the old cluster
// does not come back by a rebuild.
func TestFailover(t *testing.T) {
	const primary, spare = "harbour", "haven"
	repo := newRepository(t, map[string]string{"state/a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: a}\ndata: {a: b}\n",
		"names/record.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: record-of-the-harbour}\ndata: {to: \"${CLUSTER_NAME}\"}\n"})
	board := newSwitchboard(t)
	plan := repo.plan(t, primary, fmt.Sprintf("  failover: {switch: [{name: dns, url: %q}, {name: record, apply: {path: names}}]}\n", board.URL), "state")
	box.must(t, "rebuild", "-f", plan, "--confirm", primary)
	c := managementClient(t)
	likewise(t, c, primary, spare)

	stop := keepDead(t, primary)
	if r := box.run(t, "failover", primary, "-n", "default", "--to", primary); r.code != 2 || !strings.Contains(r.stderr, "cannot take over from itself") {
		t.Errorf("a failover to itself: exit code %d\n%s", r.code, r.stderr)
	}
	if r := box.run(t, "failover", primary, "-n", "default", "--to", spare); r.code != 2 || !strings.Contains(r.stderr, "--confirm="+primary) {
		t.Errorf("a failover that nobody confirmed: exit code %d\n%s", r.code, r.stderr)
	}
	out := box.must(t, "failover", primary, "-n", "default", "--to", spare, "--confirm", primary, "--reason", "the control plane is dead", "-o", "json").stdout
	assertVerified(t, parseReport(t, out))
	stop()
	runs := &v1alpha1.RecoveryRunList{}
	if err := c.List(t.Context(), runs, client.InNamespace("default")); err != nil {
		t.Fatal(err)
	}
	for _, run := range runs.Items {
		for _, p := range run.Status.Phases {
			if run.Spec.PlanRef.Name == primary {
				t.Logf("%s: %s took %s: %s", run.Spec.Operation, p.Name, p.FinishedAt.Sub(p.StartedAt.Time).Round(time.Millisecond), p.Message)
			}
		}
	}
	assertGone(t, primary)
	if s := served(t, c, primary); s.Plan != spare || s.Epoch != 1 {
		t.Errorf("the plan says %+v", s)
	}
	if to := record(t); to != spare {
		t.Errorf("the record leads to %s", to)
	}

	if r := box.run(t, "rebuild", primary, "-n", "default", "--confirm", primary); r.code != 1 || !strings.Contains(r.stdout+r.stderr, "refloat failback "+primary) {
		t.Errorf("a rebuild of what was fenced: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	assertGone(t, primary)

	box.must(t, "verify", spare, "-n", "default")
	box.must(t, "failback", primary, "-n", "default", "--confirm", spare)
	box.must(t, "verify", primary, "-n", "default")
	assertGone(t, spare)
	if s := served(t, c, primary); s.Plan != primary || s.Epoch != 2 {
		t.Errorf("the plan says %+v", s)
	}
	if to := record(t); to != primary {
		t.Errorf("the record leads to %s", to)
	}
	box.must(t, "teardown", primary, "-n", "default", "--confirm", primary)

	board.mu.Lock()
	defer board.mu.Unlock()
	if got, want := strings.Join(board.told, "; "), "Switch to "+spare+" at 1; Switch to "+primary+" at 2"; got != want || len(board.keys) != 2 {
		t.Errorf("the hook was told %s (keys %v), want %s", got, board.keys, want)
	}
	// The primary was deleted by the fence and by the teardown in the end.
	audit := readAudit(t, filepath.Join(box.dir, "management"))
	if p, s := deletionsOf(audit, primary), deletionsOf(audit, spare); p != 2 || s != 1 {
		t.Errorf("Clusters were deleted %d and %d times, want twice and once", p, s)
	}
}

// record of a name, that the switch applied from the repository.
func record(t *testing.T) string {
	t.Helper()
	held, err := kubernetes.NewForConfigOrDie(box.management(t)).CoreV1().ConfigMaps("default").Get(t.Context(), "record-of-the-harbour", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return held.Data["to"]
}

// likewise makes a plan like another one, with a cluster of its own.
func likewise(t *testing.T, c client.Client, plan, name string) {
	t.Helper()
	like := &v1alpha1.RecoveryPlan{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: plan}, like); err != nil {
		t.Fatal(err)
	}
	other := &v1alpha1.RecoveryPlan{Spec: like.Spec}
	other.Namespace, other.Name, other.Spec.Cluster.Name, other.Spec.Failover = "default", name, name, nil
	if err := c.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
}

// TestFailoverSurvives kills the controller while a hook has its message: the next one sends
// it again under the same key, and the Cluster is deleted once. Then a fence is refused, and
// the run waits for a person.
func TestFailoverSurvives(t *testing.T) {
	const primary, spare = "quay", "jetty"
	repo := newRepository(t, map[string]string{"state/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {a: b}\n"})
	board := newSwitchboard(t)
	board.ring = make(chan chan bool)
	plan := repo.plan(t, primary, fmt.Sprintf("  failover: {fence: {method: DeleteAfterHook, hook: {url: %q}}, switch: [{name: dns, url: %q}]}\n", board.URL, board.URL), "state")
	box.must(t, "rebuild", "-f", plan, "--confirm", primary)
	c := managementClient(t)
	likewise(t, c, primary, spare)

	id := start(t, "failover", primary, "-n", "default", "--to", spare, "--confirm", primary)
	for range 2 { // the fence, and the switch
		select {
		case answer := <-board.ring:
			killController(t)
			answer <- false
		case <-time.After(4 * time.Minute):
			t.Fatalf("no hook was called: %+v", await(t, id, "anything", func(*v1alpha1.RecoveryRun) bool { return true }).Status)
		}
	}
	if run := await(t, id, "the end", finished); !succeeded(run) {
		t.Fatalf("the failover: %+v", run.Status.Failure)
	}
	board.mu.Lock()
	if got, want := strings.Join(board.told, "; "), "Fence to "+spare+" at 1; Switch to "+spare+" at 1"; got != want {
		t.Errorf("the hooks were told %s, want %s", got, want)
	}
	for key, n := range board.keys {
		if n < 2 {
			t.Errorf("%s was sent %d times, want again after the kill", key, n)
		}
	}
	board.ring, board.refuse = nil, "Fence"
	board.mu.Unlock()
	assertGone(t, primary)
	audit := filepath.Join(box.dir, "management")
	if n := deletionsOf(readAudit(t, audit), primary); n != 1 {
		t.Errorf("the Cluster was deleted %d times, want once", n)
	}

	id = start(t, "failback", primary, "-n", "default", "--confirm", spare)
	await(t, id, "the question", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "403 Forbidden") && strings.Contains(run.Status.Waiting.For, "--unfenced")
	})
	for _, args := range [][]string{{"approve", id}, {"approve", id, "--unfenced"}, {"rollback", id}} {
		if r := box.run(t, append(args, "-n", "default")...); r.code != 2 {
			t.Errorf("%v: exit code %d\n%s", args, r.code, r.stderr)
		}
	}
	box.must(t, "approve", id, "-n", "default", "--unfenced", "--reason", "I pulled the plug")
	if run := await(t, id, "the end", finished); !succeeded(run) {
		t.Fatalf("the failback: %+v", run.Status.Failure)
	}
	if s := served(t, c, primary); s.Plan != primary || s.Epoch != 2 {
		t.Errorf("the plan says %+v", s)
	}
	if n := deletionsOf(readAudit(t, audit), spare); n != 0 {
		t.Errorf("what was not fenced was deleted %d times", n)
	}
	box.must(t, "teardown", spare, "-n", "default", "--confirm", spare)
	box.must(t, "teardown", primary, "-n", "default", "--confirm", primary)
}

func served(t *testing.T, c client.Reader, plan string) v1alpha1.ServingStatus {
	t.Helper()
	p := &v1alpha1.RecoveryPlan{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: plan}, p); err != nil {
		t.Fatal(err)
	}
	if p.Status.Serving == nil {
		t.Fatalf("plan %s does not say who serves", plan)
	}
	return *p.Status.Serving
}
