package controller

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
)

func keep(p *v1alpha1.RecoveryPlan) { p.Spec.Cluster.Identity = v1alpha1.IdentityKeep }

// identity writes the Secrets of a cluster as a control plane provider does.
func (w *world) identity(inc capi.Incarnation, purposes ...string) {
	w.t.Helper()
	for _, purpose := range purposes {
		w.must(w.store.Store.Create(w.t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: inc.Name + "-" + purpose, Labels: map[string]string{clusterv1.ClusterNameLabel: inc.Name},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: inc.Name, UID: inc.UID}},
			},
			Type: clusterv1.ClusterSecretType,
			Data: map[string][]byte{"tls.crt": []byte("certificate of " + purpose), "tls.key": []byte("key of " + purpose)},
		}))
	}
}

func (w *world) secret(name string) *corev1.Secret {
	w.t.Helper()
	s := &corev1.Secret{}
	w.must(w.store.Store.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, s))
	return s
}

// assertKept holds the keys of the new cluster against those of the old one.
func (w *world) assertKept(run *v1alpha1.RecoveryRun, purposes ...string) {
	w.t.Helper()
	for _, purpose := range purposes {
		s := w.secret("dev-" + purpose)
		if string(s.Data["tls.key"]) != "key of "+purpose || s.Type != clusterv1.ClusterSecretType || s.Labels[clusterv1.ClusterNameLabel] != "dev" {
			w.t.Errorf("Secret %s: type %s, labels %v, key %q", s.Name, s.Type, s.Labels, s.Data["tls.key"])
		}
		if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].UID != run.Status.Target.UID {
			w.t.Errorf("Secret %s: owners %+v", s.Name, s.OwnerReferences)
		}
	}
	kept := w.secret("run-identity")
	if kept.Type != typeIdentity || len(kept.Labels) > 0 || !metav1.IsControlledBy(kept, run) {
		w.t.Errorf("Secret %s: type %s, labels %v, owners %v", kept.Name, kept.Type, kept.Labels, kept.OwnerReferences)
	}
	if diff := cmp.Diff(purposes, run.Status.Identity.Parts); diff != "" {
		w.t.Errorf("parts (-want +got):\n%s", diff)
	}
}

// TestKeepIdentity rebuilds a cluster with the keys of the old one, killed at every write.
func TestKeepIdentity(t *testing.T) {
	begin := func(t *testing.T) *world {
		w := newWorld(t)
		w.plan(keep)
		w.identity(w.existing(earlier), "ca", "etcd", "proxy", "sa")
		w.order("run", v1alpha1.OperationRebuild)
		return w
	}
	w := begin(t)
	reference := w.finish("run")
	if reference.Status.Failure != nil {
		t.Fatalf("the undisturbed run: %+v", reference.Status.Failure)
	}
	w.assertKept(reference, "ca", "etcd", "proxy", "sa")
	total := w.writes
	for k := 1; k <= total; k++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d after=%t", k, after), func(t *testing.T) {
				t.Parallel()
				w := begin(t)
				w.killAt, w.after = k, after
				run := w.finish("run")
				if diff := cmp.Diff(outcomeOf(reference), outcomeOf(run), sameOutcome); diff != "" {
					t.Errorf("outcome (-undisturbed +killed):\n%s", diff)
				}
				w.assertKept(run, "ca", "etcd", "proxy", "sa")
			})
		}
	}
}

// TestIdentityIsRotated unless a rebuild is to keep it.
func TestIdentityIsRotated(t *testing.T) {
	for name, test := range map[string]struct {
		plan      func(*v1alpha1.RecoveryPlan)
		operation v1alpha1.Operation
		exists    bool
	}{
		"by default":      {nil, v1alpha1.OperationRebuild, true},
		"nothing to keep": {keep, v1alpha1.OperationRebuild, false},
		"a teardown":      {keep, v1alpha1.OperationTeardown, true},
		"a drill":         {keep, v1alpha1.OperationDrill, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(test.plan)
			if test.exists {
				w.identity(w.existing(earlier), "ca", "proxy", "sa")
			}
			w.order("run", test.operation)
			run := w.finish("run")
			if run.Status.Failure != nil || run.Status.Identity != nil {
				t.Errorf("failure %+v, identity %+v", run.Status.Failure, run.Status.Identity)
			}
			err := w.store.Store.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "run-identity"}, &corev1.Secret{})
			if client.IgnoreNotFound(err) != nil || err == nil {
				t.Errorf("a Secret of the run: %v", err)
			}
		})
	}
}

// TestIdentityThatCannotBeKept is refused before anything is deleted.
func TestIdentityThatCannotBeKept(t *testing.T) {
	own := func(name string) []capi.Source {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name + "-ca"}}}
		return append(fake.Sources(name), capi.Source{Object: u, From: "capi/ca.yaml:1"})
	}
	for name, test := range map[string]struct {
		world  func(*world, capi.Incarnation)
		reason string
		says   string
	}{
		"no Secrets":          {func(*world, capi.Incarnation) {}, "IdentityUnknown", "Secret fleet/dev-ca is missing"},
		"no service accounts": {func(w *world, inc capi.Incarnation) { w.identity(inc, "ca") }, "IdentityUnknown", "Secret fleet/dev-sa"},
		"an empty one": {func(w *world, inc capi.Incarnation) {
			w.identity(inc, "ca", "sa")
			s := w.secret("dev-ca")
			delete(s.Data, "tls.key")
			w.must(w.store.Store.Update(w.t.Context(), s))
		}, "IdentityUnknown", "Secret fleet/dev-ca"},
		"a huge one": {func(w *world, inc capi.Incarnation) {
			w.identity(inc, "ca", "sa")
			s := w.secret("dev-ca")
			s.Data["more"] = make([]byte, 200<<10)
			w.must(w.store.Store.Update(w.t.Context(), s))
		}, "IdentityUnknown", "more than 128 KiB"},
		"the repository brings its own": {func(w *world, inc capi.Incarnation) { w.identity(inc, "ca", "sa"); w.engine.sources = own }, "BadClusterManifests", "capi/ca.yaml:1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(keep)
			test.world(w, w.existing(earlier))
			w.order("run", v1alpha1.OperationRebuild)
			f := w.finish("run").Status.Failure
			if f == nil || f.Reason != test.reason || f.Phase != v1alpha1.PhasePreflight || !strings.Contains(f.Message, test.says) || strings.Contains(f.Message, "key of") {
				t.Errorf("failure %+v, want %s that says %q", f, test.reason, test.says)
			}
			if len(w.deletes) != 0 {
				t.Error("the cluster was deleted")
			}
		})
	}
}

// TestIdentityOfSomebodyElse stays where it is, and is not kept a second time.
func TestIdentityOfSomebodyElse(t *testing.T) {
	w := newWorld(t)
	w.plan(keep)
	w.identity(w.existing(earlier), "ca", "proxy", "sa")
	theirs := w.secret("dev-ca")
	w.must(w.store.Store.Delete(t.Context(), theirs))
	theirs.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "dev-ca"}
	theirs.Type = corev1.SecretTypeOpaque
	w.must(w.store.Store.Create(t.Context(), theirs))
	w.order("run", v1alpha1.OperationRebuild)
	run := w.finish("run")
	if run.Status.Failure != nil {
		t.Fatalf("%+v", run.Status.Failure)
	}
	w.assertKept(run, "proxy", "sa")
	if s := w.secret("dev-ca"); s.UID != theirs.UID || len(s.OwnerReferences) > 0 {
		t.Errorf("Secret dev-ca was touched: %+v", s.ObjectMeta)
	}
}

// TestIdentityThatIsLost between the deletion and the creation is not made up.
func TestIdentityThatIsLost(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"deleted": func(w *world) { w.must(w.store.Store.Delete(w.t.Context(), w.secret("run-identity"))) },
		"changed": func(w *world) {
			s := w.secret("run-identity")
			delete(s.Data, "sa.tls.key")
			delete(s.Data, "sa.tls.crt")
			w.must(w.store.Store.Update(w.t.Context(), s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(keep)
			w.identity(w.existing(earlier), "ca", "sa")
			w.order("run", v1alpha1.OperationRebuild)
			w.until("run", "the deletion", func(*v1alpha1.RecoveryRun) bool { return len(w.deletes) > 0 })
			spoil(w)
			if f := w.finish("run").Status.Failure; f == nil || f.Reason != "IdentityLost" || f.Phase != v1alpha1.PhaseProvision {
				t.Errorf("failure %+v", f)
			}
			if len(w.clusters()) != 0 {
				t.Errorf("clusters %v", w.clusters())
			}
		})
	}
}

// TestIdentityThatWaits: the next rebuild does not make up new keys while a failed run has the
// old ones, unless somebody decides.
func TestIdentityThatWaits(t *testing.T) {
	for name, test := range map[string]struct {
		decide  func(*world)
		refused bool
	}{
		"nobody decides": {func(*world) {}, true},
		"made by hand": {func(w *world) {
			mine := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "dev-ca"}, Type: corev1.SecretTypeOpaque}
			w.must(w.store.Store.Create(w.t.Context(), mine))
		}, false},
		"run was deleted": {func(w *world) { w.must(w.store.Store.Delete(w.t.Context(), w.run("first"))) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(keep)
			w.identity(w.existing(earlier), "ca", "sa")
			w.order("first", v1alpha1.OperationRebuild)
			w.until("first", "the deletion", func(*v1alpha1.RecoveryRun) bool { return len(w.deletes) > 0 })
			w.revise("first", func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{Reason: "no"} })
			if f := w.finish("first").Status.Failure; f == nil || f.Reason != "Cancelled" {
				t.Fatalf("failure %+v", f)
			}
			test.decide(w)
			w.order("second", v1alpha1.OperationRebuild)
			f := w.finish("second").Status.Failure
			if refused := f != nil && f.Reason == "IdentityWaits" && f.Phase == v1alpha1.PhasePreflight; refused != test.refused || !test.refused && f != nil {
				t.Errorf("failure %+v", f)
			}
		})
	}
}
