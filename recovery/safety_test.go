package recovery

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func gate(closed bool) v1alpha1.SafetyRule {
	return v1alpha1.SafetyRule{
		ObjectMeta: metav1.ObjectMeta{Namespace: "refloat-system", Name: "stop"},
		Spec:       v1alpha1.SafetyRuleSpec{Gate: &v1alpha1.Gate{Closed: closed, Reason: "the data centre moves"}},
	}
}

func TestStoppedBy(t *testing.T) {
	going := gate(true)
	now := metav1.NewTime(time.Unix(0, 0))
	going.DeletionTimestamp = &now
	for name, c := range map[string]struct {
		rules []v1alpha1.SafetyRule
		want  bool
	}{
		"no rule":       {nil, false},
		"open":          {[]v1alpha1.SafetyRule{gate(false)}, false},
		"closed":        {[]v1alpha1.SafetyRule{gate(false), gate(true)}, true},
		"being deleted": {[]v1alpha1.SafetyRule{going}, false},
		"an assertion":  {[]v1alpha1.SafetyRule{{Spec: v1alpha1.SafetyRuleSpec{Assertion: &v1alpha1.Assertion{}}}}, false},
	} {
		got := StoppedBy(c.rules)
		if (got != "") != c.want || c.want && !strings.Contains(got, "refloat-system/stop stops all automation: the data centre moves") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func byTimetable(o *Observation) { o.Run.Spec.Schedule = &v1alpha1.ScheduledTime{Name: "nightly"} }
func closedGate(o *Observation)  { o.Stopped = StoppedBy([]v1alpha1.SafetyRule{gate(true)}) }

// keeps asserts that so many of plan, b and c serve, of which the others named do.
func keeps(atLeast int32, serves bool, others ...string) change {
	return func(o *Observation) {
		o.Assertions = append(o.Assertions, Asserted{
			Rule: "keep", Assertion: v1alpha1.Assertion{Plans: []string{"plan", "b", "c"}, AtLeast: atLeast}, Serves: serves, Others: others,
		})
	}
}

// TestRulesBeforeDeletion: a rule ends a run before it deletes anything, and never after.
func TestRulesBeforeDeletion(t *testing.T) {
	sent := func(o *Observation) { o.Run.Status.Previous.DeleteRequestedAt = micro(t0) }
	for name, c := range map[string]struct {
		o      Observation
		want   Action
		reason string
	}{
		"a gate, and a schedule":    {in(teardown, v1alpha1.PhaseTeardown, byTimetable, closedGate), Fail, "AutomationStopped"},
		"a gate, and a proposal":    {in(rebuild, v1alpha1.PhaseTeardown, proposal, closedGate), Fail, "AutomationStopped"},
		"a gate, and a person":      {in(teardown, v1alpha1.PhaseTeardown, closedGate), RecordDelete, ""},
		"a gate, too late":          {in(teardown, v1alpha1.PhaseTeardown, byTimetable, closedGate, sent), Delete, ""},
		"the last one that serves":  {in(teardown, v1alpha1.PhaseTeardown, keeps(1, true)), Fail, "AssertionBroken"},
		"another one serves":        {in(teardown, v1alpha1.PhaseTeardown, keeps(1, true, "b")), RecordDelete, ""},
		"two have to":               {in(teardown, v1alpha1.PhaseTeardown, keeps(2, true, "b")), Fail, "AssertionBroken"},
		"it does not serve itself":  {in(rebuild, v1alpha1.PhaseTeardown, keeps(1, false)), RecordDelete, ""},
		"broken already, by others": {in(rebuild, v1alpha1.PhaseTeardown, keeps(3, false, "b")), RecordDelete, ""},
		"an assertion, too late":    {in(teardown, v1alpha1.PhaseTeardown, keeps(1, true), sent), Delete, ""},
		"a hold may be overridden, a rule not": {in(teardown, v1alpha1.PhaseTeardown, keeps(1, true), func(o *Observation) { o.Run.Spec.OverrideHolds = true }),
			Fail, "AssertionBroken"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(c.o)
			if d.Action != c.want || c.reason != "" && d.Failure.Reason != c.reason {
				t.Errorf("%s %+v, want %s %s", d.Action, d.Failure, c.want, c.reason)
			}
		})
	}
}

// TestGateHoldsTheQueue: what machines order does not start while a gate is closed.
func TestGateHoldsTheQueue(t *testing.T) {
	run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "run", UID: "run-uid", Finalizers: []string{Finalizer}, CreationTimestamp: metav1.NewTime(t0)}}
	run.Spec = v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: teardown}
	plan := &v1alpha1.RecoveryPlan{Spec: v1alpha1.RecoveryPlanSpec{Cluster: v1alpha1.ClusterTemplate{Name: "dev"}}}
	o := Observation{Now: t0, Run: run, Plan: plan, Lock: Lock{State: LockFree}}
	closedGate(&o)
	if d := Decide(o); d.Action != TakeLock {
		t.Errorf("a person's run: %+v", d)
	}
	byTimetable(&o)
	if d := Decide(o); d.Action != Wait || !strings.Contains(d.Waiting, "the gate to open") || d.Again == 0 {
		t.Errorf("a schedule's run: %+v", d)
	}
}
