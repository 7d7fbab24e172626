package expand

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/internal/charttest"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/source"
)

func TestWhichRepositoryIsMeant(t *testing.T) {
	mine := "git@git.example.com:platform/fleet"
	fork := "https://git.example.com/upstream/fleet.git"
	for name, c := range map[string]struct {
		from, warning string
		options       Options
	}{
		"written differently": {from: mine},
		"a mirror":            {from: fork, options: Options{Repository: flux.Repository{URLs: []string{fork}}}},
		"a fork":              {from: fork, warning: "is not known as an address of this repository: it is the only one that they name"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := guestbook()
			for file, text := range repo {
				repo[file] = strings.ReplaceAll(text, fleet, c.from)
			}
			r := expanded(t, repo, c.options, "argocd")
			object(t, r, "ConfigMap shop/ui")
			said := slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "not known as an address") })
			if said != (c.warning != "") {
				t.Errorf("warnings %q", r.Warnings)
			}
		})
	}
	repo := guestbook()
	repo["apps/db.yaml"] = strings.Replace(application("db", "db"), "targetRevision: main", "targetRevision: v1.2.0", 1)
	warned(t, expanded(t, repo, Options{}, "argocd"), `Application argocd/db asks for the revision "v1.2.0" of this repository: it is rendered from commit cccccccccccc`)
}

// elsewhere is access to other repositories.
type elsewhere map[string]*source.Snapshot

func (e elsewhere) Fetch(_ context.Context, r flux.GitRequest) (*source.Snapshot, error) {
	key := r.URL + " " + r.Revision
	if s := e[key]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("no %s; credentials of %d fields", key, len(r.Credentials))
}

func TestOtherRepositoriesAreFetched(t *testing.T) {
	other := files{"deploy/x.yaml": plainCM("x")}.snapshot()
	other.Commit = strings.Repeat("d", 40)
	git := elsewhere{"https://git.example.com/else/where.git v1": other}
	repo := guestbook().with(files{"argocd/else.yaml": strings.NewReplacer(fleet, "https://git.example.com/else/where.git", "main", "v1").Replace(application("else", "deploy"))})
	r := expanded(t, repo, Options{Git: git}, "argocd")
	if o := object(t, r, "ConfigMap shop/x"); o.Origin.File != "https://git.example.com/else/where.git@dddddddddddd:deploy/x.yaml" {
		t.Errorf("comes from %s", o.Origin)
	}
}

func TestChartsOfApplications(t *testing.T) {
	server := charttest.New(t)
	server.RequireBasic("reader", canary)
	server.Add(charttest.Pack(map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 1.2.0\n", "values.yaml": "size: small\nport: 1\n", "extra.yaml": "port: 3\n",
		"templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {size: '{{ .Values.size }}', port: '{{ .Values.port }}', " +
			"wide: '{{ .Capabilities.APIVersions.Has \"example.com/v1/Widget\" }}'}\n",
		"templates/test.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\nspec: {containers: []}\n",
		"templates/job.yaml":  strings.Replace(hook("PreSync", "generateName: load-", "a: b"), "---\n", "", 1),
	}))
	chartOf := func(helm string) string {
		return argoObject("Application", "demo", "", toShop, "sources:",
			"- {repoURL: "+server.Repository()+", chart: demo, targetRevision: 1.x, helm: {"+helm+"}}",
			"- {repoURL: "+fleet+", ref: values}")
	}
	repo := files{
		"s/app.yaml": chartOf("valueFiles: [extra.yaml, $values/env/prod.yaml], parameters: [{name: port, value: '2'}]"),
		"s/crd.yaml": crd("example.com", "Other"), "env/prod.yaml": "size: large\n",
		"s/late.yaml": application("late", "late"), "late/crd.yaml": crd("example.com", "Widget"),
	}
	secret := Seed{Kind: "Secret", Namespace: "argocd", Name: "charts", Labels: map[string]string{secretType: "repository"}, Data: map[string][]byte{
		"url": []byte(server.Repository()), "username": []byte("reader"), "password": []byte(canary)}}
	refused(t, repo, Options{}, "s", "answered 401")
	refused(t, repo, Options{Helm: ChartOptions{Offline: true}}, "s", "Application.argoproj.io argocd/demo (s/app.yaml:", "source 1, chart demo of", "nothing is fetched here")
	dead := Options{Helm: ChartOptions{Mirrors: []ChartMirror{{From: server.Repository(), To: "http://127.0.0.1:1/none"}}}}
	refused(t, repo, dead, "s", "cannot be read", "--chart-mirror")
	with := Options{Seeds: []Seed{secret}}
	r := expanded(t, repo, with, "s")
	c := object(t, r, "ConfigMap shop/demo")
	if data := fmt.Sprint(c.Object["data"]); data != "map[port:2 size:large wide:true]" {
		t.Errorf("data %s", data)
	}
	object(t, r, "Job.batch shop/load-1x-presync")
	warned(t, r, "Pod t (chart demo-1.2.0: templates/test.yaml) is left out")

	repo["s/app.yaml"] = chartOf("valueFiles: [gone.yaml]")
	refused(t, repo, with, "s", `has no file "gone.yaml"`)
	repo["charts/demo/Chart.yaml"], repo["charts/demo/templates/a.yaml"] = "apiVersion: v2\nname: own\nversion: 0.1.0\n", plainCM("{{ .Release.Name }}-own")
	repo["s/app.yaml"] = application("mine", "charts/demo")
	if o := object(t, expanded(t, repo, Options{}, "s"), "ConfigMap shop/mine-own"); o.Origin.File != "charts/demo/templates/a.yaml" {
		t.Errorf("comes from %s", o.Origin)
	}
}
