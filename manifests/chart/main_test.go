package chart

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"github.com/refloat-dev/refloat/internal/charttest"
	"github.com/refloat-dev/refloat/manifests"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture reads a chart of testdata.
func fixture(t *testing.T, name string) map[string]string {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = string(f.Data)
	}
	return files
}

// chartOf makes a chart of files; without a Chart.yaml it is demo 1.0.0.
func chartOf(t *testing.T, files map[string]string) *Chart {
	t.Helper()
	if files["Chart.yaml"] == "" {
		files["Chart.yaml"] = "apiVersion: v2\nname: demo\nversion: 1.0.0\n"
	}
	c, err := FromArchive(charttest.Pack(files), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// inRepository puts files below a directory of a file system.
func inRepository(trees map[string]map[string]string) fstest.MapFS {
	all := fstest.MapFS{}
	for dir, files := range trees {
		for name, text := range files {
			all[dir+"/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		}
	}
	return all
}

func request(c *Chart) Request {
	return Request{Chart: c, Unit: "unit", ReleaseName: "demo", Namespace: "shop", KubeVersion: "v1.36.3", IncludeCRDs: true}
}

func byName(t *testing.T, objects []manifests.Object, kind, name string) manifests.Object {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return manifests.Object{}
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in: %s", p, text)
		}
	}
}
