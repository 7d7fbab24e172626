package capi_test

import (
	"context"
	"errors"
	"testing"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/providers/capi"
)

// TestFence freezes a process at each request of its deletion until another one took
// the run over and fenced the cluster.
func TestFence(t *testing.T) {
	for _, verb := range []string{"get", "patch", "delete"} {
		t.Run("frozen before "+verb, func(t *testing.T) {
			var meanwhile func(verb string)
			deleted := 0
			w := newWorld(t, interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
					if _, ok := o.(*clusterv1.Cluster); ok && meanwhile != nil {
						meanwhile("get")
					}
					return c.Get(ctx, k, o, opts...)
				},
				Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
					if meanwhile != nil {
						meanwhile("patch")
					}
					return c.Patch(ctx, o, p, opts...)
				},
				Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
					meanwhile("delete")
					err := c.Delete(ctx, o, opts...)
					if err == nil {
						deleted++
					}
					return err
				},
			})
			inc := w.made(t)
			other := w.Management.Clusters(w.Store)
			old, taken := capi.Stamp{Run: stamp.Run, Epoch: 2}, capi.Stamp{Run: stamp.Run, Epoch: 3}
			fenced := false
			meanwhile = func(at string) {
				if at != verb || fenced {
					return
				}
				fenced = true
				if err := other.Fence(t.Context(), inc, taken); err != nil {
					t.Fatal(err)
				}
			}
			err := w.Delete(t.Context(), inc, old)
			var deposed *capi.DeposedError
			var again *capi.NotReadyError
			if verb == "get" && !errors.As(err, &deposed) || verb != "get" && !errors.As(err, &again) {
				t.Errorf("the frozen process got %v", err)
			}
			if err := w.Delete(t.Context(), inc, old); !errors.As(err, &deposed) {
				t.Errorf("tried again it got %v, want DeposedError", err)
			}
			if !fenced || deleted != 0 {
				t.Errorf("fenced %t, %d deletions took effect", fenced, deleted)
			}
			if err := w.Delete(t.Context(), inc, taken); err != nil || deleted != 1 {
				t.Errorf("the newer process: %v, %d deletions", err, deleted)
			}
		})
	}
}

func TestFenceLeavesOthersAlone(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*clusterv1.Cluster)
		inc    func(*capi.Incarnation)
		stamp  capi.Stamp
		want   string // the run of the stamp afterwards
		fails  bool
	}{
		"ours":           {stamp: capi.Stamp{Run: stamp.Run, Epoch: 2}, want: "run-1"},
		"earlier run's":  {stamp: capi.Stamp{Run: "run-2", Epoch: 1}, want: "run-2"},
		"nobody's":       {stamp: stamp, change: func(c *clusterv1.Cluster) { c.Annotations = nil }},
		"another UID":    {stamp: capi.Stamp{Run: "run-2", Epoch: 1}, inc: func(i *capi.Incarnation) { i.UID = "other" }, want: "run-1"},
		"gone":           {stamp: capi.Stamp{Run: "run-2", Epoch: 1}, inc: func(i *capi.Incarnation) { i.Name = "none" }, want: "run-1"},
		"a higher epoch": {stamp: capi.Stamp{Run: stamp.Run}, want: "run-1", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, interceptor.Funcs{})
			inc := w.made(t)
			live := &clusterv1.Cluster{}
			key := client.ObjectKey{Namespace: inc.Namespace, Name: inc.Name}
			if err := w.Store.Get(t.Context(), key, live); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(live)
				if err := w.Store.Update(t.Context(), live); err != nil {
					t.Fatal(err)
				}
			}
			if test.inc != nil {
				test.inc(&inc)
			}
			err := w.Fence(t.Context(), inc, test.stamp)
			var deposed *capi.DeposedError
			if test.fails && !errors.As(err, &deposed) || !test.fails && err != nil {
				t.Errorf("got %v", err)
			}
			if err := w.Store.Get(t.Context(), key, live); err != nil {
				t.Fatal(err)
			}
			if got := live.Annotations[capi.AnnotationRun]; got != test.want {
				t.Errorf("stamp of %q, want %q", got, test.want)
			}
		})
	}
}
