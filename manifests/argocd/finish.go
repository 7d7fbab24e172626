package argocd

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

var crdKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// Scopes knows the built-in kinds and those that the given objects define.
func Scopes(objects []manifests.Object) Scope {
	defined := map[schema.GroupKind]bool{}
	for _, o := range objects {
		if o.Unstructured == nil || o.ID().GroupKind() != crdKind {
			continue
		}
		spec, _ := o.Object["spec"].(map[string]any)
		names, _ := spec["names"].(map[string]any)
		group, _ := spec["group"].(string)
		kind, _ := names["kind"].(string)
		defined[schema.GroupKind{Group: group, Kind: kind}] = spec["scope"] == "Namespaced"
	}
	return func(gk schema.GroupKind) (namespaced, known bool) {
		if k := builtin.Lookup(gk); k != nil {
			return k.Namespaced, true
		}
		namespaced, known = defined[gk]
		return namespaced, known
	}
}

// place gives an object its namespace: that of the destination when it has none, and
// none when its kind lives outside namespaces.
func (x *expansion) place(o manifests.Object) {
	namespaced, known := x.options.Scope(o.ID().GroupKind())
	switch {
	case known && !namespaced:
		o.SetNamespace("")
	case o.GetNamespace() == "":
		o.SetNamespace(x.app.Spec.Destination.Namespace)
	}
}

// finish gives the rendered objects their rules and marks them as Argo CD would.
func (x *expansion) finish() error {
	differences, err := x.differences()
	if err != nil {
		return err
	}
	for i := range x.objects {
		o := &x.objects[i]
		o.Origin.Unit = x.unit
		rules, warnings := RulesOf(*o)
		x.warnings = append(x.warnings, warnings...)
		if rules == nil {
			rules = &manifests.Rules{}
		}
		rules.Manager = Manager
		var known []manifests.IgnoredFields // what is not the same each time it is rendered
		if o.Rules != nil {
			known = o.Rules.Ignore
		}
		o.Rules = rules
		NameHook(*o, rules, x.revision)
		if o.GetName() == "" && rules.Write != manifests.WriteNever {
			return fmt.Errorf("%s at %s has no name: only a hook may have a generated one", o.GetKind(), o.Origin)
		}
		if rules.Write != manifests.WriteNever && x.settings.excludes(o.ID(), x.app.Spec.Destination) {
			rules.Write = manifests.WriteNever
			x.warn("%s is of a kind that resource.exclusions or inclusions of argocd-cm keep Argo CD from: left out", o.ID())
		}
		if !rules.HealthIgnored {
			rules.Health = x.settings.Health(o.ID().GroupKind())
		}
		rules.Ignore = slices.Concat(known, x.settings.Ignored(o.ID()), ignored(differences, o.ID()))
		x.track(*o)
	}
	return nil
}

// track marks an object as Argo CD does, so that it finds nothing to change. Where an
// object of the whole cluster belongs to is said with the destination's namespace, and
// definitions are not marked, both as with Argo CD.
func (x *expansion) track(o manifests.Object) {
	id := o.ID()
	if id.GroupKind() == crdKind {
		return
	}
	method, name := x.settings.TrackingMethod, x.instance()
	if method == trackLabel || method == trackBoth {
		setLabel(o, x.settings.instanceLabel(), name[:min(len(name), 63)])
	}
	if method == trackLabel {
		return
	}
	ns := id.Namespace
	if ns == "" {
		ns = x.app.Spec.Destination.Namespace
	}
	setAnnotation(o, annotationTracking, fmt.Sprintf("%s:%s/%s:%s/%s", name, id.Group, id.Kind, ns, id.Name))
	if x.settings.InstallationID != "" {
		setAnnotation(o, annotationInstallation, x.settings.InstallationID)
	}
}

func setAnnotation(o manifests.Object, key, value string) {
	all := o.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	o.SetAnnotations(all)
}

func setLabel(o manifests.Object, key, value string) {
	all := o.GetLabels()
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	o.SetLabels(all)
}

// differences of the Application, checked.
func (x *expansion) differences() ([]ignoreRule, error) {
	var all []ignoreRule
	for i, d := range x.app.Spec.IgnoreDifferences {
		rule, err := newIgnoreRule(d, fmt.Sprintf("spec.ignoreDifferences[%d] of %s (%s)", i, x.unit, x.object.Origin))
		if err != nil {
			return nil, fmt.Errorf("spec.ignoreDifferences[%d]: %w", i, err)
		}
		all = append(all, rule)
	}
	return all, nil
}

// ignoreRule is one entry of ignoreDifferences.
type ignoreRule struct {
	group, kind     func(string) bool
	name, namespace string
	fields          manifests.IgnoredFields
}

func newIgnoreRule(d differenceOf, from string) (ignoreRule, error) {
	r := ignoreRule{name: d.Name, namespace: d.Namespace, fields: manifests.IgnoredFields{
		From: from, Pointers: d.JSONPointers, JQ: d.JQPathExpressions, Managers: d.ManagedFieldsManagers,
	}}
	var err error
	if r.group, err = compileGlob(d.Group, globOptions{braces: true}); err != nil {
		return r, fmt.Errorf("group: %w", err)
	}
	if r.kind, err = compileGlob(d.Kind, globOptions{braces: true}); err != nil {
		return r, fmt.Errorf("kind: %w", err)
	}
	return r, nil
}

func (r ignoreRule) matches(id manifests.ID) bool {
	return r.group(id.Group) && r.kind(id.Kind) && (r.name == "" || r.name == id.Name) &&
		(r.namespace == "" || r.namespace == id.Namespace)
}

// ignored are the fields that rules exempt of one object.
func ignored(rules []ignoreRule, id manifests.ID) []manifests.IgnoredFields {
	var all []manifests.IgnoredFields
	for _, r := range rules {
		if r.matches(id) {
			all = append(all, r.fields)
		}
	}
	return slices.Clip(all)
}
