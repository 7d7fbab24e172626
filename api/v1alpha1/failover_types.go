package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// PlanFailover says how the cluster of a primary plan gives way to another one. It counts
// for failovers and for failbacks.
//
// +kubebuilder:validation:XValidation:rule="!has(self.commit) || !has(self.commit.policy) || self.commit.policy != 'RollBackAfter' || has(self.fence) && has(self.fence.method) && self.fence.method == 'Hook'",message="commit.policy RollBackAfter needs fence.method Hook: a cluster that was deleted cannot be given back"
// +kubebuilder:validation:XValidation:rule="!has(self.commit) || !has(self.commit.policy) || self.commit.policy != 'RollBackAfter' || has(self.fence) && has(self.fence.release)",message="commit.policy RollBackAfter needs fence.release, which undoes what the hook of the fence did"
// +kubebuilder:validation:XValidation:rule="!has(self.commit) || !has(self.commit.policy) || self.commit.policy != 'RollBackAfter' || !has(self.switch) || self.switch.all(s, has(s.apply) || has(s.rollback))",message="commit.policy RollBackAfter needs a rollback for each switch hook with a url"
type PlanFailover struct {
	// Fence says how the side that serves is stopped before another one takes over.
	//
	// +optional
	Fence FencePolicy `json:"fence,omitzero"`
	// Switch lists what is told, in this order, once the new side is verified: name
	// servers, load balancers, monitoring.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Switch []SwitchHook `json:"switch,omitempty"`
	// Commit says when a switch counts for good.
	//
	// +optional
	Commit CommitRule `json:"commit,omitzero"`
}

// FenceMethod is how a cluster is stopped.
//
// +kubebuilder:validation:Enum=Delete;Hook;DeleteAfterHook
type FenceMethod string

const (
	// FenceDelete deletes the Cluster through Cluster API and waits until nothing is left.
	FenceDelete FenceMethod = "Delete"
	// FenceHook calls the hook, which has to answer 2xx; the Cluster stays.
	FenceHook FenceMethod = "Hook"
	// FenceDeleteAfterHook calls the hook and deletes the Cluster then.
	FenceDeleteAfterHook FenceMethod = "DeleteAfterHook"
)

// FencePolicy says how the side that serves is stopped.
//
// +kubebuilder:validation:XValidation:rule="!has(self.method) || self.method == 'Delete' || has(self.hook)",message="this method needs a hook"
type FencePolicy struct {
	// +optional
	// +kubebuilder:default=Delete
	Method FenceMethod `json:"method,omitempty"`
	// Hook powers the cluster off or cuts it from the network. Only an answer of 2xx says
	// that this is done.
	//
	// +optional
	Hook *Hook `json:"hook,omitempty"`
	// Release undoes what the hook did, when a failover is rolled back.
	//
	// +optional
	Release *Hook `json:"release,omitempty"`
	// Timeout of the whole fence. When it has passed the run waits for a person, who
	// approves to go on unfenced or cancels it.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('168h')",message="must be longer than 0s and at most 168h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
}

// Hook is an address that is told something with a POST. It is asked again while no answer
// came, or one that may pass (429, 5xx), until the time is up. The header Idempotency-Key is
// the same each time. Redirects are not followed.
//
// +kubebuilder:validation:XValidation:rule="!has(self.secretRef) || self.url.startsWith('https://')",message="a hook with a secretRef needs a URL with https, which keeps the token to its receiver"
type Hook struct {
	// URL of the receiver, without user or password: those belong into the Secret.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s@/?#\\]+([/?#][^\s]*)?$`
	URL string `json:"url"`
	// SecretRef names a Secret in the plan's namespace. Its key signs the body (header
	// Refloat-Signature: t=<unix time>,v1=<HMAC-SHA256 of "<t>.<body>" in hex>), its token
	// is sent as bearer token, and its ca.crt is the authority that the receiver is
	// verified with. All are optional.
	//
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
	// Timeout with all repetitions. The default is 30s.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('1h')",message="must be longer than 0s and at most 1h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
}

// SwitchHook sends users to the new side: it calls a receiver, or applies a directory.
//
// +kubebuilder:validation:XValidation:rule="!has(self.secretRef) || !has(self.url) || self.url.startsWith('https://')",message="a hook with a secretRef needs a URL with https, which keeps the token to its receiver"
// +kubebuilder:validation:XValidation:rule="has(self.url) != has(self.apply)",message="set either url or apply"
// +kubebuilder:validation:XValidation:rule="!has(self.apply) || !has(self.secretRef) && !has(self.rollback)",message="apply takes neither secretRef nor rollback: to roll back, the directory is applied for the old side"
type SwitchHook struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// URL, SecretRef and Timeout are those of a Hook.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s@/?#\\]+([/?#][^\s]*)?$`
	URL string `json:"url,omitempty"`
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('1h')",message="must be longer than 0s and at most 1h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
	// Apply writes a directory to the management cluster instead.
	//
	// +optional
	Apply *SwitchDirectory `json:"apply,omitempty"`
	// Rollback is called instead to send users back.
	//
	// +optional
	Rollback *Hook `json:"rollback,omitempty"`
}

// SwitchDirectory is a directory of the repository of the plan that takes over, such as
// records of names, at the commit that the run pins.
type SwitchDirectory struct {
	// Path may use ${CLUSTER_NAME}, the Cluster that takes over, and so may the manifests,
	// which may use ${NAMESPACE}, too. They hold objects of the plan's namespace, and
	// Refloat's applier needs the right to create and patch their kinds.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path"`
}

// CommitWhen says when a switch counts for good.
//
// +kubebuilder:validation:Enum=Immediately;Manual;CommitAfter;RollBackAfter
type CommitWhen string

const (
	// CommitImmediately commits once every switch hook has answered.
	CommitImmediately CommitWhen = "Immediately"
	// CommitManual waits for a person.
	CommitManual CommitWhen = "Manual"
	// CommitAfter commits after a time, unless a person decides before.
	CommitAfter CommitWhen = "CommitAfter"
	// CommitRollBackAfter rolls back after a time, unless a person commits before.
	CommitRollBackAfter CommitWhen = "RollBackAfter"
)

// CommitRule says when a switch counts for good.
//
// +kubebuilder:validation:XValidation:rule="!has(self.policy) || !(self.policy in ['CommitAfter', 'RollBackAfter']) || has(self.after)",message="this policy needs after"
type CommitRule struct {
	// +optional
	// +kubebuilder:default=Immediately
	Policy CommitWhen `json:"policy,omitempty"`
	// After is counted from the end of the switch.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('168h')",message="must be longer than 0s and at most 168h"
	After *metav1.Duration `json:"after,omitempty"`
}

// FailoverMode says whether the side that serves is dead.
//
// +kubebuilder:validation:Enum=Ungraceful;Graceful
type FailoverMode string

const (
	// FailoverUngraceful takes the serving side for dead: it is not drained, and that
	// nobody can say what is lost with it holds nothing up.
	FailoverUngraceful FailoverMode = "Ungraceful"
	// FailoverGraceful moves away from a side that works: it is drained, and all rules of a
	// teardown hold.
	FailoverGraceful FailoverMode = "Graceful"
)

// FailoverOrder says which plan's cluster takes over.
type FailoverOrder struct {
	// To names the plan, in the same namespace, whose cluster takes over. That of a
	// Failback is the run's plan itself.
	To PlanReference `json:"to"`
	// +optional
	// +kubebuilder:default=Ungraceful
	Mode FailoverMode `json:"mode,omitempty"`
}

// CommitDecision is what a person decides about a switch.
//
// +kubebuilder:validation:Enum=Commit;RollBack
type CommitDecision string

const (
	// DecideCommit makes the new side the one that serves.
	DecideCommit CommitDecision = "Commit"
	// DecideRollBack gives the service back to the old side.
	DecideRollBack CommitDecision = "RollBack"
)

// FailoverRecord is what a Failover or Failback works from, and what it did.
type FailoverRecord struct {
	// Policy of the primary plan, as it was when the run started.
	Policy PlanFailover `json:"policy"`
	// PrimaryCluster is the Cluster of the primary plan.
	PrimaryCluster string `json:"primaryCluster"`
	// From served when the run started.
	From FailoverSide `json:"from"`
	// FromPlan is the copy of its plan: its teardown rules are those of the fence.
	FromPlan RecoveryPlanSpec `json:"fromPlan"`
	// To takes over.
	To FailoverSide `json:"to"`
	// FoundEpoch of the serving record when the run started.
	FoundEpoch int64 `json:"foundEpoch"`
	// Epoch that the run gave the serving record, before it touched anything; 0 until then.
	//
	// +optional
	Epoch int64 `json:"epoch,omitempty"`
	// Standby is true when the cluster that takes over existed and was verified.
	//
	// +optional
	Standby bool `json:"standby,omitempty"`
	// FromIdle is true when the failover that is undone ended before it sent users to From or
	// made anything of it. From is left alone then.
	//
	// +optional
	FromIdle bool `json:"fromIdle,omitempty"`
	// Fence of the old side.
	//
	// +optional
	Fence *FenceRecord `json:"fence,omitempty"`
	// Hooks that were called.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=48
	Hooks []HookRecord `json:"hooks,omitempty"`
	// SwitchedAt is when every switch hook had answered.
	//
	// +optional
	SwitchedAt *metav1.MicroTime `json:"switchedAt,omitempty"`
	// DecidedAt is when a person or the time decided to commit or to roll back, once the run
	// heeds it. The limit of the phase counts from then on.
	//
	// +optional
	DecidedAt *metav1.MicroTime `json:"decidedAt,omitempty"`
	// CommittedAt is when the new side became the one that serves.
	//
	// +optional
	CommittedAt *metav1.MicroTime `json:"committedAt,omitempty"`
	// RolledBackAt is when the service was given back.
	//
	// +optional
	RolledBackAt *metav1.MicroTime `json:"rolledBackAt,omitempty"`
}

// FailoverSide is one of the two plans of a failover.
type FailoverSide struct {
	// Plan in the run's namespace.
	Plan string `json:"plan"`
	// UID and Generation tell which plan was copied.
	UID        types.UID `json:"uid"`
	Generation int64     `json:"generation"`
	// Cluster of the plan.
	Cluster string `json:"cluster"`
}

// FenceOutcome says how a fence ended.
type FenceOutcome string

const (
	// FenceDone means that the old side is stopped.
	FenceDone FenceOutcome = "Fenced"
	// FenceNothing means that there was nothing to stop.
	FenceNothing FenceOutcome = "Nothing"
	// FenceWaived means that a person let the run go on although the old side may still run.
	FenceWaived FenceOutcome = "Unfenced"
)

// FenceRecord says how the old side was stopped.
type FenceRecord struct {
	// Outcome is empty while it is not known.
	//
	// +optional
	Outcome FenceOutcome `json:"outcome,omitempty"`
	// Asked is what a person has to approve for the run to go on unfenced, once it could
	// not fence.
	//
	// +optional
	Asked *ApprovalRecord `json:"asked,omitempty"`
	// Reason that the person gave.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
}

// HookRecord is one call of a hook.
type HookRecord struct {
	// Name is fence, release, switch-NAME or rollback-NAME.
	//
	// +kubebuilder:validation:MaxLength=80
	Name string `json:"name"`
	// SentAt is recorded before the first attempt.
	SentAt metav1.MicroTime `json:"sentAt"`
	// AnsweredAt is when an answer of 2xx came.
	//
	// +optional
	AnsweredAt *metav1.MicroTime `json:"answeredAt,omitempty"`
	// Answer in words, such as 204 No Content.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Answer string `json:"answer,omitempty"`
}

// ServingStatus says which plan serves for a primary plan. The truth is in a Lease.
type ServingStatus struct {
	// Plan and Cluster that serve.
	Plan    string `json:"plan"`
	Cluster string `json:"cluster"`
	// UID of the Cluster when it began to serve.
	//
	// +optional
	UID types.UID `json:"uid,omitempty"`
	// Epoch counts the transitions. What was stamped with a lower one serves no more.
	Epoch int64 `json:"epoch"`
	// Since is when it began to serve, by which run.
	Since metav1.MicroTime `json:"since"`
	Run   string           `json:"run"`
}
