package controller

import (
	"context"
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/recoverability"
)

// TestSorted tells what is wrong with a plan from what only kept somebody from looking.
func TestSorted(t *testing.T) {
	own := []recoverability.Remote{{URL: "https://own"}}
	for name, test := range map[string]struct {
		err    error
		step   recoverability.Check
		check  recoverability.Check
		unsure bool
	}{
		"a webhook is down":      {fmt.Errorf("try Cluster dev: %w", apierrors.NewInternalError(errors.New("failed calling webhook \"x\": refused"))), recoverability.CheckClusterAPI, recoverability.CheckClusterAPI, false},
		"the API server is down": {fmt.Errorf("try Cluster dev: %w", apierrors.NewInternalError(errors.New("etcd"))), recoverability.CheckClusterAPI, recoverability.CheckClusterAPI, true},
		"it takes too long":      {fmt.Errorf("render: %w", context.DeadlineExceeded), recoverability.CheckRendering, recoverability.CheckRendering, true},
		"the own repository":     {&source.UnreachableError{URL: "https://own"}, recoverability.CheckRendering, recoverability.CheckGit, false},
		"another repository":     {&source.UnreachableError{URL: "https://other"}, recoverability.CheckRendering, recoverability.CheckSources, false},
		"a Secret of a seed":     {recovery.Faultf("SecretNotFound", "gone"), recoverability.CheckSeeds, recoverability.CheckSeeds, false},
		"another Secret":         {recovery.Faultf("SecretNotFound", "gone"), recoverability.CheckRendering, recoverability.CheckSecrets, false},
		"a defect":               {recovery.Faultf("InternalError", "index out of range"), recoverability.CheckLint, recoverability.CheckItself, true},
		"a fault of any other":   {recovery.Faultf("NothingToApply", "empty"), recoverability.CheckRendering, recoverability.CheckRendering, false},
	} {
		if check, unsure := sorted(test.err, own, test.step); check != test.check || unsure != test.unsure {
			t.Errorf("%s: %s, unsure %t; want %s, %t", name, check, unsure, test.check, test.unsure)
		}
	}
}
