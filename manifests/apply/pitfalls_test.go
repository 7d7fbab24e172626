package apply_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
)

// Each test here provokes, on a real API server, what makes a first apply to a fresh
// cluster fail or lie with simpler tools.

// crd defines one kind in one version of a group.
func crd(group, version, kind, padding string) manifests.Object {
	plural := strings.ToLower(kind) + "s"
	return planetest.Object(map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + group},
		"spec": map[string]any{"group": group, "scope": "Namespaced",
			"names": map[string]any{"kind": kind, "plural": plural, "singular": strings.ToLower(kind)},
			"versions": []any{map[string]any{"name": version, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "description": padding,
					"properties": map[string]any{"spec": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}}}})
}

func instance(group, version, kind, namespace string) manifests.Object {
	return planetest.Object(map[string]any{"apiVersion": group + "/" + version, "kind": kind,
		"metadata": map[string]any{"namespace": namespace, "name": "one"}, "spec": map[string]any{"a": "b"}})
}

// all objects are healthy after one request each.
func allAtOnce(t *testing.T, r *apply.Result, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Objects {
		if o.Status != health.Healthy || o.Attempts > 1 {
			t.Errorf("%s: %s %q after %d attempts", o.ID, o.Status, o.Message, o.Attempts)
		}
	}
}

// An established definition is not served at once by every API server.
func TestEstablishedButNotServed(t *testing.T) {
	var refused, early atomic.Int32
	o := options()
	o.Config = rest.CopyConfig(plane.Config)
	o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if !strings.Contains(r.URL.Path, "/apis/late.planetest.dev/v1/") {
				return next.RoundTrip(r)
			}
			if r.Method == http.MethodPatch && refused.Load() < 5 {
				early.Add(1)
			}
			if r.Method == http.MethodGet && refused.Add(1) <= 5 {
				return response(r, 404, "404 page not found"), nil
			}
			return next.RoundTrip(r)
		})
	})
	r, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("late-kind"),
		crd("late.planetest.dev", "v1", "Late", ""), instance("late.planetest.dev", "v1", "Late", "late-kind")}), o)
	allAtOnce(t, r, err)
	if refused.Load() <= 5 || early.Load() > 0 {
		t.Errorf("asked %d times, sent %d times before it was served", refused.Load(), early.Load())
	}
}

// A group that is known gains a version that is not.
func TestNewVersionInAKnownGroup(t *testing.T) {
	const group = "growing.planetest.dev"
	first := []manifests.Object{planetest.Namespace("growing"), crd(group, "v1", "Old", ""), instance(group, "v1", "Old", "growing")}
	r, err := apply.Run(t.Context(), build(t, first), options())
	allAtOnce(t, r, err)
	r, err = apply.Run(t.Context(), build(t, append(first, crd(group, "v2", "New", ""), instance(group, "v2", "New", "growing"))), options())
	allAtOnce(t, r, err)
}

// Definitions beyond what fits an annotation, and nearly beyond what etcd takes.
func TestLargeDefinitions(t *testing.T) {
	for name, size := range map[string]int{"big": 300 << 10, "huge": 1200 << 10} {
		group := name + ".planetest.dev"
		r, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("crd-" + name),
			crd(group, "v1", "Thing", strings.Repeat("0123456789abcde ", size/16)), instance(group, "v1", "Thing", "crd-"+name)}), options())
		allAtOnce(t, r, err)
	}
}

// An aggregated API that nothing answers breaks the discovery of its own group alone.
func TestUnavailableAPIService(t *testing.T) {
	api := planetest.Object(map[string]any{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1.nobody.planetest.dev"},
		"spec": map[string]any{"group": "nobody.planetest.dev", "version": "v1", "groupPriorityMinimum": int64(100), "versionPriority": int64(10),
			"insecureSkipTLSVerify": true, "service": map[string]any{"namespace": "aggregated", "name": "nobody"}}})
	c := client(t).Resource(schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"})
	t.Cleanup(func() {
		if err := c.Delete(t.Context(), api.GetName(), metav1.DeleteOptions{}); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	group := "beside.planetest.dev"
	objects := []manifests.Object{planetest.Namespace("aggregated"), api, planetest.ConfigMap("aggregated", "other", "x"),
		crd(group, "v1", "Beside", ""), instance(group, "v1", "Beside", "aggregated")}
	for round := range 2 {
		r, err := apply.Run(t.Context(), build(t, objects), options())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range r.Objects {
			want := health.Healthy
			if o.ID == api.ID() {
				want = health.NotProvable
			}
			if o.Status != want || o.Attempts > 1 {
				t.Errorf("round %d: %s: %s %q after %d attempts", round, o.ID, o.Status, o.Message, o.Attempts)
			}
		}
	}
	o := options()
	o.Simulated, o.Timeout = false, 3*time.Second
	g, err := order.Build(objects, order.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = apply.Run(t.Context(), g, o); err == nil || !strings.Contains(err.Error(), "APIService.apiregistration.k8s.io v1.nobody.planetest.dev") ||
		!strings.Contains(err.Error(), "not healthy within 3s: it is not available") {
		t.Errorf("error %v", err)
	}
}

// The empty rules of an aggregated role in Git do not take away what was collected.
func TestAggregatedRoleKeepsItsRules(t *testing.T) {
	role := planetest.Object(map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": map[string]any{"name": "planetest-all"},
		"rules":           []any{},
		"aggregationRule": map[string]any{"clusterRoleSelectors": []any{map[string]any{"matchLabels": map[string]any{"planetest": "part"}}}}})
	part := planetest.Object(map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
		"metadata": map[string]any{"name": "planetest-part", "labels": map[string]any{"planetest": "part"}},
		"rules":    []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"get"}}}})
	c := client(t).Resource(schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"})
	collected := func() int {
		live, err := c.Get(t.Context(), "planetest-all", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rules, _, _ := unstructured.NestedSlice(live.Object, "rules")
		return len(rules)
	}
	r, err := apply.Run(t.Context(), build(t, []manifests.Object{role, part}), options())
	allAtOnce(t, r, err)
	err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return collected() == 1, nil })
	if err != nil {
		t.Fatal("no controller collected the rules")
	}
	// Another manager has to apply it once more.
	r, err = apply.Run(t.Context(), build(t, []manifests.Object{ruled(role, manifests.Rules{Manager: "again"}), part}), options())
	allAtOnce(t, r, err)
	if n := collected(); n != 1 || resultsByName(r)["planetest-all"].Attempts != 1 {
		t.Errorf("%d rules are left after it was applied again", n)
	}
}

// A placeholder for a certificate is refused once the definition exists.
func TestPlaceholderOfAConversionWebhook(t *testing.T) {
	converted := func(manager string) manifests.Object {
		d := crd("converted.planetest.dev", "v1", "Converted", "")
		webhook := map[string]any{"strategy": "Webhook", "webhook": map[string]any{"conversionReviewVersions": []any{"v1"},
			"clientConfig": map[string]any{"caBundle": "Cg==", "service": map[string]any{"namespace": "default", "name": "nobody"}}}}
		if err := unstructured.SetNestedMap(d.Object, webhook, "spec", "conversion"); err != nil {
			t.Fatal(err)
		}
		return ruled(d, manifests.Rules{Manager: manager})
	}
	for _, manager := range []string{"first", "second"} {
		r, err := apply.Run(t.Context(), build(t, []manifests.Object{converted(manager)}), options())
		allAtOnce(t, r, err)
	}
}

// What exists with another value in a field that cannot change is an error, and is
// still there afterwards.
func TestImmutableFieldIsAnError(t *testing.T) {
	c, ctx := client(t), t.Context()
	if _, err := c.Resource(namespaces).Create(ctx, planetest.Namespace("immutable").Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	old := planetest.ConfigMap("immutable", "fixed", "old")
	old.Object["immutable"] = true
	before, err := c.Resource(configMaps).Namespace("immutable").Create(ctx, old.Unstructured, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	_, err = apply.Run(ctx, build(t, []manifests.Object{planetest.Namespace("immutable"), planetest.ConfigMap("immutable", "fixed", "new")}), options())
	if err == nil || !strings.Contains(err.Error(), "immutable/fixed (configmap.yaml:1)") || !strings.Contains(err.Error(), "never deleted to change it") {
		t.Errorf("error %v", err)
	}
	if time.Since(started) > 20*time.Second {
		t.Error("a final refusal was retried")
	}
	after, err := c.Resource(configMaps).Namespace("immutable").Get(ctx, "fixed", metav1.GetOptions{})
	if err != nil || after.GetUID() != before.GetUID() {
		t.Errorf("the object was replaced, or is gone: %v", err)
	}
}

// A quota that was created a moment ago has counted nothing yet.
func TestQuotaThatIsNotCountedYet(t *testing.T) {
	objects := []manifests.Object{planetest.Namespace("counted"), planetest.Object(map[string]any{"apiVersion": "v1", "kind": "ResourceQuota",
		"metadata": map[string]any{"namespace": "counted", "name": "maps"}, "spec": map[string]any{"hard": map[string]any{"count/configmaps": "100", "count/secrets": "100"}}})}
	for i := range 40 {
		objects = append(objects, planetest.ConfigMap("counted", fmt.Sprintf("c%d", i), "x"))
	}
	r, err := apply.Run(t.Context(), build(t, objects), options())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Objects {
		if o.Status != health.Healthy {
			t.Errorf("%s: %s %s", o.ID, o.Status, o.Message)
		}
	}
}

// A claim that waits for its first consumer is waited for by nobody else.
func TestClaimThatWaitsForItsConsumer(t *testing.T) {
	class := planetest.Object(map[string]any{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": map[string]any{"name": "planetest-late"},
		"provisioner": "planetest.dev/none", "volumeBindingMode": "WaitForFirstConsumer"})
	claim := planetest.Object(map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"namespace": "claims", "name": "data"},
		"spec": map[string]any{"storageClassName": "planetest-late", "accessModes": []any{"ReadWriteOnce"},
			"resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}}}})
	r, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("claims"), class, claim,
		ruled(planetest.ConfigMap("claims", "later", "x"), manifests.Rules{Wave: 1})}), options())
	allAtOnce(t, r, err)
}

// What exports leave in a repository: status, times of the server, ports without a
// protocol.
func TestLeftoversOfAnExport(t *testing.T) {
	web := planetest.Deployment("exported", "web", 0)
	metadata := web.Object["metadata"].(map[string]any)
	metadata["creationTimestamp"], metadata["resourceVersion"], metadata["uid"], metadata["generation"] = nil, "123", "not-a-uid", int64(7)
	web.Object["status"] = map[string]any{"replicas": int64(3), "observedGeneration": int64(99), "unknownField": "x"}
	service := planetest.Object(map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"namespace": "exported", "name": "web"},
		"spec":   map[string]any{"clusterIP": "None", "ports": []any{map[string]any{"name": "a", "port": int64(80)}, map[string]any{"name": "b", "port": int64(81)}}},
		"status": map[string]any{"loadBalancer": map[string]any{}}})
	r, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("exported"), web, service}), options())
	allAtOnce(t, r, err)
}
