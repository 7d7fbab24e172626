package argocd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/manifests"
)

// appSet is an ApplicationSet whose spec is given.
func appSet(t *testing.T, spec string) manifests.Object {
	t.Helper()
	return object(t, "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: all, namespace: argocd}\nspec:\n"+indented(spec))
}

// summary names an Application and shows the parameters that its template took.
const (
	simpleTemplate = "template:\n  metadata: {name: '{{name}}', labels: {got: '{{got}}'}}\n  spec: {project: default}\n"
)

func goTemplate(name, got string) string {
	return "goTemplate: true\ntemplate:\n  metadata: {name: '" + name + "', labels: {got: '" + got + "'}}\n  spec: {project: default}\n"
}

func made(g *Generated) []string {
	all := []string{}
	for _, o := range g.Applications {
		all = append(all, o.GetName()+" "+o.GetLabels()["got"])
	}
	return all
}

func generate(t *testing.T, r *repository, s *Settings, spec string) *Generated {
	t.Helper()
	g, err := NewExpander(r, s, Options{}).ApplicationSet(context.Background(), appSet(t, spec))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

const clusterSecrets = `apiVersion: v1
kind: Secret
metadata: {name: b, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster, env: prod}, annotations: {region: eu}}
stringData: {name: Big_One, server: "https://b:6443", config: CANARY}
---
apiVersion: v1
kind: Secret
metadata: {name: c, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster, env: dev}}
stringData: {name: c, server: "https://c:6443"}
`

func tree() *repository {
	return files(map[string]string{
		"apps/cart/a.yaml": "", "apps/web/deep/b.yaml": "", "apps/old/c.yaml": "", "apps/.hidden/d.yaml": "", "infra/dns/e.yaml": "",
		"config/prod/app.json": `{"app": {"name": "web", "replicas": 3, "on": true}, "list": [1, "x"]}`,
		"config/dev/app.yaml":  "- {app: {name: one}}\n- {app: {name: two}}\n",
		"config/empty.yaml":    "",
	})
}

func TestGenerators(t *testing.T) {
	git := "git:\n      repoURL: " + repo + "\n      revision: main\n"
	for name, test := range map[string]struct {
		spec string
		want []string
	}{
		"list": {simpleTemplate + "generators:\n- list: {elements: [{name: a, got: x}, {name: b, values: {v: 1x}}]}\n", []string{"a x", "b {{got}}"}},
		"list with values": {"generators:\n- list: {elements: [{name: a, values: {v: x}}]}\ntemplate: {metadata: {name: '{{name}}', labels: {got: '{{ values.v }}'}}, spec: {}}\n",
			[]string{"a x"}},
		"list of YAML":   {simpleTemplate + "generators:\n- list: {elementsYaml: \"- {name: a, got: x}\\n- {name: b, got: z}\"}\n", []string{"a x", "b z"}},
		"list in Go":     {goTemplate("{{.name}}", "{{.port}}-{{index .l 0}}") + "generators:\n- list: {elements: [{name: a, port: 80, l: [q]}]}\n", []string{"a 80-q"}},
		"missing in Go":  {goTemplate("{{.name}}", "{{.none}}") + "generators:\n- list: {elements: [{name: a}]}\n", []string{"a <no value>"}},
		"sprig":          {goTemplate("{{.name | lower | trunc 3}}", "{{ .name | default \"x\" | repeat 2 | substr 3 6 }}") + "generators:\n- list: {elements: [{name: ABCDE}]}\n", []string{"abc DEA"}},
		"own functions":  {goTemplate("{{normalize .name}}", "{{slugify 8 true .name}}") + "generators:\n- list: {elements: [{name: Foo Bar_Baz}]}\n", []string{"foo-bar-baz foo-bar"}},
		"tpl and YAML":   {goTemplate("a", "{{tpl .t .}}-{{(fromYaml .doc).k}}-{{toYaml .l | nindent 0 | trim}}") + "generators:\n- list: {elements: [{t: '{{.u}}', u: x, doc: 'k: v', l: [q]}]}\n", []string{"a x-v-- q"}},
		"clusters":       {simpleTemplate + "generators:\n- clusters: {values: {got: '{{server}}'}}\n", []string{"in-cluster {{got}}", "Big_One {{got}}", "c {{got}}"}},
		"cluster labels": {"generators:\n- clusters: {selector: {matchLabels: {env: prod}}, values: {where: '{{metadata.annotations.region}}'}}\ntemplate: {metadata: {name: '{{nameNormalized}}', labels: {got: '{{metadata.labels.env}} {{values.where}} {{server}}'}}, spec: {}}\n", []string{"big-one prod eu https://b:6443"}},
		"clusters in Go": {goTemplate("{{.nameNormalized}}", "{{.metadata.labels.env}} {{.values.x}}") + "generators:\n- clusters: {selector: {matchExpressions: [{key: env, operator: In, values: [dev]}]}, values: {x: '{{.name}}!'}}\n", []string{"c dev c!"}},
		"flat list":      {goTemplate("all", "{{range .clusters}}{{.name}},{{end}}") + "generators:\n- clusters: {flatList: true, selector: {matchExpressions: [{key: env, operator: Exists}]}}\n", []string{"all Big_One,c,"}},
		"directories":    {"generators:\n- " + git + "      directories: [{path: apps/*}, {path: apps/old, exclude: true}]\ntemplate: {metadata: {name: '{{path.basename}}', labels: {got: '{{path}} {{path[0]}}'}}, spec: {}}\n", []string{"cart apps/cart apps", "web apps/web apps"}},
		"directories in Go": {goTemplate("{{.path.basename}}", "{{.path.path}} {{index .path.segments 0}} {{.values.v}}") + "generators:\n- " + git + "      directories: [{path: infra/*}]\n      values: {v: '{{.path.basenameNormalized}}'}\n",
			[]string{"dns infra/dns infra dns"}},
		"path prefix": {goTemplate("{{.p.path.basename}}", "") + "generators:\n- " + git + "      directories: [{path: infra/*}]\n      pathParamPrefix: p\n", []string{"dns "}},
		"files": {"generators:\n- " + git + "      files: [{path: config/**/app.*}, {path: config/dev/*, exclude: true}]\ntemplate: {metadata: {name: '{{app.name}}', labels: {got: '{{app.replicas}} {{app.on}} {{list.1}} {{path.basename}} {{path.filename}} {{path[1]}}'}}, spec: {}}\n",
			[]string{"web 3 true x prod app.json prod"}},
		"files with a list": {goTemplate("{{.app.name}}", "{{.path.filenameNormalized}}") + "generators:\n- " + git + "      files: [{path: config/dev}]\n", []string{"one app.yaml", "two app.yaml"}},
		"selector":          {simpleTemplate + "generators:\n- list: {elements: [{name: a, got: x}, {name: b, got: z}]}\n  selector: {matchLabels: {got: z}}\n", []string{"b z"}},
		"selector in Go":    {goTemplate("{{.name}}", "") + "generators:\n- list: {elements: [{name: a, m: {live: true}}, {name: b, m: {live: false}}]}\n  selector: {matchExpressions: [{key: m.live, operator: NotIn, values: ['false']}]}\n", []string{"a "}},
		"matrix":            {simpleTemplate + "generators:\n- matrix:\n    generators:\n    - list: {elements: [{name: a}, {name: b}]}\n    - list: {elements: [{got: x}]}\n", []string{"a x", "b x"}},
		"matrix uses the first": {"generators:\n- matrix:\n    generators:\n    - list: {elements: [{dir: apps}, {dir: infra}]}\n    - " + strings.ReplaceAll(git, "\n  ", "\n      ") + "          directories: [{path: '{{dir}}/*'}]\ntemplate: {metadata: {name: '{{path.basename}}', labels: {got: '{{dir}}'}}, spec: {}}\n",
			[]string{"cart apps", "old apps", "web apps", "dns infra"}},
		"matrix in matrix":       {goTemplate("{{.a}}-{{.b}}-{{.c}}", "") + "generators:\n- matrix:\n    generators:\n    - list: {elements: [{a: '1'}]}\n    - matrix:\n        generators:\n        - list: {elements: [{b: '{{.a}}2'}]}\n        - list: {elements: [{c: '{{.b}}3'}]}\n", []string{"1-12-123 "}},
		"matrix keeps the first": {goTemplate("{{.id}}", "{{.v.a}}{{.v.b}}") + "generators:\n- matrix:\n    generators:\n    - list: {elements: [{id: x, v: {a: '1'}}]}\n    - list: {elements: [{id: z, v: {a: '2', b: '2'}}]}\n", []string{"x 12"}},
		"merge":                  {simpleTemplate + "generators:\n- merge:\n    mergeKeys: [name]\n    generators:\n    - list: {elements: [{name: a, got: x}, {name: b, got: x}]}\n    - list: {elements: [{name: b, got: z}, {name: c, got: z}]}\n", []string{"a x", "b z"}},
		"merge in Go":            {goTemplate("{{.m.name}}", "{{.m.got}}{{.m.more}}") + "generators:\n- merge:\n    mergeKeys: [m.name]\n    generators:\n    - list: {elements: [{m: {name: a, got: x, more: z}}]}\n    - list: {elements: [{m: {name: a, got: w, more: ''}}]}\n", []string{"a wz"}},
		"own template":           {simpleTemplate + "generators:\n- list:\n    elements: [{name: a, got: x}]\n    template: {metadata: {labels: {got: '{{got}}!'}}, spec: {}}\n", []string{"a x!"}},
		"patch":                  {goTemplate("{{.name}}", "x") + "templatePatch: \"metadata: {labels: {got: '{{.name}}y'}}\"\ngenerators:\n- list: {elements: [{name: a}]}\n", []string{"a ay"}},
		"no generator":           {simpleTemplate + "generators: []\n", []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			g := generate(t, tree(), settings(t, clusterSecrets), test.spec)
			if diff := cmp.Diff(test.want, made(g)); diff != "" {
				t.Error(diff)
			}
			if len(g.LeftOut) > 0 {
				t.Errorf("left out %q", g.LeftOut)
			}
		})
	}
}

func TestApplicationsOfASet(t *testing.T) {
	g := generate(t, tree(), nil, `goTemplate: true
goTemplateOptions: ["missingkey=error"]
generators:
- list: {elements: [{name: web, port: 80}]}
template:
  metadata: {name: "{{.name}}", annotations: {"k/{{.name}}": v}}
  spec:
    project: default
    source: {repoURL: r, directory: {recurse: true}, helm: {parameters: [{name: port, value: "{{.port}}"}]}}
`)
	o := g.Applications[0]
	text, _ := json.Marshal(o.Object)
	want := `{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"annotations":{"k/web":"v"},"name":"web","namespace":"argocd"},` +
		`"spec":{"project":"default","source":{"directory":{"recurse":true},"helm":{"parameters":[{"name":"port","value":"80"}]},"repoURL":"r"}}}`
	if string(text) != want {
		t.Errorf("made %s", text)
	}
	if o.Origin.File != "apps.yaml" || o.Origin.Line != 1 || o.Origin.Unit != "clusters/prod" || o.Rules.Write != manifests.WriteNever {
		t.Errorf("origin %+v, rules %+v", o.Origin, o.Rules)
	}
	if UnitName(o) != "Application argocd/web" {
		t.Errorf("unit %q", UnitName(o))
	}
}

func TestPathGlobs(t *testing.T) {
	s := settings(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cmd-params-cm, namespace: argocd}\ndata: {applicationsetcontroller.enable.new.git.file.globbing: 'true'}\n")
	spec := func(path string) string {
		return goTemplate("{{.path.basename}}-{{.path.filenameNormalized}}-{{.app.name}}", "") + "generators:\n- git:\n    repoURL: " + repo + "\n    files: [{path: '" + path + "'}]\n"
	}
	if got := made(generate(t, tree(), s, spec("config/*.json"))); len(got) > 0 {
		t.Errorf("* crosses directories: %q", got)
	}
	if got := made(generate(t, tree(), s, spec("config/**/*.json"))); len(got) != 1 {
		t.Errorf("** does not cross directories: %q", got)
	}
	if got := made(generate(t, tree(), nil, spec("config/*.json"))); len(got) != 1 {
		t.Errorf("git's * does not cross directories: %q", got)
	}
}

func TestGeneratorsThatAreLeftOut(t *testing.T) {
	for name, test := range map[string]struct{ generator, reason string }{
		"scm":                {"scmProvider: {github: {organization: x}}", "scmProvider: it asks a hosting service"},
		"pull requests":      {"pullRequest: {}", "pullRequest: it asks"},
		"plugin":             {"plugin: {configMapRef: {name: x}}", "plugin: it asks a plugin"},
		"decisions":          {"clusterDecisionResource: {}", "only a running cluster has"},
		"unknown":            {"astrology: {}", `"astrology" is not known`},
		"in a matrix":        {"matrix: {generators: [{list: {elements: [{a: b}]}}, {pullRequest: {}}]}", "pullRequest: it asks"},
		"unknown repository": {"git: {repoURL: 'https://git.example.com/other', directories: [{path: '*'}]}", "nobody gave access"},
	} {
		t.Run(name, func(t *testing.T) {
			g := generate(t, tree(), nil, simpleTemplate+"generators:\n- {"+test.generator+"}\n- list: {elements: [{name: a, got: x}]}\n")
			contains(t, g.LeftOut, test.reason, "spec.generators[0]", "apps.yaml:1")
			if diff := cmp.Diff([]string{"a x"}, made(g)); diff != "" || len(g.LeftOut) != 1 {
				t.Errorf("%s %q", diff, g.LeftOut)
			}
		})
	}
}

func TestFaultsOfSets(t *testing.T) {
	list := "generators:\n- list: {elements: [{name: a}, {name: b}]}\n"
	gen := func(text string) string { return simpleTemplate + "generators:\n- {" + text + "}\n" }
	for name, test := range map[string]struct{ spec, want string }{
		"same name":           {"template: {metadata: {name: x}, spec: {}}\n" + list, `two Applications get the name "x"`},
		"no name":             {"template: {spec: {}}\n" + list, "metadata.name is empty"},
		"name not replaced":   {"template: {metadata: {name: '{{other}}'}, spec: {}}\n" + list, `"{{other}}" has a parameter that no generator gives`},
		"missing key":         {goTemplate("{{.name}}", "{{.none}}") + "goTemplateOptions: [missingkey=error]\n" + list, `no entry for key "none"`},
		"bad option":          {goTemplate("{{.name}}", "") + "goTemplateOptions: [panic]\n" + list, `"panic" is not known`},
		"bad template":        {goTemplate("{{.name", "") + list, "unclosed action"},
		"no such function":    {goTemplate("{{env \"HOME\"}}", "") + list, `function "env" not defined`},
		"random":              {goTemplate("{{randAlphaNum 5}}", "") + list, "randAlphaNum gives something else each time"},
		"patch":               {goTemplate("{{.name}}", "") + "templatePatch: '- a'\n" + list, "spec.templatePatch: makes no YAML mapping"},
		"text expected":       {gen("list: {elements: [{name: a, port: 80}]}"), "elements[0]: port must be text"},
		"no generator":        {gen("selector: {}"), "holds no generator"},
		"two generators":      {gen("list: {}, git: {}"), "has both git and list"},
		"no mapping":          {gen("list: []"), "list must be a mapping"},
		"one in a matrix":     {gen("matrix: {generators: [{list: {}}]}"), "matrix: needs two generators"},
		"three in a matrix":   {gen("matrix: {generators: [{list: {}}, {list: {}}, {list: {}}]}"), "takes two generators"},
		"nested too deeply":   {gen("matrix: {generators: [{list: {elements: [{a: b}]}}, {matrix: {generators: [{list: {elements: [{c: d}]}}, {merge: {}}]}}]}"), "nested too deeply"},
		"matrix disagrees":    {gen("matrix: {generators: [{list: {elements: [{name: a}]}}, {list: {elements: [{name: b}]}}]}"), `parameter "name", with different values`},
		"no merge keys":       {gen("merge: {generators: [{list: {}}, {list: {}}]}"), "mergeKeys is missing"},
		"merge key twice":     {gen("merge: {mergeKeys: [k], generators: [{list: {}}, {list: {elements: [{k: a}, {k: a}]}}]}"), "must differ"},
		"selector":            {gen("list: {}, selector: {matchExpressions: [{key: a, operator: Near}]}"), `"Near" is not known`},
		"no repository":       {gen("git: {directories: [{path: a}]}"), "repoURL is missing"},
		"nothing to look for": {gen("git: {repoURL: '" + repo + "'}"), "neither directories nor files"},
		"bad pattern":         {gen("git: {repoURL: '" + repo + "', directories: [{path: '['}]}"), "no valid pattern"},
		"no parameters":       {gen("git: {repoURL: '" + repo + "', files: [{path: 'text'}]}"), "text is neither a mapping nor a list"},
		"wrong type":          {"goTemplate: CANARY\n", "field spec.goTemplate must be of type bool"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewExpander(files(map[string]string{"text": "just text"}), nil, Options{}).ApplicationSet(context.Background(), appSet(t, test.spec))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "ApplicationSet.argoproj.io argocd/all (apps.yaml:1)") {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%v gives a value away", err)
			}
		})
	}
}

func TestRollingSync(t *testing.T) {
	g := generate(t, tree(), nil, simpleTemplate+`generators:
- list: {elements: [{name: a, got: dev}, {name: b, got: prod}, {name: c, got: prod}, {name: d, got: none}]}
strategy:
  type: RollingSync
  rollingSync:
    steps:
    - matchExpressions: [{key: got, operator: In, values: [dev]}]
    - matchExpressions: [{key: got, operator: In, values: [empty]}]
    - matchExpressions: [{key: got, operator: In, values: [prod]}]
`)
	want := []manifests.Dependency{{Unit: "Application argocd/a", Reason: "step 1 of the rolling sync of ApplicationSet argocd/all"}}
	for _, app := range g.Applications {
		expect := want
		if name := app.GetName(); name == "a" || name == "d" {
			expect = nil
		}
		if diff := cmp.Diff(expect, g.After[app.ID()]); diff != "" {
			t.Errorf("%s: %s", app.GetName(), diff)
		}
	}
	contains(t, g.Warnings, "1 of its Applications match no step")
}

func FuzzApplicationSet(f *testing.F) {
	f.Add(simpleTemplate + "generators:\n- list: {elements: [{name: a}]}\n")
	f.Add(goTemplate("{{.name}}", "{{range until 3}}{{.}}{{end}}") + "generators:\n- matrix: {generators: [{list: {elements: [{name: a}]}}, {clusters: {}}]}\n")
	f.Add("generators: [{git: {repoURL: '" + repo + "', files: [{path: config}]}}]\ntemplatePatch: '{{'\n")
	f.Fuzz(func(t *testing.T, spec string) {
		for _, o := range parseAll("apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: all}\nspec:\n"+indented(spec), "a.yaml") {
			g, err := NewExpander(tree(), nil, Options{}).ApplicationSet(context.Background(), o)
			if err == nil && len(g.Applications)+len(g.LeftOut)+len(g.Warnings) == 0 {
				t.Error("nothing made and nothing said")
			}
		}
	})
}

func elementsOf(n int, key string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{%s: '%d'},", key, i)
	}
	return "list: {elements: [" + b.String() + "]}"
}
