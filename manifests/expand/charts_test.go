package expand

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/internal/charttest"
	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/render"
)

// webChart asks for a kind, uses a value and makes something new each time.
func webChart(version string) []byte {
	return charttest.Pack(map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: web\nversion: " + version + "\n",
		"values.yaml": "said: nothing\nadmin: {password: \"\"}\n",
		"extra.yaml":  "said: extra\n",
		"templates/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n" +
			"data: {version: {{ .Chart.Version | quote }}, said: {{ .Values.said | quote }}, id: {{ randAlphaNum 20 | quote }}}\n",
		"templates/broken.yaml": "{{- if .Values.broken }}{{ fail .Values.admin.password }}{{ end }}",
		"templates/m.yaml": "{{- if .Capabilities.APIVersions.Has \"monitoring.example.com/v1/Monitor\" }}\n" +
			"apiVersion: monitoring.example.com/v1\nkind: Monitor\nmetadata: {name: web}\n{{- end }}\n",
	})
}

const repositoryURL = "https://charts.example.com/stable"

// withChart is a state with a release of the chart.
func withChart(spec ...string) files {
	spec = append([]string{"chart: {spec: {chart: web, version: 1.x, sourceRef: {kind: HelmRepository, name: r}}}"}, spec...)
	return files{"s/all.yaml": helmRelease("web", spec...) + fluxObject("source.toolkit.fluxcd.io/v1", "HelmRepository", "r", "url: "+repositoryURL)}
}

func mirrored(server *charttest.Server) Options {
	return Options{Helm: ChartOptions{Mirrors: []ChartMirror{{From: "https://charts.example.com", To: "http://127.0.0.1:1/none"}, {From: repositoryURL, To: server.Repository()}}}}
}

func TestChartsComeFromMirrorsAndArePinned(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	o := mirrored(server)
	first := expanded(t, withChart(), o, "s")
	if len(first.Charts) != 1 {
		t.Fatalf("charts %+v", first.Charts)
	}
	pin := first.Charts[0]
	if pin.Repository != repositoryURL || pin.Name != "web" || pin.Requested != "1.x" || pin.Version != "1.0.0" || !strings.HasPrefix(pin.Digest, "sha256:") {
		t.Errorf("pin %+v", pin)
	}
	server.Add(webChart("1.1.0"))
	moved := expanded(t, withChart(), o, "s")
	if moved.Charts[0].Version != "1.1.0" || moved.Digest == first.Digest {
		t.Errorf("without pins: %+v", moved.Charts)
	}
	o.Helm.Pins = first.Charts
	again := expanded(t, withChart(), o, "s")
	if again.Digest != first.Digest || again.Charts[0] != pin {
		t.Errorf("with pins: %+v, digest %s, want %s", again.Charts, again.Digest, first.Digest)
	}
	o.Helm.Pins[0].Digest = "sha256:" + strings.Repeat("0", 64)
	var digest *chart.DigestError
	if _, err := Expand(context.Background(), withChart().snapshot(), []string{"s"}, o); !errors.As(err, &digest) {
		t.Errorf("a replaced chart: %v", err)
	}
}

func TestWhatAChartMakesAnewEachTimeIsNamedAndNotDigested(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	a, b := expanded(t, withChart(), mirrored(server), "s"), expanded(t, withChart(), mirrored(server), "s")
	value := func(r *Result) string {
		return fmt.Sprint(object(t, r, "ConfigMap flux-system/web").Object["data"].(map[string]any)["id"])
	}
	if value(a) == value(b) {
		t.Fatal("the chart makes the same each time: the test shows nothing")
	}
	if a.Digest != b.Digest {
		t.Error("the digest covers what comes out differently each time")
	}
	warned(t, a, "/data/id comes out differently each time")
	ignored := object(t, a, "ConfigMap flux-system/web").Rules.Ignore
	if len(ignored) != 1 || len(ignored[0].Pointers) != 1 || ignored[0].Pointers[0] != "/data/id" {
		t.Errorf("ignored %+v", ignored)
	}
}

// TestFrozenReleasesComeOutTheSame gives what a chart made up to a later expansion, which
// may even have lost the chart's own files.
func TestFrozenReleasesComeOutTheSame(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	o := mirrored(server)
	first := expanded(t, withChart(), o, "s")
	if len(first.Frozen) != 1 || first.Frozen[0].Release != "web" {
		t.Fatalf("frozen %d", len(first.Frozen))
	}
	kept, err := json.Marshal(first.Frozen)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(kept, &o.Helm.Frozen); err != nil {
		t.Fatal(err)
	}
	again := expanded(t, withChart(), o, "s")
	if diff := cmp.Diff(first.Objects, again.Objects); diff != "" || first.Digest != again.Digest {
		t.Errorf("another time (-first +again):\n%s", diff)
	}
	if !slices.Equal(first.Warnings, again.Warnings) {
		t.Errorf("warnings %q, then %q", first.Warnings, again.Warnings)
	}
	if len(again.Frozen) != 1 {
		t.Error("it is not kept a second time")
	}
}

func TestChartsSeeKindsThatOtherUnitsBring(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	repo := withChart().with(files{"s/z.yaml": kustomization("zzz", "crds"), "crds/crd.yaml": crd("monitoring.example.com", "Monitor")})
	r := expanded(t, repo, mirrored(server), "s")
	if o := object(t, r, "Monitor.monitoring.example.com flux-system/web"); o.Origin.Unit != "HelmRelease flux-system/web" {
		t.Errorf("of %s", o.Origin.Unit)
	}
	if len(r.Units) != 3 {
		t.Errorf("units %v", plan(r))
	}
}

func TestValuesFilesReplaceTheChartsOwn(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	repo := withChart()
	repo["s/all.yaml"] = strings.Replace(repo["s/all.yaml"], "version: 1.x,", "version: 1.x, valuesFiles: [extra.yaml],", 1)
	o := object(t, expanded(t, repo, mirrored(server), "s"), "ConfigMap flux-system/web")
	if data := o.Object["data"].(map[string]any); data["said"] != "extra" {
		t.Errorf("data %v", data)
	}
}

func TestSecretValuesAreNotQuoted(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	repo := withChart("valuesFrom: [{kind: Secret, name: values}]", "values: {broken: true}")
	o := mirrored(server)
	o.Seeds = []Seed{{Kind: "Secret", Namespace: "flux-system", Name: "values", Data: map[string][]byte{"values.yaml": []byte("admin: {password: " + canary + "}\n")}}}
	refused(t, repo, o, "s", "HelmRelease flux-system/web", "templates/broken.yaml")
}

func TestCredentialsOfTheStateDoNotReachAMirror(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	repo := withChart()
	repo["s/all.yaml"] = strings.Replace(repo["s/all.yaml"], "url: "+repositoryURL, "url: "+repositoryURL+"\n  secretRef: {name: own}", 1)
	o := mirrored(server)
	o.Seeds = []Seed{{Kind: "Secret", Namespace: "flux-system", Name: "own", Data: map[string][]byte{"username": []byte("u"), "password": []byte(canary)}}}
	expanded(t, repo, o, "s")
	for _, r := range server.Requests() {
		if r.Authorization != "" {
			t.Errorf("%s was asked with credentials", r.Path)
		}
	}
	server.RequireBasic("m", "mirror-canary")
	refused(t, repo, o, "s", "credentials")
	o.Helm.Mirrors[1].Credentials = map[string][]byte{"username": []byte("m"), "password": []byte("mirror-canary")}
	expanded(t, repo, o, "s")
}

func TestOCICharts(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	o := Options{Helm: ChartOptions{Mirrors: []ChartMirror{{From: "oci://registry.example.com/team", To: server.OCI()}}}}
	manifest := server.ManifestDigest("web", "1.0.0")
	server.Add(webChart("1.2.0"))
	for ref, want := range map[string]string{`{semver: ">= 1.0.0"}`: "1.2.0", "{tag: 1.0.0}": "1.0.0", `{digest: "` + manifest + `"}`: "1.0.0"} {
		repo := files{"s/all.yaml": helmRelease("web", "chartRef: {kind: OCIRepository, name: o}") +
			fluxObject("source.toolkit.fluxcd.io/v1", "OCIRepository", "o", "url: oci://registry.example.com/team/web", "ref: "+ref)}
		r := expanded(t, repo, o, "s")
		if len(r.Charts) != 1 || r.Charts[0].Version != want || r.Charts[0].Repository != "oci://registry.example.com/team/web" {
			t.Errorf("%s: %+v, want %s", ref, r.Charts, want)
		}
		if !strings.HasPrefix(r.Charts[0].Manifest, "sha256:") {
			t.Errorf("%s: no digest of the manifest is pinned", ref)
		}
	}
}

// A chart whose signature is asked for is not taken without: Flux, which checks it, gets it.
func TestChartsThatHaveToBeSignedAreLeftToFlux(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	o := Options{Helm: ChartOptions{Mirrors: []ChartMirror{{From: "oci://registry.example.com/team", To: server.OCI()}}}}
	repository := fluxObject("source.toolkit.fluxcd.io/v1", "HelmRepository", "r", "type: oci", "url: oci://registry.example.com/team")
	for name, c := range map[string]struct{ text, want string }{
		"release": {helmRelease("web", "chart: {spec: {chart: web, version: 1.0.0, sourceRef: {kind: HelmRepository, name: r}, verify: {provider: cosign}}}") + repository,
			"spec.chart.spec.verify asks for a signature of chart web that only Flux itself checks"},
		"chart": {helmRelease("web", "chartRef: {kind: HelmChart, name: c}") + repository +
			fluxObject("source.toolkit.fluxcd.io/v1", "HelmChart", "c", "chart: web", "version: 1.0.0", "sourceRef: {kind: HelmRepository, name: r}", "verify: {provider: notation}"),
			"spec.chartRef.verify asks for a signature"},
		"artifact": {helmRelease("web", "chartRef: {kind: OCIRepository, name: o}") +
			fluxObject("source.toolkit.fluxcd.io/v1", "OCIRepository", "o", "url: oci://registry.example.com/team/web", "ref: {tag: 1.0.0}", "verify: {provider: cosign}"),
			"spec.chartRef names OCIRepository.source.toolkit.fluxcd.io flux-system/o, whose spec.verify asks for a signature"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := files{"s/all.yaml": c.text}
			refused(t, repo, o, "s", c.want, "nothing in the state installs Flux")
			r := expanded(t, repo.with(files{"s/flux.yaml": installFlux()}), o, "s")
			if len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0].Reason, c.want) || r.Skipped[0].Meant {
				t.Errorf("skipped %+v", r.Skipped)
			}
		})
	}
	signed := fluxObject("source.toolkit.fluxcd.io/v1", "HelmChart", "c", "chart: chart", "sourceRef: {kind: GitRepository, name: flux-system}", "verify: {provider: cosign}")
	expanded(t, files{"s/all.yaml": helmRelease("web", "chartRef: {kind: HelmChart, name: c}") + signed, "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
		"chart/templates/c.yaml": cm("c")}, o, "s")
}

func TestTheLayerOfAnOCIChartIsChosen(t *testing.T) {
	server := charttest.New(t)
	server.Put(charttest.Artifact{Name: "team/web", Tag: "1.0.0", Layers: []charttest.Layer{
		{MediaType: "application/vnd.cncf.helm.chart.content.v1.tar+gzip", Data: webChart("1.0.0")}, {MediaType: "application/example", Data: webChart("1.5.0")}}})
	for selector, want := range map[string]string{
		"timeout: 1m": "1.0.0", "layerSelector: {mediaType: application/example, operation: copy}": "1.5.0",
		"layerSelector: {mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip, operation: copy}": "1.0.0",
	} {
		repo := files{"s/all.yaml": helmRelease("web", "chartRef: {kind: OCIRepository, name: o}") +
			fluxObject("source.toolkit.fluxcd.io/v1", "OCIRepository", "o", "url: oci://registry.example.com/team/web", "ref: {tag: 1.0.0}", selector)}
		if r := expanded(t, repo, registryOptions(server), "s"); len(r.Charts) != 1 || r.Charts[0].Version != want {
			t.Errorf("%s gives %+v, want %s", selector, r.Charts, want)
		}
	}
	none := files{"s/all.yaml": helmRelease("web", "chartRef: {kind: OCIRepository, name: o}") +
		fluxObject("source.toolkit.fluxcd.io/v1", "OCIRepository", "o", "url: oci://registry.example.com/team/web", "ref: {tag: 1.0.0}", "layerSelector: {mediaType: a/b}")}
	refused(t, none, registryOptions(server), "s", "has no layer of the type a/b")
}

func TestAStatePathMayBeAChart(t *testing.T) {
	repo := files{
		"deploy/web/Chart.yaml":        "apiVersion: v2\nname: something\nversion: 1.0.0\n",
		"deploy/web/templates/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n",
		"plain/cm.yaml":                cm("plain"),
	}
	r := expanded(t, repo, Options{}, "plain", "./deploy/web/")
	same(t, "objects", listing(r), "ConfigMap default/web < deploy/web", "ConfigMap x/plain < plain")
	placed := expanded(t, repo, Options{Options: render.Options{PathNamespaces: map[string]string{"./deploy/web/": "shop"}}}, "plain", "./deploy/web/")
	same(t, "objects of a path with a namespace", listing(placed), "ConfigMap shop/web < deploy/web", "ConfigMap x/plain < plain")
	if r.Digest == "" || len(r.Units) != 2 {
		t.Errorf("digest %q, units %v", r.Digest, plan(r))
	}
	repo["deploy/web/templates/cm.yaml"] = "{{ fail \"no\" }}"
	refused(t, repo, Options{}, "deploy/web", "deploy/web", "templates/cm.yaml")
}

func TestMirrorsAreChecked(t *testing.T) {
	for _, m := range [][2]string{
		{"quay.io", "oci://m.example.com"}, {"oci://quay.io", "https://m.example.com"}, {"https://a.example.com", "http://m.example.com"},
		{"https://u:" + canary + "@a.example.com", "https://m.example.com"}, {"https://a.example.com", "https://u:" + canary + "@m.example.com"}, {"https://a.example.com", "file:///charts"},
		{"ssh://a.example.com", "oci://m.example.com"}, {"ssh://git@a.example.com", "https://m.example.com"}, {"https://a.example.com", "ssh://m.example.com"},
	} {
		if err := (ChartMirror{From: m[0], To: m[1]}).Check(); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%v: %v", m, err)
		}
	}
	if err := (ChartMirror{From: "ssh://a.example.com", To: "https://m.example.com/git"}).Check(); err != nil {
		t.Error(err)
	}
	for address, want := range map[string]string{
		"oci://quay.io/a/b": "oci://m.example.com/quay/a/b", "oci://quay.io": "oci://m.example.com/quay", "oci://quay.iox/a": "oci://quay.iox/a",
	} {
		got, err := redirected(chart.Ref{Repository: address}, []ChartMirror{{From: "oci://quay.io/", To: "oci://m.example.com/quay/"}})
		if err != nil || got.Repository != want {
			t.Errorf("%s: %s, %v, want %s", address, got.Repository, err, want)
		}
	}
}

// TestCredentialsOfARegistryAreThoseOfThePath has several teams share a host.
func TestCredentialsOfARegistryAreThoseOfThePath(t *testing.T) {
	const config = `{"auths": {"ghcr.io/team-a": {"username": "a"}, "ghcr.io/team-b": {"username": "b"}, "https://quay.io/v2/": {"username": "quay"},
		"quay.io/team": {"username": "team"}, "harbor.example.com/only": {"username": "only"}, "https://index.docker.io/v1/": {"username": "docker"}}}`
	for address, want := range map[string]string{
		"oci://ghcr.io/team-a/charts":        "a",
		"oci://ghcr.io/team-b":               "b",
		"oci://ghcr.io/team-abc/charts":      "",
		"oci://ghcr.io/other":                "",
		"oci://quay.io/anybody":              "quay",
		"oci://quay.io/team/charts":          "team",
		"oci://harbor.example.com/elsewhere": "only",
		"oci://docker.io/library":            "docker",
		"oci://example.com/ghcr.io/team-a":   "",
	} {
		for range 10 { // a map has no order
			auth, err := authOf(address, map[string][]byte{".dockerconfigjson": []byte(config)}, nil)
			if err != nil || auth.Username != want {
				t.Fatalf("%s: %q, %v, want %q", address, auth.Username, err, want)
			}
		}
	}
}

// TestAChartIsNotLentToOthers has two repositories with one address, of which one has
// credentials.
func TestAChartIsNotLentToOthers(t *testing.T) {
	server := charttest.New(t)
	server.Add(webChart("1.0.0"))
	server.RequireBasic("reader", canary)
	repo := files{"s/all.yaml": helmRelease("web", "chart: {spec: {chart: web, version: 1.x, sourceRef: {kind: HelmRepository, name: r}}}") +
		fluxObject("source.toolkit.fluxcd.io/v1", "HelmRepository", "r", "url: "+server.Repository(), "secretRef: {name: reader}") +
		helmRelease("zzz", "chart: {spec: {chart: web, version: 1.x, sourceRef: {kind: HelmRepository, name: open}}}") +
		fluxObject("source.toolkit.fluxcd.io/v1", "HelmRepository", "open", "url: "+server.Repository())}
	o := Options{Seeds: []Seed{{Kind: "Secret", Namespace: "flux-system", Name: "reader", Data: map[string][]byte{"username": []byte("reader"), "password": []byte(canary)}}}}
	refused(t, repo, o, "s", "zzz", "401")
}
