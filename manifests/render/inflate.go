package render

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

// Inflater renders a chart in the place of the helm program. Objects that name no
// namespace have to be left without.
type Inflater func(ctx context.Context, c HelmChart) (objects []manifests.Object, warnings []string, err error)

// HelmChart is an entry of helmCharts in a kustomization.
type HelmChart struct {
	types.HelmChart
	// Files is the tree, Dir the directory of the kustomization in it, and Home the one
	// below which charts are looked for first.
	Files     fs.FS
	Dir, Home string
}

// mostCharts in one kustomization.
const mostCharts = 100

// inflate puts what the charts of a kustomization render into a file beside it and lists
// that as a resource: kustomize treats both alike, and would run a program for the first.
func (s *survey) inflate(ctx context.Context, k *kustomization, dir string) {
	list := field(k.root, "helmCharts")
	if list == nil || len(list.Content) == 0 {
		return
	}
	at := k.at(list, "helmCharts")
	switch {
	case s.r.options.Inflate == nil:
		s.faultBy(ErrProgram, at, "is not supported: it would run the helm program; render the chart into the repository")
		return
	case len(list.Content) > mostCharts:
		s.fault(at, "lists more than %d charts", mostCharts)
		return
	}
	var globals types.HelmGlobals
	if n := field(k.root, "helmGlobals"); n != nil && decodeNode(n, &globals) != nil {
		s.fault(k.at(n, "helmGlobals"), "cannot be read: it has chartHome and configHome, both texts")
		return
	}
	home := globals.ChartHome
	if home == "" {
		home = types.HelmDefaultHome
	}
	var made []string
	for i, n := range list.Content {
		name := fmt.Sprintf(".helm-chart-%d.yaml", i)
		if s.inflateOne(ctx, k.at(n, "helmCharts"), resolved(n), HelmChart{Files: s.r.files, Dir: dir, Home: path.Join(dir, home)}, path.Join(dir, name)) {
			made = append(made, name)
		}
	}
	k.without("helmCharts", "helmGlobals")
	resources := (&edit{s: s, k: k}).value("resources", yaml.SequenceNode)
	resources.Style = 0
	for _, name := range made {
		resources.Content = append(resources.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name})
	}
	k.changed = true
}

// inflateOne renders one chart into a file of the overlay; false when there is nothing.
func (s *survey) inflateOne(ctx context.Context, at place, n *yaml.Node, c HelmChart, file string) bool {
	if err := decodeNode(n, &c.HelmChart); err != nil {
		s.fault(at, "has an entry that cannot be read: one of its fields has the wrong type")
		return false
	}
	objects, warnings, err := s.r.options.Inflate(ctx, c)
	if err != nil {
		s.faultBy(err, at, "cannot be rendered: %v", err)
		return false
	}
	s.r.warnings.add(warnings...)
	if len(objects) == 0 {
		return false
	}
	var text []byte
	known := map[string]manifests.Object{}
	for _, o := range objects {
		doc, err := json.Marshal(o.Object)
		if err != nil {
			s.fault(at, "renders %s, which cannot be written as JSON", o.ID())
			return false
		}
		text = append(append(append(text, "---\n"...), doc...), '\n')
		known[o.GetKind()+"/"+o.GetName()] = o
	}
	s.overlay[file], s.inflated[file] = text, known
	if !s.listed[file] {
		s.listed[file] = true
		s.resources = append(s.resources, file)
	}
	return true
}

// traced gives an object that a chart rendered the origin that it has there, and what is
// known of fields that come out differently each time.
func (s *survey) traced(res *resource.Resource, o *manifests.Object) {
	known, ok := s.inflated[o.Origin.File]
	if !ok {
		return
	}
	before, ok := renamed(known, res.GetKind(), res.GetName())
	if !ok {
		o.Origin.File, o.Origin.Line = s.root, 0
		return
	}
	o.Origin.File, o.Origin.Line = before.Origin.File, before.Origin.Line
	if before.Rules != nil && len(before.Rules.Ignore) > 0 {
		o.Rules = &manifests.Rules{Ignore: before.Rules.Ignore}
	}
}

// renamed finds an object to which kustomize may have given another name: the longest one
// that the new one contains is meant.
func renamed(known map[string]manifests.Object, kind, name string) (best manifests.Object, found bool) {
	if o, ok := known[kind+"/"+name]; ok {
		return o, true
	}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		candidate, ok := strings.CutPrefix(key, kind+"/")
		if ok && strings.Contains(name, candidate) && (!found || len(candidate) > len(best.GetName())) {
			best, found = known[key], true
		}
	}
	return best, found
}

// without takes fields out of a kustomization.
func (k *kustomization) without(names ...string) {
	var kept []*yaml.Node
	for i := 0; i+1 < len(k.root.Content); i += 2 {
		if !slices.Contains(names, k.root.Content[i].Value) {
			kept = append(kept, k.root.Content[i], k.root.Content[i+1])
		}
	}
	k.root.Content = kept
}

// decodeNode goes through JSON, whose field names are those that kustomize reads.
func decodeNode(n *yaml.Node, into any) error {
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	return sigsyaml.Unmarshal(text, into)
}

// program notes a configuration that kustomize would run a program for.
func (s *survey) program(at place, root *yaml.Node) bool {
	err := programIn(at, root)
	if err != nil {
		s.faults = append(s.faults, err)
	}
	return err != nil
}

// programIn is an error for a configuration of a plugin: all but those that are built in
// are programs, and one of those runs helm.
func programIn(at place, root *yaml.Node) error {
	api, kind := "", ""
	if n := field(root, "apiVersion"); n != nil {
		api = n.Value
	}
	if n := field(root, "kind"); n != nil {
		kind = n.Value
	}
	message := ""
	switch {
	case api == "" || kind == "" || kind == "List": // kustomize says what is wrong
	case api != "builtin":
		message = fmt.Sprintf("%s of %s is a plugin of kustomize, which would run a program of its own: render what it makes into the repository", short(kind), short(api))
	case kind == "HelmChartInflationGenerator":
		message = "would run the helm program: write helmCharts in the kustomization, or render the chart into the repository"
	}
	if message == "" {
		return nil
	}
	return &InputError{File: at.file, Line: at.line, Message: message, Err: ErrProgram}
}
