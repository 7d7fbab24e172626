package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TeardownBudget bounds how many clusters of a group of plans runs delete within an hour,
// and how many may be down at the same time. Drills, which delete only what they made, are
// not counted.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rbudget,categories=dr
// +kubebuilder:printcolumn:name="Plans",type=integer,JSONPath=`.status.plans`
// +kubebuilder:printcolumn:name="Down",type=integer,JSONPath=`.status.down`
// +kubebuilder:printcolumn:name="Max down",type=string,JSONPath=`.spec.maxDown`
// +kubebuilder:printcolumn:name="Last hour",type=integer,JSONPath=`.status.lastHour`
// +kubebuilder:printcolumn:name="Max per hour",type=integer,JSONPath=`.spec.maxPerHour`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TeardownBudget struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec TeardownBudgetSpec `json:"spec"`
	// +optional
	Status TeardownBudgetStatus `json:"status,omitzero"`
}

// TeardownBudgetList is a list of budgets.
//
// +kubebuilder:object:root=true
type TeardownBudgetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TeardownBudget `json:"items"`
}

// TeardownBudgetSpec says which plans are bounded and how.
//
// +kubebuilder:validation:XValidation:rule="has(self.maxPerHour) || has(self.maxDown)",message="must set maxPerHour or maxDown, or both"
type TeardownBudgetSpec struct {
	// PlanSelector selects plans in the budget's namespace by their labels. An empty one
	// selects all.
	PlanSelector metav1.LabelSelector `json:"planSelector"`
	// MaxPerHour is how many clusters may be deleted within any hour. 0 lets none be.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=500
	MaxPerHour *int32 `json:"maxPerHour,omitempty"`
	// MaxDown is how many of the selected plans may be without a working cluster at the
	// same time, as a number or as a percentage of the plans, rounded down. A cluster that
	// is down for another reason counts, too.
	//
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 10000 : self.matches('^(100|[1-9]?[0-9])%$')",message="must be a number from 0 to 10000 or a percentage from 0% to 100%"
	MaxDown *intstr.IntOrString `json:"maxDown,omitempty"`
	// WaitFor is how long a run waits for its turn until it fails; 0s fails it at once.
	//
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('168h')",message="must be at least 0s and at most 168h"
	WaitFor *metav1.Duration `json:"waitFor,omitempty"`
}

// TeardownBudgetStatus is who has a part of the budget.
type TeardownBudgetStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Plans that the budget selects.
	//
	// +optional
	Plans int32 `json:"plans"`
	// Down counts those of them without a working cluster, and those whose run may delete
	// it any moment.
	//
	// +optional
	Down int32 `json:"down"`
	// LastHour counts the slots of deletions within the last hour or about to be sent.
	//
	// +optional
	LastHour int32 `json:"lastHour"`
	// Slots that are taken. A run takes one before it touches its cluster.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	Slots []TeardownSlot `json:"slots,omitempty"`
}

// TeardownSlot is one run's part of a budget.
type TeardownSlot struct {
	// Run and its UID.
	//
	// +kubebuilder:validation:MaxLength=253
	Run string    `json:"run"`
	UID types.UID `json:"uid"`
	// Plan of the run.
	//
	// +kubebuilder:validation:MaxLength=253
	Plan    string           `json:"plan"`
	TakenAt metav1.MicroTime `json:"takenAt"`
	// DeletedAt is when the run recorded its deletion, as far as it is known.
	//
	// +optional
	DeletedAt *metav1.MicroTime `json:"deletedAt,omitempty"`
	// Finished is true once the run has its result, or is gone.
	//
	// +optional
	Finished bool `json:"finished,omitempty"`
}

// BudgetWait is how a run waits for the slots of budgets.
type BudgetWait struct {
	// Since when it waits now; not set when it does not.
	//
	// +optional
	Since *metav1.MicroTime `json:"since,omitempty"`
	// Until is when the wait ends in failure.
	//
	// +optional
	Until *metav1.MicroTime `json:"until,omitempty"`
	// Waited before, in all.
	//
	// +optional
	Waited metav1.Duration `json:"waited,omitzero"`
}
