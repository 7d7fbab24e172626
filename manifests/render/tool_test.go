package render

import (
	"context"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/tree"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  template:
    spec:
      containers:
      - name: web
        image: example.com/web:1
`

func built(t *testing.T, f files, dir string, c Changes) *Result {
	t.Helper()
	snap := f.snapshot()
	res, err := Kustomization(context.Background(), Target{Files: snap.FS, Where: "test", Dir: dir, Unit: "u"}, c, Options{})
	if err != nil {
		t.Fatalf("Kustomization: %v", err)
	}
	return res
}

func TestChangesAreMadeToAKustomization(t *testing.T) {
	repo := files{
		"app/kustomization.yaml": "namespace: old\nresources: [web.yaml]\nimages: [{name: example.com/web, newTag: '2'}]\n",
		"app/web.yaml":           deployment,
		"part/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n" +
			"patches:\n- target: {kind: Deployment}\n  patch: |\n    - {op: add, path: /metadata/labels, value: {part: here}}\n",
	}
	res := built(t, repo, "app", Changes{
		Namespace: "new", NamePrefix: "a-", NameSuffix: "-z",
		Images:   []types.Image{{Name: "example.com/web", NewTag: "3"}},
		Replicas: []types.Replica{{Name: "web", Count: 4}},
		Patches: []types.Patch{{
			Patch:  `[{"op": "add", "path": "/spec/paused", "value": true}]`,
			Target: &types.Selector{ResId: resid.ResId{Gvk: resid.Gvk{Kind: "Deployment"}}},
		}},
		Components: []string{"../part", "../missing"}, IgnoreMissingComponents: true,
		CommonAnnotations: map[string]string{"team": "x"},
		Labels:            []types.Label{{Pairs: map[string]string{"tier": "web"}}},
	})
	if len(res.Objects) != 1 {
		t.Fatalf("%d objects", len(res.Objects))
	}
	o := res.Objects[0]
	if got := o.ID().String() + " @ " + o.Origin.String(); got != "Deployment.apps new/a-web-z @ app/web.yaml:1" {
		t.Errorf("got %s", got)
	}
	replicas, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	paused, _, _ := unstructured.NestedBool(o.Object, "spec", "paused")
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	image := containers[0].(map[string]any)["image"]
	if replicas != 4 || !paused || image != "example.com/web:3" {
		t.Errorf("replicas %d, paused %v, image %v", replicas, paused, image)
	}
	if l := o.GetLabels(); l["part"] != "here" || l["tier"] != "web" || o.GetAnnotations()["team"] != "x" {
		t.Errorf("labels %v, annotations %v", l, o.GetAnnotations())
	}
}

func TestAKustomizationIsMadeWhereThereIsNone(t *testing.T) {
	repo := files{
		"app/b.yaml": cm("b"), "app/deep/er/c.yml": cm("c"), "app/.hidden.yaml": cm("hidden"), "app/not.json": `{"a": 1}`,
		"app/base/kustomization.yaml": "namePrefix: base-\nresources: [d.yaml]\n", "app/base/d.yaml": cm("d"), "app/base/unlisted.yaml": cm("unlisted"),
		"other/e.yaml": cm("e"),
	}
	want := "ConfigMap x/b @ app/b.yaml:1, ConfigMap x/base-d @ app/base/d.yaml:1, ConfigMap x/c @ app/deep/er/c.yml:1, ConfigMap x/hidden @ app/.hidden.yaml:1"
	if got := strings.Join(listing(built(t, repo, "app", Changes{}).Objects), ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if res := built(t, files{"empty/README.md": "x"}, "empty", Changes{}); len(res.Objects) != 0 || len(res.Warnings) != 1 {
		t.Errorf("an empty directory gives %+v", res)
	}
}

func TestOriginsAndErrorsNameTheFileBehindATree(t *testing.T) {
	repo := files{"deep/a.yaml": cm("a"), "deep/bad.yaml": "kind: [\n"}.snapshot().FS
	picked := tree.New()
	picked.Link("x/a.yaml", repo, "deep/a.yaml")
	res, err := Kustomization(context.Background(), Target{Files: picked, Dir: "/x"}, Changes{}, Options{})
	if err != nil || listing(res.Objects)[0] != "ConfigMap x/a @ deep/a.yaml:1" {
		t.Fatalf("%v, %v", res, err)
	}
	picked.Link("x/bad.yaml", repo, "deep/bad.yaml")
	_, err = Kustomization(context.Background(), Target{Files: picked, Dir: "x"}, Changes{}, Options{})
	if fault := (*InputError)(nil); !errors.As(err, &fault) || fault.File != "deep/bad.yaml" {
		t.Errorf("error %v", err)
	}
}

func TestAToolCannotLeaveTheRepository(t *testing.T) {
	repo := files{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": cm("a")}
	for name, c := range map[string]Changes{
		"component": {Components: []string{"../../etc"}},
		"remote":    {Components: []string{"https://example.com/x"}},
		"patch":     {Patches: []types.Patch{{Path: "/etc/passwd"}}},
	} {
		_, err := Kustomization(context.Background(), Target{Files: repo.snapshot().FS, Dir: "app"}, c, Options{})
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	_, err := Kustomization(context.Background(), Target{Files: repo.snapshot().FS, Dir: "../app"}, Changes{}, Options{})
	if err == nil || !strings.Contains(err.Error(), "leaves the repository") {
		t.Errorf("error %v", err)
	}
}

func TestPatchedKeepsOriginAndRules(t *testing.T) {
	res := render(t, files{"web.yaml": deployment}, Options{})
	res.Objects[0].Rules = &manifests.Rules{Manager: "m"}
	objects, err := Patched(context.Background(), "u", res.Objects, Changes{
		Images: []types.Image{{Name: "example.com/web", NewTag: "9"}},
	}, Options{})
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	text, _ := objects[0].MarshalJSON()
	if !strings.Contains(string(text), "example.com/web:9") || strings.Contains(string(text), "origin") {
		t.Errorf("built %s", text)
	}
	if objects[0].Rules.Manager != "m" || objects[0].Origin != res.Objects[0].Origin {
		t.Errorf("lost %+v %+v", objects[0].Origin, objects[0].Rules)
	}
}
