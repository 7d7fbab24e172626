package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SafetyRule is what must hold whatever anybody orders: a gate stops all that machines
// order, an assertion keeps some of a group of clusters serving.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=srule,categories=dr
// +kubebuilder:printcolumn:name="Closed",type=boolean,JSONPath=`.spec.gate.closed`
// +kubebuilder:printcolumn:name="At least",type=integer,JSONPath=`.spec.assertion.atLeast`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SafetyRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec SafetyRuleSpec `json:"spec"`
}

// SafetyRuleList is a list of rules.
//
// +kubebuilder:object:root=true
type SafetyRuleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SafetyRule `json:"items"`
}

// SafetyRuleSpec is one of two rules.
//
// +kubebuilder:validation:XValidation:rule="has(self.gate) != has(self.assertion)",message="must have either gate or assertion"
type SafetyRuleSpec struct {
	// Gate that stops all that schedules and failover policies order while it is closed,
	// in its namespace, or everywhere when it is in the namespace of the controller. What
	// people order goes on.
	//
	// +optional
	Gate *Gate `json:"gate,omitempty"`
	// Assertion that must hold after any cluster was deleted, whoever orders it.
	//
	// +optional
	Assertion *Assertion `json:"assertion,omitempty"`
}

// Gate is one switch.
//
// +kubebuilder:validation:XValidation:rule="!self.closed || has(self.reason) && size(self.reason) > 0",message="a closed gate must say why, in reason"
type Gate struct {
	// Closed gates stop automation.
	Closed bool `json:"closed"`
	// Reason is shown wherever something does not happen because of the gate.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
}

// Assertion keeps clusters serving.
//
// +kubebuilder:validation:XValidation:rule="self.atLeast <= size(self.plans)",message="atLeast must not be greater than the number of plans"
type Assertion struct {
	// Plans of the namespace whose clusters count.
	//
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Plans []string `json:"plans"`
	// AtLeast so many of them have a cluster that is Available and not being deleted. A
	// cluster that is none of these may always be deleted.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	AtLeast int32 `json:"atLeast"`
}
