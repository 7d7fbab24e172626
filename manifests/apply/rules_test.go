package apply_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/health"
)

func ruled(o manifests.Object, r manifests.Rules) manifests.Object {
	o.Rules = &r
	return o
}

// unschedulable pods never run.
func unschedulable(t *testing.T, o manifests.Object) manifests.Object {
	t.Helper()
	if err := unstructured.SetNestedField(o.Object, map[string]any{"no": "such-node"}, "spec", "template", "spec", "nodeSelector"); err != nil {
		t.Fatal(err)
	}
	return o
}

// refusedMap is a ConfigMap that no API server takes.
func refusedMap(namespace, name string) manifests.Object {
	return planetest.Object(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": namespace, "name": name}, "dta": "x"})
}

func resultsByName(r *apply.Result) map[string]apply.ObjectResult {
	out := map[string]apply.ObjectResult{}
	for _, o := range r.Objects {
		out[o.ID.Name] = o
	}
	return out
}

// An object is applied under the manager that its rules name, and found again by it.
func TestManagerOfTheRules(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("managed"),
		ruled(planetest.ConfigMap("managed", "theirs", "x"), manifests.Rules{Manager: "kustomize-controller"})}
	for round, attempts := range []int{1, 0} {
		r, err := apply.Run(t.Context(), build(t, objects), options())
		if err != nil {
			t.Fatal(err)
		}
		if got := resultsByName(r)["theirs"]; got.Attempts != attempts || got.Adopted != (attempts == 0) {
			t.Errorf("round %d: %+v", round, got)
		}
	}
	live, err := client(t).Resource(configMaps).Namespace("managed").Get(t.Context(), "theirs", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	entries := live.GetManagedFields()
	if len(entries) != 1 || entries[0].Manager != "kustomize-controller" || entries[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("managed by %+v", entries)
	}
}

func TestWhatExistsIsLeftAloneByCreate(t *testing.T) {
	c, ctx := client(t), t.Context()
	if _, err := c.Resource(namespaces).Create(ctx, planetest.Namespace("created").Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resource(configMaps).Namespace("created").Create(ctx, planetest.ConfigMap("created", "old", "theirs").Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	create := manifests.Rules{Write: manifests.WriteCreate}
	r, err := apply.Run(ctx, build(t, []manifests.Object{planetest.Namespace("created"),
		ruled(planetest.ConfigMap("created", "old", "ours"), create), ruled(planetest.ConfigMap("created", "new", "ours"), create)}), options())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"old": "theirs", "new": "ours"} {
		live, err := c.Resource(configMaps).Namespace("created").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if value, _, _ := unstructured.NestedString(live.Object, "data", "value"); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if got := resultsByName(r); !strings.Contains(got["old"].Message, "left as it is") || got["new"].Created || got["new"].Message != "" {
		t.Errorf("results %+v", got)
	}
}

func TestHealthThatIsIgnoredHoldsNothingUp(t *testing.T) {
	web := unschedulable(t, planetest.Deployment("ignored", "web", 1))
	r, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("ignored"),
		ruled(web, manifests.Rules{HealthIgnored: true}), ruled(planetest.ConfigMap("ignored", "later", "x"), manifests.Rules{Wave: 1})}), options())
	if err != nil {
		t.Fatal(err)
	}
	if got := resultsByName(r); got["web"].Status != health.Healthy || got["later"].Attempts != 1 {
		t.Errorf("results %+v", got)
	}
}

// The rule that the repository gives replaces the common ones, by which a ConfigMap is
// always healthy.
func TestHealthByARuleOfTheRepository(t *testing.T) {
	o := options()
	o.Timeout = 3 * time.Second
	_, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("checked"),
		ruled(planetest.ConfigMap("checked", "it", "x"), manifests.Rules{Health: &manifests.HealthCheck{Current: "data.value == 'y'"}})}), o)
	if err == nil || !strings.Contains(err.Error(), "checked/it (configmap.yaml:1): not healthy within 3s") {
		t.Errorf("error %v", err)
	}
}

func TestOptionalObjectsMayFail(t *testing.T) {
	optional := manifests.Rules{Optional: true}
	late := unschedulable(t, planetest.Deployment("optional", "late", 1))
	objects := func() []manifests.Object {
		return []manifests.Object{planetest.Namespace("optional"), ruled(refusedMap("optional", "refused"), optional),
			ruled(late, manifests.Rules{Optional: true, Timeout: 2 * time.Second}),
			ruled(planetest.ConfigMap("optional", "next", "x"), manifests.Rules{Wave: 1})}
	}
	o := options()
	var last apply.Progress
	o.Progress = func(p apply.Progress) { last = p }
	r, err := apply.Run(t.Context(), build(t, objects()), o)
	if err != nil {
		t.Fatal(err)
	}
	got := resultsByName(r)
	for name, want := range map[string]string{"refused": "field not declared in schema", "late": "not healthy within 2s"} {
		if x := got[name]; !x.Failed || !x.Optional || x.Status == health.Healthy || !strings.Contains(x.Message, want) {
			t.Errorf("%s: %+v", name, x)
		}
	}
	if x := got["next"]; x.Status != health.Healthy || x.Optional || x.ReleasedAt.IsZero() || x.StartedAt.Before(x.ReleasedAt) {
		t.Errorf("next: %+v", x)
	}
	if last.GivenUp != 2 || last.Healthy != 2 || last.Wave != 0 {
		t.Errorf("progress %+v", last)
	}
	o.MaxFailures = 1
	var failed *apply.Error
	_, err = apply.Run(t.Context(), build(t, objects()), o)
	if !errors.As(err, &failed) || len(failed.Failed) != 1 || !strings.Contains(err.Error(), "no more than 1 such objects may fail") {
		t.Errorf("error %v", err)
	}
}

// What is in an optional namespace cannot be without it.
func TestWhatNeedsAnOptionalObject(t *testing.T) {
	gone := planetest.Namespace("gone")
	gone.SetLabels(map[string]string{"bad": "not a label!"})
	gone = ruled(gone, manifests.Rules{Optional: true})
	inside := planetest.ConfigMap("gone", "inside", "x")
	r, err := apply.Run(t.Context(), build(t, []manifests.Object{gone, ruled(inside, manifests.Rules{Optional: true})}), options())
	if err != nil {
		t.Fatal(err)
	}
	if got := resultsByName(r)["inside"]; !got.Failed || got.Attempts != 0 || !strings.Contains(got.Message, "it cannot be without Namespace gone, which is optional and failed") {
		t.Errorf("inside: %+v", got)
	}
	_, err = apply.Run(t.Context(), build(t, []manifests.Object{gone, inside}), options())
	if err == nil || !strings.Contains(err.Error(), "ConfigMap gone/inside (configmap.yaml:1): it cannot be without Namespace gone") {
		t.Errorf("error %v", err)
	}
}

// A panic below ends one run, with an error that names what it was about.
func TestAPanicEndsOneRun(t *testing.T) {
	tests := map[string]struct {
		at   func(r *http.Request) bool
		want string
	}{
		"a write": {func(r *http.Request) bool {
			return r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/deployments/web")
		}, "Deployment.apps panic-write/web (deployment.yaml:1): a fault in Refloat itself"},
		"a watch": {func(r *http.Request) bool {
			return r.URL.Query().Get("watch") == "true" && strings.HasSuffix(r.URL.Path, "/deployments")
		}, "a fault in Refloat itself"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			o := options()
			o.Config = rest.CopyConfig(plane.Config)
			o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					if tt.at(r) {
						none := map[string]*string{}
						*none["hunter2"] = "x"
					}
					return next.RoundTrip(r)
				})
			})
			namespace := "panic-" + strings.TrimPrefix(name, "a ") // what one case writes the other would adopt
			web := unschedulable(t, planetest.Deployment(namespace, "web", 1))
			_, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace(namespace), web}), o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "nil pointer") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v", err)
			}
		})
	}
}
