package lint_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/lint"
)

func object(apiVersion, kind, namespace, name string, rest map[string]any) manifests.Object {
	content := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}}
	if namespace != "" {
		content["metadata"].(map[string]any)["namespace"] = namespace
	}
	for k, v := range rest {
		content[k] = v
	}
	return manifests.Object{Unstructured: &unstructured.Unstructured{Object: content}, Origin: manifests.Origin{File: name + ".yaml", Line: 1}}
}

// ids lists rule and object of each finding.
func ids(t *testing.T, in lint.Input) []string {
	t.Helper()
	report, err := lint.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range report.Findings {
		out = append(out, string(f.Severity)+" "+f.Rule+" "+f.Object.String())
		complete(t, f)
	}
	return out
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestSizes(t *testing.T) {
	big := func(n int) map[string]any {
		return map[string]any{"data": map[string]any{"text": strings.Repeat("x", n)}}
	}
	application := object("argoproj.io/v1alpha1", "Application", "default", "z", nil)
	definition := object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "applications.argoproj.io", map[string]any{"spec": map[string]any{
		"group": "argoproj.io", "scope": "Namespaced", "names": map[string]any{"kind": "Application", "plural": "applications"},
		"versions": []any{map[string]any{"name": "v1alpha1", "served": true, "storage": true}},
	}})
	same(t, ids(t, lint.Input{Objects: []manifests.Object{
		object("v1", "ConfigMap", "default", "fits", big(300<<10)),
		object("v1", "ConfigMap", "default", "too-much-data", big(1<<20+1)),
		object("v1", "ConfigMap", "default", "too-much-in-all", big(1600<<10)),
	}}), "error object-too-large ConfigMap default/too-much-data", "error object-too-large ConfigMap default/too-much-in-all")
	// Only with Argo CD in the state is client-side apply what will happen.
	same(t, ids(t, lint.Input{Objects: []manifests.Object{application, definition,
		object("v1", "ConfigMap", "default", "fits", big(300<<10)),
	}}), "note last-applied-too-large ConfigMap default/fits")
}

func TestTaintsAreFindings(t *testing.T) {
	secret := object("v1", "Secret", "default", "db", nil)
	same(t, ids(t, lint.Input{
		Objects: []manifests.Object{secret},
		Taints:  []lint.Taint{{Object: secret.ID(), Origin: secret.Origin, Field: "data.password", Source: "randAlphaNum"}},
	}), "warning nondeterministic-render Secret default/db")
}

// What an object that was not rendered could bring is a warning; what a unit rendered
// is no excuse.
func TestUnrenderedObjectsWeakenFindings(t *testing.T) {
	release := object("helm.toolkit.fluxcd.io/v2", "HelmRelease", "default", "a", nil)
	widget := object("example.org/v1", "Widget", "default", "w", nil)
	definition := object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "x", map[string]any{"spec": map[string]any{
		"group": "helm.toolkit.fluxcd.io", "scope": "Namespaced", "names": map[string]any{"kind": "HelmRelease", "plural": "helmreleases"},
		"versions": []any{map[string]any{"name": "v2", "served": true, "storage": true}},
	}})
	controller := object("apps/v1", "Deployment", "default", "b", map[string]any{"spec": map[string]any{
		"selector": map[string]any{"matchLabels": map[string]any{"a": "b"}},
		"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "b"}}, "spec": map[string]any{
			"containers": []any{map[string]any{"name": "a", "image": "ghcr.io/fluxcd/helm-controller:v1.6.0"}},
		}},
	}})
	in := lint.Input{Objects: []manifests.Object{release, widget, definition, controller}}
	same(t, ids(t, in), "warning missing-definition Widget.example.org default/w")
	in.Units = []manifests.Unit{{Name: "HelmRelease default/a", Definition: release.ID()}}
	same(t, ids(t, in), "error missing-definition Widget.example.org default/w")
}

func TestReleases(t *testing.T) {
	for _, text := range []string{"1.36", "v1.34", "1.30.4", ""} {
		if _, err := lint.Run(lint.Input{Release: text}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"2.1", "latest", "1.", "1.2", "1.36.1.1"} {
		if _, err := lint.Run(lint.Input{Release: text}); err == nil {
			t.Errorf("%q was taken for a release", text)
		}
	}
}

// The same objects in any sequence give the same report, and a finding keeps its
// fingerprint when its object moves to another place.
func TestReportsDoNotDependOnSequenceOrPlace(t *testing.T) {
	in := rendered(t, filepath.Join(corpus, "flux-without-definitions", "repo"), lint.Input{})
	first, err := lint.Run(in)
	if err != nil || len(first.Findings) == 0 {
		t.Fatal(err, first)
	}
	slices.Reverse(in.Objects)
	second, err := lint.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("reversed objects give another report:\n%+v\n%+v", first, second)
	}
	for i := range in.Objects {
		in.Objects[i].Origin = manifests.Origin{File: "moved.yaml", Line: 1000 + i}
	}
	moved, err := lint.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	prints := func(r *lint.Report) (all []string) {
		for _, f := range r.Findings {
			all = append(all, f.Fingerprint)
		}
		slices.Sort(all)
		return all
	}
	if a, b := prints(first), prints(moved); !slices.Equal(a, b) || len(slices.Compact(a)) != len(first.Findings) {
		t.Errorf("fingerprints changed or repeat: %v and %v", a, b)
	}
}

// The real repositories have only the faults that were checked by hand.
func TestRealRepositories(t *testing.T) {
	cases := os.Getenv("CASES")
	if cases == "" {
		cases = "../../../shared/cases"
	}
	if _, err := os.Stat(cases); err != nil {
		t.Skip("set CASES to a directory with the repositories to run this test")
	}
	flux := func(kinds ...string) (want []string) {
		for _, k := range kinds {
			want = append(want, "error missing-definition "+k)
		}
		return want
	}
	for _, c := range []struct {
		repo, path string
		want       []string
	}{
		{"kube-prometheus", ".", nil},
		{"online-boutique", "kustomize", []string{"error namespace-required Service adservice"}},
		{"flux-example", "apps/production", flux("HelmRelease.helm.toolkit.fluxcd.io podinfo/podinfo", "HelmRepository.source.toolkit.fluxcd.io podinfo/podinfo")},
		{"flux-example", "infrastructure/controllers", flux("OCIRepository.source.toolkit.fluxcd.io cert-manager/cert-manager", "HelmRelease.helm.toolkit.fluxcd.io cert-manager/cert-manager")},
		{"flux-example", "infrastructure/configs", append(flux("ClusterIssuer.cert-manager.io letsencrypt", "GatewayClass.gateway.networking.k8s.io envoy",
			"Gateway.gateway.networking.k8s.io envoy-gateway-system/envoy"), "error missing-namespace Gateway.gateway.networking.k8s.io envoy-gateway-system/envoy")},
		{"flux-example", "clusters/production", []string{
			"error missing-definition Kustomization.kustomize.toolkit.fluxcd.io flux-system/apps",
			"error missing-namespace Kustomization.kustomize.toolkit.fluxcd.io flux-system/apps",
			"error missing-definition ArtifactGenerator.source.extensions.fluxcd.io flux-system/flux-system",
			// flux bootstrap writes the source; the Kustomizations could, too.
			"warning missing-source ArtifactGenerator.source.extensions.fluxcd.io flux-system/flux-system",
		}},
	} {
		t.Run(c.repo+" "+c.path, func(t *testing.T) {
			same(t, ids(t, renderedPath(t, filepath.Join(cases, c.repo), c.path)), c.want...)
		})
	}
}

// Every rule has one row in the guide, and the guide has no other.
func TestGuideListsEveryRule(t *testing.T) {
	guide, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(guide)) {
		if strings.HasPrefix(line, "| `") {
			rows++
		}
	}
	for _, r := range lint.Rules() {
		if row := "| `" + r.ID + "` | " + string(r.Severity) + " | " + r.Title + " | " + r.Why + " | " + r.Fix + " |\n"; !strings.Contains(string(guide), row) {
			t.Errorf("docs/lint.md lacks\n%s", row)
		}
	}
	if rows != len(lint.Rules()) {
		t.Errorf("docs/lint.md has %d rows, and there are %d rules", rows, len(lint.Rules()))
	}
}
