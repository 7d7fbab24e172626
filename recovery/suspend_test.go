package recovery

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func cancelled(o *Observation) { o.Run.Spec.Cancel = &v1alpha1.Cancellation{Reason: "wrong cluster"} }
func halted(o *Observation)    { o.Run.Spec.Suspend = true }
func standing(o *Observation)  { RecordSuspend(o.Run, t0) }

func TestCancelled(t *testing.T) {
	for name, test := range map[string]struct {
		o    Observation
		want Action
		says string
	}{
		"queued":              {in(rebuild, "", unstarted, cancelled), Fail, "wrong cluster"},
		"behind another run":  {in(rebuild, "", unstarted, cancelled, lock(LockTaken)), Fail, "wrong cluster"},
		"in preflight":        {in(rebuild, v1alpha1.PhasePreflight, cancelled), Fail, "wrong cluster"},
		"before the deletion": {in(teardown, v1alpha1.PhaseTeardown, cancelled), Fail, "was cancelled: wrong cluster"},
		"after it was sent":   {in(teardown, v1alpha1.PhaseTeardown, requested, cancelled), Fail, "the deletion of Cluster dev had been sent and goes on"},
		"in the waves":        {in(rebuild, v1alpha1.PhaseWaves, cancelled), Fail, "wrong cluster"},
		"suspended":           {in(rebuild, v1alpha1.PhaseWaves, halted, standing, cancelled), Fail, "wrong cluster"},
		"a drill":             {in(drill, v1alpha1.PhaseWaves, cancelled), Fail, "wrong cluster"},
		"a drill, after":      {in(drill, v1alpha1.PhaseWaves, cancelled, failedIn(v1alpha1.PhaseWaves)), CleanUp, ""},
		"a drill cleans up":   {in(drill, v1alpha1.PhaseCleanup, cancelled), RecordDelete, ""},
		"verified":            {in(rebuild, v1alpha1.PhaseVerify, recovered, cancelled, func(o *Observation) { o.Now = t0 }), MarkApplied, ""},
		"finished":            {in(rebuild, "", finished, cancelled, finalReport), InformPlan, ""},
	} {
		d := Decide(test.o)
		if d.Action != test.want {
			t.Errorf("%s: decided %+v, want %s", name, d, test.want)
		}
		if d.Action == Fail && (d.Failure.Reason != "Cancelled" || !strings.Contains(d.Failure.Message, test.says)) {
			t.Errorf("%s: failure %+v", name, d.Failure)
		}
	}
}

// TestOrdersGrowOld has a run wait for its turn for a day, and its plan change meanwhile.
func TestOrdersGrowOld(t *testing.T) {
	ordered := func(ago time.Duration) change {
		return func(o *Observation) { o.Run.CreationTimestamp = metav1.NewTime(o.Now.Add(-ago)) }
	}
	meant := func(cluster string) change { return func(o *Observation) { o.Run.Spec.Cluster = cluster } }
	for name, test := range map[string]struct {
		o    Observation
		want string
	}{
		"in time":            {in(teardown, "", unstarted, ordered(23*time.Hour), lock(LockTaken)), ""},
		"too old":            {in(teardown, "", unstarted, ordered(24*time.Hour), lock(LockTaken)), "NotStarted"},
		"too old, lock free": {in(teardown, "", unstarted, ordered(48*time.Hour), lock(LockFree)), "NotStarted"},
		"has the lock":       {in(teardown, "", unstarted, ordered(48*time.Hour), lock(LockMine)), ""},
		"as confirmed":       {in(teardown, "", unstarted, ordered(time.Hour), meant("dev")), ""},
		"another cluster":    {in(teardown, "", unstarted, ordered(time.Hour), meant("dev-eu")), "PlanChanged"},
	} {
		got := ""
		if d := Decide(test.o); d.Failure != nil {
			got = d.Failure.Reason
		}
		if got != test.want {
			t.Errorf("%s: failure %q, want %q", name, got, test.want)
		}
	}
}

func TestSuspended(t *testing.T) {
	for name, test := range map[string]struct {
		o    Observation
		want Action
	}{
		"queued":                   {in(rebuild, "", unstarted, halted, lock(LockFree)), Wait},
		"about to be":              {in(rebuild, v1alpha1.PhaseWaves, halted), Suspend},
		"before the deletion":      {in(teardown, v1alpha1.PhaseTeardown, halted), Suspend},
		"stands":                   {in(rebuild, v1alpha1.PhaseWaves, halted, standing), Wait},
		"stands beyond all limits": {in(rebuild, v1alpha1.PhaseWaves, halted, standing, func(o *Observation) { o.Now = t0.Add(1000 * time.Hour) }), Wait},
		"to go on":                 {in(rebuild, v1alpha1.PhaseWaves, standing), Resume},
		"failed":                   {in(rebuild, v1alpha1.PhaseWaves, halted, failedIn(v1alpha1.PhaseWaves), finalReport), Finish},
		"failed while it stood":    {in(rebuild, v1alpha1.PhaseWaves, halted, standing, failedIn(v1alpha1.PhaseWaves)), Resume},
		"cleanup of a drill":       {in(drill, v1alpha1.PhaseCleanup, halted), Suspend},
		"another process has it":   {in(rebuild, v1alpha1.PhaseWaves, halted, func(o *Observation) { o.Claimed = 0 }), Claim},
	} {
		if d := Decide(test.o); d.Action != test.want {
			t.Errorf("%s: decided %+v, want %s", name, d, test.want)
		}
	}
}

// TestTimeThatStoodStillDoesNotCount has limits move by it.
func TestTimeThatStoodStillDoesNotCount(t *testing.T) {
	o := in(rebuild, v1alpha1.PhaseBootstrap)
	before := Deadline(o.Run)
	for range 2 {
		RecordSuspend(o.Run, t0.Add(time.Minute))
		RecordResume(o.Run, t0.Add(time.Hour+time.Minute))
	}
	if got := Deadline(o.Run).Sub(before); got != 2*time.Hour {
		t.Errorf("the limit moved by %s", got)
	}
	if o.Run.Status.SuspendedAt != nil {
		t.Error("it still stands")
	}
	// A clock that was set back takes nothing away.
	RecordSuspend(o.Run, t0.Add(time.Hour))
	RecordResume(o.Run, t0.Add(-10*time.Hour))
	if got := Deadline(o.Run); got.Before(before) {
		t.Errorf("the limit went back to %s", got)
	}
}
