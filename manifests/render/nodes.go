package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parse reads a document's structure and checks it before anything is decoded from
// it. It returns nil for a document that holds nothing.
func (r *renderer) parse(file string, d document) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(d.text, &doc); err != nil {
		if d.json && json.Valid(d.text) {
			// JSON that the YAML parser does not take, such as one indented with
			// tabs: its depth and keys were checked when it was split.
			return &yaml.Node{Kind: yaml.MappingNode, Line: 1}, nil
		}
		return nil, syntaxError(file, d, err)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	c := checker{file: file, doc: d, limits: r.limits, expanded: map[*yaml.Node]weight{}}
	if r.lastKeyWins {
		c.twice = func(fault error) { r.warnings.add(fault.Error() + "; the last one is taken") }
	}
	if _, err := c.check(root, 1); err != nil {
		return nil, err
	}
	return root, nil
}

var errorLine = regexp.MustCompile(`line (\d+):? ?`)

// structural are the faults for which the parser counts lines from 0; for those of
// single tokens it counts from 1.
var structural = regexp.MustCompile(`^did not find expected (key|node content|'-' indicator|',' or '[}\]]'|<document start>|<stream-start>)`)

// syntaxError translates the parser's message: the line is counted from the start of the document there.
func syntaxError(file string, d document, err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := errorLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = strings.Replace(message, m[0], "", 1)
		if structural.MatchString(message) {
			line++
		}
	}
	var typeErr *yaml.TypeError
	if errors.As(err, &typeErr) {
		message = strings.Join(typeErr.Errors, "; ")
	}
	lines := bytes.Split(d.text, []byte("\n"))
	for _, near := range []int{line, line + 1, line - 1} {
		if near >= 1 && near <= len(lines) && bytes.HasPrefix(bytes.TrimLeft(lines[near-1], " "), []byte("\t")) {
			line, message = near, "is indented with a tab: YAML allows only spaces there"
			break
		}
	}
	if line == 0 {
		line = 1
	}
	if strings.Contains(message, "exceeded max depth") || strings.Contains(message, "max depth") {
		message = "is nested too deep"
	}
	return inputErrorf(file, d.line+line-1, "is not valid YAML: %s", message)
}

// weight is what a node becomes when its aliases are expanded.
type weight struct {
	nodes, bytes int64
	depth        int  // levels below, itself included
	open         bool // still being added up: an alias to it is a cycle
}

type checker struct {
	file     string
	doc      document
	limits   Limits
	expanded map[*yaml.Node]weight
	// twice is told of a key that is written twice; without it that is an error.
	twice func(fault error)
}

func (c *checker) fault(n *yaml.Node, format string, args ...any) error {
	return inputErrorf(c.file, c.doc.at(n), "%s", fmt.Sprintf(format, args...))
}

// check adds up a node as if its aliases were written out, without doing so: each
// anchor is added up once and its sum used again.
func (c *checker) check(n *yaml.Node, depth int) (weight, error) {
	if depth > c.limits.Depth {
		return weight{}, c.fault(n, "is nested deeper than %d levels", c.limits.Depth)
	}
	if n.Kind == yaml.AliasNode {
		return c.alias(n, depth)
	}
	if n.Anchor != "" {
		c.expanded[n] = weight{open: true}
	}
	sum := weight{nodes: 1, bytes: int64(len(n.Value)), depth: 1}
	if n.Kind == yaml.MappingNode {
		if err := c.keys(n); err != nil {
			return weight{}, err
		}
	}
	for _, child := range n.Content {
		w, err := c.check(child, depth+1)
		if err != nil {
			return weight{}, err
		}
		sum.nodes += w.nodes
		sum.bytes += w.bytes
		sum.depth = max(sum.depth, 1+w.depth)
		if sum.nodes > int64(c.limits.Nodes) || sum.bytes > 2*c.limits.FileBytes {
			return weight{}, c.fault(child, "grows beyond %d values or %d bytes when its aliases are expanded", c.limits.Nodes, 2*c.limits.FileBytes)
		}
	}
	if n.Anchor != "" {
		c.expanded[n] = sum
	}
	return sum, nil
}

func (c *checker) alias(n *yaml.Node, depth int) (weight, error) {
	w, known := c.expanded[n.Alias]
	switch {
	case !known:
		return c.check(n.Alias, depth+1)
	case w.open:
		return weight{}, c.fault(n, "alias *%s contains itself", n.Value)
	case depth+w.depth > c.limits.Depth:
		return weight{}, c.fault(n, "is nested deeper than %d levels", c.limits.Depth)
	}
	return w, nil
}

// keys finds a key that is written twice: parsers silently take the last one.
func (c *checker) keys(n *yaml.Node) error {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return c.fault(key, "has a key that is not a plain value")
		}
		if first, twice := seen[key.Value]; twice {
			fault := c.fault(key, "has the key %q twice, first on line %d: remove one", key.Value, c.doc.line+first-1)
			if c.twice == nil {
				return fault
			}
			c.twice(fault)
		}
		seen[key.Value] = key.Line
	}
	return nil
}

// field returns the value of a key of a mapping, or nil.
func field(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return resolved(n.Content[i+1])
		}
	}
	return nil
}

// resolved follows an alias.
func resolved(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
