// Package pack makes JSON small enough for a ConfigMap or a Secret, and reads it back
// without trusting it.
package pack

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// Most bytes of packed data that a ConfigMap or Secret holds, of the mebibyte that an API
// server takes.
const Most = 900 << 10

// mostRead bounds what is decompressed, against crafted data.
const mostRead = 64 << 20

// Pack a value.
func Pack(v any) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return b.Bytes(), nil
}

// Unpack what Pack made.
func Unpack(raw []byte, v any) error {
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, mostRead+1))
	if err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	if len(plain) > mostRead {
		return fmt.Errorf("it has more than %d bytes", mostRead)
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}
