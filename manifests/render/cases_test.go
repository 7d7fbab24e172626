package render

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/source"
)

// reference renders a directory with kustomize as it comes, from disk.
func reference(t *testing.T, dir string) string {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = types.LoadRestrictionsNone
	built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var objects []manifests.Object
	for _, r := range built.Resources() {
		text, err := r.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		if err := utiljson.Unmarshal(text, &u.Object); err != nil {
			t.Fatal(err)
		}
		o := manifests.Object{Unstructured: u}
		normalise(&o, "")
		objects = append(objects, o)
	}
	objects, err = (&renderer{}).deduplicate(objects)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := digest(objects)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// What goes in as provenance, jail and checks must not change what comes out.
func TestSameAsKustomize(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"base/kustomization.yaml": "resources: [a.yaml, d.yaml]\nlabels: [{pairs: {app: x}, includeSelectors: true}]\n",
		"base/a.yaml":             cm("a") + "data: {yes: no, n: '012', port: 0o17}\n",
		"base/d.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, annotations: {}}\nspec:\n  template:\n    metadata: {creationTimestamp: null}\n" +
			"    spec:\n      containers: [{name: c, image: img, envFrom: [{configMapRef: {name: gen}}]}]\n",
		"kustomization.yaml": "resources: [base]\nnamePrefix: p-\nnamespace: other\nimages: [{name: img, newTag: v2}]\n" +
			"configMapGenerator: [{name: gen, files: [f=base/a.yaml], literals: [a=b]}]\nreplicas: [{name: d, count: 3}]\n",
	} {
		writeTestFile(t, filepath.Join(dir, name), content)
	}
	snap, err := source.Directory(dir)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Render(context.Background(), snap, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := reference(t, dir); res.Digest != want {
		t.Errorf("digest %s, kustomize itself gives %s", res.Digest, want)
	}
}

func writeTestFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRealRepositories renders repositories that nobody here wrote. They lie beside
// the checkout where they lie at all.
func TestRealRepositories(t *testing.T) {
	cases, err := filepath.Abs("../../../shared/cases")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cases); err != nil {
		t.Logf("no repositories at %s: nothing to render", cases)
		return
	}
	for name, test := range map[string]struct {
		path      string
		objects   int
		kustomize bool
	}{
		"kube-prometheus":   {".", 131, true},
		"kube-prometheus/":  {"manifests", 131, false},
		"online-boutique":   {"kustomize", 35, true},
		"online-boutique/":  {"kustomize/tests/memorystore-with-all-components", 49, true},
		"online-boutique//": {"kustomize/tests/service-mesh-istio-with-all-components", 0, true},
		"flux-example":      {"infrastructure/controllers", 0, true},
		"flux-example/":     {"apps/production", 0, true},
		"flux-example//":    {"clusters/staging", 0, false},
	} {
		t.Run(name+" "+test.path, func(t *testing.T) {
			dir := filepath.Join(cases, name)
			snap, err := source.Directory(dir)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			res, err := Render(context.Background(), snap, []string{test.path}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d objects in %s", len(res.Objects), time.Since(start))
			if test.objects > 0 && len(res.Objects) != test.objects {
				t.Errorf("%d objects, want %d", len(res.Objects), test.objects)
			}
			for _, o := range res.Objects {
				if o.Origin.File == "" || o.Origin.Line == 0 {
					t.Errorf("%s comes from %q", o.ID(), o.Origin)
				}
			}
			if test.kustomize {
				if want := reference(t, filepath.Join(dir, test.path)); res.Digest != want {
					t.Errorf("digest %s, kustomize itself gives %s", res.Digest, want)
				}
			}
		})
	}
}
