package controller

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// TestKillAtEveryWrite kills the controller at each write of each operation, before
// and after it takes effect. The next controller finishes the run as if nothing had
// happened: same outcome, each Cluster deleted once, each object made once.
func TestKillAtEveryWrite(t *testing.T) {
	for _, operation := range []v1alpha1.Operation{v1alpha1.OperationRebuild, v1alpha1.OperationTeardown, v1alpha1.OperationDrill, v1alpha1.OperationFailover} {
		t.Run(string(operation), func(t *testing.T) {
			begin := func(t *testing.T) *world {
				w := newWorld(t)
				w.plan(func(p *v1alpha1.RecoveryPlan) { needsApproval(p); switches(p) })
				w.other()
				w.engine.frozen = madeUp()
				w.existing(capi.Stamp{Run: "earlier", Epoch: 1})
				w.orderBy("ada", "run", operation)
				w.approver = "grace"
				return w
			}
			w := begin(t)
			reference := w.finish("run")
			if got := reference.Status.Phase; got != "Succeeded" {
				t.Fatalf("the undisturbed run: %s: %+v", got, reference.Status.Failure)
			}
			clusters, total := w.clusters(), w.writes
			if total < 12 {
				t.Fatalf("only %d writes were counted", total)
			}
			for k := 1; k <= total; k++ {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("write %d after=%t", k, after), func(t *testing.T) {
						t.Parallel()
						w := begin(t)
						w.killAt, w.after = k, after
						run := w.finish("run")
						if diff := cmp.Diff(outcomeOf(reference), outcomeOf(run), sameOutcome); diff != "" {
							t.Errorf("outcome (-undisturbed +killed):\n%s", diff)
						}
						if calls := w.calls(); operation == v1alpha1.OperationFailover && (len(calls) != 2 || !w.serves("other", 1)) {
							t.Errorf("hooks were called with the keys %v, and %+v serves", calls, w.serving())
						}
						if diff := cmp.Diff(clusters, w.clusters()); diff != "" {
							t.Errorf("clusters (-undisturbed +killed):\n%s", diff)
						}
						if r := w.report(run); string(r.Result) != "Succeeded" || operation != v1alpha1.OperationTeardown && len(r.Waves) == 0 {
							t.Errorf("report: result %q, %d waves", r.Result, len(r.Waves))
						}
					})
				}
			}
			t.Logf("%d writes, killed before and after each", total)
		})
	}
}

// TestErrorAtEveryWrite lets each write fail once, with and without effect.
func TestErrorAtEveryWrite(t *testing.T) {
	for _, operation := range []v1alpha1.Operation{v1alpha1.OperationRebuild, v1alpha1.OperationTeardown, v1alpha1.OperationDrill, v1alpha1.OperationFailover} {
		t.Run(string(operation), func(t *testing.T) {
			for k := 1; ; k++ {
				w := newWorld(t)
				w.plan(switches)
				w.other()
				w.existing(capi.Stamp{Run: "earlier", Epoch: 1})
				w.order("run", operation)
				n := 0
				w.fail = func(string, client.Object) error {
					if n++; n == k {
						return fmt.Errorf("the API server is overloaded")
					}
					return nil
				}
				if run := w.finish("run"); run.Status.Phase != "Succeeded" {
					t.Fatalf("error at write %d: %+v", k, run.Status.Failure)
				}
				if operation == v1alpha1.OperationFailover && !w.serves("other", 1) {
					t.Errorf("error at write %d: %+v serves", k, w.serving())
				}
				if n < k {
					break
				}
			}
		})
	}
}
