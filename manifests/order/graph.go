// Package order turns rendered objects into a graph that says what must be observed
// before each of them may be applied, and why. It is pure: same objects in any
// sequence, same graph.
//
// Edges come from declared order (units that wait for units, sync waves, depends-on), from facts that always
// hold (a CustomResourceDefinition before its instances, a Namespace before what is
// in it) and from inference over the objects' fields (a ConfigMap before the
// Deployment that mounts it). Inferred edges yield to declared order. Every edge has
// a reason, every contradiction a warning, and every cycle that remains is an error
// that prints it.
package order

import (
	"github.com/refloat-dev/refloat/manifests"
)

// Gate is what must be observed of a dependency before its dependant may go.
type Gate string

const (
	// Applied opens when the API server has accepted the object.
	Applied Gate = "Applied"
	// Served opens when a CustomResourceDefinition is established and the API
	// server answers for the kind it defines.
	Served Gate = "Served"
	// Ready opens when the object's health is assessed as healthy, or as not
	// provable on a simulated cluster. A barrier is ready once all its own needs are
	// met.
	Ready Gate = "Ready"
)

// EdgeKind is the strength of an edge.
type EdgeKind string

const (
	// Hard edges hold by the nature of the API; they pull the dependency forward
	// when declared order contradicts them.
	Hard EdgeKind = "Hard"
	// Declared edges are written in the repository.
	Declared EdgeKind = "Declared"
	// Inferred edges are read off the objects' fields and yield to the other two.
	Inferred EdgeKind = "Inferred"
)

// Edge says that a node waits for another one.
type Edge struct {
	// From is the dependency, an index into Graph.Nodes.
	From int
	// Gate is what has to be observed of the dependency.
	Gate Gate
	// Kind is how strong the edge is.
	Kind EdgeKind
	// Reason in words that continue "after <dependency>", for example "mounts it as
	// a volume".
	Reason string
}

// Node is an object to apply or a barrier to pass.
type Node struct {
	// Object to apply. Its Unstructured is nil for a barrier.
	Object manifests.Object
	// Barrier describes, for a node without an object, the set of objects that it
	// stands for: "wave 0 of apps". Barriers keep the number of edges linear; whoever
	// walks the graph passes one, without any request, as soon as its needs are met.
	Barrier string
	// Wave is the level: 1 plus the longest chain of objects that this one waits
	// for. A barrier has the level of the last object it waits for.
	Wave int
	// Needs are all met before the node may go. Sorted by From.
	Needs []Edge
}

// Virtual tells a barrier from an object.
func (n Node) Virtual() bool { return n.Object.Unstructured == nil }

// Graph is acyclic. Nodes holds the objects first, in the sequence in which they
// would be applied one by one (wave, kind rank, ID), then the barriers.
type Graph struct {
	Nodes []Node
	// Waves lists, level by level, the indexes of the objects in Nodes. It holds no
	// barriers.
	Waves [][]int
	// Warnings name every contradiction that was settled and how.
	Warnings []string
	// Units that Options gave, each after those that it waits for.
	Units []manifests.Unit
	// LeftOut are the objects whose rules say that they are never written.
	LeftOut []manifests.Object
}

// Len is the number of objects, which are Nodes[:Len()].
func (g *Graph) Len() int {
	n := 0
	for _, w := range g.Waves {
		n += len(w)
	}
	return n
}
