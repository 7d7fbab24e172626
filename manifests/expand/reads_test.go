package expand

import (
	"testing"
)

// A unit that was rendered before what it reads was is rendered again.
func TestAUnitIsRenderedAgainWhenItsInputIsRenderedAnew(t *testing.T) {
	vars := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars, namespace: flux-system}\ndata: {ENV: old}\n"
	// The root renders the state path again, with a patch, and after the units in it.
	root := kustomization("root", "s", `patches: [{target: {kind: ConfigMap, name: vars}, patch: '[{"op": "replace", "path": "/data/ENV", "value": "new"}]'}]`)
	app := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: x}\ndata: {env: \"${ENV}\"}\n"
	from := "postBuild: {substituteFrom: [{kind: ConfigMap, name: vars}]}"
	for name, repo := range map[string]files{
		"variables": {
			"s/vars.yaml": vars, "s/k.yaml": kustomization("apps", "apps", from) + root,
			"apps/a.yaml": app,
		},
		"variables through a unit between": {
			"s/vars.yaml": vars, "s/k.yaml": kustomization("apps", "apps", "postBuild: {substituteFrom: [{kind: ConfigMap, name: between}]}") + kustomization("between", "between", from) + root,
			"apps/a.yaml":    app,
			"between/b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: between, namespace: flux-system}\ndata: {ENV: \"${ENV}\"}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := object(t, expanded(t, repo, Options{}, "s"), "ConfigMap x/app")
			if got := o.Object["data"].(map[string]any)["env"]; got != "new" {
				t.Errorf("env is %v: made with what was there before", got)
			}
		})
	}
}

func TestAReleaseIsRenderedAgainWhenItsValuesOrSourceAre(t *testing.T) {
	root := kustomization("root", "s",
		`patches: [{target: {kind: ConfigMap}, patch: '[{"op": "replace", "path": "/data/values.yaml", "value": "a: new"}]'},
    {target: {kind: HelmRepository}, patch: '[{"op": "replace", "path": "/spec/url", "value": "https://new.example.com"}]'}]`)
	repo := files{
		"s/k.yaml": helmRelease("web", "chart: {spec: {chart: web, sourceRef: {kind: HelmRepository, name: r}}}",
			"valuesFrom: [{kind: ConfigMap, name: values}]") + root,
		"s/v.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: values, namespace: flux-system}\ndata: {values.yaml: \"a: old\"}\n" +
			fluxObject("source.toolkit.fluxcd.io/v1", "HelmRepository", "r", "url: https://old.example.com"),
	}
	made := &charts{}
	r := expanded(t, repo, Options{Charts: made}, "s")
	o := object(t, r, "ConfigMap flux-system/web")
	if got := o.Object["data"].(map[string]any)["values"]; got != "map[a:new]" {
		t.Errorf("values %v", got)
	}
	if last := made.requests[len(made.requests)-1].Source.Repository.URL; last != "https://new.example.com" {
		t.Errorf("the chart comes from %s", last)
	}
}

// What was not there when a unit did without it may still come.
func TestAnOptionalInputThatComesLate(t *testing.T) {
	late := kustomization("late", "late", "postBuild: {substituteFrom: [{kind: ConfigMap, name: nowhere, optional: true}]}")
	repo := files{
		"s/k.yaml":    kustomization("apps", "apps", "postBuild: {substituteFrom: [{kind: ConfigMap, name: vars, optional: true}], substitute: {OTHER: x}}") + late,
		"late/v.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars, namespace: flux-system}\ndata: {ENV: new}\n",
		"apps/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: x}\ndata: {env: \"${ENV:=none}\"}\n",
	}
	o := object(t, expanded(t, repo, Options{}, "s"), "ConfigMap x/app")
	if got := o.Object["data"].(map[string]any)["env"]; got != "new" {
		t.Errorf("env is %v", got)
	}
}

func TestUnitsThatChangeEachOthersInputEndWithAnError(t *testing.T) {
	vars := func(name, data string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: flux-system}\ndata: " + data + "\n"
	}
	repo := files{
		"s/vars.yaml": vars("one", "{V: a}") + "---\n" + vars("two", "{V: a}"),
		"s/k.yaml": kustomization("a", "a", "postBuild: {substituteFrom: [{kind: ConfigMap, name: two}]}") +
			kustomization("b", "b", "postBuild: {substituteFrom: [{kind: ConfigMap, name: one}]}"),
		"a/v.yaml": vars("one", "{V: \"x${V}\"}"),
		"b/v.yaml": vars("two", "{V: \"${V}\"}"),
	}
	refused(t, repo, Options{}, "s", "does not come to rest: after 68 renderings ConfigMap flux-system/")
}
