package witness

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// teller writes the audit log of a run, as it should be.
type teller struct {
	t      *testing.T
	events []Event
	run    v1alpha1.RecoveryRun
	clock  time.Time
	user   string
}

func (w *teller) now() metav1.MicroTime { return metav1.NewMicroTime(w.clock) }

func (w *teller) say(server, verb, group, resource, namespace, name string, request, response any) *Event {
	w.t.Helper()
	w.clock = w.clock.Add(10 * time.Millisecond)
	raw := func(v any) json.RawMessage {
		if v == nil {
			return nil
		}
		out, err := json.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		return out
	}
	e := Event{Server: server, Stage: "ResponseComplete", Verb: verb, RequestURI: "/x", Received: w.now(), RequestObject: raw(request), ResponseObject: raw(response)}
	e.Completed = metav1.NewMicroTime(w.clock.Add(time.Millisecond))
	e.User.Username = w.user
	e.ObjectRef.APIGroup, e.ObjectRef.Namespace, e.ObjectRef.Name = group, namespace, name
	e.ObjectRef.Resource, e.ObjectRef.Subresource, _ = strings.Cut(resource, "/")
	e.ResponseStatus.Code = 200
	w.events = append(w.events, e)
	return &w.events[len(w.events)-1]
}

// record a status.
func (w *teller) record(change func(*v1alpha1.RecoveryRunStatus)) {
	w.t.Helper()
	s := &w.run.Status
	change(s)
	w.say(Management, "update", "refloat.dev", "recoveryruns/status", "n", "run", nil, w.run.DeepCopy())
}

func (w *teller) condition(kind string, status metav1.ConditionStatus) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: "Done", ObservedGeneration: 1, LastTransitionTime: metav1.NewTime(w.clock)}
}

func (w *teller) enter(phase v1alpha1.Phase) func(*v1alpha1.RecoveryRunStatus) {
	return func(s *v1alpha1.RecoveryRunStatus) {
		w.leave(s)
		s.Phases = append(s.Phases, v1alpha1.PhaseRecord{Name: phase, StartedAt: w.now()})
		s.Phase = v1alpha1.RunPhase(phase)
	}
}

func (w *teller) leave(s *v1alpha1.RecoveryRunStatus) {
	if n := len(s.Phases); n > 0 {
		at := w.now()
		s.Phases[n-1].FinishedAt = &at
	}
}

func (w *teller) finalizers(names ...string) {
	w.run.Finalizers = names
	w.say(Management, "patch", "refloat.dev", "recoveryruns", "n", "run", nil, w.run.DeepCopy())
}

func (w *teller) cluster(verb string, uid types.UID, epoch int64) {
	c := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "dev", UID: uid,
		Annotations: map[string]string{capi.AnnotationRun: "run-uid", capi.AnnotationEpoch: fmt.Sprint(epoch)}, Labels: map[string]string{capi.LabelCluster: "dev"}}}
	w.say(Management, verb, "cluster.x-k8s.io", "clusters", "n", "dev", nil, c)
}

func (w *teller) lease(verb string) {
	holder := "run-uid"
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "refloat-dev", UID: "lease-uid"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}
	var request any
	if verb == "delete" {
		request = bound("lease-uid")
	}
	w.say(Management, verb, "coordination.k8s.io", "leases", "n", "refloat-dev", request, l)
}

func bound(uid types.UID) *metav1.DeleteOptions {
	version := "7"
	return &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}}
}

func (w *teller) apply(resource, namespace, name string) {
	o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: "1"}}
	w.say(Workload, "patch", "", resource, namespace, name, nil, o)
}

// rebuild is a whole run: the old cluster goes, a new one comes, two objects are applied.
func rebuild(t *testing.T) Case {
	w := &teller{t: t, clock: began, user: "one"}
	w.run = v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "run", UID: "run-uid", Generation: 1},
		Spec: v1alpha1.RecoveryRunSpec{Operation: v1alpha1.OperationRebuild}}
	w.finalizers("refloat.dev/run")
	w.lease("create")
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		at := w.now()
		s.StartedAt, s.Epoch, s.Pinned, s.ObservedGeneration = &at, 1, &v1alpha1.PinnedInputs{}, 1
		s.Conditions = []metav1.Condition{w.condition("Succeeded", "Unknown")}
		w.enter(v1alpha1.PhasePreflight)(s)
	})
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		s.Pinned.Commit, s.Pinned.RenderDigest, s.Pinned.ClusterDigest, s.Pinned.Objects = "c", "d", "e", 2
		s.Previous, s.Target = &v1alpha1.Incarnation{Name: "dev", UID: "old"}, &v1alpha1.Incarnation{Name: "dev"}
		w.enter(v1alpha1.PhaseTeardown)(s)
	})
	w.record(func(s *v1alpha1.RecoveryRunStatus) { at := w.now(); s.Previous.DeleteRequestedAt = &at })
	w.cluster("patch", "old", 1)
	w.say(Management, "delete", "cluster.x-k8s.io", "clusters", "n", "dev", bound("old"), nil)
	w.record(w.enter(v1alpha1.PhaseProvision))
	w.cluster("create", "new", 1)
	w.record(func(s *v1alpha1.RecoveryRunStatus) { s.Target.UID = "new"; w.enter(v1alpha1.PhaseBootstrap)(s) })
	w.record(func(s *v1alpha1.RecoveryRunStatus) { s.Target.KubeSystemUID = "system" })
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		w.enter(v1alpha1.PhaseWaves)(s)
		s.Waiting = &v1alpha1.Waiting{For: "the state", Since: w.now()}
	})
	w.apply("namespaces", "", "shop")
	w.apply("configmaps", "shop", "first")
	w.record(func(s *v1alpha1.RecoveryRunStatus) { w.enter(v1alpha1.PhaseVerify)(s); s.Waiting = nil })
	w.say(Workload, "list", "", "namespaces", "", "", nil, nil)
	w.say(Workload, "list", "", "configmaps", "", "", nil, nil)
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		at := w.now()
		s.RecoveredAt, s.Verification = &at, &v1alpha1.VerificationSummary{Rendered: 2, Matched: 2, Healthy: 2}
	})
	w.record(func(s *v1alpha1.RecoveryRunStatus) {
		w.leave(s)
		at := w.now()
		s.FinishedAt = &at
		s.Conditions, s.ReportRef, s.Phase = nil, &v1alpha1.LocalConfigMapReference{Name: "run-report"}, "Succeeded"
		for _, kind := range []string{"Succeeded", "Verified", "StateApplied", "ClusterProvisioned", "CleanedUp"} {
			s.Conditions = append(s.Conditions, w.condition(kind, "True"))
		}
	})
	w.lease("delete")
	w.finalizers()
	return Case{
		Namespace: "n", Run: "run", RunUID: "run-uid", Operation: v1alpha1.OperationRebuild, Cluster: "dev", Lease: "refloat-dev", LiveUID: "old",
		Identity: map[types.UID]types.UID{"new": "system"}, Before: [][2]string{{"namespaces/shop", "configmaps/shop/first"}},
		State: []string{"namespaces/shop", "configmaps/shop/first"}, Canaries: []string{"hush"}, Told: map[string]string{"the log": "nothing"}, Events: w.events,
	}
}

// find the events of a verb and resource.
func find(c *Case, verb, resource string) []int {
	var at []int
	for i, e := range c.Events {
		if e.Verb == verb && e.is(resource) {
			at = append(at, i)
		}
	}
	return at
}

// drop the nth event of a verb and resource; from the end when n is negative.
func drop(verb, resource string, n int) func(*Case) {
	return func(c *Case) {
		at := find(c, verb, resource)
		if n < 0 {
			n += len(at)
		}
		c.Events = slices.Delete(c.Events, at[n], at[n]+1)
	}
}

// later moves the nth event of a verb and resource behind another one.
func later(verb, resource string, n int, behindVerb, behindResource string, m int) func(*Case) {
	return func(c *Case) {
		move, behind := find(c, verb, resource)[n], find(c, behindVerb, behindResource)[m]
		after := c.Events[behind].Received.Add(2 * time.Millisecond)
		c.Events[move].Received, c.Events[move].Completed = metav1.NewMicroTime(after), metav1.NewMicroTime(after.Add(time.Millisecond))
	}
}

// recorded changes the nth record of the run and those that follow.
func recorded(n int, change func(*v1alpha1.RecoveryRun)) func(*Case) {
	return func(c *Case) {
		for _, i := range find(c, "update", "recoveryruns/status")[n:] {
			var run v1alpha1.RecoveryRun
			if json.Unmarshal(c.Events[i].ResponseObject, &run) == nil {
				change(&run)
				c.Events[i].ResponseObject, _ = json.Marshal(run)
			}
		}
	}
}

func event(verb, resource string, n int, change func(*Event)) func(*Case) {
	return func(c *Case) { change(&c.Events[find(c, verb, resource)[n]]) }
}

// again repeats an event a moment later.
func again(verb, resource string, n int, change func(*Event)) func(*Case) {
	return func(c *Case) {
		e := c.Events[find(c, verb, resource)[n]]
		e.Received = metav1.NewMicroTime(e.Received.Add(3 * time.Millisecond))
		if change != nil {
			change(&e)
		}
		c.Events = append(c.Events, e)
	}
}

// borrow an account in the live cluster.
func borrow(c *Case) {
	again("patch", "configmaps", 0, func(e *Event) {
		e.Server, e.ObjectRef.Resource, e.ObjectRef.Name, e.RequestURI = Live, "serviceaccounts", "refloat-verifier", "/x?fieldManager=refloat-access"
	})(c)
}

// budget has its slots taken just before the deletion.
func budget(most int32, slots ...types.UID) func(*Case) {
	return func(c *Case) {
		b := &v1alpha1.TeardownBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "nightly"}, Spec: v1alpha1.TeardownBudgetSpec{MaxPerHour: &most}}
		for _, uid := range slots {
			b.Status.Slots = append(b.Status.Slots, v1alpha1.TeardownSlot{UID: uid})
		}
		e := c.Events[find(c, "update", "recoveryruns/status")[1]]
		e.ObjectRef.Resource, e.ObjectRef.Name = "teardownbudgets", b.Name
		e.Received = metav1.NewMicroTime(e.Received.Add(time.Millisecond))
		e.ResponseObject, _ = json.Marshal(b)
		c.Events = append(c.Events, e)
	}
}

// TestBudgetThatIsKept has a slot left over.
func TestBudgetThatIsKept(t *testing.T) {
	c := rebuild(t)
	budget(2, "other", "run-uid")(&c)
	for _, b := range Judge(c) {
		t.Errorf("%s", b)
	}
}

func TestGoodHistoryBreaksNothing(t *testing.T) {
	for _, b := range Judge(rebuild(t)) {
		t.Errorf("%s", b)
	}
}

// crafted histories, each with one thing wrong, by the rule that has to say so.
var crafted = []struct {
	rule, name string
	change     func(*Case)
}{
	{"one-run-per-cluster", "no lock", drop("create", "leases", 0)},
	{"one-run-per-cluster", "lock of another run", event("create", "leases", 0, func(e *Event) {
		e.ResponseObject = json.RawMessage(strings.ReplaceAll(string(e.ResponseObject), "run-uid", "other"))
	})},
	{"one-run-per-cluster", "lock given back early", later("delete", "leases", 0, "create", "leases", 0)},
	{"inputs-stay-pinned", "another commit", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.Commit = "other" })},
	{"inputs-stay-pinned", "another plan", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.Plan.Cluster.Name = "other" })},
	{"inputs-stay-pinned", "another target", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Target.UID = "other" })},
	{"inputs-stay-pinned", "another previous", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Previous.UID = "other" })},
	{"inputs-stay-pinned", "another kube-system", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Target.KubeSystemUID = "other" })},
	{"inputs-stay-pinned", "forgotten", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Pinned = nil })},
	{"deletes-name-uid-and-version", "no UID", event("delete", "clusters", 0, func(e *Event) {
		e.RequestObject = json.RawMessage(`{"preconditions":{"resourceVersion":"7"}}`)
	})},
	{"deletes-name-uid-and-version", "no resourceVersion", event("delete", "clusters", 0, func(e *Event) {
		e.RequestObject = json.RawMessage(`{"preconditions":{"uid":"old"}}`)
	})},
	{"deletes-name-uid-and-version", "no body", event("delete", "leases", 0, func(e *Event) { e.RequestObject = nil })},
	{"deletes-name-uid-and-version", "refused all the same", event("delete", "clusters", 0, func(e *Event) { e.RequestObject, e.ResponseStatus.Code = nil, 404 })},
	{"deletes-name-uid-and-version", "by selector", again("delete", "clusters", 0, func(e *Event) { e.Verb = "deletecollection" })},
	{"one-delete-per-incarnation", "twice", again("delete", "clusters", 0, nil)},
	{"stamped-before-deleted", "no mark", drop("patch", "clusters", 0)},
	{"stamped-before-deleted", "mark of another run", event("patch", "clusters", 0, func(e *Event) {
		e.ResponseObject = json.RawMessage(strings.ReplaceAll(string(e.ResponseObject), "run-uid", "other"))
	})},
	{"stamped-before-deleted", "marked too late", later("patch", "clusters", 0, "delete", "clusters", 0)},
	{"recorded-before-deleted", "not recorded", drop("update", "recoveryruns/status", 2)},
	{"recorded-before-deleted", "recorded too late", later("update", "recoveryruns/status", 2, "delete", "clusters", 0)},
	{"deposed-never-deletes", "another process had taken over", recorded(2, func(r *v1alpha1.RecoveryRun) { r.Status.Epoch = 2 })},
	{"deposed-never-deletes", "sent by another process", event("delete", "clusters", 0, func(e *Event) { e.User.Username = "two" })},
	{"proven-before-deleted", "nothing rendered", recorded(1, func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.Objects = 0 })},
	{"proven-before-deleted", "no commit", recorded(1, func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.Commit = "" })},
	{"proven-before-deleted", "preflight still under way", recorded(1, func(r *v1alpha1.RecoveryRun) { r.Status.Phases[0].FinishedAt = nil })},
	{"budgets-are-kept", "one too many", budget(1, "other", "run-uid")},
	{"budgets-are-kept", "frozen", budget(0, "run-uid")},
	{"budgets-are-kept", "given back too early", func(c *Case) {
		budget(1, "run-uid")(c)
		budget(1)(c)
		at := find(c, "update", "teardownbudgets/status")[1]
		c.Events[at].Received = metav1.NewMicroTime(c.Events[at].Received.Add(time.Millisecond))
	}},
	{"only-the-plans-cluster", "another cluster", event("patch", "clusters", 0, func(e *Event) { e.ObjectRef.Name = "prod" })},
	{"only-the-plans-cluster", "another namespace", event("create", "clusters", 0, func(e *Event) { e.ObjectRef.Namespace = "other" })},
	{"only-the-plans-cluster", "a drill on the live cluster", func(c *Case) { c.Operation = v1alpha1.OperationDrill }},
	{"live-cluster-left-alone", "an account in a drill", func(c *Case) {
		c.Operation = v1alpha1.OperationDrill
		borrow(c)
	}},
	{"live-cluster-left-alone", "a write after the drain", func(c *Case) {
		recorded(2, func(r *v1alpha1.RecoveryRun) {
			at := metav1.NewMicroTime(began)
			r.Status.Previous.Drain = &v1alpha1.DrainRecord{StartedAt: at, FinishedAt: &at}
		})(c)
		again("patch", "clusters", 0, func(e *Event) { e.Server = Live })(c)
	}},
	{"deletes-name-uid-and-version", "in a drain", again("delete", "clusters", 0, func(e *Event) { e.Server, e.RequestObject = Live, nil })},
	{"live-cluster-left-alone", "a write", again("patch", "configmaps", 0, func(e *Event) { e.Server = Live })},
	{"pinned-before-written", "too early", func(c *Case) {
		for n := 5; n <= 6; n++ {
			event("update", "recoveryruns/status", n, func(e *Event) {
				e.ResponseObject = json.RawMessage(strings.Replace(string(e.ResponseObject), `"kubeSystemUID":"system"`, `"kubeSystemUID":""`, 1))
			})(c)
		}
	}},
	{"pinned-before-written", "another cluster", func(c *Case) { c.Identity["new"] = "other" }},
	{"marked-when-created", "no mark", event("create", "clusters", 0, func(e *Event) {
		e.ResponseObject = json.RawMessage(`{"metadata":{"name":"dev","uid":"new"}}`)
	})},
	{"created-once", "two by a deposed process", func(c *Case) {
		for _, name := range []string{"a", "b"} {
			again("create", "clusters", 0, func(e *Event) {
				e.User.Username, e.ObjectRef.Resource, e.ObjectRef.APIGroup, e.ObjectRef.Name = "two", "localclusters", "infrastructure.cluster.x-k8s.io", name
			})(c)
		}
	}},
	{"created-once", "twice", again("create", "clusters", 0, nil)},
	{"gates-before-dependants", "before", later("patch", "namespaces", 0, "patch", "configmaps", 0)},
	{"gates-before-dependants", "never", drop("patch", "namespaces", 0)},
	{"gates-before-dependants", "before the answer", event("patch", "namespaces", 0, func(e *Event) { e.Completed = metav1.NewMicroTime(e.Completed.Add(time.Second)) })},
	{"applied-once", "changed again", again("patch", "configmaps", 0, func(e *Event) {
		e.ResponseObject = json.RawMessage(strings.ReplaceAll(string(e.ResponseObject), `"resourceVersion":"1"`, `"resourceVersion":"2"`))
	})},
	{"nothing-deleted-inside", "deleted", again("patch", "configmaps", 0, func(e *Event) { e.Verb = "delete" })},
	{"verified-by-fresh-reads", "not read", drop("list", "configmaps", 0)},
	{"verified-by-fresh-reads", "read too early", later("patch", "configmaps", 0, "list", "configmaps", 0)},
	{"verified-by-fresh-reads", "written after", later("patch", "configmaps", 0, "update", "recoveryruns/status", 8)},
	{"success-is-verified", "nothing matched", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Verification = &v1alpha1.VerificationSummary{} })},
	{"success-is-verified", "not verified", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Verification = nil })},
	{"success-is-verified", "some missing", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Verification.Matched, r.Status.Verification.Missing = 1, 1 })},
	{"success-is-verified", "less than was pinned", recorded(9, func(r *v1alpha1.RecoveryRun) { r.Status.Verification.Rendered, r.Status.Verification.Matched = 1, 1 })},
	{"success-is-verified", "a teardown that deleted nothing", func(c *Case) { c.Operation = v1alpha1.OperationTeardown; drop("delete", "clusters", 0)(c) }},
	{"nothing-after-the-end", "a write", later("patch", "configmaps", 0, "update", "recoveryruns/status", 9)},
	{"history-is-lawful", "a phase again", recorded(5, func(r *v1alpha1.RecoveryRun) { r.Status.Phases[1].Name = v1alpha1.PhasePreflight })},
	{"history-is-lawful", "a phase too early", recorded(3, func(r *v1alpha1.RecoveryRun) { r.Status.Phases[0].Name = v1alpha1.PhaseVerify })},
	{"history-is-lawful", "an epoch falls", recorded(5, func(r *v1alpha1.RecoveryRun) { r.Status.Epoch = 0 })},
	{"history-is-lawful", "the result changes", again("update", "recoveryruns/status", 9, func(e *Event) {
		e.ResponseObject = json.RawMessage(strings.Replace(string(e.ResponseObject), `"status":{`, `"status":{"failure":{"phase":"Verify","reason":"Late","message":"late"},`, 1))
	})},
	{"waits-are-explained", "in silence", recorded(6, func(r *v1alpha1.RecoveryRun) {
		if r.Status.Waiting != nil {
			r.Status.Waiting.For = " "
		}
	})},
	{"status-stays-small", "big", recorded(7, func(r *v1alpha1.RecoveryRun) { r.Annotations = map[string]string{"a": strings.Repeat("x", maxRun)} })},
	{"secrets-stay-secret", "in the status", recorded(7, func(r *v1alpha1.RecoveryRun) { r.Status.Phases[0].Message = "hush" })},
	{"secrets-stay-secret", "in the log", func(c *Case) { c.Told["the log"] = "password: hush" }},
	{"secrets-stay-secret", "in an address", event("patch", "configmaps", 0, func(e *Event) { e.RequestURI = "/x?token=hush" })},
	{"secrets-stay-secret", "in an event", again("create", "leases", 0, func(e *Event) {
		e.ObjectRef.Resource, e.RequestObject = "events", json.RawMessage(`{"note":"hush"}`)
	})},
	{"nothing-left-behind", "the lock", drop("delete", "leases", 0)},
	{"nothing-left-behind", "the finalizer", drop("patch", "recoveryruns", -1)},
}

func TestCraftedHistoriesAreCaught(t *testing.T) {
	caught := map[string]bool{}
	for _, test := range crafted {
		t.Run(test.rule+"/"+test.name, func(t *testing.T) {
			c := rebuild(t)
			test.change(&c)
			if !slices.ContainsFunc(Judge(c), func(b Breach) bool { return b.Rule == test.rule }) {
				t.Errorf("not caught; found %v", Judge(c))
			}
		})
		caught[test.rule] = true
	}
	for _, test := range craftedFailovers {
		caught[test.rule] = true
	}
	for _, rule := range Rules() {
		if !caught[rule.Name] {
			t.Errorf("no crafted history breaks %s", rule.Name)
		}
	}
}

// TestHarmlessHistories are left alone.
func TestHarmlessHistories(t *testing.T) {
	for name, change := range map[string]func(*Case){
		"an account to read the old cluster": borrow,
		"a drain that was recorded": func(c *Case) {
			event("update", "recoveryruns/status", 1, func(e *Event) {
				e.ResponseObject = json.RawMessage(strings.Replace(string(e.ResponseObject), `"previous":{`, `"previous":{"drain":{"startedAt":"2026-01-01T00:00:00.000000Z"},`, 1))
			})(c)
			again("update", "recoveryruns/status", 1, func(e *Event) { e.Server, e.ObjectRef.Resource, e.ObjectRef.Subresource = Live, "deployments", "" })(c)
		},
		"a dry run":                     again("create", "clusters", 0, func(e *Event) { e.RequestURI = "/x?dryRun=All" }),
		"a refused write":               again("create", "clusters", 0, func(e *Event) { e.ResponseStatus.Code = 409 }),
		"a bound deletion that failed":  again("delete", "clusters", 0, func(e *Event) { e.ResponseStatus.Code = 409 }),
		"an apply that changes nothing": again("patch", "configmaps", 0, nil),
		"a Secret holds its value":      again("patch", "configmaps", 0, func(e *Event) { e.ObjectRef.Resource, e.ResponseObject = "secrets", json.RawMessage(`{"data":"hush"}`) }),
	} {
		c := rebuild(t)
		change(&c)
		for _, b := range Judge(c) {
			t.Errorf("%s: %s", name, b)
		}
	}
}

// TestDeletionBeforeTheFence sends a recorded deletion when a successor has claimed the run
// and not yet fenced it, and when it has already gone on.
func TestDeletionBeforeTheFence(t *testing.T) {
	claim := again("update", "recoveryruns/status", 2, func(e *Event) {
		e.User.Username = "two"
		e.ResponseObject = json.RawMessage(strings.Replace(string(e.ResponseObject), `"epoch":1`, `"epoch":2`, 1))
	})
	deposed := func(c Case) bool {
		return slices.ContainsFunc(Judge(c), func(b Breach) bool { return b.Rule == "deposed-never-deletes" })
	}
	c := rebuild(t)
	claim(&c)
	if deposed(c) {
		t.Error("the successor had decided nothing yet")
	}
	last := c.Events[len(c.Events)-1]
	last.Received = metav1.NewMicroTime(last.Received.Add(time.Millisecond))
	c.Events = append(c.Events, last)
	if !deposed(c) {
		t.Error("the successor had gone on, and was overtaken")
	}
	event("delete", "clusters", 0, func(e *Event) { e.User.Username = "three" })(&c)
	if !deposed(c) {
		t.Error("a stranger deleted")
	}
}
