// Package clusterapi puts Cluster API core on a management plane of this machine: its
// definitions, its admission webhooks, and the command line of its controller, which
// is upstream's own program, unmodified.
//
// The definitions are copied from the module by a generator, because a module's files
// cannot be embedded from another module. Only the storage version is kept: serving an
// older one would need a conversion webhook, and nobody here asks for it.
package clusterapi

//go:generate go run ./generate core.yaml
