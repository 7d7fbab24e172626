// Package chaos is the fault harness: it lets things go wrong at every write of a rebuild,
// a teardown, a drill, a failover and a failback, and checks that the rules of the design
// hold all the same and that the end is that of a run without faults. See docs/chaos.md.
//
// What is real: the API servers and etcd, garbage collection, Refloat's controller with its
// engine, Git, TLS, and processes that are killed and frozen by signals. What is played:
// Cluster API and the provider, by lifecycle in this package, which gives a new Cluster an
// emptied API server with an identity of its own instead of one that takes seconds to start,
// and the receiver of a failover's hooks.
//
// A Point is one operation with one fault at one write. Lanes run points side by side; each
// has an API server for the cluster that its runs make. The management cluster and the
// cluster that was there before are shared.
package chaos
