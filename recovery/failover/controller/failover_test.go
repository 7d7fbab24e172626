package controller_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/storm"
	"github.com/refloat-dev/refloat/recovery/failover"
	"github.com/refloat-dev/refloat/recovery/failover/controller"
)

func authority(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func lives(p *v1alpha1.FailoverPolicy) bool {
	return meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionClusterHealthy)
}

func ordered(p *v1alpha1.FailoverPolicy) bool {
	return p.Status.Outage != nil && p.Status.Outage.Run != ""
}

// TestPropose: a dead cluster makes one run, with the evidence, that waits for a person; it
// is taken back when the cluster lives.
func TestPropose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	w.set("prod", refused)
	w.until(p, "ordered", ordered)
	run := w.runs(1)[0]
	spec := run.Spec
	switch {
	case spec.Operation != v1alpha1.OperationRebuild, spec.PlanRef.Name != "prod", spec.Cluster != "prod", spec.RequestedBy == "":
		t.Errorf("the run is %+v", spec)
	case spec.Proposal == nil || !spec.Proposal.NeedsApproval || spec.Proposal.ClusterUID != "uid-prod" || spec.Proposal.UID != p.UID:
		t.Errorf("the proposal is %+v", spec.Proposal)
	case len(spec.Proposal.Evidence) != 1 || spec.Proposal.Evidence[0].Message != "it refuses connections":
		t.Errorf("the evidence is %+v", spec.Proposal.Evidence)
	case !spec.Proposal.OutageSince.Equal(&p.Status.Outage.Since):
		t.Errorf("the outage began at %s, the run says %s", p.Status.Outage.Since, spec.Proposal.OutageSince)
	}
	w.start(nil) // another process, which knows nothing
	w.until(p, "watched again", func(p *v1alpha1.FailoverPolicy) bool {
		return len(p.Status.Signals) > 0 && p.Status.Signals[0].Message == "it refuses connections"
	})
	w.runs(1)
	w.set("prod", up)
	w.until(p, "over", func(p *v1alpha1.FailoverPolicy) bool { return p.Status.Outage.OverAt != nil && lives(p) })
	if run := w.runs(1)[0]; run.Spec.Cancel == nil || !strings.Contains(run.Spec.Cancel.Reason, "answered again") {
		t.Errorf("the run was not taken back: %+v", run.Spec.Cancel)
	}
}

// TestFleetLooksDead: when many look dead at once, nothing is ordered.
func TestFleetLooksDead(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]state{"refused": refused, "cut off": cut} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.start(nil)
			var all []*v1alpha1.FailoverPolicy
			for i := range 25 {
				all = append(all, w.policy(fmt.Sprintf("c%d", i), nil))
			}
			for _, p := range all {
				w.until(p, "healthy", lives)
			}
			for _, p := range all {
				w.set(p.Name, how)
			}
			for _, p := range all {
				w.until(p, "frozen", has(v1alpha1.ConditionArmed, "BreakerOpen"))
			}
			w.noRunFor(6 * time.Second)
			for _, p := range all[1:] {
				w.set(p.Name, up)
			}
			for _, p := range all[1:] {
				w.until(p, "healthy again", lives)
			}
			// The one that is still dead may be only the slowest to come back.
			w.noRunFor(3 * time.Second)
		})
	}
}

// TestSoak: restarts, slow servers and cuts that end are no outage.
func TestSoak(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", func(s *v1alpha1.FailoverPolicySpec) { s.Unhealthy.For = seconds(4) })
	w.until(p, "healthy", lives)
	for range 2 {
		for _, trouble := range []struct {
			state state
			lasts time.Duration
		}{{refused, 2 * time.Second}, {slow, 5 * time.Second}, {cut, 4 * time.Second}, {refused, time.Second}} {
			w.set("prod", trouble.state)
			w.noRunFor(trouble.lasts)
			w.set("prod", up)
			w.until(p, "healthy again", lives)
		}
	}
	if p.Status.Outage != nil {
		t.Errorf("an outage was found: %+v", p.Status.Outage)
	}
	w.set("prod", refused)
	w.until(p, "ordered", ordered)
}

// TestSilence: a cluster that is cut off for good is dead in the end.
func TestSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	w.set("prod", cut)
	w.until(p, "ordered", ordered)
	if e := w.runs(1)[0].Spec.Proposal.Evidence[0]; e.State != v1alpha1.SignalFailing || strings.Contains(e.Message, "127.0.0.1") {
		t.Errorf("the evidence is %+v", e)
	}
}

// TestSecondOpinion: one that is seen alive from elsewhere is not touched, and one that
// nobody else sees dead is not touched without a person.
func TestSecondOpinion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", func(s *v1alpha1.FailoverPolicySpec) {
		s.Mode = v1alpha1.FailoverAutomatic
		s.Observers = []v1alpha1.Observer{{Name: "b"}}
	})
	w.until(p, "refused", has(v1alpha1.ConditionReady, "CannotAct"))
	plan := &v1alpha1.RecoveryPlan{}
	w.must(w.c.Get(t.Context(), client.ObjectKeyFromObject(p), plan))
	plan.Spec.Teardown.Loss.Unreachable = v1alpha1.UnreachableAllowRebuild
	w.must(w.c.Update(t.Context(), plan))
	w.until(p, "healthy", lives)
	w.see(p, v1alpha1.SignalHealthy)
	w.set("prod", refused)
	w.until(p, "held back", has(v1alpha1.ConditionArmed, "SeenAlive"))
	w.noRunFor(2 * time.Second)
	w.see(p, v1alpha1.SignalUnknown)
	w.until(p, "held back", has(v1alpha1.ConditionArmed, "NoSecondOpinion"))
	w.noRunFor(2 * time.Second)
	w.see(p, v1alpha1.SignalFailing)
	w.until(p, "ordered", ordered)
	spec := w.runs(1)[0].Spec.Proposal
	if spec.NeedsApproval || len(spec.Evidence) != 2 || spec.Evidence[1].Name != "observer/b" || spec.Evidence[1].State != v1alpha1.SignalFailing {
		t.Errorf("the proposal is %+v", spec)
	}
}

// see writes what observer b sees.
func (w *world) see(p *v1alpha1.FailoverPolicy, state v1alpha1.SignalState) {
	w.t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: failover.SightingName(p.Name, "b")}}
	err := w.c.Get(w.t.Context(), client.ObjectKeyFromObject(lease), lease)
	found := err == nil
	failover.WriteSighting(lease, failover.Sighting{Observer: "b", State: state, Since: time.Now(), Message: "m"}, "uid-prod", time.Now())
	if found {
		w.must(w.c.Update(w.t.Context(), lease))
		return
	}
	w.must(w.c.Create(w.t.Context(), lease))
}

// TestBarriers: nothing is ordered for a cluster that somebody works on.
func TestBarriers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	hold := &v1alpha1.Hold{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "h"},
		Spec:       v1alpha1.HoldSpec{PlanRef: v1alpha1.PlanReference{Name: "prod"}, Until: metav1.NewTime(time.Now().Add(time.Hour)), Reason: "I know"},
	}
	w.must(w.c.Create(t.Context(), hold))
	w.until(p, "held", has(v1alpha1.ConditionArmed, "Held"))
	w.set("prod", refused)
	w.until(p, "suspected", has(v1alpha1.ConditionClusterHealthy, "Suspected"))
	w.noRunFor(2 * time.Second)
	run := &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "by-hand"},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "prod"}, Operation: v1alpha1.OperationRebuild},
	}
	w.must(w.c.Create(t.Context(), run))
	w.must(w.c.Delete(t.Context(), hold))
	w.until(p, "left to the other run", has(v1alpha1.ConditionArmed, "RunUnderWay"))
	w.must(w.c.Delete(t.Context(), run))
	w.until(p, "ordered", ordered)
}

// TestGate: one switch stops policies, in its namespace or everywhere.
func TestGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	rule := &v1alpha1.SafetyRule{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "stop"}}
	rule.Spec.Gate = &v1alpha1.Gate{Closed: true}
	if err := w.c.Create(t.Context(), rule); err == nil {
		t.Fatal("a gate is closed without a reason")
	}
	rule.Spec.Gate.Reason = "the data centre moves"
	w.must(w.c.Create(t.Context(), rule))
	w.until(p, "stopped", has(v1alpha1.ConditionArmed, "AutomationStopped"))
	w.set("prod", refused)
	w.until(p, "suspected", has(v1alpha1.ConditionClusterHealthy, "Suspected"))
	w.noRunFor(2 * time.Second)
	rule.Spec.Gate = &v1alpha1.Gate{}
	w.must(w.c.Update(t.Context(), rule))
	w.until(p, "ordered", ordered)
}

// TestFailoverToStandby orders a run that lets another cluster take over.
func TestFailoverToStandby(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	standby := storm.Plan("standby")
	standby.Namespace, standby.Spec.Cluster.Name = w.ns, "standby"
	w.must(w.c.Create(t.Context(), standby))
	w.start(nil)
	p := w.policy("prod", func(s *v1alpha1.FailoverPolicySpec) {
		s.Action = v1alpha1.FailoverAction{Operation: v1alpha1.FailoverToStandby, To: &v1alpha1.PlanReference{Name: "standby"}}
	})
	w.until(p, "healthy", lives)
	w.set("prod", refused)
	w.until(p, "ordered", ordered)
	spec := w.runs(1)[0].Spec
	if spec.Operation != v1alpha1.OperationFailover || spec.Failover == nil || spec.Failover.To.Name != "standby" ||
		spec.Failover.Mode != v1alpha1.FailoverUngraceful || !spec.Proposal.NeedsApproval {
		t.Errorf("the run is %+v", spec)
	}
}

// TestProblems of a policy are named.
func TestProblems(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	second := &v1alpha1.FailoverPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "second"}, Spec: v1alpha1.FailoverPolicySpec{PlanRef: p.Spec.PlanRef}}
	w.must(w.c.Create(t.Context(), second))
	w.until(second, "refused", has(v1alpha1.ConditionReady, "AnotherPolicy"))
	w.must(w.c.Delete(t.Context(), p))
	w.until(second, "the only one", lives)
	lost := &v1alpha1.FailoverPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "lost"}, Spec: v1alpha1.FailoverPolicySpec{PlanRef: v1alpha1.PlanReference{Name: "none"}}}
	w.must(w.c.Create(t.Context(), lost))
	w.until(lost, "refused", has(v1alpha1.ConditionReady, "PlanNotFound"))

	twin := storm.Plan("twin")
	twin.Namespace, twin.Spec.Cluster.Name = w.ns, "prod"
	w.must(w.c.Create(t.Context(), twin))
	for to, reason := range map[string]string{"none": "StandbyNotFound", "twin": "SameCluster"} {
		w.must(w.c.Get(t.Context(), client.ObjectKeyFromObject(second), second))
		second.Spec.Action = v1alpha1.FailoverAction{Operation: v1alpha1.FailoverToStandby, To: &v1alpha1.PlanReference{Name: to}}
		w.must(w.c.Update(t.Context(), second))
		w.until(second, "refused", has(v1alpha1.ConditionReady, reason))
	}

	for name, spec := range map[string]v1alpha1.FailoverPolicySpec{
		"standby is the primary":   {Action: v1alpha1.FailoverAction{Operation: v1alpha1.FailoverToStandby, To: &v1alpha1.PlanReference{Name: "prod"}}},
		"a failover to nowhere":    {Action: v1alpha1.FailoverAction{Operation: v1alpha1.FailoverToStandby}},
		"a rebuild somewhere":      {Action: v1alpha1.FailoverAction{To: &v1alpha1.PlanReference{Name: "other"}}},
		"more than all signals":    {Unhealthy: v1alpha1.UnhealthyRule{Quorum: 2}},
		"a signal of no kind":      {Unhealthy: v1alpha1.UnhealthyRule{Signals: []v1alpha1.Signal{{Name: "s"}}}},
		"a signal of two kinds":    {Unhealthy: v1alpha1.UnhealthyRule{Signals: []v1alpha1.Signal{{Name: "s", APIServer: &v1alpha1.APIServerSignal{}, Condition: "RemoteConnectionProbe"}}}},
		"credentials in the URL":   {Unhealthy: v1alpha1.UnhealthyRule{Signals: []v1alpha1.Signal{{Name: "s", HTTP: &v1alpha1.HTTPSignal{URL: "https://a:b@c"}}}}},
		"dead within no time":      {Unhealthy: v1alpha1.UnhealthyRule{For: &metav1.Duration{}}},
		"a mode that is not known": {Mode: "Maybe"},
	} {
		spec.PlanRef.Name = "prod"
		bad := &v1alpha1.FailoverPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, GenerateName: "bad-"}, Spec: spec}
		if err := w.c.Create(t.Context(), bad); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestReports that come by webhook.
func TestReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	address := listener.Addr().String()
	w.must(listener.Close())
	w.start(func(o *controller.Options) { o.WebhookAddr = address })
	key := []byte("canary-0123456789")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "key"}, Data: map[string][]byte{"key": key}}
	w.must(w.c.Create(t.Context(), secret))
	p := w.policy("prod", func(s *v1alpha1.FailoverPolicySpec) {
		s.Unhealthy.Signals = []v1alpha1.Signal{{Name: "told", Webhook: &v1alpha1.WebhookSignal{SecretRef: v1alpha1.LocalSecretReference{Name: "key"}}}}
	})
	w.until(p, "watched", has(v1alpha1.ConditionClusterHealthy, "NotKnown"))
	send := func(signal string, body []byte, id, signature string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://%s/signals/%s/prod/%s", address, w.ns, signal), bytes.NewReader(body))
		w.must(err)
		request.Header.Set(failover.HeaderID, id)
		request.Header.Set(failover.HeaderSignature, signature)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	good, bad := []byte(`{"healthy": true}`), []byte(`{"healthy": false, "reason": "smoke"}`)
	now := time.Now()
	sign := func(id string, body []byte, at time.Time) string {
		return failover.Sign(key, id, failover.About(w.ns, "prod", "told"), body, at)
	}
	first := sign("1", good, now)
	for name, c := range map[string]struct{ got, want int }{
		"another signal": {send("other", good, "1", sign("1", good, now)), http.StatusUnauthorized},
		"unsigned":       {send("told", good, "1", ""), http.StatusUnauthorized},
		"wrong key":      {send("told", good, "1", failover.Sign([]byte("another-key-0123456"), "1", failover.About(w.ns, "prod", "told"), good, now)), http.StatusUnauthorized},
		"for another":    {send("told", good, "1", failover.Sign(key, "1", failover.About(w.ns, "other", "told"), good, now)), http.StatusUnauthorized},
		"old":            {send("told", good, "1", sign("1", good, now.Add(-time.Hour))), http.StatusUnauthorized},
		"no report":      {send("told", []byte("{}"), "1", sign("1", []byte("{}"), now)), http.StatusBadRequest},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", name, c.got, c.want)
		}
	}
	if code := send("told", bytes.Repeat([]byte("x"), 100<<20), "1", "t=1,v1=00"); code != http.StatusRequestEntityTooLarge && code != 0 {
		t.Errorf("a body of 100 MB: %d", code)
	}
	w.runs(0)
	if code := send("told", good, "1", first); code != http.StatusNoContent {
		t.Fatalf("a good report: %d", code)
	}
	w.until(p, "healthy", lives)
	if code := send("told", good, "1", first); code != http.StatusConflict {
		t.Errorf("the same once more: %d", code)
	}
	if code := send("told", bad, "2", sign("2", bad, now.Add(time.Millisecond))); code != http.StatusNoContent {
		t.Fatalf("a bad report: %d", code)
	}
	w.until(p, "ordered", ordered)
	w.start(nil)
	raw := fmt.Sprintf("%+v %+v", p.Status, w.runs(1)[0].Spec)
	if strings.Contains(raw, "canary") || !strings.Contains(raw, "smoke") {
		t.Errorf("what is told: %s", raw)
	}
}

// TestNoWrites: a healthy cluster costs the management cluster no write.
func TestNoWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(nil)
	p := w.policy("prod", nil)
	w.until(p, "healthy", lives)
	before := w.clusters["prod"].leases.Load()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	events, err := w.c.Watch(ctx, &v1alpha1.FailoverPolicyList{}, client.InNamespace(w.ns))
	w.must(err)
	defer events.Stop()
	for e := range events.ResultChan() {
		if now, ok := e.Object.(*v1alpha1.FailoverPolicy); ok && now.ResourceVersion != p.ResourceVersion {
			t.Errorf("the policy was written: %+v", now.Status)
		}
	}
	if after := w.clusters["prod"].leases.Load(); after < before+2 {
		t.Errorf("the cluster was not probed: %d writes of its Lease, %d before", after, before)
	}
}
