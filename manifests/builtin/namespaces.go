package builtin

import "slices"

// namespaces that every cluster is born with.
var namespaces = []string{"default", "kube-system", "kube-public", "kube-node-lease"}

// Namespace tells whether every cluster is born with a namespace of that name. Others that
// begin with kube- are as ordinary as any.
func Namespace(name string) bool { return slices.Contains(namespaces, name) }
