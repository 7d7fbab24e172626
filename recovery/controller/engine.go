package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/lint"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/manifests/quarantine"
	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// Engine turns a commit into the state of a cluster. Errors that no repetition mends
// are recovery.Faults; others are tried again within the limit of the phase.
type Engine interface {
	// Render fetches one commit, renders the cluster's manifests and the state and
	// proves that the state can be ordered. It writes nothing.
	Render(ctx context.Context, request RenderRequest) (*Rendered, error)
	// Seed writes what Git cannot hold, creating namespaces as needed.
	Seed(ctx context.Context, target Target, seeds []SeedSecret) error
	// Apply applies the state behind its gates. It returns what is known of each object
	// with the error too.
	Apply(ctx context.Context, rendered *Rendered, target Target, limits ApplyLimits, tell func(ApplyProgress)) ([]report.Object, error)
	// Verify compares the live cluster with the state, from fresh reads, and certifies
	// the outcome. It tells what it waits for.
	Verify(ctx context.Context, rendered *Rendered, target Target, settings VerifySettings, tell func(ApplyProgress)) (*Verified, error)
	// Loss tells, from fresh reads, what would be lost with a cluster that is to be what the
	// state says. It changes nothing and asks for no Guard.
	Loss(ctx context.Context, rendered *Rendered, target Target, settings LossSettings) (*loss.Preview, error)
	// Probe asks each place of the repository by itself where the reference leads. It
	// downloads nothing.
	Probe(ctx context.Context, request RenderRequest, each time.Duration) ([]source.Probed, error)
	// Lint applies the cold-start rules to a rendering.
	Lint(rendered *Rendered, seeds []v1alpha1.Seed) (*lint.Report, error)
}

// RenderRequest says what to render.
type RenderRequest struct {
	Source v1alpha1.GitSource
	Access Access
	// Commit that is pinned; empty for what Source refers to now.
	Commit string
	// ClusterPath is rendered with ${CLUSTER_NAME} and ${NAMESPACE}.
	ClusterPath, ClusterName, Namespace string
	StatePaths                          []string
	// PathNamespaces are those of objects that a state path writes without one.
	PathNamespaces map[string]string
	// SeedNamespaces exist before the state is applied.
	SeedNamespaces []string
	// KnownKinds are on the cluster by then although the state does not define them.
	KnownKinds KnownKinds
	// ArgoCD is what the plan says of it.
	ArgoCD expand.ArgoOptions
	// Optional objects of the state may fail.
	Optional []manifests.Pattern
	// Seeds are what will be on the cluster by then, for definitions that take values or
	// keys from it.
	Seeds []expand.Seed
	// ChartMirrors are asked for charts, and Charts are those that are pinned.
	ChartMirrors []expand.ChartMirror
	Charts       []expand.ChartPin
	// Frozen releases of the pinned commit are not rendered again.
	Frozen []expand.FrozenRelease
	// Sources are other repositories and artifacts that are pinned.
	Sources []expand.SourcePin
	// Drill says how the state is made harmless; nil leaves it as it is.
	Drill *quarantine.Options
	// Directories of a failover's switch, rendered like ClusterPath.
	Directories []recovery.Directory
}

// KnownKinds tell whether objects of a kind live in namespaces.
type KnownKinds map[schema.GroupKind]bool

// Rendered is a frozen rendering.
type Rendered struct {
	Commit     string
	CommitTime time.Time
	// Origin says where the commit came from and who signed it.
	Origin *v1alpha1.CommitOrigin
	// Digest of the state and ClusterDigest of the cluster's manifests.
	Digest, ClusterDigest string
	// State as rendered. Its number is never 0.
	State []manifests.Object
	// Units that the state is made of, each after those that it waits for.
	Units []manifests.Unit
	// Charts that were fetched for it.
	Charts []expand.ChartPin
	// Frozen releases would come out differently another time.
	Frozen []expand.FrozenRelease
	// Sources are other repositories and artifacts that were fetched for it.
	Sources []expand.SourcePin
	// Waves is the number of levels of the state's graph.
	Waves   int
	Cluster []capi.Source
	// Directories by the call that applies them.
	Directories map[string][]capi.Source
	// SeedNamespaces and KnownKinds of the request, for ordering.
	SeedNamespaces []string
	KnownKinds     KnownKinds
	Warnings       []string
	// Drilled is what the profile of a drill changed.
	Drilled []quarantine.Change
}

// Target is the one cluster that may be written to.
type Target struct {
	Config *rest.Config
	// Reads is an access that only reads; nil means Config.
	Reads *rest.Config
	// Guard proves, before the first write, that Config leads to the pinned cluster.
	Guard func(context.Context) error
	// Simulated says that no container runs there.
	Simulated bool
}

// SeedSecret is a Secret to write.
type SeedSecret struct {
	Namespace string
	Secret    *corev1.Secret
}

// ApplyLimits bound the waves.
type ApplyLimits struct {
	// Timeout per object; Concurrency of requests, 0 to choose.
	Timeout     time.Duration
	Concurrency int
	// MaxFailures of optional objects; 0 for any number.
	MaxFailures int
	// RecoveryPoint is how old a backup may be that is restored; 0 for any age.
	RecoveryPoint time.Duration
	// Inherited says that an earlier run applied to the cluster, perhaps another content.
	Inherited bool
}

// ApplyProgress is told while the waves are under way.
type ApplyProgress struct {
	Progress v1alpha1.Progress
	// Waiting for what, since and until when; empty for nothing in particular.
	Waiting      string
	Since, Until time.Time
}
