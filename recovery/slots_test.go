package recovery

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func under(budgets ...Budget) change {
	return func(o *Observation) { o.Budgets = append(o.Budgets, budgets...) }
}

func named(name string, wait time.Duration, b Budget) Budget {
	b.Budget = budgetOf(v1alpha1.TeardownBudgetSpec{WaitFor: &metav1.Duration{Duration: wait}})
	b.Budget.Name = name
	return b
}

// awaiting a slot since t0.
func awaiting(wait time.Duration) change {
	return func(o *Observation) { RecordAwaitSlot(o.Run, t0.Add(wait), t0) }
}

// TestTurn comes one minute after the phase began.
func TestSlots(t *testing.T) {
	free, full := named("free", time.Hour, Budget{}), named("full", time.Hour, Budget{Full: "2 were", FreeAt: t0.Add(30 * time.Minute)})
	mine, broken := named("mine", time.Hour, Budget{Mine: true}), named("broken", time.Hour, Budget{Fault: Faultf("BudgetInvalid", "broken")})
	at := func(d time.Duration) change { return func(o *Observation) { o.Now = t0.Add(d) } }
	for name, test := range map[string]struct {
		o    Observation
		want Action
		says string
	}{
		"no budget":              {in(teardown, v1alpha1.PhaseTeardown), RecordDelete, ""},
		"a slot is free":         {in(teardown, v1alpha1.PhaseTeardown, under(free)), TakeSlot, ""},
		"rebuild":                {in(rebuild, v1alpha1.PhaseTeardown, under(free)), TakeSlot, ""},
		"has one":                {in(teardown, v1alpha1.PhaseTeardown, under(mine)), RecordDelete, ""},
		"before the drain":       {in(teardown, v1alpha1.PhaseTeardown, under(free), pinnedSystem), TakeSlot, ""},
		"two, one is taken":      {in(teardown, v1alpha1.PhaseTeardown, under(mine, free)), TakeSlot, ""},
		"none free":              {in(teardown, v1alpha1.PhaseTeardown, under(full)), AwaitSlot, ""},
		"none of one":            {in(teardown, v1alpha1.PhaseTeardown, under(free, full)), AwaitSlot, ""},
		"waits":                  {in(teardown, v1alpha1.PhaseTeardown, under(full), awaiting(time.Hour)), Wait, "a slot of TeardownBudget full: 2 were; the next comes free at 2026-11-23T09:30:00Z"},
		"waits beyond its limit": {in(teardown, v1alpha1.PhaseTeardown, under(full), awaiting(time.Hour), at(59*time.Minute)), Wait, "a slot of"},
		"has waited":             {in(teardown, v1alpha1.PhaseTeardown, under(full), awaiting(time.Hour), at(time.Hour)), Fail, "there was no slot of TeardownBudget full for the run within 1h0m0s: 2 were; the next comes free at 2026-11-23T09:30:00Z; Cluster dev was left alone"},
		"patience was changed":   {in(teardown, v1alpha1.PhaseTeardown, under(full), awaiting(2*time.Hour)), AwaitSlot, ""},
		"no patience":            {in(teardown, v1alpha1.PhaseTeardown, under(named("n", 0, full))), Fail, "within 0s"},
		"the least patient":      {in(teardown, v1alpha1.PhaseTeardown, under(full, named("n", 0, full))), Fail, "TeardownBudget n "},
		"it is its turn":         {in(teardown, v1alpha1.PhaseTeardown, under(free), awaiting(time.Hour)), TakeSlot, ""},
		"it has its turn":        {in(teardown, v1alpha1.PhaseTeardown, under(mine), awaiting(time.Hour)), EndWait, ""},
		"just in time":           {in(teardown, v1alpha1.PhaseTeardown, under(mine), awaiting(time.Hour), at(2*time.Hour)), EndWait, ""},
		"budgets were deleted":   {in(teardown, v1alpha1.PhaseTeardown, awaiting(time.Hour)), EndWait, ""},
		"malformed":              {in(teardown, v1alpha1.PhaseTeardown, under(free, broken)), Fail, "broken"},
		"held":                   {in(teardown, v1alpha1.PhaseTeardown, under(free), hold(t0.Add(time.Hour))), Fail, "a load test runs"},
		"not rendered":           {in(teardown, v1alpha1.PhaseTeardown, under(free), materials(Work{})), Prepare, ""},
		"deletion recorded":      {in(teardown, v1alpha1.PhaseTeardown, under(full), requested), Delete, ""},
		"somebody deletes it":    {in(teardown, v1alpha1.PhaseTeardown, under(full), cluster(func(c *Cluster) { c.DeletingSince = t0 })), RecordDelete, ""},
		"cleanup of a drill":     {in(drill, v1alpha1.PhaseCleanup, under(full)), RecordDelete, ""},
		"cancelled":              {in(teardown, v1alpha1.PhaseTeardown, under(full), awaiting(time.Hour), cancelled), Fail, "wrong cluster"},
		"suspended":              {in(teardown, v1alpha1.PhaseTeardown, under(full), awaiting(time.Hour), halted), Suspend, ""},
		"cannot be read":         {in(teardown, v1alpha1.PhaseTeardown, awaiting(time.Hour), materials(Work{}), at(2*time.Hour)), Fail, "Teardown did not end"},
	} {
		d := Decide(test.o)
		text := d.Waiting
		if d.Failure != nil {
			text = d.Failure.Message
		}
		if d.Action != test.want || !strings.Contains(text, test.says) {
			t.Errorf("%s: decided %+v (%s), want %s that says %q", name, d, text, test.want, test.says)
		}
	}
}

func pinnedSystem(o *Observation) { o.Run.Status.Previous.KubeSystemUID = "system" }

// TestSlotsAreTakenInOrder of names, so that two runs never wait for each other.
func TestSlotsAreTakenInOrder(t *testing.T) {
	o := in(teardown, v1alpha1.PhaseTeardown, under(named("b", time.Hour, Budget{}), named("a", time.Hour, Budget{})))
	if d := Decide(o); d.Action != TakeSlot || d.Budget.Name != "a" {
		t.Errorf("%+v", d)
	}
}

// TestWaitingForASlotDoesNotCount against the limit of the phase, in whatever way it ends.
func TestWaitingForASlotDoesNotCount(t *testing.T) {
	for name, end := range map[string]func(*v1alpha1.RecoveryRun, time.Time){
		"its turn":  RecordTurn,
		"suspended": RecordSuspend,
	} {
		o := in(teardown, v1alpha1.PhaseTeardown)
		before := Deadline(o.Run)
		RecordAwaitSlot(o.Run, t0.Add(time.Hour), t0)
		if got := Deadline(o.Run); !got.Equal(t0.Add(time.Hour)) {
			t.Errorf("%s: the limit of the wait is %s", name, got)
		}
		RecordAwaitSlot(o.Run, t0.Add(2*time.Hour), t0.Add(time.Minute)) // somebody changed the budget
		end(o.Run, t0.Add(40*time.Minute))
		o.Run.Status.SuspendedAt = nil
		if got := Deadline(o.Run).Sub(before); got != 40*time.Minute {
			t.Errorf("%s: the limit moved by %s", name, got)
		}
		if w := o.Run.Status.Budget; w.Since != nil || w.Until != nil || w.Waited.Duration != 40*time.Minute {
			t.Errorf("%s: %+v", name, w)
		}
		RecordTurn(o.Run, t0.Add(50*time.Minute)) // once more changes nothing
		// What was waited for before counts in the next wait.
		o.Now = t0.Add(50 * time.Minute)
		o.Budgets = []Budget{named("full", time.Hour, Budget{Full: "2 were"})}
		if d := Decide(o); d.Action != AwaitSlot || !d.Until.Equal(t0.Add(70*time.Minute)) {
			t.Errorf("%s: the next wait: %+v", name, d)
		}
	}
	o := in(teardown, v1alpha1.PhaseTeardown, awaiting(time.Hour), failedIn(v1alpha1.PhaseTeardown))
	if w := o.Run.Status.Budget; w.Since != nil {
		t.Errorf("a run that failed still waits: %+v", w)
	}
}

// TestOldPreviews are repeated before the cluster is touched, once.
func TestOldPreviews(t *testing.T) {
	old := func(o *Observation) {
		o.Now = t0.Add(previewHolds)
	}
	preview := func(w Work) change { return func(o *Observation) { o.Preview = w } }
	looked := func(o *Observation) { RecordLossAgain(o.Run, LossFound{}, t0.Add(time.Minute)) }
	unseen := func(o *Observation) { RecordLossAgain(o.Run, LossFound{Unseen: "silent"}, t0.Add(time.Minute)) }
	draining := func(o *Observation) {
		o.Run.Status.Previous.Drain = &v1alpha1.DrainRecord{StartedAt: *micro(t0), FinishedAt: micro(t0), Outcome: v1alpha1.DrainNothing}
	}
	for name, test := range map[string]struct {
		o    Observation
		want Action
	}{
		"fresh":                {in(teardown, v1alpha1.PhaseTeardown), RecordDelete},
		"old":                  {in(teardown, v1alpha1.PhaseTeardown, old), PreviewLoss},
		"old, rebuild":         {in(rebuild, v1alpha1.PhaseTeardown, old), PreviewLoss},
		"before the drain":     {in(teardown, v1alpha1.PhaseTeardown, old, pinnedSystem), PreviewLoss},
		"a clock set back":     {in(teardown, v1alpha1.PhaseTeardown, func(o *Observation) { o.Now = t0.Add(-time.Hour) }), PreviewLoss},
		"after the turn":       {in(teardown, v1alpha1.PhaseTeardown, old, under(named("free", time.Hour, Budget{}))), TakeSlot},
		"under way":            {in(teardown, v1alpha1.PhaseTeardown, old, preview(Work{State: WorkRunning})), Wait},
		"found nothing":        {in(teardown, v1alpha1.PhaseTeardown, old, preview(Work{State: WorkReady})), RecordPreview},
		"found something":      {in(teardown, v1alpha1.PhaseTeardown, old, preview(Work{State: WorkFailed, Fault: Faultf("WouldLose", "1 object")})), Fail},
		"looked again":         {in(teardown, v1alpha1.PhaseTeardown, old, looked), RecordDelete},
		"looked again in vain": {in(teardown, v1alpha1.PhaseTeardown, old, unseen), RecordDelete},
		"drained":              {in(teardown, v1alpha1.PhaseTeardown, old, draining), RecordDelete},
		"deletion recorded":    {in(teardown, v1alpha1.PhaseTeardown, old, requested), Delete},
		"drill":                {in(drill, v1alpha1.PhaseCleanup, old), RecordDelete},
		"somebody deletes it":  {in(teardown, v1alpha1.PhaseTeardown, old, cluster(func(c *Cluster) { c.DeletingSince = t0 })), RecordDelete},
		"preview of the record": {in(teardown, v1alpha1.PhaseTeardown, func(o *Observation) {
			at := metav1.NewTime(t0.Add(-previewHolds))
			o.Run.Status.Loss = &v1alpha1.LossSummary{At: &at}
		}), PreviewLoss},
	} {
		if d := Decide(test.o); d.Action != test.want {
			t.Errorf("%s: decided %+v, want %s", name, d, test.want)
		}
	}
}

// TestIdentityIsKeptFirst as the last step before the cluster is touched.
func TestIdentityIsKeptFirst(t *testing.T) {
	keep := func(o *Observation) { o.Run.Status.Pinned.Plan.Cluster.Identity = v1alpha1.IdentityKeep }
	kept := func(o *Observation) {
		RecordIdentity(o.Run, v1alpha1.KeptIdentity{SecretName: "run-identity", Parts: []string{"sa", "ca"}}, t0)
	}
	for name, test := range map[string]struct {
		o    Observation
		want Action
	}{
		"rotated":           {in(rebuild, v1alpha1.PhaseTeardown), RecordDelete},
		"to be kept":        {in(rebuild, v1alpha1.PhaseTeardown, keep), KeepIdentity},
		"before the drain":  {in(rebuild, v1alpha1.PhaseTeardown, keep, pinnedSystem), KeepIdentity},
		"after the turn":    {in(rebuild, v1alpha1.PhaseTeardown, keep, under(named("free", time.Hour, Budget{}))), TakeSlot},
		"kept":              {in(rebuild, v1alpha1.PhaseTeardown, keep, kept), RecordDelete},
		"a teardown":        {in(teardown, v1alpha1.PhaseTeardown, keep), RecordDelete},
		"a drill":           {in(drill, v1alpha1.PhaseCleanup, keep), RecordDelete},
		"deletion recorded": {in(rebuild, v1alpha1.PhaseTeardown, keep, requested), Delete},
	} {
		if d := Decide(test.o); d.Action != test.want {
			t.Errorf("%s: decided %+v, want %s", name, d, test.want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	for _, text := range []string{"", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if got := Fingerprint([]byte(text)); got != "" {
			t.Errorf("%q: %s", text, got)
		}
	}
}
