package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// maxAnswer of what a receiver says is read; it is thrown away.
	maxAnswer = 64 << 10
	// tries of one message. The time-out comes first.
	tries = 1 << 10
)

// Message is one JSON document for one receiver.
type Message struct {
	URL         string
	Credentials Credentials
	// Key is sent as Idempotency-Key: a receiver that got the message before does nothing.
	Key  string
	Body any
	// Timeout with all repetitions.
	Timeout time.Duration
	Now     time.Time
}

// Post sends a message until an answer of 2xx comes, which it returns in words. It asks
// again while there is no answer, or one that may pass (429, 5xx). Redirects are not
// followed. Every error but that of the context is a Refusal, one clause without the
// address.
func Post(ctx context.Context, m Message) (answer string, err error) {
	body, err := json.Marshal(m.Body)
	if err != nil {
		return "", fmt.Errorf("write the message: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	request, err := retryablehttp.NewRequestWithContext(bounded, http.MethodPost, m.URL, bytes.NewReader(body))
	if err != nil || request.URL.Hostname() == "" {
		return "", Refusal("it is no address")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", m.Key)
	m.Credentials.Sign(request.Header, body, m.Now)
	host, last := request.URL.Host, error(nil)
	c, err := hookClient(request.URL.Hostname(), m, &last)
	if err != nil {
		return "", err
	}
	defer c.HTTPClient.CloseIdleConnections()
	response, err := c.Do(request)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil && bounded.Err() != nil && last != nil:
		return "", Refusal(fmt.Sprintf("%s gave no good answer within %s; the last attempt: %v", host, m.Timeout, last))
	case err != nil && bounded.Err() != nil:
		return "", Refusal(fmt.Sprintf("%s did not answer within %s", host, m.Timeout))
	case err != nil:
		return "", Refusal(fmt.Sprintf("%s: %v", host, said(err)))
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) //nolint:errcheck // the status says it all
	switch response.StatusCode / 100 {
	case 2:
		return StatusOf(response), nil
	case 3:
		return "", Refusal(fmt.Sprintf("%s answers %s and redirects%s, which is not followed; name the address that answers itself", host, StatusOf(response), elsewhere(response)))
	}
	return "", Refusal(fmt.Sprintf("%s answers %s", host, StatusOf(response)))
}

// hookClient repeats until the context ends, keeps the last problem, and follows no
// redirect.
func hookClient(host string, m Message, last *error) (*retryablehttp.Client, error) {
	c := Client(host)
	transport, ok := c.HTTPClient.Transport.(*http.Transport)
	if !ok {
		return nil, errors.New("the HTTP client has no transport of its own")
	}
	transport.ResponseHeaderTimeout = 0 // to power a machine off takes a while; the message has a limit
	c.RetryMax = tries
	c.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	policy := c.CheckRetry
	c.CheckRetry = func(ctx context.Context, response *http.Response, err error) (bool, error) {
		switch {
		case ctx.Err() != nil: // what was before counts
		case errors.Is(err, http.ErrSchemeMismatch):
			return false, err
		case err != nil:
			*last = said(err)
		default:
			*last = errors.New("it answers " + StatusOf(response))
		}
		return policy(ctx, response, err)
	}
	if len(m.Credentials.CA) == 0 {
		return c, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(m.Credentials.CA) {
		return nil, Refusal("ca.crt of its Secret holds no certificate in PEM")
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return c, nil
}

// said names what is wrong with a certificate, which people can mend, and says of anything
// else no more than Unaddressed.
func said(err error) error {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		return errors.New("its certificate is signed by an authority that is not known (ca.crt of the hook's Secret)")
	case errors.As(err, &name):
		return errors.New("its certificate is for another name")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errors.New("its certificate is expired or not valid yet")
	case errors.As(err, &invalid):
		return errors.New("its certificate is not valid")
	case errors.Is(err, http.ErrSchemeMismatch):
		return errors.New("it does not speak TLS")
	}
	return Unaddressed(err)
}

// elsewhere says to which host an answer leads; nothing else of the address is told.
func elsewhere(response *http.Response) string {
	to, err := url.Parse(response.Header.Get("Location"))
	if err != nil || to.Host == "" || to.Host == response.Request.URL.Host {
		return ""
	}
	return fmt.Sprintf(" to another host (%q)", to.Hostname())
}
