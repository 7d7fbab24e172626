package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/conformance"
)

// conformanceLook is how often a condition is looked at again: a workload cluster's own
// answers are announced by nothing.
const conformanceLook = 100 * time.Millisecond

// TestLocalProviderConforms shows that the local provider, with the real Cluster API
// core controller, keeps the contract that runs rely on, and that the rights of the three
// accounts are enough for all of it.
func TestLocalProviderConforms(t *testing.T) {
	manifests, err := os.ReadFile("../examples/cluster/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	conformance.Conformance(t, func(t *testing.T) conformance.Target {
		return conformance.Target{
			Clusters:  actingClusters(t),
			Namespace: "default",
			Sources:   func(name string) []capi.Source { return sourcesOf(t, string(manifests), name) },
			Timeout:   2 * time.Minute,
			MinNodes:  3,
			Await: func(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
				if err := wait.PollUntilContextCancel(ctx, conformanceLook, true, done); err != nil {
					return fmt.Errorf("waited in vain for %s: %w", what, err)
				}
				return nil
			},
		}
	})
}

// sourcesOf are the example's objects, written with a name.
func sourcesOf(t *testing.T, manifests, name string) []capi.Source {
	t.Helper()
	text := strings.NewReplacer("${CLUSTER_NAME}", name, "${NAMESPACE}", "default").Replace(manifests)
	var sources []capi.Source
	for i, document := range strings.Split(text, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, capi.Source{Object: u, From: fmt.Sprintf("cluster.yaml, document %d", i+1)})
	}
	return sources
}
