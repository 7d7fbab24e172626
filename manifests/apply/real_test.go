package apply_test

import (
	"context"
	"testing"
	"time"

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

func options(t *testing.T) apply.Options {
	return apply.Options{Config: plane.Config, Simulated: true, Timeout: time.Minute}
}

func TestRunAppliesMixedObjects(t *testing.T) {
	objects := planetest.Mixed(150, "mixed")
	objects = append(objects, planetest.Deployment("mixed-0", "web", 2))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	started := time.Now()
	r, err := apply.Run(ctx, build(t, objects), options(t))
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
