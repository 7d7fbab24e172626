package render

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"github.com/refloat-dev/refloat/manifests"
)

// survey is what is known about a kustomization before it is built: every
// kustomization that it reaches was read, every file that they name was checked to
// be inside the repository, and every resource file was outlined.
//
// It exists because kustomize itself would fetch URLs and run git for entries that
// look remote, has no bounds on what it parses, and reports no lines.
type survey struct {
	r         *renderer
	unit, dir string
	root      string // the kustomization file of dir

	overlay map[string][]byte
	fetched map[string]string // overlay file -> URL it was fetched from
	// inflated are overlay files with what charts rendered, by kind and name.
	inflated map[string]map[string]manifests.Object
	lines    map[string]outline

	keepOrigin   bool // the author wants origin annotations
	customSchema bool
	sorts        bool

	visited   map[string]bool
	resources []string        // resource files, each once
	listed    map[string]bool // what is in resources
	configs   map[string]bool // files that configure transformers and the like
	faults    []error
}

// maxKustomizations bounds how many a build may reach.
const maxKustomizations = 5_000

func (r *renderer) survey(ctx context.Context, unit, dir string) (*survey, error) {
	s := &survey{
		r: r, unit: unit, dir: dir,
		overlay: map[string][]byte{}, fetched: map[string]string{}, inflated: map[string]map[string]manifests.Object{}, lines: map[string]outline{},
		visited: map[string]bool{}, listed: map[string]bool{}, configs: map[string]bool{},
	}
	s.directory(ctx, dir, place{file: dir}, false)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := joined(s.faults); err != nil {
		return nil, err
	}
	return s, s.outlines(ctx)
}

// place is where in a kustomization something is said.
type place struct {
	file  string
	line  int
	field string
}

func (s *survey) fault(at place, format string, args ...any) { s.faultBy(nil, at, format, args...) }

// faultBy is for a fault that callers can act on.
func (s *survey) faultBy(cause error, at place, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if at.field != "" {
		message = at.field + " " + message
	}
	s.faults = append(s.faults, &InputError{File: at.file, Line: at.line, Message: message, Err: cause})
}

// directory reads the kustomization of a directory and all that it reaches.
// forConfigs is set below generators, transformers and validators.
func (s *survey) directory(ctx context.Context, dir string, from place, forConfigs bool) {
	if s.visited[dir] || ctx.Err() != nil {
		return
	}
	s.visited[dir] = true
	if len(s.visited) > maxKustomizations {
		s.fault(from, "reaches more than %d kustomizations", maxKustomizations)
		return
	}
	file, ok := s.kustomizationIn(dir, from)
	if !ok {
		return
	}
	if dir == s.dir {
		s.root = file
	}
	k, ok := s.open(file)
	if !ok {
		return
	}
	if dir == s.dir && s.r.changes != nil {
		s.change(k, dir)
	}
	if forConfigs {
		s.onlyResources(k)
	}
	for i := 0; i+1 < len(k.root.Content); i += 2 {
		name, value := k.root.Content[i].Value, resolved(k.root.Content[i+1])
		s.field(ctx, k, dir, name, value, forConfigs)
	}
	s.inflate(ctx, k, dir)
	if dir == s.dir {
		s.askForOrigins(k)
	}
	if k.changed {
		s.encode(k)
	}
}

// kustomizationIn finds the one kustomization file of a directory.
func (s *survey) kustomizationIn(dir string, from place) (string, bool) {
	var names []string
	for _, name := range kustomizationNames {
		if info, err := fs.Stat(s.r.files, path.Join(dir, name)); err == nil && !info.IsDir() {
			names = append(names, path.Join(dir, name))
		}
	}
	switch len(names) {
	case 0:
		s.fault(from, "names the directory %s, which has no kustomization.yaml", dir)
	case 1:
		return names[0], true
	default:
		s.fault(place{file: names[1]}, "stands beside %s: a directory has one kustomization", path.Base(names[0]))
	}
	return "", false
}

// kustomization is one parsed kustomization file.
type kustomization struct {
	file    string
	doc     document
	root    *yaml.Node
	changed bool // root differs from the text
}

func (k kustomization) at(n *yaml.Node, field string) place {
	return place{file: k.file, line: k.doc.at(n), field: field}
}

func (s *survey) open(file string) (*kustomization, bool) {
	var docs []document
	err := recovered(file, func() error {
		data, err := s.r.read(file)
		if err != nil {
			return err
		}
		docs, err = s.r.documents(file, data)
		return err
	})
	switch {
	case err != nil:
		s.faults = append(s.faults, err)
		return nil, false
	case len(docs) != 1:
		s.fault(place{file: file}, "holds %d documents; a kustomization is exactly one", len(docs))
		return nil, false
	case docs[0].root.Kind != yaml.MappingNode:
		s.fault(place{file: file, line: docs[0].line}, "is not a kustomization: it is %s", kindOfNode(docs[0].root))
		return nil, false
	}
	return &kustomization{file: file, doc: docs[0], root: docs[0].root}, true
}

// askForOrigins makes kustomize say where objects come from. The file in the
// repository stays as it is.
func (s *survey) askForOrigins(k *kustomization) {
	const option = "originAnnotations"
	asked := field(k.root, "buildMetadata")
	if asked != nil {
		if slices.ContainsFunc(asked.Content, func(n *yaml.Node) bool { return n.Value == option }) {
			s.keepOrigin = true
			return
		}
		if asked.Kind == yaml.SequenceNode {
			asked.Content = append(asked.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: option})
			k.changed = true
		}
		return
	}
	if !k.changed && k.root.Column == 1 && k.root.Style&yaml.FlowStyle == 0 {
		// Text that is only appended to keeps its line numbers.
		s.overlay[k.file] = append(slices.Clone(k.doc.text), "\nbuildMetadata: ["+option+"]\n"...)
		return
	}
	k.root.Content = append(k.root.Content,
		&yaml.Node{Kind: yaml.ScalarNode, Value: "buildMetadata"},
		&yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: option}}})
	k.changed = true
}

func (s *survey) encode(k *kustomization) {
	uncomment(k.root)
	text, err := yaml.Marshal(k.root)
	if err != nil {
		s.fault(place{file: k.file}, "cannot be prepared for kustomize: %v", err)
		return
	}
	s.overlay[k.file] = text
}

// uncomment drops comments, which the encoder can put where they change the meaning.
func uncomment(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, child := range n.Content {
		uncomment(child)
	}
}

// outlines parses the resource files, in parallel, and notes what is where.
func (s *survey) outlines(ctx context.Context) error {
	results := make([]outline, len(s.resources))
	faults := make([]error, len(s.resources))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range s.resources {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			faults[i] = recovered(file, func() (err error) {
				results[i], err = s.outline(file)
				return err
			})
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, file := range s.resources {
		s.lines[file] = results[i]
	}
	return joined(faults)
}

func (s *survey) outline(file string) (outline, error) {
	o := outline{byKind: map[string]map[string]int{}}
	data, ok := s.overlay[file]
	if !ok {
		var err error
		if data, err = s.r.read(file); err != nil {
			return o, err
		}
	}
	docs, err := s.r.documents(file, data)
	if err != nil {
		return o, err
	}
	for _, d := range docs {
		if err := s.r.refused(file, d); err != nil {
			return o, err
		}
		if s.configs[file] {
			if err := programIn(place{file: file, line: d.at(d.root)}, d.root); err != nil {
				return o, err
			}
			if err := remoteInside(file, d, d.root, ""); err != nil {
				return o, err
			}
		}
		if err := o.add(file, d, d.root); err != nil {
			return o, err
		}
	}
	return o, nil
}

// add notes an object, or the items of a list, by its structure alone: what values
// mean is for kustomize to say.
func (o outline) add(file string, d document, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return inputErrorf(file, d.at(n), "is %s, not a Kubernetes object", kindOfNode(n))
	}
	i := item{file: file, line: d.at(n), content: map[string]any{}}
	for _, name := range []string{"apiVersion", "kind"} {
		if v := field(n, name); v != nil {
			i.content[name] = v.Value
		}
	}
	_, kind, err := i.types()
	if err != nil {
		return err
	}
	items := field(n, "items")
	if kind == "List" || (strings.HasSuffix(kind, "List") && items != nil && items.Kind == yaml.SequenceNode) {
		return o.addItems(file, d, items, kind)
	}
	metadata := map[string]any{}
	for _, name := range []string{"name", "generateName"} {
		if v := field(field(n, "metadata"), name); v != nil && v.Tag != "!!null" {
			metadata[name] = v.Value
		}
	}
	i.content["metadata"] = metadata
	if err := i.check(kind); err != nil {
		return err
	}
	name, _ := metadata["name"].(string)
	if o.byKind[kind] == nil {
		o.byKind[kind] = map[string]int{}
	}
	o.byKind[kind][name] = i.line
	return nil
}

func (o outline) addItems(file string, d document, items *yaml.Node, kind string) error {
	if items == nil {
		return nil
	}
	for _, element := range items.Content {
		element = resolved(element)
		if kind != "List" && field(element, "kind") == nil {
			continue // a typed list: kustomize knows the type of its items
		}
		if err := o.add(file, d, element); err != nil {
			return err
		}
	}
	return nil
}
