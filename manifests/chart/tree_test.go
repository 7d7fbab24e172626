package chart

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/internal/charttest"
)

func TestChartInTheRepository(t *testing.T) {
	web := fixture(t, "web")
	web[".helmignore"] = "*.bak\n/secret/\n"
	web["templates/lines.yaml.bak"] = "not: even yaml: ["
	web["secret/key"] = "x"
	files := inRepository(map[string]map[string]string{"charts/web": web})
	if !IsChart(files, "charts/web") || IsChart(files, "charts") {
		t.Error("which directory is a chart?")
	}
	c, err := FromFS(t.Context(), files, "charts/web/", TreeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	result := rendered(t, request(c))
	if o := byName(t, result.Objects, "Deployment", "demo-web").Origin; o.File != "charts/web/templates/deployment.yaml" {
		t.Errorf("origin is %v", o)
	}
	if o := byName(t, result.Objects, "ConfigMap", "cache").Origin; o.File != "charts/web/charts/cache/templates/configmap.yaml" {
		t.Errorf("origin is %v", o)
	}
	if _, err := c.ReadFile("secret/key"); err == nil {
		t.Error(".helmignore is not heeded")
	}
	if data, err := c.ReadFile("values-other.yaml"); err != nil || string(data) != "replicas: 7\n" {
		t.Errorf("got %q, %v", data, err)
	}
	archive := rendered(t, request(chartOf(t, fixture(t, "web"))))
	if diff := cmp.Diff(ids(archive.Objects), ids(result.Objects)); diff != "" {
		t.Errorf("from an archive and from the repository differ:\n%s", diff)
	}
}

const app = "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n"

func TestDependenciesThatAreNotInTheRepository(t *testing.T) {
	s := charttest.New(t)
	versions(s, "1.0.0", "1.1.0", "1.2.0")
	dependency := "  - {name: demo, version: 1.x, repository: " + s.Repository() + "}\n"
	lock := "dependencies: [{name: demo, version: 1.1.0, repository: " + s.Repository() + "}]\n"
	files := inRepository(map[string]map[string]string{
		"app":    {"Chart.yaml": app + dependency, "Chart.lock": lock},
		"free":   {"Chart.yaml": app + dependency},
		"none":   {"Chart.yaml": app + "  - {name: demo, version: 1.x}\n"},
		"alias":  {"Chart.yaml": app + "  - {name: demo, version: 1.x, repository: '@mine'}\n"},
		"local":  {"Chart.yaml": app + "  - {name: free, version: 1.x, repository: 'file://../parts/free'}\n"},
		"out":    {"Chart.yaml": app + "  - {name: free, version: 1.x, repository: 'file://../../../etc'}\n"},
		"loop":   {"Chart.yaml": app + "  - {name: app, version: 1.x, repository: 'file://.'}\n"},
		"packed": {"Chart.yaml": app + dependency, "charts/demo-1.0.0.tgz": string(demoArchive("1.0.0"))},
		"parts/free": {
			"Chart.yaml": "apiVersion: v2\nname: free\nversion: 1.5.0\n", "templates/a.yaml": configMap + "data: {version: free}\n",
		},
	})
	f := &Fetcher{}
	for dir, want := range map[string]string{"app": "1.1.0", "free": "1.2.0", "local": "free", "packed": "1.0.0"} {
		c, err := FromFS(t.Context(), files, dir, TreeOptions{Fetcher: f})
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		result := rendered(t, request(c))
		if data := result.Objects[0].Object["data"].(map[string]any); data["version"] != want {
			t.Errorf("%s renders version %v, not %s", dir, data["version"], want)
		}
		if fetched := dir == "app" || dir == "free"; fetched != (len(c.Dependencies) == 1) {
			t.Errorf("%s pins %v", dir, c.Dependencies)
		} else if fetched && c.Dependencies[0].Version != want {
			t.Errorf("%s pins %v", dir, c.Dependencies)
		}
	}
	for dir, want := range map[string]string{
		"none": "names no repository", "alias": "is an alias", "out": "leaves the repository", "loop": "more than 10 deep", "parts": "has no Chart.yaml",
	} {
		_, err := FromFS(t.Context(), files, dir, TreeOptions{Fetcher: f})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", dir, err)
		}
	}
	if _, err := FromFS(t.Context(), files, "app", TreeOptions{}); err == nil || !strings.Contains(err.Error(), "nothing may be fetched") {
		t.Errorf("got %v", err)
	}
}

func demoArchive(version string) []byte {
	return charttest.Pack(map[string]string{
		"Chart.yaml":       "apiVersion: v2\nname: demo\nversion: " + version + "\n",
		"templates/a.yaml": configMap + "data: {version: {{ .Chart.Version }}}\n",
	})
}

func TestDependencyCredentials(t *testing.T) {
	s := charttest.New(t)
	versions(s, "1.0.0")
	s.RequireBasic(username, password)
	files := inRepository(map[string]map[string]string{"app": {"Chart.yaml": app + "  - {name: demo, version: 1.x, repository: " + s.Repository() + "}\n"}})
	auth := func(repository string) (Auth, bool, error) {
		if repository != s.Repository() {
			t.Errorf("asked for the credentials of %s", repository)
		}
		return Auth{Username: username, Password: password}, false, nil
	}
	if _, err := FromFS(t.Context(), files, "app", TreeOptions{Fetcher: &Fetcher{}, Auth: auth}); err != nil {
		t.Fatal(err)
	}
}

func TestLinksStayInTheRepository(t *testing.T) {
	dir := t.TempDir()
	outside := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(outside+"/canary", []byte("canary"), 0o600))
	for _, name := range []string{"good/templates", "shared", "bad", "round"} {
		must(os.MkdirAll(dir+"/"+name, 0o700))
	}
	for _, name := range []string{"good", "bad", "round"} {
		must(os.WriteFile(dir+"/"+name+"/Chart.yaml", []byte("apiVersion: v2\nname: demo\nversion: 1.0.0\n"), 0o600))
	}
	must(os.WriteFile(dir+"/shared/a.yaml", []byte(configMap), 0o600))
	must(os.Symlink("../../shared/a.yaml", dir+"/good/templates/a.yaml"))
	must(os.Symlink(outside+"/canary", dir+"/bad/file"))
	must(os.Symlink("../round", dir+"/round/again"))
	root, err := os.OpenRoot(dir)
	must(err)
	defer func() { _ = root.Close() }()
	c, err := FromFS(t.Context(), root.FS(), "good", TreeOptions{})
	must(err)
	if n := len(rendered(t, request(c)).Objects); n != 1 {
		t.Errorf("%d objects", n)
	}
	if _, err := FromFS(t.Context(), root.FS(), "bad", TreeOptions{}); err == nil || strings.Contains(err.Error(), "canary\n") {
		t.Errorf("a link out of the tree: %v", err)
	}
	if _, err := FromFS(t.Context(), root.FS(), "round", TreeOptions{}); err == nil {
		t.Error("a link in a circle was read")
	}
}

func TestTreesAreBounded(t *testing.T) {
	files := inRepository(map[string]map[string]string{"app": {
		"Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n", "a": strings.Repeat("x", 1000), "b": "",
	}})
	for name, limits := range map[string]Limits{"files": {Files: 2}, "bytes": {ExpandedBytes: 500}} {
		if _, err := FromFS(t.Context(), files, "app", TreeOptions{Limits: limits}); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
