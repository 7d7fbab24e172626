// Package assets obtains the programs that the local provider runs: Kubernetes,
// Cluster API core and kwok. They are built from pinned Go modules on first use
// and cached by the digest of what they are built from.
package assets

// Name is the name of one program, and of its file in a directory of prebuilt
// programs.
type Name string

// The programs that the local provider runs.
const (
	Kubernetes     Name = "kubernetes"
	ClusterAPICore Name = "cluster-api-core"
	Kwok           Name = "kwok"
)

// KubernetesVersion is what the Kubernetes program reports. Cluster API core
// refuses an API server that reports none.
const KubernetesVersion = "v1.36.3"

// Binaries are absolute paths of verified programs; a program that was not asked
// for has an empty path.
type Binaries struct {
	// Kubernetes holds etcd and the control plane; the component is chosen by
	// argv[0] or by the first argument.
	Kubernetes     string
	ClusterAPICore string
	Kwok           string
}
