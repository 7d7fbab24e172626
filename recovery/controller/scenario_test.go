package controller

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

var earlier = capi.Stamp{Run: "earlier", Epoch: 1}

// TestPreflightDestroysNothing holds every fault that a preflight finds against a
// cluster that must survive it.
func TestPreflightDestroysNothing(t *testing.T) {
	for name, test := range map[string]struct {
		plan      func(*v1alpha1.RecoveryPlan)
		world     func(*world)
		operation v1alpha1.Operation
		want      string
		silent    bool // it says nothing about the plan
	}{
		"bad input": {world: func(w *world) { w.engine.renderErr = recovery.Faultf("StateInvalid", "state/a.yaml:3: no kind") }, want: "state/a.yaml:3: no kind"},
		"no object": {world: func(w *world) { w.engine.objects = 0 }, want: "has no object"},
		"a teardown without a possible rebuild": {operation: v1alpha1.OperationTeardown,
			world: func(w *world) { w.engine.renderErr = recovery.Faultf("StateInvalid", "state/a.yaml:3: no kind") }, want: "state/a.yaml:3: no kind"},
		"no cluster in the manifests": {world: func(w *world) {
			w.engine.sources = func(string) []capi.Source { return fake.Sources("dev")[1:] }
		}, want: "no Cluster"},
		"another cluster in the manifests": {world: func(w *world) {
			w.engine.sources = func(string) []capi.Source { return fake.Sources("prod") }
		}, want: "Cluster prod: the plan's cluster is dev"},
		"seed missing":     {plan: func(p *v1alpha1.RecoveryPlan) { p.Spec.Seeds[0].SecretRef.Name = "lost" }, want: "Secret fleet/lost, which the plan names in spec.seeds[0]"},
		"login missing":    {plan: func(p *v1alpha1.RecoveryPlan) { p.Spec.Source.SecretRef = &v1alpha1.LocalSecretReference{Name: "lost"} }, want: "spec.source.secretRef"},
		"teardown refused": {plan: func(p *v1alpha1.RecoveryPlan) { p.Spec.Teardown.Policy = v1alpha1.TeardownForbidden }, want: "forbids its teardown", silent: true},
		"not ours": {world: func(w *world) {
			w.edit("dev", func(c *clusterv1.Cluster) { c.Annotations = nil })
		}, want: "was not made by Refloat"},
		"paused": {world: func(w *world) {
			w.edit("dev", func(c *clusterv1.Cluster) { paused := true; c.Spec.Paused = &paused })
		}, want: "is paused"},
		"the management cluster": {world: func(w *world) {
			w.store.Workload(w.uid("dev")).SetIdentity(fake.SystemUID)
		}, want: "management cluster itself"},
		"an obstacle": {world: func(w *world) {
			w.engine.sources = func(name string) []capi.Source { return append(fake.Sources(name), foreignSecret(w, name)) }
		}, want: "Secret fleet/dev-extra exists and was not made by Refloat"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(test.plan)
			inc := w.existing(earlier)
			if test.world != nil {
				test.world(w)
			}
			operation := test.operation
			if operation == "" {
				operation = v1alpha1.OperationRebuild
			}
			w.order("run", operation)
			run := w.finish("run")
			f := run.Status.Failure
			if f == nil || f.Phase != v1alpha1.PhasePreflight || !strings.Contains(f.Message, test.want) {
				t.Errorf("failure %+v, want it to say %q", f, test.want)
			}
			if uid := w.uid("dev"); uid != inc.UID || len(w.deletes) > 0 {
				t.Errorf("the cluster was touched: UID %s, before %s", uid, inc.UID)
			}
			if r := w.report(run); r.Failure == nil || r.Result != v1alpha1.ResultFailed {
				t.Errorf("the report does not tell: %+v", r)
			}
			plan := &v1alpha1.RecoveryPlan{}
			w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "plan"}, plan))
			if plan.Status.LastRun == nil || plan.Status.LastRun.Name != "run" || meta.IsStatusConditionFalse(plan.Status.Conditions, v1alpha1.ConditionReady) == test.silent {
				t.Errorf("plan status %+v", plan.Status)
			}
		})
	}
}

func foreignSecret(w *world, name string) capi.Source {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-extra"}}
	w.must(client.IgnoreAlreadyExists(w.store.Store.Create(w.t.Context(), secret)))
	src := fake.Sources(name)[4]
	src.Object.SetName(name + "-extra")
	return src
}

func TestPlanThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.order("run", v1alpha1.OperationRebuild)
	run := w.finish("run")
	if f := run.Status.Failure; f == nil || f.Reason != "PlanNotFound" {
		t.Errorf("failure %+v", f)
	}
}

func TestRebuildWithoutPredecessor(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("run", v1alpha1.OperationRebuild)
	run := w.finish("run")
	if run.Status.Failure != nil || run.Status.Previous != nil || len(w.clusters()) != 1 {
		t.Errorf("failure %+v, previous %+v, clusters %v", run.Status.Failure, run.Status.Previous, w.clusters())
	}
	cluster := w.cluster("dev")
	if !meta.IsStatusConditionTrue(cluster.Status.Conditions, capi.GateCondition) {
		t.Error("the Cluster does not say that the state is applied")
	}
	r := w.report(run)
	if r.RecoveryTimeSeconds == nil || r.Objective == nil || !r.Objective.Met || r.Verification.Matched != 3 || len(r.Phases) != 6 {
		t.Errorf("report %+v", r)
	}
}

func TestSecondRunWaits(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("first", v1alpha1.OperationRebuild)
	w.store.HoldProvisioning("dev", "no machines")
	w.until("first", "provision", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "no machines")
	})
	w.order("second", v1alpha1.OperationDrill)
	for range 3 {
		w.step("second")
	}
	second := w.run("second")
	if second.Status.StartedAt != nil || second.Status.Waiting == nil || !strings.Contains(second.Status.Waiting.For, "run first") {
		t.Fatalf("the second run did not queue: %+v", second.Status)
	}
	w.store.HoldProvisioning("dev", "")
	w.finish("first")
	if run := w.finish("second"); run.Status.Failure != nil {
		t.Errorf("the second run: %+v", run.Status.Failure)
	}
}

func TestLockOfADeadRunIsTakenOver(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("first", v1alpha1.OperationRebuild)
	w.store.HoldProvisioning("dev", "no machines")
	first := w.until("first", "provision", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Target != nil && run.Status.Target.UID != "" })
	first.Finalizers = nil
	w.must(w.store.Store.Update(t.Context(), first))
	w.must(w.store.Store.Delete(t.Context(), first))
	w.store.HoldProvisioning("dev", "")
	w.order("second", v1alpha1.OperationRebuild)
	if run := w.finish("second"); run.Status.Failure != nil || run.Status.Previous == nil {
		t.Errorf("the second run: %+v", run.Status)
	}
}

// TestLockWithoutName has somebody strip the Lease of the name of its holder.
func TestLockWithoutName(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	holder := "somebody"
	w.must(w.store.Store.Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: recovery.LockName("dev")},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
	}))
	w.order("run", v1alpha1.OperationRebuild)
	f := w.finish("run").Status.Failure
	if f == nil || f.Reason != "LockUnreadable" || !strings.Contains(f.Message, "Lease fleet/refloat-dev") {
		t.Errorf("failure %+v", f)
	}
}

func TestPlanEditedMidway(t *testing.T) {
	for name, edit := range map[string]func(*world, *v1alpha1.RecoveryPlan) error{
		"edited": func(w *world, p *v1alpha1.RecoveryPlan) error {
			p.Spec.Cluster.Name, p.Spec.Teardown.Policy, p.Spec.Seeds = "prod", v1alpha1.TeardownForbidden, nil
			p.Generation++
			return w.store.Store.Update(w.t.Context(), p)
		},
		"deleted": func(w *world, p *v1alpha1.RecoveryPlan) error { return w.store.Store.Delete(w.t.Context(), p) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			w.existing(earlier)
			w.order("run", v1alpha1.OperationRebuild)
			w.until("run", "the pin", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Previous != nil })
			plan := &v1alpha1.RecoveryPlan{}
			w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "plan"}, plan))
			w.must(edit(w, plan))
			if run := w.finish("run"); run.Status.Failure != nil || run.Status.Target.Name != "dev" {
				t.Errorf("the run followed the plan: %+v", run.Status)
			}
		})
	}
}

// TestClusterReplacedBeforeDelete has somebody make the cluster anew between the
// preflight and the deletion.
func TestClusterReplacedBeforeDelete(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.order("run", v1alpha1.OperationRebuild)
	replaced := false
	w.fail = func(verb string, o client.Object) error {
		run, ok := o.(*v1alpha1.RecoveryRun)
		if !replaced && ok && verb == "update status" && run.Status.Previous != nil && run.Status.Previous.DeleteRequestedAt != nil {
			replaced = true
			w.edit("dev", func(c *clusterv1.Cluster) { c.Finalizers = nil })
			old := w.cluster("dev")
			w.must(w.store.Store.Delete(t.Context(), old))
			w.must(w.store.Store.Create(t.Context(), &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "dev"}, Spec: old.Spec}))
		}
		return nil
	}
	run := w.finish("run")
	if f := run.Status.Failure; f == nil || f.Reason != "IdentityChanged" || !replaced {
		t.Errorf("failure %+v", f)
	}
	if len(w.deletes) > 0 {
		t.Error("the new cluster was deleted")
	}
}

func TestTargetDisturbed(t *testing.T) {
	for name, test := range map[string]struct {
		disturb func(*world)
		reason  string
	}{
		"deleted by somebody": {func(w *world) { w.must(w.store.Store.Delete(w.t.Context(), w.cluster("dev"))) }, "ClusterDeleted"},
		"gone": {func(w *world) {
			w.must(w.store.Store.Delete(w.t.Context(), w.cluster("dev")))
			w.must(w.store.Settle(w.t.Context()))
		}, "ClusterVanished"},
		"another behind the kubeconfig": {func(w *world) { w.store.Workload(w.uid("dev")).SetIdentity("imposter") }, "IdentityChanged"},
		"management behind the kubeconfig": {func(w *world) {
			w.store.Workload(w.uid("dev")).SetIdentity(fake.SystemUID)
		}, "IdentityChanged"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			w.order("run", v1alpha1.OperationRebuild)
			w.engine.seedErr = errors.New("not yet")
			w.until("run", "the seed", func(run *v1alpha1.RecoveryRun) bool {
				return run.Status.Target != nil && run.Status.Target.KubeSystemUID != ""
			})
			test.disturb(w)
			w.engine.seedErr = nil
			run := w.finish("run")
			if f := run.Status.Failure; f == nil || f.Reason != test.reason {
				t.Errorf("failure %+v, want %s", f, test.reason)
			}
			if len(w.engine.wrote) > 0 {
				t.Errorf("something was written: %v", w.engine.wrote)
			}
		})
	}
}

func TestManagementClusterIsNeverATarget(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) { nodes := int32(2); p.Spec.Cluster.Ready.MinReadyNodes = &nodes })
	w.order("run", v1alpha1.OperationRebuild)
	w.store.HoldProvisioning("dev", "later")
	w.until("run", "the cluster", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Target != nil && run.Status.Target.UID != "" })
	w.store.HoldProvisioning("dev", "")
	w.must(w.store.Settle(t.Context()))
	w.store.Workload(w.uid("dev")).SetIdentity(fake.SystemUID)
	if f := w.finish("run").Status.Failure; f == nil || f.Reason != "ManagementCluster" {
		t.Errorf("failure %+v", f)
	}
}

// TestFailedDrillCleansUp fails a drill in each phase.
func TestFailedDrillCleansUp(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*world)
		phase v1alpha1.Phase
	}{
		"never provisioned": {func(w *world) { w.fail = nil; w.holdDrill("no machines") }, v1alpha1.PhaseProvision},
		"creation refused": {func(w *world) {
			w.fail = func(verb string, o client.Object) error {
				if _, cluster := o.(*clusterv1.Cluster); verb == "create" && (cluster || o != nil && o.GetObjectKind().GroupVersionKind().Kind == "Cluster") {
					return &capi.ForeignError{Object: "Cluster"}
				}
				return nil
			}
		}, v1alpha1.PhaseProvision},
		"not applied":  {func(w *world) { w.engine.applyErr = recovery.Faultf("NotApplied", "Deployment shop/cart failed") }, v1alpha1.PhaseWaves},
		"not verified": {func(w *world) { w.engine.verdict = &report.Verification{Rendered: 3, Matched: 2, Changed: 1} }, v1alpha1.PhaseVerify},
		"verified less than rendered": {func(w *world) {
			w.engine.verdict = &report.Verification{Rendered: 2, Matched: 2, Healthy: 2}
		}, v1alpha1.PhaseVerify},
		"never told": {func(w *world) { w.engine.verifyErr = errors.New("no answer") }, v1alpha1.PhaseVerify},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(func(p *v1alpha1.RecoveryPlan) { p.Spec.Cluster.Ready.Timeout.Duration = 20 * time.Second })
			inc := w.existing(earlier)
			w.order("run", v1alpha1.OperationDrill)
			test.spoil(w)
			w.until("run", "failure", func(run *v1alpha1.RecoveryRun) bool {
				if len(run.Status.Phases) > 4 {
					w.clock.Step(time.Minute)
				}
				return run.Status.Failure != nil
			})
			run := w.finish("run")
			if f := run.Status.Failure; f == nil || f.Phase != test.phase {
				t.Errorf("failure %+v, want it in %s", f, test.phase)
			}
			if !meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.ConditionCleanedUp) {
				t.Error("it did not clean up")
			}
			if names := w.clusters(); len(names) != 1 || w.uid("dev") != inc.UID {
				t.Errorf("clusters left: %v", names)
			}
			left, err := w.store.Clusters(w.store.Store).Contents(t.Context(), capi.Incarnation{Namespace: namespace, Name: recovery.TargetName(run, "dev")})
			if err != nil || len(left) > 0 {
				t.Errorf("left over: %v, %v", left, err)
			}
		})
	}
}

func TestFailedRebuildLeavesTheClusterAndTheNextOneReplacesIt(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("first", v1alpha1.OperationRebuild)
	w.engine.applyErr = recovery.Faultf("NotApplied", "Deployment shop/cart failed")
	if run := w.finish("first"); run.Status.Failure == nil || len(w.clusters()) != 1 {
		t.Fatalf("failure %+v, clusters %v", run.Status.Failure, w.clusters())
	}
	w.engine.applyErr = nil
	w.order("second", v1alpha1.OperationRebuild)
	if run := w.finish("second"); run.Status.Failure != nil || run.Status.Previous == nil {
		t.Errorf("%+v", run.Status)
	}
}

// TestHalfMadeClusterIsReplaced fails a rebuild before its Cluster exists.
func TestHalfMadeClusterIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("first", v1alpha1.OperationRebuild)
	w.fail = func(verb string, o client.Object) error {
		if verb == "create" && o != nil && o.GetObjectKind().GroupVersionKind().Kind == "Cluster" {
			return &capi.RefusedError{Reason: "Test", Message: "no"}
		}
		return nil
	}
	if run := w.finish("first"); run.Status.Failure == nil || len(w.clusters()) > 0 {
		t.Fatalf("failure %+v, clusters %v", run.Status.Failure, w.clusters())
	}
	w.fail = nil
	w.order("second", v1alpha1.OperationRebuild)
	if run := w.finish("second"); run.Status.Failure != nil {
		t.Errorf("%+v", run.Status.Failure)
	}
}

func TestStuckDeletion(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.store.HoldDeletion("dev", true)
	w.order("run", v1alpha1.OperationTeardown)
	w.until("run", "the blocker", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "FakeCluster dev (finalizer fake.infrastructure")
	})
	w.clock.Step(time.Hour)
	f := w.finish("run").Status.Failure
	if f == nil || f.Reason != "TimedOut" || !strings.Contains(f.Message, "FakeCluster dev (finalizer") {
		t.Errorf("failure %+v", f)
	}
}

// TestRunDeletedMidway deletes runs in the middle.
func TestRunDeletedMidway(t *testing.T) {
	for _, operation := range []v1alpha1.Operation{v1alpha1.OperationRebuild, v1alpha1.OperationDrill} {
		t.Run(string(operation), func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			w.order("run", operation)
			w.engine.seedErr = errors.New("not yet")
			run := w.until("run", "the seed", func(run *v1alpha1.RecoveryRun) bool {
				return run.Status.Target != nil && run.Status.Target.KubeSystemUID != ""
			})
			w.must(w.store.Store.Delete(t.Context(), run))
			gone := false
			for range 20 {
				w.step("run")
				err := w.store.Store.Get(t.Context(), client.ObjectKeyFromObject(run), &v1alpha1.RecoveryRun{})
				if gone = client.IgnoreNotFound(err) == nil && err != nil; gone {
					break
				}
			}
			if !gone {
				t.Fatalf("the run is still there: %+v", w.run("run").Status)
			}
			want := map[v1alpha1.Operation]int{v1alpha1.OperationRebuild: 1, v1alpha1.OperationDrill: 0}[operation]
			if names := w.clusters(); len(names) != want {
				t.Errorf("clusters %v, want %d", names, want)
			}
			lease, err := w.r.lease(t.Context(), run, "dev")
			if err != nil || lease != nil {
				t.Errorf("lease %v, %v", lease, err)
			}
		})
	}
}

func TestRenderChangedAfterCrash(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("run", v1alpha1.OperationRebuild)
	w.store.HoldProvisioning("dev", "wait")
	w.until("run", "the cluster", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Target != nil && run.Status.Target.UID != "" })
	w.replace()
	w.engine.digest = "another"
	w.store.HoldProvisioning("dev", "")
	if f := w.finish("run").Status.Failure; f == nil || f.Reason != "RenderChanged" {
		t.Errorf("failure %+v", f)
	}
}

// TestRenderChangedBeforeDelete takes a run over between the preflight and the deletion,
// when the commit does not render as it did.
func TestRenderChangedBeforeDelete(t *testing.T) {
	for _, operation := range []v1alpha1.Operation{v1alpha1.OperationRebuild, v1alpha1.OperationTeardown} {
		t.Run(string(operation), func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			inc := w.existing(earlier)
			w.order("run", operation)
			w.fail = func(verb string, o client.Object) error {
				if run, ok := o.(*v1alpha1.RecoveryRun); ok && verb == "update status" && run.Status.Previous != nil && run.Status.Previous.DeleteRequestedAt != nil {
					return errors.New("overloaded")
				}
				return nil
			}
			w.until("run", "the teardown", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Previous != nil })
			w.replace()
			w.fail, w.engine.digest = nil, "another"
			if f := w.finish("run").Status.Failure; f == nil || f.Reason != "RenderChanged" || f.Phase != v1alpha1.PhaseTeardown {
				t.Errorf("failure %+v", f)
			}
			if w.uid("dev") != inc.UID || len(w.deletes) > 0 {
				t.Error("the cluster was deleted")
			}
		})
	}
}

// TestSeedGoneAfterDelete removes a seed when there is no way back, and restores it.
func TestSeedGoneAfterDelete(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.order("run", v1alpha1.OperationRebuild)
	w.store.HoldProvisioning("dev", "wait")
	w.until("run", "the cluster", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Target != nil && run.Status.Target.UID != "" })
	seed := &corev1.Secret{}
	w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "age"}, seed))
	w.must(w.store.Store.Delete(t.Context(), seed.DeepCopy()))
	w.store.HoldProvisioning("dev", "")
	w.until("run", "the seed", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "Secret fleet/age, which the plan names in spec.seeds[0], does not exist")
	})
	seed.ResourceVersion = ""
	w.must(w.store.Store.Create(t.Context(), seed))
	if f := w.finish("run").Status.Failure; f != nil {
		t.Errorf("failure %+v", f)
	}
}

// TestDeposedControllerStops lets two controllers work on one run, as when leader
// election fails.
func TestDeposedControllerStops(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.order("run", v1alpha1.OperationRebuild)
	w.store.HoldDeletion("dev", true)
	w.until("run", "the deletion", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Previous != nil && run.Status.Previous.DeleteRequestedAt != nil
	})
	old := w.r
	w.replace()
	w.step("run")
	w.store.HoldDeletion("dev", false)
	w.must(w.store.Settle(t.Context())) // now there is something to do
	before := w.writes
	for range 3 {
		_, err := old.Reconcile(t.Context(), requestFor("run"))
		if err != nil {
			t.Fatal(err)
		}
	}
	if w.writes != before {
		t.Errorf("the deposed controller wrote %d times", w.writes-before)
	}
	w.finish("run")
}

func TestObjectiveMissed(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) { p.Spec.Objective.RecoveryTime.Duration = time.Millisecond })
	w.order("run", v1alpha1.OperationRebuild)
	run := w.finish("run")
	if run.Status.Failure != nil || !meta.IsStatusConditionFalse(run.Status.Conditions, v1alpha1.ConditionObjectiveMet) {
		t.Errorf("%+v", run.Status.Conditions)
	}
}

// TestPlanHearsOfARunWithAnOldName orders a run with the name of one that is gone.
func TestPlanHearsOfARunWithAnOldName(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("run", v1alpha1.OperationRebuild)
	w.must(w.store.Store.Delete(t.Context(), w.finish("run")))
	w.must(w.store.Store.DeleteAllOf(t.Context(), &corev1.ConfigMap{}, client.InNamespace(namespace))) // its report goes with it
	w.order("run", v1alpha1.OperationTeardown)
	run := w.finish("run")
	plan := &v1alpha1.RecoveryPlan{}
	w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "plan"}, plan))
	if last := plan.Status.LastRun; last.Operation != v1alpha1.OperationTeardown || last.UID != run.UID {
		t.Errorf("the plan knows of %+v only", last)
	}
}

// TestSecretsStaySecret looks for a seed's value in everything that a run leaves.
func TestSecretsStaySecret(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("run", v1alpha1.OperationRebuild)
	run := w.finish("run")
	text, err := w.report(run).JSON()
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprintf("%+v %s", run, text); strings.Contains(all, "canary") {
		t.Error("the value of a seed is in the status or the report")
	}
}

func (w *world) cluster(name string) *clusterv1.Cluster {
	w.t.Helper()
	cluster := &clusterv1.Cluster{}
	w.must(w.store.Store.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, cluster))
	return cluster
}

func (w *world) uid(name string) types.UID { return w.cluster(name).UID }

func (w *world) edit(name string, change func(*clusterv1.Cluster)) {
	w.t.Helper()
	cluster := w.cluster(name)
	change(cluster)
	w.must(w.store.Store.Update(w.t.Context(), cluster))
}

// holdDrill keeps the throw-away cluster of run from becoming available.
func (w *world) holdDrill(reason string) {
	w.store.HoldProvisioning(recovery.TargetName(w.run("run"), "dev"), reason)
}

func TestLockOfAFinishedRunIsTakenOver(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.order("first", v1alpha1.OperationRebuild)
	// The first controller dies between the result and the release, and nobody resumes it.
	w.until("first", "its result", func(run *v1alpha1.RecoveryRun) bool {
		w.fail = func(verb string, o client.Object) error {
			if _, lease := o.(*coordinationv1.Lease); lease && verb == "delete" {
				return errors.New("the API server is overloaded")
			}
			return nil
		}
		return run.Status.FinishedAt != nil
	})
	w.fail = nil
	w.order("second", v1alpha1.OperationTeardown)
	if run := w.finish("second"); run.Status.Failure != nil {
		t.Errorf("the second run: %+v", run.Status.Failure)
	}
}
