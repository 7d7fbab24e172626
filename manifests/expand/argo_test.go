package expand

import (
	"fmt"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
)

const (
	fleet = "https://git.example.com/platform/fleet.git"
	// toShop is where most Applications go.
	toShop = "destination: {server: https://kubernetes.default.svc, namespace: shop}"
)

// argoObject is an object of Argo CD with a spec, one field a line.
func argoObject(kind, name, annotations string, spec ...string) string {
	return fmt.Sprintf("---\napiVersion: argoproj.io/v1alpha1\nkind: %s\nmetadata:\n  name: %s\n  namespace: argocd\n  annotations: {%s}\nspec:\n  project: default\n  syncPolicy: {automated: {}}\n  %s\n",
		kind, name, annotations, strings.Join(spec, "\n  "))
}

// application is rendered from a directory of this repository.
func application(name, path string, spec ...string) string {
	return argoObject("Application", name, "", append([]string{toShop, "source: {repoURL: " + fleet + ", path: " + path + ", targetRevision: main}"}, spec...)...)
}

func waved(wave int, app string) string {
	return strings.Replace(app, "annotations: {}", fmt.Sprintf(`annotations: {argocd.argoproj.io/sync-wave: "%d"}`, wave), 1)
}

// installArgo are the kinds of Argo CD.
func installArgo() string {
	all := crd("argoproj.io", "Application") + crd("argoproj.io", "ApplicationSet") + crd("argoproj.io", "AppProject")
	return strings.ReplaceAll(all, "{name: v1,", "{name: v1alpha1,")
}

// plainCM has no namespace of its own.
func plainCM(name string) string { return strings.Replace(cm(name), "  namespace: x\n", "", 1) }

// guestbook is an app-of-apps as Argo CD's own examples have it.
func guestbook() files {
	return files{
		"argocd/install.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n" + installArgo(),
		"argocd/root.yaml":    application("root", "apps"),
		"apps/db.yaml":        waved(0, application("db", "db")),
		"apps/guestbook.yaml": waved(1, strings.Replace(application("guestbook", "guestbook"), "automated: {}", "automated: {}, syncOptions: [CreateNamespace=true]", 1)),
		"apps/settings.yaml":  plainCM("settings"),
		"db/db.yaml":          plainCM("db"), "guestbook/ui.yaml": plainCM("ui"),
	}
}

func TestAnAppOfAppsExpandsToAFixedPoint(t *testing.T) {
	r := expanded(t, guestbook(), Options{}, "argocd")
	same(t, "objects", listing(r),
		"Namespace argocd < argocd",
		"Namespace shop < Application argocd/root",
		"CustomResourceDefinition.apiextensions.k8s.io applications.argoproj.io < argocd",
		"CustomResourceDefinition.apiextensions.k8s.io applicationsets.argoproj.io < argocd",
		"CustomResourceDefinition.apiextensions.k8s.io appprojects.argoproj.io < argocd",
		"Application.argoproj.io argocd/db < Application argocd/root",
		"Application.argoproj.io argocd/guestbook < Application argocd/root",
		"Application.argoproj.io argocd/root < argocd",
		"ConfigMap shop/db < Application argocd/db",
		"ConfigMap shop/settings < Application argocd/root",
		"ConfigMap shop/ui < Application argocd/guestbook")
	same(t, "units", plan(r), "argocd", "Application argocd/db (all)",
		"Application argocd/root, sync-wave 0 (ConfigMap shop/settings)",
		"Application argocd/guestbook > Application argocd/root, sync-wave 0 (all)", "Application argocd/root (all)")
	ui := object(t, r, "ConfigMap shop/ui")
	if ui.Manager() != "argocd-controller" || ui.GetAnnotations()["argocd.argoproj.io/tracking-id"] != "guestbook:/ConfigMap:shop/ui" || ui.Origin.File != "guestbook/ui.yaml" {
		t.Errorf("%s by %s: %v", ui.Origin, ui.Manager(), ui.GetAnnotations())
	}
	if ns := object(t, r, "Namespace shop"); ns.Rules.Write != manifests.WriteCreate {
		t.Errorf("the namespace has the rules %+v", ns.Rules)
	}
	if again := expanded(t, guestbook(), Options{}, "argocd"); again.Digest != r.Digest {
		t.Error("two expansions have different digests")
	}
	changed := guestbook()
	changed["apps/db.yaml"] = waved(2, application("db", "db"))
	if other := expanded(t, changed, Options{}, "argocd"); other.Digest == r.Digest {
		t.Error("the digest does not cover waves")
	}
}

// The waves of child Applications order what they declare only for what is no
// Application, unless argocd-cm says when an Application is healthy.
func TestTheOrderOfAnAppOfApps(t *testing.T) {
	after := func(f files, first, then string) bool {
		t.Helper()
		r := expanded(t, f, Options{}, "argocd")
		g, err := order.Build(r.Objects, order.Options{Units: r.Units})
		if err != nil {
			t.Fatal(err)
		}
		at := map[string]int{}
		for n := range g.Len() {
			at[g.Nodes[n].Object.ID().String()] = n
		}
		from, ok := at[first]
		queue := []int{at[then]}
		if _, there := at[then]; !ok || !there {
			t.Fatalf("no %s or no %s in %v", first, then, at)
		}
		for seen := map[int]bool{}; len(queue) > 0; queue = queue[1:] {
			for _, e := range g.Nodes[queue[0]].Needs {
				if !seen[e.From] {
					seen[e.From] = true
					queue = append(queue, e.From)
				}
			}
			if seen[from] {
				return true
			}
		}
		return false
	}
	repo := guestbook()
	for _, pair := range [][2]string{
		{"ConfigMap shop/settings", "ConfigMap shop/ui"},
		{"ConfigMap shop/ui", "Application.argoproj.io argocd/guestbook"},
		{"Application.argoproj.io argocd/db", "Application.argoproj.io argocd/root"},
		{"CustomResourceDefinition.apiextensions.k8s.io applications.argoproj.io", "Application.argoproj.io argocd/db"},
		{"Namespace shop", "ConfigMap shop/db"},
	} {
		if !after(repo, pair[0], pair[1]) {
			t.Errorf("%s does not go before %s", pair[0], pair[1])
		}
	}
	if after(repo, "ConfigMap shop/db", "ConfigMap shop/ui") {
		t.Error("without a health rule the database goes first all the same")
	}
	repo["argocd/cm.yaml"] = settings("resource.customizations.health.argoproj.io_Application: |\n    return {status = obj.status.health.status}")
	if !after(repo, "ConfigMap shop/db", "ConfigMap shop/ui") {
		t.Error("with a health rule the database does not go first")
	}
}

func settings(entries ...string) string {
	return "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata:\n  " + strings.Join(entries, "\n  ") + "\n"
}

func TestDefinitionsWithoutArgoCDAreReadAndLeftOut(t *testing.T) {
	repo := files{"s/app.yaml": application("shop", "shop"), "shop/a.yaml": plainCM("a")}
	r := expanded(t, repo, Options{}, "s")
	same(t, "objects", listing(r), "ConfigMap shop/a < Application argocd/shop")
	warned(t, r, "s/app.yaml:2: Application.argoproj.io argocd/shop (1 in all) is read here and not applied, because nothing in the state installs Application.argoproj.io")

	elsewhere := strings.Replace(application("other", "x"), fleet, "https://git.example.com/else/where.git", 1)
	repo["s/other.yaml"] = elsewhere
	refused(t, repo, Options{}, "s", "s/other.yaml:2: Application argocd/other", "is another repository", "nothing in the state installs Argo CD to make them")
	r = expanded(t, repo.with(files{"s/argo.yaml": installArgo()}), Options{}, "s")
	if len(r.Skipped) != 1 || r.Skipped[0].Meant || !strings.Contains(r.Skipped[0].Reason, "is another repository") {
		t.Errorf("skipped %+v", r.Skipped)
	}

	repo["s/other.yaml"] = strings.Replace(application("other", "x"), "https://kubernetes.default.svc", "https://10.0.0.1", 1)
	r = expanded(t, repo, Options{}, "s")
	if len(r.Skipped) != 1 || !r.Skipped[0].Meant || !strings.Contains(r.Skipped[0].Reason, "another cluster") || r.Skipped[0].Origin.File != "s/other.yaml" {
		t.Errorf("skipped %+v", r.Skipped)
	}
	repo["s/other.yaml"] = application("other", "gone")
	refused(t, repo, Options{}, "s", "s/other.yaml:2", `directory "gone" does not exist`)
}

func TestApplicationSets(t *testing.T) {
	const template = "template: {metadata: {name: '%s'}, spec: {project: default, syncPolicy: {automated: {}}, source: {repoURL: " + fleet + ", path: '%s'}, destination: {name: in-cluster, namespace: '%s'}}}"
	repo := files{
		"s/argo.yaml": installArgo(),
		"s/git.yaml": argoObject("ApplicationSet", "addons", "", "goTemplate: true",
			"generators: [{git: {repoURL: "+fleet+", directories: [{path: addons/*}]}}]",
			fmt.Sprintf(template, "addon-{{.path.basename}}", "{{.path.path}}", "{{.path.basename}}")),
		"s/matrix.yaml": argoObject("ApplicationSet", "teams", "",
			"generators: [{matrix: {generators: [{list: {elements: [{stage: dev}, {stage: prod}]}}, {git: {repoURL: "+fleet+", directories: [{path: teams/*}]}}]}}]",
			fmt.Sprintf(template, "{{path.basename}}-{{stage}}", "{{path}}", "{{path.basename}}-{{stage}}")),
		"addons/dns/a.yaml": plainCM("dns"), "addons/ingress/a.yaml": plainCM("ingress"), "teams/web/a.yaml": plainCM("web"),
	}
	r := expanded(t, repo, Options{}, "s")
	same(t, "units", plan(r), "s", "Application argocd/addon-dns (all)", "Application argocd/addon-ingress (all)",
		"Application argocd/web-dev (all)", "Application argocd/web-prod (all)")
	for id, unit := range map[string]string{
		"ConfigMap dns/dns": "Application argocd/addon-dns", "ConfigMap ingress/ingress": "Application argocd/addon-ingress",
		"ConfigMap web-dev/web": "Application argocd/web-dev", "ConfigMap web-prod/web": "Application argocd/web-prod",
		"ApplicationSet.argoproj.io argocd/addons": "s", "ApplicationSet.argoproj.io argocd/teams": "s",
	} {
		if o := object(t, r, id); o.Origin.Unit != unit {
			t.Errorf("%s is of %s, want %s", id, o.Origin.Unit, unit)
		}
	}
	if len(r.Objects) != 3+2+4 {
		t.Errorf("generated Applications are applied: %v", listing(r))
	}
	// What makes the Applications hands them over.
	for _, u := range r.Units[1:] {
		if u.Definition.Kind != "ApplicationSet" || u.Origin.Unit != "s" {
			t.Errorf("%s is defined by %s at %s", u.Name, u.Definition, u.Origin)
		}
	}

	repo["s/git.yaml"] = argoObject("ApplicationSet", "addons", "", "generators: [{scmProvider: {github: {organization: x}}}]", fmt.Sprintf(template, "x", "x", "x"))
	r = expanded(t, repo, Options{}, "s")
	if len(r.Skipped) != 1 || r.Skipped[0].Definition.Name != "addons" || r.Skipped[0].Meant || !strings.Contains(r.Skipped[0].Reason, "scmProvider") {
		t.Errorf("skipped %+v", r.Skipped)
	}
	delete(repo, "s/argo.yaml")
	refused(t, repo, Options{}, "s", "scmProvider", "nothing in the state installs Argo CD")
}

func TestKustomizeAndHooksOfApplications(t *testing.T) {
	repo := files{
		"s/app.yaml":             application("web", "web", "ignoreDifferences: [{kind: ConfigMap, jsonPointers: [/data/key]}]"),
		"web/kustomization.yaml": "resources: [deployment.yaml, cm.yaml]\n",
		"web/cm.yaml":            plainCM("web"),
		"web/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {a: b}}\n" +
			"  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: nginx}]}}\n",
		"s/jobs.yaml": application("jobs", "jobs"),
		"jobs/migrate.yaml": hook("PreSync", "generateName: migrate-", "argocd.argoproj.io/hook-delete-policy: HookSucceeded") +
			hook("SyncFail", "name: alarm", "a: b") + "---\n" + plainCM("after"),
	}
	repo["s/app.yaml"] = strings.Replace(repo["s/app.yaml"], "path: web,", "path: web, kustomize: {namePrefix: pre-, images: ['nginx=registry.example.com/nginx:1.27']},", 1)
	r := expanded(t, repo, Options{}, "s")
	d := object(t, r, "Deployment.apps shop/pre-web")
	if text := fmt.Sprint(d.Object); !strings.Contains(text, "registry.example.com/nginx:1.27") || d.Origin.File != "web/deployment.yaml" {
		t.Errorf("%s: %s", d.Origin, text)
	}
	if c := object(t, r, "ConfigMap shop/pre-web"); len(c.Rules.Ignore) != 1 || c.Rules.Ignore[0].Pointers[0] != "/data/key" {
		t.Errorf("rules %+v", c.Rules)
	}
	j := object(t, r, "Job.batch shop/migrate-ccccccc-presync")
	if j.Rules.Phase != manifests.PhaseBefore || j.Rules.Hook == nil || !j.Rules.Hook.DeleteSucceeded {
		t.Errorf("rules %+v", j.Rules)
	}
	if a := object(t, r, "Job.batch shop/alarm"); a.Rules.Write != manifests.WriteNever {
		t.Errorf("rules %+v", a.Rules)
	}
	warned(t, r, "Application argocd/jobs: not applied, as annotations or settings say: Job.batch shop/alarm (jobs/migrate.yaml:")
	g, err := order.Build(r.Objects, order.Options{Units: r.Units, ExistingNamespace: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	if g.Len() != 4 {
		t.Errorf("%d objects are ordered", g.Len())
	}
}

func hook(kind, name, annotation string) string {
	return "---\napiVersion: batch/v1\nkind: Job\nmetadata:\n  " + name + "\n  annotations:\n    argocd.argoproj.io/hook: " + kind + "\n    " + annotation +
		"\nspec:\n  template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}\n"
}

// Settings count wherever they come from, also when a unit renders them that is
// expanded after others.
func TestSettingsThatAppearLate(t *testing.T) {
	repo := files{
		"s/argo.yaml": installArgo(), "s/a.yaml": application("a", "a"), "a/a.yaml": plainCM("a"),
		"s/z.yaml": strings.Replace(application("z", "argocd"), "namespace: shop}", "namespace: argocd}", 1),
		"argocd/cm.yaml": settings("application.resourceTrackingMethod: label",
			"resource.customizations.health.apps_Deployment: |\n    return {status = 'Healthy'}"),
		"argocd/cluster.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster}}\n" +
			"stringData: {name: here, server: 'https://kubernetes.default.svc', config: " + canary + "}\n",
		"s/set.yaml": argoObject("ApplicationSet", "all", "", "generators: [{clusters: {}}]",
			"template: {metadata: {name: 'on-{{name}}'}, spec: {project: default, source: {repoURL: "+fleet+", path: d}, destination: {name: '{{name}}', namespace: d}}}"),
		"d/d.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {selector: {matchLabels: {a: b}}}\n",
	}
	first := expanded(t, files{"s/set.yaml": repo["s/set.yaml"], "d/d.yaml": repo["d/d.yaml"]}, Options{}, "s")
	same(t, "units", plan(first), "s", "Application argocd/on-in-cluster (all)")
	r := expanded(t, repo, Options{}, "s")
	a := object(t, r, "ConfigMap shop/a")
	if a.GetLabels()["app.kubernetes.io/instance"] != "a" || len(a.GetAnnotations()) != 0 {
		t.Errorf("labels %v, annotations %v", a.GetLabels(), a.GetAnnotations())
	}
	d := object(t, r, "Deployment.apps d/d")
	for _, u := range r.Units {
		if u.Name == "Application argocd/on-in-cluster" {
			t.Errorf("%s is left from before the Secret of the cluster was known", u.Name)
		}
	}
	if d.Origin.Unit != "Application argocd/on-here" || d.Rules.Health == nil || !strings.Contains(d.Rules.Health.Lua, "Healthy") {
		t.Errorf("%s: rules %+v", d.Origin.Unit, d.Rules)
	}
	for _, w := range r.Warnings {
		if strings.Contains(w, canary) {
			t.Errorf("a warning holds a secret: %s", w)
		}
	}
}

// A kind is known to live outside namespaces only once its definition was rendered.
func TestScopesThatAppearLate(t *testing.T) {
	wide := strings.Replace(crd("example.com", "Wide"), "scope: Namespaced", "scope: Cluster", 1)
	repo := files{
		"s/a.yaml": application("a", "a"), "a/w.yaml": "apiVersion: example.com/v1\nkind: Wide\nmetadata: {name: w}\n",
		"s/b.yaml": application("b", "b"), "b/crd.yaml": wide,
	}
	object(t, expanded(t, repo, Options{}, "s"), "Wide.example.com w")
}

func TestWavesAndHooksOfPlainPaths(t *testing.T) {
	repo := files{"s/a.yaml": cm("a"), "s/b.yaml": strings.Replace(cm("b"), "  namespace", "  annotations: {argocd.argoproj.io/sync-wave: '3'}\n  namespace", 1)}
	r := expanded(t, repo, Options{}, "s")
	if o := object(t, r, "ConfigMap x/b"); o.Rules == nil || o.Rules.Wave != 3 {
		t.Errorf("rules %+v", o.Rules)
	}
	if o := object(t, r, "ConfigMap x/a"); o.Rules != nil {
		t.Errorf("rules %+v", o.Rules)
	}
	repo["s/job.yaml"] = strings.Replace(hook("PostSync", "generateName: done-", "a: b"), "metadata:\n", "metadata:\n  namespace: x\n", 1)
	if o := object(t, expanded(t, repo, Options{}, "s"), "Job.batch x/done-ccccccc-postsync"); o.Rules.Phase != manifests.PhaseAfter {
		t.Errorf("rules %+v", o.Rules)
	}
	repo["s/job.yaml"] = strings.Replace(repo["s/job.yaml"], "argocd.argoproj.io/hook: PostSync", "c: d", 1)
	refused(t, repo, Options{}, "s", "s/job.yaml:2: Job has generateName")
	repo["s/job.yaml"] = strings.Replace(hook("Skip", "name: never", "a: b"), "metadata:\n", "metadata:\n  namespace: x\n", 1)
	warned(t, expanded(t, repo, Options{}, "s"), "s: not applied, as annotations or settings say: Job.batch x/never (s/job.yaml:2)")
}

// An Application that manages the path that it lies in keeps its objects.
func TestArgoCDManagesItself(t *testing.T) {
	repo := files{"argocd/install.yaml": installArgo(), "argocd/cm.yaml": settings("a: b"),
		"argocd/self.yaml": strings.Replace(application("argocd", "argocd"), "namespace: shop}", "namespace: argocd}", 1)}
	r := expanded(t, repo, Options{}, "argocd")
	for _, o := range r.Objects {
		if o.Origin.Unit != "Application argocd/argocd" {
			t.Errorf("%s is of %s", o.ID(), o.Origin.Unit)
		}
	}
	if _, err := order.Build(r.Objects, order.Options{Units: r.Units, ExistingNamespace: func(string) bool { return true }}); err != nil {
		t.Error(err)
	}
	// The same object in another file is the same but for the marks of the tool.
	repo["argocd/self.yaml"] = strings.Replace(application("argocd", "copy"), "namespace: shop}", "namespace: argocd}", 1)
	repo["copy/cm.yaml"] = settings("a: b")
	warned(t, expanded(t, repo, Options{}, "argocd"), "ConfigMap argocd/argocd-cm is rendered twice, identically")
	repo["copy/cm.yaml"] = settings("a: c")
	refused(t, repo, Options{}, "argocd", "ConfigMap argocd/argocd-cm is rendered twice with different content")
}

// TestSettingsFromAChildSettle has what changes Argo CD itself come from an Application
// that the root declares, whose names sort before and after the root's.
func TestSettingsFromAChildSettle(t *testing.T) {
	settings := func(name string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: argocd}\ndata: {application.instanceLabelKey: example.com/instance}\n"
	}
	for _, child := range []string{"argocd", "addons", "zzz"} {
		for _, name := range []string{"argocd-cm", "argocd-cmd-params-cm"} {
			t.Run(child+" with "+name, func(t *testing.T) {
				repo := files{
					"p/install.yaml":   "apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n" + installArgo(),
					"p/root.yaml":      application("root", "apps"),
					"apps/child.yaml":  strings.Replace(application(child, "settings"), "namespace: shop", "namespace: argocd", 1),
					"apps/web.yaml":    strings.Replace(application("web", "web"), "automated: {}", "automated: {}, syncOptions: [CreateNamespace=true]", 1),
					"settings/cm.yaml": settings(name), "web/cm.yaml": plainCM("web"),
				}
				r := expanded(t, repo, Options{}, "p")
				object(t, r, "ConfigMap argocd/"+name)
				object(t, r, "ConfigMap shop/web")
			})
		}
	}
}

func TestNamespacesOfMonitoringAreCreated(t *testing.T) {
	app := strings.Replace(application("web", "web"), "automated: {}", "automated: {}, syncOptions: [CreateNamespace=true]", 1)
	repo := files{
		"p/install.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n" + installArgo(),
		"p/web.yaml":     strings.Replace(app, "namespace: shop", "namespace: kube-monitoring", 1), "web/cm.yaml": plainCM("web"),
	}
	object(t, expanded(t, repo, Options{}, "p"), "Namespace kube-monitoring")
}

// TestHelmNamespaceIsForTemplatesOnly has objects go where the Application says.
func TestHelmNamespaceIsForTemplatesOnly(t *testing.T) {
	app := strings.Replace(application("web", "web"), "automated: {}", "automated: {}, syncOptions: [CreateNamespace=true]", 1)
	repo := files{
		"p/install.yaml":        "apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n" + installArgo(),
		"p/web.yaml":            strings.Replace(app, "targetRevision: main}", "targetRevision: main, helm: {namespace: templates}}", 1),
		"web/Chart.yaml":        "apiVersion: v2\nname: web\nversion: 1.0.0\n",
		"web/templates/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {seen: {{ .Release.Namespace | quote }}}\n",
	}
	if seen := object(t, expanded(t, repo, Options{}, "p"), "ConfigMap shop/web").Object["data"].(map[string]any)["seen"]; seen != "templates" {
		t.Errorf("templates see namespace %q", seen)
	}
}

// TestBlocksThatSayNothingChooseNoKind has exported Applications, which carry such.
func TestBlocksThatSayNothingChooseNoKind(t *testing.T) {
	for _, block := range []string{"directory: {}", "directory: {recurse: false, jsonnet: {}}", "helm: {}, kustomize: {}"} {
		repo := files{
			"p/install.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n" + installArgo(),
			"p/web.yaml": strings.Replace(strings.Replace(application("web", "web"), "automated: {}", "automated: {}, syncOptions: [CreateNamespace=true]", 1),
				"targetRevision: main}", "targetRevision: main, "+block+"}", 1),
			"web/kustomization.yaml": "namePrefix: a-\nresources: [cm.yaml]\n", "web/cm.yaml": plainCM("web"), "web/other.yaml": plainCM("other"),
		}
		r := expanded(t, repo, Options{}, "p")
		object(t, r, "ConfigMap shop/a-web")
		for _, o := range r.Objects {
			if o.GetName() == "other" {
				t.Errorf("%s: a file that the kustomization does not name is applied", block)
			}
		}
	}
}

func TestAnEmptySetSaysWhy(t *testing.T) {
	set := argoObject("ApplicationSet", "addons", "", "generators: [{clusters: {selector: {matchLabels: {env: prod}}}}]",
		"template: {metadata: {name: '{{name}}'}, spec: {project: default, source: {repoURL: "+fleet+", path: x}, destination: {server: '{{server}}'}}}")
	refused(t, files{"s/set.yaml": set, "x/a.yaml": plainCM("a")}, Options{}, "s", "leaves no object to apply", "ApplicationSet", "no cluster Secret is known: give them as seeds")
}
