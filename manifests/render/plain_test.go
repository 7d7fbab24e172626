package render

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/manifests/source"
)

func TestPlainFiles(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		paths []string
		want  []string
	}{
		"lines of documents": {
			files: files{"a.yaml": "# a comment\n\n---\n# another\n" + cm("a") + "---\n---\n# only this\n...\n--- # marked\n" + cm("b")},
			want:  []string{"ConfigMap x/a @ a.yaml:5", "ConfigMap x/b @ a.yaml:15"},
		},
		"windows line ends and a byte order mark": {
			files: files{"a.yaml": "\ufeff" + strings.ReplaceAll(cm("a")+"---\n"+cm("b"), "\n", "\r\n")},
			want:  []string{"ConfigMap x/a @ a.yaml:1", "ConfigMap x/b @ a.yaml:7"},
		},
		"recursive, hidden left out, other files left out": {
			files: files{
				"d/e/a.yaml": cm("a"), "d/b.yml": cm("b"), "d/c.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`,
				".hidden/x.yaml": "[", "d/.x.yaml": "[", "README.md": "[", "values.yaml.tpl": "[",
			},
			want: []string{"ConfigMap c @ d/c.json:1", "ConfigMap x/a @ d/e/a.yaml:1", "ConfigMap x/b @ d/b.yml:1"},
		},
		"a single file": {
			files: files{"d/a.yaml": cm("a"), "d/b.yaml": cm("b")}, paths: []string{"/d/a.yaml"},
			want: []string{"ConfigMap x/a @ d/a.yaml:1"},
		},
		"several paths that overlap": {
			files: files{"d/a.yaml": cm("a"), "e/b.yaml": cm("b")}, paths: []string{"./d/", "e", "d/a.yaml"},
			want: []string{"ConfigMap x/a @ d/a.yaml:1", "ConfigMap x/b @ e/b.yaml:1"},
		},
		"lists": {
			files: files{
				"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: s}\n" +
					"- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Secret, metadata: {name: t}}\n",
				"b.yaml": "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: c}\n",
				"c.yaml": "apiVersion: v1\nkind: List\nitems: null\n",
				"d.yaml": "apiVersion: x.io/v1\nkind: AllowList\nmetadata: {name: not-a-list}\n",
			},
			want: []string{"ConfigMap c @ b.yaml:4", "Secret s @ a.yaml:4", "Secret t @ a.yaml:10", "AllowList.x.io not-a-list @ d.yaml:1"},
		},
		"json stream, indented with tabs": {
			files: files{"a.json": "{\n\t\"apiVersion\": \"v1\", \"kind\": \"Secret\",\n\t\"metadata\": {\"name\": \"s\"}\n}\n" +
				`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"t"}}`},
			want: []string{"Secret s @ a.json:1", "Secret t @ a.json:5"},
		},
		"a flow mapping that is not json": {
			files: files{"a.yaml": `{"apiVersion": v1, kind: Secret, metadata: {name: s}}`},
			want:  []string{"Secret s @ a.yaml:1"},
		},
		"skipped": {
			files: files{
				"a.yaml": cm("a"), "values.yaml": "# +argocd:skip-file-rendering\nreplicas: 1\n",
				"c.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [nowhere]\n",
			},
			want: []string{"ConfigMap x/a @ a.yaml:1"},
		},
		"links to files are read, links to directories are not": {
			files: files{"real/a.yaml": cm("a"), "d/l.yaml": "-> ../real/a.yaml", "d/dir": "-> ../real"}, paths: []string{"d"},
			want: []string{"ConfigMap x/a @ d/l.yaml:1"},
		},
		"markers inside block scalars": {
			files: files{"a.yaml": cm("a") + "data:\n  x: |\n    ---\n    y\n    ...\n"},
			want:  []string{"ConfigMap x/a @ a.yaml:1"},
		},
		"a flux kustomization under kustomize's file name": {
			files: files{"kustomization.yaml": "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: f, namespace: x}\n"},
			want:  []string{"Kustomization.kustomize.toolkit.fluxcd.io x/f @ kustomization.yaml:1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, listing(render(t, test.files, Options{}, test.paths...).Objects)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestValuesAreWhatKubectlMakesOfThem(t *testing.T) {
	res := render(t, files{"a.yaml": `
apiVersion: example.com/v1
kind: Thing
metadata: {name: a}
spec: {yes: yes, "on": "on", octal: 0644, octal2: 0o644, hex: 0x1F, big: 9007199254740993, float: 1.0, exp: 1e3, nothing: ~,
  date: 2001-01-01, sexagesimal: 1:30, under: 1_000, tilde: "~", anchor: &a {k: v}, alias: *a, merged: {<<: *a, z: 1}}
`}, Options{})
	got, err := json.Marshal(res.Objects[0].Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"alias":{"k":"v"},"anchor":{"k":"v"},"big":9007199254740993,"date":"2001-01-01","exp":1000,"float":1,"hex":31,` +
		`"merged":{"k":"v","z":1},"nothing":null,"octal":420,"octal2":420,"on":"on","sexagesimal":"1:30","tilde":"~","true":true,"under":1000}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if _, ok := res.Objects[0].Object["spec"].(map[string]any)["big"].(int64); !ok {
		t.Error("integers are not int64")
	}
}

func TestBadInput(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	block := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return b.String()
	}
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		p := "*" + string(c-1)
		laughs += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(p+",", 9), ","))
	}
	chain := "a0: &a0 [x]\n"
	for i := 1; i < 200; i++ {
		chain += fmt.Sprintf("a%d: &a%d [*a%d]\n", i, i, i-1)
	}
	thing := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"syntax":               {cm("a") + "---\nkind: [\n", []string{"f.yaml:", "not valid YAML"}},
		"unclosed quote":       {thing + "x: \"abc\n", []string{"f.yaml:4", "not valid YAML"}},
		"tab":                  {cm("a") + "data:\n\ta: b\n", []string{"f.yaml:7", "tab"}},
		"duplicate key":        {thing + "kind: ConfigMap\n", []string{"f.yaml:4", `"kind" twice`, "line 2"}},
		"nested duplicate":     {thing + "data:\n  a: 1\n  b: 2\n  a: 3\n", []string{"f.yaml:7", `"a" twice`}},
		"second document":      {cm("a") + "---\nkind: X\n", []string{"f.yaml:7", "no apiVersion"}},
		"values file":          {"replicas: 3\nimage: x\n", []string{"f.yaml:1", "neither apiVersion nor kind", "kustomization.yaml"}},
		"no kind":              {"apiVersion: v1\nmetadata: {name: x}\n", []string{"f.yaml:1", "no kind"}},
		"no name":              {"\n\napiVersion: v1\nkind: Secret\nmetadata: {}\n", []string{"f.yaml:3", "metadata.name"}},
		"no metadata":          {"apiVersion: v1\nkind: Secret\n", []string{"metadata.name"}},
		"generate name":        {"apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\n", []string{"f.yaml:1", "generateName"}},
		"number as name":       {"apiVersion: v1\nkind: Pod\nmetadata: {name: 123}\n", []string{"quote it"}},
		"path as name":         {"apiVersion: v1\nkind: Pod\nmetadata: {name: ../x}\n", []string{"no object can have"}},
		"escape as name":       {"apiVersion: v1\nkind: Pod\nmetadata: {name: \"a\\e[2Jb\"}\n", []string{"no object can have"}},
		"boolean label":        {"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    on: b\n    c: yes\n", []string{"f.yaml:7", "quote it"}},
		"api version":          {"apiVersion: a/b/c\nkind: Pod\nmetadata: {name: a}\n", []string{"malformed apiVersion"}},
		"a list":               {"- a\n- b\n", []string{"f.yaml:1", "is a list"}},
		"a scalar":             {"just text\n", []string{"f.yaml:1", `"just text"`}},
		"item is no object":    {"apiVersion: v1\nkind: List\nitems:\n- 1\n", []string{"f.yaml:4", "item 0"}},
		"items are no list":    {"apiVersion: v1\nkind: List\nitems: {}\n", []string{"not a list"}},
		"sops":                 {thing + "sops:\n  mac: ENC[x]\n", []string{"f.yaml:1", "is encrypted with SOPS, and no key is given"}},
		"lfs":                  {"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n", []string{"LFS pointer"}},
		"nul byte":             {thing + "a: \"\x00\"\n", []string{"f.yaml:4", "NUL"}},
		"not utf-8":            {thing + "a: \"\xff\xfa\"\n", []string{"f.yaml:4", "UTF-8"}},
		"utf-16":               {"\xff\xfea\x00", []string{"UTF-16"}},
		"not a number":         {thing + "a: .nan\n", []string{"f.yaml:"}},
		"billion laughs":       {laughs, []string{"f.yaml:", "aliases are expanded"}},
		"quadratic":            {"a: &a " + strings.Repeat("x", 200_000) + "\nb: [" + strings.Repeat("*a,", 199) + "*a]\n", []string{"f.yaml:2", "aliases are expanded"}},
		"self alias":           {"a: &a [*a]\n", []string{"f.yaml:1"}},
		"alias chain":          {chain, []string{"f.yaml:", "nested deeper than 100"}},
		"deep flow":            {"a: " + deep(10_000), []string{"f.yaml:", "nested"}},
		"very deep flow":       {"a: " + strings.Repeat("[", 1_000_000), []string{"f.yaml:"}},
		"deep maps":            {strings.Repeat("{a: ", 10_000), []string{"f.yaml:"}},
		"deep block":           {block(1_000), []string{"f.yaml:100", "nested deeper"}},
		"deep sequence":        {strings.Repeat("- ", 100_000), []string{"f.yaml:"}},
		"deep json":            {`{"a":` + deep(10_000) + "}", []string{"f.yaml:1", "nested deeper than 100"}},
		"very deep json":       {strings.Repeat(`{"a":`, 1_000_000), []string{"f.yaml:"}},
		"json duplicate key":   {"{\n\"kind\": \"A\",\n\"kind\": \"B\"}", []string{"f.yaml:3", "twice"}},
		"json then garbage":    {`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}} garbage`, []string{"f.yaml:1"}},
		"documents":            {strings.Repeat(thing+"---\n", 10_002), []string{"more than 10000 documents"}},
		"only comments":        {"# nothing\n---\n", []string{"no Kubernetes object"}},
		"complex key":          {thing + "? [a]\n: b\n", []string{"f.yaml:4", "key"}},
		"duplicate, different": {cm("a") + "---\n" + cm("a") + "data: {a: b}\n", []string{"f.yaml:7", "ConfigMap x/a is defined twice", "f.yaml:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			renderFails(t, files{"f.yaml": test.text}, Options{}, test.wants...)
			if spent := time.Since(start); spent > 5*time.Second {
				t.Errorf("took %s", spent)
			}
		})
	}
}

func TestAllFaultsAreReportedInOrder(t *testing.T) {
	f := files{}
	for i := range 15 {
		f[fmt.Sprintf("f%02d.yaml", i)] = "kind: X\n"
	}
	_, err := Render(context.Background(), f.snapshot(), nil, Options{})
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 11 || !strings.HasPrefix(lines[0], "f00.yaml:1: ") || lines[10] != "and 5 more" {
		t.Errorf("got %q", lines)
	}
}

// hugeFS says that a file is 200 MB, and fails the test when it is opened.
type hugeFS struct {
	fs.FS
	t *testing.T
}

type hugeInfo struct{ fs.FileInfo }

func (hugeInfo) Size() int64 { return 200 << 20 }

func (h hugeFS) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(h.FS, name)
	if err == nil && !info.IsDir() {
		return hugeInfo{info}, nil
	}
	return info, err
}

func (h hugeFS) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".yaml") {
		h.t.Errorf("%s was opened", name)
	}
	return h.FS.Open(name)
}

func TestHugeFilesAreNotRead(t *testing.T) {
	snap := files{"d/a.yaml": "x"}.snapshot()
	snap.FS = hugeFS{snap.FS, t}
	_, err := Render(context.Background(), snap, []string{"d"}, Options{})
	if err == nil || !strings.Contains(err.Error(), "d/a.yaml: is 209715200 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestPaths(t *testing.T) {
	f := files{"clusters/dev/a.yaml": cm("a"), "clusters/prod/b.yaml": cm("b"), "README.md": ""}
	for p, want := range map[string]string{
		"clusters/test/state": `path "clusters/test/state" does not exist in commit cccccccccccc of test; clusters holds: dev, prod`,
		"nope":                "the root holds: README.md, clusters",
		"../x":                "leaves the repository",
		"README.md":           "no Kubernetes object",
	} {
		_, err := Render(context.Background(), f.snapshot(), []string{p}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", p, err, want)
		}
	}
}

func TestWhatAServerSetsIsLeftOut(t *testing.T) {
	res := render(t, files{"a.yaml": `
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  namespace: x
  creationTimestamp: null
  uid: u
  resourceVersion: "1"
  managedFields: []
  labels: {}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
status: {a: b}
`}, Options{})
	want := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a", "namespace": "x"}}
	if diff := cmp.Diff(want, res.Objects[0].Object); diff != "" {
		t.Error(diff)
	}
	if len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "a.yaml:2") || strings.Contains(res.Warnings[0], "creationTimestamp") {
		t.Errorf("warnings %q", res.Warnings)
	}
}

func TestDefaultNamespace(t *testing.T) {
	res := render(t, files{"a.yaml": "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: c}\n---\n" +
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n---\n" + cm("a")}, Options{DefaultNamespace: "fleet"})
	want := []string{"Namespace ns @ a.yaml:5", "Cluster.cluster.x-k8s.io fleet/c @ a.yaml:1", "ConfigMap x/a @ a.yaml:9"}
	if diff := cmp.Diff(want, listing(res.Objects)); diff != "" {
		t.Error(diff)
	}
}

func TestDigestDependsOnObjectsOnly(t *testing.T) {
	one := render(t, files{"a.yaml": cm("a") + "---\n" + cm("b")}, Options{})
	two := render(t, files{"x/z.yaml": cm("a"), "b.yml": "# moved\n" + cm("b"), "c.yaml": cm("a")}, Options{})
	if one.Digest != two.Digest || len(one.Digest) != 64 {
		t.Errorf("%s and %s differ", one.Digest, two.Digest)
	}
	if len(two.Warnings) != 1 || !strings.Contains(two.Warnings[0], "defined twice, identically") {
		t.Errorf("warnings %q", two.Warnings)
	}
	if three := render(t, files{"a.yaml": cm("a") + "---\n" + cm("b") + "data: {a: b}"}, Options{}); three.Digest == one.Digest {
		t.Error("a changed object left the digest as it was")
	}
}

func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 5000 {
		sub := filepath.Join(dir, fmt.Sprint(i%50))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%d.yaml", i)), []byte(cm(fmt.Sprintf("c%d", i))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := source.Directory(dir)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	res, err := Render(context.Background(), snap, nil, Options{})
	if err != nil || len(res.Objects) != 5000 {
		t.Fatalf("%d objects, %v", len(res.Objects), err)
	}
	t.Logf("5,000 files in %s", time.Since(start))
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, f := range []files{{"a.yaml": cm("a")}, {"kustomization.yaml": "resources: [a.yaml]", "a.yaml": cm("a")}} {
		if _, err := Render(ctx, f.snapshot(), nil, Options{}); err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("got %v", err)
		}
	}
}
