package argocd

import (
	"context"
	"errors"
	"io/fs"

	"github.com/refloat-dev/refloat/manifests"
)

// ErrUnavailable is wrapped by a Renderer when a source cannot be had by design: a
// repository that nobody configured, a kind of source that is not supported. The
// definition is then left out with the reason; every other error ends the rendering.
var ErrUnavailable = errors.New("not available")

// Renderer turns sources into objects. It bounds what it reads and renders, and names
// in the Origin of each object the file it came from.
type Renderer interface {
	// Tree opens a repository at a revision as a definition names them. A branch of the
	// repository that is being rebuilt is the pinned commit.
	Tree(ctx context.Context, r TreeRequest) (Tree, error)
	// Files renders manifests as they are.
	Files(ctx context.Context, r FilesRequest) (Rendered, error)
	// Kustomize builds a directory.
	Kustomize(ctx context.Context, r KustomizeRequest) (Rendered, error)
	// Helm renders the templates of a chart, hooks and tests with their annotations.
	Helm(ctx context.Context, r HelmRequest) (Rendered, error)
}

// TreeRequest asks for a repository.
type TreeRequest struct {
	RepoURL, Revision string
	// Hydrated is the branch into which a hydrator renders another one: it has to be that
	// branch, whatever is rebuilt.
	Hydrated bool
}

// Tree is a repository at one commit.
type Tree struct {
	FS     fs.FS
	URL    string
	Commit string
}

// Rendered objects. Lists are expanded; objects of unknown scope have the namespace
// that the files say.
type Rendered struct {
	Objects  []manifests.Object
	Warnings []string
}

// FilesRequest asks for manifests, read one by one.
type FilesRequest struct {
	Tree  Tree
	Files []string
}

// KustomizeRequest asks for a kustomize build.
type KustomizeRequest struct {
	Tree Tree
	Path string
	// Overlay replaces files of the tree: the kustomization as the definition changes it.
	Overlay map[string][]byte
	// LoadAnywhere lets it read files above Path, within the repository.
	LoadAnywhere bool
	// EnableHelm lets it render charts.
	EnableHelm  bool
	KubeVersion string
	APIVersions []string
}

// HelmRequest asks for a chart, either in a tree or from a chart repository.
type HelmRequest struct {
	// Tree and Path of a chart in a repository.
	Tree Tree
	Path string
	// RepoURL, Chart and Version of one in a chart repository; Chart is "" else. A
	// RepoURL without a scheme is an OCI registry.
	RepoURL, Chart, Version string

	// Namespace is what templates see; objects that name none go Into another.
	Release, Namespace, Into string
	// Values in the order of their precedence, the last one wins.
	Values []HelmValues
	// Parameters win over values, in their order.
	Parameters           []HelmParameter
	SkipCRDs, SkipTests  bool
	SkipSchemaValidation bool
	// PassCredentials to other hosts that the index of a chart repository names.
	PassCredentials bool
	// KubeVersion and APIVersions that the definition gives; empty means the cluster's.
	KubeVersion string
	APIVersions []string
}

// HelmValues are values, or where in the chart they are.
type HelmValues struct {
	// From says where they are written, for people.
	From string
	Data []byte
	// ChartFile is a file of a chart that comes from a chart repository, or a glob.
	ChartFile string
	// Optional files may be missing.
	Optional bool
}

// HelmParameter is one --set.
type HelmParameter struct {
	Name, Value string
	// String takes the value as text whatever it looks like.
	String bool
	// Literal takes the value as the content of a file: text, with nothing in it parsed.
	Literal bool
	// ChartFile holds the value in a chart that comes from a chart repository.
	ChartFile string
}
