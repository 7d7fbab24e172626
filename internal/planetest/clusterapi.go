package planetest

import (
	"context"

	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/providers/local/clusterapi"
)

// InstallClusterAPI writes the definitions of Cluster API, without its controller.
func InstallClusterAPI(ctx context.Context, config *rest.Config) error {
	definitions, err := clusterapi.Definitions()
	if err != nil {
		return err
	}
	return clusterapi.Install(ctx, config, definitions)
}
