package controller

import (
	"context"
	"testing"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// TestFrozenDeletionIsFenced freezes a controller that is about to delete the cluster,
// at each read of it in turn, until another one took the run over and the run was
// cancelled. Whatever the frozen one does then, the cluster stays.
func TestFrozenDeletionIsFenced(t *testing.T) {
	for frozenAt := 1; ; frozenAt++ {
		w := newWorld(t)
		w.plan(nil)
		inc := w.existing(earlier)
		w.order("run", v1alpha1.OperationTeardown)
		newer, reads, cancelled := w.r, 0, false
		deletes := 0
		slow := interceptor.NewClient(w.store.Store, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				_, ok := o.(*clusterv1.Cluster)
				run := &v1alpha1.RecoveryRun{}
				err := w.store.Store.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "run"}, run)
				if ok && err == nil && run.Status.Previous != nil && run.Status.Previous.DeleteRequestedAt != nil {
					if reads++; reads == frozenAt && deletes == 0 {
						cancelled = true
						w.must(w.store.Store.Delete(t.Context(), run))
						w.cancel(newer)
					}
				}
				return c.Get(ctx, k, o, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				err := c.Delete(ctx, o, opts...)
				if _, ok := o.(*clusterv1.Cluster); ok && err == nil {
					deletes++
				}
				return err
			},
		})
		w.r = newReconciler(slow, slow, w.store.Clusters(slow), w.options(), w.r.Events, func(work func()) { work() }, func(client.ObjectKey) {})
		for range 10 {
			_ = w.reconcile("run") // its errors are what a deposed process may see
			if cancelled || deletes > 0 {
				break
			}
		}
		_ = w.reconcile("run")
		if !cancelled {
			if frozenAt < 3 || deletes != 1 {
				t.Fatalf("frozen at none of %d reads, %d deletions", reads, deletes)
			}
			return // frozenAt is beyond the deletion
		}
		if deletes != 0 {
			t.Errorf("frozen at read %d: deleted after the run was cancelled", frozenAt)
		}
		live := &clusterv1.Cluster{}
		w.must(w.store.Store.Get(t.Context(), client.ObjectKey{Namespace: inc.Namespace, Name: inc.Name}, live))
		if live.UID != inc.UID || live.DeletionTimestamp != nil {
			t.Errorf("frozen at read %d: the cluster is %s, deleted at %v", frozenAt, live.UID, live.DeletionTimestamp)
		}
	}
}

// cancel lets a controller bring a deleted run to its end.
func (w *world) cancel(r *Reconciler) {
	w.t.Helper()
	for range 10 {
		if _, err := r.Reconcile(w.t.Context(), requestFor("run")); err != nil {
			w.t.Fatal(err)
		}
		run := &v1alpha1.RecoveryRun{}
		err := w.store.Store.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: "run"}, run)
		if client.IgnoreNotFound(err) != nil {
			w.t.Fatal(err)
		}
		if err != nil || run.Status.FinishedAt != nil {
			return
		}
	}
	w.t.Fatal("the deleted run did not end")
}

func (w *world) options() Options { return Options{Clock: w.clock, Engine: w.engine}.withDefaults() }

// TestDeposedProcessMakesNoCluster has another process take the run over while one is in
// the middle of making the cluster's objects. The Cluster, on which providers act, is made
// by the newer one only.
func TestDeposedProcessMakesNoCluster(t *testing.T) {
	for _, operation := range []v1alpha1.Operation{v1alpha1.OperationRebuild, v1alpha1.OperationDrill} {
		w := newWorld(t)
		w.plan(nil)
		w.order("run", operation)
		deposed, made, others := false, 0, 0
		slow := interceptor.NewClient(w.store.Store, interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				dry := len((&client.CreateOptions{}).ApplyOptions(opts).DryRun) > 0
				if o.GetObjectKind().GroupVersionKind().Group == clusterv1.GroupVersion.Group && !dry {
					made++
				}
				if o.GetLabels()[capi.LabelCluster] != "" && !dry && deposed {
					others++
				}
				if o.GetLabels()[capi.LabelCluster] != "" && !dry && !deposed {
					deposed = true
					run := w.run("run")
					run.Status.Epoch++ // as Claim does in another process
					w.must(w.store.Store.Status().Update(ctx, run))
				}
				return c.Create(ctx, o, opts...)
			},
		})
		w.r = newReconciler(slow, slow, w.store.Clusters(slow), w.options(), w.r.Events, func(work func()) { work() }, func(client.ObjectKey) {})
		for range 10 {
			_ = w.reconcile("run") // its errors are what a deposed process may see
		}
		if !deposed || made != 0 || len(w.clusters()) != 0 {
			t.Errorf("%s: deposed %t, it made %d Clusters, there are %v", operation, deposed, made, w.clusters())
		}
		if others != 0 {
			t.Errorf("%s: it made %d objects after it had been deposed", operation, others)
		}
		w.replace()
		if run := w.finish("run"); run.Status.Failure != nil {
			t.Errorf("%s: the newer process: %+v", operation, run.Status.Failure)
		}
	}
}
