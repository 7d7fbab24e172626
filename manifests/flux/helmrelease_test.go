package flux

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

const (
	chart      = "chart: {spec: {chart: podinfo, version: '>=1', sourceRef: {kind: HelmRepository, name: r}}}"
	repository = "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: r, namespace: flux-system}\nspec: {url: https://charts.example.com}\n"
)

func TestChartsOfAHelmRelease(t *testing.T) {
	oci := "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: o, namespace: flux-system}\n" +
		"spec: {url: 'oci://r.example.com/c', ref: {semver: 1.x}, layerSelector: {mediaType: m, operation: copy}}\n"
	helmChart := "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nmetadata: {name: c, namespace: flux-system}\n" +
		"spec: {chart: web, version: '2', sourceRef: {kind: HelmRepository, name: r}}\n"
	for name, c := range map[string]struct {
		text  string
		check func(r ChartRequest) bool
	}{
		"repository": {hr(chart) + repository, func(r ChartRequest) bool {
			return reflect.DeepEqual(r.Source.Repository, &ChartRepository{URL: "https://charts.example.com", Chart: "podinfo", Version: ">=1"}) &&
				r.Source.From == "HelmRepository flux-system/r" && r.Unit == "HelmRelease flux-system/app"
		}},
		"oci": {hr("chartRef: {kind: OCIRepository, name: o}") + oci, func(r ChartRequest) bool {
			return reflect.DeepEqual(r.Source.OCI, &OCIReference{URL: "oci://r.example.com/c", SemVer: "1.x", MediaType: "m", Copy: true})
		}},
		"helm chart": {hr("chartRef: {kind: HelmChart, name: c}") + helmChart + repository, func(r ChartRequest) bool {
			return r.Source.Repository.Chart == "web" && r.Source.Repository.Version == "2"
		}},
		"in this repository": {hr("chart: {spec: {chart: ./charts/web, valuesFiles: [v.yaml], sourceRef: {kind: GitRepository, name: flux-system}}}"), func(r ChartRequest) bool {
			return r.Source.Path == "charts/web" && read(t, r.Source.Files, "charts/web/Chart.yaml") == "name: web" && r.ValuesFiles[0] == "v.yaml"
		}},
		"names": {hr(chart, "targetNamespace: shop") + repository, func(r ChartRequest) bool { return r.Release == "shop-app" && r.Namespace == "shop" }},
		"long name": {hr(chart, "releaseName: "+strings.Repeat("n", 60)) + repository, func(r ChartRequest) bool {
			return len(r.Release) == 53 && strings.HasPrefix(r.Release, strings.Repeat("n", 40)+"-") && r.Namespace == "flux-system"
		}},
		"install": {hr(chart, "install: {crds: Skip, disableHooks: true, disableSchemaValidation: true}") + repository, func(r ChartRequest) bool {
			return r.SkipCRDs && r.NoHooks && r.NoSchema
		}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &charts{}
			e := expander(files{"charts/web/Chart.yaml": "name: web"})
			e.Charts = fake
			expands(t, e, c.text)
			if !c.check(fake.asked) {
				t.Errorf("asked for %+v", fake.asked)
			}
		})
	}
}

func TestValuesOfAHelmRelease(t *testing.T) {
	sources := repository + `---
apiVersion: v1
kind: ConfigMap
metadata: {name: v, namespace: flux-system}
data:
  values.yaml: "a: 1\nm: {x: 1, l: [1]}\n"
  other: "a: 2\n"
  number: "42"
  quoted: "'42'"
  text: "a,b"
  several: "1,q.r=true,l={x,z}"
  escaped: 'a\,b'
  bomb: "1,a[65535]=,b[65535]=,c[65535]=,d[65535]=,e[65535]=,f[65535]=,g[65535]=,h[65535]=,i[65535]=,j[65535]=,k[65535]=,l[65535]=,m[65535]=,n[65535]=,o[65535]=,p[65535]=,q[65535]=,r[65535]=,s[65535]=,t[65535]=,u[65535]=,v[65535]="
  broken: "canary-5up3r,x"
  bad: "- canary-5up3r"
`
	for spec, want := range map[string]string{
		"values: {a: 1}": `{a: 1}`,
		"valuesFrom: [{kind: ConfigMap, name: v}]\n  values: {m: {x: 2}}":                                                       `{a: 1, m: {x: 2, l: [1]}}`,
		"valuesFrom: [{kind: ConfigMap, name: v}, {kind: ConfigMap, name: v, valuesKey: other}]":                                `{a: 2, m: {x: 1, l: [1]}}`,
		"valuesFrom: [{kind: Secret, name: none, optional: true}, {kind: ConfigMap, name: v, valuesKey: none, optional: true}]": `{}`,
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: number, targetPath: 'p.q[1].r\\.s'}]":                               `{p: {q: [null, {r.s: 42}]}}`,
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: quoted, targetPath: p}]":                                            `{p: "42"}`,
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: text, targetPath: p, literal: true}]":                               `{p: "a,b"}`,
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: several, targetPath: p}]":                                           `{p: 1, q: {r: true}, l: [x, z]}`,
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: escaped, targetPath: p}]":                                           `{p: "a,b"}`,
	} {
		fake := &charts{}
		e := expander(nil)
		e.Charts = fake
		expands(t, e, hr(chart, spec)+sources)
		var wanted map[string]any
		if err := yaml.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		got, _ := yaml.Marshal(fake.asked.Values)
		text, _ := yaml.Marshal(wanted)
		if string(got) != string(text) {
			t.Errorf("%s gives\n%s", spec, got)
		}
	}
	e := expander(nil)
	e.Charts = &charts{}
	for spec, want := range map[string]string{
		"valuesFrom: [{kind: Secret, name: none}]":                                                                 "spec.valuesFrom[0] needs Secret flux-system/none",
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: none}]":                                                `which has no key "none"`,
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: bad}]":                                                 `whose key "bad" is not a YAML mapping`,
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: text, targetPath: p}]":                                 "set literal",
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: broken, targetPath: p}]":                               "set literal",
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: bomb, targetPath: p}]":                                 "more than 20 entries of lists",
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: number, targetPath: 'p[x]'}]":                          "do not go together",
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: number, targetPath: 'p['}]":                            "do not go together",
		"valuesFrom: [{kind: ConfigMap, name: v, valuesKey: number, targetPath: 'p[999999999]'}]":                  "do not go together",
		"valuesFrom: [{kind: ConfigMap, name: v}, {kind: ConfigMap, name: v, valuesKey: number, targetPath: a.b}]": "do not go together",
	} {
		t.Run(spec, func(t *testing.T) { fails(t, e, hr(chart, spec)+sources, want) })
	}
}

func TestObjectsOfAHelmRelease(t *testing.T) {
	named := func(kind, name string) manifests.Object {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind}}
		u.SetName(name)
		return manifests.Object{Unstructured: u, Origin: manifests.Origin{File: "chart/t.yaml", Line: 3}}
	}
	hook := named("ConfigMap", "hook")
	hook.Rules = &manifests.Rules{Phase: manifests.PhaseBefore, Hook: &manifests.Hook{DeleteSucceeded: true}}
	e := expander(nil)
	e.Charts = &charts{chart: &Chart{Objects: []manifests.Object{named("ConfigMap", "plain"), hook}, CRDs: []manifests.Object{named("ConfigMap", "crd")}}}
	x := expands(t, e, hr(chart, "install: {createNamespace: true}", "commonMetadata: {labels: {team: a}}", "dependsOn: [{name: b}]",
		"postRenderers: [{kustomize: {patches: [{target: {kind: ConfigMap, name: plain}, patch: '[{\"op\": \"add\", \"path\": \"/data\", \"value\": {\"k\": \"v\"}}]'}]}}]",
		"driftDetection: {mode: enabled, ignore: [{paths: [/data], target: {name: plain}}]}",
		"healthCheckExprs: [{apiVersion: v1, kind: ConfigMap, current: 'true'}]")+repository)
	byName := map[string]manifests.Object{}
	for _, o := range x.Objects {
		byName[o.GetName()] = o
		if o.Rules.Manager != "helm-controller" || o.GetLabels()["helm.toolkit.fluxcd.io/name"] != "app" || o.Origin.Unit != "HelmRelease flux-system/app" {
			t.Errorf("%s: %v %+v", o.GetName(), o.GetLabels(), o.Rules)
		}
	}
	plain := byName["plain"]
	if plain.GetAnnotations()["meta.helm.sh/release-name"] != "app" || plain.GetAnnotations()["meta.helm.sh/release-namespace"] != "flux-system" ||
		plain.GetLabels()["app.kubernetes.io/managed-by"] != "Helm" || plain.GetLabels()["team"] != "a" || at(plain, "data", "k") != "v" || plain.Origin.Line != 3 {
		t.Errorf("plain is %v at %s", plain.Object, plain.Origin)
	}
	if plain.Rules.Health == nil || len(plain.Rules.Ignore) != 1 || byName["crd"].Rules.Ignore != nil {
		t.Errorf("rules %+v", plain.Rules)
	}
	if h := byName["hook"]; h.Rules.Hook == nil || h.Rules.Phase != manifests.PhaseBefore || h.GetAnnotations()["meta.helm.sh/release-name"] != "" {
		t.Errorf("hook %+v", h.Rules)
	}
	if len(byName["crd"].GetAnnotations()) != 0 {
		t.Error("a CRD carries a release")
	}
	if len(x.Implied) != 1 || x.Implied[0].ID().String() != "Namespace flux-system" || x.Namespace != "flux-system" || !x.Unit.Ready.All || x.Unit.After[0].Unit != "HelmRelease flux-system/b" {
		t.Errorf("unit %+v, implied %v", x.Unit, x.Implied)
	}
	if x := expands(t, e, hr(chart, "install: {disableWait: true}")+repository); x.Unit.Ready.All {
		t.Error("disableWait waits")
	}
}

func TestWhatMayDrift(t *testing.T) {
	e := expander(nil)
	o := manifests.Object{Unstructured: &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
		"name": "free", "annotations": map[string]any{"helm.toolkit.fluxcd.io/driftDetection": "Disabled"}}}}}
	e.Charts = &charts{chart: &Chart{Objects: []manifests.Object{o}}}
	x := expands(t, e, hr(chart, "driftDetection: {mode: strange, ignore: [{paths: [/data/a]}]}")+repository)
	rules := x.Objects[0].Rules.Ignore
	if len(rules) != 2 || rules[0].Pointers[0] != "" || rules[1].Pointers[0] != "/data/a" {
		t.Errorf("ignored %+v", rules)
	}
	if !strings.Contains(strings.Join(x.Warnings, " "), `spec.driftDetection.mode is strange: only`) {
		t.Errorf("warnings %q", x.Warnings)
	}
}

func TestFaultsOfAHelmRelease(t *testing.T) {
	e := expander(nil)
	e.Charts = &charts{}
	fails(t, e, hr("values: {}"), "s/k.yaml:1: HelmRelease flux-system/app: spec has neither chart nor chartRef")
	fails(t, e, hr(chart), "spec.chart.spec.sourceRef names HelmRepository.source.toolkit.fluxcd.io flux-system/r, which nothing in the state defines")
	fails(t, e, hr(chart)+strings.Replace(repository, "spec: {", "spec: {secretRef: {name: login}, ", 1), "Secret flux-system/login", "add it to the seeds")
	fails(t, e, hr("chart: {spec: {chart: x, sourceRef: {kind: Bucket, name: b}}}"), "buckets are read only by Flux itself")
	fails(t, e, hr(chart, "values: [1]")+repository, "spec cannot be read")
	e.Charts = nil
	err := fails(t, e, hr(chart)+repository, "Helm charts are not rendered here")
	if skipped := (*SkippedError)(nil); !errors.As(err, &skipped) || skipped.Meant {
		t.Errorf("error %#v", err)
	}
}
