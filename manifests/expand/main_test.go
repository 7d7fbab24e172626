package expand

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "canary-5up3r"

// files is a repository by name and content.
type files map[string]string

func (f files) snapshot() *source.Snapshot {
	m := fstest.MapFS{}
	for name, content := range f {
		m[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return &source.Snapshot{FS: m, URL: "https://git.example.com/platform/fleet.git", Ref: "refs/heads/main", Commit: strings.Repeat("c", 40)}
}

func (f files) with(more files) files {
	all := files{}
	for _, m := range []files{f, more} {
		for name, content := range m {
			all[name] = content
		}
	}
	return all
}

// expanded fails the test unless the repository expands.
func expanded(t *testing.T, f files, o Options, paths ...string) *Result {
	t.Helper()
	r, err := Expand(context.Background(), f.snapshot(), paths, o)
	if err != nil {
		t.Fatalf("Expand: %v", err)
	}
	return r
}

// refused fails the test unless the repository does not expand, with all of the words.
func refused(t *testing.T, f files, o Options, path string, wants ...string) {
	t.Helper()
	r, err := Expand(context.Background(), f.snapshot(), []string{path}, o)
	if err == nil {
		t.Fatalf("expands to %v, want an error with %q", listing(r), wants)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("error %q holds a secret", err)
	}
}

// listing shows objects as ID < unit.
func listing(r *Result) []string {
	var all []string
	for _, o := range r.Objects {
		all = append(all, o.ID().String()+" < "+o.Origin.Unit)
	}
	return all
}

// plan shows units with what they wait for.
func plan(r *Result) []string {
	var all []string
	for _, u := range r.Units {
		s := u.Name
		for _, dep := range u.After {
			s += " > " + dep.Unit
		}
		if u.Ready.All {
			s += " (all)"
		}
		for _, id := range u.Ready.Objects {
			s += " (" + id.String() + ")"
		}
		all = append(all, s)
	}
	return all
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func object(t *testing.T, r *Result, id string) manifests.Object {
	t.Helper()
	for _, o := range r.Objects {
		if o.ID().String() == id {
			return o
		}
	}
	t.Fatalf("no %s among %v", id, listing(r))
	return manifests.Object{}
}

func warned(t *testing.T, r *Result, want string) {
	t.Helper()
	if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
		t.Errorf("no warning says %q: %q", want, r.Warnings)
	}
}

func cm(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n  namespace: x\ndata: {key: value}\n"
}

// fluxObject is an object of Flux with a spec, one field a line.
func fluxObject(api, kind, name string, spec ...string) string {
	return fmt.Sprintf("---\napiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: flux-system}\nspec:\n  %s\n", api, kind, name, strings.Join(spec, "\n  "))
}

func kustomization(name, path string, spec ...string) string {
	return fluxObject("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name,
		append([]string{"path: " + path, "prune: true", "interval: 1h", "sourceRef: {kind: GitRepository, name: flux-system}"}, spec...)...)
}

func gitRepository(name, url string, spec ...string) string {
	return fluxObject("source.toolkit.fluxcd.io/v1", "GitRepository", name, append([]string{"interval: 1m", "url: " + url}, spec...)...)
}

func helmRelease(name string, spec ...string) string {
	return fluxObject("helm.toolkit.fluxcd.io/v2", "HelmRelease", name, append([]string{"interval: 1h"}, spec...)...)
}

// crd installs a kind.
func crd(group, kind string) string {
	plural := strings.ToLower(kind) + "s"
	return fmt.Sprintf("---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: %s.%s}\n"+
		"spec:\n  group: %s\n  scope: Namespaced\n  names: {kind: %s, plural: %s}\n  versions: [{name: v1, served: true, storage: true}]\n",
		plural, group, group, kind, plural)
}

const (
	kustomizeAPI = "kustomize.toolkit.fluxcd.io"
	helmAPI      = "helm.toolkit.fluxcd.io"
)

// installFlux are the kinds of Flux, as its bootstrap installs them.
func installFlux() string {
	return crd(kustomizeAPI, "Kustomization") + crd(helmAPI, "HelmRelease") + crd("source.toolkit.fluxcd.io", "GitRepository")
}

// charts is a chart renderer for tests: it remembers what it was asked for.
type charts struct {
	requests []flux.ChartRequest
	objects  []string // names of ConfigMaps without namespace
}

func (c *charts) Render(_ context.Context, r flux.ChartRequest) (*flux.Chart, error) {
	c.requests = append(c.requests, r)
	out := &flux.Chart{}
	for _, name := range append(c.objects, r.Release) {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"values": fmt.Sprint(r.Values)}}}
		u.SetName(name)
		out.Objects = append(out.Objects, manifests.Object{Unstructured: u, Origin: manifests.Origin{Unit: r.Unit, File: "chart/templates/x.yaml", Line: 1}})
	}
	return out, nil
}
