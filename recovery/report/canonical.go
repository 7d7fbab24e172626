package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"
)

const (
	// maxNested bounds how deep JSON may be nested.
	maxNested = 100
	// MaxBytes of a report's JSON form that is read.
	MaxBytes = 64 << 20
)

// Canonical JSON: no white space, names sorted, numbers as they are written. A report that
// was only laid out differently has the same. Names that are there twice are refused: two
// readers could take different ones.
func Canonical(raw []byte) ([]byte, error) {
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("the report has more than %d bytes", MaxBytes)
	}
	if !utf8.Valid(raw) { // the decoder would take any bad byte for the same
		return nil, errors.New("the report is not JSON as it is written by Refloat: it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var out bytes.Buffer
	if err := canonical(d, &out, 0); err != nil {
		return nil, fmt.Errorf("the report is not JSON as it is written by Refloat: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the report is not JSON as it is written by Refloat: something follows its end")
	}
	return out.Bytes(), nil
}

func canonical(d *json.Decoder, out *bytes.Buffer, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("it is nested more than %d deep", maxNested)
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return canonicalObject(d, out, depth)
	case json.Delim('['):
		return canonicalArray(d, out, depth)
	}
	return literal(out, token)
}

func canonicalObject(d *json.Decoder, out *bytes.Buffer, depth int) error {
	members := map[string][]byte{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			return errors.New("a name of an object is no text")
		}
		if _, twice := members[name]; twice {
			return fmt.Errorf("the name %q is there twice", name)
		}
		var value bytes.Buffer
		if err := canonical(d, &value, depth+1); err != nil {
			return err
		}
		members[name] = value.Bytes()
	}
	if _, err := d.Token(); err != nil { // the end of the object
		return err
	}
	out.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := literal(out, name); err != nil {
			return err
		}
		out.WriteByte(':')
		out.Write(members[name])
	}
	out.WriteByte('}')
	return nil
}

func canonicalArray(d *json.Decoder, out *bytes.Buffer, depth int) error {
	out.WriteByte('[')
	for i := 0; d.More(); i++ {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := canonical(d, out, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // the end of the array
		return err
	}
	out.WriteByte(']')
	return nil
}

func literal(out *bytes.Buffer, token json.Token) error {
	raw, err := json.Marshal(token)
	out.Write(raw)
	return err
}

// Digest of a report's JSON form, sha256:…, whatever its layout.
func Digest(raw []byte) (string, error) {
	form, err := Canonical(raw)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(form)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
