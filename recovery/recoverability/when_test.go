package recoverability

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func every(d time.Duration) func(*v1alpha1.RecoveryPlan) {
	return func(p *v1alpha1.RecoveryPlan) { p.Spec.Evaluate.Every = &metav1.Duration{Duration: d} }
}

func planAt(change ...func(*v1alpha1.RecoveryPlan)) *v1alpha1.RecoveryPlan {
	plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Generation: 1, UID: "u", CreationTimestamp: metav1.NewTime(t0)}}
	for _, c := range change {
		c(plan)
	}
	return plan
}

func evaluated(at time.Time) func(*v1alpha1.RecoveryPlan) {
	return func(p *v1alpha1.RecoveryPlan) { Record(p, Judge(well()), p.Generation, Asked(p), at) }
}

func asking(what string) func(*v1alpha1.RecoveryPlan) {
	return func(p *v1alpha1.RecoveryPlan) {
		p.Annotations = map[string]string{v1alpha1.AnnotationEvaluate: what}
	}
}

// TestDue is the timetable.
func TestDue(t *testing.T) {
	edited := func(p *v1alpha1.RecoveryPlan) { p.Generation++ }
	ran := func(at time.Time) func(*v1alpha1.RecoveryPlan) {
		return func(p *v1alpha1.RecoveryPlan) {
			p.Status.LastRun = &v1alpha1.LastRun{FinishedAt: metav1.NewTime(at)}
		}
	}
	const soon = -1 // between 27 and 30 minutes
	for name, test := range map[string]struct {
		plan  *v1alpha1.RecoveryPlan
		now   time.Duration
		after time.Duration // from now
		never bool
	}{
		"new":                           {plan: planAt(), after: settle},
		"new, a while ago":              {plan: planAt(), now: time.Minute},
		"evaluated":                     {plan: planAt(evaluated(t0)), after: soon},
		"evaluated long ago":            {plan: planAt(evaluated(t0)), now: time.Hour},
		"changed":                       {plan: planAt(evaluated(t0), edited)},
		"a run ended since":             {plan: planAt(evaluated(t0), ran(t0.Add(time.Second))), now: time.Minute},
		"a run that ends tomorrow":      {plan: planAt(evaluated(t0), ran(t0.Add(24*time.Hour))), after: soon},
		"a run ended before":            {plan: planAt(evaluated(t0), ran(t0)), after: soon},
		"asked":                         {plan: planAt(evaluated(t0), asking("a"))},
		"asked before it was new":       {plan: planAt(asking("a"))},
		"answered":                      {plan: planAt(asking("a"), evaluated(t0)), after: soon},
		"asked again":                   {plan: planAt(asking("a"), evaluated(t0), asking("b"))},
		"suspended":                     {plan: planAt(every(0)), now: time.Hour, never: true},
		"suspended after an evaluation": {plan: planAt(evaluated(t0), every(0), edited), now: time.Hour, never: true},
		"suspended, a run ended":        {plan: planAt(every(0), evaluated(t0), ran(t0.Add(time.Second))), now: time.Hour, never: true},
		"suspended and asked":           {plan: planAt(every(0), asking("a")), now: time.Hour},
		"suspended and answered":        {plan: planAt(every(0), asking("a"), evaluated(t0)), now: time.Hour, never: true},
		"resumed":                       {plan: planAt(every(0), asking("a"), evaluated(t0), every(time.Hour)), now: time.Minute},
		"the clock was set back":        {plan: planAt(evaluated(t0)), now: -2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			now := t0.Add(test.now)
			at, due := Due(test.plan, now)
			wait := at.Sub(now)
			if test.after == soon && due && wait >= 27*time.Minute && wait <= 30*time.Minute {
				return
			}
			if due == test.never || due && wait != test.after {
				t.Errorf("due %t in %s", due, wait)
			}
		})
	}
}

// TestPlansDriftApart although they were evaluated at the same moment.
func TestPlansDriftApart(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range 50 {
		p := planAt(every(10 * time.Minute))
		p.UID = types.UID(fmt.Sprint("plan", i))
		after := Next(p, metav1.ConditionTrue, t0).Sub(t0)
		if after < 9*time.Minute || after > 10*time.Minute {
			t.Errorf("next after %s", after)
		}
		seen[after] = true
	}
	if len(seen) < 30 {
		t.Errorf("50 plans have %d times", len(seen))
	}
}

// TestUnsureIsTriedSooner, but not more often than the plan says.
func TestUnsureIsTriedSooner(t *testing.T) {
	for often, most := range map[time.Duration]time.Duration{time.Hour: 5 * time.Minute, 2 * time.Minute: 2 * time.Minute} {
		if after := Next(planAt(every(often)), metav1.ConditionUnknown, t0).Sub(t0); after > most || after < most-most/10 {
			t.Errorf("every %s: again after %s", often, after)
		}
	}
	if next := Next(planAt(every(0)), metav1.ConditionUnknown, t0); !next.IsZero() {
		t.Errorf("suspended: %s", next)
	}
}

// TestStanding forgets what was known of another generation, or long ago.
func TestStanding(t *testing.T) {
	unsure := well()
	unsure.Faults = []Fault{{Check: CheckVersion, Message: "timeout", Unsure: true}}
	for name, test := range map[string]struct {
		plan   *v1alpha1.RecoveryPlan
		now    time.Duration
		status metav1.ConditionStatus
		why    string
	}{
		"new":        {plan: planAt(), status: "Unknown", why: "not evaluated yet"},
		"known":      {plan: planAt(evaluated(t0)), status: "True"},
		"late":       {plan: planAt(evaluated(t0)), now: 150 * time.Minute, status: "True"},
		"too late":   {plan: planAt(evaluated(t0)), now: 4 * time.Hour, status: "Unknown", why: "overdue"},
		"when asked": {plan: planAt(every(0), evaluated(t0)), now: 1000 * time.Hour, status: "True"},
		"changed":    {plan: planAt(evaluated(t0), func(p *v1alpha1.RecoveryPlan) { p.Generation++ }), status: "Unknown", why: "changed"},
		"unsure":     {plan: planAt(func(p *v1alpha1.RecoveryPlan) { Record(p, Judge(unsure), 1, "", t0) }), status: "Unknown", why: "timeout"},
	} {
		if status, why := Standing(test.plan, t0.Add(test.now)); status != test.status || !strings.Contains(why, test.why) || (why == "") != (test.why == "") {
			t.Errorf("%s: %s, %q", name, status, why)
		}
	}
}
