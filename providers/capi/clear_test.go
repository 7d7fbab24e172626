package capi_test

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
)

// TestClear takes away what another run left without a Cluster, and neither what the run itself
// made, nor what nobody of Refloat made, nor anything of a Cluster that is there.
func TestClear(t *testing.T) {
	stop := errors.New("killed")
	killed := true
	w := newWorld(t, interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		if gvk := o.GetObjectKind().GroupVersionKind(); killed && gvk.Kind == "Cluster" && gvk.Group == clusterv1.GroupVersion.Group {
			return stop
		}
		return c.Create(ctx, o, opts...)
	}})
	m, err := capi.Parse(fake.Sources("dev"), "dev", "fleet")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Create(t.Context(), m, stamp); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "theirs", Labels: map[string]string{clusterv1.ClusterNameLabel: "dev"}}}
	if err := w.Store.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	there := func(name string) bool {
		err := w.Store.Get(t.Context(), types.NamespacedName{Namespace: "fleet", Name: name}, &corev1.Secret{})
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return !apierrors.IsNotFound(err)
	}
	inc := capi.Incarnation{Namespace: "fleet", Name: "dev"}
	cleared := func(run types.UID, stays bool) {
		t.Helper()
		if err := w.Clear(t.Context(), inc, run); err != nil {
			t.Fatal(err)
		}
		if there("dev-cloud") != stays || !there("theirs") {
			t.Errorf("cleared for run %s: what was made is there: %t, want %t; what is others': %t", run, there("dev-cloud"), stays, there("theirs"))
		}
	}
	cleared(stamp.Run, true)
	cleared("another", false)
	killed = false
	if _, err := w.Create(t.Context(), m, capi.Stamp{Run: "another", Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	cleared(stamp.Run, true)
}
