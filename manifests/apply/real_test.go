package apply_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// TestExpiredCredentialsFailNoObject has a token run out in the middle of a run. It says
// nothing about any object: the next run, with another token, finds what was applied.
func TestExpiredCredentialsFailNoObject(t *testing.T) {
	objects := planetest.Mixed(60, "expired")
	sent := atomic.Int32{}
	o := options()
	o.Config = rest.CopyConfig(plane.Config)
	o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPatch && sent.Add(1) > 20 {
				r = r.Clone(r.Context())
				r.Header.Set("Authorization", "Bearer expired")
				return unauthorized.RoundTrip(r)
			}
			return next.RoundTrip(r)
		})
	})
	_, err := apply.Run(t.Context(), build(t, objects), o)
	var failed *apply.Error
	if err == nil || errors.As(err, &failed) || !apierrors.IsUnauthorized(err) {
		t.Fatalf("error %v", err)
	}
	if _, err := apply.Run(t.Context(), build(t, objects), options()); err != nil {
		t.Fatal(err)
	}
	for object, n := range writes(t, "expired-") {
		if n != 1 {
			t.Errorf("%s was written %d times", object, n)
		}
	}
}

// unauthorized answers as an API server does to a token that it does not know.
var unauthorized = roundTripper(func(r *http.Request) (*http.Response, error) {
	body := `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`
	return &http.Response{
		StatusCode: http.StatusUnauthorized, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
})

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
