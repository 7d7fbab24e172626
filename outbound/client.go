package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// maxRedirects of one request.
const maxRedirects = 5

// Refusal is an error that trying again does not mend.
type Refusal string

// Error implements error.
func (r Refusal) Error() string { return string(r) }

// StatusOf an answer, in our own words: a server may repeat what it was sent.
func StatusOf(response *http.Response) string {
	return fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode))
}

// Unaddressed says what went wrong without the address, which may hold a token, and without
// what the server said.
func Unaddressed(err error) error {
	var dns *net.DNSError
	var op *net.OpError
	var refused Refusal
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("the server did not answer in time")
	case errors.As(err, &dns):
		return fmt.Errorf("the name of the server cannot be resolved: %s", dns.Err)
	case errors.As(err, &op) && op.Op != "remote error":
		return fmt.Errorf("the server cannot be reached: %w", op)
	}
	var network net.Error
	if of, ok := errors.AsType[*url.Error](err); ok && errors.As(of.Err, &network) && network.Timeout() {
		return errors.New("the server did not answer in time")
	}
	return errors.New("the server does not answer as it should (TLS, HTTP or a redirect)")
}

// Client repeats what may pass, logs nothing, and leaves host only for public
// addresses.
func Client(host string) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 2, 500*time.Millisecond, 5*time.Second
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler // its own errors quote the address
	c.CheckRetry = func(ctx context.Context, response *http.Response, err error) (bool, error) {
		var refused Refusal
		if errors.As(err, &refused) {
			return false, err
		}
		return retryablehttp.DefaultRetryPolicy(ctx, response, err)
	}
	d := &dialer{host: host}
	c.HTTPClient = &http.Client{
		Transport: &http.Transport{
			Proxy:                 d.proxy,
			DialContext:           d.dial,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 20 * time.Second,
		},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return Refusal(fmt.Sprintf("more than %d redirects", maxRedirects))
			}
			// Behind a proxy nobody here sees the address, unless it is spelt out.
			if ip, err := netip.ParseAddr(to.URL.Hostname()); err == nil && to.URL.Hostname() != host {
				return private(ip)
			}
			return nil
		},
	}
	return c
}

// dialer reaches one host and the proxies wherever they are, and others in public only.
type dialer struct {
	host string

	mu      sync.Mutex
	proxies []string
}

func (d *dialer) proxy(request *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil, Refusal("the proxy of the environment is no address")
	}
	if u != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.proxies = append(d.proxies, u.Hostname())
	}
	return u, nil
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	known := to == d.host || slices.Contains(d.proxies, to)
	d.mu.Unlock()
	n := net.Dialer{Timeout: 10 * time.Second, Control: publicOnly}
	if known {
		n.Control = noMetadata
	}
	return n.DialContext(ctx, network, address)
}

func publicOnly(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return Refusal("a redirect leads to no address")
	}
	return private(to.Addr())
}

// shared addresses (RFC 6598) are the provider's or the cloud's own network.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func private(ip netip.Addr) error {
	ip = ip.Unmap()
	if ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() || shared.Contains(ip) {
		return Refusal(fmt.Sprintf("a redirect into a private network (%s) is not followed", ip))
	}
	return nil
}

// metadata services of clouds, besides those at link-local addresses.
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16")}

func noMetadata(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return Refusal("it is no address")
	}
	if ip := to.Addr().Unmap().WithZone(""); ip.IsLinkLocalUnicast() || slices.Contains(metadata, ip) {
		return Refusal(fmt.Sprintf("%s is an address of the infrastructure", ip))
	}
	return nil
}
