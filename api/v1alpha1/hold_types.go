package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Hold asks for a time that a cluster is left alone.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=rhold,categories=dr
// +kubebuilder:printcolumn:name="Plan",type=string,JSONPath=`.spec.planRef.name`
// +kubebuilder:printcolumn:name="Until",type=string,JSONPath=`.spec.until`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Hold struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec HoldSpec `json:"spec"`
}

// HoldList is a list of holds.
//
// +kubebuilder:object:root=true
type HoldList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Hold `json:"items"`
}

// HoldSpec says what is held, until when and why.
type HoldSpec struct {
	// PlanRef names a plan in the same namespace: its cluster is not deleted. Drills,
	// which delete only what they made, go on.
	PlanRef PlanReference `json:"planRef"`
	// Until is when the hold ends by itself. A time in the past holds nothing.
	Until metav1.Time `json:"until"`
	// Reason is shown to those whose run is refused.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
}
