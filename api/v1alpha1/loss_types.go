package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LossRule says what a preview with losses means to a run that would delete the cluster.
//
// +kubebuilder:validation:Enum=Refuse;RefuseIfNew;Warn
type LossRule string

const (
	// LossRefuse ends the run before anything is deleted, unless every loss is waived.
	LossRefuse LossRule = "Refuse"
	// LossRefuseIfNew does so for losses that are not in the last accepted list.
	LossRefuseIfNew LossRule = "RefuseIfNew"
	// LossWarn lists the losses in the report and goes on.
	LossWarn LossRule = "Warn"
)

// UnreachableRule says what happens when a cluster cannot be asked what it holds.
//
// +kubebuilder:validation:Enum=Refuse;AllowRebuild
type UnreachableRule string

const (
	// UnreachableRefuse ends the run: what cannot be seen may be lost.
	UnreachableRefuse UnreachableRule = "Refuse"
	// UnreachableAllowRebuild lets a Rebuild, but no Teardown, delete a cluster that has
	// not answered for a minute.
	UnreachableAllowRebuild UnreachableRule = "AllowRebuild"
)

// LossPolicy says what may be lost with a cluster. Drills lose nothing and ask nothing.
type LossPolicy struct {
	// Policy for what would be lost.
	//
	// +optional
	// +kubebuilder:default=Refuse
	Policy LossRule `json:"policy,omitempty"`
	// Unreachable is for clusters that do not answer, with Refuse and RefuseIfNew.
	//
	// +optional
	// +kubebuilder:default=Refuse
	Unreachable UnreachableRule `json:"unreachable,omitempty"`
	// MaxBackupAge is how old a Velero backup or a VolumeSnapshot may be to cover what
	// would be lost. Without it none does.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('8760h')",message="must be longer than 0s and at most 8760h"
	MaxBackupAge *metav1.Duration `json:"maxBackupAge,omitempty"`
	// DisposableData is the reason for which the data of all volumes may be lost. Single
	// objects, claims and namespaces are declared disposable by the annotation
	// refloat.dev/disposable.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	DisposableData string `json:"disposableData,omitempty"`
	// Waivers let single objects be lost.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Waivers []LossWaiver `json:"waivers,omitempty"`
}

// LossWaiver lets objects be lost, for a reason and until a time.
type LossWaiver struct {
	// Object selects what may be lost. The data of volumes is waived only by naming the
	// kind PersistentVolumeClaim or PersistentVolume.
	Object ObjectPattern `json:"object"`
	// Reason is shown with the loss.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
	// Until is when the waiver ends. A time in the past waives nothing.
	Until metav1.Time `json:"until"`
}

// LossSummary counts what the preview of a run found.
type LossSummary struct {
	// At is when the cluster was read.
	//
	// +optional
	At *metav1.Time `json:"at,omitempty"`
	// LookedAt is when it was last tried to read the cluster before the deletion, whatever
	// came of it. It is set once the look of the preflight was repeated.
	//
	// +optional
	LookedAt *metav1.Time `json:"lookedAt,omitempty"`
	// Objects, Fields of other objects, and Volumes that would be lost.
	Objects int32 `json:"objects"`
	Fields  int32 `json:"fields"`
	Volumes int32 `json:"volumes"`
	// Excused losses are waived or accepted, and among those above.
	//
	// +optional
	Excused int32 `json:"excused,omitempty"`
	// Unseen is why the cluster could not be asked; empty when it was.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Unseen string `json:"unseen,omitempty"`
}
