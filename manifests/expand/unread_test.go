package expand

import (
	"strings"
	"testing"
)

func TestWhatAnOperatorMakesIsNamed(t *testing.T) {
	object := func(group, kind, spec string) string {
		return crd(group, kind) + "---\napiVersion: " + group + "/v1\nkind: " + kind + "\nmetadata: {name: x, namespace: flux-system}\nspec: " + spec + "\n"
	}
	const operator = "fluxcd.controlplane.io"
	repo := files{
		"clusters/prod/flux.yaml": object(operator, "FluxInstance", "{sync: {kind: GitRepository, path: clusters/prod}}") + object(operator, "ResourceSet", "{}"),
		"other/chart.yaml":        object("helm.cattle.io", "HelmChart", "{chart: traefik}"),
	}
	r := expanded(t, repo, Options{}, "clusters/prod", "other")
	warned(t, r, "ResourceSet.fluxcd.controlplane.io flux-system/x is applied, and what it makes is not expanded: the Flux Operator fills in its templates")
	warned(t, r, "other/chart.yaml:11: HelmChart.helm.cattle.io flux-system/x is applied")
	const synced = `has the Flux Operator sync "clusters/prod", which is not expanded: name it as a state path`
	if strings.Contains(strings.Join(r.Warnings, " "), synced) {
		t.Errorf("warns of a path that is rendered: %q", r.Warnings)
	}
	warned(t, expanded(t, repo.with(files{"clusters/prod/a/b.yaml": cm("b"), "apps/f.yaml": repo["clusters/prod/flux.yaml"]}), Options{}, "apps"), synced)
}
