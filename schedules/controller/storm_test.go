package controller_test

import (
	"context"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/storm"
)

// TestStorm lets many schedules be due in the same second, and kills the controller in the
// middle: no run is lost and none is there twice.
func TestStorm(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	w, err := storm.New(ctx, plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	result, err := w.Run(ctx, n, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d runs within %s, lateness p99 %s", len(result.Lateness), result.Took, result.P99())
	for plan, runs := range result.Runs {
		if runs != 1 {
			t.Errorf("%d runs of plan %s", runs, plan)
		}
	}
	list := &v1alpha1.RecoveryRunList{}
	if err := w.Client.List(ctx, list, client.InNamespace(storm.Namespace)); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != n || len(result.Runs) != n {
		t.Errorf("%d runs of %d plans, want %d", len(list.Items), len(result.Runs), n)
	}
}
