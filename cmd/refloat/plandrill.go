package main

import (
	"fmt"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/quarantine"
	"github.com/refloat-dev/refloat/recovery"
)

// drilled makes the state what a drill makes of it, with --drill. What only the cluster's
// manifests say, its networks, is left open.
func (o *planOptions) drilled(state *expand.Result, options expand.Options) ([]quarantine.Change, error) {
	if !o.drill || o.profile.Profile == v1alpha1.ProfileNone {
		return nil, nil
	}
	profile, err := recovery.DrillOptions(o.profile)
	if err != nil {
		return nil, badInput(err)
	}
	profile.Seeds = map[manifests.ID][]string{}
	for _, s := range options.Seeds {
		for key := range s.Data {
			id := manifests.ID{Kind: s.Kind, Namespace: s.Namespace, Name: s.Name}
			profile.Seeds[id] = append(profile.Seeds[id], key)
		}
	}
	result, err := quarantine.Apply(state.Objects, state.Units, *profile)
	if err != nil {
		return nil, badInput(fmt.Errorf("no drill is made of this: %w", err))
	}
	state.Objects, state.Units = result.Objects, result.Units
	state.Warnings = append(state.Warnings, result.Warnings...)
	return result.Changes, nil
}

// showDrill prints what a drill changes, before its waves.
func (o *planOptions) showDrill(t terminal, changes []quarantine.Change) error {
	if !o.drill {
		return nil
	}
	if o.profile.Profile == v1alpha1.ProfileNone {
		_, err := fmt.Fprintf(t.Out, "a drill changes nothing: spec.drill.profile of the plan is None\n\n")
		return err
	}
	if _, err := fmt.Fprintf(t.Out, "a drill makes %d changes\n", len(changes)); err != nil {
		return err
	}
	for _, c := range changes {
		if _, err := fmt.Fprintf(t.Out, "  %s\n", c); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(t.Out)
	return err
}

// addedBy a drill are objects that the repository does not have; they are counted with the
// others.
func addedBy(changes []quarantine.Change) string {
	added := 0
	for _, c := range changes {
		if c.Origin == "" {
			added++
		}
	}
	switch added {
	case 0:
		return ""
	case 1:
		return ", and 1 object that the drill adds"
	}
	return fmt.Sprintf(", and %d objects that the drill adds", added)
}
