// Package loss tells, before a cluster is deleted, what would be lost with it: objects,
// fields and volumes that neither the repository nor Kubernetes nor a declared and fresh
// backup brings back.
//
// The classes come from package verify, which knows for every live object why it is
// there. This package goes on where verify may stop: what is derived or made by
// Kubernetes can still hold what a person put there, and a volume that the repository
// asks for holds data that the repository does not have. When in doubt, it says lost.
//
// Inspect reads the cluster; Judge is pure.
package loss
