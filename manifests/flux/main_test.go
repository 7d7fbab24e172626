package flux

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "canary-5up3r"

// world is a state for tests.
type world []manifests.Object

func (w world) Get(id manifests.ID) (manifests.Object, bool) {
	for _, o := range w {
		if o.ID() == id {
			return o, true
		}
	}
	return manifests.Object{}, false
}

func (w world) List(gk schema.GroupKind) []manifests.Object {
	var all []manifests.Object
	for _, o := range w {
		if o.ID().GroupKind() == gk {
			all = append(all, o)
		}
	}
	return all
}

// parsed reads objects, each of which gets the line of its document.
func parsed(t *testing.T, text string) world {
	t.Helper()
	var w world
	for i, doc := range strings.Split(text, "---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		if u.Object != nil {
			w = append(w, manifests.Object{Unstructured: u, Origin: manifests.Origin{File: "s/k.yaml", Line: i + 1}})
		}
	}
	return w
}

type files map[string]string

func (f files) fs() fstest.MapFS {
	m := fstest.MapFS{}
	for name, content := range f {
		m[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return m
}

func expander(f files) *Expander {
	return &Expander{Snapshot: &source.Snapshot{FS: f.fs(), URL: "https://git.example.com/acme/fleet", Ref: "refs/heads/main"}}
}

// define is a definition in flux-system, with the fields of its spec.
func define(api, kind string, spec ...string) string {
	return "apiVersion: " + api + "\nkind: " + kind + "\nmetadata: {name: app, namespace: flux-system}\nspec:\n  " + strings.Join(spec, "\n  ") + "\n"
}

func ks(spec ...string) string {
	return define("kustomize.toolkit.fluxcd.io/v1", "Kustomization",
		append([]string{"interval: 1h", "prune: true", "sourceRef: {kind: GitRepository, name: flux-system}"}, spec...)...)
}

func hr(spec ...string) string {
	return define("helm.toolkit.fluxcd.io/v2", "HelmRelease", append([]string{"interval: 1h"}, spec...)...)
}

// expand reads the first object of a text; the rest is the state.
func expand(t *testing.T, e *Expander, text string) (*Expansion, error) {
	t.Helper()
	w := parsed(t, text)
	return e.Expand(context.Background(), w[0], w[1:], false)
}

func expands(t *testing.T, e *Expander, text string) *Expansion {
	t.Helper()
	x, err := expand(t, e, text)
	if err != nil {
		t.Fatalf("Expand: %v", err)
	}
	return x
}

func fails(t *testing.T, e *Expander, text string, wants ...string) error {
	t.Helper()
	x, err := expand(t, e, text)
	if err == nil {
		t.Fatalf("expands to %+v, want an error with %q", x, wants)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("error %q holds a secret", err)
	}
	return err
}

func names(x *Expansion) []string {
	var all []string
	for _, o := range x.Objects {
		all = append(all, o.ID().String())
	}
	slices.Sort(all)
	return all
}

func at(o manifests.Object, fields ...string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(o.Object, fields...)
	return v
}

// charts hands out what it is told to and remembers what it was asked for.
type charts struct {
	asked ChartRequest
	chart *Chart
}

func (c *charts) Render(ctx context.Context, r ChartRequest) (*Chart, error) {
	c.asked = r
	if c.chart == nil {
		return &Chart{}, nil
	}
	if r.PostRender == nil {
		return c.chart, nil
	}
	out := *c.chart
	var err error
	out.Objects, err = r.PostRender(ctx, c.chart.Objects)
	return &out, err
}

func read(t *testing.T, files fs.FS, name string) string {
	t.Helper()
	text, err := fs.ReadFile(files, name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return string(text)
}
