package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Deviation from a run in which nothing is to be explained. It does not mean that the run
// failed.
type Deviation struct {
	// Kind is one CamelCase word for programs.
	Kind string `json:"kind"`
	// What in one sentence.
	What string `json:"what"`
	// Count of the objects or cases, and the first of them.
	Count    int      `json:"count,omitempty"`
	Examples []string `json:"examples,omitempty"`
}

// maxExamples of a deviation.
const maxExamples = 20

// Notable deviations, as they are stored or as they can be told from the rest.
func (r *Report) Notable() []Deviation {
	if r.Deviations != nil {
		return r.Deviations
	}
	return DeviationsOf(r)
}

// DeviationsOf a run, the gravest first.
func DeviationsOf(r *Report) []Deviation {
	d := &deviations{}
	d.outcome(r)
	d.orders(r)
	d.objects(r)
	d.verification(r.Verification)
	if r.LossUnseen != "" {
		d.add("LossUnseen", "what would be lost with the previous cluster could not be told: "+r.LossUnseen)
	}
	if r.Loss != nil && r.Loss.Total > 0 {
		d.add("Lost", fmt.Sprintf("%d objects, fields or volumes of the previous cluster are not known to come back", r.Loss.Total))
	}
	if r.Truncated != "" {
		d.add("Truncated", r.Truncated)
	}
	return d.all
}

type deviations struct{ all []Deviation }

func (d *deviations) add(kind, what string) {
	d.all = append(d.all, Deviation{Kind: kind, What: what})
}

// count adds a deviation about some objects, unless there are none.
func (d *deviations) count(kind, what string, examples []string, count int) {
	if count == 0 {
		return
	}
	d.all = append(d.all, Deviation{Kind: kind, What: what, Count: count, Examples: examples[:min(maxExamples, len(examples))]})
}

func (d *deviations) outcome(r *Report) {
	if r.CleanedUp != nil && !*r.CleanedUp {
		d.add("NotCleanedUp", "what the run had to delete may still be there")
	}
	if o := r.Objective; o != nil && !o.Met && r.RecoveryTimeSeconds != nil {
		d.add("ObjectiveMissed", fmt.Sprintf("recovery took %s, %s more than the objective", Seconds(*r.RecoveryTimeSeconds), Seconds(*r.RecoveryTimeSeconds-o.RecoveryTimeSeconds)))
	}
	if r.Simulated {
		d.add("Simulated", "no container ran in the cluster: health of workloads could not be proven")
	}
	if first := r.Retried; first != nil {
		d.add("Retry", fmt.Sprintf("the run goes on from run %s, which failed in %s; the time counts from its start", first.Run, first.Phase))
	}
}

func (d *deviations) orders(r *Report) {
	if o := r.Origin; o != nil && o.Stale {
		what := "the repository could not be reached: the last fetched commit was taken"
		if o.FetchedAt != nil {
			what += ", fetched " + o.FetchedAt.Format(time.RFC3339)
		}
		d.add("StaleSource", what)
	}
	switch {
	case len(r.HoldsOverridden) > 0:
		var names []string
		for _, h := range r.HoldsOverridden {
			names = append(names, fmt.Sprintf("%s (until %s): %s", h.Name, h.Until.Format(time.RFC3339), h.Reason))
		}
		d.count("HoldsOverridden", "the cluster was deleted although it was held", names, len(names))
	case r.OverridesHolds:
		d.add("HoldsOverridden", "the run was to heed no hold; none was in force when it deleted the cluster")
	}
	still := 0.0
	for _, p := range r.Phases {
		still += p.StoodStillSeconds
	}
	if suspended := still - r.BudgetWaitSeconds; suspended >= 1 {
		d.add("Suspended", "the run was suspended for "+Seconds(suspended))
	}
	if r.BudgetWaitSeconds > 0 {
		d.add("BudgetWait", fmt.Sprintf("the run waited %s for a slot of a budget", Seconds(r.BudgetWaitSeconds)))
	}
}

// objects that failed and may, that took more than one attempt, or that a later process found.
func (d *deviations) objects(r *Report) {
	var failed, adopted []string
	var again []Object
	for _, w := range r.Waves {
		for _, o := range w.Objects {
			switch {
			case o.Optional && !o.Settled():
				failed = append(failed, o.ID+": "+shortened(o.Message, maxWhat))
			case o.Attempts > 1:
				again = append(again, o)
			}
			if o.Adopted {
				adopted = append(adopted, o.ID)
			}
		}
	}
	slices.SortStableFunc(again, func(a, b Object) int { return cmp.Compare(b.Attempts, a.Attempts) })
	var retried []string
	for _, o := range again[:min(maxExamples, len(again))] {
		retried = append(retried, fmt.Sprintf("%s: %d attempts", o.ID, o.Attempts))
	}
	d.count("OptionalFailed", "objects that may fail did", failed, len(failed))
	d.count("Retried", "objects needed more than one attempt", retried, len(again))
	d.count("Adopted", "objects were found applied "+r.foundApplied("after a restart of the controller")+"; their times are not known", adopted, len(adopted))
}

func (d *deviations) verification(v *Verification) {
	if v == nil {
		return
	}
	for _, list := range []struct {
		kind, what string
		findings   []Finding
		count      int
	}{
		{"Missing", "objects are missing", v.Details.Missing, v.Missing},
		{"Changed", "objects are not as rendered", v.Details.Changed, v.Changed},
		{"Unhealthy", "objects are not healthy", v.Details.Unhealthy, v.Unhealthy},
		{"Exempt", "uses of a rule that exempts", v.Details.Exempt, v.Exempt},
		{"Extra", "objects are there that were not rendered", v.Details.Extra, v.Extra},
		{"NotProvable", "objects whose health could not be proven", v.Details.NotProvable, v.NotProvable},
		{"Weak", "objects were compared by their rendered fields only", v.Details.Weak, v.Weak},
	} {
		var names []string
		for _, f := range list.findings[:min(maxExamples, len(list.findings))] {
			name := f.ID
			if why := f.Explained(); why != "" {
				name += ": " + shortened(why, maxWhat)
			}
			names = append(names, name)
		}
		d.count(list.kind, list.what, names, list.count)
	}
}
