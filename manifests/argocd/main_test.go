package argocd

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	repo   = "https://git.example.com/platform.git"
	commit = "0123456789abcdef0123456789abcdef01234567"
)

// repository is a Renderer over files in memory, which remembers what it was asked.
type repository struct {
	trees     map[string]fstest.MapFS
	kustomize []KustomizeRequest
	helm      []HelmRequest
	files     []FilesRequest
	revisions []string
	hydrated  bool // asked for a hydrated branch
}

func files(content map[string]string) *repository {
	tree := fstest.MapFS{}
	for name, text := range content {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return &repository{trees: map[string]fstest.MapFS{repo: tree}}
}

func (r *repository) Tree(_ context.Context, q TreeRequest) (Tree, error) {
	url, revision := q.RepoURL, q.Revision
	r.hydrated = r.hydrated || q.Hydrated
	tree, ok := r.trees[url]
	if !ok {
		return Tree{}, fmt.Errorf("%w: nobody gave access to the repository", ErrUnavailable)
	}
	r.revisions = append(r.revisions, revision)
	return Tree{FS: tree, URL: url, Commit: commit}, nil
}

func (r *repository) Files(_ context.Context, q FilesRequest) (Rendered, error) {
	r.files = append(r.files, q)
	var out Rendered
	for _, name := range q.Files {
		data, err := q.Tree.FS.(fstest.MapFS).ReadFile(name)
		if err != nil {
			return out, err
		}
		out.Objects = append(out.Objects, parseAll(string(data), name)...)
	}
	return out, nil
}

func (r *repository) Kustomize(_ context.Context, q KustomizeRequest) (Rendered, error) {
	r.kustomize = append(r.kustomize, q)
	return Rendered{Objects: parseAll("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: built}\n", q.Path+"/kustomization.yaml")}, nil
}

func (r *repository) Helm(_ context.Context, q HelmRequest) (Rendered, error) {
	r.helm = append(r.helm, q)
	return Rendered{Objects: parseAll("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+q.Release+"}\n", "chart")}, nil
}

// parseAll reads documents; each knows a line, from 1.
func parseAll(text, file string) []manifests.Object {
	var all []manifests.Object
	line := 1
	for _, doc := range strings.Split(text, "---\n") {
		u := &unstructured.Unstructured{}
		if data, err := yaml.YAMLToJSON([]byte(doc)); err == nil {
			err = u.UnmarshalJSON(data)
			if err == nil {
				all = append(all, manifests.Object{Unstructured: u, Origin: manifests.Origin{Unit: "clusters/prod", File: file, Line: line}})
			}
		}
		line += strings.Count(doc, "\n") + 1
	}
	return all
}

func object(t *testing.T, text string) manifests.Object {
	t.Helper()
	all := parseAll(text, "apps.yaml")
	if len(all) != 1 {
		t.Fatalf("%d objects in %q", len(all), text)
	}
	return all[0]
}

// app is an Application whose spec is given.
func app(t *testing.T, spec string) manifests.Object {
	t.Helper()
	return object(t, "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop, namespace: argocd}\nspec:\n"+indented(spec))
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

const here = "destination: {server: https://kubernetes.default.svc, namespace: shop}\nsyncPolicy: {automated: {}}\n"

func expand(t *testing.T, r *repository, s *Settings, o manifests.Object) *Expansion {
	t.Helper()
	x, err := NewExpander(r, s, Options{}).Application(context.Background(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func settings(t *testing.T, text string) *Settings {
	t.Helper()
	s, warnings := ReadSettings(parseAll(text, "argocd.yaml"))
	if len(warnings) > 0 {
		t.Fatal(warnings)
	}
	return s
}

// contains fails the test unless one of the texts holds every part.
func contains(t *testing.T, texts []string, parts ...string) {
	t.Helper()
	for _, text := range texts {
		found := true
		for _, p := range parts {
			found = found && strings.Contains(text, p)
		}
		if found {
			return
		}
	}
	t.Errorf("none of %q says %q", texts, parts)
}
