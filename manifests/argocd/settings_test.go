package argocd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

const healthSettings = `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: gitops}
data:
  resource.customizations.health.cert-manager.io_Certificate: "return exact"
  resource.customizations.health.Pod: "return pod"
  resource.customizations: |
    "*.crossplane.io/*":
      health.lua: return pattern
    "pkg.crossplane.io/Provider*":
      health.lua: return longer
    argoproj.io/Application:
      health.lua: return app
`

func TestHealthRules(t *testing.T) {
	s := settings(t, healthSettings)
	for gk, want := range map[schema.GroupKind]string{
		{Group: "cert-manager.io", Kind: "Certificate"}: "return exact",
		{Kind: "Pod"}: "return pod",
		{Group: "aws.crossplane.io", Kind: "Bucket"}:        "return pattern",
		{Group: "pkg.crossplane.io", Kind: "ProviderRev"}:   "return longer",
		{Group: "cert-manager.io", Kind: "Issuer"}:          "",
		{Group: "metrics.k8s.io", Kind: "Pod"}:              "",
		{Group: "argoproj.io", Kind: "Application"}:         "return app",
		{Group: "crossplane.io.example.com", Kind: "Other"}: "",
	} {
		got := s.Health(gk)
		if (got == nil) != (want == "") || got != nil && got.Lua != want {
			t.Errorf("%s: %+v, want %q", gk, got, want)
		}
	}
	if got := s.Health(schema.GroupKind{Kind: "Pod"}).From; got != "resource.customizations.health.Pod of ConfigMap gitops/argocd-cm (argocd.yaml:1)" {
		t.Errorf("from %q", got)
	}
	if !s.ApplicationHealth || s.controllerNamespace() != "gitops" {
		t.Errorf("settings %+v", s)
	}
}

func TestHealthRulesReachObjects(t *testing.T) {
	r := files(map[string]string{"shop/a.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b, annotations: {argocd.argoproj.io/ignore-healthcheck: 'true'}}\n"})
	x := expand(t, r, settings(t, healthSettings), app(t, here+"source: {repoURL: "+repo+", path: shop}\n"))
	if rules := at(t, x, "a").Rules; rules.Health == nil || rules.Health.Lua != "return pod" || rules.HealthIgnored {
		t.Errorf("rules %+v", rules)
	}
	if rules := at(t, x, "b").Rules; rules.Health != nil || !rules.HealthIgnored {
		t.Errorf("rules %+v", rules)
	}
}

func TestExclusions(t *testing.T) {
	cm := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata:\n"
	for name, test := range map[string]struct {
		data string
		want []string
	}{
		"exclusions":  {"  resource.exclusions: |\n    - {apiGroups: ['', apps], kinds: [Config*], clusters: ['*']}\n", []string{"settings"}},
		"of a server": {"  resource.exclusions: |\n    - {apiGroups: ['*'], kinds: ['*'], clusters: ['https://other*']}\n", nil},
		"this server": {"  resource.exclusions: |\n    - {apiGroups: ['*'], kinds: ['*'], clusters: ['https://kubernetes*']}\n", []string{"settings", "web"}},
		"inclusions":  {"  resource.inclusions: |\n    - {apiGroups: [''], kinds: ['*']}\n", []string{"web"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := files(map[string]string{"shop/a.yaml": configMap + "---\n" + deployment})
			x := expand(t, r, settings(t, cm+test.data), app(t, here+"source: {repoURL: "+repo+", path: shop}\n"))
			var never []string
			for _, o := range x.Objects {
				if o.Rules.Write == manifests.WriteNever {
					never = append(never, o.GetName())
				}
			}
			if diff := cmp.Diff(test.want, never); diff != "" || len(x.Warnings) != len(never) {
				t.Errorf("%s, warnings %q", diff, x.Warnings)
			}
		})
	}
}

func TestSettingsThatCannotBeRead(t *testing.T) {
	cm := func(ns, data string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: " + ns + "}\ndata:\n" + indented(data)
	}
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster}}\n"
	for name, test := range map[string]struct{ text, want string }{
		"tracking":       {cm("a", "application.resourceTrackingMethod: magic"), `"magic" is not known`},
		"build options":  {cm("a", "kustomize.buildOptions: --enable-exec"), `"--enable-exec" is not supported`},
		"exclusions":     {cm("a", "resource.exclusions: '{'"), "resource.exclusions is no list"},
		"customizations": {cm("a", "resource.customizations: '- CANARY'"), "resource.customizations is no mapping"},
		"kind":           {cm("a", "resource.customizations.health.a_b_c: return"), "does not say a kind"},
		"pattern":        {cm("a", "resource.customizations: |\n  '{':\n    health.lua: return"), "check its brackets"},
		"differences":    {cm("a", "resource.customizations.ignoreDifferences.all: '- CANARY'"), "is no mapping of jsonPointers"},
		"open libraries": {cm("a", "resource.customizations.useOpenLibs.apps_Foo: 'true'"), "open libraries"},
		"two of them":    {cm("a", "a: b") + "---\n" + cm("b", "a: b"), "a second argocd-cm"},
		"cluster":        {secret + "stringData: {config: CANARY}\n", "neither a name nor a server"},
		"encrypted":      {secret + "data: {server: 'ENC[CANARY]'}\n", "neither a name nor a server"},
		"project":        {"apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: p}\nspec: {sourceRepos: CANARY}\n", "field spec.sourceRepos must be of type"},
	} {
		t.Run(name, func(t *testing.T) {
			s, warnings := ReadSettings(parseAll(test.text, "argocd.yaml"))
			contains(t, warnings, test.want, "argocd.yaml:")
			if strings.Contains(fmt.Sprintf("%q %+v", warnings, s.Clusters), "CANARY") {
				t.Errorf("%q gives a value away", warnings)
			}
		})
	}
}

func TestCredentialsOfClustersAreNotKept(t *testing.T) {
	s := settings(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster}}\n"+
		"data: {name: c3Bva2U=, server: aHR0cHM6Ly9zcG9rZTo2NDQz}\nstringData: {config: CANARY}\n")
	want := []Cluster{{Name: "spoke", Server: "https://spoke:6443", Labels: map[string]string{"argocd.argoproj.io/secret-type": "cluster"}}}
	if diff := cmp.Diff(want, s.Clusters); diff != "" {
		t.Error(diff)
	}
}

func TestGates(t *testing.T) {
	text := func(kind, group, name, wave string) string {
		return "apiVersion: " + group + "\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: argocd, annotations: {argocd.argoproj.io/sync-wave: '" + wave + "'}}\n---\n"
	}
	objects := parseAll(text("Secret", "v1", "key", "-1")+text("Application", "argoproj.io/v1alpha1", "a", "0")+
		text("ConfigMap", "v1", "c", "0")+text("ApplicationSet", "argoproj.io/v1alpha1", "b", "1")+text("Application", "argoproj.io/v1alpha1", "z", "2"), "root.yaml")
	for i := range objects {
		objects[i].Rules, _ = RulesOf(objects[i])
	}
	unit := manifests.Unit{Name: "Application argocd/root", After: []manifests.Dependency{{Unit: "base", Reason: "r"}}}
	const first, second = "Application argocd/root, sync-wave -1", "Application argocd/root, sync-wave 0"
	id := func(kind, name string) manifests.ID {
		return manifests.ID{Group: Group, Kind: kind, Namespace: "argocd", Name: name}
	}
	for name, test := range map[string]struct {
		settings *Settings
		want     map[manifests.ID][]string
	}{
		"without a health rule": {&Settings{}, map[manifests.ID][]string{
			id("Application", "a"):    {"base", first},
			id("ApplicationSet", "b"): {"base", first, second},
			id("Application", "z"):    {"base", first, second},
		}},
		"with one": {settings(t, healthSettings), map[manifests.ID][]string{
			id("Application", "a"):    {"base", first},
			id("ApplicationSet", "b"): {"base", first, second, "Application argocd/a"},
			id("Application", "z"):    {"base", first, second, "Application argocd/a"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			set := NewExpander(nil, test.settings, Options{}).Gates(unit, objects)
			got := map[manifests.ID][]string{}
			for id, after := range set.After {
				for _, d := range after {
					got[id] = append(got[id], d.Unit)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			want := []manifests.Unit{
				{Name: first, After: unit.After, Ready: manifests.Readiness{Objects: []manifests.ID{{Kind: "Secret", Namespace: "argocd", Name: "key"}}}},
				{Name: second, After: append(unit.After[:1:1], manifests.Dependency{Unit: first, Reason: "Application argocd/root declares sync-wave -1 first"}),
					Ready: manifests.Readiness{Objects: []manifests.ID{{Kind: "ConfigMap", Namespace: "argocd", Name: "c"}}}},
			}
			if diff := cmp.Diff(want, set.Units); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGatesOfOneWave(t *testing.T) {
	objects := parseAll("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: b}\n", "x")
	set := NewExpander(nil, nil, Options{}).Gates(manifests.Unit{Name: "u"}, objects)
	if len(set.Units) > 0 || len(set.After[objects[1].ID()]) > 0 {
		t.Errorf("gates %+v", set)
	}
}

// Waves by the thousand must not spell out each pair.
func TestManyGates(t *testing.T) {
	var objects []manifests.Object
	for i := range 3000 {
		o := parseAll(fmt.Sprintf("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a%d, namespace: argocd}\n", i), "x")[0]
		o.Rules = &manifests.Rules{Wave: i}
		objects = append(objects, o)
	}
	set := NewExpander(nil, &Settings{ApplicationHealth: true}, Options{}).Gates(manifests.Unit{Name: "u"}, objects)
	total := 0
	for _, after := range set.After {
		total += len(after)
	}
	if total > mostDependencies+3000*2 || len(set.After[objects[2999].ID()]) != 1 {
		t.Errorf("%d dependencies, the last one has %d", total, len(set.After[objects[2999].ID()]))
	}
}
