package outbound_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/outbound"
)

const canary = "canary-91c2"

// receiver keeps what it got.
type receiver struct {
	mu   sync.Mutex
	keys []string
	body string
	sign string
	auth string
}

func (r *receiver) got(request *http.Request) int {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, request.Header.Get("Idempotency-Key"))
	r.body, r.sign, r.auth = string(body), request.Header.Get("Refloat-Signature"), request.Header.Get("Authorization")
	return len(r.keys)
}

func message(url string) outbound.Message {
	return outbound.Message{
		URL: url + "/hook?token=" + canary, Key: "run/switch-dns", Body: map[string]string{"kind": "Switch"}, Timeout: 2 * time.Second, Now: time.Unix(1700000000, 0),
	}
}

// TestPost: every answer that a hook may give ends in a good answer or in one clear clause,
// without the address.
func TestPost(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	for name, test := range map[string]struct {
		answer func(n int, w http.ResponseWriter, r *http.Request)
		says   string
		times  int // 0 for several
	}{
		"good": {answer: func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, times: 1},
		"good in the end": {times: 2, answer: func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}},
		"500": {says: "gave no good answer within 2s; the last attempt: it answers 500 Internal Server Error", answer: func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }},
		"403": {says: "answers 403 Forbidden", times: 1, answer: func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, canary)
		}},
		"hangs": {says: "did not answer within 2s", times: 1, answer: func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"redirects": {says: "redirects to another host (\"localhost\"), which is not followed", times: 1, answer: func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)+"/?token="+canary, http.StatusTemporaryRedirect)
		}},
		"redirects at home": {says: "answers 302 Found and redirects, which is not followed", times: 1, answer: func(_ int, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", http.StatusFound) }},
		"drops the connection": {says: "gave no good answer within 2s", answer: func(_ int, w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				conn.Close()
			}
		}},
		"endless answer": {times: 1, answer: func(_ int, w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &receiver{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) { test.answer(r.got(request), w, request) }))
			t.Cleanup(server.Close)
			answer, err := outbound.Post(t.Context(), message(server.URL))
			if test.says == "" && (err != nil || answer == "") || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Fatalf("answer %q, error %v; want it to say %q", answer, err, test.says)
			}
			var refusal outbound.Refusal
			if err != nil && (!errors.As(err, &refusal) || strings.Contains(err.Error(), canary)) {
				t.Errorf("the error: %v", err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if test.times > 0 && len(r.keys) != test.times || test.times == 0 && len(r.keys) < 2 {
				t.Errorf("it was asked %d times, want %d", len(r.keys), test.times)
			}
			for _, key := range r.keys {
				if key != "run/switch-dns" {
					t.Errorf("idempotency key %q", key)
				}
			}
		})
	}
}

// TestPostSigned: the receiver can tell who sent the message and when.
func TestPostSigned(t *testing.T) {
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) { r.got(request) }))
	t.Cleanup(server.Close)
	m := message(server.URL)
	m.Credentials = outbound.CredentialsOf(map[string][]byte{"key": []byte("secret"), "token": []byte("bearer\n")})
	if _, err := outbound.Post(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte("secret"))
	fmt.Fprintf(mac, "1700000000.%s", r.body)
	if want := "t=1700000000,v1=" + hex.EncodeToString(mac.Sum(nil)); r.sign != want || r.auth != "Bearer bearer" {
		t.Errorf("signature %q, want %q; authorization %q", r.sign, want, r.auth)
	}
}

// TestPostOverTLS: a certificate that is not trusted is named, once, and one that the
// Secret's authority signed is.
func TestPostOverTLS(t *testing.T) {
	r := &receiver{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) { r.got(request) }))
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	for name, test := range map[string]struct {
		url  string
		ca   []byte
		says string
	}{
		"trusted":           {url: server.URL, ca: ca},
		"unknown authority": {url: server.URL, says: "its certificate is signed by an authority that is not known"},
		"another name":      {url: strings.Replace(server.URL, "127.0.0.1", "localhost", 1), ca: ca, says: "its certificate is for another name"},
		"not PEM":           {url: server.URL, ca: []byte("nonsense"), says: "ca.crt of its Secret holds no certificate in PEM"},
		"no TLS":            {url: strings.Replace(plain.URL, "http://", "https://", 1), says: "it does not speak TLS"},
		"no address":        {url: "https://", says: "it is no address"},
	} {
		t.Run(name, func(t *testing.T) {
			m := message(test.url)
			m.Credentials.CA = test.ca
			_, err := outbound.Post(t.Context(), m)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want it to say %q", err, test.says)
			}
		})
	}
	if len(r.keys) != 1 {
		t.Errorf("%d messages arrived, want one", len(r.keys))
	}
}
