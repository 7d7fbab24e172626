package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RecoveryPlan says how to make one logical cluster and what Git state it must match.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rplan,categories=dr
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.cluster.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Recoverable",type=string,JSONPath=`.status.conditions[?(@.type=="Recoverable")].status`
// +kubebuilder:printcolumn:name="Last run",type=string,JSONPath=`.status.lastRun.name`
// +kubebuilder:printcolumn:name="Result",type=string,JSONPath=`.status.lastRun.result`
// +kubebuilder:printcolumn:name="Recovery time",type=string,JSONPath=`.status.lastRun.recoveryTime`
// +kubebuilder:printcolumn:name="Serving",type=string,JSONPath=`.status.serving.plan`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RecoveryPlan struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RecoveryPlanSpec   `json:"spec"`
	Status RecoveryPlanStatus `json:"status,omitempty"`
}

// RecoveryPlanList is a list of plans.
//
// +kubebuilder:object:root=true
type RecoveryPlanList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RecoveryPlan `json:"items"`
}

// RecoveryPlanSpec is what a user writes. A run works on a copy of it taken when
// the run starts, so that an edit never reaches a run already under way.
type RecoveryPlanSpec struct {
	// Source is the Git repository that holds both the cluster and its state.
	Source GitSource `json:"source"`
	// Cluster says how the cluster is made.
	Cluster ClusterTemplate `json:"cluster"`
	// State lists the directories whose objects the cluster must hold.
	//
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	State []StatePath `json:"state"`
	// Seeds are Secrets that Git cannot hold. They are looked up before anything
	// is destroyed and written to the new cluster before the first wave.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Seeds []Seed `json:"seeds,omitempty"`
	// KnownKinds come to be on the cluster although the state does not define them: an
	// operator that it runs, or the distribution, does.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	KnownKinds []KnownKind `json:"knownKinds,omitempty"`
	// ChartMirrors are asked for Helm charts, for artifacts with manifests and for other
	// Git repositories instead of the addresses that the state names. Of several that fit,
	// the longest counts.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	ChartMirrors []ChartMirror `json:"chartMirrors,omitempty"`
	// ArgoCD says what the state does not about the Argo CD that its Applications are
	// written for.
	//
	// +optional
	ArgoCD *ArgoCDPolicy `json:"argoCD,omitempty"`
	// Waves bounds how the state is applied.
	//
	// +optional
	// +kubebuilder:default={}
	Waves WavePolicy `json:"waves,omitempty"`
	// Verify says how the new cluster is compared with the repository.
	//
	// +optional
	Verify VerifyPolicy `json:"verify,omitzero"`
	// Teardown says whether and within what time the cluster may be deleted.
	//
	// +optional
	// +kubebuilder:default={}
	Teardown TeardownPolicy `json:"teardown,omitempty"`
	// Failover says how the cluster gives way to that of another plan.
	//
	// +optional
	Failover *PlanFailover `json:"failover,omitempty"`
	// Objective is what the organisation promised.
	//
	// +optional
	Objective Objective `json:"objective,omitempty"`
	// Drill says what a drill of the plan may do.
	//
	// +optional
	// +kubebuilder:default={}
	Drill DrillPolicy `json:"drill,omitzero"`
	// Evaluate says how often it is looked whether the cluster could be rebuilt.
	//
	// +optional
	// +kubebuilder:default={}
	Evaluate EvaluatePolicy `json:"evaluate,omitzero"`
}

// ClusterTemplate says how the cluster is made through Cluster API.
type ClusterTemplate struct {
	// Name of the Cluster object that the manifests in Path hold, in the plan's namespace.
	//
	// +kubebuilder:validation:MaxLength=50
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// Path is the directory of the repository with the Cluster API manifests. They
	// may use ${CLUSTER_NAME} and ${NAMESPACE}.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path"`
	// Identity says whether a Rebuild gives the new cluster the keys of the one that it
	// deletes. A drill never does.
	//
	// +optional
	// +kubebuilder:default=Rotate
	Identity IdentityRule `json:"identity,omitempty"`
	// Ready says when the cluster counts as bootstrapped.
	//
	// +optional
	// +kubebuilder:default={}
	Ready ClusterReadiness `json:"ready,omitempty"`
}

// IdentityRule says what becomes of the keys of a cluster that is rebuilt.
//
// +kubebuilder:validation:Enum=Rotate;Keep
type IdentityRule string

const (
	// IdentityRotate makes new keys: nothing that the old cluster trusted is trusted any more.
	IdentityRotate IdentityRule = "Rotate"
	// IdentityKeep keeps the keys of the authorities: who trusted the old cluster trusts the
	// new one, and kubeconfigs with client certificates go on working.
	IdentityKeep IdentityRule = "Keep"
)

// ClusterReadiness bounds the wait for a usable cluster.
type ClusterReadiness struct {
	// Timeout from the creation of the Cluster until it is usable.
	//
	// +optional
	// +kubebuilder:default="20m"
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('168h')",message="must be longer than 0s and at most 168h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
	// MinReadyNodes must be Ready before the first wave. 0 asks for none: right when the
	// state holds the pod network, without which no node becomes Ready. All nodes have
	// to be there before the cluster is verified.
	//
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=15000
	MinReadyNodes *int32 `json:"minReadyNodes,omitempty"`
}

// StatePath is one directory of the repository: plain YAML or a kustomization.
type StatePath struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path"`
	// Namespace of objects that are written without one, as kubectl apply --namespace
	// gives it, and of a chart's release. It has to exist on the cluster, or be one of
	// the state's objects.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`
}

// Seed is one Secret that must exist on the new cluster before the first wave.
type Seed struct {
	// SecretRef names the Secret in the plan's namespace on the management cluster.
	SecretRef LocalSecretReference `json:"secretRef"`
	// Namespace on the new cluster, created when it is missing.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace"`
}

// ChartMirror says where charts, artifacts and other Git repositories are read instead of
// where the state says.
//
// +kubebuilder:validation:XValidation:rule="!self.from.startsWith('oci://') || self.to.startsWith('oci://')",message="the mirror of an OCI registry must be an oci address too"
// +kubebuilder:validation:XValidation:rule="!self.from.startsWith('ssh://') || !self.to.startsWith('oci://')",message="the mirror of Git repositories is no OCI registry"
type ChartMirror struct {
	// From is an address, or the beginning of one that ends with a part of its path:
	// oci://quay.io stands for all of that registry. An ssh address, which is one of Git
	// repositories, is written without its user.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?|oci|ssh)://[^/?#@]+(/[^?#@]*)?$')",message="must be an https, http, oci or ssh address without credentials"
	From string `json:"from"`
	// To takes its place. Plain http is for this machine only; an OCI registry of this
	// machine is spoken to without TLS.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https|oci)://[^/?#@]+(/[^?#@]*)?$') || self.matches('^http://(127[.][0-9.]+|localhost|[[]::1[]])(:[0-9]+)?(/[^?#@]*)?$')",message="must be an https or oci address without credentials, or http on this machine"
	To string `json:"to"`
	// SecretRef names a Secret in the plan's namespace with username and password, or
	// .dockerconfigjson, or bearerToken, and ca.crt for a private authority. Credentials of the state
	// never go to a mirror.
	//
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
}

// WavePolicy bounds how the state is applied.
type WavePolicy struct {
	// Timeout for one object to become ready after it was applied.
	//
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('168h')",message="must be longer than 0s and at most 168h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
	// Concurrency is the largest number of requests in flight; 0 lets Refloat choose.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=256
	Concurrency int32 `json:"concurrency,omitempty"`
	// Optional selects objects that may fail: that is reported and holds nothing up
	// but what cannot be without them, such as what is in an optional Namespace.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Optional []ObjectPattern `json:"optional,omitempty"`
	// MaxFailures is how many optional objects may fail before the run ends. Any
	// number may when it is not set.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxFailures *int32 `json:"maxFailures,omitempty"`
}

// ObjectPattern selects objects of the state. A field that is not set selects any.
//
// +kubebuilder:validation:XValidation:rule="has(self.kind) || has(self.namespace) || has(self.name)",message="must set at least one of kind, namespace and name"
type ObjectPattern struct {
	// Group of the kind; empty for any.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// Namespace may hold * and ?.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[-a-z0-9*?]+$`
	Namespace string `json:"namespace,omitempty"`
	// Name may hold * and ?.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-A-Za-z0-9.:*?]+$`
	Name string `json:"name,omitempty"`
}

// VerifyPolicy says how the new cluster is compared with the repository.
type VerifyPolicy struct {
	// Thorough asks the API server about every object (a server-side dry run), instead
	// of only where values and field ownership do not prove that nothing would change.
	//
	// +optional
	Thorough bool `json:"thorough,omitempty"`
	// StableFor is how long every object has to stay healthy before the cluster counts as
	// verified. The time starts anew when one does not. It is part of the recovery time.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="must be at least 0s and at most 1h"
	StableFor *metav1.Duration `json:"stableFor,omitempty"`
	// Certificate asks for a signed record of a complete match, kept in the report.
	//
	// +optional
	Certificate *CertificatePolicy `json:"certificate,omitempty"`
}

// CertificatePolicy says how certificates are signed.
type CertificatePolicy struct {
	// SecretRef names a Secret in the plan's namespace whose key.pem is an unencrypted
	// private key in PEM (PKCS #8): Ed25519, or ECDSA over P-256.
	SecretRef LocalSecretReference `json:"secretRef"`
}

// TeardownRule says whether runs may delete the cluster.
//
// +kubebuilder:validation:Enum=Allowed;NeedsApproval;Forbidden
type TeardownRule string

const (
	// TeardownAllowed lets a run delete the cluster.
	TeardownAllowed TeardownRule = "Allowed"
	// TeardownNeedsApproval lets a run delete the cluster once somebody else than who asked
	// for the run has approved it.
	TeardownNeedsApproval TeardownRule = "NeedsApproval"
	// TeardownForbidden refuses every run that would delete the plan's own cluster.
	// Drills still delete the throw-away cluster that they made.
	TeardownForbidden TeardownRule = "Forbidden"
)

// TeardownPolicy says whether and within what time the cluster may be deleted.
type TeardownPolicy struct {
	// +optional
	// +kubebuilder:default=Allowed
	Policy TeardownRule `json:"policy,omitempty"`
	// ApprovalTimeout is how long a run waits for a second person, with NeedsApproval.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('168h')",message="must be longer than 0s and at most 168h"
	ApprovalTimeout metav1.Duration `json:"approvalTimeout,omitzero"`
	// Timeout from the deletion of the Cluster until nothing of it is left.
	//
	// +optional
	// +kubebuilder:default="30m"
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('168h')",message="must be longer than 0s and at most 168h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
	// Drain gives back, before the Cluster is deleted, what the cluster holds outside of
	// itself: load balancers and volumes. It is done for drills, too.
	//
	// +optional
	Drain DrainPolicy `json:"drain,omitzero"`
	// Loss says what happens when the cluster holds what neither the repository nor a
	// backup brings back.
	//
	// +optional
	// +kubebuilder:default={}
	Loss LossPolicy `json:"loss,omitzero"`
}

// Objective is what the organisation promised.
type Objective struct {
	// RecoveryTime from the start of the run until the cluster is verified. A run
	// that takes longer still succeeds, with ObjectiveMet False.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('168h')",message="must be longer than 0s and at most 168h"
	RecoveryTime *metav1.Duration `json:"recoveryTime,omitempty"`
	// RecoveryPoint is how old the backup may be that a Restore of Velero in the state
	// brings back. The Restore is not written when it is older, and the run fails.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('8760h')",message="must be longer than 0s and at most 8760h"
	RecoveryPoint *metav1.Duration `json:"recoveryPoint,omitempty"`
}
