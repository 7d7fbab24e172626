package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// looksLikeJSON is true for text whose first character opens a JSON object or list
// and whose first value is JSON. A YAML flow mapping that is not JSON stays YAML.
func looksLikeJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) < 2 || (data[0] != '{' && data[0] != '[') {
		return false
	}
	rest := bytes.TrimLeft(data[1:], " \t\r\n")
	return len(rest) > 0 && bytes.IndexByte([]byte(`"]}{[`), rest[0]) >= 0
}

// splitJSON cuts a stream of JSON values and checks depth and keys on the way,
// token by token, so that nothing recurses. Text that turns out not to be JSON is
// given back as YAML.
func splitJSON(file string, data []byte, limits Limits) ([]document, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var docs []document
	line, counted := 1, 0 // of the last value's start; counting from the beginning each time would be quadratic
	for {
		start := int(decoder.InputOffset())
		err := skipValue(file, data, decoder, limits)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		var fault *InputError
		if errors.As(err, &fault) {
			return nil, fault
		}
		if err != nil {
			if len(docs) == 0 {
				return split(file, data, limits.Documents)
			}
			return nil, inputErrorf(file, lineAt(data, int(decoder.InputOffset())), "is not valid JSON: %v", err)
		}
		end := int(decoder.InputOffset())
		for start < end && bytes.IndexByte([]byte(" \t\r\n"), data[start]) >= 0 {
			start++
		}
		line += bytes.Count(data[counted:start], []byte("\n"))
		counted = start
		if len(docs) >= limits.Documents {
			return nil, inputErrorf(file, line, "more than %d documents in one file", limits.Documents)
		}
		docs = append(docs, document{text: data[start:end], line: line, json: true})
	}
}

// level is one open object or list.
type level struct {
	keys map[string]bool // nil in a list
	key  bool            // the next string is a key
}

// skipValue reads one value. io.EOF means that there was none.
func skipValue(file string, data []byte, decoder *json.Decoder, limits Limits) error {
	var open []level
	for nodes := 0; ; nodes++ {
		token, err := decoder.Token()
		if err != nil {
			if errors.Is(err, io.EOF) && len(open) > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		at := func() int { return lineAt(data, int(decoder.InputOffset())) }
		if nodes > limits.Nodes {
			return inputErrorf(file, at(), "holds more than %d values", limits.Nodes)
		}
		top := len(open) - 1
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				if len(open) >= limits.Depth {
					return inputErrorf(file, at(), "is nested deeper than %d levels", limits.Depth)
				}
				l := level{}
				if t == '{' {
					l = level{keys: map[string]bool{}, key: true}
				}
				open = append(open, l)
				continue
			default:
				open = open[:top]
			}
		case string:
			if top >= 0 && open[top].key {
				if open[top].keys[t] {
					return inputErrorf(file, at(), "has the key %q twice: remove one", t)
				}
				open[top].keys[t] = true
				open[top].key = false
				continue
			}
		}
		if len(open) == 0 {
			return nil
		}
		// A value ended: in an object the next string is a key again.
		open[len(open)-1].key = open[len(open)-1].keys != nil
	}
}
