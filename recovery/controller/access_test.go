package controller

import (
	"context"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/providers/capi"
)

// The packages that share a label do not import each other.
func TestLabelOfAccess(t *testing.T) {
	if capi.LabelAccess != manifests.AccessLabel {
		t.Errorf("%s and %s are to be the same", capi.LabelAccess, manifests.AccessLabel)
	}
}

// TestRolesInTheCluster: every phase works with what its role was lent, once the identity
// of the cluster is proven, and never before.
func TestRolesInTheCluster(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	lent := map[capi.Role]int{}
	w.r.Lend = func(_ context.Context, admin *rest.Config, role capi.Role) (*rest.Config, error) {
		lent[role]++
		config := rest.CopyConfig(admin)
		config.UserAgent = string(role)
		return config, nil
	}
	w.order("first", v1alpha1.OperationRebuild)
	w.finish("first")
	if lent[capi.RoleApplier] == 0 || lent[capi.RoleVerifier] == 0 || lent[capi.RoleDestroyer] != 0 {
		t.Errorf("lent for a rebuild: %v", lent)
	}
	before := lent[capi.RoleVerifier]
	w.order("second", v1alpha1.OperationTeardown)
	w.finish("second")
	if lent[capi.RoleDestroyer] == 0 || lent[capi.RoleVerifier] == before {
		t.Errorf("lent for a teardown: %v", lent)
	}
}
