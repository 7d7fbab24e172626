package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// PinnedInputs is what a run works from, fixed in its Preflight.
type PinnedInputs struct {
	// Commit is the full hash.
	Commit string `json:"commit"`
	// CommitTime is when the commit was made.
	//
	// +optional
	CommitTime *metav1.Time `json:"commitTime,omitempty"`
	// Origin says where the commit came from and who signed it.
	//
	// +optional
	Origin *CommitOrigin `json:"origin,omitempty"`
	// RenderDigest is the SHA-256 over the canonical rendered state.
	RenderDigest string `json:"renderDigest"`
	// ClusterDigest is the SHA-256 over the rendered Cluster API manifests.
	ClusterDigest string `json:"clusterDigest"`
	// Infrastructure is the kind of the cluster's infrastructure with its group, as the
	// manifests say: it tells the provider.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=317
	Infrastructure string `json:"infrastructure,omitempty"`
	// Charts that were fetched. They are taken again by their digests.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Charts []PinnedChart `json:"charts,omitempty"`
	// FrozenSecret, in the run's namespace, holds what charts of the state made up by
	// chance, so that it is the same after a restart; empty when they made up nothing.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	FrozenSecret string `json:"frozenSecret,omitempty"`
	// Sources are other Git repositories, and artifacts with manifests, that were
	// fetched. They are taken again by their revisions.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Sources []PinnedSource `json:"sources,omitempty"`
	// Objects is the number of rendered objects.
	Objects int32 `json:"objects"`
	// Waves is the number of levels of the object graph.
	Waves int32 `json:"waves"`
	// PlanUID and PlanGeneration tell which plan was copied.
	PlanUID        types.UID `json:"planUID"`
	PlanGeneration int64     `json:"planGeneration"`
	// Plan is the copy that the run works from.
	Plan RecoveryPlanSpec `json:"plan"`
}

// PinnedChart is a Helm chart as the state asks for it, and what came.
type PinnedChart struct {
	// Repository that the state names.
	//
	// +kubebuilder:validation:MaxLength=2048
	Repository string `json:"repository"`
	// Name of the chart in it; empty when the repository is the chart itself.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`
	// Requested version, range, tag or digest.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Requested string `json:"requested,omitempty"`
	// Version that came.
	//
	// +kubebuilder:validation:MaxLength=256
	Version string `json:"version"`
	// Digest of the archive, sha256:….
	//
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest"`
	// Manifest is the digest of the OCI manifest.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Manifest string `json:"manifest,omitempty"`
}

// PinnedSource is a repository or an artifact as the state asks for it, and what came.
type PinnedSource struct {
	// URL that the state names.
	//
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`
	// Requested in words, such as "branch main" or "semver 1.x".
	//
	// +kubebuilder:validation:MaxLength=512
	Requested string `json:"requested"`
	// Revision that came: a commit, or the digest of an artifact's manifest.
	//
	// +kubebuilder:validation:MaxLength=128
	Revision string `json:"revision"`
	// Digest of the artifact's layer.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest,omitempty"`
}

// CommitOrigin says where a commit came from and who signed it.
type CommitOrigin struct {
	// From is the URL that served it: the repository's, or a mirror's.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	From string `json:"from,omitempty"`
	// Ref that led to it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Ref string `json:"ref,omitempty"`
	// FetchedAt is when it came from there.
	//
	// +optional
	FetchedAt *metav1.Time `json:"fetchedAt,omitempty"`
	// Stale is true when no remote answered and the last fetched commit was taken.
	//
	// +optional
	Stale bool `json:"stale,omitempty"`
	// SignedBy lists the signatures that were verified.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:MaxLength=1024
	SignedBy []string `json:"signedBy,omitempty"`
}
