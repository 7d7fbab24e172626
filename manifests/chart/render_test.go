package chart

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

func rendered(t *testing.T, req Request) *Result {
	t.Helper()
	result, err := Render(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func ids(objects []manifests.Object) []string {
	all := make([]string, len(objects))
	for i, o := range objects {
		all[i] = o.ID().String()
	}
	return all
}

func TestRenderMakesObjectsOfAChart(t *testing.T) {
	req := request(chartOf(t, fixture(t, "web")))
	req.Values = map[string]any{"replicas": int64(3), "cache": map[string]any{"size": int64(4)}}
	result := rendered(t, req)
	want := []string{
		"CustomResourceDefinition.apiextensions.k8s.io widgets.example.test",
		"CustomResourceDefinition.apiextensions.k8s.io worlds.example.test",
		"ConfigMap shop/cache",
		"Deployment.apps shop/demo-web",
		"Job.batch shop/migrate", "Job.batch shop/announce",
		"Widget.example.test shop/one", "World.example.test earth",
		"ClusterRole.rbac.authorization.k8s.io web", "ConfigMap other/elsewhere",
		"Secret shop/web",
	}
	if diff := cmp.Diff(want, ids(result.Objects)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	deployment := byName(t, result.Objects, "Deployment", "demo-web")
	if n, _, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); n != 3 {
		t.Errorf("replicas are %v", deployment.Object["spec"])
	}
	if deployment.GetLabels()["release"] != "demo" {
		t.Errorf("the library's labels are missing: %v", deployment.GetLabels())
	}
	if deployment.Origin != (manifests.Origin{Unit: "unit", File: "chart web-1.2.3: templates/deployment.yaml"}) {
		t.Errorf("origin is %+v", deployment.Origin)
	}
	cache := byName(t, result.Objects, "ConfigMap", "cache")
	data, _, _ := unstructured.NestedStringMap(cache.Object, "data")
	if diff := cmp.Diff(map[string]string{"size": "4", "kind": "small", "again": "two"}, data); diff != "" {
		t.Errorf("data of the inner chart (-want +got):\n%s", diff)
	}
	if cache.Origin.File != "chart web-1.2.3: charts/cache/templates/configmap.yaml" {
		t.Errorf("origin is %v", cache.Origin)
	}
	crd := byName(t, result.Objects, "CustomResourceDefinition", "worlds.example.test")
	if crd.Origin.File != "chart web-1.2.3: crds/widgets.yaml" || crd.Origin.Line != 12 {
		t.Errorf("origin of the definition is %+v", crd.Origin)
	}
	kube, _, _ := unstructured.NestedString(byName(t, result.Objects, "ConfigMap", "elsewhere").Object, "data", "kube")
	if kube != "v1.36.3" {
		t.Errorf("templates see Kubernetes %q", kube)
	}
	contains(t, strings.Join(result.Warnings, "\n"), "looks up v1 Secret shop/web on the cluster", `has the key "again" twice`)
}

func TestRenderGivesTheSameAgain(t *testing.T) {
	req := request(chartOf(t, fixture(t, "web")))
	first := rendered(t, req)
	for range 5 {
		if diff := cmp.Diff(first, rendered(t, req)); diff != "" {
			t.Fatalf("another time it differs:\n%s", diff)
		}
	}
}

func TestHooksBecomeRules(t *testing.T) {
	hook := func(h manifests.Hook, p manifests.Phase, wave int) *manifests.Rules {
		return &manifests.Rules{Phase: p, Wave: wave, Hook: &h}
	}
	install := map[string]*manifests.Rules{
		"migrate":  hook(manifests.Hook{DeleteSucceeded: true}, manifests.PhaseBefore, -5),
		"announce": hook(manifests.Hook{DeleteFailed: true}, manifests.PhaseAfter, 0),
	}
	sync := map[string]*manifests.Rules{
		"migrate": install["migrate"], "announce": install["announce"],
		"upgrade-only": hook(manifests.Hook{}, manifests.PhaseAfter, 0),
		"odd":          hook(manifests.Hook{}, manifests.PhaseBefore, 0),
	}
	for _, test := range []struct {
		rules   HookRules
		want    map[string]*manifests.Rules
		leftOut []string
	}{
		{HooksOfInstall, install, []string{"bye", "odd", "try", "upgrade-only"}},
		{HooksOfSync, sync, []string{"bye", "try"}},
	} {
		req := request(chartOf(t, fixture(t, "web")))
		req.Hooks = test.rules
		result := rendered(t, req)
		got := map[string]*manifests.Rules{}
		for _, o := range result.Objects {
			if o.Rules != nil {
				got[o.GetName()] = o.Rules
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.rules, diff)
		}
		var leftOut []string
		for _, l := range result.LeftOut {
			leftOut = append(leftOut, l.ID.Name)
			if l.Reason == "" || l.Origin.File == "" {
				t.Errorf("%s is left out without a reason", l.ID)
			}
		}
		slices.Sort(leftOut)
		if diff := cmp.Diff(test.leftOut, leftOut); diff != "" {
			t.Errorf("%q leaves out (-want +got):\n%s", test.rules, diff)
		}
	}
}

func TestSyncLeavesArgoHooksAlone(t *testing.T) {
	req := request(chartOf(t, map[string]string{"templates/a.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: both, annotations: {argocd.argoproj.io/hook: PostSync, helm.sh/hook: pre-install}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: weighed, annotations: {helm.sh/hook-weight: "7"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: crd, annotations: {helm.sh/hook: crd-install}}
`}))
	req.Hooks = HooksOfSync
	result := rendered(t, req)
	if r := byName(t, result.Objects, "ConfigMap", "both").Rules; r != nil {
		t.Errorf("an Argo CD hook got %+v", r)
	}
	if r := byName(t, result.Objects, "ConfigMap", "weighed").Rules; r == nil || r.Wave != 7 || r.Hook != nil {
		t.Errorf("a weight gives %+v", r)
	}
	if r := byName(t, result.Objects, "ConfigMap", "crd").Rules; r != nil {
		t.Errorf("crd-install is no hook, got %+v", r)
	}
}

func TestCapabilitiesAreThoseOfThePlannedCluster(t *testing.T) {
	req := request(chartOf(t, fixture(t, "web")))
	req.IncludeCRDs = false
	req.APIVersions = APIVersionsOf([]manifests.Object{{Unstructured: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"spec": map[string]any{
			"group": "monitoring.test", "names": map[string]any{"kind": "Monitor"},
			"versions": []any{map[string]any{"name": "v1", "served": true}, map[string]any{"name": "v0", "served": false}},
		},
	}}}})
	if diff := cmp.Diff([]string{"monitoring.test/v1", "monitoring.test/v1/Monitor"}, req.APIVersions); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	req.Namespaced = func(gk schema.GroupKind) (bool, bool) { return false, gk.Kind == "Monitor" }
	result := rendered(t, req)
	if m := byName(t, result.Objects, "Monitor", "web"); m.GetNamespace() != "" {
		t.Errorf("the kind has no namespace and got %s", m.GetNamespace())
	}
	byName(t, result.Objects, "Widget", "one") // of the chart's own definition, though it is not rendered
	for _, o := range result.Objects {
		if o.GetKind() == "CustomResourceDefinition" || o.GetName() == "old" {
			t.Errorf("%s was rendered", o.ID())
		}
	}
}

func TestUnknownScopeIsReported(t *testing.T) {
	req := request(chartOf(t, map[string]string{"templates/a.yaml": "apiVersion: x.test/v1\nkind: Thing\nmetadata: {name: a}\n"}))
	result := rendered(t, req)
	if result.Objects[0].GetNamespace() != "shop" {
		t.Errorf("namespace is %q", result.Objects[0].GetNamespace())
	}
	contains(t, strings.Join(result.Warnings, "\n"), "Thing.x.test")
}

func TestReleaseMetadataAndPostRender(t *testing.T) {
	req := request(chartOf(t, fixture(t, "web")))
	req.ReleaseMetadata = true
	req.PostRender = func(_ context.Context, objects []manifests.Object) ([]manifests.Object, error) {
		for _, o := range objects {
			if o.GetKind() == "Widget" {
				o.SetLabels(map[string]string{"patched": "yes"})
			}
		}
		return objects, nil
	}
	result := rendered(t, req)
	widget := byName(t, result.Objects, "Widget", "one")
	if diff := cmp.Diff(map[string]string{"patched": "yes", "app.kubernetes.io/managed-by": "Helm"}, widget.GetLabels()); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"meta.helm.sh/release-name": "demo", "meta.helm.sh/release-namespace": "shop"}, widget.GetAnnotations()); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	for _, name := range []string{"migrate", "widgets.example.test"} {
		for _, o := range result.Objects {
			if o.GetName() == name && o.GetLabels()["app.kubernetes.io/managed-by"] != "" {
				t.Errorf("%s is no object of the release", name)
			}
		}
	}
	req.PostRender = func(context.Context, []manifests.Object) ([]manifests.Object, error) { return nil, errors.New("no") }
	if _, err := Render(t.Context(), req); err == nil || !strings.Contains(err.Error(), "after rendering: no") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotDeterministicIsFound(t *testing.T) {
	req := request(chartOf(t, fixture(t, "random")))
	req.Twice = true
	result := rendered(t, req)
	got := map[string][]string{}
	renamed := 0
	for _, f := range result.NonDeterministic {
		if strings.HasPrefix(f.ID.Name, "named-") {
			renamed++
			continue
		}
		got[f.ID.Name] = f.Paths
	}
	want := map[string][]string{
		"random":  {"/data/ca.crt", "/data/password"},
		"stamped": {"/data/id", "/metadata/annotations/example.test~1day"},
	}
	if diff := cmp.Diff(want, got); diff != "" || renamed != 2 {
		t.Errorf("%d renamed, findings (-want +got):\n%s", renamed, diff)
	}
	req.Chart = chartOf(t, fixture(t, "web"))
	if result := rendered(t, req); len(result.NonDeterministic) > 0 {
		t.Errorf("a steady chart has findings: %v", result.NonDeterministic)
	}
}
