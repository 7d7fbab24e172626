package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// RetriedRun is a failed run whose cluster another one goes on with.
type RetriedRun struct {
	Name string    `json:"name"`
	UID  types.UID `json:"uid"`
	// StartedAt of the first attempt. Recovery time counts from here.
	StartedAt metav1.MicroTime `json:"startedAt"`
	// Phase that failed.
	Phase Phase `json:"phase"`
}

// Incarnation is one life of a logical cluster.
type Incarnation struct {
	// Name of the Cluster object in the run's namespace.
	Name string `json:"name"`
	// UID of the Cluster object.
	//
	// +optional
	UID types.UID `json:"uid,omitempty"`
	// KubeSystemUID is the UID of the kube-system namespace inside the cluster.
	//
	// +optional
	KubeSystemUID types.UID `json:"kubeSystemUID,omitempty"`
	// Simulated is true when no container runs in the cluster.
	//
	// +optional
	Simulated bool `json:"simulated,omitempty"`
	// CreatedAt is the creation time of the Cluster object.
	//
	// +optional
	CreatedAt *metav1.Time `json:"createdAt,omitempty"`
	// DeleteRequestedAt is recorded before the one deletion of this incarnation is sent.
	//
	// +optional
	DeleteRequestedAt *metav1.MicroTime `json:"deleteRequestedAt,omitempty"`
	// Drain is what was given back before the deletion.
	//
	// +optional
	Drain *DrainRecord `json:"drain,omitempty"`
}

// KeptIdentity says where the keys of a cluster are, that its successor gets.
type KeptIdentity struct {
	// SecretName in the run's namespace. The Secret goes with the run.
	//
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`
	// Parts that are kept: ca, etcd, proxy, sa.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	Parts []string `json:"parts,omitempty"`
	// Fingerprint is the SHA-256 of the certificate of the cluster's authority.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string           `json:"fingerprint,omitempty"`
	KeptAt      metav1.MicroTime `json:"keptAt"`
}

// PhaseRecord is one phase that a run entered.
type PhaseRecord struct {
	Name      Phase            `json:"name"`
	StartedAt metav1.MicroTime `json:"startedAt"`
	// +optional
	FinishedAt *metav1.MicroTime `json:"finishedAt,omitempty"`
	// Suspended is how long the phase stood still, on demand or for the slot of a budget.
	// It does not count against its limit.
	//
	// +optional
	Suspended *metav1.Duration `json:"suspended,omitempty"`
	// Message of the phase's outcome.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
}

// Failure is why a run cannot succeed.
type Failure struct {
	// Phase in which it happened.
	Phase Phase `json:"phase"`
	// Reason is one CamelCase word for programs.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`
	// Message is one sentence that names the object, and the file and line or field.
	//
	// +kubebuilder:validation:MaxLength=8192
	Message string `json:"message"`
}

// Progress counts objects, so that a user sees a long phase move.
type Progress struct {
	Total       int32 `json:"total"`
	Applied     int32 `json:"applied"`
	Healthy     int32 `json:"healthy"`
	NotProvable int32 `json:"notProvable"`
	// Wave is the earliest wave not yet complete, from 1.
	//
	// +optional
	Wave int32 `json:"wave,omitempty"`
}

// Waiting says what a run waits for and since when.
type Waiting struct {
	// For is one sentence that names the object.
	//
	// +kubebuilder:validation:MaxLength=1024
	For   string           `json:"for"`
	Since metav1.MicroTime `json:"since"`
	// Until is when the wait ends in failure.
	//
	// +optional
	Until *metav1.MicroTime `json:"until,omitempty"`
}

// VerificationSummary counts the comparison of the live cluster with the frozen render.
type VerificationSummary struct {
	Rendered    int32 `json:"rendered"`
	Matched     int32 `json:"matched"`
	Missing     int32 `json:"missing"`
	Changed     int32 `json:"changed"`
	Extra       int32 `json:"extra"`
	Healthy     int32 `json:"healthy"`
	NotProvable int32 `json:"notProvable"`
	// Skipped objects need not exist, by a rule of the repository.
	//
	// +optional
	Skipped int32 `json:"skipped,omitempty"`
	// Exempt counts what such rules left out: objects, fields and health.
	//
	// +optional
	Exempt int32 `json:"exempt,omitempty"`
	// Weak objects matched by their rendered fields alone.
	//
	// +optional
	Weak int32 `json:"weak,omitempty"`
	// StableFor is how long all objects were seen to stay healthy.
	//
	// +optional
	StableFor *metav1.Duration `json:"stableFor,omitempty"`
	// CertificateKeyID is the SHA-256 of the public key that the certificate in the
	// report is signed with; empty without one.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	CertificateKeyID string `json:"certificateKeyID,omitempty"`
}

// LocalConfigMapReference names a ConfigMap in the same namespace.
type LocalConfigMapReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
