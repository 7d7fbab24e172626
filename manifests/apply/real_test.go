package apply_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
)

func build(t *testing.T, objects []manifests.Object) *order.Graph {
	t.Helper()
	g, err := order.Build(objects, order.Options{Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func options() apply.Options {
	return apply.Options{Config: plane.Config, Simulated: true, Timeout: time.Minute}
}

// wrapped is the plane's configuration with a call after each accepted write.
func wrapped(accepted func()) *rest.Config {
	var mu sync.Mutex
	config := rest.CopyConfig(plane.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if err == nil && r.Method == http.MethodPatch && response.StatusCode < 300 {
				mu.Lock()
				defer mu.Unlock()
				accepted()
			}
			return response, err
		})
	})
	return config
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRunAppliesMixedObjects(t *testing.T) {
	objects := planetest.Mixed(150, "mixed")
	objects = append(objects, planetest.Deployment("mixed-0", "web", 2))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	started := time.Now()
	r, err := apply.Run(ctx, build(t, objects), options())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("applied %d objects in %s", len(r.Objects), time.Since(started))
	for _, o := range r.Objects {
		if o.Status != health.Healthy || o.Attempts != 1 || o.ReadyAt.IsZero() {
			t.Errorf("%s: %s %q after %d attempts", o.ID, o.Status, o.Message, o.Attempts)
		}
	}
}

// A second run of the same state sends nothing: each object is found applied.
func TestRunContinuesWithoutWritingTwice(t *testing.T) {
	objects := planetest.Mixed(60, "twice")
	if _, err := apply.Run(t.Context(), build(t, objects[:40]), options()); err != nil {
		t.Fatal(err)
	}
	r, err := apply.Run(t.Context(), build(t, objects), options())
	if err != nil {
		t.Fatal(err)
	}
	before := map[manifests.ID]bool{}
	for _, o := range objects[:40] {
		before[o.ID()] = true
	}
	for _, o := range r.Objects {
		wantAttempts := 1
		if before[o.ID] {
			wantAttempts = 0
		}
		if o.Attempts != wantAttempts || o.Adopted != before[o.ID] || o.Status != health.Healthy {
			t.Errorf("%s: %d attempts, adopted %v, %s; want %d attempts, adopted %v", o.ID, o.Attempts, o.Adopted, o.Status, wantAttempts, before[o.ID])
		}
	}
}
