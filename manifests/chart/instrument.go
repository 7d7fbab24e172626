package chart

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"

	"helm.sh/helm/v4/pkg/chart/common"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
)

// tick is the function that templates call without knowing: at the beginning of each
// named template and of each turn of a loop. That is where a rendering can be stopped;
// the engine has no other place.
const tick = "refloatTick"

// mostNesting of blocks in a template: the parser recurses.
const mostNesting = 1000

// instrument adds ticks to all templates of a chart and the charts in it.
func (j *job) instrument(c *helmchart.Chart) error {
	for _, f := range c.Templates {
		if f == nil {
			continue
		}
		text := string(f.Data)
		if err := shallow(text); err != nil {
			return &TemplateError{Chart: j.Chart.String(), File: j.where(c.ChartFullPath() + "/" + f.Name), Message: err.Error(), cause: ErrLimit}
		}
		*f = common.File{Name: f.Name, ModTime: f.ModTime, Data: []byte(ticking(f.Name, text))}
	}
	for _, d := range c.Dependencies() {
		if err := j.instrument(d); err != nil {
			return err
		}
	}
	return nil
}

var block = regexp.MustCompile(`\{\{-?\s*(if|range|with|define|block|end)\b`)

// shallow counts how deep blocks are nested, without parsing.
func shallow(text string) error {
	depth := 0
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		if m[1] == "end" {
			depth--
			continue
		}
		if depth++; depth > mostNesting {
			return fmt.Errorf("blocks are nested deeper than %d: %w", mostNesting, ErrLimit)
		}
	}
	return nil
}

// ticking is the template with ticks in it. Lines stay where they are, and so does
// every space of the output. A template that cannot be parsed is left alone: the engine
// says why.
func ticking(name, text string) string {
	trees := map[string]*parse.Tree{}
	root := parse.New(name)
	root.Mode = parse.SkipFuncCheck
	if _, err := root.Parse(text, "", "", trees); err != nil {
		return text
	}
	var at []int
	for treeName, t := range trees {
		if t.Root == nil {
			continue
		}
		if treeName != name {
			at = append(at, int(t.Root.Pos))
		}
		at = append(at, loops(t.Root)...)
	}
	slices.Sort(at)
	var b strings.Builder
	done := 0
	for _, pos := range slices.Compact(at) {
		end := actionEnd(text, pos)
		if end <= done {
			continue
		}
		b.WriteString(text[done:end])
		// A tick prints nothing. Where the action before it trims what follows, it has to
		// do so in its place.
		if strings.HasSuffix(text[:end], "-}}") {
			b.WriteString("{{" + tick + " -}}")
		} else {
			b.WriteString("{{" + tick + "}}")
		}
		done = end
	}
	b.WriteString(text[done:])
	return b.String()
}

// actionEnd is where the action ended that opened the list whose first token is at pos:
// between them there is only space that was trimmed.
func actionEnd(text string, pos int) int {
	before := strings.TrimRight(text[:min(pos, len(text))], " \t\r\n")
	if !strings.HasSuffix(before, "}}") {
		return -1
	}
	return len(before)
}

// loops finds the bodies of range below a node.
func loops(n parse.Node) []int {
	var found []int
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			found = append(found, loops(child)...)
		}
	case *parse.RangeNode:
		found = append(found, int(n.List.Pos))
		found = append(found, branches(&n.BranchNode)...)
	case *parse.IfNode:
		found = branches(&n.BranchNode)
	case *parse.WithNode:
		found = branches(&n.BranchNode)
	}
	return found
}

func branches(b *parse.BranchNode) []int {
	return append(loops(b.List), loops(b.ElseList)...)
}
