package render

import (
	"bytes"
	"slices"
	"strings"
)

// maxNestedDefaults bounds ${A:=${B:=…}}.
const maxNestedDefaults = 10

// substitute replaces ${NAME} and ${NAME:=default} in text. $${NAME} is left as
// ${NAME}. A variable that has neither value nor default is an error with its line.
func substitute(file string, line int, text []byte, values map[string]string, most int64) ([]byte, error) {
	if !bytes.Contains(text, []byte("${")) {
		return text, nil
	}
	s := substitution{file: file, line: line, values: values, most: most}
	out, err := s.expand(string(text), 0)
	return []byte(out), err
}

type substitution struct {
	file   string
	line   int // of the text's first line
	values map[string]string
	most   int64
	size   int64
}

func (s *substitution) expand(text string, depth int) (string, error) {
	if depth > maxNestedDefaults {
		return "", inputErrorf(s.file, s.line, "has variables nested deeper than %d", maxNestedDefaults)
	}
	var out strings.Builder
	line := s.line
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			out.WriteString(text)
			return out.String(), s.grow(line, len(text))
		}
		line += strings.Count(text[:at], "\n")
		if at > 0 && text[at-1] == '$' {
			out.WriteString(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		out.WriteString(text[:at])
		end := closing(text[at:])
		if end < 0 {
			return "", inputErrorf(s.file, line, "opens a variable with ${ and never closes it; write $${ for a literal ${")
		}
		inside := text[at+2 : at+end]
		value, err := (&substitution{file: s.file, line: line, values: s.values, most: s.most}).value(inside, depth)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		if err := s.grow(line, at+len(value)); err != nil {
			return "", err
		}
		line += strings.Count(inside, "\n")
		text = text[at+end+1:]
	}
}

// grow keeps the result within the size of a file.
func (s *substitution) grow(line, n int) error {
	if s.size += int64(n); s.size > s.most {
		return inputErrorf(s.file, line, "grows beyond %d bytes when its variables are replaced", s.most)
	}
	return nil
}

// closing is the offset of the brace that closes the ${ at the start of text, or -1.
func closing(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			depth++
			i++
		case text[i] == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// value of what stands between the braces.
func (s *substitution) value(inside string, depth int) (string, error) {
	name := inside
	for i := range inside {
		if !isNameByte(inside[i], i == 0) {
			name = inside[:i]
			break
		}
	}
	rest := inside[len(name):]
	if name == "" {
		return "", inputErrorf(s.file, s.line, "has ${%s}, which is not a variable; write $${ for a literal ${", short(inside))
	}
	value, given := s.values[name]
	for _, operator := range []string{":=", ":-"} {
		if fallback, ok := strings.CutPrefix(rest, operator); ok {
			if value != "" {
				return value, nil
			}
			return s.expand(fallback, depth+1)
		}
	}
	if rest != "" {
		return "", inputErrorf(s.file, s.line, "has ${%s}: only ${NAME} and ${NAME:=default} are supported", short(inside))
	}
	if !given {
		return "", inputErrorf(s.file, s.line, "uses the variable %s, which has no value: set it or give a default with ${%s:=…} (known: %s)",
			name, name, strings.Join(s.known(), ", "))
	}
	return value, nil
}

func (s *substitution) known() []string {
	names := make([]string, 0, len(s.values))
	for n := range s.values {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func isNameByte(b byte, first bool) bool {
	return b == '_' || (b|0x20 >= 'a' && b|0x20 <= 'z') || (!first && b >= '0' && b <= '9')
}

func short(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
