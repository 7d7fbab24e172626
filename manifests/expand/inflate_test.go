package expand

import (
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/internal/charttest"
)

func helmEnabled() string {
	return "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata: {kustomize.buildOptions: --enable-helm}\n"
}

// inflated is a repository whose overlay reaches helmCharts through a base.
func inflated(entry ...string) files {
	return files{
		"s/argo.yaml":                       helmEnabled() + installArgo() + application("web", "overlay"),
		"overlay/kustomization.yaml":        "resources: [../base]\nnamePrefix: p-\nlabels: [{pairs: {env: prod}}]\n",
		"base/kustomization.yaml":           "resources: [own.yaml]\nhelmCharts:\n- name: demo\n  releaseName: rel\n  " + strings.Join(append(entry, "valuesInline: {size: 5}"), "\n  ") + "\n",
		"base/own.yaml":                     "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n",
		"base/charts/demo/Chart.yaml":       "apiVersion: v2\nname: demo\nversion: 1.0.0\n",
		"base/charts/demo/values.yaml":      "size: 1\ncolor: red\n",
		"base/charts/demo/crds/c.yaml":      crd("example.com", "Widget"),
		"base/charts/demo/templates/c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-cm'}\ndata: {size: '{{ .Values.size }}', color: '{{ .Values.color }}', ns: '{{ .Release.Namespace }}'}\n",
		"base/charts/demo/templates/h.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install}}\n",
	}
}

func TestChartsOfABaseAreInflated(t *testing.T) {
	r := expanded(t, inflated(), Options{}, "s")
	o := object(t, r, "ConfigMap shop/p-rel-cm")
	if got := o.Object["data"].(map[string]any); got["size"] != "5" || got["color"] != "red" || got["ns"] != "default" || o.GetLabels()["env"] != "prod" {
		t.Errorf("%v, labels %v", got, o.GetLabels())
	}
	if o.Origin.File != "base/charts/demo/templates/c.yaml" {
		t.Errorf("comes from %s", o.Origin)
	}
	if hook := object(t, r, "Job.batch shop/p-hook"); hook.Rules == nil || hook.Rules.Hook == nil {
		t.Errorf("the hook has the rules %+v", hook.Rules)
	}
	object(t, r, "ConfigMap shop/p-own")
	if text := strings.Join(listing(r), " "); strings.Contains(text, "widgets.example.com") {
		t.Errorf("definitions come without includeCRDs: %s", text)
	}
	with := expanded(t, inflated("namespace: deep", "includeCRDs: true", "skipHooks: true", "valuesMerge: merge"), Options{}, "s")
	if got := object(t, with, "ConfigMap shop/p-rel-cm").Object["data"].(map[string]any); got["size"] != "1" || got["ns"] != "deep" {
		t.Errorf("%v", got)
	}
	object(t, with, "CustomResourceDefinition.apiextensions.k8s.io widgets.example.com")
	if text := strings.Join(listing(with), " "); strings.Contains(text, "Job") {
		t.Errorf("a hook comes although skipHooks is set: %s", text)
	}
}

func TestInflatedChartsComeFromRepositories(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	repo := inflated()
	repo["base/kustomization.yaml"] = "namespace: web\nhelmCharts: [{name: web, repo: https://charts.example.com, version: 1.0.0, releaseName: w}]\n"
	o := Options{Helm: ChartOptions{Mirrors: []ChartMirror{{From: "https://charts.example.com", To: server.Repository()}}}}
	r := expanded(t, repo, o, "s")
	if len(r.Charts) != 1 || r.Charts[0].Name != "web" || r.Charts[0].Version != "1.0.0" {
		t.Errorf("charts %+v", r.Charts)
	}
	o.Helm.Offline = true
	if r = expanded(t, repo, o, "s"); len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0].Reason, "base/kustomization.yaml:2: helmCharts cannot be rendered: it is chart web 1.0.0 of https://charts.example.com, and nothing is fetched here") {
		t.Errorf("skipped %+v", r.Skipped)
	}
}

// What would need a program is named, and the rest of the state is expanded all the same.
func TestKustomizationsThatNeedAProgramAreNamed(t *testing.T) {
	other := application("other", "plain")
	for name, c := range map[string]struct {
		change func(files)
		want   string
	}{
		"not enabled": {func(f files) {
			f["s/argo.yaml"] = strings.Replace(f["s/argo.yaml"], "--enable-helm", "--load-restrictor=None", 1)
		}, "base/kustomization.yaml:3: helmCharts is not supported: it would run the helm program"},
		"no release name": {func(f files) { f["base/kustomization.yaml"] = "helmCharts: [{name: demo}]\n" }, "chart demo has no releaseName"},
		"generator": {func(f files) {
			f["base/kustomization.yaml"] = "generators: [g.yaml]\n"
			f["base/g.yaml"] = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: g}\nfiles: [x]\n"
		}, "base/g.yaml:1: ksops of viaduct.ai/v1 is a plugin of kustomize"},
		"inline transformer": {func(f files) {
			f["base/kustomization.yaml"] = "resources: [own.yaml]\ntransformers:\n- |-\n  apiVersion: example.com/v1\n  kind: Mine\n  metadata: {name: g}\n"
		}, "Mine of example.com/v1 is a plugin of kustomize"},
		"old field": {func(f files) { f["base/kustomization.yaml"] = "helmChartInflationGenerator: [{chartName: demo}]\n" }, "helmChartInflationGenerator is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := inflated()
			repo["s/other.yaml"], repo["plain/a.yaml"] = other, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
			c.change(repo)
			r := expanded(t, repo, Options{}, "s")
			if len(r.Skipped) != 1 || r.Skipped[0].Meant || !strings.Contains(r.Skipped[0].Reason, c.want) {
				t.Errorf("skipped %+v, want %q", r.Skipped, c.want)
			}
			object(t, r, "ConfigMap shop/a")
		})
	}
	// What kustomize itself refuses stays an error.
	bad := inflated("valuesMerge: mix")
	refused(t, bad, Options{}, "s", "base/kustomization.yaml:3: helmCharts cannot be rendered", "only merge, override and replace are known")
}
