package expand

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/render"
)

// ruled gives objects of state paths the rules of their annotations, and hooks with a
// generated name their name. Whatever else has no name cannot be applied.
func ruled(objects []manifests.Object, commit string) (warnings []string, err error) {
	var faults []error
	for i := range objects {
		o := &objects[i]
		if o.Rules != nil {
			continue // a chart that lies there says it
		}
		rules, more := argocd.RulesOf(*o)
		warnings = append(warnings, more...)
		o.Rules = rules
		argocd.NameHook(*o, rules, commit)
		if o.GetName() == "" && (rules == nil || rules.Write != manifests.WriteNever) {
			faults = append(faults, &render.InputError{File: o.Origin.File, Line: o.Origin.Line, Message: fmt.Sprintf(
				"%s has generateName: an object that gets a new name each time cannot be applied or verified; give it a name", o.GetKind())})
		}
	}
	if len(faults) > 0 {
		return nil, joined(faults)
	}
	return append(warnings, leftAlone(objects)...), twice(objects)
}

// twice finds objects that got the same name.
func twice(objects []manifests.Object) error {
	seen := map[manifests.ID]manifests.Object{}
	var faults []error
	for _, o := range objects {
		id := o.ID()
		if first, ok := seen[id]; ok {
			faults = append(faults, fmt.Errorf("%s: %s gets the same name as the one at %s: give them different prefixes", o.Origin, id, first.Origin))
			continue
		}
		seen[id] = o
	}
	return errors.Join(faults...)
}

// leftAlone lists, for each unit, the objects that are not to be written.
func leftAlone(objects []manifests.Object) []string {
	byUnit := map[string][]string{}
	for _, o := range objects {
		if o.Rules != nil && o.Rules.Write == manifests.WriteNever {
			byUnit[o.Origin.Unit] = append(byUnit[o.Origin.Unit], fmt.Sprintf("%s (%s)", o.ID(), o.Origin))
		}
	}
	var all []string
	for unit, names := range byUnit {
		const shown = 5
		more := ""
		if len(names) > shown {
			more = fmt.Sprintf(" and %d more", len(names)-shown)
			names = names[:shown]
		}
		all = append(all, fmt.Sprintf("%s: not applied, as annotations or settings say: %s%s", unit, strings.Join(names, ", "), more))
	}
	slices.Sort(all)
	return all
}
