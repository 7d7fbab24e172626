package argocd

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// globOptions say which dialect a pattern is in: Argo CD uses several.
type globOptions struct {
	// braces allow {a,b}.
	braces bool
	// segments keep * and ? within one path segment, and let ** cross them.
	segments bool
}

// compileGlob translates a glob to a regular expression, whose time is linear in the
// text whatever the pattern is.
func compileGlob(pattern string, o globOptions) (func(string) bool, error) {
	if len(pattern) > 10_000 {
		return nil, errors.New("the pattern is too long")
	}
	g := &globber{pattern: pattern, options: o}
	g.out.WriteString(`(?s)\A`)
	for g.at < len(pattern) {
		g.next()
	}
	g.out.WriteString(`\z`)
	expression, err := regexp.Compile(g.out.String())
	if err != nil || g.depth != 0 {
		return nil, fmt.Errorf("pattern %q is not valid: check its brackets and braces", cut(pattern))
	}
	return expression.MatchString, nil
}

type globber struct {
	pattern string
	options globOptions
	at      int
	depth   int
	out     strings.Builder
}

// next translates what is at the current place.
func (g *globber) next() {
	rest := g.pattern[g.at:]
	many, one := ".*", "."
	if g.options.segments {
		many, one = "[^/]*", "[^/]"
	}
	switch c := rest[0]; {
	case g.options.segments && strings.HasPrefix(rest, "**/"):
		g.emit("(?:.*/)?", 3)
	case strings.HasPrefix(rest, "**"):
		g.emit(".*", 2)
	case c == '*':
		g.emit(many, 1)
	case c == '?':
		g.emit(one, 1)
	case c == '[':
		g.class(rest)
	case c == '\\' && len(rest) > 1:
		g.emit(regexp.QuoteMeta(rest[1:2]), 2)
	case g.options.braces && strings.IndexByte("{,}", c) >= 0:
		g.brace(c)
	default:
		g.emit(regexp.QuoteMeta(rest[:1]), 1)
	}
}

// brace translates {a,b}; a comma or a closing brace outside is itself.
func (g *globber) brace(c byte) {
	switch {
	case c == '{':
		g.depth++
		g.emit("(?:", 1)
	case g.depth == 0:
		g.emit(regexp.QuoteMeta(string(c)), 1)
	case c == '}':
		g.depth--
		g.emit(")", 1)
	default:
		g.emit("|", 1)
	}
}

func (g *globber) emit(expression string, width int) {
	g.out.WriteString(expression)
	g.at += width
}

// class translates [a-z] and [!a-z]; one without an end is a plain bracket.
func (g *globber) class(rest string) {
	body, _, closed := strings.Cut(rest[1:], "]")
	if !closed || body == "" {
		g.emit(`\[`, 1)
		return
	}
	inner, sign := body, ""
	if strings.HasPrefix(body, "!") || strings.HasPrefix(body, "^") {
		inner, sign = body[1:], "^"
	}
	inner = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`, `&`, `\&`).Replace(inner)
	g.emit("["+sign+inner+"]", len(body)+2)
}
