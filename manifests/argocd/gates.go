package argocd

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/refloat-dev/refloat/manifests"
)

// mostDependencies bounds what Gates spells out; see Gates.
const mostDependencies = 200_000

// GateSet says what the units below one unit wait for.
type GateSet struct {
	// Units without objects of their own: each is ready when a wave of the unit is.
	Units []manifests.Unit
	// After lists, for each definition among the unit's objects, what its own unit waits
	// for. Names of units that turn out not to exist are to be passed over.
	After map[manifests.ID][]manifests.Dependency
}

// Gates reads the phases and waves of one unit's objects. Argo CD creates an
// Application of wave 1 when the objects of wave 0 are healthy, and so nothing that the
// Application declares can be there before.
//
// Whether that includes what the Applications of wave 0 declare depends: Argo CD has no
// health rule for Applications unless argocd-cm gives one, and without one its waves do
// not wait for them. The same is done here.
func (e *Expander) Gates(unit manifests.Unit, objects []manifests.Object) GateSet {
	steps := inSteps(objects)
	set := GateSet{After: map[manifests.ID][]manifests.Dependency{}}
	after := slices.Clone(unit.After)
	total := 0
	var children []manifests.Dependency
	for i, step := range steps {
		for _, id := range step.definitions {
			set.After[id] = slices.Concat(after, children)
			total += len(set.After[id])
		}
		if i == len(steps)-1 {
			break
		}
		if len(step.others) > 0 {
			gate := manifests.Unit{
				Name:   fmt.Sprintf("%s, %s", unit.Name, step),
				Origin: unit.Origin, After: slices.Clone(after),
				Ready: manifests.Readiness{Objects: step.others},
			}
			set.Units = append(set.Units, gate)
			after = append(after, manifests.Dependency{Unit: gate.Name, Reason: fmt.Sprintf("%s declares %s first", unit.Name, step)})
		}
		if e.settings.ApplicationHealth && len(step.applications) > 0 {
			if total > mostDependencies {
				// The nearest wave stands for those before it, for which it waits itself.
				children = nil
			}
			for _, name := range step.applications {
				children = append(children, manifests.Dependency{Unit: name, Reason: fmt.Sprintf("%s declares %s first", unit.Name, step)})
			}
		}
	}
	return set
}

// step is everything in one phase and wave.
type step struct {
	phase        manifests.Phase
	wave         int
	definitions  []manifests.ID
	applications []string // names of the units that they declare
	others       []manifests.ID
}

func (s step) String() string {
	if s.phase == manifests.PhaseMain {
		return fmt.Sprintf("sync-wave %d", s.wave)
	}
	name := hookPreSync
	if s.phase == manifests.PhaseAfter {
		name = hookPostSync
	}
	return fmt.Sprintf("sync-wave %d of %s", s.wave, name)
}

// inSteps groups objects by phase and wave, in their order.
func inSteps(objects []manifests.Object) []step {
	type position struct {
		phase manifests.Phase
		wave  int
	}
	at := map[position]*step{}
	for _, o := range objects {
		rules := o.Rules
		if rules == nil {
			rules = &manifests.Rules{}
		}
		if rules.Write == manifests.WriteNever {
			continue
		}
		p := position{rules.Phase, rules.Wave}
		if at[p] == nil {
			at[p] = &step{phase: p.phase, wave: p.wave}
		}
		s, id := at[p], o.ID()
		if !isDefinition(id) {
			s.others = append(s.others, id)
			continue
		}
		s.definitions = append(s.definitions, id)
		if id.Kind == KindApplication {
			s.applications = append(s.applications, UnitName(o))
		}
	}
	steps := make([]step, 0, len(at))
	for _, s := range at {
		steps = append(steps, *s)
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Or(cmp.Compare(a.phase, b.phase), cmp.Compare(a.wave, b.wave)) })
	return steps
}
