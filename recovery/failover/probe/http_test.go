package probe

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/recovery/failover"
)

// TestHTTP asks servers that answer in every way.
func TestHTTP(t *testing.T) {
	hang := make(chan struct{})
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/token":
			if r.Header.Get("Authorization") != "Bearer canary-token" {
				w.WriteHeader(http.StatusForbidden)
			}
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/teapot":
			w.WriteHeader(http.StatusTeapot)
		case "/elsewhere":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/hang":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
	}))
	defer server.Close()
	defer close(hang)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct {
		url    string
		status int
		ca     []byte
		err    error
		token  bool // although it is not https
		within time.Duration
		want   failover.Kind
	}{
		"good":                {url: server.URL + "/", ca: ca, want: failover.Alive},
		"with a token":        {url: server.URL + "/token", ca: ca, want: failover.Alive},
		"broken":              {url: server.URL + "/broken", ca: ca, want: failover.Dead},
		"the status it wants": {url: server.URL + "/teapot", status: 418, ca: ca, want: failover.Alive},
		"another status":      {url: server.URL + "/", status: 418, ca: ca, want: failover.Dead},
		"elsewhere":           {url: server.URL + "/elsewhere", ca: ca, want: failover.Dead},
		"endless":             {url: server.URL + "/endless", ca: ca, want: failover.Alive},
		"nothing listens":     {url: gone.URL, want: failover.Dead},
		"a token over http":   {url: gone.URL, token: true, want: failover.Unknown},
		"bad certificate":     {url: server.URL + "/", want: failover.Unknown},
		"no certificate":      {url: server.URL + "/", ca: []byte("canary"), want: failover.Unknown},
		"no secret":           {url: server.URL + "/", err: errors.New("no"), want: failover.Unknown},
		"hangs":               {url: server.URL + "/hang", ca: ca, within: 200 * time.Millisecond, want: failover.NoAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if c.within != 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.within)
				defer cancel()
			}
			h := &HTTP{URL: c.url, Status: c.status, Clock: clock.RealClock{}, Secret: func(context.Context) (string, []byte, error) {
				if !strings.HasPrefix(c.url, "https:") && !c.token {
					return "", c.ca, c.err
				}
				return "canary-token", c.ca, c.err
			}}
			kind, message := h.ask(ctx)
			if kind != c.want {
				t.Errorf("%v, want %v (%s)", kind, c.want, message)
			}
			if strings.Contains(message, "canary") {
				t.Errorf("it says %q", message)
			}
		})
	}
}

// TestNameThatDoesNotExist says nothing: a misspelt address would be a vote for death for ever.
func TestNameThatDoesNotExist(t *testing.T) {
	err := &url.Error{Op: "Get", URL: "https://shop.exmaple.com", Err: &net.DNSError{Err: "no such host", Name: "shop.exmaple.com", IsNotFound: true}}
	if kind, says := unserved(err); kind != failover.Unknown || !strings.Contains(says, "spec.signals") {
		t.Errorf("%v: %s", kind, says)
	}
	if kind, _ := unserved(&url.Error{Op: "Get", URL: "https://a", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}); kind != failover.Dead {
		t.Errorf("refused: %v", kind)
	}
}
