package apply_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/health"
)

var (
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	quotas     = schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	webhooks   = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}
)

func client(t *testing.T) dynamic.Interface {
	t.Helper()
	c, err := dynamic.NewForConfig(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// writes per object, in the audit log, of names that contain part.
func writes(t *testing.T, part string) map[string]int {
	t.Helper()
	log, err := os.ReadFile(plane.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for line := range strings.Lines(string(log)) {
		var e struct {
			Verb, UserAgent string
			ObjectRef       struct{ Resource, Subresource, Namespace, Name string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		id := e.ObjectRef.Resource + " " + e.ObjectRef.Namespace + "/" + e.ObjectRef.Name
		ours := strings.HasPrefix(e.UserAgent, "apply.test")
		if ours && e.ObjectRef.Subresource == "" && e.Verb == "patch" && strings.Contains(id, part) {
			out[id]++
		}
	}
	return out
}

// interrupted runs until so many objects were applied and then cancels.
func interrupted(t *testing.T, objects []manifests.Object, applied int) *apply.Result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := options()
	o.Concurrency = 4
	o.Config = wrapped(func() {
		if applied--; applied == 0 {
			cancel()
		}
	})
	r, err := apply.Run(ctx, build(t, objects), o)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was cancelled", err)
	}
	return r
}

func TestAnInterruptedRunContinuesWithoutWritingTwice(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	objects := planetest.Mixed(200, "resumed")
	objects = append(objects, bareAccount("resumed-0", "bare"))
	first := interrupted(t, objects, 100)
	r, err := apply.Run(t.Context(), build(t, objects), options())
	if err != nil {
		t.Fatal(err)
	}
	adopted := 0
	for i, o := range r.Objects {
		if o.Adopted {
			adopted++
		}
		if o.Adopted == (o.Attempts > 0) {
			t.Errorf("%s: adopted %t after %d attempts", o.ID, o.Adopted, o.Attempts)
		}
		if !first.Objects[i].AppliedAt.IsZero() && !o.Adopted {
			t.Errorf("%s was applied by the first run and again by the second", o.ID)
		}
	}
	if adopted < 50 {
		t.Errorf("only %d objects were adopted", adopted)
	}
	third, err := apply.Run(t.Context(), build(t, objects), options())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range third.Objects {
		if !o.Adopted || o.Status != health.Healthy {
			t.Errorf("third run: %s adopted %t, %s", o.ID, o.Adopted, o.Status)
		}
	}
	twice := 0
	for _, n := range writes(t, "resumed") {
		if n > 1 {
			twice++
		}
	}
	if n := len(writes(t, "resumed")); n < len(objects) {
		t.Errorf("the audit log knows of %d written objects, fewer than the %d that there are", n, len(objects))
	}
	// What was in flight when the first run was cut off has no known answer.
	if twice > 4 {
		t.Errorf("%d objects were written twice, more than were in flight", twice)
	}
}

func bareAccount(namespace, name string) manifests.Object {
	return planetest.Object(map[string]any{"apiVersion": "v1", "kind": "ServiceAccount",
		"metadata": map[string]any{"namespace": namespace, "name": name}})
}

func TestGuardRefusesBeforeAnyWrite(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	o := options()
	wrong := errors.New("another kube-system")
	o.Guard = func(context.Context) error { return wrong }
	_, err := apply.Run(t.Context(), build(t, planetest.Mixed(20, "guarded")), o)
	if !errors.Is(err, wrong) {
		t.Errorf("error %v, want %v", err, wrong)
	}
	if w := writes(t, "guarded"); len(w) != 0 {
		t.Errorf("written all the same: %v", w)
	}
}

func TestServerMessageNamesObjectAndOrigin(t *testing.T) {
	cases := map[string]struct {
		object manifests.Object
		want   []string
		never  string
	}{
		"unknown field": {planetest.Object(map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"namespace": "bad", "name": "field"}, "dta": map[string]any{}}),
			[]string{"ConfigMap bad/field (configmap.yaml:1)", ".dta: field not declared in schema"}, "-"},
		"invalid": {planetest.Object(map[string]any{"apiVersion": "v1", "kind": "Service",
			"metadata": map[string]any{"namespace": "bad", "name": "service"}, "spec": map[string]any{"type": "Nonsense"}}),
			[]string{"Service bad/service", "spec.type"}, "-"},
		"secret": {planetest.Object(map[string]any{"apiVersion": "v1", "kind": "Secret",
			"metadata": map[string]any{"namespace": "bad", "name": "secret"}, "data": map[string]any{"key": "hunter2 is not base64"}}),
			[]string{"Secret bad/secret"}, "hunter2"},
		"name that leaves the path": {planetest.Object(map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"namespace": "bad", "name": "../secrets/x"}}),
			[]string{"metadata.name", "may not contain '/'"}, "-----"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			started := time.Now()
			r, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("bad"), tc.object}), options())
			var failed *apply.Error
			if !errors.As(err, &failed) || len(failed.Failed) != 1 || len(r.Objects) != 2 {
				t.Fatalf("error %v", err)
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
			if strings.Contains(err.Error(), tc.never) {
				t.Errorf("error %q says what it must not", err)
			}
			if time.Since(started) > 20*time.Second {
				t.Error("a final refusal was retried")
			}
		})
	}
}

func TestDependantsOfAFailureAreSkipped(t *testing.T) {
	failing := planetest.Object(map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": "skips", "name": "first", "annotations": map[string]any{"argocd.argoproj.io/sync-wave": "-1"}}, "dta": "x"})
	later := planetest.ConfigMap("skips", "later", "x")
	r, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("skips"), failing, later}), options())
	var failed *apply.Error
	if !errors.As(err, &failed) || failed.Skipped != 1 {
		t.Fatalf("error %v", err)
	}
	for _, o := range r.Objects {
		if o.ID == later.ID() && (!strings.HasPrefix(o.Message, "skipped: needs") || o.Status != health.Missing || o.Attempts != 0) {
			t.Errorf("later: %+v", o)
		}
	}
}

func TestObjectThatIsNeverReadyIsLate(t *testing.T) {
	o := options()
	o.Timeout = 3 * time.Second
	stuck := planetest.Deployment("late", "stuck", 1)
	if err := unstructured.SetNestedField(stuck.Object, map[string]any{"no": "such-node"}, "spec", "template", "spec", "nodeSelector"); err != nil {
		t.Fatal(err)
	}
	var last apply.Progress
	o.Progress = func(p apply.Progress) { last = p }
	_, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("late"), stuck}), o)
	if err == nil || !strings.Contains(err.Error(), "Deployment.apps late/stuck (deployment.yaml:1): not healthy within 3s") {
		t.Errorf("error %v", err)
	}
	if last.Total != 2 || last.Applied != 2 || last.Healthy != 1 || !strings.Contains(last.Waiting, "late/stuck") {
		t.Errorf("last progress %+v", last)
	}
}

func TestTerminatingNamespaceIsWaitedFor(t *testing.T) {
	c, ctx := client(t), t.Context()
	old := planetest.Namespace("phoenix")
	if _, err := c.Resource(namespaces).Create(ctx, old.Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	held := planetest.ConfigMap("phoenix", "held", "x")
	held.SetFinalizers([]string{"planetest.dev/hold"})
	if _, err := c.Resource(configMaps).Namespace("phoenix").Create(ctx, held.Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Resource(namespaces).Delete(ctx, "phoenix", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	o, refused := whenRefused(t, func() {
		_, err := c.Resource(configMaps).Namespace("phoenix").Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	r, err := apply.Run(ctx, build(t, []manifests.Object{planetest.Namespace("phoenix"), planetest.ConfigMap("phoenix", "new", "x")}), o)
	if err != nil {
		t.Fatal(err)
	}
	if !refused() {
		t.Error("nothing was refused while the namespace was terminating")
	}
	for _, x := range r.Objects {
		if x.Status != health.Healthy {
			t.Errorf("%s: %s %s", x.ID, x.Status, x.Message)
		}
	}
}

// whenRefused calls then once, as soon as progress tells that something is waited for
// that was refused or is going away.
func whenRefused(t *testing.T, then func()) (apply.Options, func() bool) {
	t.Helper()
	var once sync.Once
	called := false
	o := options()
	o.Progress = func(p apply.Progress) {
		if strings.Contains(p.Waiting, "refused") || strings.Contains(p.Waiting, "being deleted") || strings.Contains(p.Waiting, "Terminating") {
			once.Do(func() {
				called = true
				then()
			})
		}
	}
	return o, func() bool { return called }
}

func TestExceededQuotaIsRetried(t *testing.T) {
	c, ctx := client(t), t.Context()
	quota := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ResourceQuota",
		"metadata": map[string]any{"name": "few"}, "spec": map[string]any{"hard": map[string]any{"count/configmaps": "1"}}}}
	objects := []manifests.Object{planetest.Namespace("quota"), planetest.ConfigMap("quota", "one", "x"), planetest.ConfigMap("quota", "two", "x")}
	if _, err := c.Resource(namespaces).Create(ctx, planetest.Namespace("quota").Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resource(quotas).Namespace("quota").Create(ctx, quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	o, refused := whenRefused(t, func() {
		if err := c.Resource(quotas).Namespace("quota").Delete(ctx, "few", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	if _, err := apply.Run(ctx, build(t, objects), o); err != nil {
		t.Fatal(err)
	}
	if !refused() {
		t.Error("the quota refused nothing")
	}
}

func TestWebhookWithoutBackendIsRetried(t *testing.T) {
	c, ctx := client(t), t.Context()
	hook := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
		"metadata": map[string]any{"name": "nobody"},
		"webhooks": []any{map[string]any{
			"name": "nobody.planetest.dev", "sideEffects": "None", "admissionReviewVersions": []any{"v1"},
			"clientConfig":      map[string]any{"service": map[string]any{"namespace": "default", "name": "nobody"}},
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "hooked"}},
			"rules":             []any{map[string]any{"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"*"}, "resources": []any{"configmaps"}}},
		}}}}
	if _, err := c.Resource(webhooks).Create(ctx, hook, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resource(namespaces).Create(ctx, planetest.Namespace("hooked").Unstructured, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// The API server does not tell when it has taken a webhook into use.
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		try := planetest.ConfigMap("hooked", "try", "x")
		_, err := c.Resource(configMaps).Namespace("hooked").Create(ctx, try.Unstructured, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	o, refused := whenRefused(t, func() {
		if err := c.Resource(webhooks).Delete(ctx, "nobody", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	objects := []manifests.Object{planetest.Namespace("hooked")}
	for _, name := range []string{"a", "b", "c", "d"} {
		objects = append(objects, planetest.ConfigMap("hooked", name, "x"))
	}
	if _, err := apply.Run(ctx, build(t, objects), o); err != nil {
		t.Fatal(err)
	}
	if !refused() {
		t.Error("the webhook refused nothing")
	}
}

func TestDuplicateListKeysAreCreatedPlainly(t *testing.T) {
	web := planetest.Deployment("twice", "web", 0)
	containers, _, _ := unstructured.NestedSlice(web.Object, "spec", "template", "spec", "containers")
	containers[0].(map[string]any)["env"] = []any{map[string]any{"name": "A", "value": "1"}, map[string]any{"name": "A", "value": "2"}}
	if err := unstructured.SetNestedSlice(web.Object, containers, "spec", "template", "spec", "containers"); err != nil {
		t.Fatal(err)
	}
	objects := []manifests.Object{planetest.Namespace("twice"), web}
	for run, adopted := range []bool{false, true} {
		r, err := apply.Run(t.Context(), build(t, objects), options())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range r.Objects {
			if o.ID == web.ID() && (o.Adopted != adopted || o.Created == adopted) {
				t.Errorf("run %d: %+v", run, o)
			}
		}
	}
}

func TestLargeObject(t *testing.T) {
	big := planetest.ConfigMap("large", "big", strings.Repeat("0123456789abcde\n", 300*1024/16))
	if _, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("large"), big}), options()); err != nil {
		t.Fatal(err)
	}
}

func TestFiveThousandObjects(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	objects := planetest.Mixed(5000, "many")
	o := options()
	o.Timeout = 4 * time.Minute
	started := time.Now()
	r, err := apply.Run(ctx, build(t, objects), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects in %s", len(r.Objects), time.Since(started))
}
