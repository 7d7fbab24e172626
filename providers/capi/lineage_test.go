package capi_test

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
)

// TestGoes gives a Secret of the set's name owners of all sorts. Only one that the
// garbage collector will take may be waited for, and only such a one may be in the way
// of the next life.
func TestGoes(t *testing.T) {
	owner := func(kind, name string, uid types.UID) metav1.OwnerReference {
		version := "v1"
		switch kind {
		case "Cluster":
			version = clusterv1.GroupVersion.String()
		case "ExternalSecret":
			version = "external-secrets.io/v1"
		}
		return metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, UID: uid}
	}
	for name, test := range map[string]struct {
		owners func(cluster types.UID) []metav1.OwnerReference
		goes   bool
	}{
		"nobody":      {func(types.UID) []metav1.OwnerReference { return nil }, false},
		"the Cluster": {func(c types.UID) []metav1.OwnerReference { return []metav1.OwnerReference{owner("Cluster", "dev", c)} }, true},
		"something alive": {func(types.UID) []metav1.OwnerReference {
			return []metav1.OwnerReference{owner("ConfigMap", "alive", "u-alive")}
		}, false},
		"the Cluster and more": {func(c types.UID) []metav1.OwnerReference {
			return []metav1.OwnerReference{owner("Cluster", "dev", c), owner("ConfigMap", "alive", "u-alive")}
		}, false},
		"something gone": {func(types.UID) []metav1.OwnerReference {
			return []metav1.OwnerReference{owner("ConfigMap", "none", "u-none")}
		}, true},
		"an earlier life": {func(types.UID) []metav1.OwnerReference {
			return []metav1.OwnerReference{owner("ConfigMap", "alive", "u-before")}
		}, true},
		"something going": {func(types.UID) []metav1.OwnerReference {
			return []metav1.OwnerReference{owner("ConfigMap", "going", "u-going")}
		}, true},
		"something of the Cluster": {func(types.UID) []metav1.OwnerReference {
			return []metav1.OwnerReference{owner("ConfigMap", "child", "u-child")}
		}, true},
		"each other": {func(types.UID) []metav1.OwnerReference {
			return []metav1.OwnerReference{owner("ConfigMap", "ring", "u-ring")}
		}, false},
		"a kind that is not served": {func(types.UID) []metav1.OwnerReference {
			return []metav1.OwnerReference{owner("ExternalSecret", "e", "u-e")}
		}, false},
		"another Cluster that lives": {func(types.UID) []metav1.OwnerReference {
			return []metav1.OwnerReference{owner("Cluster", "other", "u-other")}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, interceptor.Funcs{})
			inc := w.made(t)
			make := func(o client.Object) {
				t.Helper()
				if err := w.Store.Create(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			about := func(name string, uid types.UID, owners ...metav1.OwnerReference) metav1.ObjectMeta {
				return metav1.ObjectMeta{Namespace: "fleet", Name: name, UID: uid, OwnerReferences: owners}
			}
			make(&corev1.ConfigMap{ObjectMeta: about("alive", "u-alive")})
			make(&corev1.ConfigMap{ObjectMeta: about("child", "u-child", owner("Cluster", "dev", inc.UID))})
			make(&corev1.ConfigMap{ObjectMeta: about("ring", "u-ring", owner("ConfigMap", "ring", "u-ring"))})
			make(&clusterv1.Cluster{ObjectMeta: about("other", "u-other")})
			going := &corev1.ConfigMap{ObjectMeta: about("going", "u-going")}
			going.Finalizers = []string{"example.com/hold"}
			make(going)
			if err := w.Store.Delete(t.Context(), going); err != nil {
				t.Fatal(err)
			}
			key := client.ObjectKey{Namespace: "fleet", Name: "dev-cloud"}
			held := &corev1.Secret{}
			if err := w.Store.Get(t.Context(), key, held); err != nil {
				t.Fatal(err)
			}
			held.Annotations, held.OwnerReferences = nil, test.owners(inc.UID) // as others make it
			if err := w.Store.Update(t.Context(), held); err != nil {
				t.Fatal(err)
			}
			items, err := w.Contents(t.Context(), inc)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, item := range items {
				if item.Name != key.Name {
					continue
				}
				found = true
				if item.Goes() != test.goes {
					t.Errorf("goes %t, want %t", item.Goes(), test.goes)
				}
			}
			if !found {
				t.Error("not among the contents")
			}
			m, err := capi.Parse(fake.Sources("dev"), "dev", "fleet")
			if err != nil {
				t.Fatal(err)
			}
			var foreign *capi.ForeignError
			if err := w.Obstacles(t.Context(), m); errors.As(err, &foreign) == test.goes {
				t.Errorf("obstacles: %v", err)
			}
		})
	}
}
