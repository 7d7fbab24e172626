package expand

import (
	"encoding/base64"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/refloat-dev/refloat/internal/charttest"
	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/flux"
)

// umbrella is a chart of the repository that needs another one from a server.
func umbrella(repository string) files {
	return files{
		"chart/Chart.yaml":       "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies: [{name: web, version: 1.0.0, repository: '" + repository + "'}]\n",
		"chart/templates/c.yaml": plainCM("own"),
	}
}

func TestChartsOfTheRepositoryGetWhatTheyDependOnWithTheirCredentials(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	server.RequireBasic("reader", canary)
	url := server.Repository()
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: charts, namespace: %}\nstringData: {username: reader, password: " + canary + "}\n"
	release := helmRelease("web", "chart: {spec: {chart: ./chart, sourceRef: {kind: GitRepository, name: flux-system}}}")
	declared := fluxObject("source.toolkit.fluxcd.io/v1", "HelmRepository", "charts", "url: "+url+"/", "secretRef: {name: charts}")
	r := expanded(t, umbrella(url).with(files{"s/all.yaml": release + declared + strings.ReplaceAll(secret, "%", "flux-system")}), Options{}, "s")
	object(t, r, "ConfigMap flux-system/own")
	refused(t, umbrella(url).with(files{"s/all.yaml": release}), Options{}, "s", "HelmRelease flux-system/web")
	refused(t, umbrella(url).with(files{"s/all.yaml": release + declared}), Options{}, "s", "HelmRelease flux-system/web", "Secret flux-system/charts", "add it to the seeds")
	elsewhere := strings.ReplaceAll(declared, "namespace: flux-system", "namespace: other") + strings.ReplaceAll(secret, "%", "other")
	refused(t, umbrella(url).with(files{"s/all.yaml": release + elsewhere}), Options{}, "s", "HelmRelease flux-system/web")

	argo := files{"s/argo.yaml": installArgo() + application("web", "chart") + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: charts, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository}}\n" +
		"stringData: {type: helm, url: '" + url + "', username: reader, password: " + canary + "}\n"}
	object(t, expanded(t, umbrella(url).with(argo), Options{}, "s"), "ConfigMap shop/own")
}

func TestPassCredentialsOfAnApplication(t *testing.T) {
	server, other := charttest.New(t), charttest.New(t)
	server.Add(webChart("1.0.0"))
	other.Add(webChart("1.0.0"))
	server.RequireBasic("reader", canary)
	server.ArchivesAt(other.Repository())
	with := func(pass string) files {
		text := strings.Replace(application("web", "x"), "path: x, targetRevision: main", "chart: web, targetRevision: 1.0.0, helm: {passCredentials: "+pass+"}", 1)
		return files{"s/argo.yaml": installArgo() + strings.ReplaceAll(text, fleet, server.Repository()) +
			"---\napiVersion: v1\nkind: Secret\nmetadata: {name: charts, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository}}\n" +
			"stringData: {type: helm, url: '" + server.Repository() + "', username: reader, password: " + canary + "}\n"}
	}
	given := "Basic " + base64.StdEncoding.EncodeToString([]byte("reader:"+canary))
	for pass, want := range map[string]string{"false": "", "true": given} {
		expanded(t, with(pass), Options{}, "s")
		requests := other.Requests()
		if got := requests[len(requests)-1].Authorization; got != want {
			t.Errorf("passCredentials: %s sends %q", pass, got)
		}
	}
}

// Only what is not there may be missing.
func TestIgnoredValuesFilesAreThoseThatAreMissing(t *testing.T) {
	repo := umbrella("").with(files{
		"s/all.yaml":       helmRelease("web", "chart: {spec: {chart: chart, valuesFiles: [chart/gone.yaml, chart/values.yaml], ignoreMissingValuesFiles: true, sourceRef: {kind: GitRepository, name: flux-system}}}"),
		"chart/Chart.yaml": "apiVersion: v2\nname: umbrella\nversion: 1.0.0\n", "chart/values.yaml": "a: 1\n",
	})
	expanded(t, repo, Options{}, "s")
	directory := flux.ChartRequest{
		Source:      flux.ChartSource{From: "here", Files: fstest.MapFS{"values.yaml/x": {}}},
		ValuesFiles: []string{"values.yaml"}, IgnoreMissingValuesFiles: true,
	}
	if _, err := withValuesFiles(&chart.Chart{}, directory); err == nil || !strings.Contains(err.Error(), `the values file "values.yaml", which cannot be read`) {
		t.Errorf("a directory in its place: %v", err)
	}
}
