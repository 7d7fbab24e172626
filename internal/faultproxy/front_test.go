package faultproxy

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// server counts writes and streams watches for as long as the client listens.
func server(t *testing.T) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	writes := &atomic.Int32{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "" {
			for range 1000 {
				if _, err := io.WriteString(w, "event\n"); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(5 * time.Millisecond): // a stream that goes on, and does not flood
				}
			}
			return
		}
		if r.Method != http.MethodGet {
			writes.Add(1)
		}
		_, _ = io.Copy(w, r.Body)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s, writes
}

func listen(t *testing.T, s *httptest.Server, plan Plan) (*Front, *Sequence, *http.Client) {
	t.Helper()
	seq := NewSequence(plan)
	f, err := Listen(Options{Name: "server", Upstream: &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}},
		Certificate: s.TLS.Certificates[0], Sequence: seq})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	t.Cleanup(client.CloseIdleConnections)
	return f, seq, client
}

func post(t *testing.T, client *http.Client, f *Front) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL()+"/api/v1/namespaces/n/configmaps", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 {
		t.Errorf("HTTP/%d, want 2", response.ProtoMajor)
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// TestFaultsOfOneWrite has the second of three writes meet each fault.
func TestFaultsOfOneWrite(t *testing.T) {
	for _, test := range []struct {
		kind    Kind
		code    int // 0 for no answer
		effects int32
	}{
		{None, 200, 3}, {DropRequest, 0, 2}, {DropResponse, 0, 3}, {Delay, 200, 3}, {Conflict, 409, 2}, {TooMany, 429, 2}, {Broken, 500, 2},
		{KillBefore, 0, 2}, {KillAfter, 0, 3}, {CutWatches, 200, 3}, {StaleWatches, 200, 3},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			s, writes := server(t)
			f, seq, client := listen(t, s, Fault{Kind: test.kind, At: 2})
			kills := 0
			seq.Do(func(*Front) { kills++ }, nil, nil)
			for k := 1; k <= 3; k++ {
				code, body, err := post(t, client, f)
				switch {
				case k != 2 || test.code == 200:
					if err != nil || code != 200 || body != "hello" {
						t.Errorf("write %d: %d %q %v", k, code, body, err)
					}
				case test.code == 0 && err == nil, test.code != 0 && code != test.code:
					t.Errorf("write %d: %d %v, want %d", k, code, err, test.code)
				}
			}
			if n := writes.Load(); n != test.effects {
				t.Errorf("%d writes reached the server, want %d", n, test.effects)
			}
			if want := strings.HasPrefix(string(test.kind), "kill"); want != (kills == 1) {
				t.Errorf("killed %d times", kills)
			}
			if n := len(seq.Writes()); n != 3 {
				t.Errorf("%d writes counted, want 3", n)
			}
		})
	}
}

// TestFreezeHolds sends a write that stands still until it is thawed.
func TestFreezeHolds(t *testing.T) {
	s, writes := server(t)
	f, seq, client := listen(t, s, Fault{Kind: Freeze, At: 1})
	frozen := make(chan struct{})
	seq.Do(nil, func(*Front) { close(frozen) }, nil)
	done := make(chan error, 1)
	go func() { _, _, err := post(t, client, f); done <- err }()
	<-frozen
	select {
	case err := <-done:
		t.Fatalf("a frozen write ended: %v", err)
	case <-time.After(50 * time.Millisecond): // nothing tells that something does not happen
	}
	if writes.Load() != 0 {
		t.Error("a frozen write reached the server")
	}
	f.Thaw()
	if err := <-done; err != nil || writes.Load() != 1 {
		t.Errorf("after the thaw: %v, %d writes", err, writes.Load())
	}
}

// TestWatches passes, silences and cuts a watch, and lets the server come back.
func TestWatches(t *testing.T) {
	s, _ := server(t)
	f, _, client := listen(t, s, Fault{})
	open := func() (io.ReadCloser, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL()+"/api/v1/configmaps?watch=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		return response.Body, nil
	}
	body, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	line := make([]byte, 6)
	if _, err := io.ReadFull(body, line); err != nil || string(line) != "event\n" {
		t.Fatalf("%q %v", line, err)
	}
	f.CutWatches()
	if _, err := io.Copy(io.Discard, body); err == nil {
		t.Error("the watch ended in good order, want it cut")
	}
	f.Close()
	if _, err := open(); err == nil {
		t.Error("a closed proxy answers")
	}
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	again, err := open()
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

// TestStaleReads answers as before the write, then as it is.
func TestStaleReads(t *testing.T) {
	var version atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			version.Add(1)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", int(version.Load())))
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	f, err := Listen(Options{Name: "server", Upstream: &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}},
		Certificate: s.TLS.Certificates[0], Sequence: NewSequence(Fault{Kind: StaleReads, At: 1}), Remember: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	t.Cleanup(client.CloseIdleConnections)
	read := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL()+"/api/v1/namespaces/n", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return len(body)
	}
	if n := read(); n != 0 {
		t.Fatalf("version %d before the write", n)
	}
	if _, _, err := post(t, client, f); err != nil {
		t.Fatal(err)
	}
	if n := read(); n != 0 {
		t.Errorf("version %d right after the write, want the one before", n)
	}
	f.memory.hold(0)
	if n := read(); n != 1 {
		t.Errorf("version %d later, want 1", n)
	}
}

func TestTargets(t *testing.T) {
	for path, want := range map[string]Target{
		"/api/v1/namespaces":                                            {Resource: "namespaces"},
		"/api/v1/namespaces/kube-system":                                {Resource: "namespaces", Name: "kube-system"},
		"/api/v1/namespaces/n/status":                                   {Resource: "namespaces", Name: "n", Subresource: "status"},
		"/api/v1/namespaces/n/secrets/s":                                {Namespace: "n", Resource: "secrets", Name: "s"},
		"/apis/refloat.dev/v1alpha1/namespaces/n/recoveryruns/r/status": {Group: "refloat.dev", Namespace: "n", Resource: "recoveryruns", Name: "r", Subresource: "status"},
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/c":     {Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "c"},
		"/readyz": {}, "/": {}, "/api": {}, "/apis/apps/v1": {}, "": {},
	} {
		if got := TargetOf(path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

func TestCounts(t *testing.T) {
	for _, test := range []struct {
		method, url string
		want        bool
	}{
		{"POST", "/api/v1/namespaces/n/configmaps", true},
		{"POST", "/api/v1/namespaces/n/configmaps?dryRun=All", false},
		{"GET", "/api/v1/namespaces/n/configmaps", false},
		{"POST", "/apis/events.k8s.io/v1/namespaces/n/events", false},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", false},
		{"PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/" + LeaderLease, false},
		{"PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/refloat-dev", true},
		{"DELETE", "/apis/cluster.x-k8s.io/v1beta2/namespaces/n/clusters/c", true},
	} {
		u, err := url.Parse(test.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := Counts(test.method, u); got != test.want {
			t.Errorf("%s %s: %t", test.method, test.url, got)
		}
	}
}

// TestStormIsSeeded draws the same storm twice, and another from another seed.
func TestStormIsSeeded(t *testing.T) {
	draw := func(seed uint64) (out []Verdict) {
		for k := range 200 {
			out = append(out, Fault{Kind: Storm, At: 1, Seed: seed}.On(k+1, Request{}))
		}
		return out
	}
	a, b, other := draw(1), draw(1), draw(2)
	hit, differ := 0, 0
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("write %d differs between two draws", i+1)
		}
		if a[i] != (Verdict{}) {
			hit++
		}
		if a[i] != other[i] {
			differ++
		}
	}
	if hit < 20 || hit > 60 || differ == 0 {
		t.Errorf("%d of 200 writes hit, %d differ from another seed", hit, differ)
	}
}
