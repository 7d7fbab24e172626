package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/outbound"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// other is the plan that takes over from "plan": its cluster is "spare".
func (w *world) other() {
	w.t.Helper()
	w.must(w.store.Store.Create(w.t.Context(), &v1alpha1.RecoveryPlan{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "other"},
		Spec: v1alpha1.RecoveryPlanSpec{
			Source:  v1alpha1.GitSource{URL: "https://git.example.com/fleet.git"},
			Cluster: v1alpha1.ClusterTemplate{Name: "spare", Path: "capi"},
			State:   []v1alpha1.StatePath{{Path: "state"}},
		},
	}))
}

// switches gives a plan two switch hooks.
func switches(p *v1alpha1.RecoveryPlan) {
	p.Spec.Failover = &v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{
		{Name: "dns", URL: "https://dns.example.com", Rollback: &v1alpha1.Hook{URL: "https://dns.example.com/back"}},
		{Name: "pager", URL: "https://pager.example.com"},
	}}
}

// byHook fences with a hook instead of a deletion.
func byHook(p *v1alpha1.RecoveryPlan) {
	switches(p)
	p.Spec.Failover.Fence = v1alpha1.FencePolicy{
		Method: v1alpha1.FenceHook, Hook: &v1alpha1.Hook{URL: "https://power.example.com/off"}, Release: &v1alpha1.Hook{URL: "https://power.example.com/on"},
	}
}

func takesOver(operation v1alpha1.Operation) *v1alpha1.FailoverOrder {
	switch operation {
	case v1alpha1.OperationFailover:
		return &v1alpha1.FailoverOrder{To: v1alpha1.PlanReference{Name: "other"}}
	case v1alpha1.OperationFailback:
		return &v1alpha1.FailoverOrder{To: v1alpha1.PlanReference{Name: "plan"}}
	}
	return nil
}

// calls are the keys that hooks were called with, without the run.
func (w *world) calls() []string {
	var keys []string
	for _, m := range w.posts {
		if !slices.Contains(keys, m.Key) {
			keys = append(keys, m.Key)
		}
	}
	for i, key := range keys {
		_, keys[i], _ = strings.Cut(key, "/")
	}
	return keys
}

func (w *world) serving() *recovery.Serving {
	w.t.Helper()
	s, err := ServingOf(w.t.Context(), w.store.Store, namespace, "plan")
	w.must(err)
	return s
}

func (w *world) serves(plan string, epoch int64) bool {
	s := w.serving()
	return s != nil && s.Plan == plan && s.Epoch == epoch && s.Pending == ""
}

func (w *world) phases(run *v1alpha1.RecoveryRun) string {
	var names []string
	for _, p := range run.Status.Phases {
		names = append(names, string(p.Name))
	}
	return strings.Join(names, " ")
}

// succeeds drives a run to its end, which has to be a good one.
func (w *world) succeeds(name string) *v1alpha1.RecoveryRun {
	w.t.Helper()
	run := w.finish(name)
	if run.Status.Failure != nil {
		w.t.Fatalf("run %s: %+v", name, run.Status.Failure)
	}
	return run
}

// failsWith drives a run to its end, which has to be a bad one for this reason.
func (w *world) failsWith(name, reason string, says ...string) *v1alpha1.RecoveryRun {
	w.t.Helper()
	run := w.finish(name)
	f := run.Status.Failure
	if f == nil || f.Reason != reason {
		w.t.Fatalf("run %s: %+v, want reason %s", name, f, reason)
	}
	for _, say := range says {
		if !strings.Contains(f.Message, say) {
			w.t.Errorf("run %s says %q, want it to say %q", name, f.Message, say)
		}
	}
	return run
}

// TestFailoverAndBack lets another cluster take over from a dead one, refuses to bring the
// old one back by the back door, and fails back.
func TestFailoverAndBack(t *testing.T) {
	w := newWorld(t)
	w.plan(switches)
	w.other()
	old := w.existing(earlier)
	w.engine.lossErr = fmt.Errorf("the cluster does not answer") // what is lost is not known

	w.order("over", v1alpha1.OperationFailover)
	run := w.succeeds("over")
	if got, want := w.phases(run), "Preflight Fence Provision Bootstrap Waves Verify Switch Commit"; got != want {
		t.Errorf("phases %s, want %s", got, want)
	}
	if got := w.clusters(); !slices.Equal(got, []string{"spare"}) || w.deletes[old.UID] != 1 || len(w.deletes) != 1 {
		t.Errorf("clusters %v, deleted %v", got, w.deletes)
	}
	if got := w.calls(); !slices.Equal(got, []string{"switch-dns", "switch-pager"}) || len(w.posts) != 2 {
		t.Errorf("hooks %v in %d messages", got, len(w.posts))
	}
	body := w.posts[0].Body.(hookBody)
	if body.Kind != "Switch" || body.Epoch != 1 || body.From.Cluster != "dev" || body.To.Cluster != "spare" || body.To.Endpoint == "" {
		t.Errorf("the hook got %+v", body)
	}
	if !w.serves("other", 1) || w.cluster("spare").Annotations[capi.AnnotationServing] != "1" || w.cluster("spare").Annotations[capi.AnnotationServes] != "true" {
		t.Errorf("%+v serves, annotations %v", w.serving(), w.cluster("spare").Annotations)
	}
	plan := &v1alpha1.RecoveryPlan{}
	w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "plan"}, plan))
	if s := plan.Status.Serving; s == nil || s.Plan != "other" || s.Cluster != "spare" || s.UID != w.uid("spare") || s.Epoch != 1 || s.Run != "over" {
		t.Errorf("the plan says %+v", plan.Status.Serving)
	}
	if run.Status.Loss == nil || run.Status.Loss.Unseen == "" {
		t.Errorf("the unknown loss is not told: %+v", run.Status.Loss)
	}

	w.order("again", v1alpha1.OperationFailover)
	w.failsWith("again", "AlreadyServing")
	w.order("back-door", v1alpha1.OperationRebuild)
	w.failsWith("back-door", "NotServing", "refloat failback plan", "epoch 1")

	w.engine.lossErr = nil
	w.order("back", v1alpha1.OperationFailback)
	w.succeeds("back")
	if got := w.clusters(); !slices.Equal(got, []string{"dev"}) || !w.serves("plan", 2) || len(w.posts) != 4 {
		t.Errorf("clusters %v, %+v serves, %d messages", got, w.serving(), len(w.posts))
	}
	w.order("rebuild", v1alpha1.OperationRebuild)
	w.succeeds("rebuild")
	w.order("nothing", v1alpha1.OperationFailback)
	w.failsWith("nothing", "AlreadyServing")
}

// TestFailoverToItself refuses two plans with the same cluster, and plans that are not there.
func TestFailoverToItself(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	inc := w.existing(earlier)
	w.order("lonely", v1alpha1.OperationFailover)
	w.failsWith("lonely", "PlanNotFound", "other")
	w.other()
	other := &v1alpha1.RecoveryPlan{}
	w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "other"}, other))
	other.Spec.Cluster.Name = "dev"
	w.must(w.store.Store.Update(t.Context(), other))
	w.order("same", v1alpha1.OperationFailover)
	w.failsWith("same", "SameCluster", "cannot take over from itself")
	if w.uid("dev") != inc.UID || len(w.deletes) > 0 {
		t.Error("the cluster was touched")
	}
}

// TestFailoverToStandby activates a cluster that exists and matches, and no other.
func TestFailoverToStandby(t *testing.T) {
	w := newWorld(t)
	w.plan(switches)
	w.other()
	old := w.existing(earlier)
	w.orderFor("other", "standby", v1alpha1.OperationRebuild)
	w.succeeds("standby")
	spare := w.uid("spare")

	live := w.engine.live
	w.engine.live = map[string]map[string]bool{}
	w.order("differs", v1alpha1.OperationFailover)
	w.failsWith("differs", "StandbyDiffers", "nothing was fenced", "refloat teardown other")
	w.engine.live = live
	if w.uid("dev") != old.UID || len(w.deletes) > 0 || w.serving() != nil || len(w.posts) > 0 {
		t.Fatalf("something was touched: deleted %v, %+v serves", w.deletes, w.serving())
	}

	w.order("over", v1alpha1.OperationFailover)
	run := w.succeeds("over")
	if got, want := w.phases(run), "Preflight Fence Verify Switch Commit"; got != want {
		t.Errorf("phases %s, want %s", got, want)
	}
	if w.uid("spare") != spare || w.deletes[old.UID] != 1 || !w.serves("other", 1) {
		t.Errorf("UID %s, before %s; deleted %v; %+v serves", w.uid("spare"), spare, w.deletes, w.serving())
	}
}

// TestGracefulFailover keeps the rules of a teardown: what would be lost, holds, the drain.
func TestGracefulFailover(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.other()
	old := w.existing(earlier)
	w.engine.loss = &loss.Preview{Lost: []loss.Item{{ID: manifests.ID{Kind: "ConfigMap", Namespace: "a", Name: "by-hand"}, What: loss.Object, Class: loss.Lost}}, Total: 1}
	graceful := func(name string) {
		w.must(w.store.Store.Create(t.Context(), &v1alpha1.RecoveryRun{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: v1alpha1.OperationFailover,
				Failover: &v1alpha1.FailoverOrder{To: v1alpha1.PlanReference{Name: "other"}, Mode: v1alpha1.FailoverGraceful}},
		}))
	}
	graceful("precious")
	w.failsWith("precious", "WouldLose", "by-hand")
	w.engine.loss = nil
	hold := &v1alpha1.Hold{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hold"},
		Spec: v1alpha1.HoldSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Until: metav1.NewTime(w.clock.Now().Add(time.Hour)), Reason: "audit"}}
	w.must(w.store.Store.Create(t.Context(), hold))
	graceful("held")
	w.failsWith("held", "Held", "audit")
	if w.uid("dev") != old.UID || w.serving() != nil {
		t.Fatal("the cluster was touched")
	}
	w.must(w.store.Store.Delete(t.Context(), hold))
	graceful("over")
	run := w.succeeds("over")
	if d := run.Status.Previous.Drain; d == nil || d.Outcome != v1alpha1.DrainComplete {
		t.Errorf("the drain: %+v", d)
	}
}

// TestCouldNotFence waits for a person when the hook fails, and counts only what that
// person says about this very fence.
func TestCouldNotFence(t *testing.T) {
	w := newWorld(t)
	w.plan(byHook)
	w.other()
	w.existing(earlier)
	w.hook = func(m outbound.Message) (string, error) {
		if strings.HasSuffix(m.Key, "/fence") {
			return "", outbound.Refusal("power.example.com answers 403 Forbidden")
		}
		return "200 OK", nil
	}
	w.order("over", v1alpha1.OperationFailover)
	couldNot := func(run *v1alpha1.RecoveryRun) bool {
		return recovery.AskedUnfenced(run) && run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "--unfenced")
	}
	run := w.until("over", "the question", couldNot)
	c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionFenced)
	if c == nil || c.Status != metav1.ConditionFalse || c.Reason != "CouldNotFence" || !strings.Contains(c.Message, "403 Forbidden") {
		t.Errorf("condition %+v", c)
	}
	for range 20 {
		w.step("over")
	}
	if got := w.clusters(); !slices.Equal(got, []string{"dev"}) {
		t.Fatalf("clusters %v before anybody agreed", got)
	}
	asked := run.Status.Failover.Fence.Asked
	say := func(name string, change func(*v1alpha1.RunApprovalSpec)) {
		a := &v1alpha1.RunApproval{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.RunApprovalSpec{
			RunRef: v1alpha1.RunReference{Name: "over"}, Digest: asked.Digest, TargetUID: string(asked.TargetUID), ApprovedBy: "ada", Reason: "I pulled the plug", Unfenced: true,
		}}
		if change != nil {
			change(&a.Spec)
		}
		w.must(w.store.Store.Create(t.Context(), a))
	}
	say("plain", func(s *v1alpha1.RunApprovalSpec) { s.Unfenced = false })
	say("elsewhere", func(s *v1alpha1.RunApprovalSpec) { s.TargetUID = "other" })
	say("something-else", func(s *v1alpha1.RunApprovalSpec) { s.Digest = "sha256:other" })
	for range 5 {
		w.step("over")
	}
	if !recovery.AskedUnfenced(w.run("over")) {
		t.Fatal("an approval counted that is for something else")
	}
	say("yes", nil)
	run = w.succeeds("over")
	f := run.Status.Failover.Fence
	if f.Outcome != v1alpha1.FenceWaived || f.Asked.ApprovedBy != "ada" || f.Reason != "I pulled the plug" || !meta.IsStatusConditionFalse(run.Status.Conditions, v1alpha1.ConditionFenced) {
		t.Errorf("fence %+v", f)
	}
	done := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionSucceeded)
	if !strings.Contains(done.Message, "could not be fenced and may still run") {
		t.Errorf("the verdict: %s", done.Message)
	}
	if w.cluster("dev").Annotations[capi.AnnotationServes] != "false" || !w.serves("other", 1) {
		t.Errorf("%+v serves", w.serving())
	}
}

// TestFenceHookIsMended goes on by itself when the hook answers after all.
func TestFenceHookIsMended(t *testing.T) {
	w := newWorld(t)
	w.plan(byHook)
	w.other()
	w.existing(earlier)
	w.hook = func(outbound.Message) (string, error) {
		return "", outbound.Refusal("power.example.com answers 403 Forbidden")
	}
	w.order("over", v1alpha1.OperationFailover)
	w.until("over", "the question", recovery.AskedUnfenced)
	for range 10 {
		w.step("over")
	}
	if len(w.posts) < 3 || len(w.calls()) != 1 {
		t.Errorf("%d messages with the keys %v, want the same again", len(w.posts), w.calls())
	}
	w.hook = nil
	run := w.succeeds("over")
	if f := run.Status.Failover.Fence; f.Outcome != v1alpha1.FenceDone || !meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.ConditionFenced) {
		t.Errorf("fence %+v", f)
	}
}

// TestFenceTakesTooLong asks a person, and goes on by itself when the deletion ends after all.
func TestFenceTakesTooLong(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) {
		p.Spec.Failover = &v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Timeout: metav1.Duration{Duration: time.Minute}}}
	})
	w.other()
	w.existing(earlier)
	w.edit("dev", func(c *clusterv1.Cluster) { c.Finalizers = append(c.Finalizers, "example.com/stuck") })
	w.order("over", v1alpha1.OperationFailover)
	w.until("over", "the question", recovery.AskedUnfenced)
	if c := meta.FindStatusCondition(w.run("over").Status.Conditions, v1alpha1.ConditionFenced); c == nil || !strings.Contains(c.Message, "within 1m0s") {
		t.Errorf("condition %+v", c)
	}
	w.edit("dev", func(c *clusterv1.Cluster) {
		c.Finalizers = slices.DeleteFunc(c.Finalizers, func(s string) bool { return s == "example.com/stuck" })
	})
	run := w.succeeds("over")
	if f := run.Status.Failover.Fence; f.Outcome != v1alpha1.FenceDone || !meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.ConditionFenced) {
		t.Errorf("fence %+v", f)
	}
}

// TestSwitchFails leaves the record open; the next failover goes on from there, or a
// failback undoes it. The primary plan cannot be rebuilt meanwhile.
func TestSwitchFails(t *testing.T) {
	for name, undo := range map[string]bool{"completed": false, "undone": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(switches)
			w.other()
			old := w.existing(earlier)
			w.hook = func(m outbound.Message) (string, error) {
				if strings.HasSuffix(m.Key, "/switch-pager") {
					return "", outbound.Refusal("pager.example.com answers 500 Internal Server Error")
				}
				return "200 OK", nil
			}
			w.order("over", v1alpha1.OperationFailover)
			w.failsWith("over", "SwitchFailed", "hook switch-pager", "500")
			if s := w.serving(); s.Plan != "plan" || s.Pending != "other" || s.Epoch != 1 {
				t.Fatalf("%+v serves", s)
			}
			w.hook = nil
			w.order("back-door", v1alpha1.OperationRebuild)
			w.failsWith("back-door", "NotServing", "refloat failback plan")
			if undo {
				w.order("back", v1alpha1.OperationFailback)
				w.succeeds("back")
				if got := w.clusters(); !slices.Equal(got, []string{"dev"}) || !w.serves("plan", 2) {
					t.Errorf("clusters %v, %+v serves", got, w.serving())
				}
				return
			}
			w.order("go-on", v1alpha1.OperationFailover)
			run := w.succeeds("go-on")
			if !run.Status.Failover.Standby || !w.serves("other", 2) || w.deletes[old.UID] != 1 || len(w.deletes) != 1 {
				t.Errorf("%+v serves, deleted %v", w.serving(), w.deletes)
			}
		})
	}
}

// TestCommitPolicies decides by a person or by time.
func TestCommitPolicies(t *testing.T) {
	hour := &metav1.Duration{Duration: time.Hour}
	for name, test := range map[string]struct {
		rule   v1alpha1.CommitRule
		decide v1alpha1.CommitDecision
		wait   time.Duration
		back   bool
	}{
		"a person commits":                 {rule: v1alpha1.CommitRule{Policy: v1alpha1.CommitManual}, decide: v1alpha1.DecideCommit},
		"a person rolls back":              {rule: v1alpha1.CommitRule{Policy: v1alpha1.CommitManual}, decide: v1alpha1.DecideRollBack, back: true},
		"time commits":                     {rule: v1alpha1.CommitRule{Policy: v1alpha1.CommitAfter, After: hour}, wait: time.Hour},
		"a person rolls back before":       {rule: v1alpha1.CommitRule{Policy: v1alpha1.CommitAfter, After: hour}, decide: v1alpha1.DecideRollBack, back: true},
		"time rolls back":                  {rule: v1alpha1.CommitRule{Policy: v1alpha1.CommitRollBackAfter, After: hour}, wait: time.Hour, back: true},
		"a person commits before it could": {rule: v1alpha1.CommitRule{Policy: v1alpha1.CommitRollBackAfter, After: hour}, decide: v1alpha1.DecideCommit},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(func(p *v1alpha1.RecoveryPlan) { byHook(p); p.Spec.Failover.Commit = test.rule })
			w.other()
			w.existing(earlier)
			w.order("over", v1alpha1.OperationFailover)
			w.until("over", "the decision", func(run *v1alpha1.RecoveryRun) bool {
				return inPhase(v1alpha1.PhaseCommit)(run) && run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "refloat commit over")
			})
			for range 5 {
				w.step("over")
			}
			if s := w.serving(); s.Plan != "plan" || s.Pending != "other" {
				t.Fatalf("%+v serves before anybody decided", s)
			}
			if test.decide != "" {
				w.revise("over", func(s *v1alpha1.RecoveryRunSpec) { s.Commit = test.decide })
			}
			w.clock.Step(test.wait)
			if !test.back {
				w.succeeds("over")
				if !w.serves("other", 1) || len(w.calls()) != 3 {
					t.Errorf("%+v serves, calls %v", w.serving(), w.calls())
				}
				return
			}
			w.failsWith("over", "RolledBack", "Cluster dev of plan plan serves")
			if got, want := w.calls(), []string{"fence", "switch-dns", "switch-pager", "release", "rollback-dns"}; !slices.Equal(got, want) {
				t.Errorf("calls %v, want %v", got, want)
			}
			if !w.serves("plan", 2) || w.cluster("dev").Annotations[capi.AnnotationServes] != "true" || w.cluster("spare").Annotations[capi.AnnotationServes] != "false" {
				t.Errorf("%+v serves", w.serving())
			}
		})
	}
}

// TestCommittedRecordIsNotRolledBack finishes a commit that the record knows of and the run
// does not, whatever is ordered then.
func TestCommittedRecordIsNotRolledBack(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) {
		byHook(p)
		p.Spec.Failover.Commit = v1alpha1.CommitRule{Policy: v1alpha1.CommitManual}
	})
	w.other()
	w.existing(earlier)
	w.order("over", v1alpha1.OperationFailover)
	w.until("over", "the decision", inPhase(v1alpha1.PhaseCommit))
	w.fail = func(_ string, o client.Object) error {
		if _, ok := o.(*v1alpha1.RecoveryPlan); ok {
			return errKilled
		}
		return nil
	}
	w.revise("over", func(s *v1alpha1.RecoveryRunSpec) { s.Commit = v1alpha1.DecideCommit })
	w.until("over", "the record", func(*v1alpha1.RecoveryRun) bool { return w.serves("other", 1) })
	w.fail = nil
	w.replace()
	w.revise("over", func(s *v1alpha1.RecoveryRunSpec) { s.Commit = v1alpha1.DecideRollBack })
	w.succeeds("over")
	if got, want := w.calls(), []string{"fence", "switch-dns", "switch-pager"}; !slices.Equal(got, want) || !w.serves("other", 1) {
		t.Errorf("calls %v, want %v; %+v serves", got, want, w.serving())
	}
}

// TestRollBackOfWhatIsGone is refused in words, and a commit ends the wait.
func TestRollBackOfWhatIsGone(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) {
		p.Spec.Failover = &v1alpha1.PlanFailover{Commit: v1alpha1.CommitRule{Policy: v1alpha1.CommitManual}}
	})
	w.other()
	w.existing(earlier)
	w.order("over", v1alpha1.OperationFailover)
	w.until("over", "the decision", inPhase(v1alpha1.PhaseCommit))
	w.revise("over", func(s *v1alpha1.RecoveryRunSpec) { s.Commit = v1alpha1.DecideRollBack })
	w.until("over", "the refusal", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "Cluster dev of plan plan is gone")
	})
	w.revise("over", func(s *v1alpha1.RecoveryRunSpec) { s.Commit = v1alpha1.DecideCommit })
	w.succeeds("over")
}

// TestCancelBeforeTheFence touches nothing and leaves no open transition.
func TestCancelBeforeTheFence(t *testing.T) {
	w := newWorld(t)
	w.plan(needsApproval)
	w.other()
	old := w.existing(earlier)
	w.orderBy("ada", "over", v1alpha1.OperationFailover)
	w.until("over", "the question", inPhase(v1alpha1.PhaseApproval))
	w.revise("over", func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{Reason: "false alarm"} })
	w.failsWith("over", "Cancelled")
	if w.uid("dev") != old.UID || w.serving() != nil {
		t.Error("something was touched")
	}
	w.order("rebuild", v1alpha1.OperationTeardown)
	w.until("rebuild", "its turn", inPhase(v1alpha1.PhaseApproval))
}

// TestUndoLeavesTheStandby: a failover that was cancelled in its fence is undone without
// touching the standby that users never came to.
func TestUndoLeavesTheStandby(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.RecoveryPlan){"deletes": nil, "by a hook": byHook} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(change)
			w.other()
			w.order("first", v1alpha1.OperationRebuild)
			w.succeeds("first")
			dev := w.uid("dev")
			w.orderFor("other", "standby", v1alpha1.OperationRebuild)
			w.succeeds("standby")
			spare := w.uid("spare")
			w.order("over", v1alpha1.OperationFailover)
			w.fail = func(_ string, o client.Object) error {
				if o != nil && o.GetName() == "dev" {
					return errKilled // the Cluster cannot be stamped
				}
				return nil
			}
			w.until("over", "the epoch", func(*v1alpha1.RecoveryRun) bool { return w.serving() != nil && w.serving().Pending == "other" })
			w.fail = nil
			w.revise("over", func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{Reason: "false alarm"} })
			w.failsWith("over", "Cancelled")
			w.order("back", v1alpha1.OperationFailback)
			run := w.succeeds("back")
			if w.uid("spare") != spare || w.uid("dev") != dev || len(w.deletes) > 0 || slices.Contains(w.calls(), "fence") || !w.serves("plan", 2) {
				t.Errorf("deleted %v, calls %v, %+v serves", w.deletes, w.calls(), w.serving())
			}
			if f := run.Status.Failover.Fence; f.Outcome != v1alpha1.FenceNothing {
				t.Errorf("fence %+v", f)
			}
		})
	}
}

// TestServesAnother: a plan that serves for another primary plan is not failed over to, nor
// fenced here.
func TestServesAnother(t *testing.T) {
	for _, bound := range []string{"plan", "other"} {
		t.Run(bound, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			w.other()
			old := w.existing(earlier)
			w.must(w.store.Store.Create(t.Context(), &v1alpha1.RecoveryPlan{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "third"},
				Spec:       v1alpha1.RecoveryPlanSpec{Cluster: v1alpha1.ClusterTemplate{Name: "third", Path: "capi"}},
			}))
			transitions := int32(1)
			w.must(w.store.Store.Create(t.Context(), &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: recovery.ServingName("third")},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: &bound, LeaseTransitions: &transitions},
			}))
			w.order("over", v1alpha1.OperationFailover)
			w.failsWith("over", "ServesAnother", "plan "+bound, "for plan third")
			if w.uid("dev") != old.UID || w.serving() != nil {
				t.Error("something was touched")
			}
		})
	}
}

// TestServingRecordOfSomebodyElse is not overwritten: a run that finds another epoch than in
// its preflight ends before it touches anything.
func TestServingRecordOfSomebodyElse(t *testing.T) {
	w := newWorld(t)
	w.plan(needsApproval)
	w.other()
	old := w.existing(earlier)
	w.orderBy("ada", "over", v1alpha1.OperationFailover)
	w.until("over", "the question", inPhase(v1alpha1.PhaseApproval))
	holder, epoch := "third", int32(7)
	w.must(w.store.Store.Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: recovery.ServingName("plan")},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseTransitions: &epoch},
	}))
	w.approve("grace", w.run("over"), nil)
	w.failsWith("over", "ServingChanged")
	if w.uid("dev") != old.UID || w.serving().Epoch != 7 {
		t.Error("something was touched")
	}
}

// TestTeardownOfWhoServes leaves the cluster alone that serves in the place of another plan's,
// unless somebody insists; after the failback the primary plan's own may go as before.
func TestTeardownOfWhoServes(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.other()
	w.existing(earlier)
	w.order("over", v1alpha1.OperationFailover)
	w.succeeds("over")
	spare := w.uid("spare")
	down := func(name, plan, cluster string, change func(*v1alpha1.RecoveryRun)) {
		run := &v1alpha1.RecoveryRun{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: plan}, Operation: v1alpha1.OperationTeardown, Cluster: cluster},
		}
		if change != nil {
			change(run)
		}
		w.must(w.store.Store.Create(t.Context(), run))
	}
	down("down", "other", "spare", nil)
	w.failsWith("down", "Serving", "cluster spare", "failback")
	if w.uid("spare") != spare {
		t.Fatal("it was touched")
	}
	w.order("back", v1alpha1.OperationFailback)
	w.succeeds("back")
	down("primary", "plan", "dev", nil)
	w.succeeds("primary")
}

// TestElsewhere tells timetables what a rebuild would be refused for.
func TestElsewhere(t *testing.T) {
	w := newWorld(t)
	ask := func(want ...string) {
		t.Helper()
		says, err := NewElsewhere(w.store.Store)(t.Context(), &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "plan"}})
		w.must(err)
		for _, part := range want {
			if !strings.Contains(says, part) {
				t.Errorf("says %q, want %q", says, part)
			}
		}
		if len(want) == 0 && says != "" {
			t.Errorf("says %q", says)
		}
	}
	ask()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: recovery.ServingName("plan")}}
	w.must(w.store.Store.Create(t.Context(), lease))
	ask("somebody edited it")
	lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: new("third"), LeaseTransitions: new(int32(1))}
	w.must(w.store.Store.Update(t.Context(), lease))
	ask("plan third serves", "refloat failback plan")
	lease.Spec.HolderIdentity = new("plan")
	w.must(w.store.Store.Update(t.Context(), lease))
	ask()
}

// TestFailoverGoesOn completes a failover that failed after its fence with the cluster that
// it made, instead of asking for it to be deleted.
func TestFailoverGoesOn(t *testing.T) {
	w := newWorld(t)
	w.plan(switches)
	w.other()
	old := w.existing(earlier)
	w.engine.applyErr = recovery.Faultf("WavesFailed", "Deployment a did not become ready")
	w.order("over", v1alpha1.OperationFailover)
	w.failsWith("over", "WavesFailed")
	spare := w.uid("spare")
	w.engine.applyErr = nil
	w.engine.wrote = map[string]int{}
	for _, live := range w.engine.live {
		delete(live, "o1") // the last wave had not been applied
	}
	w.order("go-on", v1alpha1.OperationFailover)
	run := w.succeeds("go-on")
	if got, want := w.phases(run), "Preflight Fence Provision Bootstrap Waves Verify Switch Commit"; got != want {
		t.Errorf("phases %s, want %s", got, want)
	}
	if w.uid("spare") != spare || w.deletes[old.UID] != 1 || len(w.deletes) != 1 || !w.serves("other", 2) {
		t.Errorf("UID %s, before %s; deleted %v; %+v serves", w.uid("spare"), spare, w.deletes, w.serving())
	}
	if r := run.Status.Retried; r == nil || r.Name != "over" {
		t.Errorf("retried %+v", r)
	}
}

// TestKillFailover kills the controller at each write of every kind of failover.
func TestKillFailover(t *testing.T) {
	for name, test := range map[string]struct {
		plan      func(*v1alpha1.RecoveryPlan)
		operation v1alpha1.Operation
		before    v1alpha1.Operation // ordered first, undisturbed
		standby   bool
		result    string
		serves    string
		epoch     int64
		calls     int
	}{
		"back":         {plan: switches, before: v1alpha1.OperationFailover, operation: v1alpha1.OperationFailback, result: "Succeeded", serves: "plan", epoch: 2, calls: 4},
		"to a standby": {plan: byHook, standby: true, operation: v1alpha1.OperationFailover, result: "Succeeded", serves: "other", epoch: 1, calls: 3},
		"and rolled back": {plan: func(p *v1alpha1.RecoveryPlan) {
			byHook(p)
			p.Spec.Failover.Commit = v1alpha1.CommitRule{Policy: v1alpha1.CommitRollBackAfter, After: &metav1.Duration{Duration: 5 * time.Second}}
		}, standby: true, operation: v1alpha1.OperationFailover, result: "Failed", serves: "plan", epoch: 2, calls: 5},
		"by a directory": {plan: func(p *v1alpha1.RecoveryPlan) { byDirectory(p); p.Spec.Failover.Commit = v1alpha1.CommitRule{} },
			standby: true, operation: v1alpha1.OperationFailover, result: "Succeeded", serves: "other", epoch: 1, calls: 1},
		"by both": {plan: func(p *v1alpha1.RecoveryPlan) {
			byHook(p)
			p.Spec.Failover.Fence.Method = v1alpha1.FenceDeleteAfterHook
		},
			standby: true, operation: v1alpha1.OperationFailover, result: "Succeeded", serves: "other", epoch: 1, calls: 3},
	} {
		t.Run(name, func(t *testing.T) {
			begin := func(t *testing.T) *world {
				w := newWorld(t)
				w.plan(test.plan)
				w.other()
				w.existing(earlier)
				if test.standby {
					w.orderFor("other", "standby", v1alpha1.OperationRebuild)
					w.succeeds("standby")
				}
				if test.before != "" {
					w.order("before", test.before)
					w.succeeds("before")
				}
				w.writes = 0
				w.order("run", test.operation)
				return w
			}
			w := begin(t)
			reference := w.finish("run")
			clusters, total := w.clusters(), w.writes
			right := func(t *testing.T, w *world, run *v1alpha1.RecoveryRun) {
				t.Helper()
				if string(run.Status.Phase) != test.result || !w.serves(test.serves, test.epoch) || len(w.calls()) != test.calls {
					t.Errorf("%s (%+v), %+v serves, calls %v", run.Status.Phase, run.Status.Failure, w.serving(), w.calls())
				}
			}
			right(t, w, reference)
			for k := 1; k <= total; k++ {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("write %d after=%t", k, after), func(t *testing.T) {
						t.Parallel()
						w := begin(t)
						w.killAt, w.after = k, after
						run := w.finish("run")
						right(t, w, run)
						if diff := cmp.Diff(outcomeOf(reference), outcomeOf(run), sameOutcome); diff != "" {
							t.Errorf("outcome (-undisturbed +killed):\n%s", diff)
						}
						if diff := cmp.Diff(clusters, w.clusters()); diff != "" {
							t.Errorf("clusters (-undisturbed +killed):\n%s", diff)
						}
					})
				}
			}
			t.Logf("%d writes, killed before and after each", total)
		})
	}
}

// byDirectory switches by a directory instead of a hook.
func byDirectory(p *v1alpha1.RecoveryPlan) {
	p.Spec.Failover = &v1alpha1.PlanFailover{
		Fence:  v1alpha1.FencePolicy{Method: v1alpha1.FenceHook, Hook: &v1alpha1.Hook{URL: "https://power.example.com/off"}},
		Switch: []v1alpha1.SwitchHook{{Name: "dns", Apply: &v1alpha1.SwitchDirectory{Path: "dns/${CLUSTER_NAME}"}}},
		Commit: v1alpha1.CommitRule{Policy: v1alpha1.CommitManual},
	}
}

// TestSwitchByDirectory applies records for the new side, and for the old one when it is
// rolled back.
func TestSwitchByDirectory(t *testing.T) {
	w := newWorld(t)
	w.plan(byDirectory)
	w.other()
	w.existing(earlier)
	record := func() string {
		held := &corev1.ConfigMap{}
		w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "record"}, held))
		return held.Data["to"]
	}
	w.order("over", v1alpha1.OperationFailover)
	run := w.until("over", "the decision", inPhase(v1alpha1.PhaseCommit))
	if record() != "spare" || w.applies != 1 {
		t.Errorf("the record leads to %s after %d requests", record(), w.applies)
	}
	if h := run.Status.Failover.Hooks; len(h) != 2 || h[1].Name != "switch-dns" || h[1].Answer != "1 objects applied" {
		t.Errorf("hooks %+v", h)
	}
	w.replace() // the one that rolls back knows nothing
	w.revise("over", func(s *v1alpha1.RecoveryRunSpec) { s.Commit = v1alpha1.DecideRollBack })
	w.failsWith("over", "RolledBack")
	if record() != "dev" || w.applies != 2 {
		t.Errorf("the record leads to %s after %d requests", record(), w.applies)
	}
}

// TestSwitchDirectoryRefused: what a switch must not write is known before anything is
// fenced.
func TestSwitchDirectoryRefused(t *testing.T) {
	for name, test := range map[string]struct {
		record func(*unstructured.Unstructured)
		says   string
	}{
		"another namespace":       {func(u *unstructured.Unstructured) { u.SetNamespace("kube-system") }, "into the plan's namespace fleet only"},
		"a Secret":                {func(u *unstructured.Unstructured) { u.SetKind("Secret") }, "does not belong into a switch"},
		"an approval":             {func(u *unstructured.Unstructured) { u.SetAPIVersion("refloat.dev/v1alpha1"); u.SetKind("RunApproval") }, "does not belong into a switch"},
		"a Cluster":               {func(u *unstructured.Unstructured) { u.SetAPIVersion("cluster.x-k8s.io/v1beta2"); u.SetKind("Cluster") }, "does not belong into a switch"},
		"a kind that nobody has":  {func(u *unstructured.Unstructured) { u.SetAPIVersion("dns.example.com/v1"); u.SetKind("Record") }, "does not serve"},
		"an object without name":  {func(u *unstructured.Unstructured) { u.SetName("") }, "has no metadata.name"},
		"an object that is owned": {func(u *unstructured.Unstructured) { u.SetFinalizers([]string{"example.com/mine"}) }, "belong to a live object"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(byDirectory)
			w.other()
			old := w.existing(earlier)
			w.engine.record = test.record
			w.order("over", v1alpha1.OperationFailover)
			run := w.failsWith("over", "SwitchInvalid", "record.yaml", test.says)
			if run.Status.Failure.Phase != v1alpha1.PhasePreflight || w.uid("dev") != old.UID || w.serving() != nil || len(w.posts) > 0 || w.applies > 0 {
				t.Errorf("something was touched in %s", run.Status.Failure.Phase)
			}
		})
	}
}

// TestLossOfTheOldState compares the old side with the state of its own plan, which is
// rendered once when both plans ask for the same.
func TestLossOfTheOldState(t *testing.T) {
	plan := v1alpha1.RecoveryPlanSpec{Source: v1alpha1.GitSource{URL: "https://git.example.com/a.git"}, State: []v1alpha1.StatePath{{Path: "state"}}}
	for name, test := range map[string]struct {
		change   func(*v1alpha1.RecoveryPlanSpec)
		rendered Rendered
		same     bool
	}{
		"another cluster": {func(p *v1alpha1.RecoveryPlanSpec) {
			p.Cluster.Name = "spare"
			p.Teardown.Policy = v1alpha1.TeardownForbidden
		}, Rendered{}, true},
		"another directory":  {func(p *v1alpha1.RecoveryPlanSpec) { p.State = []v1alpha1.StatePath{{Path: "other"}} }, Rendered{}, false},
		"another repository": {func(p *v1alpha1.RecoveryPlanSpec) { p.Source.URL = "https://git.example.com/b.git" }, Rendered{}, false},
		"another branch":     {func(p *v1alpha1.RecoveryPlanSpec) { p.Source.Ref.Branch = "b" }, Rendered{}, false},
		"other seeds":        {func(p *v1alpha1.RecoveryPlanSpec) { p.Seeds = []v1alpha1.Seed{{Namespace: "b"}} }, Rendered{}, false},
		"charts":             {func(*v1alpha1.RecoveryPlanSpec) {}, Rendered{Charts: []expand.ChartPin{{}}}, false},
	} {
		other := *plan.DeepCopy()
		test.change(&other)
		if got := sameState(plan, other, &test.rendered); got != test.same {
			t.Errorf("%s: the same state: %t, want %t", name, got, test.same)
		}
	}
}
