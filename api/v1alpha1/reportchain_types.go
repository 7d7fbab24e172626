package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// MaxReportLinks is how many links of the chain a plan's status names.
const MaxReportLinks = 32

// ReportChain is the head of a chain of reports. Each names its predecessor by its digest,
// so that one that is edited or removed later shows.
type ReportChain struct {
	// Sequence of the last report; the first has 1.
	Sequence int64 `json:"sequence"`
	// Recent links, the last first. They outlive the reports, which go with their runs.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Recent []ReportLink `json:"recent,omitempty"`
}

// ReportLink is one report in the chain.
type ReportLink struct {
	Sequence int64 `json:"sequence"`
	// Run that the report is about, and its UID.
	//
	// +kubebuilder:validation:MaxLength=253
	Run string    `json:"run"`
	UID types.UID `json:"uid"`
	// Digest of the report's canonical JSON form, sha256:….
	//
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest"`
}

// OverriddenHold is a Hold that a run did not heed because it was ordered not to.
type OverriddenHold struct {
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string      `json:"reason,omitempty"`
	Until  metav1.Time `json:"until"`
}
