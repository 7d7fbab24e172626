package probe

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// Identity from inside that runs know of an incarnation; empty when none does.
func Identity(ctx context.Context, reader client.Reader, inc capi.Incarnation) (types.UID, error) {
	runs := &v1alpha1.RecoveryRunList{}
	if err := reader.List(ctx, runs, client.InNamespace(inc.Namespace)); err != nil {
		return "", fmt.Errorf("list the runs that made clusters: %w", err)
	}
	for i := range runs.Items {
		if t := runs.Items[i].Status.Target; t != nil && t.UID == inc.UID && t.KubeSystemUID != "" {
			return t.KubeSystemUID, nil
		}
	}
	return "", nil
}
