package recovery

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// proposal of a policy, for the cluster that the run would delete.
func proposal(o *Observation) {
	o.Run.Spec.Proposal = &v1alpha1.Proposal{
		PolicyRef: v1alpha1.PolicyReference{Name: "prod"}, UID: "policy-uid", ClusterUID: "old", OutageSince: metav1.NewMicroTime(t0), NeedsApproval: true,
	}
}

func outageOver(o *Observation) { o.OutageOver = "it answers" }

// TestOutageOver: a run that a policy ordered touches nothing once its reason is gone, and
// finishes what it began.
func TestOutageOver(t *testing.T) {
	for name, c := range map[string]struct {
		o    Observation
		want Action
	}{
		"it goes on":                   {in(rebuild, v1alpha1.PhaseTeardown, proposal), RecordDelete},
		"it is over":                   {in(rebuild, v1alpha1.PhaseTeardown, proposal, outageOver), Fail},
		"over, though approved":        {in(rebuild, v1alpha1.PhaseTeardown, asking, proposal, approvedBy("grace"), outageOver), Fail},
		"nobody proposed it":           {in(rebuild, v1alpha1.PhaseTeardown, outageOver), RecordDelete},
		"another cluster is there now": {in(rebuild, v1alpha1.PhaseTeardown, proposal, func(o *Observation) { o.Run.Spec.Proposal.ClusterUID = "older" }), Fail},
		"over once the deletion is recorded": {in(rebuild, v1alpha1.PhaseTeardown, proposal, outageOver, func(o *Observation) {
			o.Run.Status.Previous.DeleteRequestedAt = micro(t0)
		}), Delete},
		"a cluster that would be drained is not: the dead give nothing back": {in(rebuild, v1alpha1.PhaseTeardown, proposal, func(o *Observation) {
			o.Run.Status.Previous.KubeSystemUID = "system"
		}), RecordDelete},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(c.o)
			if d.Action != c.want {
				t.Fatalf("%s, want %s (%+v)", d.Action, c.want, d.Failure)
			}
			if d.Action == Fail && (d.Failure.Reason != "OutageOver" || !strings.Contains(d.Failure.Message, "nothing was deleted")) {
				t.Errorf("it fails with %+v", d.Failure)
			}
		})
	}
}

func TestOutageOverSays(t *testing.T) {
	p := &v1alpha1.Proposal{PolicyRef: v1alpha1.PolicyReference{Name: "prod"}, UID: "policy-uid", ClusterUID: "old", OutageSince: metav1.NewMicroTime(t0)}
	policy := func(change func(*v1alpha1.FailoverPolicy)) *v1alpha1.FailoverPolicy {
		f := &v1alpha1.FailoverPolicy{ObjectMeta: metav1.ObjectMeta{Name: "prod", UID: "policy-uid"}}
		f.Status.Outage = &v1alpha1.Outage{ClusterUID: "old", Since: metav1.NewMicroTime(t0)}
		change(f)
		return f
	}
	ended := metav1.NewMicroTime(t0.Add(time.Minute))
	for name, c := range map[string]struct {
		policy *v1alpha1.FailoverPolicy
		says   string
	}{
		"it is not over":   {policy(func(*v1alpha1.FailoverPolicy) {}), ""},
		"the policy went":  {nil, "is gone"},
		"another policy":   {policy(func(f *v1alpha1.FailoverPolicy) { f.UID = "other" }), "is gone"},
		"it is over":       {policy(func(f *v1alpha1.FailoverPolicy) { f.Status.Outage.OverAt = &ended }), "over since"},
		"another outage":   {policy(func(f *v1alpha1.FailoverPolicy) { f.Status.Outage.Since = ended }), "knows nothing"},
		"another cluster":  {policy(func(f *v1alpha1.FailoverPolicy) { f.Status.Outage.ClusterUID = "new" }), "knows nothing"},
		"no outage at all": {policy(func(f *v1alpha1.FailoverPolicy) { f.Status.Outage = nil }), "knows nothing"},
		"seen alive":       {policy(armedBy("SeenAlive")), "because of SeenAlive"},
		"the breaker":      {policy(armedBy("BreakerOpen")), "because of BreakerOpen"},
		"cooling down":     {policy(armedBy("CoolingDown")), ""},
	} {
		if got := OutageOver(p, c.policy); got == "" != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", name, got, c.says)
		}
	}
}

func armedBy(reason string) func(*v1alpha1.FailoverPolicy) {
	return func(f *v1alpha1.FailoverPolicy) {
		f.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionArmed, Status: metav1.ConditionFalse, Reason: reason, Message: "because of " + reason}}
	}
}

// TestProposalsWait for a person whatever the plan says, and what nobody can tell about a
// dead cluster does not end them.
func TestProposalsWait(t *testing.T) {
	o := in(rebuild, v1alpha1.PhasePreflight, proposal)
	if !needsApproval(o.Run) {
		t.Error("a proposal waits for nobody")
	}
	if Patience(o.Run) != 0 {
		t.Error("a proposal waits to see that its cluster is silent")
	}
	found := LossFound{Unseen: "no answer", Silent: true}
	if fault, note := JudgeLoss(o.Run, "dev", found); fault != nil || note == "" {
		t.Errorf("%v, %q", fault, note)
	}
	o.Run.Spec.Proposal.NeedsApproval = false
	if fault, _ := JudgeLoss(o.Run, "dev", found); fault == nil {
		t.Error("what nobody can tell is lost without a person")
	}
	if needsApproval(o.Run) {
		t.Error("an automatic run waits for a person")
	}
}
