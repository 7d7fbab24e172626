package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// RecoveryPlanStatus is what was last learned about a plan.
type RecoveryPlanStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// LastRun is the run that finished last.
	//
	// +optional
	LastRun *LastRun `json:"lastRun,omitempty"`
	// Reports is the head of the chain that the plan's final reports make.
	//
	// +optional
	Reports *ReportChain `json:"reports,omitempty"`
	// Serving says which plan's cluster serves for this one, once there was a failover.
	//
	// +optional
	Serving *ServingStatus `json:"serving,omitempty"`
	// LastDrill is the rebuild or drill that succeeded last: the proof that it works.
	//
	// +optional
	LastDrill *LastRun `json:"lastDrill,omitempty"`
	// Infrastructure is the kind of the cluster's infrastructure with its group, as the
	// manifests say: it tells the provider.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=317
	Infrastructure string `json:"infrastructure,omitempty"`
	// Recoverability is what the last evaluation found.
	//
	// +optional
	Recoverability *Recoverability `json:"recoverability,omitempty"`
}

// LastRun summarises the run of a plan that finished last.
type LastRun struct {
	Name string `json:"name"`
	// UID tells the run from others that had its name.
	//
	// +optional
	UID       types.UID `json:"uid,omitempty"`
	Operation Operation `json:"operation"`
	Result    Result    `json:"result"`
	// Outcome of a drill.
	//
	// +optional
	Outcome DrillOutcome `json:"outcome,omitempty"`
	// RecoveryTime of a rebuild or drill, empty otherwise.
	//
	// +optional
	RecoveryTime string      `json:"recoveryTime,omitempty"`
	FinishedAt   metav1.Time `json:"finishedAt"`
}
