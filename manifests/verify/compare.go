package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
)

// comparison of one rendered object with the live one.
type comparison struct {
	item     int
	resource cluster.Resource
	desired  map[string]any
	live     *unstructured.Unstructured
	ignored  ignores
	secret   bool

	proven  bool
	found   []difference
	weak    string // why only rendered fields could be compared
	trouble string // why nothing could
}

func (v *verifier) comparison(i int, live *unstructured.Unstructured) *comparison {
	o := v.objects[i]
	r, _ := v.kinds.Lookup(o.GroupVersionKind())
	c := &comparison{item: i, resource: r, desired: cluster.Desired(o.Unstructured, r), live: live,
		ignored: ignoredIn(o, v.scaled), secret: o.ID().GroupKind() == cluster.Secret}
	c.found = setByHand(c.desired, live, c.ignored)
	c.proven = proven(c.desired, live)
	return c
}

// settled needs no request.
func (c *comparison) settled() bool { return c.proven || len(c.found) > 0 }

// record the outcome.
func (v *verifier) record(c *comparison) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case c.trouble != "":
		v.report.Changed = append(v.report.Changed, v.finding(c.item, "it could not be compared: "+c.trouble))
	case len(c.found) > 0:
		v.report.Changed = append(v.report.Changed, v.finding(c.item, describe(c.found, c.secret)))
	default:
		v.report.Matched++
		if c.weak != "" {
			v.report.Weak = append(v.report.Weak, v.finding(c.item, c.weak))
		}
	}
}

// rounds bound how often an object is compared anew because somebody changed it
// between the two reads, and how often a request is repeated.
const rounds = 4

// ask the API server what applying the object would change. An error means that the
// cluster could not be asked at all.
func (v *verifier) ask(ctx context.Context, c *comparison) error {
	body, err := json.Marshal(c.desired)
	if err != nil {
		return fmt.Errorf("encode %s: %w", v.objects[c.item].ID(), err)
	}
	w := cluster.Write{Resource: c.resource, Namespace: c.live.GetNamespace(), Name: c.live.GetName(), Body: body,
		Manager: manifests.FieldManager, DryRun: true, Answer: true}
	for range rounds {
		result, err := v.dryRun(ctx, w)
		if err != nil {
			return v.unanswered(ctx, c, err)
		}
		if c.found = diff(result.Object, c.live.Object, c.ignored); len(c.found) == 0 {
			return nil
		}
		// Somebody may have written between the list and the dry run.
		fresh, err := v.client.Get(ctx, c.resource, w.Namespace, w.Name)
		if err != nil {
			return v.unanswered(ctx, c, err)
		}
		if c.found = diff(result.Object, fresh.Object, c.ignored); len(c.found) == 0 ||
			fresh.GetResourceVersion() == c.live.GetResourceVersion() {
			return nil
		}
		c.live = fresh
	}
	return nil
}

// dryRun repeats what a busy server or a broken connection refuses.
func (v *verifier) dryRun(ctx context.Context, w cluster.Write) (*unstructured.Unstructured, error) {
	var last error
	for attempt := range rounds {
		result, err := v.client.Apply(ctx, w)
		if err == nil || !passing(err) {
			return result, err
		}
		last = err
		select {
		case <-v.Clock.After(100 * time.Millisecond << (2 * attempt)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, last
}

// passing errors say nothing about the object.
func passing(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return !errors.Is(err, context.Canceled)
	}
	switch status.Status().Code {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusBadGateway:
		return true
	}
	return false
}

// unanswered decides what a failed dry run means. It is never a match.
func (v *verifier) unanswered(ctx context.Context, c *comparison, err error) error {
	var status apierrors.APIStatus
	if ctx.Err() != nil || !errors.As(err, &status) {
		return fmt.Errorf("compare %s: %w", v.objects[c.item].ID(), err)
	}
	message := cluster.Explain(err, c.resource.GroupVersionKind().GroupKind())
	if !refusesDryRun(status.Status().Message, int(status.Status().Code)) {
		c.trouble = message
		return nil
	}
	d := differ{subset: true, lenient: true, ignored: c.ignored}
	d.walk(nil, c.desired, c.live.Object)
	c.found, c.weak = d.found, "only its rendered fields were compared: "+message
	return nil
}

// refusesDryRun tells whether the server cannot answer the question for this object,
// whatever its state: a webhook that has side effects, or an object that only a
// plain create accepts.
func refusesDryRun(message string, code int) bool {
	return strings.Contains(message, "does not support dry run") ||
		strings.Contains(message, "duplicate entries for key") ||
		code == http.StatusMethodNotAllowed || code == http.StatusUnsupportedMediaType
}
