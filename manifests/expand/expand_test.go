package expand

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

func TestPlainRepositoriesAreJustRendered(t *testing.T) {
	repo := files{
		"a/one.yaml": cm("one"), "b/kustomization.yaml": "resources: [two.yaml]\n", "b/two.yaml": cm("two"),
	}
	plain, err := render.Render(context.Background(), repo.snapshot(), []string{"./a", "/b/"}, render.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := expanded(t, repo, Options{}, "./a", "/b/")
	if r.Digest != plain.Digest || len(r.Objects) != len(plain.Objects) || len(r.Skipped) != 0 {
		t.Errorf("digest %s, want %s; %v", r.Digest, plain.Digest, listing(r))
	}
	for _, o := range r.Objects {
		if o.Rules != nil {
			t.Errorf("%s has rules", o.ID())
		}
	}
	same(t, "units", plan(r), "a", "b")
	same(t, "objects", listing(r), "ConfigMap x/one < a", "ConfigMap x/two < b")
}

// bootstrapped is what Flux's bootstrap leaves behind, and an application.
func bootstrapped() files {
	return files{
		"clusters/prod/flux-system/kustomization.yaml":   "resources: [gotk-components.yaml, gotk-sync.yaml]\n",
		"clusters/prod/flux-system/gotk-components.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n" + installFlux(),
		"clusters/prod/flux-system/gotk-sync.yaml": gitRepository("flux-system", "ssh://git@github.com/acme/fleet", "ref: {branch: main}") +
			kustomization("flux-system", "./clusters/prod"),
		"clusters/prod/apps.yaml": kustomization("apps", "./apps", "wait: true"),
		"apps/app.yaml":           cm("app"),
	}
}

func TestABootstrappedRepositoryManagesItself(t *testing.T) {
	r := expanded(t, bootstrapped(), Options{}, "clusters/prod")
	same(t, "units", plan(r), "clusters/prod", "Kustomization flux-system/apps (all)", "Kustomization flux-system/flux-system")
	for _, o := range r.Objects {
		want := "Kustomization flux-system/flux-system"
		if o.GetName() == "app" {
			want = "Kustomization flux-system/apps"
		}
		if o.Origin.Unit != want {
			t.Errorf("%s is of %s, want %s", o.ID(), o.Origin.Unit, want)
		}
		if o.GetLabels()[kustomizeAPI+"/name"] == "" || o.Rules.Manager != "kustomize-controller" {
			t.Errorf("%s: labels %v, rules %+v", o.ID(), o.GetLabels(), o.Rules)
		}
	}
	if o := object(t, r, "Kustomization.kustomize.toolkit.fluxcd.io flux-system/apps"); o.Origin.File != "clusters/prod/apps.yaml" {
		t.Errorf("the definition comes from %s", o.Origin)
	}
	if u := r.Units[1]; u.Definition.Name != "apps" || u.Origin.File != "clusters/prod/apps.yaml" || u.Origin.Unit != "Kustomization flux-system/flux-system" {
		t.Errorf("unit %+v", u)
	}
	again := expanded(t, bootstrapped(), Options{}, "clusters/prod")
	if r.Digest != again.Digest {
		t.Error("two expansions have different digests")
	}
	changed := expanded(t, bootstrapped().with(files{"clusters/prod/apps.yaml": kustomization("apps", "./apps")}), Options{}, "clusters/prod")
	if r.Digest == changed.Digest {
		t.Error("the digest does not cover units")
	}
}

func TestAPatchOfTheBootstrapReachesTheDefinitionsBelow(t *testing.T) {
	repo := bootstrapped()
	repo["clusters/prod/flux-system/gotk-sync.yaml"] = kustomization("flux-system", "./clusters/prod",
		`patches: [{target: {kind: Kustomization, name: apps}, patch: '[{"op": "replace", "path": "/spec/path", "value": "./other"}]'}]`)
	repo["other/other.yaml"] = cm("other")
	r := expanded(t, repo, Options{}, "clusters/prod")
	object(t, r, "ConfigMap x/other")
	for _, o := range r.Objects {
		if o.GetName() == "app" {
			t.Error("the definition as it is in the state path was expanded too")
		}
	}
}

func TestDefinitionsAreLeftOutWithoutTheirTool(t *testing.T) {
	r := expanded(t, files{"s/k.yaml": kustomization("apps", "apps"), "apps/a.yaml": cm("a")}, Options{}, "s")
	same(t, "objects", listing(r), "ConfigMap x/a < Kustomization flux-system/apps")
	warned(t, r, "nothing in the state installs Kustomization.kustomize.toolkit.fluxcd.io")
}

func TestWhatCannotBeExpanded(t *testing.T) {
	other := gitRepository("other", "https://elsewhere.example.com/x.git") +
		strings.ReplaceAll(kustomization("apps", "apps"), "name: flux-system}", "name: other}")
	for name, c := range map[string]struct{ text, want string }{
		"another repository": {other, "s/k.yaml:9: Kustomization flux-system/apps: spec.sourceRef names GitRepository.source.toolkit.fluxcd.io flux-system/other, which is another repository"},
		"bucket":             {strings.ReplaceAll(kustomization("apps", "apps"), "kind: GitRepository, name: flux-system}", "kind: Bucket, name: b}"), "buckets are read only by Flux itself"},
		"no source":          {strings.ReplaceAll(kustomization("apps", "apps"), "name: flux-system}", "name: gone}"), "which nothing in the state defines"},
		"chart": {helmRelease("web", "chart: {spec: {chart: web, version: 1.x, sourceRef: {kind: HelmRepository, name: r}}}") +
			fluxObject("source.toolkit.fluxcd.io/v1", "HelmRepository", "r", "url: https://charts.example.com"),
			"spec.chart (HelmRepository flux-system/r) is chart web 1.x of https://charts.example.com, and nothing is fetched here"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := files{"s/k.yaml": c.text, "apps/a.yaml": cm("a")}
			refused(t, repo, Options{Helm: ChartOptions{Offline: true}}, "s", c.want, "nothing in the state installs Flux")
			r := expanded(t, repo.with(files{"s/flux.yaml": installFlux()}), Options{Helm: ChartOptions{Offline: true}}, "s")
			if len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0].Reason, c.want) || r.Skipped[0].Meant {
				t.Errorf("skipped %+v", r.Skipped)
			}
			if s := r.Skipped[0]; s.Origin.File != "s/k.yaml" || s.Definition.Namespace != "flux-system" {
				t.Errorf("skipped %+v", s)
			}
		})
	}
}

func TestWhatIsMeantToBeSkipped(t *testing.T) {
	for field, want := range map[string]string{"suspend: true": "stays suspended", "kubeConfig: {secretRef: {name: x}}": "another cluster"} {
		r := expanded(t, files{"s/k.yaml": kustomization("apps", "apps", field) + helmRelease("web", field) + "---\n" + cm("z"), "apps/a.yaml": cm("a")}, Options{}, "s")
		if len(r.Skipped) != 2 || !r.Skipped[0].Meant || !strings.Contains(r.Skipped[0].Reason, want) {
			t.Errorf("%s: skipped %+v", field, r.Skipped)
		}
	}
	r := expanded(t, files{"s/k.yaml": kustomization("base", "apps", "suspend: true") + kustomization("apps", "apps", "dependsOn: [{name: base}]"), "apps/a.yaml": cm("a")}, Options{}, "s")
	warned(t, r, "Kustomization flux-system/base, which is not expanded: nothing waits for it")
}

func TestUnitsWaitForEachOther(t *testing.T) {
	repo := files{
		"s/k.yaml": kustomization("apps", "apps", "dependsOn: [{name: infra}]") + kustomization("infra", "infra", "wait: true") +
			kustomization("checks", "checks", "healthChecks: [{apiVersion: apps/v1, kind: Deployment, name: d, namespace: x}, {apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, name: deep, namespace: flux-system}]") +
			kustomization("last", "last", "dependsOn: [{name: checks}]"),
		"infra/deep.yaml": kustomization("deep", "deep"), "deep/d.yaml": cm("deep"), "checks/c.yaml": cm("checks"),
		"apps/a.yaml": cm("apps"), "infra/i.yaml": cm("infra"), "last/l.yaml": cm("last"),
	}
	same(t, "units", plan(expanded(t, repo, Options{}, "s")),
		"s", "Kustomization flux-system/infra (all)", "Kustomization flux-system/deep",
		"Kustomization flux-system/apps > Kustomization flux-system/infra > Kustomization flux-system/deep",
		"Kustomization flux-system/checks (Deployment.apps x/d)",
		"Kustomization flux-system/last > Kustomization flux-system/checks > Kustomization flux-system/deep")

	refused(t, files{"s/k.yaml": kustomization("a", "a", "dependsOn: [{name: b}]") + kustomization("b", "b", "dependsOn: [{name: a}]"), "a/a.yaml": cm("a"), "b/b.yaml": cm("b")},
		Options{}, "s", "wait for each other in a circle", "Kustomization flux-system/a -> Kustomization flux-system/b -> Kustomization flux-system/a")
	refused(t, files{"s/k.yaml": kustomization("a", "a", "dependsOn: [{name: gone, namespace: other}]"), "a/a.yaml": cm("a")},
		Options{}, "s", "s/k.yaml:2: Kustomization flux-system/a: spec.dependsOn names Kustomization other/gone, which nothing in the state defines")
}

func TestTheSameObjectTwice(t *testing.T) {
	repo := files{
		"s/k.yaml": kustomization("a", "a", "dependsOn: [{name: z}]") + kustomization("z", "z"),
		"a/a.yaml": cm("same"), "z/z.yaml": cm("same"),
	}
	r := expanded(t, repo, Options{}, "s")
	same(t, "objects", listing(r), "ConfigMap x/same < Kustomization flux-system/z")
	warned(t, r, "ConfigMap x/same is rendered twice, identically")

	repo["a/a.yaml"] = strings.Replace(cm("same"), "value", "other", 1)
	refused(t, repo, Options{}, "s", "different content", "Kustomization flux-system/z (z/z.yaml:1)", "Kustomization flux-system/a (a/a.yaml:1)")

	repo["s/same.yaml"], repo["a/a.yaml"] = cm("same"), cm("a")
	r = expanded(t, repo, Options{}, "s")
	same(t, "objects", listing(r), "ConfigMap x/a < Kustomization flux-system/a", "ConfigMap x/same < Kustomization flux-system/z")
}

func TestBoundsAndCircles(t *testing.T) {
	refused(t, files{"s/a.yaml": kustomization("a", "a"), "a/b.yaml": kustomization("b", "b"), "b/a.yaml": kustomization("a", "a")},
		Options{}, "s", "definitions render each other in a circle", "Kustomization flux-system/b -> Kustomization flux-system/a -> Kustomization flux-system/b")

	r := expanded(t, files{"s/self.yaml": kustomization("self", "s") + "---\n" + cm("x")}, Options{}, "s")
	same(t, "objects", listing(r), "ConfigMap x/x < Kustomization flux-system/self")

	deep := files{"s/k.yaml": kustomization("k0", "d0")}
	for i := range 12 {
		n := string(rune('a' + i))
		deep["d"+map[bool]string{true: "0", false: n}[i == 0]+"/k.yaml"] = kustomization("k"+n, "d"+string(rune('a'+i+1)))
	}
	refused(t, deep, Options{}, "s", "levels below the state paths", "at most 10")

	many := files{"s/k.yaml": "", "a/a.yaml": cm("a")}
	for i := range 4 {
		many["s/k.yaml"] += kustomization("k"+string(rune('a'+i)), "a")
	}
	refused(t, many, Options{Bounds: Bounds{Units: 3}}, "s", "more than 3 units")

	explosion := files{"s/k.yaml": ""}
	for i := range 5 {
		explosion["s/k.yaml"] += kustomization("k"+string(rune('a'+i)), "a", "nameSuffix: -"+string(rune('a'+i)))
	}
	var all strings.Builder
	for i := range 300 {
		all.WriteString("---\n" + cm("c"+strings.Repeat("x", i%200)+string(rune('a'+i/200))))
	}
	explosion["a/a.yaml"] = all.String()
	refused(t, explosion, Options{Bounds: Bounds{Objects: 1000}}, "s", "more than 1000 objects in all")

	refused(t, files{"s/k.yaml": kustomization("k", "../../etc")}, Options{}, "s", "s/k.yaml:2: Kustomization flux-system/k", "leaves the repository")
	refused(t, files{"s/k.yaml": kustomization("k", "./gone")}, Options{}, "s", "s/k.yaml:2: Kustomization flux-system/k: spec.path is wrong", `"gone" does not exist in this repository`)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Expand(ctx, explosion.snapshot(), []string{"s"}, Options{}); err == nil {
		t.Error("an ended context is no error")
	}
}

// The example that Flux's authors keep expands as it is.
func TestRealFluxExample(t *testing.T) {
	dir, err := filepath.Abs("../../../shared/cases/flux-example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Logf("no repository at %s: nothing to expand", dir)
		return
	}
	snap, err := source.Directory(dir)
	if err != nil {
		t.Fatal(err)
	}
	for cluster, version := range map[string]string{"staging": ">=1.0.0-alpha", "production": ">=1.0.0"} {
		t.Run(cluster, func(t *testing.T) {
			fake := &charts{}
			start := time.Now()
			r, err := Expand(context.Background(), snap, []string{"clusters/" + cluster}, Options{Charts: fake})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d objects in %s", len(r.Objects), time.Since(start))
			same(t, "units", plan(r), "clusters/"+cluster,
				"HelmRelease cert-manager/cert-manager (all)", "HelmRelease envoy-gateway-system/envoy-gateway (all)",
				"Kustomization flux-system/infra-controllers (all)",
				"Kustomization flux-system/infra-configs > Kustomization flux-system/infra-controllers > HelmRelease cert-manager/cert-manager > HelmRelease envoy-gateway-system/envoy-gateway",
				"Kustomization flux-system/apps > Kustomization flux-system/infra-configs (all)",
				"HelmRelease podinfo/podinfo > Kustomization flux-system/infra-configs (all)")
			same(t, "objects", listing(r),
				"Namespace cert-manager < Kustomization flux-system/infra-controllers",
				"Namespace envoy-gateway-system < Kustomization flux-system/infra-controllers",
				"Namespace podinfo < Kustomization flux-system/apps",
				"ClusterIssuer.cert-manager.io letsencrypt < Kustomization flux-system/infra-configs",
				"GatewayClass.gateway.networking.k8s.io envoy < Kustomization flux-system/infra-configs",
				"ConfigMap cert-manager/cert-manager < HelmRelease cert-manager/cert-manager",
				"ConfigMap envoy-gateway-system/envoy-gateway < HelmRelease envoy-gateway-system/envoy-gateway",
				"Gateway.gateway.networking.k8s.io envoy-gateway-system/envoy < Kustomization flux-system/infra-configs",
				"ConfigMap podinfo/podinfo < HelmRelease podinfo/podinfo")
			if o := object(t, r, "ClusterIssuer.cert-manager.io letsencrypt"); o.Origin.File != "infrastructure/configs/cluster-issuers.yaml" || o.Origin.Line != 2 {
				t.Errorf("the issuer comes from %s", o.Origin)
			}
			for _, request := range fake.requests {
				if request.Release == "podinfo" && (request.Source.Repository.Version != version || request.Source.Repository.URL != "https://stefanprodan.github.io/podinfo") {
					t.Errorf("podinfo: %+v", request.Source.Repository)
				}
				if request.Release == "cert-manager" && (request.Source.OCI.SemVer != "1.x" || !request.Source.OCI.Copy) {
					t.Errorf("cert-manager: %+v", request.Source.OCI)
				}
			}
			if len(r.Skipped) != 0 {
				t.Errorf("skipped %+v", r.Skipped)
			}
		})
	}
}

func TestSeedsAreFoundAndNotApplied(t *testing.T) {
	repo := files{"s/k.yaml": kustomization("a", "a", "postBuild: {substituteFrom: [{kind: Secret, name: values}]}"), "a/a.yaml": strings.Replace(cm("a"), "{key: value}", "\n  key: ${V}", 1)}
	refused(t, repo, Options{}, "s", "s/k.yaml:2: Kustomization flux-system/a: spec.postBuild.substituteFrom[0] needs Secret flux-system/values", "add it to the seeds")
	r := expanded(t, repo, Options{Seeds: []Seed{{Kind: "Secret", Namespace: "flux-system", Name: "values", Data: map[string][]byte{"V": []byte(canary)}}}}, "s")
	same(t, "objects", listing(r), "ConfigMap x/a < Kustomization flux-system/a")
	if data := object(t, r, "ConfigMap x/a").Object["data"].(map[string]any); data["key"] != canary {
		t.Errorf("data %v", data)
	}
	if _, err := Expand(context.Background(), repo.snapshot(), []string{"s"}, Options{Seeds: []Seed{{Kind: "Pod"}}}); err == nil {
		t.Error("a Pod is taken for a seed")
	}
}

// opening is a decryption that takes the seal off.
type opening struct{}

func (opening) Decrypter(string, map[string][]byte) (render.Decrypter, error) { return opening{}, nil }
func (opening) File(_ string, content []byte) ([]byte, bool, error)           { return content, false, nil }
func (opening) Object(u *unstructured.Unstructured) (bool, error) {
	delete(u.Object, "sops")
	return true, nil
}

func TestAnEncryptedStatePathIsOpenedByItsUnit(t *testing.T) {
	repo := files{"s/sealed.yaml": cm("sealed") + "sops: {mac: ENC}\n", "s/self.yaml": kustomization("self", "s", "decryption: {provider: sops}")}
	r := expanded(t, repo, Options{Decryption: opening{}}, "s")
	if o := object(t, r, "ConfigMap x/sealed"); o.Object["sops"] != nil {
		t.Errorf("still sealed: %v", o.Object)
	}
	refused(t, repo, Options{}, "s", "s/sealed.yaml:1: ")
	delete(repo, "s/self.yaml")
	refused(t, repo, Options{Decryption: opening{}}, "s", "s/sealed.yaml:1: is encrypted with SOPS, and no key is given")
}

func TestKnownKindsAreApplied(t *testing.T) {
	repo := files{"s/k.yaml": kustomization("apps", "apps"), "apps/a.yaml": cm("a")}
	r := expanded(t, repo, Options{KnownKind: func(gk schema.GroupKind) bool { return gk.Kind == "Kustomization" }}, "s")
	object(t, r, "Kustomization.kustomize.toolkit.fluxcd.io flux-system/apps")

}
