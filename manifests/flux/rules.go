package flux

import (
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/refloat-dev/refloat/manifests"
)

// annotated adds to rules what an object says about itself, in a label or an annotation.
func annotated(o manifests.Object, rules *manifests.Rules) *manifests.Rules {
	says := func(key, value string) bool { return metadataSays(o.Object, kustomizeGroup+"/"+key, value) }
	switch {
	case says("ssa", "ignore"), says("reconcile", "disabled"):
		rules.Write = manifests.WriteNever
	case says("ssa", "ifnotpresent"):
		rules.Write = manifests.WriteCreate
	}
	return rules
}

// metadataSays looks at labels and annotations; values are the same in any case of letters.
func metadataSays(object map[string]any, key, value string) bool {
	metadata, _ := object["metadata"].(map[string]any)
	for _, field := range []string{"labels", "annotations"} {
		entries, _ := metadata[field].(map[string]any)
		if said, ok := entries[key].(string); ok && strings.EqualFold(said, value) {
			return true
		}
	}
	return false
}

// healthExprs gives objects the checks that the definition has for their kind.
func (r *reader) healthExprs(objects []manifests.Object, checks []healthExpr) error {
	for _, c := range checks {
		if c.Current == "" {
			return r.faultf("spec.healthCheckExprs", "has no current expression for %s", c.Kind)
		}
		group, _, grouped := strings.Cut(c.APIVersion, "/")
		if !grouped {
			group = ""
		}
		for i := range objects {
			if id := objects[i].ID(); id.Kind != c.Kind || id.Group != group {
				continue
			}
			objects[i].Rules.Health = &manifests.HealthCheck{
				From:    "spec.healthCheckExprs of " + r.unit + " at " + r.def.Origin.String(),
				Current: c.Current, InProgress: c.InProgress, Failed: c.Failed,
			}
		}
	}
	return nil
}

// ignored exempts fields of the objects that a rule selects.
func (r *reader) ignored(field string, objects []manifests.Object, rules []ignoreRule) error {
	for _, rule := range rules {
		for i := range objects {
			selected, err := selects(rule.Target, objects[i])
			if err != nil {
				return r.faultf(field, "has a target that cannot be read: %w", err)
			}
			if selected {
				objects[i].Rules.Ignore = append(objects[i].Rules.Ignore, manifests.IgnoredFields{
					From: field + " of " + r.unit + " at " + r.def.Origin.String(), Pointers: slices.Clone(rule.Paths),
				})
			}
		}
	}
	return nil
}

// selects is kustomize's choice of the objects for a patch: names and kinds are
// regular expressions that match as a whole.
func selects(s *types.Selector, o manifests.Object) (bool, error) {
	if s == nil {
		return true, nil
	}
	gvk := o.GroupVersionKind()
	for _, m := range [][2]string{
		{s.Group, gvk.Group}, {s.Version, gvk.Version}, {s.Kind, gvk.Kind}, {s.Name, o.GetName()}, {s.Namespace, o.GetNamespace()},
	} {
		if m[0] == "" {
			continue
		}
		pattern, err := regexp.Compile("^(?:" + m[0] + ")$")
		if err != nil {
			return false, err
		}
		if !pattern.MatchString(m[1]) {
			return false, nil
		}
	}
	for _, m := range []struct {
		selector string
		set      map[string]string
	}{{s.LabelSelector, o.GetLabels()}, {s.AnnotationSelector, o.GetAnnotations()}} {
		if m.selector == "" {
			continue
		}
		selector, err := labels.Parse(m.selector)
		if err != nil {
			return false, err
		}
		if !selector.Matches(labels.Set(m.set)) {
			return false, nil
		}
	}
	return true, nil
}
