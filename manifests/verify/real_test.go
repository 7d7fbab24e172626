package verify_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/verify"
)

var (
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secrets     = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

func client(t *testing.T) dynamic.Interface {
	t.Helper()
	c, err := dynamic.NewForConfig(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func applied(t *testing.T, objects []manifests.Object) {
	t.Helper()
	g, err := order.Build(objects, order.Options{Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	o := apply.Options{Config: plane.Config, Simulated: true, Timeout: time.Minute}
	if _, err := apply.Run(t.Context(), g, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, objects) })
}

// remove the namespaces, waiting until they are gone, and what is not in one.
func remove(t *testing.T, objects []manifests.Object) {
	c, ctx := client(t), context.Background()
	namespaces := c.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	for _, o := range objects {
		switch o.GetKind() {
		case "Namespace":
			list := metav1.ListOptions{FieldSelector: "metadata.name=" + o.GetName()}
			w, err := namespaces.Watch(ctx, list)
			if err != nil {
				t.Error(err)
				continue
			}
			if err := namespaces.Delete(ctx, o.GetName(), metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
			for e := range w.ResultChan() {
				if e.Type == "DELETED" {
					break
				}
			}
			w.Stop()
		case "CustomResourceDefinition":
			definitions := c.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
			if err := definitions.Delete(ctx, o.GetName(), metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
	}
}

func verified(t *testing.T, objects []manifests.Object, o verify.Options) *verify.Report {
	t.Helper()
	o.Config, o.Simulated = plane.Config, true
	started := time.Now()
	r, err := verify.Verify(t.Context(), objects, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("verified %d objects in %s", r.Rendered, time.Since(started))
	return r
}

func only(t *testing.T, what string, found []verify.Finding, id, detail string) {
	t.Helper()
	if id == "" {
		if len(found) != 0 {
			t.Errorf("%s: %+v, want none", what, found)
		}
		return
	}
	if len(found) != 1 || found[0].ID.String() != id || !strings.Contains(found[0].Detail, detail) {
		t.Errorf("%s: %+v, want only %s with %q", what, found, id, detail)
	}
}

func TestFreshlyAppliedObjectsMatch(t *testing.T) {
	objects := planetest.Mixed(150, "fresh")
	objects = append(objects, planetest.Deployment("fresh-0", "web", 2))
	applied(t, objects)
	r := verified(t, objects, verify.Options{})
	if !r.Clean() || r.Healthy != len(objects) || len(r.Weak) != 0 {
		t.Errorf("report %+v", r)
	}
	only(t, "extra", r.Extra, "", "")
}

func TestDriftIsFound(t *testing.T) {
	objects := planetest.Mixed(30, "drift")
	objects = append(objects, planetest.Namespace("drift-x"), planetest.ConfigMap("drift-x", "kept", "one"),
		planetest.ConfigMap("drift-x", "lost", "two"), planetest.Deployment("drift-x", "web", 1),
		planetest.Object(map[string]any{"apiVersion": "v1", "kind": "Secret",
			"metadata":   map[string]any{"namespace": "drift-x", "name": "key"},
			"stringData": map[string]any{"password": "correct horse"}}))
	applied(t, objects)
	c := client(t)
	ctx := t.Context()
	patch := func(gvr schema.GroupVersionResource, name, body, manager string) func(t *testing.T) {
		return func(t *testing.T) {
			t.Helper()
			_, err := c.Resource(gvr).Namespace("drift-x").Patch(ctx, name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: manager})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := map[string]struct {
		change, undo                    func(t *testing.T)
		missing, changed, extra, detail string
	}{
		"a changed value": {
			change:  patch(configMaps, "kept", `{"data":{"value":"other"}}`, "somebody"),
			undo:    patch(configMaps, "kept", `{"data":{"value":"one"}}`, manifests.FieldManager),
			changed: "ConfigMap drift-x/kept", detail: `data.value: rendered "one", live "other"`,
		},
		"a removed label": {
			change:  patch(configMaps, "kept", `{"metadata":{"labels":null}}`, "somebody"),
			undo:    patch(configMaps, "kept", `{"metadata":{"labels":{"app.kubernetes.io/name":"kept"}}}`, "somebody"),
			changed: "ConfigMap drift-x/kept", detail: "metadata.labels",
		},
		"an image": {
			change:  patch(deployments, "web", `{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"evil"}]}}}}`, "somebody"),
			undo:    nil,
			changed: "Deployment.apps drift-x/web", detail: "spec.template.spec.containers[0]",
		},
		"an annotation that a person added": {
			change:  patch(configMaps, "kept", `{"metadata":{"annotations":{"note":"mine"}}}`, "kubectl-edit"),
			undo:    patch(configMaps, "kept", `{"metadata":{"annotations":null}}`, "kubectl-edit"),
			changed: "ConfigMap drift-x/kept", detail: "set by kubectl-edit",
		},
		"a secret value is not shown": {
			change:  patch(secrets, "key", `{"stringData":{"password":"battery staple"}}`, "somebody"),
			undo:    nil,
			changed: "Secret drift-x/key", detail: "data.password differs (value not shown)",
		},
		"a deleted object": {
			change: func(t *testing.T) {
				if err := c.Resource(configMaps).Namespace("drift-x").Delete(ctx, "lost", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			missing: "ConfigMap drift-x/lost", detail: "does not exist",
		},
		"an extra object": {
			change: func(t *testing.T) {
				extra := planetest.ConfigMap("default", "mine", "x")
				if _, err := c.Resource(configMaps).Namespace("default").Create(ctx, extra.Unstructured, metav1.CreateOptions{FieldManager: "somebody"}); err != nil {
					t.Fatal(err)
				}
			},
			undo: func(t *testing.T) {
				if err := c.Resource(configMaps).Namespace("default").Delete(ctx, "mine", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			extra: "ConfigMap default/mine", detail: "somebody",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.change(t)
			r := verified(t, objects, verify.Options{})
			only(t, "missing", r.Missing, tc.missing, tc.detail)
			only(t, "changed", r.Changed, tc.changed, tc.detail)
			only(t, "extra", r.Extra, tc.extra, tc.detail)
			if r.Matched+len(r.Missing)+len(r.Changed) != len(objects) {
				t.Errorf("the counts do not add up: %+v", r)
			}
			if tc.undo != nil {
				tc.undo(t)
				return
			}
			// Applying again does not write what a run holds, so the object is made anew.
			for _, id := range []string{tc.missing, tc.changed} {
				remake(t, objects, id)
			}
		})
	}
}

// remake deletes an object, if it is there, and applies the set again.
func remake(t *testing.T, objects []manifests.Object, id string) {
	t.Helper()
	resources := map[string]schema.GroupVersionResource{"ConfigMap": configMaps, "Secret": secrets, "Deployment": deployments}
	for _, o := range objects {
		if o.ID().String() == id {
			foreground := metav1.DeletePropagationBackground
			_ = client(t).Resource(resources[o.GetKind()]).Namespace(o.GetNamespace()).Delete(t.Context(), o.GetName(),
				metav1.DeleteOptions{PropagationPolicy: &foreground})
		}
	}
	g, err := order.Build(objects, order.Options{Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply.Run(t.Context(), g, apply.Options{Config: plane.Config, Simulated: true, Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
}

func TestNothingToVerifyIsAnError(t *testing.T) {
	if _, err := verify.Verify(t.Context(), nil, verify.Options{Config: plane.Config}); !errors.Is(err, verify.ErrNothing) {
		t.Errorf("error %v, want %v", err, verify.ErrNothing)
	}
}

func TestUnreachableClusterIsAnError(t *testing.T) {
	config := *plane.Config
	config.Host = "https://127.0.0.1:1"
	if r, err := verify.Verify(t.Context(), planetest.Mixed(10, "none"), verify.Options{Config: &config}); err == nil || r != nil {
		t.Errorf("report %+v and error %v", r, err)
	}
}

func TestExpectedObjectsAreNotExtra(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("seeded"), planetest.ConfigMap("seeded", "a", "b")}
	applied(t, objects)
	seed := planetest.ConfigMap("seeded", "seed", "x")
	if _, err := client(t).Resource(configMaps).Namespace("seeded").Create(t.Context(), seed.Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	only(t, "extra", verified(t, objects, verify.Options{}).Extra, seed.ID().String(), "")
	only(t, "extra", verified(t, objects, verify.Options{Expected: []manifests.ID{seed.ID()}}).Extra, "", "")
}
