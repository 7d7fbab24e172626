package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/manifests/verify"
)

const argoRepository = "https://git.example.com/platform/gitops.git"

// argoRepositoryFiles are an app-of-apps and a set of Applications, with the kinds that
// Argo CD installs.
func argoRepositoryFiles() fstest.MapFS {
	files := fstest.MapFS{}
	add := func(name, text string) { files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644} }
	install := "apiVersion: v1\nkind: Namespace\nmetadata: {name: argo-system}\n"
	for _, kind := range []string{"Application", "ApplicationSet", "AppProject"} {
		plural := strings.ToLower(kind) + "s"
		install += fmt.Sprintf("---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: %s.argoproj.io}\nspec:\n"+
			"  group: argoproj.io\n  scope: Namespaced\n  names: {kind: %s, plural: %s, singular: %s}\n  versions:\n"+
			"  - {name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}\n",
			plural, kind, plural, strings.ToLower(kind))
	}
	app := func(name, path, wave string) string {
		return fmt.Sprintf("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: %s, namespace: argo-system, annotations: {argocd.argoproj.io/sync-wave: '%s'}}\n"+
			"spec:\n  project: default\n  source: {repoURL: %s, path: %s}\n  destination: {name: in-cluster, namespace: argo-%s}\n"+
			"  syncPolicy: {automated: {}, syncOptions: [CreateNamespace=true]}\n"+
			"  ignoreDifferences: [{kind: ConfigMap, name: tuned, jsonPointers: [/data/a]}]\n", name, wave, argoRepository, path, name)
	}
	add("argocd/install.yaml", install)
	add("argocd/root.yaml", app("root", "apps", "0"))
	add("apps/db.yaml", app("db", "db", "0"))
	add("apps/web.yaml", app("web", "web", "1"))
	add("apps/set.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: set, namespace: argo-system}\nspec:\n"+
		"  generators: [{git: {repoURL: "+argoRepository+", directories: [{path: addons/*}]}}]\n  template:\n    metadata: {name: 'addon-{{path.basename}}'}\n"+
		"    spec: {project: default, source: {repoURL: "+argoRepository+", path: '{{path}}'}, destination: {name: in-cluster, namespace: argo-db}}\n")
	for dir, name := range map[string]string{"db": "db", "web": "tuned", "addons/dns": "dns"} {
		add(dir+"/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+"}\ndata: {a: b}\n")
	}
	add("web/kustomization.yaml", "resources: [cm.yaml]\n")
	return files
}

// What a repository for Argo CD declares is applied, verified, and left as Argo CD
// itself would write it.
func TestARepositoryForArgoCD(t *testing.T) {
	snap := &source.Snapshot{FS: argoRepositoryFiles(), URL: argoRepository, Ref: "refs/heads/main", Commit: strings.Repeat("a", 40)}
	state, err := expand.Expand(t.Context(), snap, []string{"argocd"}, expand.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(state.Skipped) != 0 || len(state.Objects) != 4+3+1+3+3 {
		t.Fatalf("%d objects, skipped %v", len(state.Objects), state.Skipped)
	}
	g, err := order.Build(state.Objects, order.Options{Simulated: true, Units: state.Units})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply.Run(t.Context(), g, apply.Options{Config: plane.Config, Simulated: true, Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, state.Objects) })
	if r := verified(t, state.Objects, verify.Options{}); len(r.Missing)+len(r.Changed) != 0 {
		t.Errorf("missing %v, changed %v", r.Missing, r.Changed)
	}
	for _, o := range state.Objects {
		if o.Manager() != "argocd-controller" || o.GetKind() != "ConfigMap" {
			continue
		}
		before := liveMap(t, o)
		_, err := client(t).Resource(configMaps).Namespace(o.GetNamespace()).Apply(t.Context(), o.GetName(), o.Unstructured, metav1.ApplyOptions{FieldManager: "argocd-controller"})
		if err != nil {
			t.Errorf("Argo CD could not apply %s: %v", o.ID(), err)
		}
		if after := liveMap(t, o); after != before {
			t.Errorf("Argo CD changes %s: version %s becomes %s", o.ID(), before, after)
		}
	}
	patched(t, configMaps, "argo-web", "tuned", `{"data":{"a":"c"}}`, "tuner")
	patched(t, configMaps, "argo-db", "db", `{"data":{"a":"c"}}`, "somebody")
	r := verified(t, state.Objects, verify.Options{})
	only(t, "changed", r.Changed, "ConfigMap argo-db/db", "data.a")
	for _, o := range state.Objects {
		if o.GetName() == "tuned" {
			exemptBy(t, r, o.ID().String(), o.Rules.Ignore[0].From, "data.a may differ, and does")
		}
	}
}

func liveMap(t *testing.T, o manifests.Object) string {
	t.Helper()
	live, err := client(t).Resource(configMaps).Namespace(o.GetNamespace()).Get(t.Context(), o.GetName(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return live.GetResourceVersion()
}
