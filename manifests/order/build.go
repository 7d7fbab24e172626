package order

import (
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
	// Units that the objects belong to, by their Origin, and what these wait for.
	// Objects of other units are ordered too, by their own fields and places alone.
	Units []manifests.Unit
}

// Build makes the graph. It returns every fault it finds in the objects as Faults: an
// object defined twice, a kind that nothing defines, a namespace that nothing
// creates, a reference that cannot be read, a cycle (CycleError).
func Build(objects []manifests.Object, o Options) (*Graph, error) {
	known, faults := readUnits(o.Units)
	if len(faults) > 0 {
		return nil, Faults(faults)
	}
	s, faults := index(objects, known)
	faults = append(faults, s.check(o)...)
	if len(faults) > 0 {
		return nil, Faults(faults)
	}
	b := newBuilder(s, o)
	b.hard()
	b.declaredWaves()
	b.declaredUnits()
	if faults := b.dependsOn(); len(faults) > 0 {
		return nil, Faults(faults)
	}
	if cycles := b.cycles(); len(cycles) > 0 {
		return nil, Faults(cycles)
	}
	b.infer()
	b.settle()
	if o.Simulated {
		b.simulatedLast()
	}
	return b.graph(), nil
}
