package expand

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/chart"
)

// Helm implements argocd.Renderer.
func (r *argoRenderer) Helm(ctx context.Context, q argocd.HelmRequest) (argocd.Rendered, error) {
	c, err := r.chart(ctx, q)
	if err != nil {
		return argocd.Rendered{}, err
	}
	values, err := helmValues(c, q)
	if err != nil {
		return argocd.Rendered{}, err
	}
	merged, err := values.Merge()
	if err != nil {
		return argocd.Rendered{}, err
	}
	kinds := r.tool.kinds(r.unit)
	r.tool.current.asks, r.tool.current.kinds = r.tool.current.asks || c.Mentions("APIVersions"), kinds
	if len(q.APIVersions) > 0 {
		kinds = q.APIVersions
	}
	result, err := r.charts.renderOnce(ctx, chart.Request{
		Chart: c, Unit: r.unit, ReleaseName: q.Release, Namespace: q.Namespace, Into: q.Into, Values: merged,
		IncludeCRDs: !q.SkipCRDs, Hooks: chart.HooksOfSync, SkipSchemaValidation: q.SkipSchemaValidation,
		KubeVersion: cmp.Or(q.KubeVersion, r.charts.options.KubeVersion), APIVersions: kinds, Twice: true,
		Namespaced: func(gk schema.GroupKind) (bool, bool) { return r.tool.scope(gk) },
	})
	if err != nil {
		return argocd.Rendered{}, err
	}
	unsteady(result, c)
	prefix := ""
	if q.Chart == "" {
		prefix = r.prefix(q.Tree)
	}
	out := argocd.Rendered{Objects: result.Objects, Warnings: result.Warnings}
	for i := range out.Objects {
		out.Objects[i].Origin.File = prefix + out.Objects[i].Origin.File
	}
	for _, l := range result.LeftOut {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%s: %s (%s) is left out: %s", r.unit, l.ID, l.Origin, l.Reason))
	}
	return out, nil
}

// chart of the repository, or of a chart repository.
func (r *argoRenderer) chart(ctx context.Context, q argocd.HelmRequest) (*chart.Chart, error) {
	if q.Chart == "" {
		return r.charts.fromTree(ctx, q.Tree.FS, q.Path, r.dependencyAuth)
	}
	ref := chart.Ref{Repository: q.RepoURL, Name: q.Chart, Version: q.Version, Auth: r.chartAuth(q.RepoURL), PassCredentials: q.PassCredentials}
	if !strings.Contains(ref.Repository, "://") {
		ref.Repository = "oci://" + ref.Repository
	}
	return chartOf(r.charts.fetch(ctx, ref))
}

// chartAuth are the credentials that a Secret of Argo CD has for a chart repository.
func (r *argoRenderer) chartAuth(repository string) chart.Auth {
	data := r.credentialFor(repository)
	if bare, oci := strings.CutPrefix(repository, "oci://"); oci && data == nil {
		data = r.credentialFor(bare) // Argo CD writes registries without
	}
	return chart.Auth{
		Username: data["username"], Password: data["password"], BearerToken: data["bearerToken"],
		ClientCert: []byte(data["tlsClientCertData"]), ClientKey: []byte(data["tlsClientCertKey"]),
	}
}

// dependencyAuth are the credentials for what a chart in a repository depends on.
func (r *argoRenderer) dependencyAuth(repository string) (chart.Auth, bool, error) {
	return r.chartAuth(repository), false, nil
}

// helmValues in the order of a definition.
func helmValues(c *chart.Chart, q argocd.HelmRequest) (chart.Values, error) {
	var out chart.Values
	for _, v := range q.Values {
		if v.ChartFile == "" {
			out.Files = append(out.Files, chart.ValuesFile{Name: v.From, Data: v.Data})
			continue
		}
		names := []string{v.ChartFile}
		if strings.ContainsAny(v.ChartFile, "*?[") {
			names = c.Glob(v.ChartFile)
		}
		found := false
		for _, name := range names {
			data, err := c.ReadFile(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return out, fmt.Errorf("helm.valueFiles: %w", err)
			}
			found = true
			out.Files = append(out.Files, chart.ValuesFile{Name: name, Data: data})
		}
		if !found && !v.Optional {
			return out, fmt.Errorf("helm.valueFiles: %s has no file %q: correct it or set ignoreMissingValueFiles: %w", c, shortened(v.ChartFile), fs.ErrNotExist)
		}
	}
	for _, p := range q.Parameters {
		switch {
		case p.ChartFile != "":
			data, err := c.ReadFile(p.ChartFile)
			if err != nil {
				return out, fmt.Errorf("helm.fileParameters: %w", err)
			}
			out.FileParameters = append(out.FileParameters, chart.FileParameter{Name: p.Name, Content: data})
		case p.Literal:
			out.FileParameters = append(out.FileParameters, chart.FileParameter{Name: p.Name, Content: []byte(p.Value)})
		default:
			out.Parameters = append(out.Parameters, chart.Parameter{Name: p.Name, Value: p.Value, ForceString: p.String})
		}
	}
	return out, nil
}

// secretData of a Secret, whichever way it is written.
func secretData(o manifests.Object) map[string]string {
	out := map[string]string{}
	for _, field := range []string{"data", "stringData"} {
		entries, _ := o.Object[field].(map[string]any)
		for key, v := range entries {
			if text, ok := decoded(field, v); ok {
				out[key] = text
			}
		}
	}
	return out
}
