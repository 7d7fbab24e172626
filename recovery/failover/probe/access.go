package probe

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/providers/capi"
)

// Clusters that are probed.
type Clusters interface {
	Observe(ctx context.Context, namespace, name string) (capi.Observation, error)
	Connect(ctx context.Context, inc capi.Incarnation) (*rest.Config, error)
	Lend(ctx context.Context, admin *rest.Config, role capi.Role) (*rest.Config, error)
}

// AccessTo one incarnation, as the prober. Runs are read for who it is.
func AccessTo(clusters Clusters, runs client.Reader, inc capi.Incarnation) Access {
	return Access{
		Connect:  func(ctx context.Context) (*rest.Config, error) { return clusters.Connect(ctx, inc) },
		Identity: func(ctx context.Context) (types.UID, error) { return Identity(ctx, runs, inc) },
		Lend: func(ctx context.Context, admin *rest.Config) (*rest.Config, error) {
			return clusters.Lend(ctx, admin, capi.RoleProber)
		},
	}
}
