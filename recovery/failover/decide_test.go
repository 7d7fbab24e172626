package failover_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/failover"
)

// dead is a cluster that has refused connections since second 0, at second now.
func dead(now int) failover.Observation {
	return failover.Observation{
		Now: at(now), Policy: &v1alpha1.FailoverPolicy{Spec: v1alpha1.FailoverPolicySpec{Mode: v1alpha1.FailoverPropose}},
		Cluster: "uid", From: at(-1000), Samples: []failover.Sample{sample(v1alpha1.SignalFailing, 0)},
	}
}

func alive(now, since int) failover.Observation {
	o := dead(now)
	o.Samples = []failover.Sample{sample(v1alpha1.SignalHealthy, since)}
	return o
}

func outage(o failover.Observation, attempts int32) failover.Observation {
	o.Policy.Status.Outage = &v1alpha1.Outage{ClusterUID: "uid", Since: metav1.NewMicroTime(at(0)), ConfirmedAt: metav1.NewMicroTime(at(12)), Attempts: attempts}
	return o
}

func orderedAt(o failover.Observation, second int, run failover.Run) failover.Observation {
	last := metav1.NewMicroTime(at(second))
	o.Policy.Status.LastOrderedAt, o.Run = &last, &run
	return o
}

// before is an outage that is over.
func before(o failover.Observation, untouched bool) failover.Observation {
	o = outage(o, 1)
	over := metav1.NewMicroTime(at(60))
	o.Policy.Status.Outage.OverAt, o.Policy.Status.Outage.Untouched = &over, untouched
	return o
}

func with(o failover.Observation, change func(*failover.Observation)) failover.Observation {
	change(&o)
	return o
}

func TestDecide(t *testing.T) {
	untouched, working := failover.Run{Name: "r", Untouched: true}, failover.Run{Name: "r"}
	failed, succeeded := failover.Run{Name: "r", Finished: true}, failover.Run{Name: "r", Finished: true, Succeeded: true}
	for name, c := range map[string]struct {
		o      failover.Observation
		want   failover.Action
		armed  string // reason
		health metav1.ConditionStatus
		again  int // second; 0 for never
	}{
		"alive":                {alive(100, 0), failover.Rest, "Watching", metav1.ConditionTrue, 0},
		"dead, not for long":   {dead(11), failover.Rest, "Watching", metav1.ConditionUnknown, 12},
		"dead for long enough": {dead(12), failover.Confirm, "Watching", metav1.ConditionUnknown, 0},
		"as the policy says": {with(dead(3), func(o *failover.Observation) {
			o.Policy.Spec.Unhealthy.For = &metav1.Duration{Duration: 3 * time.Second}
		}), failover.Confirm, "Watching", metav1.ConditionUnknown, 0},
		"counts from the barrier": {with(dead(100), func(o *failover.Observation) { o.From = at(95) }), failover.Rest, "Watching", metav1.ConditionUnknown, 107},
		"counts from the thaw":    {with(dead(100), func(o *failover.Observation) { o.Breaker.Thawed = at(95) }), failover.Rest, "Watching", metav1.ConditionUnknown, 107},
		"a barrier":               {with(dead(100), func(o *failover.Observation) { o.Barrier = failover.Barrier{Reason: "Held", Message: "m"} }), failover.Rest, "Held", metav1.ConditionUnknown, 0},
		"the breaker":             {with(dead(100), func(o *failover.Observation) { o.Breaker.Since = at(50) }), failover.Rest, "BreakerOpen", metav1.ConditionUnknown, 105},
		"seen alive before it is confirmed": {with(dead(100), func(o *failover.Observation) {
			o.Sightings = []failover.Sighting{{Observer: "b", State: v1alpha1.SignalHealthy}}
		}), failover.Rest, "SeenAlive", metav1.ConditionUnknown, 102},
		"suspended":                           {with(dead(100), func(o *failover.Observation) { o.Policy.Spec.Suspend = true }), failover.Rest, "Suspended", metav1.ConditionUnknown, 0},
		"no cluster":                          {with(dead(100), func(o *failover.Observation) { o.Cluster = "" }), failover.Rest, "NoCluster", metav1.ConditionUnknown, 0},
		"no plan":                             {with(dead(100), func(o *failover.Observation) { o.Problem, o.ProblemReason = "none", "PlanNotFound" }), failover.Rest, "PlanNotFound", metav1.ConditionUnknown, 0},
		"nobody knows":                        {with(dead(100), func(o *failover.Observation) { o.Samples = []failover.Sample{sample(v1alpha1.SignalUnknown, 0)} }), failover.Rest, "Watching", metav1.ConditionUnknown, 0},
		"cooling down, confirmed":             {orderedAt(dead(100), 50, failed), failover.Confirm, "CoolingDown", metav1.ConditionUnknown, 0},
		"cooling down, its run did nothing":   {orderedAt(before(dead(200), true), 50, failover.Run{}), failover.Confirm, "CoolingDown", metav1.ConditionUnknown, 0},
		"cooled down, its run did nothing":    {orderedAt(before(dead(350), true), 50, failover.Run{}), failover.Confirm, "Watching", metav1.ConditionUnknown, 0},
		"cooling down, its run did something": {orderedAt(before(dead(350), false), 50, failover.Run{}), failover.Confirm, "CoolingDown", metav1.ConditionUnknown, 0},
		"an outage is ordered for":            {outage(dead(12), 0), failover.Order, "Watching", metav1.ConditionFalse, 0},
		"an outage behind a barrier": {with(outage(dead(12), 0), func(o *failover.Observation) { o.Barrier = failover.Barrier{Reason: "RunUnderWay"} }),
			failover.Rest, "RunUnderWay", metav1.ConditionFalse, 0},
		"an outage behind the breaker": {with(outage(dead(12), 0), func(o *failover.Observation) { o.Breaker.Since = at(1) }), failover.Rest, "BreakerOpen", metav1.ConditionFalse, 17},
		"seen alive from elsewhere": {with(outage(dead(12), 0), func(o *failover.Observation) {
			o.Sightings = []failover.Sighting{{Observer: "b", State: v1alpha1.SignalHealthy}, {Observer: "c", State: v1alpha1.SignalFailing}}
		}), failover.Rest, "SeenAlive", metav1.ConditionFalse, 14},
		"a silent observer, with a person": {with(outage(dead(12), 0), func(o *failover.Observation) {
			o.Sightings = []failover.Sighting{{Observer: "b", State: v1alpha1.SignalUnknown}}
		}), failover.Order, "Watching", metav1.ConditionFalse, 0},
		"a silent observer, without": {with(outage(dead(12), 0), func(o *failover.Observation) {
			o.Policy.Spec.Mode = v1alpha1.FailoverAutomatic
			o.Sightings = []failover.Sighting{{Observer: "b", State: v1alpha1.SignalUnknown}}
		}), failover.Rest, "NoSecondOpinion", metav1.ConditionFalse, 14},
		"two see it dead, without a person": {with(outage(dead(12), 0), func(o *failover.Observation) {
			o.Policy.Spec.Mode = v1alpha1.FailoverAutomatic
			o.Sightings = []failover.Sighting{{Observer: "b", State: v1alpha1.SignalFailing}}
		}), failover.Order, "Watching", metav1.ConditionFalse, 0},
		"the run waits":                      {orderedAt(outage(dead(20), 1), 12, untouched), failover.Rest, "CoolingDown", metav1.ConditionFalse, 3612},
		"the run works":                      {orderedAt(outage(dead(20), 1), 12, working), failover.Rest, "CoolingDown", metav1.ConditionFalse, 3612},
		"it failed; not again at once":       {orderedAt(outage(dead(3611), 1), 12, failed), failover.Rest, "CoolingDown", metav1.ConditionFalse, 3612},
		"it failed; again":                   {orderedAt(outage(dead(3612), 1), 12, failed), failover.Order, "Watching", metav1.ConditionFalse, 0},
		"attempts are used up":               {orderedAt(outage(dead(9999), 2), 12, failed), failover.Rest, "AttemptsUsedUp", metav1.ConditionFalse, 0},
		"it succeeded, and yet":              {orderedAt(outage(dead(9999), 1), 12, succeeded), failover.Rest, "Watching", metav1.ConditionFalse, 0},
		"alive again, not for long":          {orderedAt(outage(alive(59, 30), 1), 12, untouched), failover.Rest, "CoolingDown", metav1.ConditionFalse, 60},
		"alive again: withdraw":              {orderedAt(outage(alive(60, 30), 1), 12, untouched), failover.Withdraw, "", metav1.ConditionFalse, 0},
		"withdrawn: over":                    {orderedAt(outage(alive(60, 30), 1), 12, failover.Run{Untouched: true, Cancelled: true}), failover.End, "", metav1.ConditionFalse, 0},
		"alive again, nothing ordered":       {outage(alive(60, 30), 0), failover.End, "", metav1.ConditionFalse, 0},
		"alive again, the run is at it":      {orderedAt(outage(alive(60, 30), 1), 12, working), failover.End, "", metav1.ConditionFalse, 0},
		"not dead, not alive: no order":      {with(outage(dead(60), 0), func(o *failover.Observation) { o.Samples = []failover.Sample{sample(v1alpha1.SignalSilent, 50)} }), failover.Rest, "Watching", metav1.ConditionFalse, 0},
		"a barrier that went a moment ago":   {with(outage(dead(100), 0), func(o *failover.Observation) { o.From = at(95) }), failover.Rest, "Watching", metav1.ConditionFalse, 107},
		"a breaker that closed a moment ago": {with(outage(dead(100), 0), func(o *failover.Observation) { o.Breaker.Thawed = at(95) }), failover.Rest, "Watching", metav1.ConditionFalse, 107},
		"a barrier that ends by itself": {with(dead(100), func(o *failover.Observation) {
			o.Barrier = failover.Barrier{Reason: "Held", Message: "m", Until: at(200)}
		}), failover.Rest, "Held", metav1.ConditionUnknown, 200},
		"somebody cancelled the run":      {orderedAt(outage(dead(9999), 1), 12, failover.Run{Name: "r", Finished: true, Cancelled: true}), failover.Rest, "CalledOff", metav1.ConditionFalse, 0},
		"somebody deleted the run":        {orderedAt(outage(dead(9999), 1), 12, failover.Run{Name: "r", Finished: true, Gone: true}), failover.Rest, "CalledOff", metav1.ConditionFalse, 0},
		"suspended with an open proposal": {with(orderedAt(outage(dead(20), 1), 12, untouched), func(o *failover.Observation) { o.Policy.Spec.Suspend = true }), failover.Withdraw, "", metav1.ConditionUnknown, 0},
		"a problem with an open proposal": {with(orderedAt(outage(dead(20), 1), 12, untouched), func(o *failover.Observation) { o.Problem, o.ProblemReason = "none", "PlanNotFound" }), failover.Withdraw, "", metav1.ConditionUnknown, 0},
		"another cluster took its place":  {with(outage(dead(60), 1), func(o *failover.Observation) { o.Cluster = "other" }), failover.End, "", metav1.ConditionFalse, 0},
		"the cluster went":                {with(outage(dead(60), 1), func(o *failover.Observation) { o.Cluster = "" }), failover.End, "", metav1.ConditionUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := failover.Decide(c.o)
			if d.Action != c.want || d.Armed.Reason != c.armed || d.Healthy.Status != c.health {
				t.Errorf("%s, armed %s, healthy %s; want %s, %s, %s", d.Action, d.Armed.Reason, d.Healthy.Status, c.want, c.armed, c.health)
			}
			if c.again == 0 != d.Again.IsZero() && d.Action == failover.Rest || c.again != 0 && !d.Again.Equal(at(c.again)) {
				t.Errorf("again at %s, want second %d", d.Again, c.again)
			}
			if d.Action != failover.Rest && d.Message == "" {
				t.Error("it does not say why")
			}
			if d.Healthy.Reason == "" || d.Armed.Type != "" && d.Armed.Reason == "" {
				t.Errorf("conditions without reason: %+v %+v", d.Healthy, d.Armed)
			}
		})
	}
}

func TestRunNames(t *testing.T) {
	names := map[string]bool{}
	for _, plan := range []string{"a", strings.Repeat("long-", 60)} {
		for _, policy := range []string{"p", "q"} {
			for attempt := range int32(3) {
				name := failover.RunName("uid-"+"x", "c", plan+policy, t0, attempt)
				if names[name] || len(name) > 253 {
					t.Errorf("%q comes twice or is too long", name)
				}
				names[name] = true
			}
		}
	}
	if name := failover.RunName("p", "c", "a", t0, 1); !strings.HasPrefix(name, "a-outage-20261129t030000-") {
		t.Errorf("the name is %s", name)
	}
}

func TestReports(t *testing.T) {
	key, body := []byte("0123456789abcdef"), []byte(`{"healthy": false, "reason": "canary"}`)
	good := failover.Sign(key, "id", "a", body, t0)
	if at, err := failover.CheckSignature(key, "id", "a", good, body, t0.Add(time.Minute)); err != nil || !at.Equal(t0) {
		t.Fatalf("%s, %v", at, err)
	}
	for name, try := range map[string]func() error{
		"another body": func() error { _, err := failover.CheckSignature(key, "id", "a", good, []byte("{}"), t0); return err },
		"another id":   func() error { _, err := failover.CheckSignature(key, "other", "a", good, body, t0); return err },
		"no id": func() error {
			_, err := failover.CheckSignature(key, "", "a", failover.Sign(key, "", "a", body, t0), body, t0)
			return err
		},
		"another key": func() error {
			_, err := failover.CheckSignature([]byte("fedcba9876543210"), "id", "a", good, body, t0)
			return err
		},
		"a short key": func() error {
			_, err := failover.CheckSignature(key[:4], "id", "a", failover.Sign(key[:4], "id", "a", body, t0), body, t0)
			return err
		},
		"no key": func() error {
			_, err := failover.CheckSignature(nil, "id", "a", failover.Sign(nil, "id", "a", body, t0), body, t0)
			return err
		},
		"an old one": func() error {
			_, err := failover.CheckSignature(key, "id", "a", good, body, t0.Add(6*time.Minute))
			return err
		},
		"about another": func() error { _, err := failover.CheckSignature(key, "id", "b", good, body, t0); return err },
		"of the future": func() error {
			_, err := failover.CheckSignature(key, "id", "a", good, body, t0.Add(-6*time.Minute))
			return err
		},
		"another time": func() error {
			_, err := failover.CheckSignature(key, "id", "a", strings.Replace(good, "t=1", "t=2", 1), body, t0)
			return err
		},
		"nonsense": func() error { _, err := failover.CheckSignature(key, "id", "a", "v1", body, t0); return err },
	} {
		if try() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, bad := range []string{"", "{}", `{"healthy":"no"}`, `{"healty":true}`, `{"healthy":true} {"healthy":false}`, "[]"} {
		if r, err := failover.ReadReport([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, r)
		}
	}
}
