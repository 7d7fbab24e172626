package controller

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestProposalAsksTheCluster: a run that was ordered for a death deletes nothing while the
// cluster answers, or the policy sees it otherwise, whoever approved it.
func TestProposalAsksTheCluster(t *testing.T) {
	dead := func(w *world) { w.store.Workload(w.uid("dev")).Stop() }
	armed := func(reason string) func(*v1alpha1.FailoverPolicy) {
		return func(p *v1alpha1.FailoverPolicy) {
			p.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionArmed, Status: metav1.ConditionFalse, Reason: reason, Message: "because of " + reason}}
		}
	}
	for name, c := range map[string]struct {
		world  func(*world)
		policy func(*v1alpha1.FailoverPolicy)
		says   string // why nothing is deleted; empty when it is
	}{
		"it is dead":                {world: dead},
		"it answers":                {says: "its API server answers"},
		"the outage is over":        {world: dead, policy: func(p *v1alpha1.FailoverPolicy) { at := metav1.NowMicro(); p.Status.Outage.OverAt = &at }, says: "it is over since"},
		"somebody sees it alive":    {world: dead, policy: armed("SeenAlive"), says: "because of SeenAlive"},
		"the breaker opened":        {world: dead, policy: armed("BreakerOpen"), says: "because of BreakerOpen"},
		"the policy cools down":     {world: dead, policy: armed("CoolingDown")},
		"a policy of the same name": {world: dead, policy: func(p *v1alpha1.FailoverPolicy) { p.UID = "another" }, says: "is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(func(p *v1alpha1.RecoveryPlan) { p.Spec.Teardown.Loss.Unreachable = v1alpha1.UnreachableAllowRebuild })
			inc := w.existing(earlier)
			since := metav1.NewMicroTime(w.clock.Now())
			policy := &v1alpha1.FailoverPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "prod", UID: "policy-uid"}}
			policy.Status.Outage = &v1alpha1.Outage{ClusterUID: inc.UID, Since: since, ConfirmedAt: since}
			if c.policy != nil {
				c.policy(policy)
			}
			w.must(w.store.Store.Create(t.Context(), policy))
			if c.world != nil {
				c.world(w)
			}
			run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "run"}}
			run.Spec = v1alpha1.RecoveryRunSpec{
				PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: v1alpha1.OperationRebuild,
				Proposal: &v1alpha1.Proposal{PolicyRef: v1alpha1.PolicyReference{Name: "prod"}, UID: "policy-uid", ClusterUID: inc.UID, OutageSince: since},
			}
			w.must(w.store.Store.Create(t.Context(), run))
			done := w.finish("run")
			f := done.Status.Failure
			switch {
			case c.says == "" && (f != nil || w.deletes[inc.UID] != 1):
				t.Errorf("it was deleted %d times, failure %+v", w.deletes[inc.UID], f)
			case c.says != "" && (f == nil || f.Reason != "OutageOver" || !strings.Contains(f.Message, c.says) || len(w.deletes) != 0):
				t.Errorf("it was deleted %d times, failure %+v", w.deletes[inc.UID], f)
			}
		})
	}
}
