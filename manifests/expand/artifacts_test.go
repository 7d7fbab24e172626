package expand

import (
	"archive/tar"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/internal/charttest"
	"github.com/refloat-dev/refloat/manifests/chart"
)

// artifactOf version has one ConfigMap with its name.
func pushed(version string, more ...charttest.Layer) charttest.Artifact {
	layer := charttest.Layer{MediaType: charttest.FluxLayer, Data: charttest.PackFiles(map[string]string{
		"deploy/cm.yaml": cm("app-" + strings.ReplaceAll(version, ".", "-")), "deploy/extra/skip.yaml": "not: one\n",
	}, tar.Header{Name: "deploy/link.yaml", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink})}
	return charttest.Artifact{Name: "team/app", Tag: version, Layers: append([]charttest.Layer{layer}, more...)}
}

// fromArtifact is a state with a Kustomization of an artifact.
func fromArtifact(address string, spec ...string) files {
	spec = append([]string{"ignore: \"extra/\""}, spec...)
	return files{"s/all.yaml": strings.Replace(kustomization("app", "deploy"), "{kind: GitRepository, name: flux-system}", "{kind: OCIRepository, name: app}", 1) +
		fluxObject("source.toolkit.fluxcd.io/v1", "OCIRepository", "app", append([]string{"interval: 5m", "url: " + address}, spec...)...)}
}

func registryOptions(server *charttest.Server) Options {
	return Options{Remotes: &RemoteOptions{}, Helm: ChartOptions{Mirrors: []ChartMirror{{From: "oci://registry.example.com", To: "oci://" + server.Host()}}}}
}

const appURL = "oci://registry.example.com/team/app"

func TestArtifactsArePulledByTheirReference(t *testing.T) {
	server := charttest.New(t)
	digests := map[string]string{}
	for _, version := range []string{"1.0.0", "1.1.0", "v1.2.0-rc.1", "latest", "1.9.0-arm"} {
		digests[version] = server.Put(pushed(version, charttest.Layer{MediaType: "application/example", Data: charttest.PackFiles(map[string]string{"deploy/cm.yaml": cm("second-" + strings.ReplaceAll(version, ".", "-"))})}))
	}
	for spec, want := range map[string]struct{ version, requested, object string }{
		"ref: {tag: 1.0.0}":                                                {"1.0.0", "tag 1.0.0", "app"},
		"ref: {semver: 1.x}":                                               {"1.1.0", "semver 1.x", "app"},
		"ref: {semver: '>=1.0.0-0'}":                                       {"1.9.0-arm", "semver >=1.0.0-0", "app"},
		"ref: {semver: '>=1.0.0-0', semverFilter: '.*-rc.*'}":              {"v1.2.0-rc.1", "semver >=1.0.0-0 of .*-rc.*", "app"},
		"ref: {tag: 1.0.0, semver: 1.1.x}":                                 {"1.1.0", "semver 1.1.x", "app"},
		"ref: {tag: gone, digest: '" + digests["1.0.0"] + "'}":             {"1.0.0", "digest " + digests["1.0.0"], "app"},
		"timeout: 1m":                                                      {"latest", "tag latest", "app"},
		"layerSelector: {mediaType: application/example}":                  {"latest", "tag latest, layer application/example", "second"},
		"layerSelector: {mediaType: application/example, operation: copy}": {"latest", "tag latest, layer application/example", "second"},
	} {
		t.Run(spec, func(t *testing.T) {
			r := expanded(t, fromArtifact(appURL, spec), registryOptions(server), "s")
			if len(r.Sources) != 1 || r.Sources[0].URL != appURL || r.Sources[0].Requested != want.requested || r.Sources[0].Revision != digests[want.version] || !strings.HasPrefix(r.Sources[0].Digest, "sha256:") {
				t.Fatalf("sources %+v, want %s", r.Sources, digests[want.version])
			}
			o := object(t, r, "ConfigMap x/"+want.object+"-"+strings.ReplaceAll(want.version, ".", "-"))
			if o.Origin.File != appURL+"@"+digests[want.version][:19]+":deploy/cm.yaml" {
				t.Errorf("comes from %s", o.Origin)
			}
			if want.object == "app" {
				warned(t, r, "1 links are left out, as Flux leaves them out; one is deploy/link.yaml")
			}
		})
	}
}

func TestArtifactsArePinned(t *testing.T) {
	server := charttest.New(t)
	server.Put(pushed("latest"))
	o := registryOptions(server)
	o.Helm.CacheDir = t.TempDir()
	state := fromArtifact(appURL)
	first := expanded(t, state, o, "s")
	moved := pushed("latest")
	moved.Layers[0].Data = charttest.PackFiles(map[string]string{"deploy/cm.yaml": cm("moved")})
	server.Put(moved)
	if r := expanded(t, state, o, "s"); r.Digest == first.Digest || r.Sources[0].Revision == first.Sources[0].Revision {
		t.Errorf("without pins: %+v", r.Sources)
	}
	o.Remotes.Pins = first.Sources
	if r := expanded(t, state, o, "s"); r.Digest != first.Digest || !slices.Equal(r.Sources, first.Sources) {
		t.Errorf("with pins: %+v, want %+v", r.Sources, first.Sources)
	}
	before := len(server.Requests())
	expanded(t, state, o, "s")
	if n := len(server.Requests()) - before; n != 0 {
		t.Errorf("a pinned artifact in the cache took %d requests", n)
	}
	o.Helm.CacheDir = t.TempDir()
	if r := expanded(t, state, o, "s"); r.Digest != first.Digest {
		t.Error("without the cache another artifact is taken")
	}
	o.Helm.CacheDir, o.Remotes.Pins[0].Digest = t.TempDir(), "sha256:"+strings.Repeat("0", 64)
	refused(t, state, o, "s", "has the digest", "not sha256:0000")
}

func TestArtifactsAndCredentials(t *testing.T) {
	server := charttest.New(t)
	server.Put(pushed("latest"))
	server.RequireBasic("reader", canary)
	direct := "oci://" + server.Host() + "/team/app"
	state := fromArtifact(direct, "insecure: true", "secretRef: {name: pull}")
	o := Options{Remotes: &RemoteOptions{}}
	refused(t, state, o, "s", "Secret flux-system/pull", "add it to the seeds")
	o.Seeds = []Seed{{Kind: "Secret", Namespace: "flux-system", Name: "pull", Data: map[string][]byte{
		".dockerconfigjson": []byte(`{"auths":{"` + server.Host() + `":{"username":"reader","password":"` + canary + `"}}}`)}}}
	r := expanded(t, state, o, "s")
	for _, text := range append(slices.Clone(r.Warnings), r.Sources[0].URL, r.Sources[0].Requested) {
		if strings.Contains(text, canary) {
			t.Errorf("%q holds a secret", text)
		}
	}
	// The registry sends blobs from elsewhere, which gets no credentials.
	elsewhere := charttest.New(t)
	elsewhere.Put(pushed("latest"))
	server.RedirectArchives(elsewhere.URL())
	expanded(t, state, o, "s")
	asked := elsewhere.Requests()
	if len(asked) == 0 {
		t.Error("the redirect was not followed: the test shows nothing")
	}
	for _, q := range asked {
		if q.Authorization != "" {
			t.Errorf("%s was asked with credentials", q.Path)
		}
	}
	// Another host's entry is not used, and what is refused says so without it.
	o.Seeds[0].Data[".dockerconfigjson"] = []byte(`{"auths":{"registry.example.com":{"username":"reader","password":"` + canary + `"}}}`)
	refused(t, state, o, "s", "registry "+direct+" answered 401", "add them as a seed")
	// Credentials of the state do not reach a mirror.
	o = registryOptions(elsewhere)
	o.Seeds = []Seed{{Kind: "Secret", Namespace: "flux-system", Name: "pull", Data: map[string][]byte{"username": []byte("reader"), "password": []byte(canary)}}}
	expanded(t, fromArtifact(appURL, "secretRef: {name: pull}"), o, "s")
	for _, q := range elsewhere.Requests() {
		if q.Authorization != "" {
			t.Errorf("the mirror was asked for %s with credentials", q.Path)
		}
	}
}

func TestArtifactsThatCannotBeUsed(t *testing.T) {
	server := charttest.New(t)
	server.Put(pushed("1.0.0"))
	put := func(tag string, data []byte) {
		server.Put(charttest.Artifact{Name: "team/app", Tag: tag, Layers: []charttest.Layer{{MediaType: charttest.FluxLayer, Data: data}}})
	}
	put("escapes", charttest.PackFiles(map[string]string{"../../etc/x.yaml": cm("x")}))
	put("text", []byte("kind: ConfigMap"))
	put("bomb", charttest.PackFiles(map[string]string{"deploy/cm.yaml": strings.Repeat("#", mostUnpacked/2)}))
	server.Put(charttest.Artifact{Name: "team/app", Tag: "none"})
	const kustomization, repository = "s/all.yaml:2: Kustomization flux-system/app", "OCIRepository.source.toolkit.fluxcd.io flux-system/app"
	for spec, wants := range map[string][]string{
		"ref: {tag: 1.0.1}":                                    {kustomization, repository, "registry oci://", `has no artifact "1.0.1": there is 1.0.0`},
		"ref: {semver: 2.x}":                                   {`has no artifact "2.x": there is 1.0.0`},
		"ref: {semver: much}":                                  {`"much" is not a range of versions`},
		"ref: {semver: '*', semverFilter: '('}":                {`"(" is not a regular expression`},
		"ref: {digest: 'sha256:none'}":                         {"is not a digest of the form sha256"},
		"ref: {tag: escapes}":                                  {"a name that leads out of it"},
		"ref: {tag: text}":                                     {"not an archive compressed with gzip"},
		"ref: {tag: bomb}":                                     {"expands to more than"},
		"ref: {tag: none}":                                     {"the artifact has no layer"},
		"layerSelector: {mediaType: a/b}\n  ref: {tag: 1.0.0}": {"no layer of the type a/b but " + charttest.FluxLayer},
		"verify: {provider: cosign}":                           {"a signature that only Flux itself checks"},
	} {
		t.Run(spec, func(t *testing.T) {
			refused(t, fromArtifact(appURL, spec), registryOptions(server), "s", wants...)
		})
	}
	refused(t, fromArtifact("oci://registry.example.com/team/gone", "ref: {tag: x}"), registryOptions(server), "s", "registry oci://", "check the address and the reference")
	offline := registryOptions(server)
	offline.Helm.Offline = true
	refused(t, fromArtifact(appURL), offline, "s", "is an artifact in a registry ("+appURL+"), and nothing is fetched here")
	bounded := registryOptions(server)
	bounded.Bounds.Artifacts = 1
	two := fromArtifact(appURL, "ref: {tag: 1.0.0}").with(files{"s/b.yaml": strings.ReplaceAll(fromArtifact(appURL, "ref: {semver: 1.x}")["s/all.yaml"], "name: app", "name: b")})
	refused(t, two, bounded, "s", "more than 1 artifacts are named")
}

func TestARegistryThatHangs(t *testing.T) {
	server := charttest.New(t)
	server.Hang()
	o := registryOptions(server)
	o.Remotes.Limits.Duration = 2 * time.Second
	_, err := Expand(context.Background(), fromArtifact(appURL).snapshot(), []string{"s"}, o)
	var unreachable *chart.UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "did not answer in time") || !strings.Contains(err.Error(), "Kustomization flux-system/app") {
		t.Errorf("error %v", err)
	}
}
