package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/recoverability"
)

func evaluatedPlan(change func(*recoverability.Facts)) *v1alpha1.RecoveryPlan {
	plan := &v1alpha1.RecoveryPlan{}
	plan.Namespace, plan.Name, plan.UID, plan.Generation = "fleet", "dev", "u", 3
	facts := recoverability.Facts{Now: noon, Rendered: &recoverability.Rendered{Commit: strings.Repeat("ab", 20), Objects: 3}}
	change(&facts)
	recoverability.Record(plan, recoverability.Judge(facts), plan.Generation, "", noon)
	return plan
}

// TestRecoverableColumn says yes, no and how much is in the way, or that it is not known.
func TestRecoverableColumn(t *testing.T) {
	well := func(*recoverability.Facts) {}
	two := func(f *recoverability.Facts) {
		f.Faults = []recoverability.Fault{{Check: recoverability.CheckSeeds, Message: "a"}, {Check: recoverability.CheckSeeds, Message: "b"}}
		f.MaxDrillAge = time.Hour // a warning is no blocker
	}
	unsure := func(f *recoverability.Facts) {
		f.Faults = []recoverability.Fault{{Check: recoverability.CheckSeeds, Message: "a", Unsure: true}}
	}
	for want, plan := range map[string]*v1alpha1.RecoveryPlan{
		"yes": evaluatedPlan(well), "no (2 blockers)": evaluatedPlan(two), "not known": evaluatedPlan(unsure),
	} {
		if got := recoverable(plan, noon.Add(time.Minute)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := recoverable(&v1alpha1.RecoveryPlan{}, noon); got != "not known" {
		t.Errorf("a new plan: %q", got)
	}
	changed := evaluatedPlan(well)
	changed.Generation++
	if got := recoverable(changed, noon); got != "not known" {
		t.Errorf("a changed plan: %q", got)
	}
}

func TestCheckPrintsWhatIsInTheWay(t *testing.T) {
	plan := evaluatedPlan(func(f *recoverability.Facts) {
		f.Faults = []recoverability.Fault{{Check: recoverability.CheckSeeds, Message: "Secret fleet/age is gone"}}
		f.MaxDrillAge = time.Hour
	})
	plan.Status.Recoverability.NextAt = nil
	var out bytes.Buffer
	if err := checkAnswerOf(plan, noon).print(&out); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"plan fleet/dev: its cluster could not be rebuilt", "",
		"Evaluated   2026-11-23T12:00:00Z", "Next        when somebody asks: --now", "Commit      " + strings.Repeat("ab", 20), "",
		"Blocker  Seeds              Secret fleet/age is gone",
		"Warning  LastDrill          no rebuild or drill has succeeded yet: run refloat drill", "",
	}
	got := strings.Split(out.String(), "\n")
	for i := range got {
		got[i], _, _ = strings.Cut(got[i], " (") // how long ago depends on the day
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	if err := checkAnswerOf(&v1alpha1.RecoveryPlan{}, noon).print(&out); err != nil || !strings.Contains(out.String(), "not known: it was not evaluated yet") {
		t.Errorf("%v %q", err, out.String())
	}
}

// TestCheckNamesTheRun that was the last to bring the cluster back by what it was.
func TestCheckNamesTheRun(t *testing.T) {
	for operation, want := range map[v1alpha1.Operation]string{
		"": "Last drill  dev-1,", v1alpha1.OperationDrill: "Last drill  dev-1,", v1alpha1.OperationRebuild: "Last rebuild  dev-1,", v1alpha1.OperationFailover: "Last failover  dev-1,",
	} {
		plan := evaluatedPlan(func(*recoverability.Facts) {})
		plan.Status.LastDrill = &v1alpha1.LastRun{Name: "dev-1", Operation: operation}
		var out bytes.Buffer
		if err := checkAnswerOf(plan, noon).print(&out); err != nil || !strings.Contains(out.String(), "\n"+want) {
			t.Errorf("%s: %v %q", operation, err, out.String())
		}
	}
}
