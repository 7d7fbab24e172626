package chart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	connectTimeout = 10 * time.Second
	headerTimeout  = 60 * time.Second
	retries        = 2
	retryWaitMin   = 100 * time.Millisecond
	retryWaitMax   = 2 * time.Second
	mostRedirects  = 10
)

// client speaks HTTP for one Ref: it retries, and knows which certificates to trust.
// It sends no credentials of its own.
type client struct {
	*http.Client
	base *http.Transport
}

func newClient(auth Auth) (*client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(auth.CABundle) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(auth.CABundle) {
			return nil, &InvalidError{Message: "the CA bundle of the chart repository holds no certificate in PEM form"}
		}
		config.RootCAs = pool
	}
	if len(auth.ClientCert) > 0 {
		pair, err := tls.X509KeyPair(auth.ClientCert, auth.ClientKey)
		if err != nil {
			return nil, &InvalidError{Message: "the client certificate and key of the chart repository do not make a pair in PEM form"}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	base := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: headerTimeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   2,
	}
	retrying := retryablehttp.NewClient()
	retrying.Logger = nil // it would log URLs
	retrying.RetryMax, retrying.RetryWaitMin, retrying.RetryWaitMax = retries, retryWaitMin, retryWaitMax
	retrying.ErrorHandler = retryablehttp.PassthroughErrorHandler
	retrying.HTTPClient = &http.Client{
		Transport: base,
		// Redirects are the outer client's to judge.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &client{
		Client: &http.Client{Transport: &retryablehttp.RoundTripper{Client: retrying}, CheckRedirect: checkRedirect},
		base:   base,
	}, nil
}

// close leaves no connection behind.
func (c *client) close() { c.base.CloseIdleConnections() }

// checkRedirect keeps credentials with the address that they were given for, and never
// goes from an encrypted connection to a plain one.
func checkRedirect(req *http.Request, via []*http.Request) error {
	last := via[len(via)-1].URL
	switch {
	case len(via) > mostRedirects:
		return errors.New("too many redirects")
	case last.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("it redirects from https to an address without encryption")
	case !sameOrigin(via[0].URL, req.URL):
		req.Header.Del("Authorization")
		req.Header.Del("Cookie")
	}
	return nil
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(hostPort(a), hostPort(b))
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[strings.ToLower(u.Scheme)]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// get reads one address. Credentials go along only when authorised is true.
func (r *address) get(ctx context.Context, c *client, u *url.URL, authorised bool, limit int64, what string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &InvalidError{Message: r.secrets.clean(fmt.Sprintf("chart repository %s: the address of the %s is not a URL", r.display, what))}
	}
	req.Header.Set("User-Agent", "refloat")
	if authorised {
		switch a := r.ref.Auth; {
		case a.BearerToken != "":
			req.Header.Set("Authorization", "Bearer "+a.BearerToken)
		case a.Username != "" || a.Password != "":
			req.SetBasicAuth(a.Username, a.Password)
		}
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := r.status(res.StatusCode, authorised); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("chart repository %s: the %s is larger than %d bytes: %w", r.display, what, limit, ErrLimit)
	}
	return data, nil
}

// errNotThere is how get says 404; its caller knows what was asked for.
var errNotThere = errors.New("not there")

func (r *address) status(code int, given bool) error {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
	switch {
	case code >= 200 && code <= 299:
		return nil
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		a := r.ref.Auth
		return &DeniedError{what: r.what, Repository: r.display, Status: status, Given: given && (a.Username != "" || a.Password != "" || a.BearerToken != "")}
	case code == http.StatusNotFound, code == http.StatusGone:
		return errNotThere
	}
	return &UnreachableError{what: r.what, Repository: r.display, Reason: "it answered " + status}
}

// failed says why a request got no answer, without the address that it went to.
func (r *address) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if cause := context.Cause(ctx); !errors.Is(cause, errFetchTime) {
			return fmt.Errorf("%s %s: %w", r.what, r.display, cause)
		}
		return &UnreachableError{what: r.what, Repository: r.display, Reason: "it did not answer in time"}
	}
	var urlErr *url.Error
	for errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	return &UnreachableError{what: r.what, Repository: r.display, Reason: r.secrets.clean(err.Error())}
}
