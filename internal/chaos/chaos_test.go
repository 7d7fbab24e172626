package chaos

import (
	"context"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/faultproxy"
	"github.com/refloat-dev/refloat/internal/witness"
)

func TestMain(m *testing.M) {
	if was, err := Process(); was {
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// few points, one or two of each kind of fault, at writes that matter most: the record of
// the deletion, the mark, the deletion, the creation, the state, the verdict, the end; of
// failovers the record of who serves, the fence and the switch.
const few = "Rebuild:kill-before:DELETE.clusters,Rebuild:kill-after:DELETE.clusters,Rebuild:kill-after:POST.clusters,Rebuild:kill-before:PATCH.widgets," +
	"Rebuild:kill-after:PUT.configmaps,Drill:kill-after:POST.clusters,Drill:kill-before:DELETE.clusters,Teardown:freeze:DELETE.clusters," +
	"Teardown:freeze-late:PATCH.clusters,Rebuild:freeze:POST.clusters,Drill:freeze:DELETE.clusters,Rebuild:drop-response:DELETE.clusters," +
	"Rebuild:drop-response:POST.clusters,Drill:drop-response:POST.clusters,Teardown:drop-request:DELETE.clusters,Rebuild:409:POST.clusters," +
	"Teardown:429:DELETE.clusters,Rebuild:500:PATCH.widgets,Rebuild:cut-watches:POST.clusters,Rebuild:stale-watches:DELETE.clusters," +
	"Teardown:stale-reads:DELETE.clusters,Rebuild:storm:1,Drill:storm:2,Rebuild:workload-gone:PATCH.secrets.3," +
	"Rebuild:git-gone:DELETE.clusters,Teardown:git-forced:PATCH.clusters,Rebuild:clock-1m:POST.namespaces," +
	"Failover:kill-after:POST.leases.3,Failover:kill-before:DELETE.clusters,Failover:freeze:DELETE.clusters,Failover:kill-after:POST.hooks," +
	"Failover:drop-response:POST.hooks,Failover:409:POST.hooks,Failover:freeze-late:PUT.leases,Failback:kill-after:PUT.leases.2,Failback:freeze-late:PATCH.configmaps.3," +
	"Failover:409:PATCH.configmaps.3,Failover:cancel:POST.localclusters"

// TestFewPoints is a small part of what make chaos runs.
func TestFewPoints(t *testing.T) {
	if testing.Short() {
		t.Skip("starts control planes")
	}
	w, err := NewWorld(t.Context(), 3, t.Output())
	t.Cleanup(func() {
		if err := w.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	points, err := w.choose(Options{Only: few})
	if err != nil {
		t.Fatal(err)
	}
	done := newTable(points)
	w.Run(t.Context(), points, func(r Result) {
		done.add(r)
		if len(r.Breaches) > 0 {
			explain(t.Output(), r)
			t.Errorf("%s: %v", r.Point, r.Breaches)
		}
	})
	done.print(t.Output(), 0)
	const strays = 2 // a storm, or what comes by the clock, may miss its write
	if done.passed < len(points)-strays {
		t.Errorf("only %d of %d points passed", done.passed, len(points))
	}
}

// TestBugsFit holds the seeded bugs against the source as it is: each patch fits, switches
// itself by the bug's own name, leaves a file that parses, and names rules that there are.
func TestBugsFit(t *testing.T) {
	const root, atLeast = "../..", 20
	bugs, err := Bugs(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(bugs) < atLeast {
		t.Errorf("%d seeded bugs, want at least %d", len(bugs), atLeast)
	}
	known := map[string]bool{sameEnd: true, endsInTime: true}
	for _, rule := range witness.Rules() {
		known[rule.Name] = true
	}
	for _, b := range bugs {
		for _, rule := range b.Rules {
			if !known[rule] {
				t.Errorf("bug %s: there is no rule %s", b.Name, rule)
			}
		}
		if !slices.ContainsFunc(b.edits, func(e edit) bool { return strings.Contains(e.new, `seeded.Is("`+b.Name+`")`) }) {
			t.Errorf("bug %s is not switched by its name", b.Name)
		}
	}
	changed, err := mutate(root, bugs)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range changed {
		if _, err := parser.ParseFile(token.NewFileSet(), name, text, parser.AllErrors); err != nil {
			t.Error(err)
		}
	}
	bugs[0].edits[0].old += "something else"
	if _, err := mutate(root, bugs); err == nil || !strings.Contains(err.Error(), bugs[0].Name) {
		t.Errorf("a patch that does not fit: %v", err)
	}
}

func TestParsePoint(t *testing.T) {
	for _, text := range []string{"Rebuild:kill-after:17", "Drill:storm:1", "Teardown:429:3", "Rebuild:freeze:DELETE.clusters", "Drill:409:PUT.recoveryruns/status.12", "Failover:kill-after:POST.hooks", "Failback:freeze:PUT.leases"} {
		if p, err := ParsePoint(text); err != nil || p.String() != text {
			t.Errorf("%s: %s, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "Rebuild", "Rebuild:kill-after", "Rebuild:kill-after:0", "Rebuild:kill-after:x", "Rebuild:sneeze:1", "Failover:sneeze:1", "Rebuild:409:1:2", "Rebuild:409:clusters", "Rebuild:409:DELETE.clusters.0"} {
		if p, err := ParsePoint(text); err == nil {
			t.Errorf("%q is read as %s", text, p)
		}
	}
}

// TestMatrixIsBigEnough holds the promised numbers of points against the writes that a
// rebuild, a teardown and a drill make.
func TestMatrixIsBigEnough(t *testing.T) {
	w := &World{references: map[string]*outcome{}}
	for operation, writes := range map[v1alpha1.Operation]int{v1alpha1.OperationRebuild: 56, v1alpha1.OperationTeardown: 18, v1alpha1.OperationDrill: 55,
		v1alpha1.OperationFailover: 71, v1alpha1.OperationFailback: 71} {
		w.references[string(operation)] = &outcome{writes: make([]faultproxy.Request, writes)}
	}
	const usual, full, more = 400, 2500, 4
	if n := len(w.Matrix(false)); n < usual {
		t.Errorf("%d points, want at least %d", n, usual)
	}
	if n := len(w.Matrix(true)); n < full {
		t.Errorf("%d points in a full matrix, want at least %d", n, full)
	}
	takeovers := 0
	for _, p := range w.Matrix(false) {
		if takesOver(p.Operation) {
			takeovers++
		}
	}
	if n := len(w.Matrix(false)); takeovers < 100 || takeovers*more > n {
		t.Errorf("%d of %d points are of failovers, want at most one in %d, since they take longest", takeovers, n, more)
	}
	names := map[string]bool{}
	for _, p := range w.Matrix(true) {
		if names[p.String()] {
			t.Errorf("point %s is there twice", p)
		}
		names[p.String()] = true
	}
}
