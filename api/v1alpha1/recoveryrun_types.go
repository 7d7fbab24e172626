package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
// +kubebuilder:validation:Enum=Rebuild;Teardown;Drill;Failover;Failback
type Operation string

const (
	// OperationRebuild deletes the present incarnation, if any, and makes a verified new one.
	OperationRebuild Operation = "Rebuild"
	// OperationTeardown deletes the cluster after proving that it could be rebuilt.
	OperationTeardown Operation = "Teardown"
	// OperationDrill rebuilds under a throw-away name, reports, and deletes what it made.
	OperationDrill Operation = "Drill"
	// OperationFailover fences the side that serves and lets the cluster of another plan
	// take over.
	OperationFailover Operation = "Failover"
	// OperationFailback lets the cluster of the primary plan take over again.
	OperationFailback Operation = "Failback"
)

// RecoveryRunSpec is the order. Only suspend, cancel and commit can be changed.
//
// +kubebuilder:validation:XValidation:rule="self.planRef == oldSelf.planRef && self.operation == oldSelf.operation && (has(self.reason) ? self.reason : \"\") == (has(oldSelf.reason) ? oldSelf.reason : \"\") && (has(self.requestedBy) ? self.requestedBy : \"\") == (has(oldSelf.requestedBy) ? oldSelf.requestedBy : \"\") && (has(self.cluster) ? self.cluster : \"\") == (has(oldSelf.cluster) ? oldSelf.cluster : \"\") && (has(self.retryOf) ? self.retryOf : \"\") == (has(oldSelf.retryOf) ? oldSelf.retryOf : \"\") && (has(self.overrideHolds) && self.overrideHolds) == (has(oldSelf.overrideHolds) && oldSelf.overrideHolds) && (has(self.keepExisting) && self.keepExisting) == (has(oldSelf.keepExisting) && oldSelf.keepExisting) && has(self.proposal) == has(oldSelf.proposal) && (!has(self.proposal) || self.proposal == oldSelf.proposal) && has(self.schedule) == has(oldSelf.schedule) && (!has(self.schedule) || self.schedule == oldSelf.schedule) && has(self.failover) == has(oldSelf.failover) && (!has(self.failover) || self.failover == oldSelf.failover)",message="a run is immutable but for suspend, cancel and commit; create another one"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.cancel) || has(self.cancel) && self.cancel == oldSelf.cancel",message="a run that was cancelled stays so"
// +kubebuilder:validation:XValidation:rule="!has(self.retryOf) || self.operation == 'Rebuild'",message="only a Rebuild can be a retry"
// +kubebuilder:validation:XValidation:rule="(self.operation in ['Failover', 'Failback']) == has(self.failover)",message="a Failover and a Failback say in failover which plan takes over, others do not"
// +kubebuilder:validation:XValidation:rule="!has(self.failover) || (self.operation == 'Failback') == (self.failover.to.name == self.planRef.name)",message="the cluster of a Failover's own plan cannot take over from it, and that of a Failback's has to: failover.to"
// +kubebuilder:validation:XValidation:rule="!has(self.commit) || has(self.failover)",message="only a failover is committed or rolled back"
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
	// Proposal is why a FailoverPolicy ordered the run, if one did.
	//
	// +optional
	Proposal *Proposal `json:"proposal,omitempty"`
	// OverrideHolds carries the run out although the cluster is held.
	//
	// +optional
	OverrideHolds bool `json:"overrideHolds,omitempty"`
	// KeepExisting leaves a cluster that exists alone: the Rebuild fails in its preflight
	// instead of deleting it.
	//
	// +optional
	KeepExisting bool `json:"keepExisting,omitempty"`
	// Failover says which plan's cluster takes over.
	//
	// +optional
	Failover *FailoverOrder `json:"failover,omitempty"`
	// Commit decides about a switch that waits for it.
	//
	// +optional
	Commit CommitDecision `json:"commit,omitempty"`
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
	// PhaseFence stops the side that serves, before another one takes over.
	PhaseFence Phase = "Fence"
	// PhaseSwitch calls the hooks that send users to the new side.
	PhaseSwitch Phase = "Switch"
	// PhaseCommit makes the new side the one that serves, or gives the service back.
	PhaseCommit Phase = "Commit"
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
	// ConditionFenced of a failover is True once the old side is stopped.
	ConditionFenced = "Fenced"
	// ConditionSwitched is True once every switch hook has answered.
	ConditionSwitched = "Switched"
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
	// Outcome of a drill that ended.
	//
	// +optional
	Outcome DrillOutcome `json:"outcome,omitempty"`
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
	// OverriddenHolds were in force when the run deleted the cluster all the same.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	OverriddenHolds []OverriddenHold `json:"overriddenHolds,omitempty"`
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
	// Failover is what a Failover or Failback works from, and what it did.
	//
	// +optional
	Failover *FailoverRecord `json:"failover,omitempty"`
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
