package clusterapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
)

// Webhook is where the admission webhooks of the core controller answer.
type Webhook struct {
	// Port on the loopback interface.
	Port int
	// CABundle that signed the serving certificate, PEM.
	CABundle []byte
}

// RegisterWebhooks makes the API server ask the core controller, as in every
// installation of Cluster API: they default fields and refuse what cannot work.
func RegisterWebhooks(ctx context.Context, config *rest.Config, w Webhook) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("register the webhooks of Cluster API: %w", err)
	}
	c, err := read()
	if err != nil {
		return err
	}
	api := client.AdmissionregistrationV1()
	for _, m := range c.mutating {
		m.Name = "cluster-api-core"
		for i := range m.Webhooks {
			w.rewrite(&m.Webhooks[i].ClientConfig)
		}
		if err := createOrReplace(ctx, api.MutatingWebhookConfigurations(), m, &m.ObjectMeta); err != nil {
			return fmt.Errorf("register the mutating webhooks of Cluster API: %w", err)
		}
	}
	for _, v := range c.validating {
		v.Name = "cluster-api-core"
		for i := range v.Webhooks {
			w.rewrite(&v.Webhooks[i].ClientConfig)
		}
		if err := createOrReplace(ctx, api.ValidatingWebhookConfigurations(), v, &v.ObjectMeta); err != nil {
			return fmt.Errorf("register the validating webhooks of Cluster API: %w", err)
		}
	}
	return nil
}

// rewrite points a webhook to this machine instead of a Service.
func (w Webhook) rewrite(c *admissionv1.WebhookClientConfig) {
	path := ""
	if c.Service != nil && c.Service.Path != nil {
		path = *c.Service.Path
	}
	url := "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(w.Port)) + path
	*c = admissionv1.WebhookClientConfig{URL: &url, CABundle: w.CABundle}
}

// writer is what the two kinds of webhook configurations have in common.
type writer[T any] interface {
	Create(context.Context, T, metav1.CreateOptions) (T, error)
	Get(context.Context, string, metav1.GetOptions) (T, error)
	Update(context.Context, T, metav1.UpdateOptions) (T, error)
}

func createOrReplace[T metav1.Object](ctx context.Context, client writer[T], wanted T, meta *metav1.ObjectMeta) error {
	_, err := client.Create(ctx, wanted, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	live, err := client.Get(ctx, meta.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	meta.ResourceVersion = live.GetResourceVersion()
	_, err = client.Update(ctx, wanted, metav1.UpdateOptions{})
	return err
}

// The file names that the core controller looks for in its certificate directory.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	caFile   = "ca.crt"
)

// ServingCertificate makes sure that dir holds a serving certificate for the loopback
// interface and returns the bundle that it is verified with.
func ServingCertificate(dir string) ([]byte, error) {
	ca, err := os.ReadFile(filepath.Join(dir, caFile))
	if err == nil {
		return ca, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the webhook certificate: %w", err)
	}
	cert, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, fmt.Errorf("make the webhook certificate: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the webhook certificate: %w", err)
	}
	// The bundle goes last: where it is, the other two are.
	for _, f := range []struct {
		name    string
		content []byte
	}{{keyFile, key}, {certFile, cert}, {caFile, cert}} {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.content, 0o600); err != nil {
			return nil, fmt.Errorf("write the webhook certificate: %w", err)
		}
	}
	return cert, nil
}
