package recovery

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/drain"
)

// known makes the incarnation to be deleted one that answered under its identity.
func known(o *Observation) { Doomed(o.Run).KubeSystemUID = "system" }

// drained gives it a record of a drain.
func drained(change func(*v1alpha1.DrainRecord)) func(*Observation) {
	return func(o *Observation) {
		known(o)
		d := &v1alpha1.DrainRecord{StartedAt: *micro(t0)}
		change(d)
		Doomed(o.Run).Drain = d
	}
}

func ended(outcome v1alpha1.DrainOutcome) func(*Observation) {
	return drained(func(d *v1alpha1.DrainRecord) { d.FinishedAt, d.Outcome = micro(t0), outcome })
}

func TestDrainFirst(t *testing.T) {
	begun := drained(func(*v1alpha1.DrainRecord) {})
	ready, running := work(Work{State: WorkReady}), work(Work{State: WorkRunning, Waiting: "Service shop/web to be released"})
	skip := func(o *Observation) { o.Run.Status.Pinned.Plan.Teardown.Drain.Policy = v1alpha1.DrainSkip }
	deleting := cluster(func(c *Cluster) { c.DeletingSince = t0 })
	held := hold(t0.Add(time.Hour))
	undrained := func(o *Observation) { o.Run.Status.Target.Drain = nil }
	for name, test := range map[string]struct {
		o    Observation
		want Action
	}{
		"asked first":               {in(teardown, v1alpha1.PhaseTeardown, known), SurveyDrain},
		"before a rebuild":          {in(rebuild, v1alpha1.PhaseTeardown, known), SurveyDrain},
		"after a drill":             {in(drill, v1alpha1.PhaseCleanup, undrained), SurveyDrain},
		"it never answered":         {in(teardown, v1alpha1.PhaseTeardown), RecordDelete},
		"not wanted":                {in(teardown, v1alpha1.PhaseTeardown, known, skip), RecordDelete},
		"deleted by somebody else":  {in(teardown, v1alpha1.PhaseTeardown, known, deleting), RecordDelete},
		"held":                      {in(teardown, v1alpha1.PhaseTeardown, known, held), Fail},
		"held meanwhile":            {in(teardown, v1alpha1.PhaseTeardown, begun, held), Fail},
		"another process":           {in(teardown, v1alpha1.PhaseTeardown, known, materials(Work{})), Prepare},
		"asked":                     {in(teardown, v1alpha1.PhaseTeardown, known, ready), RecordSurveyed},
		"begun":                     {in(teardown, v1alpha1.PhaseTeardown, begun), DrainCluster},
		"under way":                 {in(teardown, v1alpha1.PhaseTeardown, begun, running), Wait},
		"over":                      {in(teardown, v1alpha1.PhaseTeardown, begun, ready), RecordDrained},
		"nothing to do":             {in(teardown, v1alpha1.PhaseTeardown, ended(v1alpha1.DrainNothing)), RecordDelete},
		"drained":                   {in(teardown, v1alpha1.PhaseTeardown, ended(v1alpha1.DrainComplete)), RecordDelete},
		"out of time":               {in(teardown, v1alpha1.PhaseTeardown, ended(v1alpha1.DrainTimedOut)), RecordDelete},
		"deletion recorded already": {in(teardown, v1alpha1.PhaseTeardown, begun, requested), Delete},
		"late":                      {in(teardown, v1alpha1.PhaseTeardown, begun, running, func(o *Observation) { o.Now = t0.Add(time.Hour) }), Fail},
		"a drill is never late":     {in(drill, v1alpha1.PhaseCleanup, undrained, func(o *Observation) { o.Now = t0.Add(time.Hour) }), SurveyDrain},
	} {
		if d := Decide(test.o); d.Action != test.want {
			t.Errorf("%s: decided %+v, want %s", name, d, test.want)
		}
	}
}

// TestInterruptedDrain ends runs between the drain and the deletion: what makes objects
// from Git has to work again in a cluster that lives on.
func TestInterruptedDrain(t *testing.T) {
	failing := func(o *Observation) {
		RecordFailure(o.Run, v1alpha1.Failure{Phase: v1alpha1.PhaseTeardown, Reason: "Held"}, t0)
	}
	for name, test := range map[string]struct {
		changes []change
		want    Action
	}{
		"in the middle":       {[]change{drained(func(*v1alpha1.DrainRecord) {}), failing}, ResumeDrained},
		"after it":            {[]change{ended(v1alpha1.DrainComplete), failing}, ResumeDrained},
		"after its time":      {[]change{ended(v1alpha1.DrainTimedOut), failing}, ResumeDrained},
		"nothing was touched": {[]change{ended(v1alpha1.DrainNothing), failing}, StoreReport},
		"not drained":         {[]change{known, failing}, StoreReport},
		"being deleted":       {[]change{ended(v1alpha1.DrainComplete), requested, failing}, StoreReport},
		"done":                {[]change{ended(v1alpha1.DrainComplete), failing, func(o *Observation) { RecordResumed(o.Run, nil, t0) }}, StoreReport},
		"in vain":             {[]change{ended(v1alpha1.DrainComplete), failing, func(o *Observation) { RecordResumed(o.Run, errors.New("dead"), t0) }}, StoreReport},
	} {
		if d := Decide(in(teardown, v1alpha1.PhaseTeardown, test.changes...)); d.Action != test.want {
			t.Errorf("%s: decided %+v, want %s", name, d, test.want)
		}
	}
}

func TestRecordDrain(t *testing.T) {
	o := in(teardown, v1alpha1.PhaseTeardown, known)
	entries := []drain.Entry{{Kind: drain.LoadBalancer, ID: "192.0.2.1", Object: "Service shop/web"}, {Kind: drain.Volume, ID: "csi vol-1", Object: "PersistentVolume v", Kept: true}}
	RecordSurvey(o.Run, Surveyed{Survey: drain.Survey{Needed: true, Newest: t0, Ledger: entries}}, t0)
	record := o.Run.Status.Previous.Drain
	if record.Found != 2 || record.FinishedAt != nil || !record.Newest.Equal(&metav1.Time{Time: t0}) {
		t.Errorf("surveyed: %+v", record)
	}
	RecordDrain(o.Run, drain.Outcome{Complete: true, Left: entries[1:]}, t0)
	if record.Outcome != v1alpha1.DrainComplete || record.LeftCount != 1 || record.Left[0].ID != "csi vol-1" || !strings.HasPrefix(record.Message, "1 of 2 ") {
		t.Errorf("drained: %+v", record)
	}
	o.Cluster = Cluster{}
	if d := takeDown(o, o.Run.Status.Previous); d.Action != Advance || !strings.Contains(d.Message, "1 may outlive the cluster: Volume csi vol-1") {
		t.Errorf("%+v", d)
	}

	RecordSurvey(o.Run, Surveyed{Survey: drain.Survey{Needed: true, Ledger: entries}}, t0)
	record = o.Run.Status.Previous.Drain
	RecordDrain(o.Run, drain.Outcome{Unseen: true, Waiting: "the cluster to answer"}, t0)
	if record.Outcome != v1alpha1.DrainTimedOut || record.LeftCount != 2 || !strings.HasPrefix(record.Message, "0 of 2 ") {
		t.Errorf("never seen again: %+v", record)
	}

	many := make([]drain.Entry, 100)
	RecordDrain(o.Run, drain.Outcome{Waiting: "Service shop/web to be released", Left: many, Refused: []string{"Service shop/web: Forbidden"}}, t0)
	if record.Outcome != v1alpha1.DrainTimedOut || record.LeftCount != 100 || len(record.Left) != maxLeft ||
		!strings.Contains(record.Message, "Service shop/web to be released") || !strings.Contains(record.Message, "Forbidden") {
		t.Errorf("out of time: %+v", record)
	}
}
