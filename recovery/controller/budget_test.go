package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
)

func perHour(n int32) func(*v1alpha1.TeardownBudgetSpec) {
	return func(s *v1alpha1.TeardownBudgetSpec) { s.MaxPerHour = &n }
}

func mostDown(s string) func(*v1alpha1.TeardownBudgetSpec) {
	v := intstr.Parse(s)
	return func(spec *v1alpha1.TeardownBudgetSpec) { spec.MaxDown = &v }
}

func waitFor(d time.Duration) func(*v1alpha1.TeardownBudgetSpec) {
	return func(s *v1alpha1.TeardownBudgetSpec) { s.WaitFor = &metav1.Duration{Duration: d} }
}

func (w *world) budget(changes ...func(*v1alpha1.TeardownBudgetSpec)) {
	w.t.Helper()
	b := &v1alpha1.TeardownBudget{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "nightly"}}
	b.Spec.PlanSelector.MatchLabels = map[string]string{"tier": "dev"}
	for _, change := range changes {
		change(&b.Spec)
	}
	w.must(w.store.Store.Create(w.t.Context(), b))
}

func (w *world) budgeted() *v1alpha1.TeardownBudget {
	w.t.Helper()
	b := &v1alpha1.TeardownBudget{}
	w.must(w.store.Store.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "nightly"}, b))
	return b
}

func labelled(p *v1alpha1.RecoveryPlan) { p.Labels = map[string]string{"tier": "dev"} }

// sibling adds another plan of the group, with a cluster that works when up is true.
func (w *world) sibling(name string, up bool) {
	w.t.Helper()
	plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	labelled(plan)
	plan.Spec = v1alpha1.RecoveryPlanSpec{
		Source: v1alpha1.GitSource{URL: "https://git.example.com/fleet.git"}, Cluster: v1alpha1.ClusterTemplate{Name: name, Path: "capi"}, State: []v1alpha1.StatePath{{Path: "state"}},
	}
	w.must(w.store.Store.Create(w.t.Context(), plan))
	if up {
		w.verified(name)
	}
}

// verified makes a cluster of which an earlier run said that it matches.
func (w *world) verified(name string) {
	w.t.Helper()
	m, err := capi.Parse(fake.Sources(name), name, namespace)
	w.must(err)
	clusters := w.store.Clusters(w.store.Store)
	inc, err := clusters.Create(w.t.Context(), m, earlier)
	w.must(err)
	w.must(w.store.Settle(w.t.Context()))
	w.must(clusters.MarkApplied(w.t.Context(), inc, metav1.Condition{Type: v1alpha1.ConditionGitStateApplied, Status: metav1.ConditionTrue, Reason: "Verified"}))
}

func (w *world) orderFor(plan, name string, operation v1alpha1.Operation) {
	w.t.Helper()
	w.must(w.store.Store.Create(w.t.Context(), &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: plan}, Operation: operation},
	}))
}

// TestBudget holds budgets against runs whose turn it is, or is not.
func TestBudget(t *testing.T) {
	invalid := func(s *v1alpha1.TeardownBudgetSpec) {
		s.PlanSelector = metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Like"}}}
	}
	elsewhere := func(s *v1alpha1.TeardownBudgetSpec) { s.PlanSelector.MatchLabels["tier"] = "prod" }
	for name, test := range map[string]struct {
		budget    []func(*v1alpha1.TeardownBudgetSpec)
		world     func(*world)
		operation v1alpha1.Operation
		reason    string
		says      string
		slots     int // at the end
	}{
		"room":               {budget: []func(*v1alpha1.TeardownBudgetSpec){perHour(1)}, operation: v1alpha1.OperationTeardown, slots: 1},
		"room for a rebuild": {budget: []func(*v1alpha1.TeardownBudgetSpec){perHour(1), mostDown("50%")}, operation: v1alpha1.OperationRebuild, slots: 1},
		"freeze":             {budget: []func(*v1alpha1.TeardownBudgetSpec){perHour(0)}, operation: v1alpha1.OperationTeardown, reason: "BudgetExceeded", says: "spec.maxPerHour is 0"},
		"freeze, rebuild":    {budget: []func(*v1alpha1.TeardownBudgetSpec){mostDown("0")}, operation: v1alpha1.OperationRebuild, reason: "BudgetExceeded", says: "at most 0 of 2 clusters may be down"},
		"freeze, drill":      {budget: []func(*v1alpha1.TeardownBudgetSpec){perHour(0)}, operation: v1alpha1.OperationDrill},
		"freeze of others":   {budget: []func(*v1alpha1.TeardownBudgetSpec){perHour(0), elsewhere}, operation: v1alpha1.OperationTeardown},
		"sibling is down":    {budget: []func(*v1alpha1.TeardownBudgetSpec){mostDown("1")}, world: func(w *world) { w.sibling("third", false) }, operation: v1alpha1.OperationTeardown, reason: "BudgetExceeded", says: "those of other plans are: third"},
		"malformed":          {budget: []func(*v1alpha1.TeardownBudgetSpec){perHour(9), invalid}, operation: v1alpha1.OperationTeardown, reason: "BudgetInvalid", says: "spec.planSelector"},
		"no patience": {budget: []func(*v1alpha1.TeardownBudgetSpec){perHour(0), waitFor(0)}, operation: v1alpha1.OperationTeardown, reason: "BudgetExceeded",
			says: "there was no slot of TeardownBudget nightly for the run within 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(labelled)
			w.verified("dev")
			w.sibling("other", true)
			w.budget(test.budget...)
			if test.world != nil {
				test.world(w)
			}
			w.order("run", test.operation)
			if test.reason == "BudgetExceeded" && !strings.Contains(test.says, "0s") {
				run := w.until("run", "its wait", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Waiting != nil && run.Status.Budget != nil })
				if s := run.Status.Waiting; !strings.HasPrefix(s.For, "a slot of TeardownBudget nightly: ") || s.Until == nil || s.Until.Sub(s.Since.Time) != time.Hour {
					t.Errorf("waiting %+v", s)
				}
				w.clock.Step(time.Hour)
			}
			run := w.finish("run")
			f := run.Status.Failure
			if test.reason == "" && f != nil || test.reason != "" && (f == nil || f.Reason != test.reason || f.Phase != v1alpha1.PhaseTeardown || !strings.Contains(f.Message, test.says)) {
				t.Fatalf("failure %+v, want %q that says %q", f, test.reason, test.says)
			}
			if test.reason != "" && (len(w.deletes) > 0 || len(w.drains.stopped) > 0) {
				t.Error("the cluster was touched")
			}
			if slots := w.budgeted().Status.Slots; len(slots) != test.slots || test.slots > 0 && slots[0].UID != run.UID {
				t.Errorf("slots %+v", slots)
			}
		})
	}
}

// TestTurnByTurn has a second run wait until the hour of the first is over. That takes longer
// than its phase may.
func TestTurnByTurn(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) {
		labelled(p)
		p.Spec.Teardown.Timeout = metav1.Duration{Duration: 10 * time.Minute}
	})
	w.verified("dev")
	w.sibling("other", true)
	w.budget(perHour(1), waitFor(2*time.Hour))
	w.orderFor("other", "first", v1alpha1.OperationTeardown)
	if f := w.finish("first").Status.Failure; f != nil {
		t.Fatalf("%+v", f)
	}
	w.order("second", v1alpha1.OperationTeardown)
	run := w.until("second", "its wait", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Waiting != nil && run.Status.Budget != nil })
	free := w.run("first").Status.Previous.DeleteRequestedAt.Add(time.Hour)
	if want := "1 clusters were deleted within an hour or are about to be, and at most 1 may; the next comes free at " + free.UTC().Format(time.RFC3339); !strings.Contains(run.Status.Waiting.For, want) {
		t.Errorf("it waits for %q, want %q", run.Status.Waiting.For, want)
	}
	w.clock.SetTime(free.Add(-time.Minute))
	w.step("second")
	if len(w.deletes) != 1 {
		t.Fatal("it did not wait for its turn")
	}
	w.clock.SetTime(free)
	run = w.finish("second")
	if run.Status.Failure != nil || run.Status.Budget == nil || run.Status.Budget.Since != nil || run.Status.Budget.Waited.Duration < 50*time.Minute {
		t.Errorf("failure %+v, budget %+v", run.Status.Failure, run.Status.Budget)
	}
	if slots := w.budgeted().Status.Slots; len(slots) != 1 || slots[0].Run != "second" {
		t.Errorf("slots %+v", slots)
	}
}

// TestTwoRunsWantTheLastSlot at the same moment: the other one comes between the count and
// the write.
func TestTwoRunsWantTheLastSlot(t *testing.T) {
	w := newWorld(t)
	w.plan(labelled)
	w.verified("dev")
	w.sibling("other", true)
	w.budget(mostDown("1"))
	w.orderFor("other", "rival", v1alpha1.OperationTeardown)
	raced := false
	w.fail = func(verb string, o client.Object) error {
		if _, budget := o.(*v1alpha1.TeardownBudget); !budget || raced || verb != "update status" {
			return nil
		}
		raced = true
		b, rival := w.budgeted(), w.run("rival")
		b.Status.Slots = []v1alpha1.TeardownSlot{{Run: rival.Name, UID: rival.UID, Plan: "other", TakenAt: metav1.NewMicroTime(w.clock.Now())}}
		w.must(w.store.Store.Status().Update(t.Context(), b))
		return nil
	}
	w.order("run", v1alpha1.OperationTeardown)
	run := w.until("run", "its wait", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Waiting != nil && run.Status.Budget != nil })
	if !raced || !strings.Contains(run.Status.Waiting.For, "those of other plans are: other") || len(w.deletes) != 0 {
		t.Errorf("raced %t, waits for %q", raced, run.Status.Waiting.For)
	}
	if slots := w.budgeted().Status.Slots; len(slots) != 1 || slots[0].Run != "rival" {
		t.Errorf("slots %+v", slots)
	}
	// The rival goes away without having deleted anything.
	w.must(w.store.Store.Delete(t.Context(), w.run("rival")))
	if run := w.finish("run"); run.Status.Failure != nil {
		t.Errorf("%+v", run.Status.Failure)
	}
}

// TestFreezeWhileSomebodyDecides makes the budget after the preflight.
func TestFreezeWhileSomebodyDecides(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) { labelled(p); needsApproval(p) })
	w.verified("dev")
	w.orderBy("ada", "run", v1alpha1.OperationTeardown)
	run := w.until("run", "the approval", inPhase(v1alpha1.PhaseApproval))
	w.budget(perHour(0), waitFor(0))
	w.approve("grace", run, nil)
	if f := w.finish("run").Status.Failure; f == nil || f.Reason != "BudgetExceeded" || len(w.deletes) != 0 {
		t.Errorf("%+v, deleted %v", f, w.deletes)
	}
}

// TestBudgetOfAPlanThatIsGone cannot be told.
func TestBudgetOfAPlanThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) { labelled(p); needsApproval(p) })
	w.verified("dev")
	w.budget(perHour(9))
	w.orderBy("ada", "run", v1alpha1.OperationTeardown)
	run := w.until("run", "the approval", inPhase(v1alpha1.PhaseApproval))
	w.must(w.store.Store.Delete(t.Context(), &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "plan"}}))
	w.approve("grace", run, nil)
	if f := w.finish("run").Status.Failure; f == nil || f.Reason != "BudgetUnknown" || len(w.deletes) != 0 {
		t.Errorf("%+v, deleted %v", f, w.deletes)
	}
}

// TestKillUnderABudget kills the controller at each write of a run that has to wait for its
// turn: it takes one slot, and deletes once.
func TestKillUnderABudget(t *testing.T) {
	begin := func(t *testing.T) *world {
		w := newWorld(t)
		w.plan(labelled)
		w.verified("dev")
		w.sibling("other", false)
		w.budget(perHour(1), mostDown("1"))
		w.order("run", v1alpha1.OperationRebuild)
		return w
	}
	// The sibling comes up once the run is seen to wait for it.
	drive := func(w *world) *v1alpha1.RecoveryRun {
		w.until("run", "its wait", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Waiting != nil && run.Status.Budget != nil })
		w.verified("other")
		return w.finish("run")
	}
	w := begin(t)
	reference := drive(w)
	if reference.Status.Failure != nil {
		t.Fatalf("the undisturbed run: %+v", reference.Status.Failure)
	}
	total := w.writes
	for k := 1; k <= total; k++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d after=%t", k, after), func(t *testing.T) {
				t.Parallel()
				w := begin(t)
				w.killAt, w.after = k, after
				run := drive(w)
				same := append(sameOutcome, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Suspended" || p.Last().String() == ".Waited" }, cmp.Ignore()))
				if diff := cmp.Diff(outcomeOf(reference), outcomeOf(run), same); diff != "" {
					t.Errorf("outcome (-undisturbed +killed):\n%s", diff)
				}
				if slots := w.budgeted().Status.Slots; len(slots) != 1 || slots[0].UID != run.UID {
					t.Errorf("slots %+v", slots)
				}
			})
		}
	}
	t.Logf("%d writes, killed before and after each", total)
}

// TestRefreshBudget counts for people, and writes only what changed.
func TestRefreshBudget(t *testing.T) {
	w := newWorld(t)
	w.plan(labelled)
	w.verified("dev")
	w.sibling("other", false)
	w.budget(mostDown("50%"))
	refresh := func() *v1alpha1.TeardownBudget {
		t.Helper()
		_, err := w.r.refreshBudget(t.Context(), requestFor("nightly"))
		w.must(err)
		return w.budgeted()
	}
	b := refresh()
	if s := b.Status; s.Plans != 2 || s.Down != 1 || !meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("%+v", s)
	}
	if again := refresh(); again.ResourceVersion != b.ResourceVersion {
		t.Error("what had not changed was written again")
	}
	b.Spec.PlanSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Like"}}
	w.must(w.store.Store.Update(t.Context(), b))
	if c := meta.FindStatusCondition(refresh().Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Reason != "Invalid" || !strings.Contains(c.Message, "spec.planSelector") {
		t.Errorf("%+v", c)
	}
	if _, err := w.r.refreshBudget(t.Context(), requestFor("gone")); err != nil {
		t.Error(err)
	}
}
