package order

import (
	"errors"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// Options of Build.
type Options struct {
	// Simulated says that no container runs on the target. Webhook configurations
	// and APIServices then go after everything else, and nothing waits for them.
	Simulated bool
	// KnownKind answers for kinds that the target has without the repository
	// defining them, beyond those built in to Kubernetes. Optional.
	KnownKind func(schema.GroupVersionKind) (namespaced, known bool)
	// ExistingNamespace answers for namespaces that the target has without the
	// repository creating them, beyond those of Kubernetes itself. Optional.
	ExistingNamespace func(name string) bool
}

// Build makes the graph. It returns all faults it finds in the objects, joined: a
// cycle (CycleError), a custom resource without its definition, a namespace missing.
func Build(objects []manifests.Object, o Options) (*Graph, error) {
	return nil, errors.New("ordering objects is not implemented yet")
}
