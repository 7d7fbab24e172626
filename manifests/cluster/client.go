package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// writeTimeout bounds one write. The API server itself gives up after 60 seconds, so
// only a connection that died is ever cut.
const writeTimeout = 75 * time.Second

// Client of one cluster. Its methods may be called concurrently. Close it.
type Client struct {
	writer   *rest.RESTClient
	objects  dynamic.Interface
	metadata metadata.Interface
	config   *rest.Config
	reads    *lane
	writes   *lane
}

// New makes a client. It sends nothing. Client-side rate limits of the configuration
// are off: they know nothing about the server; callers limit what is in flight.
func New(config *rest.Config) (*Client, error) {
	if config == nil {
		return nil, errors.New("no configuration for the cluster was given")
	}
	c := &Client{config: rest.CopyConfig(config)}
	c.config.QPS, c.config.Burst, c.config.RateLimiter = -1, 0, nil
	c.config.WarningHandler = rest.NoWarnings{}
	if c.config.UserAgent == "" {
		// An audit log should tell who wrote what.
		c.config.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	c.config.ContentType, c.config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	var err error
	if c.reads, err = newLane(c.config); err != nil {
		return nil, err
	}
	if c.writes, err = newLane(c.config); err != nil {
		return nil, err
	}
	if c.writer, err = newWriter(c.config, c.writes.client); err != nil {
		return nil, err
	}
	if c.objects, err = dynamic.NewForConfigAndClient(c.config, c.reads.client); err != nil {
		return nil, fmt.Errorf("make a client for objects: %w", err)
	}
	if c.metadata, err = metadata.NewForConfigAndClient(c.config, c.reads.client); err != nil {
		return nil, fmt.Errorf("make a client for metadata: %w", err)
	}
	return c, nil
}

func newWriter(config *rest.Config, client *http.Client) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	own := rest.CopyConfig(config)
	own.GroupVersion = &schema.GroupVersion{}
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	own.APIPath = "/"
	w, err := rest.RESTClientForConfigAndClient(own, client)
	if err != nil {
		return nil, fmt.Errorf("make a client for writes: %w", err)
	}
	return w, nil
}

// Close ends all connections that no request uses any more.
func (c *Client) Close() {
	c.reads.close()
	c.writes.close()
}

// Write is one object to send.
type Write struct {
	Resource        Resource
	Namespace, Name string
	// Body as Body makes it.
	Body []byte
	// Manager owns the fields.
	Manager string
	// DryRun asks what would happen.
	DryRun bool
	// Answer says whether the answer is needed. If not, it is not decoded.
	Answer bool
}

// Apply sends one server-side apply that takes conflicting fields over. Errors are
// those of the API server (apimachinery's api/errors) or of the connection.
func (c *Client) Apply(ctx context.Context, w Write) (*unstructured.Unstructured, error) {
	r := c.writer.Patch(types.ApplyYAMLPatchType).
		AbsPath(w.Resource.path(w.Namespace, w.Name)).
		Param("force", "true")
	return c.send(ctx, r, w)
}

// Create sends one plain create, for objects that server-side apply refuses although
// the API accepts them.
func (c *Client) Create(ctx context.Context, w Write) (*unstructured.Unstructured, error) {
	r := c.writer.Post().
		AbsPath(w.Resource.path(w.Namespace, "")).
		SetHeader("Content-Type", runtime.ContentTypeJSON)
	return c.send(ctx, r, w)
}

func (c *Client) send(ctx context.Context, r *rest.Request, w Write) (*unstructured.Unstructured, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	r.Param("fieldManager", w.Manager).
		Param("fieldValidation", metav1.FieldValidationStrict).
		MaxRetries(0).
		Body(w.Body)
	if w.DryRun {
		r.Param("dryRun", metav1.DryRunAll)
	}
	result := r.Do(ctx)
	// Error, unlike Raw, decodes what the server says.
	if err := result.Error(); err != nil {
		return nil, err
	}
	raw, err := result.Raw()
	if err != nil {
		return nil, err
	}
	if !w.Answer {
		return nil, nil
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("decode the API server's answer: %w", err)
	}
	return u, nil
}

// InvalidNameError is a name that cannot be part of a request path; "../x" would
// otherwise address something else.
type InvalidNameError struct {
	Field, Name, Reason string
}

func (e *InvalidNameError) Error() string {
	return fmt.Sprintf("metadata.%s: %q %s", e.Field, e.Name, e.Reason)
}

func (w Write) validate() error {
	parts := map[string]string{"name": w.Name}
	if w.Resource.Namespaced {
		parts["namespace"] = w.Namespace
	}
	for field, value := range parts {
		if value == "" {
			return &InvalidNameError{Field: field, Reason: "must not be empty"}
		}
		if reasons := content.IsPathSegmentName(value); len(reasons) > 0 {
			return &InvalidNameError{Field: field, Name: value, Reason: reasons[0]}
		}
	}
	return nil
}

// Get reads one object, uncached.
func (c *Client) Get(ctx context.Context, r Resource, namespace, name string) (*unstructured.Unstructured, error) {
	return c.resource(r, namespace).Get(ctx, name, metav1.GetOptions{})
}

// Watch events of a resource in all namespaces.
func (c *Client) Watch(ctx context.Context, r Resource, o metav1.ListOptions) (watch.Interface, error) {
	return c.objects.Resource(r.GroupVersionResource).Watch(ctx, o)
}

func (c *Client) resource(r Resource, namespace string) dynamic.ResourceInterface {
	if r.Namespaced {
		return c.objects.Resource(r.GroupVersionResource).Namespace(namespace)
	}
	return c.objects.Resource(r.GroupVersionResource)
}

// Probe answers whether the API server serves the resource, and from which resource
// version on a watch sees what is created from now on.
func (c *Client) Probe(ctx context.Context, r Resource) (resourceVersion string, err error) {
	list, err := c.metadata.Resource(r.GroupVersionResource).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("list %s: %w", r, err)
	}
	return list.ResourceVersion, nil
}

// pageSize bounds how many whole objects are held at a time; of metadata four times
// as many.
const pageSize = 250

// List hands every object of a resource to each, page by page, as the server has it
// now (a quorum read). It returns the resource version of the list.
func (c *Client) List(ctx context.Context, r Resource, each func(*unstructured.Unstructured) error) (string, error) {
	o := metav1.ListOptions{Limit: pageSize}
	return pages(ctx, r, &o, func() (metav1.ListInterface, error) {
		list, err := c.objects.Resource(r.GroupVersionResource).List(ctx, o)
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			if err := each(&list.Items[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	})
}

// ListMetadata is List without anything but metadata.
func (c *Client) ListMetadata(ctx context.Context, r Resource, each func(*metav1.PartialObjectMetadata) error) (string, error) {
	o := metav1.ListOptions{Limit: 4 * pageSize}
	return pages(ctx, r, &o, func() (metav1.ListInterface, error) {
		list, err := c.metadata.Resource(r.GroupVersionResource).List(ctx, o)
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			if err := each(&list.Items[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	})
}

// maxPages is a bound against a server that never ends a list.
const maxPages = 100_000

func pages(ctx context.Context, r Resource, o *metav1.ListOptions, page func() (metav1.ListInterface, error)) (string, error) {
	for range maxPages {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		list, err := page()
		if err != nil {
			if token := resumable(err); token != "" && token != o.Continue {
				o.Continue = token
				continue
			}
			return "", fmt.Errorf("list %s: %w", r, err)
		}
		if o.Continue = list.GetContinue(); o.Continue == "" {
			return list.GetResourceVersion(), nil
		}
	}
	return "", fmt.Errorf("list %s: it did not end after %s pages", r, strconv.Itoa(maxPages))
}

// ListSome reads one page of objects in one namespace, no more than options.Limit.
func (c *Client) ListSome(ctx context.Context, r Resource, namespace string, o metav1.ListOptions) ([]unstructured.Unstructured, error) {
	list, err := c.resource(r, namespace).List(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", r, err)
	}
	return list.Items, nil
}

// Delete one object, if it is still the one that has this UID, and let what it owns go
// with it.
func (c *Client) Delete(ctx context.Context, r Resource, namespace, name string, uid types.UID) error {
	if uid == "" {
		return errors.New("an object without a known UID is not deleted: it could be another one by now")
	}
	policy := metav1.DeletePropagationBackground
	return c.resource(r, namespace).Delete(ctx, name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &policy,
	})
}
