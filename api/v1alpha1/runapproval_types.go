package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// RunApproval is a second person's yes to what one run is about to destroy. It counts for
// that run, that rendering and that incarnation only.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=rapproval,categories=dr
// +kubebuilder:printcolumn:name="Run",type=string,JSONPath=`.spec.runRef.name`
// +kubebuilder:printcolumn:name="By",type=string,JSONPath=`.spec.approvedBy`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RunApproval struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an approval is immutable; delete it and create another one"
	Spec RunApprovalSpec `json:"spec"`
}

// RunApprovalList is a list of approvals.
//
// +kubebuilder:object:root=true
type RunApprovalList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RunApproval `json:"items"`
}

// RunApprovalSpec says what is approved and by whom.
//
// +kubebuilder:validation:XValidation:rule="!has(self.unfenced) || !self.unfenced || has(self.reason)",message="to go on unfenced needs a reason"
type RunApprovalSpec struct {
	// RunRef names a run in the same namespace.
	RunRef RunReference `json:"runRef"`
	// Digest of what the run is about to do, as in its status.approval.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest"`
	// TargetUID is the UID of the Cluster that will be deleted.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	TargetUID string `json:"targetUID"`
	// ApprovedBy is the user who creates the approval. Admission refuses another name.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	ApprovedBy string `json:"approvedBy"`
	// Reason is kept in the report for those who read it later.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
	// Unfenced lets a failover go on although its old side may still run. It needs a reason.
	//
	// +optional
	Unfenced bool `json:"unfenced,omitempty"`
	// ExpiresAt is when the approval counts no more, unless the run took it before.
	//
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// RunReference names a run in the same namespace.
type RunReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// ApprovalRecord is what a run asks approval for, and the approval that it took.
type ApprovalRecord struct {
	// Digest of what the run is about to do: plan, operation, commit, rendering and the
	// incarnation that it deletes.
	Digest string `json:"digest"`
	// TargetUID is the UID of the Cluster that the run deletes.
	TargetUID types.UID `json:"targetUID"`
	// RequestedAt is when the run began to wait.
	RequestedAt metav1.MicroTime `json:"requestedAt"`
	// Name of the approval that the run took, and who gave it.
	//
	// +optional
	Name string `json:"name,omitempty"`
	// +optional
	ApprovedBy string `json:"approvedBy,omitempty"`
	// +optional
	ApprovedAt *metav1.MicroTime `json:"approvedAt,omitempty"`
	// Reason that was given with the approval.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
}
