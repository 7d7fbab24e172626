package verify_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// ruled is an object with rules.
func ruled(o manifests.Object, r manifests.Rules) manifests.Object {
	o.Rules = &r
	return o
}

func patched(t *testing.T, gvr schema.GroupVersionResource, namespace, name, body, manager string) {
	t.Helper()
	_, err := client(t).Resource(gvr).Namespace(namespace).Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		t.Fatal(err)
	}
}

func exemptBy(t *testing.T, r *verify.Report, id, rule, detail string) {
	t.Helper()
	for _, f := range r.Exempt {
		if f.ID.String() == id && f.Rule == rule && strings.Contains(f.Detail, detail) {
			return
		}
	}
	t.Errorf("exempt %+v, want %s by %q with %q", r.Exempt, id, rule, detail)
}

func TestThoroughAsksAboutEveryObject(t *testing.T) {
	objects := planetest.Mixed(60, "thorough")
	objects = append(objects, planetest.Deployment("thorough-0", "web", 1))
	applied(t, objects)
	config, dry, real := counted()
	r, err := verify.Verify(t.Context(), objects, verify.Options{Config: config, Simulated: true, Thorough: true})
	if err != nil || !r.Clean() || !r.Thorough {
		t.Fatalf("report %+v, error %v", r, err)
	}
	if int(dry.Load()) < len(objects) || real.Load() != 0 {
		t.Errorf("%d dry runs and %d writes for %d objects", dry.Load(), real.Load(), len(objects))
	}
	live, err := client(t).Resource(deployments).Namespace("thorough-0").Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range live.GetManagedFields() {
		if m.Manager == verify.Manager {
			t.Errorf("the verification owns fields: %v", m)
		}
	}
	patched(t, deployments, "thorough-0", "web", `{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"evil"}]}}}}`, "somebody")
	r, err = verify.Verify(t.Context(), objects, verify.Options{Config: config, Simulated: true, Thorough: true})
	if err != nil || r.Clean() {
		t.Fatalf("report %+v, error %v", r, err)
	}
	only(t, "changed", r.Changed, "Deployment.apps thorough-0/web", "spec.template.spec.containers[0]")
}

func TestThoroughSeesWhatIsNotRenderedAnyMore(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("removed"), planetest.ConfigMap("removed", "a", "x")}
	applied(t, objects)
	later := []manifests.Object{objects[0], planetest.ConfigMap("removed", "a", "x")}
	later[1].SetLabels(nil)
	r := verified(t, later, verify.Options{Thorough: true})
	only(t, "changed", r.Changed, "ConfigMap removed/a", "metadata.labels")
}

func TestChangesSayWhoAndWhen(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("who"), planetest.Deployment("who", "web", 1)}
	applied(t, objects)
	before := time.Now().Add(-2 * time.Second)
	patched(t, deployments, "who", "web", `{"spec":{"replicas":3}}`, "kubectl-scale")
	r := verified(t, objects, verify.Options{})
	only(t, "changed", r.Changed, "Deployment.apps who/web", "(set by kubectl-scale at ")
	if len(r.Changed) != 1 || len(r.Changed[0].Changes) != 1 {
		t.Fatalf("changed %+v", r.Changed)
	}
	c := r.Changed[0].Changes[0]
	if c.Path != "spec.replicas" || c.Rendered != "1" || c.Live != "3" || c.Manager != "kubectl-scale" || c.Time.Before(before) {
		t.Errorf("change %+v", c)
	}
}

func TestAnotherManagerProvesAsMuch(t *testing.T) {
	rules := manifests.Rules{Manager: "kustomize-controller"}
	objects := []manifests.Object{planetest.Namespace("managed"), ruled(planetest.ConfigMap("managed", "a", "x"), rules)}
	applied(t, objects[:1])
	_, err := client(t).Resource(configMaps).Namespace("managed").Apply(t.Context(), "a", objects[1].Unstructured, metav1.ApplyOptions{FieldManager: rules.Manager})
	if err != nil {
		t.Fatal(err)
	}
	config, dry, _ := counted()
	r, err := verify.Verify(t.Context(), objects, verify.Options{Config: config, Simulated: true})
	if err != nil || !r.Clean() || dry.Load() != 0 {
		t.Errorf("report %+v, %d dry runs, error %v", r, dry.Load(), err)
	}
	// What that manager applied before and is rendered no more would be removed.
	less := planetest.ConfigMap("managed", "a", "x")
	less.SetLabels(nil)
	r = verified(t, []manifests.Object{objects[0], ruled(less, rules)}, verify.Options{})
	only(t, "changed", r.Changed, "ConfigMap managed/a", "metadata.labels")
}

func TestRulesExempt(t *testing.T) {
	pointers := manifests.Rules{Ignore: []manifests.IgnoredFields{{From: "Application a: spec.ignoreDifferences[0]", Pointers: []string{"/data/value"}}}}
	jq := manifests.Rules{Ignore: []manifests.IgnoredFields{{From: "argocd-cm", JQ: []string{".data.value"}}}}
	managers := manifests.Rules{Ignore: []manifests.IgnoredFields{{From: "of a manager", Managers: []string{"tuner"}}}}
	broken := manifests.Rules{Ignore: []manifests.IgnoredFields{{From: "broken", JQ: []string{"def f: f; f"}}}}
	objects := []manifests.Object{
		planetest.Namespace("rules"),
		ruled(planetest.ConfigMap("rules", "pointers", "1"), pointers),
		ruled(planetest.ConfigMap("rules", "jq", "1"), jq),
		ruled(planetest.ConfigMap("rules", "managers", "1"), managers),
		ruled(planetest.ConfigMap("rules", "unused", "1"), pointers),
		ruled(planetest.ConfigMap("rules", "create", "1"), manifests.Rules{Write: manifests.WriteCreate}),
	}
	applied(t, objects)
	for _, name := range []string{"pointers", "jq", "create"} {
		patched(t, configMaps, "rules", name, `{"data":{"value":"2"}}`, "somebody")
	}
	patched(t, configMaps, "rules", "managers", `{"data":{"value":"2"}}`, "tuner")
	objects = append(objects,
		ruled(planetest.ConfigMap("rules", "never", "1"), manifests.Rules{Write: manifests.WriteNever}),
		ruled(planetest.ConfigMap("rules", "hook", "1"), manifests.Rules{Hook: &manifests.Hook{DeleteSucceeded: true}}),
		ruled(planetest.ConfigMap("rules", "optional", "1"), manifests.Rules{Optional: true}))
	for _, thorough := range []bool{false, true} {
		r := verified(t, objects, verify.Options{Thorough: thorough})
		if !r.Clean() || r.Skipped != 3 || r.Matched != 6 {
			t.Fatalf("thorough %t: report %+v", thorough, r)
		}
		exemptBy(t, r, "ConfigMap rules/pointers", pointers.Ignore[0].From, "data.value may differ, and does")
		exemptBy(t, r, "ConfigMap rules/jq", "argocd-cm", "data.value")
		exemptBy(t, r, "ConfigMap rules/managers", "of a manager", "data.value")
		exemptBy(t, r, "ConfigMap rules/create", "the repository asks to leave it alone once it exists", `rendered "1", live "2" (set by somebody at`)
		exemptBy(t, r, "ConfigMap rules/never", "the repository asks not to write it", "not looked for")
		exemptBy(t, r, "ConfigMap rules/hook", "it is a hook that is removed once it succeeded", "it is gone")
		exemptBy(t, r, "ConfigMap rules/optional", "it is optional", "does not exist")
		if len(r.Exempt) != 7 {
			t.Errorf("thorough %t: exempt %+v", thorough, r.Exempt)
		}
	}
	t.Run("elsewhere than the rule says", func(t *testing.T) {
		patched(t, configMaps, "rules", "pointers", `{"data":{"other":"2"},"metadata":{"labels":{"app.kubernetes.io/name":"x"}}}`, "somebody")
		only(t, "changed", verified(t, objects, verify.Options{}).Changed, "ConfigMap rules/pointers", "metadata.labels")
	})
	t.Run("a rule that loops is no match", func(t *testing.T) {
		patched(t, configMaps, "rules", "unused", `{"data":{"value":"2"}}`, "somebody")
		objects[4].Rules = &broken
		r := verified(t, objects[4:5], verify.Options{})
		only(t, "changed", r.Changed, "ConfigMap rules/unused", "took longer than")
	})
}

func TestObjectsThatAreNeverWrittenAreNotExtra(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("never"), ruled(planetest.ConfigMap("never", "a", "1"), manifests.Rules{Write: manifests.WriteNever})}
	applied(t, objects[:1])
	if _, err := client(t).Resource(configMaps).Namespace("never").Create(t.Context(), planetest.ConfigMap("never", "a", "2").Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r := verified(t, objects, verify.Options{})
	only(t, "extra", r.Extra, "", "")
	if !r.Clean() || r.Skipped != 1 {
		t.Errorf("report %+v", r)
	}
	// Where nothing is looked for, nothing is proven.
	if r := verified(t, objects[1:], verify.Options{}); r.Clean() {
		t.Errorf("report %+v", r)
	}
}

func TestHealthThatIsNotAskedFor(t *testing.T) {
	web := planetest.Deployment("ill", "web", 1)
	objects := []manifests.Object{planetest.Namespace("ill"), web}
	applied(t, objects)
	// Nothing schedules a pod of this kind, so the new one stays pending.
	patch := `{"spec":{"template":{"spec":{"nodeSelector":{"no":"where"}}}}}`
	patched(t, deployments, "ill", "web", patch, "somebody")
	r := verified(t, objects, verify.Options{})
	if len(r.Unhealthy) != 1 {
		t.Errorf("report %+v", r)
	}
	r = verified(t, []manifests.Object{objects[0], ruled(web, manifests.Rules{HealthIgnored: true})}, verify.Options{})
	if len(r.Unhealthy) != 0 {
		t.Errorf("report %+v", r)
	}
	exemptBy(t, r, "Deployment.apps ill/web", "its health is not asked for", "Progressing")
}

func TestLiveDigestTellsStatesApart(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("digest"), planetest.ConfigMap("digest", "a", "1")}
	applied(t, objects)
	first := verified(t, objects, verify.Options{})
	patched(t, configMaps, "digest", "a", `{"data":{"added":"by a controller"}}`, "controller")
	if again := verified(t, objects, verify.Options{Thorough: true}); len(first.LiveDigest) != 64 || again.LiveDigest != first.LiveDigest {
		t.Errorf("digests %q and %q of the same rendered fields", first.LiveDigest, again.LiveDigest)
	}
	if first.ClusterID == "" {
		t.Error("the cluster has no identity")
	}
	other := []manifests.Object{objects[0], planetest.ConfigMap("digest", "a", "2")}
	patched(t, configMaps, "digest", "a", `{"data":{"value":"2"}}`, "controller")
	if r := verified(t, other, verify.Options{}); !r.Clean() || r.LiveDigest == first.LiveDigest {
		t.Errorf("report %+v has the digest of another state", r)
	}
	if r := verified(t, objects, verify.Options{}); r.LiveDigest != "" {
		t.Errorf("a cluster that differs has digest %s", r.LiveDigest)
	}
}

func TestHealthHasToLast(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("stable"), planetest.Deployment("stable", "web", 1)}
	applied(t, objects)
	disturbed := false
	var said []string
	started := time.Now()
	r := verified(t, objects, verify.Options{StableFor: 3 * time.Second, Tell: func(w verify.Wait) {
		said = append(said, w.For)
		if !disturbed && len(said) > 1 {
			disturbed = true
			pods := client(t).Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("stable")
			if err := pods.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
				t.Error(err)
			}
		}
	}})
	if !r.Clean() || r.StableFor != 3*time.Second || time.Since(started) < 3*time.Second {
		t.Errorf("report %+v after %s", r, time.Since(started))
	}
	all := strings.Join(said, "\n")
	if !strings.Contains(all, "2 objects to stay healthy for 3s") || !strings.Contains(all, "Deployment.apps stable/web is not") {
		t.Errorf("waited for:\n%s", all)
	}
}

func TestOtherObjectsAreGroupedByReason(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("groups"), planetest.Deployment("groups", "web", 1)}
	applied(t, objects)
	r := verified(t, objects, verify.Options{})
	seen := map[verify.Class]int{}
	for _, g := range r.Others {
		if g.Reason == "" || g.Count == 0 || g.Example.Kind == "" {
			t.Errorf("group %+v", g)
		}
		seen[g.Class] += g.Count
	}
	if seen[verify.Derived] < 2 || seen[verify.System] < 50 {
		t.Errorf("groups %+v", r.Others)
	}
}
