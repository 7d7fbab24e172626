package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Past is a run of the plan in short.
type Past struct {
	Run       string             `json:"run"`
	Operation v1alpha1.Operation `json:"operation"`
	Result    v1alpha1.Result    `json:"result"`
	// Ending of a run that failed and says nothing about the plan: its objective is not missed.
	Ending     Ending    `json:"ending,omitempty"`
	Simulated  bool      `json:"simulated,omitempty"`
	FinishedAt time.Time `json:"finishedAt"`
	// RecoveryTimeSeconds and what it was made of; absent when the cluster was not recovered.
	RecoveryTimeSeconds *float64    `json:"recoveryTimeSeconds,omitempty"`
	Phases              []PhaseTime `json:"phases,omitempty"`
	ObjectiveSeconds    float64     `json:"objectiveSeconds,omitempty"`
	ObjectiveMet        bool        `json:"objectiveMet,omitempty"`
}

// How the run ended, in one word for people.
func (p *Past) How() string { return cmp.Or(string(p.Ending), string(p.Result)) }

// PhaseTime is how long a phase took of a recovery time.
type PhaseTime struct {
	Name    v1alpha1.Phase `json:"name"`
	Seconds float64        `json:"seconds"`
}

// MaxHistory is how many earlier runs a report compares itself with.
const MaxHistory = 20

// PastOf a finished run; false when it has no result yet or never began.
func PastOf(run *v1alpha1.RecoveryRun) (Past, bool) {
	if run.Status.FinishedAt == nil || run.Status.StartedAt == nil {
		return Past{}, false
	}
	slim := Build(run, nil)
	return slim.Past(), true
}

// Past is the report in short.
func (r *Report) Past() Past {
	p := Past{Run: r.Run, Operation: r.Operation, Result: r.Result, Simulated: r.Simulated, RecoveryTimeSeconds: r.RecoveryTimeSeconds}
	if r.FinishedAt != nil {
		p.FinishedAt = *r.FinishedAt
	}
	if f := r.Failure; f != nil && r.Result == v1alpha1.ResultFailed {
		p.Ending = EndingOf(f.Phase, f.Reason)
	}
	if r.Objective != nil && p.Ending == "" {
		p.ObjectiveSeconds, p.ObjectiveMet = r.Objective.RecoveryTimeSeconds, r.Objective.Met
	}
	if r.RecoveryTimeSeconds == nil || r.StartedAt == nil {
		return p
	}
	from := *r.StartedAt
	if r.Retried != nil {
		from = r.Retried.StartedAt
		p.Phases = append(p.Phases, PhaseTime{Name: v1alpha1.Phase(PartEarlier), Seconds: max(r.StartedAt.Sub(from).Seconds(), 0)})
	}
	recovered := from.Add(time.Duration(*r.RecoveryTimeSeconds * float64(time.Second)))
	for _, phase := range r.Phases {
		end := recovered
		if phase.FinishedAt != nil && phase.FinishedAt.Before(recovered) {
			end = *phase.FinishedAt
		}
		if d := end.Sub(phase.StartedAt); d > 0 {
			p.Phases = append(p.Phases, PhaseTime{Name: phase.Name, Seconds: d.Seconds()})
		}
	}
	return p
}

// HistoryOf a plan: its latest runs that finished before a time, the oldest first.
func HistoryOf(runs []v1alpha1.RecoveryRun, plan string, before time.Time, most int) []Past {
	var all []*v1alpha1.RecoveryRun
	for i := range runs {
		s := &runs[i].Status
		if runs[i].Spec.PlanRef.Name == plan && s.StartedAt != nil && s.FinishedAt != nil && s.FinishedAt.Time.Before(before) {
			all = append(all, &runs[i])
		}
	}
	slices.SortFunc(all, func(a, b *v1alpha1.RecoveryRun) int {
		return cmp.Or(a.Status.FinishedAt.Compare(b.Status.FinishedAt.Time), cmp.Compare(a.Name, b.Name))
	})
	var history []Past
	for _, run := range all[max(0, len(all)-most):] {
		if p, ok := PastOf(run); ok {
			history = append(history, p)
		}
	}
	return history
}

// Trend of a plan's recovery times.
type Trend struct {
	Namespace string `json:"namespace,omitempty"`
	Plan      string `json:"plan"`
	// Runs, the oldest first.
	Runs []Past `json:"runs"`
	// Measured recovery times of rebuilds and drills that succeeded, half and nine tenths of
	// which were not above.
	Measured   int      `json:"measured"`
	P50Seconds *float64 `json:"p50Seconds,omitempty"`
	P90Seconds *float64 `json:"p90Seconds,omitempty"`
	// Change of the last measured one.
	Change *Shift `json:"change,omitempty"`
}

// Shift against the run before that is comparable: of the same operation, both simulated or
// neither.
type Shift struct {
	Run     string  `json:"run"`
	Against string  `json:"against"`
	Seconds float64 `json:"seconds"`
	Percent float64 `json:"percent"`
	// Phase that grew most, or shrank most when the whole became shorter, and by how much.
	Phase        v1alpha1.Phase `json:"phase,omitempty"`
	PhaseSeconds float64        `json:"phaseSeconds,omitempty"`
}

// TrendOf runs, the oldest first.
func TrendOf(namespace, plan string, runs []Past) *Trend {
	t := &Trend{Namespace: namespace, Plan: plan, Runs: runs}
	if runs == nil {
		t.Runs = []Past{}
	}
	var times []float64
	for _, p := range runs {
		if p.measured() {
			times = append(times, *p.RecoveryTimeSeconds)
		}
	}
	t.Measured = len(times)
	if len(times) > 0 {
		slices.Sort(times)
		t.P50Seconds, t.P90Seconds = nearest(times, 50), nearest(times, 90)
	}
	for i := len(runs) - 1; i >= 0 && t.Change == nil; i-- {
		if runs[i].measured() {
			t.Change = changeOf(runs[i], runs[:i])
			break
		}
	}
	return t
}

func (p *Past) measured() bool {
	return p.RecoveryTimeSeconds != nil && p.Result == v1alpha1.ResultSucceeded
}

// nearest rank of a percentile.
func nearest(sorted []float64, percent int) *float64 {
	return &sorted[(len(sorted)*percent+99)/100-1]
}

// Changed against the last comparable run in the report's history; nil without one.
func (r *Report) Changed() *Shift {
	p := r.Past()
	if !p.measured() {
		return nil
	}
	return changeOf(p, r.History)
}

func changeOf(last Past, before []Past) *Shift {
	for _, p := range slices.Backward(before) {
		if !p.measured() || p.Operation != last.Operation || p.Simulated != last.Simulated {
			continue
		}
		c := &Shift{Run: last.Run, Against: p.Run, Seconds: *last.RecoveryTimeSeconds - *p.RecoveryTimeSeconds}
		if *p.RecoveryTimeSeconds > 0 {
			c.Percent = 100 * c.Seconds / *p.RecoveryTimeSeconds
		}
		c.Phase, c.PhaseSeconds = blame(last, p, c.Seconds)
		return c
	}
	return nil
}

// blame the phase that changed most in the direction of the whole.
func blame(last, before Past, whole float64) (v1alpha1.Phase, float64) {
	var order []v1alpha1.Phase
	diff := map[v1alpha1.Phase]float64{}
	for _, side := range []struct {
		phases []PhaseTime
		sign   float64
	}{{last.Phases, 1}, {before.Phases, -1}} {
		for _, p := range side.phases {
			if _, known := diff[p.Name]; !known {
				order = append(order, p.Name)
			}
			diff[p.Name] += side.sign * p.Seconds
		}
	}
	var most v1alpha1.Phase
	for _, name := range order {
		if diff[name]*whole > 0 && (most == "" || diff[name]*whole > diff[most]*whole) {
			most = name
		}
	}
	return most, diff[most]
}
