package controller

import (
	"slices"
	"testing"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestTwoRunsOfOneAssertion: of two runs that would each leave the other's cluster, one is
// held back, before either has written anything and after.
func TestTwoRunsOfOneAssertion(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "b"} {
		w.sibling(name, true)
	}
	a := v1alpha1.Assertion{Plans: []string{"a", "b"}, AtLeast: 1}
	doomed := func(name string) *v1alpha1.RecoveryRun {
		w.order("down-"+name, v1alpha1.OperationTeardown)
		run := w.run("down-" + name)
		run.Spec.PlanRef.Name = name
		run.Status.Pinned = &v1alpha1.PinnedInputs{Plan: v1alpha1.RecoveryPlanSpec{Cluster: v1alpha1.ClusterTemplate{Name: name}}}
		return run
	}
	first, second := doomed("a"), doomed("b")
	look := func(run *v1alpha1.RecoveryRun, about bool) (holds bool, others []string) {
		held, err := w.r.assert(t.Context(), run, "one-serves", a, about)
		w.must(err)
		return held.Holds(), held.Others
	}
	if holds, others := look(first, false); !holds || !slices.Equal(others, []string{"b"}) {
		t.Fatalf("the first, before it deletes: %v, %v", holds, others)
	}
	if holds, _ := look(second, false); !holds {
		t.Error("a look alone keeps the other back")
	}
	if holds, _ := look(first, true); !holds {
		t.Error("the first is held back")
	}
	if holds, _ := look(second, true); holds {
		t.Error("both may go")
	}
	if holds, _ := look(first, true); !holds {
		t.Error("the first is held back by itself")
	}
	w.must(w.store.Store.Delete(t.Context(), w.run("down-a"))) // it is over
	if holds, _ := look(second, true); !holds {
		t.Error("a run that is over keeps the other back")
	}
}
