package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConditionRecoverable of a plan: a rebuild that was ordered at the last evaluation would
// have had nothing in its way.
const ConditionRecoverable = "Recoverable"

// AnnotationEvaluate of a plan asks for an evaluation out of turn. Each value asks once.
const AnnotationEvaluate = "refloat.dev/evaluate"

// EvaluatePolicy says how often it is looked whether the cluster could be rebuilt.
type EvaluatePolicy struct {
	// Every is the time between two evaluations. 0s evaluates only when somebody asks:
	// refloat check --now.
	//
	// +optional
	// +kubebuilder:default="30m"
	// +kubebuilder:validation:XValidation:rule="duration(self) == duration('0s') || (duration(self) >= duration('1m') && duration(self) <= duration('168h'))",message="must be at least 1m and at most 168h, or 0s to evaluate only when asked"
	Every *metav1.Duration `json:"every,omitempty"`
	// MaxDrillAge is how long ago the last rebuild or drill that succeeded may be. One
	// that is older, or was never, is a warning.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h') && duration(self) <= duration('17520h')",message="must be at least 1h and at most 17520h"
	MaxDrillAge *metav1.Duration `json:"maxDrillAge,omitempty"`
}

// BlockerSeverity says what a finding means for a rebuild.
//
// +kubebuilder:validation:Enum=Blocker;Warning
type BlockerSeverity string

const (
	// SeverityBlocker means that a rebuild would fail.
	SeverityBlocker BlockerSeverity = "Blocker"
	// SeverityWarning means that it would work, but not as promised or not for certain.
	SeverityWarning BlockerSeverity = "Warning"
)

// RecoverabilityBlocker is one thing that is in the way of a rebuild, or may be.
type RecoverabilityBlocker struct {
	// Check that found it, one CamelCase word.
	//
	// +kubebuilder:validation:MaxLength=63
	Check    string          `json:"check"`
	Severity BlockerSeverity `json:"severity"`
	// Message says what is wrong and what to do.
	//
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}

// Recoverability is what the last evaluation of a plan found.
type Recoverability struct {
	// EvaluatedAt is when it was looked last.
	//
	// +optional
	EvaluatedAt *metav1.Time `json:"evaluatedAt,omitempty"`
	// Commit that was rendered; empty when none could be.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Commit string `json:"commit,omitempty"`
	// Blockers, and after them warnings.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Blockers []RecoverabilityBlocker `json:"blockers,omitempty"`
	// More blockers and warnings were found than are listed.
	//
	// +optional
	More int32 `json:"more,omitempty"`
	// NextAt is when it is looked again; unset when that is only when somebody asks.
	//
	// +optional
	NextAt *metav1.Time `json:"nextAt,omitempty"`
	// Asked is the last request, a value of the annotation refloat.dev/evaluate, that was
	// answered.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Asked string `json:"asked,omitempty"`
}
