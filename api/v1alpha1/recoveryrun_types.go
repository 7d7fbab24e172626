package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// RecoveryRun is one immutable order to do something to a plan. Its status is the record.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rrun,categories=dr
// +kubebuilder:printcolumn:name="Plan",type=string,JSONPath=`.spec.planRef.name`
// +kubebuilder:printcolumn:name="Operation",type=string,JSONPath=`.spec.operation`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Succeeded",type=string,JSONPath=`.status.conditions[?(@.type=="Succeeded")].status`
// +kubebuilder:printcolumn:name="Commit",type=string,JSONPath=`.status.pinned.commit`,priority=1
// +kubebuilder:printcolumn:name="Waiting for",type=string,JSONPath=`.status.waiting.for`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RecoveryRun struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec RecoveryRunSpec `json:"spec"`
	// +optional
	Status RecoveryRunStatus `json:"status,omitempty"`
}

// RecoveryRunList is a list of runs.
//
// +kubebuilder:object:root=true
type RecoveryRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RecoveryRun `json:"items"`
}

// Operation is what a run does.
//
// +kubebuilder:validation:Enum=Rebuild;Teardown;Drill
type Operation string

const (
	// OperationRebuild deletes the present incarnation, if any, and makes a verified new one.
	OperationRebuild Operation = "Rebuild"
	// OperationTeardown deletes the cluster after proving that it could be rebuilt.
	OperationTeardown Operation = "Teardown"
	// OperationDrill rebuilds under a throw-away name, reports, and deletes what it made.
	OperationDrill Operation = "Drill"
)

// RecoveryRunSpec is the order. Only suspend and cancel can be changed.
//
// +kubebuilder:validation:XValidation:rule="self.planRef == oldSelf.planRef && self.operation == oldSelf.operation && (has(self.reason) ? self.reason : \"\") == (has(oldSelf.reason) ? oldSelf.reason : \"\") && (has(self.requestedBy) ? self.requestedBy : \"\") == (has(oldSelf.requestedBy) ? oldSelf.requestedBy : \"\") && (has(self.cluster) ? self.cluster : \"\") == (has(oldSelf.cluster) ? oldSelf.cluster : \"\") && (has(self.retryOf) ? self.retryOf : \"\") == (has(oldSelf.retryOf) ? oldSelf.retryOf : \"\") && (has(self.overrideHolds) && self.overrideHolds) == (has(oldSelf.overrideHolds) && oldSelf.overrideHolds) && (has(self.keepExisting) && self.keepExisting) == (has(oldSelf.keepExisting) && oldSelf.keepExisting) && has(self.schedule) == has(oldSelf.schedule) && (!has(self.schedule) || self.schedule == oldSelf.schedule)",message="a run is immutable but for suspend and cancel; create another one"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.cancel) || has(self.cancel) && self.cancel == oldSelf.cancel",message="a run that was cancelled stays so"
// +kubebuilder:validation:XValidation:rule="!has(self.retryOf) || self.operation == 'Rebuild'",message="only a Rebuild can be a retry"
type RecoveryRunSpec struct {
	// PlanRef names a plan in the same namespace.
	PlanRef PlanReference `json:"planRef"`
	// Operation to carry out.
	Operation Operation `json:"operation"`
	// Reason is kept in the report for those who read it later.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
	// RequestedBy is the user who creates the run. Admission refuses another name. What
	// needs approval is approved by somebody else.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	RequestedBy string `json:"requestedBy,omitempty"`
	// Cluster is the name that the plan's cluster must have when the run starts: what was
	// confirmed is what is deleted.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Cluster string `json:"cluster,omitempty"`
	// RetryOf names a Rebuild of the same plan that failed after it had made its cluster. This
	// run goes on with that cluster instead of deleting it, from the commit that the plan
	// refers to now.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	RetryOf string `json:"retryOf,omitempty"`
	// Schedule is what ordered the run, if nobody did.
	//
	// +optional
	Schedule *ScheduledTime `json:"schedule,omitempty"`
	// OverrideHolds carries the run out although the cluster is held.
	//
	// +optional
	OverrideHolds bool `json:"overrideHolds,omitempty"`
	// KeepExisting leaves a cluster that exists alone: the Rebuild fails in its preflight
	// instead of deleting it.
	//
	// +optional
	KeepExisting bool `json:"keepExisting,omitempty"`
	// Suspend stops the run before its next action while it is true. What is under way
	// inside a phase is ended and begun again later; the time does not count.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// Cancel ends the run. A deletion that was sent already goes on; a drill cleans up.
	//
	// +optional
	Cancel *Cancellation `json:"cancel,omitempty"`
}

// Cancellation says why a run is ended.
type Cancellation struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
}

// PlanReference names a plan in the same namespace.
type PlanReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// RunPhase is derived from the recorded phases, for people; no code reads it.
type RunPhase string

// Phase names one part of a run.
type Phase string

// The phases of a run, in order. A run passes only through those its operation needs.
const (
	// PhasePreflight proves that the order can be carried out: plan, commit, render,
	// seeds, management cluster. It destroys nothing.
	PhasePreflight Phase = "Preflight"
	// PhaseApproval waits for a second person's yes to the deletion.
	PhaseApproval Phase = "Approval"
	// PhaseTeardown deletes the present incarnation of the cluster.
	PhaseTeardown Phase = "Teardown"
	// PhaseProvision creates the Cluster API objects and waits for the control plane.
	PhaseProvision Phase = "Provision"
	// PhaseBootstrap waits for a usable API server, pins kube-system and waits for nodes.
	PhaseBootstrap Phase = "Bootstrap"
	// PhaseSeed writes what Git cannot hold.
	PhaseSeed Phase = "Seed"
	// PhaseWaves applies the state and waits for health.
	PhaseWaves Phase = "Waves"
	// PhaseVerify compares the live cluster with the frozen render.
	PhaseVerify Phase = "Verify"
	// PhaseCleanup deletes the throw-away cluster of a drill.
	PhaseCleanup Phase = "Cleanup"
)

// The conditions of a run.
const (
	// ConditionSucceeded is the outcome: Unknown while the run goes on.
	ConditionSucceeded = "Succeeded"
	// ConditionClusterProvisioned is True once the pinned cluster is usable.
	ConditionClusterProvisioned = "ClusterProvisioned"
	// ConditionStateApplied is True once every object was applied and every gate observed.
	ConditionStateApplied = "StateApplied"
	// ConditionVerified is True once a fresh read of the live cluster matched the render.
	ConditionVerified = "Verified"
	// ConditionObjectiveMet compares the measured recovery time with the objective.
	ConditionObjectiveMet = "ObjectiveMet"
	// ConditionCleanedUp is True once nothing is left of what the run had to delete.
	ConditionCleanedUp = "CleanedUp"
	// ConditionReady of a plan: its last rendering had no fault.
	ConditionReady = "Ready"
	// ConditionGitStateApplied is set on the Cluster, so that its availabilityGates can
	// make Available mean rebuilt and reapplied.
	ConditionGitStateApplied = "refloat.dev/GitStateApplied"
)

// Result is the outcome of a finished run.
type Result string

const (
	// ResultSucceeded means done and verified.
	ResultSucceeded Result = "Succeeded"
	// ResultFailed means not done; the Succeeded condition says why.
	ResultFailed Result = "Failed"
)

// RecoveryRunStatus is the record of a run, enough to continue it after any crash.
type RecoveryRunStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase is a summary for people.
	//
	// +optional
	Phase RunPhase `json:"phase,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Epoch counts the controller processes that took this run over. A process that
	// finds a higher number than its own stops: its writes are no longer wanted.
	//
	// +optional
	Epoch int64 `json:"epoch,omitempty"`
	// StartedAt is when the run got the lock of its cluster.
	//
	// +optional
	StartedAt *metav1.MicroTime `json:"startedAt,omitempty"`
	// FinishedAt is when the run reached its result.
	//
	// +optional
	FinishedAt *metav1.MicroTime `json:"finishedAt,omitempty"`
	// RecoveredAt is when the cluster was verified; recovery time counts up to here.
	//
	// +optional
	RecoveredAt *metav1.MicroTime `json:"recoveredAt,omitempty"`
	// Pinned is what the run works from, whatever changes meanwhile.
	//
	// +optional
	Pinned *PinnedInputs `json:"pinned,omitempty"`
	// Previous is the incarnation that the run has to delete, if there was one.
	//
	// +optional
	Previous *Incarnation `json:"previous,omitempty"`
	// Retried is the run whose cluster this one goes on with.
	//
	// +optional
	Retried *RetriedRun `json:"retried,omitempty"`
	// Approval that the run asks for, when its plan wants one.
	//
	// +optional
	Approval *ApprovalRecord `json:"approval,omitempty"`
	// Budget is how the run waits, or waited, for its turn to delete a cluster.
	//
	// +optional
	Budget *BudgetWait `json:"budget,omitempty"`
	// SuspendedAt is when the run stopped because spec.suspend is true.
	//
	// +optional
	SuspendedAt *metav1.MicroTime `json:"suspendedAt,omitempty"`
	// Target is the incarnation that the run makes.
	//
	// +optional
	Target *Incarnation `json:"target,omitempty"`
	// Identity of the previous incarnation, as it is kept for the next one.
	//
	// +optional
	Identity *KeptIdentity `json:"identity,omitempty"`
	// Phases entered so far, in order.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Phases []PhaseRecord `json:"phases,omitempty"`
	// Progress of the phase under way.
	//
	// +optional
	Progress *Progress `json:"progress,omitempty"`
	// Waiting says what the run waits for now.
	//
	// +optional
	Waiting *Waiting `json:"waiting,omitempty"`
	// Failure is why the run cannot succeed any more. A drill records it before it
	// cleans up, so that the outcome survives a restart.
	//
	// +optional
	Failure *Failure `json:"failure,omitempty"`
	// Verification is the summary of the comparison with the frozen render.
	//
	// +optional
	Verification *VerificationSummary `json:"verification,omitempty"`
	// Loss is the summary of what would be, or was, lost with the previous incarnation.
	//
	// +optional
	Loss *LossSummary `json:"loss,omitempty"`
	// ReportRef names the ConfigMap, in the run's namespace, that holds the report.
	//
	// +optional
	ReportRef *LocalConfigMapReference `json:"reportRef,omitempty"`
}

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
