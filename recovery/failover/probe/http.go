package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/recovery/failover"
)

// HTTP asks one address until its context ends. It follows no redirect: where another host
// answers, that says nothing of the cluster.
type HTTP struct {
	URL string
	// Status that counts as alive; 0 for any from 200 to 299.
	Status int
	// Secret gives a token and an authority; it is asked each time, so that they may change.
	Secret   func(context.Context) (token string, ca []byte, err error)
	Interval time.Duration
	Clock    clock.WithTicker
	Report   func(failover.Reading)
}

// maxBody that is read of an answer, so that the connection can be used again.
const maxBody = 64 << 10

// Run asks until the context ends.
func (h *HTTP) Run(ctx context.Context) {
	for {
		asked := h.Clock.Now()
		kind, message := h.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		h.Report(failover.Reading{At: h.Clock.Now(), Kind: kind, Message: message})
		timer := h.Clock.NewTimer(max(h.Interval-h.Clock.Since(asked), soonest))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
	}
}

func (h *HTTP) ask(ctx context.Context) (failover.Kind, string) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	token, ca, err := h.Secret(ctx)
	if err != nil {
		return failover.Unknown, line(err.Error())
	}
	transport, err := transportFor(ca)
	if err != nil {
		return failover.Unknown, err.Error()
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return failover.Unknown, "its address cannot be used"
	}
	request.Header.Set("User-Agent", "refloat")
	if token != "" && request.URL.Scheme != "https" {
		return failover.Unknown, "its Secret has a token, which is sent over https only"
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return unserved(err)
	}
	defer response.Body.Close()
	if _, err := io.CopyN(io.Discard, response.Body, maxBody); err != nil && !errors.Is(err, io.EOF) {
		return unanswered(err)
	}
	return h.judge(response.StatusCode)
}

// unserved is why there was no answer. Names are kept elsewhere, and one that was misspelt
// never was: neither is the cluster's fault.
func unserved(err error) (failover.Kind, string) {
	var name *net.DNSError
	if errors.As(err, &name) && name.IsNotFound {
		return failover.Unknown, "its name does not exist; check the address in spec.signals"
	}
	return unanswered(err)
}

// judge a status. An address that answers otherwise than it should is as bad as none: what
// the cluster serves is not served.
func (h *HTTP) judge(code int) (failover.Kind, string) {
	if h.Status != 0 && code == h.Status || h.Status == 0 && code/100 == 2 {
		return failover.Alive, ""
	}
	return failover.Dead, fmt.Sprintf("it answers %d", code)
}

func transportFor(ca []byte) (*http.Transport, error) {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("this program has another HTTP transport")
	}
	transport := base.Clone()
	transport.Proxy = nil
	if len(ca) == 0 {
		return transport, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("ca.crt of its Secret holds no certificate")
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}
