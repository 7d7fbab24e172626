package apply_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
)

var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

func inherited() apply.Options {
	o := options()
	o.Inherited = true
	return o
}

// What an earlier run wrote is written again where the repository changed, and nowhere else;
// and not once more by a process that takes over.
func TestAnotherRunWritesWhatChanged(t *testing.T) {
	const ns = "mended"
	account := bareAccount(ns, "bare")
	state := func(web manifests.Object, data map[string]any) []manifests.Object {
		changed := planetest.ConfigMap(ns, "changed", "x")
		changed.Object["data"] = data
		return []manifests.Object{planetest.Namespace(ns), account, planetest.ConfigMap(ns, "same", "x"), changed, web}
	}
	o := options()
	o.Timeout = 3 * time.Second
	if _, err := apply.Run(t.Context(), build(t, state(unschedulable(t, planetest.Deployment(ns, "web", 1)), map[string]any{"a": "1", "b": "2"})), o); err == nil {
		t.Fatal("pods without a node ran")
	}
	mended := state(planetest.Deployment(ns, "web", 1), map[string]any{"b": "3"})
	for round, again := range []map[string]bool{{"web": true, "changed": true}, {}} {
		r, err := apply.Run(t.Context(), build(t, mended), inherited())
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range resultsByName(r) {
			if want := again[name]; got.Adopted == want || (got.Attempts == 1) != want {
				t.Errorf("round %d: %s: adopted %t after %d attempts", round, name, got.Adopted, got.Attempts)
			}
		}
	}
	live, err := client(t).Resource(deployments).Namespace(ns).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if selector, found, _ := unstructured.NestedMap(live.Object, "spec", "template", "spec", "nodeSelector"); found {
		t.Errorf("the pods still want a node with %v", selector)
	}
	changed, err := client(t).Resource(configMaps).Namespace(ns).Get(t.Context(), "changed", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if data, _, _ := unstructured.NestedMap(changed.Object, "data"); len(data) != 1 || data["b"] != "3" {
		t.Errorf("data %v", data)
	}
}

// A field that somebody set by hand meanwhile is as the repository has it again.
func TestAnotherRunUndoesHands(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("handled"), planetest.ConfigMap("handled", "a", "x")}
	if _, err := apply.Run(t.Context(), build(t, objects), options()); err != nil {
		t.Fatal(err)
	}
	maps := client(t).Resource(configMaps).Namespace("handled")
	live, err := maps.Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want, _, _ := unstructured.NestedMap(live.Object, "data")
	for key := range want {
		if err := unstructured.SetNestedField(live.Object, "by hand", "data", key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := maps.Update(t.Context(), live, metav1.UpdateOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	if _, err := apply.Run(t.Context(), build(t, objects), inherited()); err != nil {
		t.Fatal(err)
	}
	live, err = maps.Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range want {
		if got, _, _ := unstructured.NestedString(live.Object, "data", key); got != value {
			t.Errorf("data.%s is %q, not %q", key, got, value)
		}
	}
}

// What cannot be changed is an error that says what to do, never taken for right.
func TestAnotherRunCannotChange(t *testing.T) {
	job := func(image string) manifests.Object {
		return planetest.Object(map[string]any{"apiVersion": "batch/v1", "kind": "Job",
			"metadata": map[string]any{"namespace": "fixed", "name": "migrate"},
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"restartPolicy": "Never",
				"containers": []any{map[string]any{"name": "a", "image": image}}}}}})
	}
	created := func(second string) manifests.Object {
		web := planetest.Deployment("fixed", "web", 0)
		containers, _, _ := unstructured.NestedSlice(web.Object, "spec", "template", "spec", "containers")
		containers[0].(map[string]any)["env"] = []any{map[string]any{"name": "A", "value": "1"}, map[string]any{"name": "A", "value": second}}
		if err := unstructured.SetNestedSlice(web.Object, containers, "spec", "template", "spec", "containers"); err != nil {
			t.Fatal(err)
		}
		return web
	}
	unminded := func(o manifests.Object) manifests.Object { return ruled(o, manifests.Rules{HealthIgnored: true}) }
	for name, test := range map[string]struct {
		first, second manifests.Object
		says          string // empty when it goes well
	}{
		"the same job":                     {job("a"), job("a"), ""},
		"another job":                      {job("a"), job("b"), "remove it, or write the value that it has"},
		"what was created, as it was":      {created("2"), created("2"), ""},
		"what was created, and is changed": {created("2"), created("3"), "an earlier run created it with another content"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := planetest.Namespace("fixed-" + strings.NewReplacer(" ", "-", ",", "").Replace(name))
			for _, o := range []manifests.Object{test.first, test.second} {
				o.SetNamespace(ns.GetName())
				o.SetName("one")
			}
			if _, err := apply.Run(t.Context(), build(t, []manifests.Object{ns, unminded(test.first)}), options()); err != nil {
				t.Fatal(err)
			}
			_, err := apply.Run(t.Context(), build(t, []manifests.Object{ns, unminded(test.second)}), inherited())
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
		})
	}
}
