package verify_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// counted is the plane's configuration with a count of dry runs and real writes.
func counted() (config *rest.Config, dry, real *atomic.Int32) {
	config, dry, real = rest.CopyConfig(plane.Config), &atomic.Int32{}, &atomic.Int32{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			switch {
			case r.URL.Query().Get("dryRun") != "":
				dry.Add(1)
			case r.Method != http.MethodGet:
				real.Add(1)
			}
			return next.RoundTrip(r)
		})
	})
	return config, dry, real
}

func TestMostObjectsNeedNoRequestAndNoneIsWritten(t *testing.T) {
	objects := planetest.Mixed(200, "quiet")
	applied(t, objects)
	config, dry, real := counted()
	r, err := verify.Verify(t.Context(), objects, verify.Options{Config: config, Simulated: true})
	if err != nil || !r.Clean() {
		t.Fatalf("report %+v, error %v", r, err)
	}
	if dry.Load() > 10 || real.Load() != 0 {
		t.Errorf("%d dry runs and %d writes for %d objects", dry.Load(), real.Load(), len(objects))
	}
}

func TestWhatIsWrittenOtherwiseIsAskedAbout(t *testing.T) {
	web := planetest.Deployment("forms", "web", 0)
	setContainer(t, web, "resources", map[string]any{"requests": map[string]any{"cpu": "1000m", "memory": "1024Mi"}})
	service := planetest.Object(map[string]any{"apiVersion": "v1", "kind": "Service",
		"metadata": map[string]any{"namespace": "forms", "name": "web"},
		"spec":     map[string]any{"selector": map[string]any{"app": "web"}, "ports": []any{map[string]any{"port": int64(80)}}}})
	objects := []manifests.Object{planetest.Namespace("forms"), web, service}
	applied(t, objects)
	config, dry, _ := counted()
	r, err := verify.Verify(t.Context(), objects, verify.Options{Config: config, Simulated: true})
	if err != nil || !r.Clean() {
		t.Fatalf("report %+v, error %v", r, err)
	}
	if dry.Load() == 0 {
		t.Error("nothing was asked, although a quantity is written otherwise")
	}
}

func TestDuplicateListKeysAreComparedWeakly(t *testing.T) {
	web := planetest.Deployment("weak", "web", 0)
	setContainer(t, web, "env", []any{map[string]any{"name": "A", "value": "1"}, map[string]any{"name": "A", "value": "2"}})
	objects := []manifests.Object{planetest.Namespace("weak"), web}
	applied(t, objects)
	r := verified(t, objects, verify.Options{})
	if !r.Clean() {
		t.Errorf("report %+v", r)
	}
	only(t, "weak", r.Weak, "Deployment.apps weak/web", "duplicate entries")
}

func setContainer(t *testing.T, o manifests.Object, field string, value any) {
	t.Helper()
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	containers[0].(map[string]any)[field] = value
	if err := unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers"); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenDryRunIsNotAMatch(t *testing.T) {
	web := planetest.Deployment("broken", "web", 0)
	setContainer(t, web, "resources", map[string]any{"requests": map[string]any{"cpu": "1000m"}})
	objects := []manifests.Object{planetest.Namespace("broken"), web}
	applied(t, objects)
	config := rest.CopyConfig(plane.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if err == nil && r.URL.Query().Get("dryRun") != "" {
				response.StatusCode = http.StatusInternalServerError
			}
			return response, err
		})
	})
	r, err := verify.Verify(t.Context(), objects, verify.Options{Config: config, Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Clean() || r.Matched != 1 || len(r.Changed) != 1 || !strings.Contains(r.Changed[0].Detail, "could not be compared") {
		t.Errorf("report %+v", r)
	}
}
