package controller

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// TestInUse looks into the cluster that a run made, as the verifier, once it is proven that
// it is that one.
func TestInUse(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"JobList","apiVersion":"batch/v1","items":[{"metadata":{"namespace":"ci","name":"build"},"status":{"active":1}}]}`)
	}))
	defer server.Close()
	w := newWorld(t)
	w.plan(nil)
	plan := &v1alpha1.RecoveryPlan{}
	plan.Namespace, plan.Name, plan.Spec.Cluster.Name = namespace, "plan", "dev"
	policy := v1alpha1.InUsePolicy{Jobs: true}
	if use, err := w.r.inUse(t.Context(), plan, policy); use != "" || err != nil {
		t.Errorf("without a cluster: %q, %v", use, err)
	}
	w.order("first", v1alpha1.OperationRebuild)
	w.finish("first")
	var lent []capi.Role
	w.r.Lend = func(_ context.Context, _ *rest.Config, role capi.Role) (*rest.Config, error) {
		lent = append(lent, role)
		return &rest.Config{Host: server.URL}, nil
	}
	use, err := w.r.inUse(t.Context(), plan, policy)
	if !strings.HasPrefix(use, "Job ci/build has run for") || err != nil || len(lent) != 1 || lent[0] != capi.RoleVerifier {
		t.Errorf("%q, %v, as %v", use, err, lent)
	}
	workload := w.store.Workload(w.uid("dev"))
	workload.SetIdentity("another")
	if use, err := w.r.inUse(t.Context(), plan, policy); use != "" || err == nil || !strings.Contains(err.Error(), "leads to another cluster") {
		t.Errorf("another cluster: %q, %v", use, err)
	}
	workload.Stop()
	if use, err := w.r.inUse(t.Context(), plan, policy); use != "" || err == nil {
		t.Errorf("a dead cluster: %q, %v", use, err)
	}
	if len(lent) != 1 {
		t.Errorf("lent by a cluster that is not the one: %v", lent)
	}
}
