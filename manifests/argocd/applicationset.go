package argocd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

// applicationSet holds the fields of an ApplicationSet that say what it makes.
type applicationSet struct {
	Spec struct {
		GoTemplate        bool             `json:"goTemplate"`
		GoTemplateOptions []string         `json:"goTemplateOptions"`
		Generators        []map[string]any `json:"generators"`
		Template          map[string]any   `json:"template"`
		TemplatePatch     string           `json:"templatePatch"`
		Strategy          struct {
			Type        string `json:"type"`
			RollingSync struct {
				Steps []struct {
					MatchExpressions []requirement `json:"matchExpressions"`
				} `json:"steps"`
			} `json:"rollingSync"`
		} `json:"strategy"`
	} `json:"spec"`
}

// Generated is what one ApplicationSet makes.
type Generated struct {
	// Applications come from where the ApplicationSet is written. They are expanded but
	// never applied: the ApplicationSet makes and owns them.
	Applications []manifests.Object
	// After lists, for each of them that has to wait for others, what for.
	After map[manifests.ID][]manifests.Dependency
	// LeftOut are generators that were not expanded, each with the reason.
	LeftOut  []string
	Warnings []string
}

// ApplicationSet expands one.
func (e *Expander) ApplicationSet(ctx context.Context, o manifests.Object) (*Generated, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.options.Limits.Time,
		fmt.Errorf("takes longer than %s: make fewer Applications or simpler templates", e.options.Limits.Time))
	defer cancel()
	s := &set{Expander: e, ctx: ctx, object: o, out: &Generated{After: map[manifests.ID][]manifests.Dependency{}}, names: map[string]bool{}}
	if err := decode(o, &s.definition); err != nil {
		return nil, err
	}
	var err error
	if s.templates, err = newTemplater(ctx, s.definition.Spec.GoTemplate, s.definition.Spec.GoTemplateOptions, e.options.Limits); err != nil {
		return nil, fmt.Errorf("%s: %w", where(o), err)
	}
	for i, g := range s.definition.Spec.Generators {
		if err := s.generator(i, g); err != nil {
			return nil, fmt.Errorf("%s: spec.generators[%d]: %w", where(o), i, err)
		}
	}
	if len(s.out.Applications) == 0 && len(s.out.LeftOut) == 0 {
		s.warn("makes no Application")
	}
	s.rollingSync()
	return s.out, nil
}

// set is the state of one call of ApplicationSet.
type set struct {
	*Expander
	ctx        context.Context
	object     manifests.Object
	definition applicationSet
	templates  *templater
	names      map[string]bool
	out        *Generated
}

func (s *set) warn(format string, args ...any) {
	s.out.Warnings = append(s.out.Warnings, where(s.object)+": "+fmt.Sprintf(format, args...))
}

// params are one set of parameters.
type params = map[string]any

// generator makes the Applications of one generator.
func (s *set) generator(i int, g map[string]any) error {
	all, err := s.generate(g, nil, 0)
	if reason := reasonOf(err); reason != "" {
		s.out.LeftOut = append(s.out.LeftOut, fmt.Sprintf("%s: spec.generators[%d]: %s", where(s.object), i, reason))
		return nil
	}
	if err != nil {
		return err
	}
	template := s.definition.Spec.Template
	if own := templateOf(g); own != nil {
		template = filled(own, template)
	}
	for _, p := range all {
		app, err := s.application(template, p)
		if err != nil {
			return err
		}
		if len(s.out.Applications) >= s.options.Limits.Applications {
			return s.tooMany()
		}
		s.out.Applications = append(s.out.Applications, app)
	}
	return nil
}

func (s *set) tooMany() error {
	return fmt.Errorf("makes more than %d Applications: narrow its generators", s.options.Limits.Applications)
}

// templateOf is the template that a generator has of its own.
func templateOf(g map[string]any) map[string]any {
	for key, value := range g {
		if body, ok := value.(map[string]any); ok && key != "selector" {
			if t, ok := body["template"].(map[string]any); ok {
				return t
			}
		}
	}
	return nil
}

// application is the template with one set of parameters filled in.
func (s *set) application(template map[string]any, p params) (manifests.Object, error) {
	tree, err := s.templates.tree(template, p)
	if err != nil {
		return manifests.Object{}, fmt.Errorf("spec.template: %w", err)
	}
	app, _ := tree.(map[string]any)
	if patch := s.definition.Spec.TemplatePatch; patch != "" {
		if app, err = s.patch(app, patch, p); err != nil {
			return manifests.Object{}, fmt.Errorf("spec.templatePatch: %w", err)
		}
	}
	metadata, _ := app["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	switch {
	case name == "":
		return manifests.Object{}, errors.New("spec.template.metadata.name is empty: give each Application a name")
	case strings.Contains(name, "{{"):
		return manifests.Object{}, fmt.Errorf("the name %q has a parameter that no generator gives: correct it", cut(name))
	case s.names[name]:
		return manifests.Object{}, fmt.Errorf("two Applications get the name %q: use a parameter in the name that tells them apart", cut(name))
	}
	s.names[name] = true
	return s.finished(app, metadata)
}

// finished is the Application as the ApplicationSet controller would make it. Going
// through JSON gives it the types that every other object has.
func (s *set) finished(app, metadata map[string]any) (manifests.Object, error) {
	text, err := json.Marshal(map[string]any{
		"apiVersion": Group + "/v1alpha1", "kind": KindApplication, "metadata": metadata, "spec": app["spec"],
	})
	if err != nil {
		return manifests.Object{}, errors.New("spec.template holds what cannot be written as JSON")
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(text); err != nil {
		return manifests.Object{}, errors.New("spec.template does not make an object: check metadata and spec")
	}
	u.SetNamespace(s.object.GetNamespace())
	return manifests.Object{
		Unstructured: u, Origin: s.object.Origin,
		Rules: &manifests.Rules{Manager: Manager, Write: manifests.WriteNever, HealthIgnored: true},
	}, nil
}

// patch merges the patch of the ApplicationSet.
func (s *set) patch(app map[string]any, patch string, p params) (map[string]any, error) {
	text, err := s.templates.text(patch, p)
	if err != nil {
		return nil, err
	}
	var parsed map[string]any
	if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
		return nil, fmt.Errorf("makes no YAML mapping: %w", err)
	}
	return mergePatch(app, parsed), nil
}

// rollingSync makes the Applications of each step wait for those of the one before it.
func (s *set) rollingSync() {
	strategy := s.definition.Spec.Strategy
	if strategy.Type != "RollingSync" {
		return
	}
	steps := make([][]manifests.Object, len(strategy.RollingSync.Steps))
	unmatched := 0
	for _, app := range s.out.Applications {
		at := -1
		for i, step := range strategy.RollingSync.Steps {
			if matchesAll(step.MatchExpressions, app.GetLabels()) {
				at = i
			}
		}
		if at < 0 {
			unmatched++
			continue
		}
		steps[at] = append(steps[at], app)
	}
	if unmatched > 0 {
		s.warn("%d of its Applications match no step of the rolling sync: Argo CD will not sync them by itself", unmatched)
	}
	var before []manifests.Dependency
	for i, apps := range steps {
		if len(before)*len(apps) > mostDependencies {
			s.warn("step %d of the rolling sync has too many Applications to be ordered one by one: it does not wait", i+1)
			before = nil
		}
		var here []manifests.Dependency
		for _, app := range apps {
			if len(before) > 0 {
				s.out.After[app.ID()] = before
			}
			here = append(here, manifests.Dependency{Unit: UnitName(app), Reason: fmt.Sprintf("step %d of the rolling sync of %s", i+1, UnitName(s.object))})
		}
		if len(here) > 0 {
			before = here
		}
	}
}
