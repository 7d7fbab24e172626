package expand

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/chart"
)

// FrozenRelease is what a chart rendered that renders something else each time: random
// passwords, certificates made on the spot. It holds secrets.
type FrozenRelease struct {
	// Unit, Namespace and Release say which one it is.
	Unit      string `json:"unit"`
	Namespace string `json:"namespace"`
	Release   string `json:"release"`
	Chart     string `json:"chart"`
	// Result of the rendering that counts.
	Result json.RawMessage `json:"result"`
}

// releaseKey is what tells releases of one expansion apart.
type releaseKey struct{ unit, namespace, release, chart string }

func (f FrozenRelease) key() releaseKey { return releaseKey{f.Unit, f.Namespace, f.Release, f.Chart} }

// renderOnce renders a release, unless an earlier expansion of the same commit left what
// counts. What does not come out the same a second time is kept for a later one.
func (c *Charts) renderOnce(ctx context.Context, req chart.Request) (*chart.Result, error) {
	key := releaseKey{req.Unit, req.Namespace, req.ReleaseName, req.Chart.String()}
	if f, ok := c.given[key]; ok {
		c.keep(f)
		return f.thaw()
	}
	result, err := chart.Render(ctx, req)
	if err != nil || len(result.NonDeterministic) == 0 {
		return result, err
	}
	f, err := freeze(key, result)
	if err != nil {
		return nil, err
	}
	c.keep(f)
	return result, nil
}

func (c *Charts) keep(f FrozenRelease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen[f.key()] = f
}

// frozenResult is a chart.Result for storage.
type frozenResult struct {
	Objects          []frozenObject  `json:"objects"`
	Definitions      int             `json:"definitions,omitempty"`
	LeftOut          []chart.LeftOut `json:"leftOut,omitempty"`
	NonDeterministic []chart.Finding `json:"nonDeterministic,omitempty"`
	Warnings         []string        `json:"warnings,omitempty"`
}

type frozenObject struct {
	Object json.RawMessage  `json:"object"`
	Origin manifests.Origin `json:"origin"`
	Rules  *manifests.Rules `json:"rules,omitempty"`
}

func freeze(key releaseKey, r *chart.Result) (FrozenRelease, error) {
	out := frozenResult{Definitions: r.Definitions, LeftOut: r.LeftOut, NonDeterministic: r.NonDeterministic, Warnings: r.Warnings}
	for _, o := range r.Objects {
		raw, err := o.MarshalJSON()
		if err != nil {
			return FrozenRelease{}, fmt.Errorf("keep %s of release %s: %w", o.ID(), key.release, err)
		}
		out.Objects = append(out.Objects, frozenObject{Object: bytes.TrimSpace(raw), Origin: o.Origin, Rules: o.Rules})
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return FrozenRelease{}, fmt.Errorf("keep release %s: %w", key.release, err)
	}
	return FrozenRelease{Unit: key.unit, Namespace: key.namespace, Release: key.release, Chart: key.chart, Result: raw}, nil
}

// thaw makes a result of its own each time: an expansion changes what it gets.
func (f FrozenRelease) thaw() (*chart.Result, error) {
	var in frozenResult
	if err := json.Unmarshal(f.Result, &in); err != nil {
		return nil, fmt.Errorf("what was kept of release %s/%s cannot be read; start another run: %w", f.Namespace, f.Release, err)
	}
	out := &chart.Result{Definitions: in.Definitions, LeftOut: in.LeftOut, NonDeterministic: in.NonDeterministic, Warnings: in.Warnings}
	for _, o := range in.Objects {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(o.Object); err != nil {
			return nil, fmt.Errorf("what was kept of release %s/%s holds an object that cannot be read; start another run", f.Namespace, f.Release)
		}
		out.Objects = append(out.Objects, manifests.Object{Unstructured: u, Origin: o.Origin, Rules: o.Rules})
	}
	return out, nil
}
