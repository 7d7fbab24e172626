package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// dialTimeout and handshakeTimeout bound a connection attempt; a fresh control plane
// may accept connections long before it answers.
const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 15 * time.Second
	idleTimeout      = 90 * time.Second
)

// lane is a set of connections of its own, so that a burst of writes does not hold
// up the events of watches, and that everything can be closed at the end. client-go
// shares connections between all clients of a process and never lets go of them.
type lane struct {
	client *http.Client
	close  func()
}

func newLane(config *rest.Config) (*lane, error) {
	if config.Transport != nil {
		wrapped, err := rest.HTTPWrappersForConfig(config, config.Transport)
		if err != nil {
			return nil, fmt.Errorf("use the transport of the cluster's configuration: %w", err)
		}
		return &lane{client: &http.Client{Transport: wrapped}, close: func() {}}, nil
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the certificates of the cluster's configuration: %w", err)
	}
	t := &http.Transport{
		Proxy:               config.Proxy,
		DialContext:         config.Dial,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: handshakeTimeout,
		IdleConnTimeout:     idleTimeout,
		MaxIdleConnsPerHost: 64,
		DisableCompression:  config.DisableCompression,
	}
	if t.DialContext == nil {
		t.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	open := &connections{dial: t.DialContext, all: map[*connection]bool{}}
	t.DialContext = open.dialContext
	if t.Proxy == nil {
		t.Proxy = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
	}
	// Enables HTTP/2 with pings, which find connections that died silently.
	utilnet.SetTransportDefaults(t)
	wrapped, err := rest.HTTPWrappersForConfig(config, t)
	if err != nil {
		return nil, fmt.Errorf("use the credentials of the cluster's configuration: %w", err)
	}
	return &lane{client: &http.Client{Transport: wrapped}, close: open.close}, nil
}

// connections of a lane. Closing the idle ones would leave those whose last request
// was cut off a moment ago, for as long as the idle time-out.
type connections struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	all    map[*connection]bool
	closed bool
}

type connection struct {
	net.Conn
	of *connections
}

func (c *connections) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	own := &connection{Conn: conn, of: c}
	c.all[own] = true
	return own, nil
}

func (c *connections) close() {
	c.mu.Lock()
	c.closed = true
	open := slices.Collect(maps.Keys(c.all))
	c.mu.Unlock()
	for _, conn := range open {
		// The connection goes away either way, and nobody uses it any more.
		_ = conn.Close()
	}
}

// Close the connection and forget it.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.all, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
