package controller

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// TestManagementClusterIsNeverDeleted gives ever less to tell the two apart by.
func TestManagementClusterIsNeverDeleted(t *testing.T) {
	node := func(w *world, cluster, namespace string) {
		w.must(w.store.Store.Create(w.t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: map[string]string{
			clusterv1.ClusterNameAnnotation: cluster, clusterv1.ClusterNamespaceAnnotation: namespace,
		}}}))
	}
	kubeconfig := func(w *world) *corev1.Secret {
		held := &corev1.Secret{}
		w.must(w.store.Store.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "dev-kubeconfig"}, held))
		return held
	}
	lost := func(w *world) { w.must(w.store.Store.Delete(w.t.Context(), kubeconfig(w))) }
	authority := func(w *world, inc capi.Incarnation) {
		config, err := w.r.Clusters.Connect(w.t.Context(), inc)
		w.must(err)
		w.r.Clusters.CA = append([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), config.CAData...)
	}
	for name, test := range map[string]struct {
		change func(w *world, inc capi.Incarnation)
		refuse string // empty when it may be deleted
	}{
		"answers as another":      {func(*world, capi.Incarnation) {}, ""},
		"answers, same authority": {authority, ""},
		"dead":                    {func(w *world, inc capi.Incarnation) { w.store.Workload(inc.UID).Stop() }, ""},
		"dead, same authority":    {func(w *world, inc capi.Incarnation) { authority(w, inc); w.store.Workload(inc.UID).Stop() }, "certificate authority"},
		"no kubeconfig":           {func(w *world, _ capi.Incarnation) { lost(w) }, ""},
		"no kubeconfig, but our address": {func(w *world, inc capi.Incarnation) {
			lost(w)
			obs, err := w.r.Clusters.Observe(w.t.Context(), inc.Namespace, inc.Name)
			w.must(err)
			w.r.Clusters.Endpoint = "https://" + obs.Endpoint
		}, "same endpoint"},
		"no kubeconfig, but our node": {func(w *world, _ capi.Incarnation) { lost(w); node(w, "dev", namespace) }, "node n"},
		"our node":                    {func(w *world, _ capi.Incarnation) { node(w, "dev", namespace) }, "node n"},
		"node of another cluster":     {func(w *world, _ capi.Incarnation) { node(w, "other", namespace) }, ""},
		"node of another namespace":   {func(w *world, _ capi.Incarnation) { node(w, "dev", "other") }, ""},
		"a kubeconfig that cannot be used": {func(w *world, _ capi.Incarnation) {
			held := kubeconfig(w)
			held.Data["value"] = []byte("{}")
			w.must(w.store.Store.Update(w.t.Context(), held))
		}, "kubeconfig"},
		"a kubeconfig of an earlier life": {func(w *world, _ capi.Incarnation) {
			held := kubeconfig(w)
			held.OwnerReferences[0].UID = "before"
			w.must(w.store.Store.Update(w.t.Context(), held))
		}, "earlier life"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.plan(nil)
			inc := w.existing(earlier)
			test.change(w, inc)
			_, err := w.r.previous(t.Context(), &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}},
				v1alpha1.RecoveryPlanSpec{Cluster: v1alpha1.ClusterTemplate{Name: "dev"}})
			if test.refuse == "" && err != nil || test.refuse != "" && (err == nil || !strings.Contains(err.Error(), test.refuse)) {
				t.Errorf("got %v, want it to say %q", err, test.refuse)
			}
		})
	}
}
