package faultproxy

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

// remembered is an answer to a read.
type remembered struct {
	code   int
	header http.Header
	body   []byte
}

// memory holds the last answer to each read, to give it again when the server is to look
// as if it had stood still. A zero memory remembers nothing.
type memory struct {
	mu      sync.Mutex
	answers map[string]remembered
	until   time.Time
}

func question(r *http.Request) string {
	return fmt.Sprintf("%s %s as %s", r.Method, r.URL.RequestURI(), r.Header.Get("Accept"))
}

// hold the answers as they are for a while.
func (m *memory) hold(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until = time.Now().Add(d)
}

// answer from memory; false when the server has to be asked.
func (m *memory) answer(w http.ResponseWriter, r *http.Request) bool {
	m.mu.Lock()
	known, ok := m.answers[question(r)]
	ok = ok && time.Now().Before(m.until)
	m.mu.Unlock()
	if !ok {
		return false
	}
	maps.Copy(w.Header(), known.header)
	w.WriteHeader(known.code)
	_, _ = w.Write(known.body)
	return true
}

// remember what a server answers to a read.
func (m *memory) remember(response *http.Response) error {
	r := response.Request
	if r.Method != http.MethodGet || isWatch(r) {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().After(m.until) {
		m.answers[question(r)] = remembered{response.StatusCode, response.Header.Clone(), body}
	}
	return nil
}
