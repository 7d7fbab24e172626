package render

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// document is one YAML document, or one JSON value, of a file.
type document struct {
	text []byte
	// line of the file on which text begins, from 1.
	line int
	// root is the parsed document; nil for an empty one.
	root *yaml.Node
	json bool
}

// at is the line in the file of a node.
func (d document) at(n *yaml.Node) int {
	if n == nil || n.Line == 0 {
		return d.line
	}
	return d.line + n.Line - 1
}

// documents splits a file and parses each document. Empty ones are left out.
func (r *renderer) documents(file string, data []byte) ([]document, error) {
	data, err := textOf(file, data)
	if err != nil {
		return nil, err
	}
	var docs []document
	if looksLikeJSON(data) {
		docs, err = splitJSON(file, data, r.limits)
	} else {
		docs, err = split(file, data, r.limits.Documents)
	}
	if err != nil {
		return nil, err
	}
	kept := docs[:0]
	for _, d := range docs {
		if r.options.Variables != nil {
			if d.text, err = substitute(file, d.line, d.text, r.options.Variables, r.limits.FileBytes); err != nil {
				return nil, err
			}
		}
		if d.root, err = r.parse(file, d); err != nil {
			return nil, err
		}
		if d.root != nil {
			kept = append(kept, d)
		}
	}
	return kept, nil
}

// split cuts a YAML stream at its document markers. A line that begins with --- or
// ... followed by a blank or nothing is always a marker: no scalar can contain it.
func split(file string, data []byte, most int) ([]document, error) {
	var docs []document
	start, startLine := 0, 1
	flush := func(end int) {
		if text := data[start:end]; !blank(text) {
			docs = append(docs, document{text: text, line: startLine})
		}
	}
	line := 0
	for at := 0; at < len(data); {
		line++
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		if isMarker(data[at:end], "---") || isMarker(data[at:end], "...") {
			flush(at)
			if len(docs) >= most {
				return nil, inputErrorf(file, line, "more than %d documents in one file", most)
			}
			// What follows the marker on its line belongs to the next document.
			start, startLine = at+3, line
		}
		at = end
	}
	flush(len(data))
	return docs, nil
}

func isMarker(line []byte, marker string) bool {
	if !bytes.HasPrefix(line, []byte(marker)) {
		return false
	}
	return len(line) == len(marker) || bytes.IndexByte([]byte(" \t\r\n"), line[len(marker)]) >= 0
}

// blank is true for text that holds only comments, directives and white space.
func blank(text []byte) bool {
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		text = rest
		// A directive begins in the first column.
		if len(line) > 0 && line[0] == '%' {
			continue
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}
