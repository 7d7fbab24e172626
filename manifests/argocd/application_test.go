package argocd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/manifests"
)

const (
	configMap  = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
	deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
)

func ids(objects []manifests.Object) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.ID().String())
	}
	return all
}

func at(t *testing.T, x *Expansion, name string) manifests.Object {
	t.Helper()
	for _, o := range x.Objects {
		if o.GetName() == name {
			return o
		}
	}
	t.Fatalf("no %s among %q", name, ids(x.Objects))
	return manifests.Object{}
}

func TestUnitOfAnApplication(t *testing.T) {
	r := files(map[string]string{"shop/all.yaml": configMap + "---\n" + deployment + "---\n" +
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: reader, namespace: wrong}\n---\n" +
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: foos.example.com}\n---\n" +
		"apiVersion: v1\nkind: Secret\nmetadata: {name: other, namespace: elsewhere}\n"})
	o := app(t, here+"source: {repoURL: "+repo+", path: shop, targetRevision: main}\n")
	after := []manifests.Dependency{{Unit: "gate", Reason: "r"}}
	x, err := NewExpander(r, nil, Options{}).Application(context.Background(), o, after)
	if err != nil {
		t.Fatal(err)
	}
	want := &manifests.Unit{
		Name: "Application argocd/shop", Definition: o.ID(), Origin: o.Origin, After: after, Ready: manifests.Readiness{All: true},
	}
	if diff := cmp.Diff(want, x.Unit); diff != "" {
		t.Error(diff)
	}
	if len(x.Warnings) > 0 || x.LeftOut != "" || x.Namespace != nil || !slices.Equal(r.revisions, []string{"main"}) {
		t.Errorf("%+v, revisions %q", x, r.revisions)
	}
	wantIDs := []string{
		"ConfigMap shop/settings", "Deployment.apps shop/web", "ClusterRole.rbac.authorization.k8s.io reader",
		"CustomResourceDefinition.apiextensions.k8s.io foos.example.com", "Secret elsewhere/other",
	}
	if diff := cmp.Diff(wantIDs, ids(x.Objects)); diff != "" {
		t.Error(diff)
	}
	for name, tracking := range map[string]string{
		"settings":         "shop:/ConfigMap:shop/settings",
		"web":              "shop:apps/Deployment:shop/web",
		"reader":           "shop:rbac.authorization.k8s.io/ClusterRole:shop/reader",
		"foos.example.com": "",
		"other":            "shop:/Secret:elsewhere/other",
	} {
		got := at(t, x, name)
		if a := got.GetAnnotations()[annotationTracking]; a != tracking {
			t.Errorf("%s is tracked as %q, want %q", name, a, tracking)
		}
		if got.Rules == nil || got.Rules.Manager != "argocd-controller" || got.Origin.Unit != x.Unit.Name || got.Origin.File != "shop/all.yaml" {
			t.Errorf("%s: rules %+v, origin %+v", name, got.Rules, got.Origin)
		}
	}
}

func TestTracking(t *testing.T) {
	cm := func(data string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: gitops}\ndata: " + data + "\n"
	}
	for name, test := range map[string]struct {
		settings            string
		label, annotation   string
		installation, inKey string
	}{
		"annotation": {cm("{}"), "", "argocd_shop:/ConfigMap:shop/settings", "", ""},
		"label":      {cm("{application.resourceTrackingMethod: label}"), "argocd_shop", "", "", "app.kubernetes.io/instance"},
		"both": {cm("{application.resourceTrackingMethod: annotation+label, application.instanceLabelKey: argocd/app, installationID: blue}"),
			"argocd_shop", "argocd_shop:/ConfigMap:shop/settings", "blue", "argocd/app"},
	} {
		t.Run(name, func(t *testing.T) {
			r := files(map[string]string{"shop/a.yaml": configMap})
			x := expand(t, r, settings(t, test.settings), app(t, here+"source: {repoURL: "+repo+", path: shop}\n"))
			o := at(t, x, "settings")
			if got := o.GetLabels()[test.inKey]; got != test.label {
				t.Errorf("label %q", got)
			}
			if got := o.GetAnnotations()[annotationTracking]; got != test.annotation {
				t.Errorf("annotation %q", got)
			}
			if got := o.GetAnnotations()[annotationInstallation]; got != test.installation {
				t.Errorf("installation %q", got)
			}
		})
	}
}

func TestLeftOut(t *testing.T) {
	source := "source: {repoURL: " + repo + ", path: shop}\n"
	for name, test := range map[string]struct{ spec, reason string }{
		"plugin":             {here + "source: {repoURL: " + repo + ", path: shop, plugin: {name: vault}}\n", "config management plugin"},
		"unknown repository": {here + "source: {repoURL: https://git.example.com/other, path: x}\n", "nobody gave access"},
		"other server":       {"destination: {server: https://other:6443, namespace: x}\n" + source, "another cluster, https://other:6443"},
		"other name":         {"destination: {name: staging, namespace: x}\n" + source, "another cluster, staging"},
		"jsonnet":            {here + "source: {repoURL: " + repo + ", path: jsonnet}\n", "jsonnet/a.jsonnet is Jsonnet"},
		"values from afar":   {here + "source: {repoURL: " + repo + ", path: chart, helm: {valueFiles: ['https://x.example.com/v.yaml']}}\n", "values by https"},
	} {
		t.Run(name, func(t *testing.T) {
			r := files(map[string]string{"shop/a.yaml": configMap, "jsonnet/a.jsonnet": "{}", "chart/Chart.yaml": "{}"})
			x := expand(t, r, nil, app(t, test.spec))
			if x.Unit != nil || len(x.Objects) > 0 || !strings.Contains(x.LeftOut, test.reason) {
				t.Errorf("unit %v, left out for %q", x.Unit, x.LeftOut)
			}
		})
	}
	skipped := app(t, here+source)
	setAnnotation(skipped, annotationSkipReconcile, "true")
	if x := expand(t, files(nil), nil, skipped); !strings.Contains(x.LeftOut, "skip-reconcile") {
		t.Errorf("left out for %q", x.LeftOut)
	}
}

func TestDestinations(t *testing.T) {
	secret := func(name, server string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: c-" + name + ", namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster}}\n" +
			"stringData: {name: " + name + ", server: '" + server + "', config: CANARY}\n"
	}
	s := settings(t, secret("prod", InCluster)+"---\n"+secret("spoke", "https://spoke:6443"))
	for name, test := range map[string]struct {
		destination string
		clusters    []ClusterName
		want        bool
	}{
		"in-cluster":            {"{name: in-cluster}", nil, true},
		"server":                {"{server: 'https://kubernetes.default.svc/'}", nil, true},
		"named by its Secret":   {"{name: prod}", nil, true},
		"spoke":                 {"{name: spoke}", nil, false},
		"spoke is this one":     {"{name: spoke}", []ClusterName{{Name: "spoke"}}, true},
		"spoke by server":       {"{server: 'https://spoke:6443'}", []ClusterName{{Name: "spoke"}}, true},
		"spoke given by server": {"{name: spoke}", []ClusterName{{Server: "https://spoke:6443/"}}, true},
		"spoke without Secret":  {"{server: 'https://new:6443'}", []ClusterName{{Name: "new", Server: "https://new:6443"}}, true},
		"then the hub is not":   {"{name: in-cluster}", []ClusterName{{Name: "spoke"}}, false},
		"nor by its own Secret": {"{name: prod}", []ClusterName{{Name: "spoke"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := files(map[string]string{"shop/a.yaml": configMap})
			o := app(t, "destination: "+test.destination+"\nsource: {repoURL: "+repo+", path: shop}\n")
			x, err := NewExpander(r, s, Options{Clusters: test.clusters}).Application(context.Background(), o, nil)
			if err != nil {
				t.Fatal(err)
			}
			if (x.Elsewhere == "") != test.want {
				t.Errorf("is for %q", x.Elsewhere)
			}
			if (x.Unit != nil) != test.want {
				t.Errorf("unit %v, left out for %q", x.Unit, x.LeftOut)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	source := func(text string) string { return here + "source: {repoURL: " + repo + ", " + text + "}\n" }
	for name, test := range map[string]struct{ spec, want string }{
		"no source":              {here, "neither spec.source nor spec.sources"},
		"no repository":          {here + "source: {path: x}\n", "repoURL is missing"},
		"no destination":         {"source: {repoURL: " + repo + ", path: shop}\n", "names no cluster"},
		"two destinations":       {"destination: {server: a, name: b}\n", "both a server and a name"},
		"no such path":           {source("path: none"), `"none" does not exist`},
		"path outside":           {source("path: ../etc"), "leaves the repository"},
		"two types":              {source("path: shop, helm: {releaseName: a}, directory: {recurse: true}"), "several types"},
		"bad glob":               {source("path: shop, directory: {include: '{a'}"), "directory.include"},
		"wrong type":             {source("path: [shop]"), "field spec.source.path must be of type string"},
		"no kustomization":       {source("path: shop, kustomize: {namePrefix: a}"), "has no kustomization.yaml"},
		"values file missing":    {source("path: chart, helm: {valueFiles: [none.yaml]}"), "none.yaml cannot be read: file does not exist"},
		"no values match":        {source("path: chart, helm: {valueFiles: ['none-*.yaml']}"), "nothing matches"},
		"no directory matches":   {source("path: chart, helm: {valueFiles: ['gone/*.yaml']}"), "nothing matches"},
		"values outside":         {source("path: chart, helm: {valueFiles: ['../../x']}"), "leaves the repository"},
		"values are no mapping":  {source("path: chart, helm: {values: '- CANARY'}"), "helm.values is no YAML mapping"},
		"ref to nothing":         {source("path: chart, helm: {valueFiles: ['$values/x.yaml']}"), `the ref "values"`},
		"label twice":            {source("path: kust, kustomize: {commonLabels: {a: b}}"), `commonLabels has "a" already`},
		"override is no mapping": {source("path: broken"), "broken/.argocd-source.yaml is no YAML mapping"},
		"override of wrong type": {source("path: mistyped"), "mistyped/.argocd-source.yaml: field"},
		"bad ignoreDifferences":  {source("path: shop") + "ignoreDifferences: [{group: '{', kind: X}]\n", "spec.ignoreDifferences[0]: group"},
		"generated name":         {source("path: generated"), "only a hook may have a generated one"},
	} {
		t.Run(name, func(t *testing.T) {
			r := files(map[string]string{
				"shop/a.yaml": configMap, "chart/Chart.yaml": "{}", "kust/kustomization.yaml": "commonLabels: {a: x}",
				"broken/.argocd-source.yaml": "[]", "mistyped/.argocd-source.yaml": "helm: {valueFiles: CANARY}",
				"generated/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n",
			})
			_, err := NewExpander(r, nil, Options{}).Application(context.Background(), app(t, test.spec), nil)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "Application.argoproj.io argocd/shop (apps.yaml:1)") {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%v gives a value away", err)
			}
		})
	}
}

func TestIgnoredDifferences(t *testing.T) {
	r := files(map[string]string{"shop/a.yaml": configMap + "---\n" + deployment})
	s := settings(t, `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd}
data:
  resource.customizations.ignoreDifferences.all: "managedFieldsManagers: [kube-controller-manager]"
  resource.customizations.ignoreDifferences.apps_Deployment: "jqPathExpressions: ['.spec.x']"
  resource.customizations: |
    ConfigMap:
      ignoreDifferences: |
        jsonPointers: [/data/now]
`)
	x := expand(t, r, s, app(t, here+"source: {repoURL: "+repo+", path: shop}\nignoreDifferences:\n- {group: '*', kind: 'Deploy*', jsonPointers: [/spec/replicas]}\n- {group: apps, kind: Deployment, name: other, jsonPointers: [/no]}\n- {group: '', kind: ConfigMap, namespace: elsewhere, jsonPointers: [/no]}\n"))
	short := func(o manifests.Object) (all []string) {
		for _, f := range o.Rules.Ignore {
			all = append(all, fmt.Sprint(f.Pointers, f.JQ, f.Managers, " ", strings.HasPrefix(f.From, "spec.ignoreDifferences[0] of Application argocd/shop (apps.yaml:1)")))
		}
		return all
	}
	want := []string{"[] [] [kube-controller-manager] false", "[] [.spec.x] [] false", "[/spec/replicas] [] [] true"}
	if diff := cmp.Diff(want, short(at(t, x, "web"))); diff != "" {
		t.Error(diff)
	}
	want = []string{"[/data/now] [] [] false", "[] [] [kube-controller-manager] false"}
	if diff := cmp.Diff(want, short(at(t, x, "settings"))); diff != "" {
		t.Error(diff)
	}
	contains(t, []string{at(t, x, "web").Rules.Ignore[1].From}, "resource.customizations.ignoreDifferences.apps_Deployment of ConfigMap argocd/argocd-cm (argocd.yaml:1)")
}

func TestCreatedNamespaces(t *testing.T) {
	source := "source: {repoURL: " + repo + ", path: shop}\ndestination: {name: in-cluster, namespace: shop}\n"
	r := files(map[string]string{"shop/a.yaml": configMap})
	plain := expand(t, r, nil, app(t, source+"syncPolicy: {automated: {}, syncOptions: [CreateNamespace=true]}\n"))
	if n := plain.Namespace; n == nil || n.GetName() != "shop" || n.Rules.Write != manifests.WriteCreate || n.Rules.Phase != manifests.PhaseBefore || n.Origin.Line != 1 {
		t.Fatalf("namespace %+v", n)
	}
	managed := expand(t, r, nil, app(t, source+"syncPolicy: {syncOptions: [CreateNamespace=true], managedNamespaceMetadata: {labels: {a: b}, annotations: {c: d}}}\n"))
	n := managed.Namespace
	if diff := cmp.Diff(map[string]string{"c": "d", annotationSyncOptions: "ServerSideApply=true"}, n.GetAnnotations()); diff != "" || n.Rules.Write != manifests.WriteApply || n.GetLabels()["a"] != "b" {
		t.Errorf("namespace %+v %s", n, diff)
	}
	contains(t, managed.Warnings, "not synced automatically")
	for _, none := range []string{"syncPolicy: {syncOptions: [CreateNamespace=false]}\n", "syncPolicy: {syncOptions: [CreateNamespace=true, CreateNamespace=false]}\n", ""} {
		if x := expand(t, r, nil, app(t, source+none)); x.Namespace != nil {
			t.Errorf("%q creates a namespace", none)
		}
	}
	r = files(map[string]string{"shop/a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"})
	if x := expand(t, r, nil, app(t, source+"syncPolicy: {syncOptions: [CreateNamespace=true]}\n")); x.Namespace != nil {
		t.Error("a namespace beside the rendered one")
	}

	other := *n
	other.Unstructured = n.DeepCopy()
	other.SetLabels(map[string]string{"a": "other", "e": "f"})
	kept, warnings := Namespaces([]manifests.Object{*plain.Namespace, *n, *plain.Namespace, other}, nil)
	if len(kept) != 1 {
		t.Fatalf("kept %q", ids(kept))
	}
	if diff := cmp.Diff(map[string]string{"a": "b", "e": "f"}, kept[0].GetLabels()); diff != "" {
		t.Error(diff)
	}
	contains(t, warnings, "Namespace shop gets different values for [a]")
	if kept, _ := Namespaces([]manifests.Object{*n}, parseAll("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n", "x")); len(kept) != 0 {
		t.Error("a rendered namespace does not win")
	}
}

func TestHooksOfAnApplication(t *testing.T) {
	r := files(map[string]string{"shop/a.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-, annotations: {argocd.argoproj.io/hook: PreSync}}\n"})
	x := expand(t, r, nil, app(t, here+"source: {repoURL: "+repo+", path: shop}\n"))
	o := at(t, x, "migrate-0123456-presync")
	if o.Rules.Hook == nil || o.Rules.Phase != manifests.PhaseBefore || o.GetAnnotations()[annotationTracking] != "shop:batch/Job:shop/migrate-0123456-presync" {
		t.Errorf("rules %+v, annotations %v", o.Rules, o.GetAnnotations())
	}
}

func TestProjects(t *testing.T) {
	project := func(spec string) *Settings {
		return settings(t, "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team, namespace: argocd}\nspec: "+spec+"\n")
	}
	for name, test := range map[string]struct{ project, warning string }{
		"all allowed":          {"{sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}]}", ""},
		"by name and pattern":  {"{sourceRepos: ['https://git.example.com/*'], destinations: [{name: in-cluster, namespace: 'sh*'}]}", ""},
		"source":               {"{sourceRepos: ['https://other.example.com/*'], destinations: [{server: '*', namespace: '*'}]}", "does not allow sources from https://git.example.com"},
		"source denied":        {"{sourceRepos: ['*', '!https://git.example.com/platform'], destinations: [{server: '*', namespace: '*'}]}", "does not allow sources"},
		"star crosses no path": {"{sourceRepos: ['https://*'], destinations: [{server: '*', namespace: '*'}]}", "does not allow sources"},
		"namespace":            {"{sourceRepos: ['*'], destinations: [{server: '*', namespace: other}]}", `does not allow namespace "shop"`},
		"namespace denied":     {"{sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}, {server: '*', namespace: '!shop'}]}", `does not allow namespace "shop"`},
		"window":               {"{sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], syncWindows: [{kind: deny, schedule: '* 3 * * *', duration: 2h, namespaces: ['shop*']}]}", `sync window (deny "* 3 * * *" for 2h)`},
		"signatures":           {"{sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], signatureKeys: [{keyID: 4AEE18F83AFDEB23}]}", "takes only commits that are signed with its signatureKeys"},
		"window of others":     {"{sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], syncWindows: [{kind: deny, schedule: x, duration: 2h, applications: [cart]}]}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := files(map[string]string{"shop/a.yaml": configMap})
			x := expand(t, r, project(test.project), app(t, here+"project: team\nsource: {repoURL: "+repo+", path: shop}\n"))
			if test.warning == "" && len(x.Warnings) > 0 {
				t.Errorf("warnings %q", x.Warnings)
			}
			if test.warning != "" {
				contains(t, x.Warnings, test.warning)
			}
		})
	}
	x := expand(t, files(map[string]string{"shop/a.yaml": configMap}), nil, app(t, here+"project: none\nsource: {repoURL: "+repo+", path: shop}\n"))
	contains(t, x.Warnings, "AppProject none, which is nowhere")
}

func FuzzApplication(f *testing.F) {
	f.Add(here + "source: {repoURL: " + repo + ", path: shop}\n")
	f.Add(here + "sources: [{repoURL: a, chart: b, helm: {valueFiles: ['$x/y']}}]\n")
	f.Add("ignoreDifferences: [{}]\n")
	f.Fuzz(func(t *testing.T, spec string) {
		for _, o := range parseAll("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n"+indented(spec), "a.yaml") {
			x, err := NewExpander(files(map[string]string{"shop/a.yaml": configMap}), nil, Options{}).Application(context.Background(), o, nil)
			if err == nil && x.Unit == nil && x.LeftOut == "" {
				t.Error("neither a unit nor a reason")
			}
		}
	})
}
