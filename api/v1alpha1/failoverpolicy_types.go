package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// FailoverPolicy watches the cluster of a plan and proposes, or orders, a run when it is
// dead. It never acts on a cluster that somebody works on, and never while so many clusters
// look dead that the fault is more likely on this side.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=fpol,path=failoverpolicies,singular=failoverpolicy,categories=dr
// +kubebuilder:printcolumn:name="Plan",type=string,JSONPath=`.spec.planRef.name`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Healthy",type=string,JSONPath=`.status.conditions[?(@.type=="ClusterHealthy")].status`
// +kubebuilder:printcolumn:name="Armed",type=string,JSONPath=`.status.conditions[?(@.type=="Armed")].status`
// +kubebuilder:printcolumn:name="Run",type=string,JSONPath=`.status.outage.run`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type FailoverPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec FailoverPolicySpec `json:"spec"`
	// +optional
	Status FailoverPolicyStatus `json:"status,omitempty"`
}

// FailoverPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type FailoverPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FailoverPolicy `json:"items"`
}

// PolicyMode says who decides.
//
// +kubebuilder:validation:Enum=Propose;Automatic
type PolicyMode string

const (
	// FailoverPropose orders a run that waits for the approval of a person.
	FailoverPropose PolicyMode = "Propose"
	// FailoverAutomatic orders a run that waits for nobody.
	FailoverAutomatic PolicyMode = "Automatic"
)

// FailoverPolicySpec says when a cluster counts as dead and what follows.
//
// +kubebuilder:validation:XValidation:rule="!has(self.action) || !has(self.action.to) || self.action.to.name != self.planRef.name",message="the standby in action.to must be another plan than planRef"
type FailoverPolicySpec struct {
	// PlanRef names a plan in the same namespace: its cluster is watched. Of several
	// policies for one plan only the oldest acts.
	PlanRef PlanReference `json:"planRef"`
	// Mode says who decides.
	//
	// +optional
	// +kubebuilder:default=Propose
	Mode PolicyMode `json:"mode,omitempty"`
	// Suspend stops the policy: nothing is probed and nothing is ordered.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// Unhealthy says when the cluster counts as dead.
	//
	// +optional
	// +kubebuilder:default={}
	Unhealthy UnhealthyRule `json:"unhealthy,omitzero"`
	// Observers look at the cluster from elsewhere; see 'refloat observe'. While one of
	// them sees it alive, it does not count as dead. With Automatic, at least one has to
	// see it dead.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Observers []Observer `json:"observers,omitempty"`
	// Breaker stops everything while many clusters look dead at once.
	//
	// +optional
	// +kubebuilder:default={}
	Breaker BreakerRule `json:"breaker,omitzero"`
	// Action that follows.
	//
	// +optional
	// +kubebuilder:default={}
	Action FailoverAction `json:"action,omitzero"`
	// Cooldown is the least time between two runs of the policy; at most five minutes after
	// a run that was taken back before it had done anything.
	//
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('168h')",message="must be at least 0s and at most 168h"
	Cooldown *metav1.Duration `json:"cooldown,omitempty"`
	// MaxAttempts is how many runs one outage may cause.
	//
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	MaxAttempts int32 `json:"maxAttempts,omitempty"`
}

// UnhealthyRule says when a cluster counts as dead.
//
// +kubebuilder:validation:XValidation:rule="!has(self.quorum) || !has(self.signals) || self.quorum <= size(self.signals)",message="quorum must not be greater than the number of signals"
// +kubebuilder:validation:XValidation:rule="!has(self.signals) || !has(self.__for__) || self.signals.all(s, (!has(s.apiServer) || !has(s.apiServer.interval) || duration(s.apiServer.interval) <= duration(self.__for__)) && (!has(s.http) || !has(s.http.interval) || duration(s.http.interval) <= duration(self.__for__)))",message="interval of a signal must not be longer than for: within that time it has to fail more than once"
// +kubebuilder:validation:XValidation:rule="!has(self.quorum) || has(self.signals) || self.quorum == 1",message="without signals only the API server is asked, so quorum can only be 1"
type UnhealthyRule struct {
	// For is how long at least quorum signals have to fail, without a break.
	//
	// +optional
	// +kubebuilder:default="12s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be at least 1s and at most 24h"
	For *metav1.Duration `json:"for,omitempty"`
	// RecoverFor is how long fewer signals have to fail before the outage counts as over.
	//
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be at least 1s and at most 24h"
	RecoverFor *metav1.Duration `json:"recoverFor,omitempty"`
	// Quorum of signals that have to fail; all of them by default.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	Quorum int32 `json:"quorum,omitempty"`
	// Signals that are looked at; the cluster's API server when there are none.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Signals []Signal `json:"signals,omitempty"`
}

// Signal is one thing to look at.
//
// +kubebuilder:validation:XValidation:rule="(has(self.apiServer) ? 1 : 0) + (has(self.condition) ? 1 : 0) + (has(self.http) ? 1 : 0) + (has(self.heartbeat) ? 1 : 0) + (has(self.webhook) ? 1 : 0) == 1",message="must have exactly one of apiServer, condition, http, heartbeat and webhook"
type Signal struct {
	// Name tells signals apart.
	//
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// APIServer asks the cluster's API server whether it is ready, and to keep a Lease.
	//
	// +optional
	APIServer *APIServerSignal `json:"apiServer,omitempty"`
	// Condition of the Cluster as Cluster API reports it: it fails while it is False.
	//
	// +optional
	Condition ClusterCondition `json:"condition,omitempty"`
	// HTTP asks something that the cluster serves.
	//
	// +optional
	HTTP *HTTPSignal `json:"http,omitempty"`
	// Heartbeat is a Lease in the plan's namespace that the cluster itself renews.
	//
	// +optional
	Heartbeat *HeartbeatSignal `json:"heartbeat,omitempty"`
	// Webhook is what others report; see docs/failover-policies.md.
	//
	// +optional
	Webhook *WebhookSignal `json:"webhook,omitempty"`
}

// ClusterCondition of Cluster API.
//
// +kubebuilder:validation:Enum=RemoteConnectionProbe;ControlPlaneAvailable;WorkersAvailable;InfrastructureReady
type ClusterCondition string

// APIServerSignal asks an API server.
type APIServerSignal struct {
	// Interval between two questions.
	//
	// +optional
	// +kubebuilder:default="2s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="must be at least 1s and at most 10m"
	Interval *metav1.Duration `json:"interval,omitempty"`
	// UnreachableAfter is how long there has to be no answer at all before the signal
	// fails. One that refuses the connection or says that it is not ready fails at once;
	// silence may be a slow server or the network.
	//
	// +optional
	// +kubebuilder:default="45s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be at least 1s and at most 24h"
	UnreachableAfter *metav1.Duration `json:"unreachableAfter,omitempty"`
}

// HTTPSignal asks an address.
type HTTPSignal struct {
	// URL that must answer.
	//
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/?#@]+([/?][^#@]*)?$')",message="must be an http or https address without credentials"
	URL string `json:"url"`
	// Status that it must answer with: any of 200 to 299 by default.
	//
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=599
	Status int32 `json:"status,omitempty"`
	// SecretRef names a Secret in the policy's namespace with ca.crt, for a private
	// authority, and token, sent as a bearer token. Both are optional.
	//
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
	// Interval between two questions.
	//
	// +optional
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="must be at least 1s and at most 10m"
	Interval *metav1.Duration `json:"interval,omitempty"`
	// UnreachableAfter is how long there has to be no answer at all before the signal fails.
	//
	// +optional
	// +kubebuilder:default="45s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be at least 1s and at most 24h"
	UnreachableAfter *metav1.Duration `json:"unreachableAfter,omitempty"`
}

// HeartbeatSignal is a Lease that has to be renewed.
type HeartbeatSignal struct {
	// LeaseRef names the Lease. One that was never renewed says nothing.
	LeaseRef LeaseReference `json:"leaseRef"`
	// StaleAfter its renewal the signal fails. It is compared with this machine's clock.
	//
	// +optional
	// +kubebuilder:default="2m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be at least 1s and at most 24h"
	StaleAfter *metav1.Duration `json:"staleAfter,omitempty"`
}

// LeaseReference names a Lease in the same namespace.
type LeaseReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// WebhookSignal is what others report, with a signature.
type WebhookSignal struct {
	// SecretRef names a Secret in the policy's namespace whose key "key" signs the reports.
	SecretRef LocalSecretReference `json:"secretRef"`
	// ValidFor is how long a report counts; after it the signal says nothing.
	//
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be at least 1s and at most 24h"
	ValidFor *metav1.Duration `json:"validFor,omitempty"`
}

// Observer looks from elsewhere.
type Observer struct {
	// Name of the observer.
	//
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
}

// BreakerRule stops everything while many clusters look dead at once: this side is then
// more likely at fault than all of them.
type BreakerRule struct {
	// MaxUnhealthyClusters of all that policies watch may look dead, as a number or in per
	// cent, rounded down; one always may.
	//
	// +optional
	// +kubebuilder:default="30%"
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? int(self) >= 1 && int(self) <= 10000 : string(self).matches('^([0-9]|[1-9][0-9]|100)%$')",message="must be a number of at least 1, or 0% to 100%"
	MaxUnhealthyClusters *intstr.IntOrString `json:"maxUnhealthyClusters,omitempty"`
}

// FailoverAction is what follows an outage.
//
// +kubebuilder:validation:XValidation:rule="(has(self.operation) && self.operation == 'Failover') == has(self.to)",message="Failover needs the plan that takes over, in to; Rebuild makes the cluster of planRef anew and has none"
type FailoverAction struct {
	// Operation of the run: Rebuild makes the cluster anew in its place, Failover lets
	// the cluster of another plan take over.
	//
	// +optional
	// +kubebuilder:default=Rebuild
	Operation FailoverOperation `json:"operation,omitempty"`
	// To is the plan that takes over.
	//
	// +optional
	To *PlanReference `json:"to,omitempty"`
}

// FailoverOperation that a policy orders.
//
// +kubebuilder:validation:Enum=Rebuild;Failover
type FailoverOperation string

const (
	// FailoverByRebuild makes the cluster anew in its place.
	FailoverByRebuild FailoverOperation = "Rebuild"
	// FailoverToStandby lets the cluster of another plan take over.
	FailoverToStandby FailoverOperation = "Failover"
)

// The conditions of a policy, besides Ready.
const (
	// ConditionClusterHealthy is False while the cluster counts as dead, and Unknown while
	// nothing is known of it.
	ConditionClusterHealthy = "ClusterHealthy"
	// ConditionArmed is True while an outage would be followed by a run. Its reason says
	// what stands in the way.
	ConditionArmed = "Armed"
)

// SignalState is what a signal says.
//
// +kubebuilder:validation:Enum=Healthy;Failing;Silent;Unknown
type SignalState string

const (
	// SignalHealthy says that the cluster lives.
	SignalHealthy SignalState = "Healthy"
	// SignalFailing says that it is dead.
	SignalFailing SignalState = "Failing"
	// SignalSilent is no answer, for less time than makes it fail.
	SignalSilent SignalState = "Silent"
	// SignalUnknown says nothing.
	SignalUnknown SignalState = "Unknown"
)

// FailoverPolicyStatus is what was last learned.
type FailoverPolicyStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Signals as they were when one of them changed last.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Signals []SignalStatus `json:"signals,omitempty"`
	// Reports that came by webhook, the last one of each signal.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Reports []WebhookReport `json:"reports,omitempty"`
	// Outage under way, or that ended last.
	//
	// +optional
	Outage *Outage `json:"outage,omitempty"`
	// LastOrderedAt is when the policy ordered a run last.
	//
	// +optional
	LastOrderedAt *metav1.MicroTime `json:"lastOrderedAt,omitempty"`
}

// SignalStatus is what one signal says.
type SignalStatus struct {
	Name  string      `json:"name"`
	State SignalState `json:"state"`
	// Since when it says so.
	Since metav1.MicroTime `json:"since"`
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// WebhookReport is what somebody reported.
type WebhookReport struct {
	// Name of the signal.
	Name    string `json:"name"`
	Healthy bool   `json:"healthy"`
	// At is the signed time. An older report, or this one again, is refused.
	At metav1.MicroTime `json:"at"`
	// Since when reports have said the same without a gap.
	Since metav1.MicroTime `json:"since"`
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ID string `json:"id,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
}

// Outage of a cluster.
type Outage struct {
	// ClusterUID of the incarnation that was found dead.
	ClusterUID types.UID `json:"clusterUID"`
	// Since when enough signals failed.
	Since metav1.MicroTime `json:"since"`
	// ConfirmedAt is when that had lasted long enough.
	ConfirmedAt metav1.MicroTime `json:"confirmedAt"`
	// OverAt is when the cluster had answered again for long enough, or was no more.
	//
	// +optional
	OverAt *metav1.MicroTime `json:"overAt,omitempty"`
	// Attempts counts the runs that were ordered.
	//
	// +optional
	Attempts int32 `json:"attempts,omitempty"`
	// Run that was ordered last.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Run string `json:"run,omitempty"`
	// Untouched is true when the outage was over before that run had done anything.
	//
	// +optional
	Untouched bool `json:"untouched,omitempty"`
}

// Proposal is why a policy ordered a run.
type Proposal struct {
	// PolicyRef names the policy, in the run's namespace.
	PolicyRef PolicyReference `json:"policyRef"`
	// UID of the policy.
	UID types.UID `json:"uid"`
	// ClusterUID of the incarnation that is dead. The run does nothing to another one.
	ClusterUID types.UID `json:"clusterUID"`
	// OutageSince is when the outage began. The run ends without having touched anything
	// once it is over.
	OutageSince metav1.MicroTime `json:"outageSince"`
	// NeedsApproval makes the run wait for a person, whatever the plan says.
	//
	// +optional
	NeedsApproval bool `json:"needsApproval,omitempty"`
	// Evidence is what each signal said.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Evidence []SignalStatus `json:"evidence,omitempty"`
}

// PolicyReference names a policy in the same namespace.
type PolicyReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
