package integration

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"
)

// awaitLimit bounds every single wait; what is slower than that is broken.
const awaitLimit = 2 * time.Minute

// await watches an object until done says so. Before each call of done, o holds
// the newest state.
func await(ctx context.Context, t *testing.T, c client.WithWatch, o client.Object, what string, done func() bool) {
	t.Helper()
	follow(ctx, t, c, o, what, func(kind watch.EventType) bool { return kind != watch.Deleted && done() })
}

// awaitGone watches an object until it is deleted.
func awaitGone(ctx context.Context, t *testing.T, c client.WithWatch, o client.Object) {
	t.Helper()
	follow(ctx, t, c, o, "gone", func(kind watch.EventType) bool { return kind == watch.Deleted })
}

func follow(ctx context.Context, t *testing.T, c client.WithWatch, o client.Object, what string, done func(watch.EventType) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	for ctx.Err() == nil {
		err := c.Get(ctx, client.ObjectKeyFromObject(o), o)
		if apierrors.IsNotFound(err) && done(watch.Deleted) || err == nil && done(watch.Modified) {
			return
		}
		if watchOnce(ctx, t, c, o, done) {
			return
		}
	}
	state, _ := yaml.Marshal(o)
	t.Fatalf("%T %s is not %s after %s:\n%s", o, client.ObjectKeyFromObject(o), what, awaitLimit, state)
}

// watchOnce follows one watch until done says so or the watch ends. It starts where the
// state in o was read: an object deleted in between would else never be seen to go.
func watchOnce(ctx context.Context, t *testing.T, c client.WithWatch, o client.Object, done func(watch.EventType) bool) bool {
	t.Helper()
	gvk, err := apiutil.GVKForObject(o, c.Scheme())
	if err != nil {
		t.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	w, err := c.Watch(ctx, list, client.InNamespace(o.GetNamespace()), client.MatchingFields{"metadata.name": o.GetName()},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: o.GetResourceVersion()}})
	if err != nil {
		if ctx.Err() == nil {
			t.Fatalf("watch %s: %v", gvk.Kind, err)
		}
		return false
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		u, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			return false
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, o); err != nil {
			t.Fatal(err)
		}
		if done(event.Type) {
			return true
		}
	}
	return false
}
