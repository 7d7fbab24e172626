package argocd

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDirectories(t *testing.T) {
	content := map[string]string{
		"shop/a.yaml":            configMap,
		"shop/b.json":            `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}`,
		"shop/skipped.yml":       "# +argocd:skip-file-rendering\n" + deployment,
		"shop/README.md":         "apiVersion kind",
		"shop/sub/c.yaml":        deployment,
		"shop/.argocd-source.x":  "",
		"shop/sub/deep/d.yaml":   deployment,
		"shop/sub/.git/e.yaml":   deployment,
		"shopping/elsewhere.yml": deployment,
		"shop/values.yaml":       "extra:\n- apiVersion: v1\n  kind: ConfigMap\n",
		"shop/sub/manifest.txt":  deployment,
	}
	for name, test := range map[string]struct {
		directory string
		want      []string
	}{
		"flat":              {"{}", []string{"shop/a.yaml", "shop/b.json"}},
		"recursive":         {"{recurse: true}", []string{"shop/a.yaml", "shop/b.json", "shop/sub/c.yaml", "shop/sub/deep/d.yaml"}},
		"include":           {"{recurse: true, include: '*.json'}", []string{"shop/b.json"}},
		"include crosses /": {"{recurse: true, include: 'sub/*'}", []string{"shop/sub/c.yaml", "shop/sub/deep/d.yaml"}},
		"exclude":           {"{recurse: true, exclude: '{*.json,sub/deep/*}'}", []string{"shop/a.yaml", "shop/sub/c.yaml"}},
		"any name":          {"{recurse: true, disableExtensionFilter: true, include: 'sub/*'}", []string{"shop/sub/c.yaml", "shop/sub/deep/d.yaml", "shop/sub/manifest.txt"}},
		"both":              {"{recurse: true, include: '*.yaml', exclude: 'sub/*'}", []string{"shop/a.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := files(content)
			expand(t, r, nil, app(t, here+"source: {repoURL: "+repo+", path: shop, directory: "+test.directory+"}\n"))
			if diff := cmp.Diff(test.want, r.files[0].Files); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKindsOfSources(t *testing.T) {
	content := map[string]string{
		"chart/Chart.yaml": "name: x", "chart/kustomization.yaml": "{}",
		"kust/Kustomization": "{}", "plain/a.yaml": configMap,
		"over/a.yaml": configMap, "over/kustomization.yaml": "{}",
	}
	for name, test := range map[string]struct {
		source, kind string
	}{
		"a chart wins":        {"path: chart", "helm"},
		"a kustomization":     {"path: kust", "kustomize"},
		"else files":          {"path: plain", "files"},
		"said to be files":    {"path: over, directory: {recurse: true}", "files"},
		"said to be a chart":  {"path: over, helm: {releaseName: x}", "helm"},
		"absolute path":       {"path: /plain", "files"},
		"from chart registry": {"chart: redis, targetRevision: 1.2.3", "helm"},
	} {
		t.Run(name, func(t *testing.T) {
			r := files(content)
			expand(t, r, nil, app(t, here+"source: {repoURL: "+repo+", "+test.source+"}\n"))
			got := map[string]int{"helm": len(r.helm), "kustomize": len(r.kustomize), "files": len(r.files)}
			for kind, n := range got {
				if (n == 1) != (kind == test.kind) {
					t.Errorf("asked for %v, want %s", got, test.kind)
				}
			}
		})
	}
}

func TestSeveralSources(t *testing.T) {
	r := files(map[string]string{
		"one/a.yaml": configMap, "two/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {from: two}\n",
		"chart/Chart.yaml": "{}", "env/prod.yaml": "a: 1", "env/shop.yaml": "b: 2",
	})
	x := expand(t, r, nil, app(t, here+"sources:\n- {repoURL: "+repo+", path: one}\n- {repoURL: "+repo+", path: two}\n"+
		"- {repoURL: 'https://charts.example.com', chart: redis, targetRevision: 1.2.3, helm: {valueFiles: [values-ha.yaml, $values/env/prod.yaml, '$values/env/$ARGOCD_APP_NAME.yaml']}}\n"+
		"- {repoURL: "+repo+", ref: values, targetRevision: v1}\n"))
	if diff := cmp.Diff([]string{"ConfigMap shop/settings", "ConfigMap shop/shop"}, ids(x.Objects)); diff != "" {
		t.Error(diff)
	}
	if data, _ := at(t, x, "settings").Object["data"].(map[string]any); data["from"] != "two" {
		t.Errorf("data %v", data)
	}
	contains(t, x.Warnings, "ConfigMap shop/settings is rendered twice, at one/a.yaml:1 and at two/a.yaml:1")
	q := r.helm[0]
	want := []HelmValues{
		{From: "values-ha.yaml", ChartFile: "values-ha.yaml"},
		{From: "env/prod.yaml", Data: []byte("a: 1")}, {From: "env/shop.yaml", Data: []byte("b: 2")},
	}
	if diff := cmp.Diff(want, q.Values); diff != "" {
		t.Error(diff)
	}
	if q.Chart != "redis" || q.Version != "1.2.3" || q.RepoURL != "https://charts.example.com" || q.Tree.FS != nil {
		t.Errorf("request %+v", q)
	}
}

func TestHydratedSource(t *testing.T) {
	r := files(map[string]string{"out/a.yaml": configMap})
	x := expand(t, r, nil, app(t, here+"sourceHydrator:\n  drySource: {repoURL: "+repo+", path: src}\n  syncSource: {targetBranch: env/prod, path: out}\n"))
	if len(x.Objects) != 1 || !slices.Equal(r.revisions, []string{"env/prod"}) || !r.hydrated {
		t.Errorf("objects %q of %q", ids(x.Objects), r.revisions)
	}
}

func TestHelm(t *testing.T) {
	r := files(map[string]string{
		"chart/Chart.yaml": "{}", "chart/values-a.yaml": "a: 1", "chart/values-b.yaml": "b: 1", "values/shared.yaml": "c: 1", "chart/cert.pem": "PEM\n",
	})
	expand(t, r, nil, app(t, here+`source:
  repoURL: `+repo+`
  path: chart
  targetRevision: main
  helm:
    releaseName: web
    valueFiles: ['values-*.yaml', /values/shared.yaml, gone.yaml]
    ignoreMissingValueFiles: true
    values: "x: 1"
    valuesObject: {big: 12345678901}
    parameters:
    - {name: image.tag, value: $ARGOCD_APP_REVISION_SHORT}
    - {name: text, value: "1", forceString: true}
    - {name: price, value: 5$$ $HOME}
    fileParameters: [{name: cert, path: cert.pem}]
    skipCrds: true
    skipTests: true
    skipSchemaValidation: true
    kubeVersion: "1.36"
    apiVersions: [monitoring.coreos.com/v1]
`))
	q := r.helm[0]
	q.Tree = Tree{}
	want := HelmRequest{
		Path: "chart", Release: "web", Namespace: "shop", Into: "shop",
		Values: []HelmValues{
			{From: "chart/values-a.yaml", Data: []byte("a: 1")}, {From: "chart/values-b.yaml", Data: []byte("b: 1")},
			{From: "values/shared.yaml", Data: []byte("c: 1")}, {From: "helm.valuesObject", Data: []byte(`{"big":12345678901}`)},
		},
		Parameters: []HelmParameter{
			{Name: "image.tag", Value: "0123456"}, {Name: "text", Value: "1", String: true}, {Name: "price", Value: "5$ "},
			{Name: "cert", Value: "PEM\n", Literal: true},
		},
		SkipCRDs: true, SkipTests: true, SkipSchemaValidation: true, KubeVersion: "1.36", APIVersions: []string{"monitoring.coreos.com/v1"},
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Error(diff)
	}
}

func TestKustomizeChanges(t *testing.T) {
	r := files(map[string]string{
		"kust/kustomization.yaml": "resources: [a.yaml]\nimages:\n- {name: web, newName: old/web, newTag: v1}\n- {name: db, newTag: v1}\ncommonAnnotations: {kept: x}\n",
		"part/kustomization.yaml": "kind: Component",
	})
	s := settings(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata: {kustomize.buildOptions: --enable-helm --load-restrictor=LoadRestrictionsNone}\n")
	expand(t, r, s, app(t, here+`source:
  repoURL: `+repo+`
  path: kust
  kustomize:
    namePrefix: prod-
    nameSuffix: -x
    namespace: other
    images: ['web=*:v2', 'reg:5000/db@sha256:aa', 'cache=redis:$ARGOCD_APP_REVISION_SHORT', 'db:v3']
    replicas: [{name: web, count: 3}]
    commonLabels: {team: shop}
    labelWithoutSelector: true
    commonAnnotations: {app: $ARGOCD_APP_NAME}
    commonAnnotationsEnvsubst: true
    components: [../part, ../gone]
    ignoreMissingComponents: true
    patches: [{path: p.yaml}]
`))
	q := r.kustomize[0]
	want := `commonAnnotations:
  app: shop
  kept: x
components:
- ../part
images:
- name: web
  newName: old/web
  newTag: v2
- name: db
  newTag: v3
- digest: sha256:aa
  name: reg:5000/db
- name: cache
  newName: redis
  newTag: "0123456"
labels:
- includeSelectors: false
  includeTemplates: false
  pairs:
    team: shop
namePrefix: prod-
nameSuffix: -x
namespace: other
patches:
- path: p.yaml
replicas:
- count: 3
  name: web
resources:
- a.yaml
`
	if diff := cmp.Diff(want, string(q.Overlay["kust/kustomization.yaml"])); diff != "" {
		t.Error(diff)
	}
	if !q.EnableHelm || !q.LoadAnywhere || q.Path != "kust" {
		t.Errorf("request %+v", q)
	}
	r = files(map[string]string{"kust/kustomization.yaml": "resources: [a.yaml]\n"})
	expand(t, r, nil, app(t, here+"source: {repoURL: "+repo+", path: kust}\n"))
	if q := r.kustomize[0]; q.Overlay != nil || q.EnableHelm || q.LoadAnywhere {
		t.Errorf("unchanged, but asked for %+v", q)
	}
}

func TestOverridesInTheDirectory(t *testing.T) {
	r := files(map[string]string{
		"chart/Chart.yaml":               "{}",
		"chart/.argocd-source.yaml":      "repoURL: https://elsewhere\npath: x\nhelm: {releaseName: general, parameters: [{name: a, value: '1'}]}\n",
		"chart/.argocd-source-shop.yaml": "helm: {releaseName: special}\n",
		"chart/.argocd-source-cart.yaml": "helm: {releaseName: wrong}\n",
	})
	expand(t, r, nil, app(t, here+"source: {repoURL: "+repo+", path: chart, helm: {skipCrds: true}}\n"))
	if q := r.helm[0]; q.Release != "special" || !q.SkipCRDs || len(q.Parameters) != 1 || q.Path != "chart" {
		t.Errorf("request %+v", q)
	}
}
