package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/process"
)

// Plane is a control plane that was started or adopted. It holds no process: when
// it is dropped, the components go on.
type Plane struct {
	options     Options
	endpoint    Endpoint
	authorities *Authorities
	admin       *rest.Config
	specs       specs
}

// Endpoint is where the API server answers.
func (p *Plane) Endpoint() Endpoint { return p.endpoint }

// Authorities are the keys of the plane.
func (p *Plane) Authorities() Authorities { return *p.authorities }

// AdminConfig is a new configuration for a client that may do everything. It has
// no client-side rate limit and refers to no file.
func (p *Plane) AdminConfig() *rest.Config { return rest.CopyConfig(p.admin) }

// Kubeconfig makes a kubeconfig with a new client certificate for u.
func (p *Plane) Kubeconfig(u User) ([]byte, error) {
	return KubeconfigFor(p.authorities, p.options.Name, p.endpoint, u, p.options.Clock.Now())
}

// Healthy returns nil when every component runs and the API server says that it is
// ready, and otherwise what is wrong.
func (p *Plane) Healthy(ctx context.Context) error {
	var failed []error
	for _, name := range componentsOf(p.options.Role) {
		if _, err := process.Find(p.options.Dir, name); err != nil {
			failed = append(failed, err)
		}
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("control plane %s: %w", p.options.Name, err)
	}
	client, err := rest.HTTPClientFor(p.admin)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	if err := p.ready(ctx, client); err != nil {
		return fmt.Errorf("control plane %s: %w", p.options.Name, err)
	}
	return nil
}

// notReadyError is the answer of an API server that is there but not ready.
type notReadyError struct{ status, body string }

func (e *notReadyError) Error() string {
	return fmt.Sprintf("the API server is not ready: %s: %s", e.status, e.body)
}

// probeTimeout limits one request to /readyz.
const probeTimeout = 5 * time.Second

func (p *Plane) ready(ctx context.Context, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.endpoint.String()+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return &notReadyError{response.Status, string(body)}
	}
	return nil
}

func adminConfig(a *Authorities, e Endpoint, c clock.PassiveClock) (*rest.Config, error) {
	pair, err := a.clientPair(Admin, c.Now())
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: e.String(),
		TLSClientConfig: rest.TLSClientConfig{
			CAData: a.CA.Cert, CertData: pair.Cert, KeyData: pair.Key,
		},
		QPS: -1,
	}, nil
}
