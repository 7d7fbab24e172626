package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/internal/charttest"
)

// fluxExample is a real repository whose state is only Flux objects: Kustomizations over
// artifacts, and releases of charts from three places.
func fluxExample(t *testing.T) map[string]string {
	t.Helper()
	cases := os.Getenv("CASES")
	if cases == "" {
		cases = "../../shared/cases"
	}
	if _, err := os.Stat(cases); err != nil {
		t.Skipf("%s is not there", cases)
	}
	return filesOf(t, filepath.Join(cases, "flux-example"), "")
}

// chartServer has charts that stand in for those of the example; chartMirrors leads to them.
func chartServer(t *testing.T) (server *charttest.Server, chartMirrors string) {
	t.Helper()
	server = charttest.New(t)
	charts := os.DirFS("testdata/charts")
	for _, name := range []string{"podinfo", "cert-manager", "gateway-helm"} {
		server.Add(charttest.PackDir(t, charts, name))
	}
	newer := filesOf(t, "testdata/charts/podinfo", "")
	newer["Chart.yaml"] = strings.Replace(newer["Chart.yaml"], "6.7.0", "6.8.0-rc.1", 1)
	server.Add(charttest.Pack(newer))
	return server, fmt.Sprintf(`  chartMirrors:
    - {from: "https://stefanprodan.github.io/podinfo", to: "%s"}
    - {from: "oci://quay.io/jetstack/charts", to: "%s"}
    - {from: "oci://docker.io/envoyproxy", to: "%s"}
`, server.Repository(), server.OCI(), server.OCI())
}

// fluxReport is what these tests read of a report besides.
type fluxReport struct {
	Charts []struct{ Repository, Name, Requested, Version, Digest string } `json:"charts"`
	Waves  []struct {
		Number  int `json:"number"`
		Objects []struct {
			ID string `json:"id"`
		} `json:"objects"`
	} `json:"waves"`
}

// TestRebuildFromFlux rebuilds from the entry points of Flux as they are. Flux itself is
// not in the repository, so its objects are read and not applied.
func TestRebuildFromFlux(t *testing.T) {
	files := fluxExample(t)
	_, mirrors := chartServer(t)
	repo := newRepository(t, files)
	for cluster, podinfo := range map[string]string{"staging": "6.8.0-rc.1", "production": "6.7.0"} {
		t.Run(cluster, func(t *testing.T) {
			name := "flux-" + cluster
			plan := repo.plan(t, name, mirrors, "clusters/"+cluster)
			out := box.must(t, "rebuild", "-f", plan, "--confirm", name, "-o", "json").stdout
			assertVerified(t, parseReport(t, out))
			var r fluxReport
			if err := json.Unmarshal([]byte(out), &r); err != nil {
				t.Fatal(err)
			}
			var charts []string
			for _, c := range r.Charts {
				charts = append(charts, strings.TrimSpace(c.Repository+" "+c.Name)+" "+c.Version)
				if !strings.HasPrefix(c.Digest, "sha256:") {
					t.Errorf("%s has the digest %q", c.Repository, c.Digest)
				}
			}
			if want := []string{
				"https://stefanprodan.github.io/podinfo podinfo " + podinfo,
				"oci://docker.io/envoyproxy/gateway-helm 1.8.0",
				"oci://quay.io/jetstack/charts/cert-manager 1.15.0",
			}; !slices.Equal(charts, want) {
				t.Errorf("charts %q, want %q", charts, want)
			}
			assertFluxOrder(t, name)
			box.must(t, "verify", name, "-n", "default")
			box.must(t, "teardown", name, "-n", "default", "--confirm", name)
		})
	}
}

// assertFluxOrder checks the order that Flux would keep, by the audit log of the new
// cluster, and that nobody but the tools' managers wrote.
func assertFluxOrder(t *testing.T, name string) {
	t.Helper()
	events := readAudit(t, box.planeDir(t, name))
	first := map[string]int{}
	for i, e := range events {
		if e.Verb != "patch" || e.ResponseStatus.Code >= 300 || !strings.Contains(e.RequestURI, "fieldManager=") || e.ObjectRef.Subresource != "" {
			continue
		}
		if _, seen := first[e.object()]; !seen {
			first[e.object()] = i
		}
	}
	before := func(a, b string) {
		t.Helper()
		x, okA := first[a]
		y, okB := first[b]
		if !okA || !okB || x >= y {
			t.Errorf("%s (written %t, event %d) before %s (written %t, event %d): want so", a, okA, x, b, okB, y)
		}
	}
	const gateway = "gateway.networking.k8s.io"
	before("apps/deployments/cert-manager/cert-manager", "cert-manager.io/clusterissuers//letsencrypt")
	before("batch/jobs/cert-manager/cert-manager-startupapicheck", "cert-manager.io/clusterissuers//letsencrypt")
	before("apps/deployments/cert-manager/cert-manager", "batch/jobs/cert-manager/cert-manager-startupapicheck")
	before("batch/jobs/envoy-gateway-system/envoy-gateway-certgen", "apps/deployments/envoy-gateway-system/envoy-gateway")
	before("apps/deployments/envoy-gateway-system/envoy-gateway", gateway+"/gateways/envoy-gateway-system/envoy")
	before("cert-manager.io/clusterissuers//letsencrypt", "apps/deployments/podinfo/podinfo")
	before(gateway+"/gateways/envoy-gateway-system/envoy", gateway+"/httproutes/podinfo/podinfo")
	if n := writesBy(events, "helm-controller")["cert-manager.io/clusterissuers//letsencrypt"]; n > 0 {
		t.Error("the issuer is written as helm-controller, which does not keep it")
	}
	if writesBy(events, "kustomize-controller")["cert-manager.io/clusterissuers//letsencrypt"] != 1 || writesBy(events, "helm-controller")["apps/deployments/podinfo/podinfo"] != 1 {
		t.Error("objects are not written once by the managers of the tools that keep them")
	}
}

// TestFluxComesBackLast rebuilds a cluster whose repository installs the kinds of Flux:
// its definitions go after the objects that they declare.
func TestFluxComesBackLast(t *testing.T) {
	const name = "flux-whole"
	files := fluxExample(t)
	_, mirrors := chartServer(t)
	kinds := "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n"
	for _, k := range [][3]string{
		{"kustomize.toolkit.fluxcd.io", "v1", "Kustomization"}, {"helm.toolkit.fluxcd.io", "v2", "HelmRelease"},
		{"source.toolkit.fluxcd.io", "v1", "GitRepository"}, {"source.toolkit.fluxcd.io", "v1", "OCIRepository"},
		{"source.toolkit.fluxcd.io", "v1", "HelmRepository"}, {"source.extensions.fluxcd.io", "v1beta1", "ArtifactGenerator"},
	} {
		kinds += definition(k[0], k[1], k[2])
	}
	files["clusters/staging/flux-system/gotk-components.yaml"] = kinds
	files["clusters/staging/flux-system/gotk-sync.yaml"] = `apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec: {interval: 1m, url: "https://git.example.com/fleet.git", ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux-system, namespace: flux-system}
spec: {interval: 10m, path: ./clusters/staging, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}
`
	delete(files, "clusters/staging/flux-system/kustomization.yaml")
	files["clusters/staging/flux-system/kustomization.yaml"] = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [gotk-components.yaml, gotk-sync.yaml]\n"
	repo := newRepository(t, files)
	plan := repo.plan(t, name, mirrors, "clusters/staging")
	assertVerified(t, parseReport(t, box.must(t, "rebuild", "-f", plan, "--confirm", name, "-o", "json").stdout))
	events := readAudit(t, box.planeDir(t, name))
	at := func(object string) int {
		t.Helper()
		for i, e := range events {
			if e.object() == object && e.Verb == "patch" && e.ResponseStatus.Code < 300 {
				return i
			}
		}
		t.Errorf("%s was not applied", object)
		return -1
	}
	for object, definition := range map[string]string{
		"apps/deployments/podinfo/podinfo":            "helm.toolkit.fluxcd.io/helmreleases/podinfo/podinfo",
		"cert-manager.io/clusterissuers//letsencrypt": "kustomize.toolkit.fluxcd.io/kustomizations/flux-system/infra-configs",
		"/namespaces/podinfo/podinfo":                 "kustomize.toolkit.fluxcd.io/kustomizations/flux-system/apps",
	} {
		if at(object) >= at(definition) {
			t.Errorf("%s is applied before %s, which it declares", definition, object)
		}
	}
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
}
