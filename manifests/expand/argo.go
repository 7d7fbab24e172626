package expand

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

// argoTool is Argo CD. Its settings may lie in any unit; so what was expanded with
// others is expanded again.
type argoTool struct {
	snapshot *source.Snapshot
	renderer *argoRenderer
	state    *state

	settings *argocd.Settings
	expander *argocd.Expander
	// version of the settings: their content.
	version string
	said    []string // warnings about settings
	// adopted is the address that stands for this repository besides the known ones, by
	// its canonical form.
	adopted map[string]string
	options ArgoOptions
	// elsewhere says of definitions for which other cluster they are; "" for this one.
	elsewhere map[manifests.ID]string

	// generated says for definitions that an ApplicationSet makes which one it is, and
	// after what they wait for in a rolling sync.
	generated map[manifests.ID]manifests.ID
	after     map[manifests.ID][]manifests.Dependency
	used      map[manifests.ID]*basis
	current   *basis // of the expansion that is being made
}

// basis is what an expansion was made with, besides the definition.
type basis struct {
	version string
	scopes  map[schema.GroupKind]scope
	// kinds that a chart was shown, and whether it looks at them.
	kinds []string
	asks  bool
}

// scope of a kind, as far as it is known.
type scope struct{ namespaced, known bool }

func newArgoTool(snap *source.Snapshot, o Options, inner render.Options, charts *Charts) *argoTool {
	t := &argoTool{
		snapshot: snap, state: newState(), adopted: map[string]string{},
		generated: map[manifests.ID]manifests.ID{}, after: map[manifests.ID][]manifests.Dependency{},
		used: map[manifests.ID]*basis{}, current: newBasis(""), options: o.ArgoCD, elsewhere: map[manifests.ID]string{},
	}
	t.renderer = newArgoRenderer(t, o, inner, charts)
	t.set(&argocd.Settings{})
	return t
}

func newBasis(version string) *basis {
	return &basis{version: version, scopes: map[schema.GroupKind]scope{}}
}

func (*argoTool) name() string { return "Argo CD" }

func (*argoTool) owns(gk schema.GroupKind) bool {
	return gk.Group == argocd.Group && slices.Contains([]string{argocd.KindApplication, argocd.KindApplicationSet, argocd.KindAppProject}, gk.Kind)
}

func (*argoTool) defines(gk schema.GroupKind) bool {
	return gk.Group == argocd.Group && (gk.Kind == argocd.KindApplication || gk.Kind == argocd.KindApplicationSet)
}

func (t *argoTool) set(s *argocd.Settings) {
	t.settings = s
	t.expander = argocd.NewExpander(t.renderer, s, argocd.Options{Scope: t.scope, Clusters: t.options.Clusters})
}

// begin reads the settings from all that is known, and which repository is meant.
func (t *argoTool) begin(s *state) {
	t.state = s
	t.adopt(s)
	home := t.home(s)
	objects := settingsObjects(s, t.options.Namespace)
	version := home + versionOf(objects)
	if version == t.version {
		return
	}
	t.version = version
	settings, warnings := argocd.ReadSettings(objects)
	t.said, settings.Namespace = warnings, home
	t.renderer.credentials, t.renderer.trust = credentialsOf(objects), trustOf(objects)
	t.set(settings)
}

// home is the namespace of Argo CD: where its settings are, else what it reads in its own
// namespace alone, else its definitions.
func (t *argoTool) home(s *state) string {
	if t.options.Namespace != "" {
		return t.options.Namespace
	}
	const usual = "argocd"
	named := func(names ...string) func(manifests.Object) bool {
		return func(o manifests.Object) bool { return slices.Contains(names, o.GetName()) }
	}
	for _, sign := range []struct {
		kind string
		is   func(manifests.Object) bool
	}{
		{"ConfigMap", named(argocd.SettingsName)}, {argocd.KindAppProject, nil},
		{"Secret", func(o manifests.Object) bool { return o.GetLabels()[secretType] != "" }},
		{argocd.KindApplicationSet, nil}, {argocd.KindApplication, nil},
	} {
		gk := schema.GroupKind{Kind: sign.kind}
		if sign.is == nil {
			gk.Group = argocd.Group
		}
		found := map[string]bool{}
		first := ""
		for _, o := range s.List(gk) {
			if ns := o.GetNamespace(); ns != "" && (sign.is == nil || sign.is(o)) {
				found[ns] = true
				first = cmp.Or(first, ns)
			}
		}
		switch {
		case found[usual]:
			return usual
		case len(found) == 1, len(found) > 0 && sign.kind == "ConfigMap": // the first one's settings count
			return first
		}
	}
	return usual
}

// settingsObjects are those that may say something to Argo CD, in one namespace where that
// is known for certain.
func settingsObjects(s *state, namespace string) []manifests.Object {
	all := allSettings(s)
	if namespace == "" {
		return all
	}
	return slices.DeleteFunc(all, func(o manifests.Object) bool { return o.GetNamespace() != namespace })
}

func allSettings(s *state) []manifests.Object {
	var all []manifests.Object
	for _, o := range s.List(schema.GroupKind{Kind: "ConfigMap"}) {
		if slices.Contains([]string{argocd.SettingsName, "argocd-cmd-params-cm", knownHostsName, tlsCertsName}, o.GetName()) {
			all = append(all, o)
		}
	}
	for _, o := range s.List(schema.GroupKind{Kind: "Secret"}) {
		if o.GetLabels()[secretType] != "" {
			all = append(all, o)
		}
	}
	return append(all, s.List(schema.GroupKind{Group: argocd.Group, Kind: argocd.KindAppProject})...)
}

// versionOf settings leaves out what marks an object as one of a unit.
func versionOf(objects []manifests.Object) string {
	var all []any
	for _, o := range objects {
		labels := o.GetLabels()
		all = append(all, o.ID(), labels, o.Object["data"], o.Object["stringData"], o.Object["spec"])
	}
	text, err := json.Marshal(all)
	if err != nil {
		return fmt.Sprintf("%d objects", len(objects)) // of content that no API takes
	}
	return string(text)
}

// scope answers what the state knows so far, and remembers the answer.
func (t *argoTool) scope(gk schema.GroupKind) (namespaced, known bool) {
	if k := builtin.Lookup(gk); k != nil {
		return k.Namespaced, true
	}
	namespaced, known = t.state.scopes[gk]
	t.current.scopes[gk] = scope{namespaced, known}
	return namespaced, known
}

// content is the definition with what the ApplicationSet says that made it.
func (t *argoTool) content(def manifests.Object) any {
	metadata := map[string]any{
		"name": def.GetName(), "namespace": def.GetNamespace(), "labels": def.GetLabels(), "annotations": def.GetAnnotations(),
	}
	return []any{metadata, def.Object["spec"], t.after[def.ID()]}
}

func (t *argoTool) stale(id manifests.ID, s *state) string {
	t.state = s
	b := t.used[id]
	if b == nil || b.version != t.version {
		return "a setting of Argo CD"
	}
	for gk, was := range b.scopes {
		namespaced, known := s.scopes[gk]
		if was != (scope{namespaced, known}) {
			return "the definition of " + gk.String()
		}
	}
	if b.asks && !slices.Equal(b.kinds, t.kinds(unitName(id))) {
		return "the list of kinds that the state installs"
	}
	return ""
}

func (t *argoTool) warnings() []string {
	all := append(slices.Clone(t.said), t.nobodyHere()...)
	for _, url := range t.adopted {
		all = append(all, fmt.Sprintf("Applications are rendered from %s, which is not known as an address of this repository: "+
			"it is the only one that they name, so it is taken for this one", flux.Redacted(url)))
	}
	return all
}

// nobodyHere warns when every Application is for another cluster: then the names of this
// one are missing.
func (t *argoTool) nobodyHere() []string {
	others := map[string]bool{}
	for _, o := range t.state.List(schema.GroupKind{Group: argocd.Group, Kind: argocd.KindApplication}) {
		cluster, known := t.elsewhere[o.ID()]
		if known && cluster == "" {
			return nil
		}
		if known {
			others[cluster] = true
		}
	}
	if len(others) == 0 {
		return nil
	}
	const shown = 5
	names := slices.Sorted(maps.Keys(others))
	return []string{fmt.Sprintf("no Application of the state is for this cluster: they go to %s; if one of these is the cluster that is rebuilt, "+
		"say so in spec.argoCD.clusters of the plan, or with --argocd-cluster", strings.Join(names[:min(shown, len(names))], ", "))}
}

// expand implements tool.
func (t *argoTool) expand(ctx context.Context, def manifests.Object, s *state, _ bool) (*declaration, error) {
	t.state = s
	id := def.ID()
	t.current = newBasis(t.version)
	t.used[id] = t.current
	t.renderer.begin(unitName(id))
	if id.Kind == argocd.KindApplicationSet {
		return t.applicationSet(ctx, def)
	}
	return t.application(ctx, def)
}

func (t *argoTool) application(ctx context.Context, def manifests.Object) (*declaration, error) {
	id := def.ID()
	x, err := t.expander.Application(ctx, def, t.after[id])
	if err != nil {
		return nil, err
	}
	t.elsewhere[id] = x.Elsewhere
	if x.Unit == nil {
		return nil, &skippedError{Meant: x.Meant, Err: fmt.Errorf("%s: %s: %s", def.Origin, unitName(id), x.LeftOut)}
	}
	d := &declaration{waved: true, apart: !t.settings.ApplicationHealth}
	d.Unit, d.Objects = *x.Unit, x.Objects
	if set, ok := t.generated[id]; ok {
		d.Unit.Definition = set // the Application is never applied, what makes it is
	}
	if x.Namespace != nil {
		d.created = []manifests.Object{*x.Namespace}
	}
	d.Ownership = t.ownership()
	d.Warnings = slices.Concat(x.Warnings, t.renderer.warnings, leftAlone(x.Objects))
	return d, nil
}

func (t *argoTool) applicationSet(ctx context.Context, def manifests.Object) (*declaration, error) {
	g, err := t.expander.ApplicationSet(ctx, def)
	if err != nil {
		return nil, err
	}
	for app, set := range t.generated {
		if set == def.ID() {
			delete(t.generated, app)
			delete(t.after, app)
		}
	}
	for _, app := range g.Applications {
		t.generated[app.ID()] = def.ID()
		if after := g.After[app.ID()]; len(after) > 0 {
			t.after[app.ID()] = after
		}
	}
	d := &declaration{generator: true, leftOut: g.LeftOut}
	d.Objects = g.Applications
	d.Warnings = slices.Concat(g.Warnings, t.renderer.warnings)
	if len(g.Applications) == 0 && len(g.LeftOut) > 0 {
		return nil, &skippedError{Err: errors.New(strings.Join(g.LeftOut, "; "))}
	}
	return d, nil
}

// ownership are the labels and annotations that say which Application an object belongs to.
func (t *argoTool) ownership() []string {
	label := t.settings.InstanceLabelKey
	if label == "" {
		label = "app.kubernetes.io/instance"
	}
	keys := []string{"argocd.argoproj.io/tracking-id", "argocd.argoproj.io/installation-id"}
	if t.settings.TrackingMethod == "label" || t.settings.TrackingMethod == "annotation+label" {
		keys = append(keys, label)
	}
	return keys
}
