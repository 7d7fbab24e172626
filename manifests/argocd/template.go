package argocd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

const (
	// mostTemplateText bounds one template before it is parsed.
	mostTemplateText = 256 << 10
	// mostCached bounds the parsed templates that are kept.
	mostCached = 2_000
	// mostTpl bounds how deeply the function tpl may call itself.
	mostTpl = 10
	// tick is the function that every loop and every named template begins with.
	tick = "refloatTick"
)

// errOutput ends a template that writes too much.
var errOutput = errors.New("makes too much text: shorten its loops")

// templater fills parameters in, within what one ApplicationSet may cost.
//
// Go's templates have no limits of their own. So each loop counts its rounds through a
// call that is put into the parsed template, every function checks the size of what it
// takes and gives, and what is written is counted.
type templater struct {
	ctx     context.Context
	limits  Limits
	goMode  bool
	options []string
	funcs   template.FuncMap
	cache   map[string]*template.Template
	steps   int
	written int
	nested  int
}

func newTemplater(ctx context.Context, goMode bool, options []string, limits Limits) (*templater, error) {
	for _, o := range options {
		if !slices.Contains([]string{"missingkey=default", "missingkey=invalid", "missingkey=zero", "missingkey=error"}, o) {
			return nil, fmt.Errorf("spec.goTemplateOptions: %q is not known: use missingkey=error, default, invalid or zero", cut(o))
		}
	}
	t := &templater{ctx: ctx, limits: limits, goMode: goMode, options: options, cache: map[string]*template.Template{}}
	if goMode {
		t.funcs = t.functions()
	}
	return t, nil
}

// tree fills parameters into every text of a tree, keys included.
func (t *templater) tree(value any, p params) (any, error) {
	switch v := value.(type) {
	case string:
		return t.text(v, p)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = t.tree(v[i], p); err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name, err := t.text(key, p)
			if err != nil {
				return nil, err
			}
			if out[name], err = t.tree(v[key], p); err != nil {
				return nil, fmt.Errorf("%s: %w", cut(key), err)
			}
		}
		return out, nil
	}
	return value, nil
}

// text fills parameters into one text.
func (t *templater) text(text string, p params) (string, error) {
	if err := t.step(1); err != nil {
		return "", err
	}
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	out := &boundedText{most: t.limits.TemplateBytes, total: &t.written, mostTotal: t.limits.OutputBytes}
	if !t.goMode {
		return simple(text, p, out)
	}
	return t.execute(text, p, out)
}

// simple replaces {{name}} by the parameter of that name, and leaves what is none.
func simple(text string, p params, out *boundedText) (string, error) {
	for {
		before, rest, open := strings.Cut(text, "{{")
		tag, after, closed := strings.Cut(rest, "}}")
		if !open || !closed {
			_, err := out.WriteString(text)
			return out.String(), err
		}
		value, ok := p[strings.TrimSpace(tag)].(string)
		if !ok {
			value = "{{" + tag + "}}"
		}
		if _, err := out.WriteString(before + value); err != nil {
			return "", err
		}
		text = after
	}
}

func (t *templater) execute(text string, p params, out *boundedText) (result string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("template %q cannot be executed", cut(text))
		}
	}()
	parsed, err := t.parsed(text)
	if err != nil {
		return "", err
	}
	if err := parsed.Execute(out, p); err != nil {
		if t.ctx.Err() != nil {
			return "", context.Cause(t.ctx)
		}
		return "", fmt.Errorf("template %q: %w", cut(text), err)
	}
	return out.String(), nil
}

// parsed is a template with a tick in each loop.
func (t *templater) parsed(text string) (*template.Template, error) {
	if known := t.cache[text]; known != nil {
		return known, nil
	}
	if len(text) > mostTemplateText {
		return nil, fmt.Errorf("a template is larger than %d bytes", mostTemplateText)
	}
	parsed, err := template.New("").Option(t.options...).Funcs(t.funcs).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("template %q: %w", cut(text), err)
	}
	calls := map[string][]string{}
	for _, named := range parsed.Templates() {
		if named.Tree == nil || named.Root == nil {
			continue
		}
		named.Root.Nodes = slices.Insert(named.Root.Nodes, 0, ticking())
		instrument(named.Root, func(name string) { calls[named.Name()] = append(calls[named.Name()], name) })
	}
	if recursive(calls) {
		return nil, fmt.Errorf("template %q includes itself", cut(text))
	}
	if len(t.cache) < mostCached {
		t.cache[text] = parsed
	}
	return parsed, nil
}

// ticking is an action that calls tick.
func ticking() parse.Node {
	tree, err := parse.Parse("", "{{"+tick+"}}", "", "", map[string]any{tick: func() string { return "" }})
	if err != nil || len(tree[""].Root.Nodes) != 1 {
		return &parse.TextNode{NodeType: parse.NodeText}
	}
	return tree[""].Root.Nodes[0]
}

// instrument puts a tick into each loop below a node and reports the templates it calls.
func instrument(node parse.Node, called func(string)) {
	branch := func(b *parse.BranchNode) {
		instrument(b.List, called)
		if b.ElseList != nil {
			instrument(b.ElseList, called)
		}
	}
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, below := range n.Nodes {
				instrument(below, called)
			}
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
		n.List.Nodes = slices.Insert(n.List.Nodes, 0, ticking())
	case *parse.TemplateNode:
		called(n.Name)
	}
}

// recursive is true when a template can come to call itself.
func recursive(calls map[string][]string) bool {
	const open, done = 1, 2
	state := map[string]int{}
	var visit func(string) bool
	visit = func(name string) bool {
		if state[name] != 0 {
			return state[name] == open
		}
		state[name] = open
		for _, next := range calls[name] {
			if visit(next) {
				return true
			}
		}
		state[name] = done
		return false
	}
	for name := range calls {
		if visit(name) {
			return true
		}
	}
	return false
}

// step counts work and ends it when there was too much.
func (t *templater) step(n int) error {
	if t.steps += n; t.steps > t.limits.Steps {
		return fmt.Errorf("its templates take more than %d steps: shorten their loops", t.limits.Steps)
	}
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	return nil
}

// boundedText collects what a template writes.
type boundedText struct {
	strings.Builder
	most      int
	total     *int
	mostTotal int
}

func (b *boundedText) count(n int) error {
	*b.total += n
	if b.Len()+n > b.most || *b.total > b.mostTotal {
		return errOutput
	}
	return nil
}

// Write implements io.Writer.
func (b *boundedText) Write(p []byte) (int, error) {
	if err := b.count(len(p)); err != nil {
		return 0, err
	}
	return b.Builder.Write(p)
}

// WriteString implements io.StringWriter.
func (b *boundedText) WriteString(s string) (int, error) {
	if err := b.count(len(s)); err != nil {
		return 0, err
	}
	return b.Builder.WriteString(s)
}
