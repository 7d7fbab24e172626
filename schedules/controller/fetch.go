package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/calendar"
)

const (
	// fetchTimeout of one calendar, redirects and repetitions included.
	fetchTimeout = 30 * time.Second
	// fetchAgain after a failure.
	fetchAgain = 5 * time.Minute
	// fetchAtOnce bounds how many calendars are fetched at a time.
	fetchAtOnce = 4
	// maxRedirects of one calendar.
	maxRedirects = 5
	// defaultRefresh of schedules that were made without the API server's defaulting.
	defaultRefresh = 6 * time.Hour
)

// fetched keeps the last good copy of each calendar that is at an address.
type fetched struct {
	read  func(ctx context.Context, address string) ([]byte, error)
	now   func() time.Time
	done  func(client.ObjectKey)
	slots chan struct{}

	mu    sync.Mutex
	byKey map[client.ObjectKey]*copied
}

type copied struct {
	address  string
	calendar *calendar.Calendar
	version  int
	err      error
	next     time.Time // when it is fetched again
	under    bool      // way
}

func newFetched(get func(ctx context.Context, address string) ([]byte, error), now func() time.Time, done func(client.ObjectKey)) *fetched {
	return &fetched{read: get, now: now, done: done, slots: make(chan struct{}, fetchAtOnce), byKey: map[client.ObjectKey]*copied{}}
}

var errBeingFetched = errors.New("the calendar is being fetched")

// get the last good copy, which is nil at first; its version; and when to ask again. What
// is due is fetched beside, and done is called.
func (f *fetched) get(key client.ObjectKey, spec *v1alpha1.ExceptionCalendar, now time.Time) (*calendar.Calendar, string, time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.byKey[key]
	if c == nil || c.address != spec.URL {
		c = &copied{address: spec.URL, err: errBeingFetched}
		f.byKey[key] = c
	}
	if !c.under && !now.Before(c.next) {
		c.under = true
		refresh := defaultRefresh
		if spec.Refresh != nil {
			refresh = spec.Refresh.Duration
		}
		go f.fetch(key, c, refresh)
	}
	return c.calendar, fmt.Sprintf("%s %d", c.address, c.version), c.next, c.err
}

func (f *fetched) forget(key client.ObjectKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byKey, key)
}

func (f *fetched) fetch(key client.ObjectKey, c *copied, refresh time.Duration) {
	f.slots <- struct{}{}
	defer func() { <-f.slots }()
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	data, err := f.read(ctx, c.address)
	var parsed *calendar.Calendar
	if err == nil {
		parsed, err = calendar.Parse(data)
	}
	f.mu.Lock()
	c.under, c.err, c.next = false, err, f.now().Add(fetchAgain)
	if err == nil {
		c.calendar, c.next = parsed, f.now().Add(refresh)
		c.version++
	} else {
		c.err = fmt.Errorf("spec.calendar: %s: %w", public(c.address), err)
	}
	f.mu.Unlock()
	f.done(key)
}

// public is an address without what may be a secret in it.
func public(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// download reads a calendar of bounded size. A redirect leads to a public address or stays
// on the host: nobody is sent into the network of the management cluster.
func download(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("it is no address")
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("it is no address")
	}
	request.Header.Set("Accept", "text/calendar")
	c := quietClient(u.Hostname())
	defer c.HTTPClient.CloseIdleConnections()
	response, err := c.Do(request)
	if err != nil {
		return nil, unaddressed(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, calendar.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read it: %w", unaddressed(err))
	}
	if len(data) > calendar.MaxBytes {
		return nil, fmt.Errorf("it has more than %d bytes", calendar.MaxBytes)
	}
	return data, nil
}

// unaddressed takes the address, which may hold a token, out of an error.
func unaddressed(err error) error {
	if of, ok := errors.AsType[*url.Error](err); ok {
		return of.Err
	}
	return err
}

// quietClient repeats what fails, logs nothing, and leaves host only for public addresses.
func quietClient(host string) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 2, 500*time.Millisecond, 5*time.Second
	c.HTTPClient = &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				d := net.Dialer{Timeout: 10 * time.Second}
				if to, _, err := net.SplitHostPort(address); err != nil || to != host {
					d.Control = publicOnly
				} else {
					d.Control = noLinkLocal
				}
				return d.DialContext(ctx, network, address)
			},
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 20 * time.Second,
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return nil
		},
	}
	return c
}

func publicOnly(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := to.Addr().Unmap(); ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() {
		return fmt.Errorf("a redirect into a private network (%s) is not followed", ip)
	}
	return nil
}

// noLinkLocal keeps requests away from the metadata services of clouds.
func noLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err == nil && to.Addr().Unmap().IsLinkLocalUnicast() {
		err = fmt.Errorf("%s is a link-local address", to.Addr())
	}
	return err
}
