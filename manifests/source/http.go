package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/hashicorp/go-retryablehttp"
)

const (
	connectTimeout = 10 * time.Second
	headerTimeout  = 60 * time.Second
	retries        = 2
	retryWaitMin   = 100 * time.Millisecond
	retryWaitMax   = 2 * time.Second
	// errorBodyBytes is how much of a refusal is read for the message.
	errorBodyBytes = 4 << 10
)

// httpSession opens a smart-HTTP session. Redirects are followed only while
// references are discovered, and credentials stay with the origin they were given for.
func (r *remote) httpSession(limits Limits) (transport.UploadPackSession, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(r.auth.CABundle) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(r.auth.CABundle) {
			return nil, notTrusted("the CA bundle holds no certificate in PEM form")
		}
		config.RootCAs = pool
	}
	proxy, err := r.proxy()
	if err != nil {
		return nil, err
	}
	base := &http.Transport{
		Proxy:                 proxy,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: headerTimeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   1,
	}
	client := retryablehttp.NewClient()
	client.Logger = nil // it would log URLs
	client.RetryMax, client.RetryWaitMin, client.RetryWaitMax = retries, retryWaitMin, retryWaitMax
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	client.HTTPClient = &http.Client{
		Transport: base,
		// Redirects are the outer client's to judge.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	outer := &http.Client{Transport: &boundedTransport{
		next: &retryablehttp.RoundTripper{Client: client}, bytes: limits.PackBytes,
	}}
	endpoint := r.endpoint
	session, err := githttp.NewClientWithOptions(outer, &githttp.ClientOptions{
		RedirectPolicy: githttp.FollowInitialRedirects,
	}).NewUploadPackSession(&endpoint, r.httpAuth())
	if err != nil {
		return nil, err
	}
	return &httpSession{UploadPackSession: session, transport: base}, nil
}

// proxy to use: the one that was given, else the environment's.
func (r *remote) proxy() (func(*http.Request) (*url.URL, error), error) {
	if r.auth.Proxy == "" {
		return http.ProxyFromEnvironment, nil
	}
	u, err := url.Parse(r.auth.Proxy)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return nil, denied("the proxy's address is malformed: give an http, https or socks5 URL with a host")
	}
	return http.ProxyURL(u), nil
}

func (r *remote) httpAuth() transport.AuthMethod {
	switch {
	case r.auth.BearerToken != "":
		return &githttp.TokenAuth{Token: r.auth.BearerToken}
	case r.auth.Username != "" || r.auth.Password != "":
		return &githttp.BasicAuth{Username: r.auth.Username, Password: r.auth.Password}
	}
	return nil
}

// httpSession closes its connections, so that nothing of it stays behind.
type httpSession struct {
	transport.UploadPackSession
	transport *http.Transport
}

func (s *httpSession) Close() error {
	defer s.transport.CloseIdleConnections()
	return s.UploadPackSession.Close()
}

// boundedTransport limits what is read of each response.
type boundedTransport struct {
	next  http.RoundTripper
	bytes int64
}

func (t *boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		res.Body = &struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, errorBodyBytes), res.Body}
		return res, nil
	}
	res.Body = &struct {
		io.Reader
		io.Closer
	}{&boundedReader{ctx: req.Context(), r: res.Body, left: t.bytes, limit: t.bytes}, res.Body}
	return res, nil
}

// boundedReader ends with ErrLimit after limit bytes, and when ctx ends.
type boundedReader struct {
	ctx         context.Context
	r           io.Reader
	left, limit int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, fmt.Errorf("the remote sent more than %d bytes: %w", b.limit, ErrLimit)
	}
	return n, err
}
