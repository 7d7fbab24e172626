package controller

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/recovery"
)

// losing is a preview with one object and one volume.
func losing() *loss.Preview {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	return &loss.Preview{Total: 2, Lost: []loss.Item{
		{What: loss.Object, Class: loss.Lost, ID: manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "mine"}, UID: "1", By: loss.Writer{Manager: "kubectl-create", Time: &at, Person: true}},
		{What: loss.Data, Class: loss.Lost, ID: manifests.ID{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data"}, UID: "2"},
	}}
}

func policy(change func(*v1alpha1.LossPolicy)) func(*v1alpha1.RecoveryPlan) {
	return func(p *v1alpha1.RecoveryPlan) { change(&p.Spec.Teardown.Loss) }
}

// TestLossBeforeDeletion holds every outcome of a preview against the policies of plans.
// Where the run is refused, the cluster is there as before.
func TestLossBeforeDeletion(t *testing.T) {
	warn := policy(func(l *v1alpha1.LossPolicy) { l.Policy = v1alpha1.LossWarn })
	allow := policy(func(l *v1alpha1.LossPolicy) { l.Unreachable = v1alpha1.UnreachableAllowRebuild })
	lost := func(w *world) { w.engine.loss = losing() }
	dead := func(w *world) { w.store.Workload(w.uid("dev")).Stop() }
	denies := func(w *world) { w.store.Workload(w.uid("dev")).Deny() }
	unreadable := func(w *world) {
		w.engine.lossErr = errors.New("the API server cannot tell what it serves in metrics.k8s.io/v1beta1")
	}
	for name, test := range map[string]struct {
		plan      func(*v1alpha1.RecoveryPlan)
		world     func(*world)
		operation v1alpha1.Operation
		reason    string // of the refusal; empty when the cluster may go
		says      string
	}{
		"nothing lost":                 {operation: v1alpha1.OperationTeardown},
		"lost, teardown":               {world: lost, operation: v1alpha1.OperationTeardown, reason: "WouldLose", says: "1 object, 1 volume would be lost with Cluster dev: ConfigMap shop/mine, written by kubectl-create at 2026-06-01T12:00:00Z, the data of PersistentVolumeClaim shop/data"},
		"lost, rebuild":                {world: lost, operation: v1alpha1.OperationRebuild, reason: "WouldLose", says: "refloat loss plan"},
		"lost, drill":                  {world: lost, operation: v1alpha1.OperationDrill},
		"lost, warned":                 {plan: warn, world: lost, operation: v1alpha1.OperationTeardown},
		"lost, and nothing accepted":   {plan: policy(func(l *v1alpha1.LossPolicy) { l.Policy = v1alpha1.LossRefuseIfNew }), world: lost, operation: v1alpha1.OperationTeardown, reason: "WouldLose"},
		"dead, teardown":               {world: dead, operation: v1alpha1.OperationTeardown, reason: "LossUnknown", says: "does not answer"},
		"dead, rebuild":                {world: dead, operation: v1alpha1.OperationRebuild, reason: "LossUnknown", says: "AllowRebuild"},
		"dead, rebuild allowed":        {plan: allow, world: dead, operation: v1alpha1.OperationRebuild},
		"dead, only rebuild allowed":   {plan: allow, world: dead, operation: v1alpha1.OperationTeardown, reason: "LossUnknown"},
		"dead, warned":                 {plan: warn, world: dead, operation: v1alpha1.OperationTeardown},
		"dead, drill":                  {world: dead, operation: v1alpha1.OperationDrill},
		"alive, and denies":            {plan: allow, world: denies, operation: v1alpha1.OperationRebuild, reason: "LossUnknown", says: "answers, and denies"},
		"half readable":                {world: unreadable, operation: v1alpha1.OperationTeardown, reason: "LossUnknown", says: "metrics.k8s.io"},
		"half readable, not that dead": {plan: allow, world: unreadable, operation: v1alpha1.OperationRebuild, reason: "LossUnknown"},
		"half readable, warned":        {plan: warn, world: unreadable, operation: v1alpha1.OperationRebuild},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(test.plan)
			inc := w.existing(earlier)
			if test.world != nil {
				test.world(w)
			}
			w.order("run", test.operation)
			run := w.finish("run")
			if f := run.Status.Failure; test.reason == "" && f != nil || test.reason != "" && (f == nil || f.Reason != test.reason || f.Phase != v1alpha1.PhasePreflight || !strings.Contains(f.Message, test.says)) {
				t.Fatalf("failure %+v, want %q that says %q", f, test.reason, test.says)
			}
			if test.reason != "" && (w.uid("dev") != inc.UID || len(w.deletes) > 0) {
				t.Error("the cluster was touched")
			}
			if w.engine.loss != nil && test.operation != v1alpha1.OperationDrill {
				if r := w.report(run); r.Loss == nil || len(r.Loss.Lost) != 2 || run.Status.Loss == nil || run.Status.Loss.Volumes != 1 || run.Status.Loss.Objects != 1 {
					t.Errorf("report %+v, status %+v", r.Loss, run.Status.Loss)
				}
			}
		})
	}
}

// TestOneMissedAnswerIsNoDeath lets a cluster be silent for less than it takes.
func TestOneMissedAnswerIsNoDeath(t *testing.T) {
	w := newWorld(t)
	w.plan(policy(func(l *v1alpha1.LossPolicy) { l.Unreachable = v1alpha1.UnreachableAllowRebuild }))
	w.existing(earlier)
	w.engine.lossErr = errors.New("connection refused")
	w.order("run", v1alpha1.OperationRebuild)
	w.until("run", "another try", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "connection refused")
	})
	w.engine.lossErr, w.engine.loss = nil, losing()
	if f := w.finish("run").Status.Failure; f == nil || f.Reason != "WouldLose" {
		t.Errorf("failure %+v", f)
	}
}

// TestSilenceCountsFromItsBeginning, however long the phase goes on already: the cluster
// answered while it was being rendered.
func TestSilenceCountsFromItsBeginning(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	w.existing(earlier)
	w.engine.onRender = func(int) error { w.clock.Step(recovery.SilentPatience + time.Second); return nil }
	w.engine.lossErr = errors.New("connection refused")
	w.order("run", v1alpha1.OperationTeardown)
	w.until("run", "another try", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.Waiting != nil && strings.Contains(run.Status.Waiting.For, "connection refused")
	})
	w.engine.lossErr, w.engine.onRender = nil, nil
	if f := w.finish("run").Status.Failure; f != nil {
		t.Errorf("failure %+v", f)
	}
}

// TestAcceptedLoss passes the list that counts to the engine, and no other.
func TestAcceptedLoss(t *testing.T) {
	until := time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		policy v1alpha1.LossRule
		spoil  func(*world, *corev1.ConfigMap)
		counts bool
		note   string
	}{
		"counts":           {policy: v1alpha1.LossRefuseIfNew, counts: true},
		"another policy":   {policy: v1alpha1.LossRefuse},
		"of another plan":  {policy: v1alpha1.LossRefuseIfNew, spoil: func(_ *world, c *corev1.ConfigMap) { c.OwnerReferences[0].UID = "other" }, note: "is not of this plan"},
		"of nobody":        {policy: v1alpha1.LossRefuseIfNew, spoil: func(_ *world, c *corev1.ConfigMap) { c.OwnerReferences = nil }, note: "is not of this plan"},
		"cannot be read":   {policy: v1alpha1.LossRefuseIfNew, spoil: func(_ *world, c *corev1.ConfigMap) { c.BinaryData[acceptedKey] = []byte("x") }, note: "cannot be read"},
		"was never stored": {policy: v1alpha1.LossRefuseIfNew, spoil: func(w *world, c *corev1.ConfigMap) { w.must(w.store.Store.Delete(w.t.Context(), c)) }, note: "no losses were accepted yet"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(policy(func(l *v1alpha1.LossPolicy) { l.Policy = test.policy }))
			w.existing(earlier)
			w.engine.loss = losing()
			plan := &v1alpha1.RecoveryPlan{}
			w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "plan"}, plan))
			if plan.UID == "" { // the store gives none
				plan.UID = "plan-uid"
				w.must(w.store.Store.Update(t.Context(), plan))
			}
			name, err := AcceptLoss(t.Context(), w.store.Store, plan, loss.Accept(losing(), "ada", "known", until))
			w.must(err)
			if test.spoil != nil {
				held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
				w.must(w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, held))
				test.spoil(w, held)
				if held.ResourceVersion != "" && test.note != "no losses were accepted yet" {
					w.must(w.store.Store.Update(t.Context(), held))
				}
			}
			w.order("run", v1alpha1.OperationTeardown)
			run := w.finish("run")
			accepted := w.engine.asksFor.Rules.Accepted
			if (accepted != nil) != test.counts || test.counts && (accepted.Reason != "known" || len(accepted.Items) != 2) {
				t.Errorf("accepted %+v", accepted)
			}
			if r := w.report(run); test.note != "" && (r.Loss == nil || !strings.Contains(strings.Join(r.Loss.Notes, "\n"), test.note)) {
				t.Errorf("report %+v says nothing of %q", r.Loss, test.note)
			}
		})
	}
}

// TestRulesOfAPlan carries what a plan says over.
func TestRulesOfAPlan(t *testing.T) {
	w := newWorld(t)
	until := metav1.NewTime(w.clock.Now().Add(time.Hour).Truncate(time.Second))
	w.plan(policy(func(l *v1alpha1.LossPolicy) {
		l.MaxBackupAge, l.DisposableData = &metav1.Duration{Duration: time.Hour}, "nothing but caches"
		l.Waivers = []v1alpha1.LossWaiver{{Object: v1alpha1.ObjectPattern{Kind: "Job", Name: "x-*"}, Reason: "done", Until: until}}
	}))
	w.existing(earlier)
	w.order("run", v1alpha1.OperationTeardown)
	w.finish("run")
	got := w.engine.asksFor
	if got.Rules.MaxBackupAge != time.Hour || got.Rules.DisposableData != "nothing but caches" || len(got.Rules.Waivers) != 1 ||
		got.Rules.Waivers[0].Pattern != (manifests.Pattern{Kind: "Job", Name: "x-*"}) || !got.Rules.Waivers[0].Until.Equal(until.Time) {
		t.Errorf("rules %+v", got.Rules)
	}
	want := recovery.ExpectedOn(v1alpha1.RecoveryPlanSpec{Seeds: []v1alpha1.Seed{{SecretRef: v1alpha1.LocalSecretReference{Name: "age"}, Namespace: "flux-system"}}})
	if len(got.Expected) != 2 || got.Expected[0] != want[0] || got.ClusterID == "" {
		t.Errorf("expected %v, cluster %q", got.Expected, got.ClusterID)
	}
}
