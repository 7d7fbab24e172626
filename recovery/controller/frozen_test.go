package controller

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/expand"
)

func madeUp() []expand.FrozenRelease {
	return []expand.FrozenRelease{{Unit: "HelmRelease db/db", Namespace: "db", Release: "db", Chart: "db 1.0.0", Result: json.RawMessage(`{"objects":[{"object":{"data":"canary-password"}}]}`)}}
}

// madeUpRun is a run that waits for its cluster, with what charts made up kept.
func madeUpRun(t *testing.T) (*world, *v1alpha1.RecoveryRun) {
	t.Helper()
	w := newWorld(t)
	w.engine.frozen = madeUp()
	w.plan(func(*v1alpha1.RecoveryPlan) {})
	w.order("run", v1alpha1.OperationRebuild)
	w.store.HoldProvisioning("dev", "wait")
	return w, w.until("run", "the cluster", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Target != nil && run.Status.Target.UID != "" })
}

// TestWhatChartsMakeUpSurvives takes a run over: the rendering is asked for with the
// passwords that were made up before.
func TestWhatChartsMakeUpSurvives(t *testing.T) {
	w, run := madeUpRun(t)
	secret := &corev1.Secret{}
	w.must(w.store.Store.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: run.Status.Pinned.FrozenSecret}, secret))
	if !metav1.IsControlledBy(secret, run) {
		t.Error("the Secret does not go with its run")
	}
	if len(w.engine.asked.Frozen) != 0 {
		t.Error("the first rendering is not free")
	}
	w.replace()
	w.engine.frozen = nil
	w.store.HoldProvisioning("dev", "")
	done := w.finish("run")
	if done.Status.Failure != nil {
		t.Fatalf("failure %+v", done.Status.Failure)
	}
	if !reflect.DeepEqual(w.engine.asked.Frozen, madeUp()) {
		t.Errorf("the rendering after a restart asks for %d releases", len(w.engine.asked.Frozen))
	}
	text, err := json.Marshal(done)
	w.must(err)
	if strings.Contains(string(text), "canary") {
		t.Error("the run shows what was made up")
	}
}

// TestLostReleasesAreNotMadeUpAnew has the Secret vanish, change or be another's.
func TestLostReleasesAreNotMadeUpAnew(t *testing.T) {
	for name, spoil := range map[string]func(w *world, s *corev1.Secret){
		"deleted": func(w *world, s *corev1.Secret) { w.must(w.store.Store.Delete(t.Context(), s)) },
		"changed": func(w *world, s *corev1.Secret) {
			s.Data = map[string][]byte{frozenKey: []byte("canary")}
			w.must(w.store.Store.Update(t.Context(), s))
		},
		"another's": func(w *world, s *corev1.Secret) {
			s.OwnerReferences = nil
			w.must(w.store.Store.Update(t.Context(), s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, run := madeUpRun(t)
			secret := &corev1.Secret{}
			w.must(w.store.Store.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: run.Status.Pinned.FrozenSecret}, secret))
			spoil(w, secret)
			w.replace()
			w.store.HoldProvisioning("dev", "")
			f := w.finish("run").Status.Failure
			if f == nil || f.Reason != "FrozenStateLost" || strings.Contains(f.Message, "canary") {
				t.Errorf("failure %+v", f)
			}
		})
	}
}
