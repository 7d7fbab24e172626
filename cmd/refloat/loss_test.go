package main

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestLossOfNoCluster: what does not exist cannot be lost, and that is an answer.
func TestLossOfNoCluster(t *testing.T) {
	plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "dev"}}
	plan.Spec.Cluster.Name = "dev"
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for output, says := range map[outputFormat]string{"": "Cluster fleet/dev", "json": `"clean": true`} {
		var out strings.Builder
		o := &lossOptions{output: output}
		err := o.show(t.Context(), terminal{Out: &out, Err: &out}, management(t, interceptor.Funcs{}, plan), "fleet", "dev")
		if err != nil || !strings.Contains(out.String(), says) {
			t.Errorf("%q: %v: %s", output, err, out.String())
		}
	}
	o := &lossOptions{accept: true}
	if err := o.show(t.Context(), terminal{}, management(t, interceptor.Funcs{}, plan), "fleet", "dev"); err == nil {
		t.Error("what there is not was accepted")
	}
}
