package render

import (
	"encoding/json"
	"io/fs"
	"path"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
)

// Changes are what a tool does to the kustomization of a directory before it is
// built, as "kustomize edit" would. The zero value changes nothing.
type Changes struct {
	// Namespace, NamePrefix and NameSuffix replace what the kustomization says.
	Namespace, NamePrefix, NameSuffix string
	// Images and Replicas replace the entry of the same name, or are added.
	Images   []types.Image
	Replicas []types.Replica
	// Patches, Labels and Components are added after those of the kustomization.
	Patches    []types.Patch
	Labels     []types.Label
	Components []string
	// IgnoreMissingComponents leaves out components whose directory does not exist.
	IgnoreMissingComponents bool
	// CommonLabels and CommonAnnotations are added; the same key is replaced.
	CommonLabels, CommonAnnotations map[string]string
	// BuildMetadata options are added, for example originAnnotations.
	BuildMetadata []string
}

// change edits the kustomization of the rendered directory. The fields that were
// there keep their lines.
func (s *survey) change(k *kustomization, dir string) {
	c := s.r.changes
	e := &edit{s: s, k: k}
	e.text("namespace", c.Namespace)
	e.text("namePrefix", c.NamePrefix)
	e.text("nameSuffix", c.NameSuffix)
	for _, i := range c.Images {
		e.entry("images", i.Name, i)
	}
	for _, r := range c.Replicas {
		e.entry("replicas", r.Name, r)
	}
	for _, p := range c.Patches {
		e.add("patches", p)
	}
	for _, l := range c.Labels {
		e.add("labels", l)
	}
	for _, component := range c.Components {
		if !c.IgnoreMissingComponents || s.isDirectory(path.Join(dir, component)) {
			e.add("components", component)
		}
	}
	e.pairs("commonLabels", c.CommonLabels)
	e.pairs("commonAnnotations", c.CommonAnnotations)
	for _, option := range c.BuildMetadata {
		e.add("buildMetadata", option)
	}
}

func (s *survey) isDirectory(name string) bool {
	if !fs.ValidPath(name) {
		return true // leaving the repository is reported where the entry is checked
	}
	info, err := fs.Stat(s.r.files, name)
	return err == nil && info.IsDir()
}

// edit changes the nodes of one kustomization.
type edit struct {
	s *survey
	k *kustomization
}

// value is the node of a field, which is made with a kind when it is missing or null.
func (e *edit) value(name string, kind yaml.Kind) *yaml.Node {
	e.k.changed = true
	root := e.k.root
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != name {
			continue
		}
		n := resolved(root.Content[i+1])
		if n.Tag == "!!null" && kind != yaml.ScalarNode {
			*n = yaml.Node{Kind: kind, Line: n.Line}
		}
		if n.Kind != kind {
			e.s.fault(e.k.at(n, name), "has another form than kustomize knows")
			return &yaml.Node{Kind: kind}
		}
		return n
	}
	n := &yaml.Node{Kind: kind}
	root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, n)
	return n
}

func (e *edit) text(name, value string) {
	if value != "" {
		n := e.value(name, yaml.ScalarNode)
		n.Value, n.Tag, n.Style = value, "!!str", yaml.DoubleQuotedStyle
	}
}

func (e *edit) add(name string, v any) {
	list := e.value(name, yaml.SequenceNode)
	list.Style = 0
	list.Content = append(list.Content, e.node(v))
}

// entry replaces the entry of a list that has a name, or adds it.
func (e *edit) entry(list, name string, v any) {
	n := e.value(list, yaml.SequenceNode)
	n.Style = 0
	for i, element := range n.Content {
		if at := field(resolved(element), "name"); at != nil && at.Value == name {
			n.Content[i] = e.node(v)
			return
		}
	}
	n.Content = append(n.Content, e.node(v))
}

func (e *edit) pairs(name string, values map[string]string) {
	if len(values) == 0 {
		return
	}
	n := e.value(name, yaml.MappingNode)
	merged := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		merged[n.Content[i].Value] = resolved(n.Content[i+1]).Value
	}
	for key, v := range values {
		merged[key] = v
	}
	n.Content, n.Style = e.node(merged).Content, 0
}

// node is a value as YAML. It goes through JSON, whose field names are those that
// kustomize reads.
func (e *edit) node(v any) *yaml.Node {
	var doc yaml.Node
	text, err := json.Marshal(v)
	if err == nil {
		err = yaml.Unmarshal(text, &doc)
	}
	if err != nil || len(doc.Content) != 1 {
		e.s.fault(place{file: e.k.file}, "cannot be changed as the tool asks: %v", err)
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	}
	unplaced(doc.Content[0])
	return doc.Content[0]
}

// unplaced takes off the position and flow style that a node of its own text has.
func unplaced(n *yaml.Node) {
	n.Line, n.Column = 0, 0
	if n.Kind != yaml.ScalarNode {
		n.Style = 0
	}
	for _, child := range n.Content {
		unplaced(child)
	}
}
