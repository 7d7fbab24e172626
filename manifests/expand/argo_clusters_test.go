package expand

import (
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests/argocd"
)

// fleetOfTwo is what a hub holds for itself and for a spoke.
func fleetOfTwo() files {
	eu := strings.ReplaceAll(application("eu", "eu"), "{server: https://kubernetes.default.svc,", "{name: eu-1,")
	byServer := strings.ReplaceAll(application("server", "server"), "https://kubernetes.default.svc", "https://eu.example.com:6443")
	set := argoObject("ApplicationSet", "all", "", "generators: [{clusters: {}}]",
		"template: {metadata: {name: 'on-{{name}}'}, spec: {project: default, source: {repoURL: "+fleet+", path: set}, destination: {name: '{{name}}', namespace: set}}}")
	return files{
		"s/argo.yaml": installArgo() + application("hub", "hub") + eu + byServer + set,
		"hub/a.yaml":  plainCM("hub"), "eu/a.yaml": plainCM("eu"), "server/a.yaml": plainCM("server"), "set/a.yaml": plainCM("set"),
	}
}

func TestTheClusterThatIsRebuiltMayBeASpoke(t *testing.T) {
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: eu, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster}}\n" +
		"stringData: {name: eu-1, server: 'https://eu.example.com:6443'}\n"
	spoke := []string{"Application argocd/eu (all)", "Application argocd/on-eu-1 (all)", "Application argocd/server (all)"}
	for name, c := range map[string]struct {
		clusters []argocd.ClusterName
		secret   string
		want     []string
	}{
		"the hub":                  {nil, "", []string{"Application argocd/hub (all)", "Application argocd/on-in-cluster (all)"}},
		"a spoke with its Secret":  {[]argocd.ClusterName{{Name: "eu-1"}}, secret, spoke},
		"a spoke by its server":    {[]argocd.ClusterName{{Server: "https://eu.example.com:6443"}}, secret, spoke},
		"a spoke without a Secret": {[]argocd.ClusterName{{Name: "eu-1", Server: "https://eu.example.com:6443"}}, "", spoke},
		"hub and spoke in one":     {[]argocd.ClusterName{{Name: "in-cluster", Server: argocd.InCluster}, {Name: "eu-1"}}, "", []string{"Application argocd/eu (all)", "Application argocd/hub (all)", "Application argocd/on-eu-1 (all)", "Application argocd/on-in-cluster (all)"}},
	} {
		t.Run(name, func(t *testing.T) {
			repo := fleetOfTwo()
			repo["s/argo.yaml"] += c.secret
			r := expanded(t, repo, Options{ArgoCD: ArgoOptions{Clusters: c.clusters}}, "s")
			same(t, "units", plan(r)[1:], c.want...)
			for _, s := range r.Skipped {
				if !s.Meant || !strings.Contains(s.Reason, "spec.argoCD.clusters of the plan, or with --argocd-cluster") {
					t.Errorf("skipped %+v", s)
				}
			}
		})
	}
	nobody := files{"s/argo.yaml": installArgo() + strings.ReplaceAll(application("eu", "eu"), "{server: https://kubernetes.default.svc,", "{name: eu-1,")}
	warned(t, expanded(t, nobody, Options{}, "s"), "no Application of the state is for this cluster: they go to eu-1")
	for _, w := range expanded(t, fleetOfTwo(), Options{}, "s").Warnings {
		if strings.Contains(w, "no Application of the state") {
			t.Errorf("warns %q", w)
		}
	}
}

// Where Argo CD runs decides how it names an Application in what it marks.
func TestWhereArgoCDRuns(t *testing.T) {
	moved := func(text string) string { return strings.ReplaceAll(text, "namespace: argocd", "namespace: gitops") }
	app := moved(application("a", "a"))
	const project = "---\napiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: default, namespace: argocd}\nspec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}]}\n"
	for name, c := range map[string]struct {
		more, given, want string
	}{
		"by Applications":               {"", "", "a:/ConfigMap:shop/a"},
		"by an AppProject":              {project, "", "gitops_a:/ConfigMap:shop/a"},
		"by an AppProject there":        {moved(project), "", "a:/ConfigMap:shop/a"},
		"by settings":                   {project + moved(settings("a: b")), "", "a:/ConfigMap:shop/a"},
		"by settings elsewhere":         {"---\n" + settings("a: b"), "", "gitops_a:/ConfigMap:shop/a"},
		"given":                         {project + "---\n" + settings("a: b"), "gitops", "a:/ConfigMap:shop/a"},
		"given, with settings of two":   {"---\n" + settings("application.resourceTrackingMethod: label") + "---\n" + moved(settings("installationID: x")), "gitops", "a:/ConfigMap:shop/a"},
		"another Argo CD's Application": {moved(project) + application("b", "b"), "", "a:/ConfigMap:shop/a"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := files{"s/argo.yaml": installArgo() + app, "s/more.yaml": c.more + "---\n", "a/a.yaml": plainCM("a"), "b/b.yaml": plainCM("b")}
			r := expanded(t, repo, Options{ArgoCD: ArgoOptions{Namespace: c.given}}, "s")
			if got := object(t, r, "ConfigMap shop/a").GetAnnotations()["argocd.argoproj.io/tracking-id"]; got != c.want {
				t.Errorf("tracked as %q, want %q", got, c.want)
			}
			for _, w := range r.Warnings {
				if strings.Contains(w, "a second argocd-cm") {
					t.Errorf("warns %q", w)
				}
			}
		})
	}
}
