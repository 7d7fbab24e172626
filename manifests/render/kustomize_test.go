package render

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKustomizations(t *testing.T) {
	for name, test := range map[string]struct {
		files    files
		paths    []string
		want     []string
		warnings int
	}{
		"overlay, prefix, generator, component": {
			files: files{
				"base/kustomization.yaml":      "resources:\n- a.yaml\n",
				"base/a.yaml":                  "# first\n" + cm("a") + "---\n" + cm("b"),
				"overlay/kustomization.yaml":   "resources: [../base]\ncomponents: [../component]\nnamePrefix: p-\npatches:\n- path: patch.yaml\nconfigMapGenerator:\n- name: gen\n  namespace: x\n  literals: [a=b]\n  options: {disableNameSuffixHash: true}\n",
				"overlay/patch.yaml":           cm("a") + "data: {patched: \"1\"}\n",
				"component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [c.yaml]\n",
				"component/c.yaml":             cm("c"),
			},
			paths: []string{"overlay"},
			want: []string{
				"ConfigMap x/p-a @ base/a.yaml:2", "ConfigMap x/p-b @ base/a.yaml:8",
				"ConfigMap x/p-c @ component/c.yaml:1", "ConfigMap x/p-gen @ overlay/kustomization.yaml",
			},
		},
		"below a plain directory": {
			files: files{
				"plain.yaml":           cm("plain"),
				"k/kustomization.yml":  "resources: [a.yaml]",
				"k/a.yaml":             cm("a"),
				"k/ignored.yaml":       cm("ignored"),
				"k/sub/ignored.yaml":   cm("ignored-too"),
				"c/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: x-\n",
			},
			want:     []string{"ConfigMap x/a @ k/a.yaml:1", "ConfigMap x/plain @ plain.yaml:1"},
			warnings: 1,
		},
		"named by its file": {
			files: files{"k/Kustomization": "resources: [a.yaml]\n", "k/a.yaml": cm("a")}, paths: []string{"k/Kustomization"},
			want: []string{"ConfigMap x/a @ k/a.yaml:1"},
		},
		"flow style, document markers, comments": {
			files: files{"kustomization.yaml": "---\n# c\n{resources: [a.yaml], # d\n commonAnnotations: {a: 'yes'}}\n...\n", "a.yaml": cm("a")},
			want:  []string{"ConfigMap x/a @ a.yaml:1"},
		},
		"other build metadata": {
			files: files{"kustomization.yaml": "buildMetadata: [managedByLabel]\nresources: [a.yaml]\n", "a.yaml": cm("a")},
			want:  []string{"ConfigMap x/a @ a.yaml:1"},
		},
		"a list, and files beside the directory": {
			files: files{
				"k/kustomization.yaml": "resources: [../l.yaml]\n",
				"l.yaml":               "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: s}\n",
			},
			paths: []string{"k"},
			want:  []string{"Secret s @ l.yaml:4"},
		},
		"links inside the repository": {
			files: files{"k/kustomization.yaml": "resources: [linked, file.yaml]\n", "k/linked": "-> ../base", "k/file.yaml": "-> ../b.yaml",
				"base/kustomization.yaml": "resources: [a.yaml]", "base/a.yaml": cm("a"), "b.yaml": cm("b")},
			paths: []string{"k"},
			want:  []string{"ConfigMap x/a @ base/a.yaml:1", "ConfigMap x/b @ b.yaml:1"},
		},
		"a path that is a link": {
			files: files{"k": "-> base", "base/kustomization.yaml": "resources: [a.yaml]", "base/a.yaml": cm("a")}, paths: []string{"k"},
			want: []string{"ConfigMap x/a @ base/a.yaml:1"},
		},
		"plain transformers": {
			files: files{
				"kustomization.yaml":   "resources: [a.yaml]\ntransformers:\n- t\n- |-\n  apiVersion: builtin\n  kind: PrefixSuffixTransformer\n  metadata: {name: n2}\n  prefix: q-\n  fieldSpecs: [{path: metadata/name}]\n",
				"t/kustomization.yaml": "resources: [t.yaml]",
				"t/t.yaml":             "apiVersion: builtin\nkind: PrefixSuffixTransformer\nmetadata: {name: n}\nprefix: p-\nfieldSpecs: [{path: metadata/name}]\n",
				"a.yaml":               cm("a"),
			},
			want: []string{"ConfigMap x/p-q-a @ a.yaml:1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			res := render(t, test.files, Options{}, test.paths...)
			if diff := cmp.Diff(test.want, listing(res.Objects)); diff != "" {
				t.Error(diff)
			}
			if len(res.Warnings) != test.warnings {
				t.Errorf("warnings %q", res.Warnings)
			}
			for _, o := range res.Objects {
				if o.GetAnnotations()[originAnnotation] != "" {
					t.Errorf("%s kept kustomize's annotation", o.ID())
				}
			}
		})
	}
}

func TestOriginAnnotationsThatWereAskedForStay(t *testing.T) {
	res := render(t, files{"kustomization.yaml": "buildMetadata: [originAnnotations]\nresources: [a.yaml]\n", "a.yaml": cm("a")}, Options{})
	if res.Objects[0].GetAnnotations()[originAnnotation] == "" {
		t.Error("the annotation is gone")
	}
}

func TestKustomizationsThatAreRefused(t *testing.T) {
	base := files{"a.yaml": cm("a"), "k/x.yaml": cm("x")}
	for name, test := range map[string]struct {
		files files
		wants []string
	}{
		"url":                     {files{"kustomization.yaml": "resources:\n- a.yaml\n- https://u:secret@example.com/x.yaml?token=secret\n"}, []string{`kustomization.yaml:3: resources names the remote "https://example.com/x.yaml"`}},
		"upper-case url":          {files{"kustomization.yaml": "resources: [HTTPS://example.com/x]"}, []string{"remote"}},
		"github":                  {files{"kustomization.yaml": "bases:\n- github.com/a/b?ref=v1\n"}, []string{"kustomization.yaml:2: bases names the remote"}},
		"directory like github":   {files{"kustomization.yaml": "resources: [github.com/a]", "github.com/a/kustomization.yaml": "resources: [x.yaml]"}, []string{"remote"}},
		"scp":                     {files{"kustomization.yaml": "resources: ['git@example.com:a/b.git']"}, []string{"remote"}},
		"forced git":              {files{"kustomization.yaml": "components: ['git::https://example.com/a/b']"}, []string{"components", "remote"}},
		"file url":                {files{"kustomization.yaml": "resources: ['file:///etc']"}, []string{"remote"}},
		"reached indirectly":      {files{"kustomization.yaml": "resources: [k]", "k/kustomization.yaml": "resources: [x.yaml]\ncrds:\n- http://example.com/crd.json\n"}, []string{"k/kustomization.yaml:3: crds"}},
		"openapi":                 {files{"kustomization.yaml": "openapi:\n  path: https://example.com/s.json\n"}, []string{"kustomization.yaml:2: openapi.path"}},
		"patch":                   {files{"kustomization.yaml": "resources: [a.yaml]\npatches:\n- path: https://example.com/p\n"}, []string{"kustomization.yaml:3: patches[].path"}},
		"old patch":               {files{"kustomization.yaml": "resources: [a.yaml]\npatchesStrategicMerge: ['https://example.com/p']\n"}, []string{"patchesStrategicMerge"}},
		"generator file":          {files{"kustomization.yaml": "configMapGenerator:\n- name: x\n  files: ['k=https://example.com/p']\n"}, []string{"kustomization.yaml:3: configMapGenerator[].files"}},
		"generator outside":       {files{"kustomization.yaml": "secretGenerator:\n- name: x\n  envs: [/var/run/secrets/token]\n"}, []string{"outside the repository"}},
		"replacement":             {files{"kustomization.yaml": "replacements:\n- path: http://x/y\n"}, []string{"replacements[].path"}},
		"transformer config":      {files{"kustomization.yaml": "transformers: [t.yaml]", "t.yaml": "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: t}\npath: https://example.com/p\n"}, []string{"t.yaml:4: path names the remote"}},
		"multi-line url":          {files{"kustomization.yaml": "resources: [a.yaml]\ntransformers:\n- |\n  https://example.com/a/b\n  x\n"}, []string{"kustomization.yaml:3: transformers"}},
		"inline transformer":      {files{"kustomization.yaml": "resources: [a.yaml]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  metadata: {name: t}\n  path: https://example.com/p\n"}, []string{"path names the remote"}},
		"built transformers":      {files{"kustomization.yaml": "transformers: [k]", "k/kustomization.yaml": "resources: [x.yaml]\nnamePrefix: http\n"}, []string{"k/kustomization.yaml:2: namePrefix is not supported"}},
		"function":                {files{"kustomization.yaml": "generators: [t.yaml]", "t.yaml": "apiVersion: x/v1\nkind: Evil\nmetadata:\n  name: t\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: /bin/true}\n"}, []string{"plugin"}},
		"helm":                    {files{"kustomization.yaml": "\nhelmCharts:\n- name: x\n"}, []string{"kustomization.yaml:3: helmCharts", "helm program"}},
		"climbs out":              {files{"kustomization.yaml": "resources: ['../../other']"}, []string{"kustomization.yaml:1", "outside the repository"}},
		"absolute":                {files{"kustomization.yaml": "resources: [/etc/passwd]"}, []string{"outside the repository"}},
		"link out":                {files{"kustomization.yaml": "resources: [out.yaml]", "out.yaml": "-> ../../etc/passwd"}, []string{"kustomization.yaml:1", "out.yaml"}},
		"missing file":            {files{"kustomization.yaml": "resources:\n- a.yaml\n- b.yaml\n"}, []string{"kustomization.yaml:3: resources", `"b.yaml"`, "not exist"}},
		"directory without":       {files{"kustomization.yaml": "resources: [k]"}, []string{"kustomization.yaml:1", "no kustomization.yaml"}},
		"two files":               {files{"kustomization.yaml": "resources: [a.yaml]", "kustomization.yml": "resources: [a.yaml]"}, []string{"stands beside"}},
		"cycle":                   {files{"kustomization.yaml": "resources: [k]", "k/kustomization.yaml": "resources: [..]"}, []string{"cycle"}},
		"syntax":                  {files{"kustomization.yaml": "resources:\n\t- a\n"}, []string{"kustomization.yaml:2", "tab"}},
		"unknown field":           {files{"kustomization.yaml": "resources: [a.yaml]\nresorces: [b]\n"}, []string{"kustomization.yaml", "resorces"}},
		"deep resource":           {files{"kustomization.yaml": "resources: [d.yaml]", "d.yaml": "a: " + strings.Repeat("[", 5000)}, []string{"d.yaml:"}},
		"alias bomb":              {files{"kustomization.yaml": "resources: [d.yaml]", "d.yaml": "a: &a " + strings.Repeat("x", 200_000) + "\nb: [" + strings.Repeat("*a,", 199) + "*a]\n"}, []string{"d.yaml:2"}},
		"sops":                    {files{"kustomization.yaml": "resources: [d.yaml]", "d.yaml": cm("d") + "sops: {mac: x}\n"}, []string{"d.yaml:1", "SOPS"}},
		"resource without a name": {files{"kustomization.yaml": "resources: [d.yaml]", "d.yaml": "\napiVersion: v1\nkind: Pod\n"}, []string{"d.yaml:2", "metadata.name"}},
		"twice":                   {files{"kustomization.yaml": "resources: [a.yaml, k/x.yaml]", "k/x.yaml": cm("a")}, []string{"already registered"}},
		"two overlays": {files{"o/kustomization.yaml": "resources: [../k/x.yaml]\ncommonLabels: {a: b}\n", "p/kustomization.yaml": "resources: [../k/x.yaml]\n"},
			[]string{"ConfigMap x/x is defined twice", "built by o/kustomization.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := files{}
			for _, from := range []files{base, test.files} {
				for n, c := range from {
					all[n] = c
				}
			}
			renderFails(t, all, Options{}, test.wants...)
			_, err := Render(context.Background(), all.snapshot(), nil, Options{})
			if containsAny(err.Error(), "secret@", "token=secret", jailRoot) {
				t.Errorf("error says too much: %s", err)
			}
		})
	}
}

func containsAny(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

func TestRemoteFilesWhenAllowed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/x.yaml" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(cm("remote")))
	}))
	t.Cleanup(server.Close)
	f := files{"kustomization.yaml": "# c\nresources:\n- a.yaml\n- " + server.URL + "/x.yaml?token=secret # d\nnamePrefix: p-\n", "a.yaml": cm("a")}
	res := render(t, f, Options{AllowRemoteBases: true})
	want := []string{"ConfigMap x/p-a @ a.yaml:1", "ConfigMap x/p-remote @ " + server.URL + "/x.yaml"}
	if diff := cmp.Diff(want, listing(res.Objects)); diff != "" {
		t.Error(diff)
	}
	if len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "kustomization.yaml:4") || strings.Contains(res.Warnings[0], "secret") {
		t.Errorf("warnings %q", res.Warnings)
	}
	f["kustomization.yaml"] = "resources:\n- " + server.URL + "/none.yaml\n"
	renderFails(t, f, Options{AllowRemoteBases: true}, "kustomization.yaml:2", "answered 404")
	f["kustomization.yaml"] = "resources:\n- github.com/a/b\n"
	renderFails(t, f, Options{AllowRemoteBases: true}, "remote")
}

// A schema of one build must not change how the next one merges lists.
func TestCustomSchemaStaysInItsBuild(t *testing.T) {
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  template:\n    spec:\n      containers:\n      - {name: a, image: one}\n      - {name: b, image: two}\n"
	patch := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  template:\n    spec:\n      containers:\n      - {name: b, image: three}\n"
	plain := files{"kustomization.yaml": "resources: [d.yaml]\npatches: [{path: p.yaml}]\n", "d.yaml": deployment, "p.yaml": patch}
	custom := files{"kustomization.yaml": "resources: [d.yaml]\npatches: [{path: p.yaml}]\nopenapi: {path: s.json}\n", "d.yaml": deployment, "p.yaml": patch,
		"s.json": `{"definitions":{"D":{"x-kubernetes-group-version-kind":[{"group":"apps","version":"v1","kind":"Deployment"}],"properties":{"spec":{"properties":` +
			`{"template":{"properties":{"spec":{"properties":{"containers":{"type":"array","items":{"type":"object"},` +
			`"x-kubernetes-patch-merge-key":"image","x-kubernetes-patch-strategy":"merge"}}}}}}}}}}}`}
	before := render(t, plain, Options{}).Digest
	other := render(t, custom, Options{}).Digest
	if other == before {
		t.Fatal("the custom schema made no difference: the test shows nothing")
	}
	if after := render(t, plain, Options{}).Digest; after != before {
		t.Error("a schema survived its build")
	}
}

func TestConcurrentBuilds(t *testing.T) {
	f := files{"kustomization.yaml": "resources: [a.yaml]\nnamePrefix: p-\n", "a.yaml": cm("a")}
	want := render(t, f, Options{}).Digest
	var wait sync.WaitGroup
	digests := make([]string, 8)
	for i := range digests {
		wait.Go(func() {
			res, err := Render(context.Background(), f.snapshot(), nil, Options{})
			if err != nil {
				digests[i] = fmt.Sprint(err)
				return
			}
			digests[i] = res.Digest
		})
	}
	wait.Wait()
	for _, d := range digests {
		if d != want {
			t.Errorf("got %s, want %s", d, want)
		}
	}
}
