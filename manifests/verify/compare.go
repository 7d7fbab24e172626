package verify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	object   manifests.Object
	desired  map[string]any
	live     *unstructured.Unstructured
	ignored  ignores
	secret   bool

	proven  bool
	found   []difference
	used    uses
	weak    string // why only rendered fields could be compared
	trouble string // why nothing could
	print   [sha256.Size]byte
}

func (v *verifier) comparison(ctx context.Context, i int, live *unstructured.Unstructured) (*comparison, error) {
	o := v.objects[i]
	r, _ := v.kinds.Lookup(o.GroupVersionKind())
	c := &comparison{item: i, resource: r, object: o, desired: cluster.Desired(o.Unstructured, r), live: live,
		ignored: ignoredIn(o, v.scaled), secret: o.ID().GroupKind() == cluster.Secret, used: uses{}}
	c.proven = !v.Thorough && proven(c.desired, live, managerOf(o))
	want, have, err := v.pruned(ctx, c, c.desired, c.used)
	if err != nil {
		return c, v.unprunable(ctx, c, err)
	}
	c.found = setByHand(want, have, live.GetManagedFields(), c.ignored, c.used, v.most())
	if rules, ok := o.Object["rules"]; ok && o.Object["aggregationRule"] != nil && !c.sameRules(rules) {
		c.used.add(aggregated, []string{"rules"})
	}
	if createdOnly(o) && len(c.found) == 0 {
		d := differ{subset: true, lenient: true, ignored: c.ignored, used: c.used, most: v.most()}
		d.walk(nil, want, have)
		c.found = d.found
		attribute(c.found, have, live.GetManagedFields(), managerOf(o))
	}
	return c, nil
}

// most differences to collect of one object.
func (v *verifier) most() int {
	if v.Inventory != nil {
		return mostDifferences
	}
	return maxDifferences
}

// sameRules tells whether the live rules of an aggregated role are those rendered.
func (c *comparison) sameRules(rules any) bool {
	return len(diff(rules, c.live.Object["rules"], nil)) == 0
}

// pruned are both sides without what the repository's own rules leave out.
func (v *verifier) pruned(ctx context.Context, c *comparison, want map[string]any, used uses) (w, h map[string]any, err error) {
	p := pruner{rules: ignoreRules(c.object), record: c.live.GetManagedFields(), jq: v.jq, used: used}
	return p.prune(ctx, want, c.live.Object)
}

// unprunable objects cannot be compared as the repository asks for.
func (v *verifier) unprunable(ctx context.Context, c *comparison, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.trouble = err.Error()
	return nil
}

// settled needs no request.
func (c *comparison) settled() bool {
	return c.proven || len(c.found) > 0 || c.trouble != "" || createdOnly(c.object)
}

// record the outcome.
func (v *verifier) record(ctx context.Context, c *comparison) error {
	if err := v.print(ctx, c); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	differs := len(c.found) > 0
	switch {
	case c.trouble != "":
		f := v.finding(c.item, "it could not be compared: "+c.trouble)
		f.Incomparable = true
		v.report.Changed = append(v.report.Changed, f)
		return nil
	case differs && createdOnly(c.object):
		v.report.Matched++
		v.exempt(c.item, ruleCreate, describe(c.found, c.secret))
	case differs:
		f := v.finding(c.item, describe(c.found, c.secret))
		f.Changes = changes(c.found, c.secret)
		v.report.Changed = append(v.report.Changed, f)
	default:
		v.report.Matched++
		if c.weak != "" {
			v.report.Weak = append(v.report.Weak, v.finding(c.item, c.weak))
		}
	}
	v.prints[c.item] = c.print
	for rule, detail := range c.used.each {
		v.exempt(c.item, rule, detail)
	}
	return nil
}

// print the live object as it is certified. Of an object that was created and then left
// alone only the name is.
func (v *verifier) print(ctx context.Context, c *comparison) error {
	if c.trouble != "" || len(c.found) > 0 || createdOnly(c.object) {
		return nil
	}
	want, have, err := v.pruned(ctx, c, c.desired, nil)
	if err == nil {
		c.print, err = fingerprint(want, have, c.ignored)
	}
	if err != nil {
		return fmt.Errorf("take the fingerprint of %s: %w", c.object.ID(), err)
	}
	return nil
}

// rounds bound how often an object is compared anew because somebody changed it
// between the two reads, and how often a request is repeated.
const rounds = 4

// ask the API server what applying the object would change. An error means that the
// cluster could not be asked at all. In thorough mode a manager that owns nothing asks:
// it sees every value, but would remove nothing, which only the one who applied does.
func (v *verifier) ask(ctx context.Context, c *comparison) error {
	ours := managerOf(c.object)
	if !v.Thorough {
		return v.askAs(ctx, c, ours)
	}
	if err := v.askAs(ctx, c, Manager); err != nil || c.trouble != "" || c.weak != "" || len(c.found) > 0 {
		return err
	}
	if nothingToRemove(c.desired, c.live, ours) {
		return nil
	}
	return v.askAs(ctx, c, ours)
}

func (v *verifier) askAs(ctx context.Context, c *comparison, manager string) error {
	body, err := json.Marshal(c.desired)
	if err != nil {
		return fmt.Errorf("encode %s: %w", c.object.ID(), err)
	}
	w := cluster.Write{Resource: c.resource, Namespace: c.live.GetNamespace(), Name: c.live.GetName(), Body: body,
		Manager: manager, DryRun: true, Answer: true}
	for range rounds {
		result, err := v.dryRun(ctx, w)
		if err != nil {
			return v.unanswered(ctx, c, err)
		}
		if err := v.compare(ctx, c, result.Object, &differ{}); err != nil || len(c.found) == 0 || c.trouble != "" {
			return err
		}
		// Somebody may have written between the list and the dry run.
		fresh, err := v.client.Get(ctx, c.resource, w.Namespace, w.Name)
		if err != nil {
			return v.unanswered(ctx, c, err)
		}
		same := fresh.GetResourceVersion() == c.live.GetResourceVersion()
		c.live = fresh
		if same {
			return nil
		}
		if err := v.compare(ctx, c, result.Object, &differ{}); err != nil || len(c.found) == 0 || c.trouble != "" {
			return err
		}
	}
	return nil
}

// compare what there should be with the live object, but for what is exempt.
func (v *verifier) compare(ctx context.Context, c *comparison, should map[string]any, d *differ) error {
	used := uses{}
	want, have, err := v.pruned(ctx, c, should, used)
	if err != nil {
		return v.unprunable(ctx, c, err)
	}
	d.ignored, d.used, d.most = c.ignored, used, v.most()
	d.walk(nil, want, have)
	c.found = d.found
	attribute(c.found, have, c.live.GetManagedFields(), managerOf(c.object))
	maps.Copy(c.used, used)
	return nil
}

// dryRun repeats what a busy server or a broken connection refuses.
func (v *verifier) dryRun(ctx context.Context, w cluster.Write) (*unstructured.Unstructured, error) {
	asker := v.asker
	if asker == nil {
		asker = v.client
	}
	var last error
	for attempt := range rounds {
		result, err := asker.Apply(ctx, w)
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
	// The backend of a webhook may be moving to a node that just joined.
	message := status.Status().Message
	return strings.Contains(message, "failed calling webhook") || strings.Contains(message, "failed to call webhook") ||
		strings.Contains(message, "conversion webhook for")
}

// unanswered decides what a failed dry run means. It is never a match.
func (v *verifier) unanswered(ctx context.Context, c *comparison, err error) error {
	var status apierrors.APIStatus
	if ctx.Err() != nil || !errors.As(err, &status) {
		return fmt.Errorf("compare %s: %w", c.object.ID(), err)
	}
	message := cluster.Explain(err, c.resource.GroupVersionKind().GroupKind())
	if !refusesDryRun(status.Status().Message, int(status.Status().Code)) {
		c.trouble = message
		return nil
	}
	c.weak = "only its rendered fields were compared: " + message
	return v.compare(ctx, c, c.desired, &differ{subset: true, lenient: true})
}

// refusesDryRun tells whether the server cannot answer the question for this object,
// whatever its state: a webhook that has side effects, or an object that only a
// plain create accepts.
func refusesDryRun(message string, code int) bool {
	return strings.Contains(message, "does not support dry run") ||
		strings.Contains(message, "duplicate entries for key") ||
		code == http.StatusMethodNotAllowed || code == http.StatusUnsupportedMediaType
}
