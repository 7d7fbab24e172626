package expand

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/render"
)

// inflate renders a chart that a kustomization lists, as the helm program that kustomize
// runs would: values have kustomize's order, and objects keep the namespace that they name.
func (r *argoRenderer) inflate(ctx context.Context, q argocd.KustomizeRequest, h render.HelmChart) ([]manifests.Object, []string, error) {
	release := cmp.Or(h.NameTemplate, h.ReleaseName)
	switch {
	case h.Name == "":
		return nil, nil, errors.New("an entry has no name")
	case release == "" || strings.Contains(release, "{{"):
		return nil, nil, &flux.SkippedError{Err: fmt.Errorf("chart %s has no releaseName: its objects would have other names each time", shortened(h.Name))}
	}
	c, err := r.chartOfEntry(ctx, h)
	if err != nil {
		return nil, nil, err
	}
	values, err := inflatedValues(c, h)
	if err != nil {
		return nil, nil, err
	}
	kinds := r.tool.kinds(r.unit)
	r.tool.current.asks, r.tool.current.kinds = r.tool.current.asks || c.Mentions("APIVersions"), kinds
	if given := append(h.ApiVersions[:len(h.ApiVersions):len(h.ApiVersions)], q.APIVersions...); len(given) > 0 {
		kinds = given
	}
	result, err := r.charts.renderOnce(ctx, chart.Request{
		Chart: c, Unit: r.unit, ReleaseName: release, Namespace: cmp.Or(h.Namespace, "default"), Unplaced: true, Values: values,
		IncludeCRDs: h.IncludeCRDs, Hooks: chart.HooksOfSync, Twice: true, APIVersions: kinds,
		KubeVersion: cmp.Or(h.KubeVersion, q.KubeVersion, r.charts.options.KubeVersion),
		Namespaced:  func(gk schema.GroupKind) (bool, bool) { return r.tool.scope(gk) },
	})
	if err != nil {
		return nil, nil, err
	}
	unsteady(result, c)
	warnings := result.Warnings
	for _, l := range result.LeftOut {
		warnings = append(warnings, fmt.Sprintf("%s: %s (%s) is left out: %s", r.unit, l.ID, l.Origin, l.Reason))
	}
	var objects []manifests.Object
	for _, o := range result.Objects {
		if !h.SkipHooks || o.Rules == nil || o.Rules.Hook == nil {
			objects = append(objects, o)
		}
	}
	return objects, warnings, nil
}

// chartOfEntry is the chart in the repository, where it is there, else in its repository.
func (r *argoRenderer) chartOfEntry(ctx context.Context, h render.HelmChart) (*chart.Chart, error) {
	dir := path.Join(h.Home, h.Name)
	if h.Version != "" && h.Repo != "" {
		dir = path.Join(h.Home, h.Name+"-"+h.Version, h.Name)
	}
	if !fs.ValidPath(dir) {
		return nil, fmt.Errorf("chart %s lies outside of the repository", shortened(h.Name))
	}
	if info, err := fs.Stat(h.Files, dir); err == nil && info.IsDir() {
		return r.charts.fromTree(ctx, h.Files, dir, r.dependencyAuth)
	}
	if h.Repo == "" {
		return nil, fmt.Errorf("chart %s is not at %s, and repo is not given", shortened(h.Name), dir)
	}
	version := h.Version
	if version == "" && h.Devel {
		version = ">0.0.0-0"
	}
	found, err := chartOf(r.charts.fetch(ctx, chart.Ref{Repository: h.Repo, Name: h.Name, Version: version, Auth: r.chartAuth(h.Repo)}))
	if skipped := (*flux.SkippedError)(nil); errors.As(err, &skipped) {
		return nil, &flux.SkippedError{Err: fmt.Errorf("it %w", skipped.Err)}
	}
	return found, err
}

// inflatedValues are those that kustomize hands to helm, over the chart's own.
func inflatedValues(c *chart.Chart, h render.HelmChart) (map[string]any, error) {
	own := map[string]any{}
	var err error
	if h.ValuesFile != "" {
		if own, err = kustomizeValues(h, h.ValuesFile); err != nil {
			return nil, err
		}
	} else if text, readErr := c.ReadFile("values.yaml"); readErr == nil {
		if own, err = chart.ParseValues("values.yaml", text); err != nil {
			return nil, err
		}
	}
	var values map[string]any
	switch {
	case len(h.ValuesInline) == 0:
		values = own
	case h.ValuesMerge == "" || h.ValuesMerge == "override":
		values = chart.MergeValues(own, h.ValuesInline)
		withoutNulls(values, h.ValuesInline)
	case h.ValuesMerge == "merge":
		values = chart.MergeValues(h.ValuesInline, own)
	case h.ValuesMerge == "replace":
		values = h.ValuesInline
	default:
		return nil, fmt.Errorf("chart %s has the valuesMerge %q: only merge, override and replace are known", shortened(h.Name), shortened(h.ValuesMerge))
	}
	for _, file := range h.AdditionalValuesFiles {
		more, err := kustomizeValues(h, file)
		if err != nil {
			return nil, err
		}
		values = chart.MergeValues(values, more)
	}
	return values, nil
}

// withoutNulls takes out what inline values set to null: kustomize deletes it from the
// file, so that the chart's own value counts again.
func withoutNulls(values, inline map[string]any) {
	for key, v := range inline {
		below, isMap := values[key].(map[string]any)
		if inner, ok := v.(map[string]any); ok && isMap {
			withoutNulls(below, inner)
		} else if v == nil {
			delete(values, key)
		}
	}
}

// kustomizeValues reads a file of values beside a kustomization.
func kustomizeValues(h render.HelmChart, name string) (map[string]any, error) {
	if strings.Contains(name, "://") {
		return nil, fmt.Errorf("chart %s takes values from outside the repository, which no commit pins: copy them into it", shortened(h.Name))
	}
	file := path.Join(h.Dir, name)
	if path.IsAbs(name) || !fs.ValidPath(file) {
		return nil, fmt.Errorf("the values file %q leaves the repository", shortened(name))
	}
	text, err := fs.ReadFile(h.Files, file)
	if err != nil {
		return nil, fmt.Errorf("the values file %q cannot be read", shortened(name))
	}
	return chart.ParseValues(file, text)
}
