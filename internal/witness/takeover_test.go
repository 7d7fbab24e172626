package witness

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// serving writes the record of who serves.
func (w *teller) serving(verb, holder string, epoch int32, annotations map[string]string) {
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "refloat.serving.plan", UID: "record", Annotations: annotations},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseTransitions: &epoch}}
	w.say(Management, verb, "coordination.k8s.io", "leases", "n", l.Name, nil, l)
}

func (w *teller) locks(verb string) {
	for _, name := range []string{"refloat-dev", "refloat-spare"} {
		holder := "run-uid"
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: "lease-uid"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}
		var request any
		if verb == "delete" {
			request = bound("lease-uid")
		}
		w.say(Management, verb, "coordination.k8s.io", "leases", "n", name, request, l)
	}
}

func (w *teller) side(verb, name string, uid types.UID, serves string) {
	c := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: uid, Labels: map[string]string{capi.LabelCluster: name},
		Annotations: map[string]string{capi.AnnotationRun: "run-uid", capi.AnnotationEpoch: "1", capi.AnnotationServes: serves}}}
	w.say(Management, verb, "cluster.x-k8s.io", "clusters", "n", name, nil, c)
}

func (w *teller) call(t *Takeover) {
	w.clock = w.clock.Add(10 * time.Millisecond)
	c := Call{Hook: "dns", Key: "run-uid/switch-dns", Raw: []byte(`{}`), Received: w.clock}
	c.Message.Kind, c.Message.RunUID, c.Message.Epoch, c.Message.From.UID, c.Message.To.Cluster = "Switch", "run-uid", 1, "old", "spare"
	t.Calls = append(t.Calls, c)
}

// failover is a whole run: the old cluster goes, another one takes over, users are led there.
func failover(t *testing.T) Case {
	w := &teller{t: t, clock: began, user: "one"}
	known := &Takeover{Record: "refloat.serving.plan", FromPlan: "plan", ToPlan: "standby", To: "spare", Lease: "refloat-spare", Users: "users", Stopped: map[types.UID]time.Time{}}
	w.run = v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "run", UID: "run-uid", Generation: 1},
		Spec: v1alpha1.RecoveryRunSpec{Operation: v1alpha1.OperationFailover}}
	w.finalizers("refloat.dev/run")
	w.locks("create")
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		at := w.now()
		s.StartedAt, s.Epoch, s.ObservedGeneration = &at, 1, 1
		s.Pinned, s.Failover = &v1alpha1.PinnedInputs{Commit: "c", RenderDigest: "d", ClusterDigest: "e", Objects: 1}, &v1alpha1.FailoverRecord{}
		s.Conditions = []metav1.Condition{w.condition("Succeeded", "Unknown")}
		w.enter(v1alpha1.PhasePreflight)(s)
	})
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		s.Previous, s.Target = &v1alpha1.Incarnation{Name: "dev", UID: "old"}, &v1alpha1.Incarnation{Name: "spare"}
		w.enter(v1alpha1.PhaseFence)(s)
	})
	w.serving("create", "plan", 1, map[string]string{pendingPlan: "standby", pendingRun: "run-uid"})
	w.side("patch", "dev", "old", "false")
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		at := w.now()
		s.Failover.Epoch, s.Previous.DeleteRequestedAt = 1, &at
	})
	w.say(Management, "delete", "cluster.x-k8s.io", "clusters", "n", "dev", bound("old"), nil)
	known.Stopped["old"] = w.clock
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		s.Failover.Fence = &v1alpha1.FenceRecord{Outcome: v1alpha1.FenceDone}
		w.enter(v1alpha1.PhaseProvision)(s)
	})
	w.side("create", "spare", "new", "")
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		s.Target.UID, s.Target.KubeSystemUID = "new", "system"
		w.enter(v1alpha1.PhaseWaves)(s)
	})
	w.apply("namespaces", "", "shop")
	w.record(w.enter(v1alpha1.PhaseVerify))
	w.say(Workload, "list", "", "namespaces", "", "", nil, nil)
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		at := w.now()
		s.RecoveredAt, s.Verification = &at, &v1alpha1.VerificationSummary{Rendered: 1, Matched: 1, Healthy: 1}
	})
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		w.enter(v1alpha1.PhaseSwitch)(s)
		s.Failover.Hooks = []v1alpha1.HookRecord{{Name: "switch-dns", SentAt: w.now()}}
	})
	w.call(known)
	w.record(func(s *v1alpha1.RecoveryRunStatus) { at := w.now(); s.Failover.Hooks[0].AnsweredAt = &at })
	w.say(Management, "patch", "", "configmaps", "n", "users", nil, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "users"}})
	w.record(w.enter(v1alpha1.PhaseCommit))
	w.side("patch", "spare", "new", "true")
	w.serving("update", "standby", 1, map[string]string{doneBy: "run-uid"})
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		w.leave(s)
		at := w.now()
		s.FinishedAt, s.Failover.CommittedAt = &at, &at
		s.Conditions, s.ReportRef, s.Phase = nil, &v1alpha1.LocalConfigMapReference{Name: "run-report"}, "Succeeded"
		for _, kind := range []string{"Succeeded", "Verified", "StateApplied", "ClusterProvisioned", "CleanedUp", "Fenced", "Switched"} {
			s.Conditions = append(s.Conditions, w.condition(kind, "True"))
		}
	})
	w.locks("delete")
	w.finalizers()
	return Case{
		Namespace: "n", Run: "run", RunUID: "run-uid", Operation: v1alpha1.OperationFailover, Cluster: "dev", Lease: "refloat-dev", LiveUID: "old",
		Identity: map[types.UID]types.UID{"new": "system"}, State: []string{"namespaces/shop"}, Canaries: []string{"hush"}, Takeover: known, Events: w.events,
	}
}

func TestGoodFailoverBreaksNothing(t *testing.T) {
	for _, b := range Judge(failover(t)) {
		t.Errorf("%s", b)
	}
}

// replaced text in the answer of the nth event of a verb and resource.
func replaced(verb, resource string, n int, old, now string) func(*Case) {
	return event(verb, resource, n, func(e *Event) {
		e.ResponseObject = json.RawMessage(strings.ReplaceAll(string(e.ResponseObject), old, now))
	})
}

// called changes the call of the hook; repeated adds one a moment later.
func called(change func(*Call)) func(*Case) {
	return func(c *Case) { change(&c.Takeover.Calls[0]) }
}

func repeated(after time.Duration, change func(*Call)) func(*Case) {
	return func(c *Case) {
		call := c.Takeover.Calls[0]
		call.Received = call.Received.Add(after)
		change(&call)
		c.Takeover.Calls = append(c.Takeover.Calls, call)
	}
}

// craftedFailovers have one thing wrong each.
var craftedFailovers = []struct {
	rule, name string
	change     func(*Case)
}{
	{"one-run-per-cluster", "no lock of the new cluster", drop("create", "leases", 1)},
	{"nothing-left-behind", "the lock of the new cluster", drop("delete", "leases", 1)},
	{"record-of-who-serves", "no epoch", replaced("create", "leases", 2, `"leaseTransitions":1`, `"leaseTransitions":0`)},
	{"record-of-who-serves", "an epoch more", replaced("update", "leases", 0, `"leaseTransitions":1`, `"leaseTransitions":2`)},
	{"record-of-who-serves", "begun by another run", replaced("create", "leases", 2, `run-uid`, `other`)},
	{"record-of-who-serves", "not begun", drop("create", "leases", 2)},
	{"record-of-who-serves", "begun after the deletion", later("create", "leases", 2, "delete", "clusters", 0)},
	{"record-of-who-serves", "passed on twice", again("update", "leases", 0, nil)},
	{"record-of-who-serves", "deleted", again("update", "leases", 0, func(e *Event) { e.Verb = "delete" })},
	{"record-of-who-serves", "still open", replaced("update", "leases", 0, doneBy, pendingPlan)},
	{"one-cluster-serves", "the old one never went", func(c *Case) { c.Takeover.Stopped = nil }},
	{"one-cluster-serves", "the old one went too late", func(c *Case) { c.Takeover.Stopped["old"] = c.Takeover.Calls[0].Received.Add(time.Millisecond) }},
	{"one-cluster-serves", "hook called before the fence", called(func(c *Call) { c.Received = began })},
	{"one-cluster-serves", "users led there before the fence", later("patch", "configmaps", 0, "delete", "clusters", 0)},
	{"one-cluster-serves", "users led there by a process that was replaced", event("patch", "configmaps", 0, func(e *Event) { e.User.Username = "two" })},
	{"one-cluster-serves", "marked before the verdict", later("patch", "clusters", 1, "create", "clusters", 0)},
	{"one-cluster-serves", "the old one marked", replaced("patch", "clusters", 0, `"refloat.dev/serves":"false"`, `"refloat.dev/serves":"true"`)},
	{"hooks-act-once", "another key", repeated(time.Millisecond, func(c *Call) { c.Key = "other" })},
	{"hooks-act-once", "no key", called(func(c *Call) { c.Key = "" })},
	{"hooks-act-once", "another message", repeated(time.Millisecond, func(c *Call) { c.Raw = []byte(`{"a":1}`) })},
	{"hooks-act-once", "the key of another hook", repeated(time.Millisecond, func(c *Call) { c.Hook = "pager" })},
	{"hooks-act-once", "another epoch", called(func(c *Call) { c.Message.Epoch = 2 })},
	{"hooks-act-once", "after the answer", repeated(50*time.Millisecond, func(*Call) {})},
	{"hooks-act-once", "not recorded", recorded(6, func(r *v1alpha1.RecoveryRun) { r.Status.Failover.Hooks = nil })},
	{"failover-is-definite", "not passed on", drop("update", "leases", 0)},
	{"failover-is-definite", "passed on and failed", recorded(10, func(r *v1alpha1.RecoveryRun) { r.Status.Failure = &v1alpha1.Failure{} })},
	{"failover-is-definite", "gone without a record", func(c *Case) {
		recorded(10, func(r *v1alpha1.RecoveryRun) { r.Status.Failure = &v1alpha1.Failure{} })(c)
		drop("create", "leases", 2)(c)
		drop("update", "leases", 0)(c)
	}},
}

func TestCraftedFailoversAreCaught(t *testing.T) {
	for _, test := range craftedFailovers {
		t.Run(test.rule+"/"+test.name, func(t *testing.T) {
			c := failover(t)
			test.change(&c)
			if !slices.ContainsFunc(Judge(c), func(b Breach) bool { return b.Rule == test.rule }) {
				t.Errorf("not caught; found %v", Judge(c))
			}
		})
	}
}

// TestHookIsCalledAgain for want of an answer, with the same message: that is harmless.
func TestHookIsCalledAgain(t *testing.T) {
	c := failover(t)
	repeated(time.Millisecond, func(*Call) {})(&c)
	for _, b := range Judge(c) {
		t.Errorf("%s", b)
	}
}
