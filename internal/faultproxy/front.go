package faultproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Options of Listen.
type Options struct {
	// Name of the server behind, for plans and messages.
	Name string
	// Upstream is the access to the server. Its identity is the one that the server's
	// audit log shows: that of the client is not passed on.
	Upstream *rest.Config
	// Certificate that the proxy shows, for the address that it listens on.
	Certificate tls.Certificate
	// Sequence numbers the writes; nil for a proxy that only passes on.
	Sequence *Sequence
	// Remember answers to reads, for StaleReads.
	Remember bool
}

// Front is a proxy that listens on a free loopback port.
type Front struct {
	options Options
	address string
	target  *url.URL
	proxy   *httputil.ReverseProxy
	ice     gate
	silence gate
	memory  memory

	mu      sync.Mutex
	server  *http.Server
	watches map[*context.CancelFunc]struct{}
}

// Listen starts a proxy. Close it.
func Listen(o Options) (*Front, error) {
	transport, err := rest.TransportFor(o.Upstream)
	if err != nil {
		return nil, fmt.Errorf("proxy before %s: %w", o.Name, err)
	}
	target, err := url.Parse(o.Upstream.Host)
	if err != nil {
		return nil, fmt.Errorf("proxy before %s: address of the server: %w", o.Name, err)
	}
	f := &Front{options: o, target: target, watches: map[*context.CancelFunc]struct{}{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Header.Del("Authorization") },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { abort() },
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	if o.Remember {
		f.memory.answers = map[string]remembered{}
		f.proxy.ModifyResponse = f.memory.remember
	}
	return f, f.listen("127.0.0.1:0")
}

func (f *Front) listen(address string) error {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return fmt.Errorf("proxy before %s: %w", f.options.Name, err)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(f.serve),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{f.options.Certificate}, MinVersion: tls.VersionTLS12},
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
	}
	f.mu.Lock()
	f.address, f.server = listener.Addr().String(), server
	f.mu.Unlock()
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return nil
}

// URL that clients use.
func (f *Front) URL() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return "https://" + f.address
}

// Address is host and port.
func (f *Front) Address() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.address
}

// Close ends the proxy and every connection through it: the server is gone.
func (f *Front) Close() {
	f.mu.Lock()
	server := f.server
	f.mu.Unlock()
	f.Thaw()
	f.silence.open()
	_ = server.Close()
}

// Reopen lets the server be there again, at the address that it had.
func (f *Front) Reopen() error { return f.listen(f.Address()) }

// Freeze holds every request until Thaw.
func (f *Front) Freeze() { f.ice.close() }

// Thaw lets held requests go on, also those whose clients gave up.
func (f *Front) Thaw() { f.ice.open() }

// CutWatches ends the watches that are open now.
func (f *Front) CutWatches() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for cancel := range f.watches {
		(*cancel)()
	}
}

// abort ends a request without an answer.
func abort() {
	panic(http.ErrAbortHandler) //nolint:forbidigo // net/http has no other way to give no answer
}

func (f *Front) serve(w http.ResponseWriter, r *http.Request) {
	if isWatch(r) {
		f.watch(w, r)
		return
	}
	if f.options.Sequence == nil || !Counts(r.Method, r.URL) {
		if !f.ice.pass(r.Context()) {
			abort()
		}
		if !f.memory.answer(w, r) {
			f.proxy.ServeHTTP(w, r)
		}
		return
	}
	request := Request{Server: f.options.Name, Method: r.Method, Target: TargetOf(r.URL.Path)}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		abort() // the client is gone, or was cut off in the middle
	}
	_, verdict := f.options.Sequence.next(request)
	f.write(w, withBody(r, body), verdict)
}

const (
	// maxBody of a write; an API server takes less.
	maxBody = 16 << 20
	// longest time that a write may take, its being frozen included.
	longest = 2 * time.Minute
)

// write lets one write happen as the verdict says.
func (f *Front) write(w http.ResponseWriter, r *http.Request, v Verdict) {
	// What the client sent is under way, whatever becomes of the client.
	// A context that cannot end would make the reverse proxy watch the connection instead.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), longest)
	defer cancel()
	r = r.WithContext(ctx)
	if v.Freeze {
		f.ice.close()
		f.options.Sequence.frozen(f)
	}
	if !f.ice.pass(r.Context()) {
		abort()
	}
	if v.CutWatches {
		f.CutWatches()
	}
	if v.Silence > 0 {
		f.silence.close()
		time.AfterFunc(v.Silence, f.silence.open)
	}
	if v.Stale > 0 {
		f.memory.hold(v.Stale)
	}
	if v.Call {
		f.options.Sequence.called()
	}
	if v.Wait > 0 {
		pause(r.Context(), v.Wait)
	}
	switch {
	case v.Code != 0:
		refuse(w, v.Code)
	case v.Drop:
		if v.Kill {
			f.options.Sequence.killed(f)
		}
		abort()
	case v.DropAnswer:
		f.unanswered(r)
		if v.Kill {
			f.options.Sequence.killed(f)
		}
		abort()
	default:
		f.proxy.ServeHTTP(w, r)
	}
}

// unanswered carries a request out and keeps the answer.
func (f *Front) unanswered(r *http.Request) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.Host, out.RequestURI = f.target.Scheme, f.target.Host, "", ""
	out.Header.Del("Authorization")
	response, err := f.proxy.Transport.RoundTrip(out)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
}

func (f *Front) watch(w http.ResponseWriter, r *http.Request) {
	if !f.ice.pass(r.Context()) {
		abort()
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	f.mu.Lock()
	f.watches[&cancel] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watches, &cancel)
		f.mu.Unlock()
	}()
	f.proxy.ServeHTTP(&muffled{ResponseWriter: w, ctx: ctx, front: f}, r.WithContext(ctx))
}

// muffled delivers nothing while its proxy is silent or frozen.
type muffled struct {
	http.ResponseWriter
	ctx   context.Context
	front *Front
}

func (m *muffled) Write(p []byte) (int, error) {
	if !m.front.silence.pass(m.ctx) || !m.front.ice.pass(m.ctx) {
		return 0, errors.New("the watch was cut")
	}
	return m.ResponseWriter.Write(p)
}

// Unwrap lets the server flush.
func (m *muffled) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
