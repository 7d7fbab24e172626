package v1alpha1

// DrillPolicy says what a drill of the plan may do. By default it takes the teeth out of
// what the state holds: nothing of a drill acts on the world outside of its cluster.
//
// +kubebuilder:validation:XValidation:rule="!has(self.profile) || self.profile != 'None' || !has(self.allow) && !has(self.neutralise) && !has(self.egress)",message="with profile None the state is drilled as it is: allow, neutralise and egress mean nothing"
type DrillPolicy struct {
	// Profile that is laid over the state in a drill.
	//
	// +optional
	// +kubebuilder:default=Quarantine
	Profile DrillProfile `json:"profile,omitempty"`
	// Allow names objects that are left as the repository has them.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Allow []DrillException `json:"allow,omitempty"`
	// Neutralise names controllers, and other objects, that the profile does not know and
	// that a drill has to be safe from.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Neutralise []DrillClass `json:"neutralise,omitempty"`
	// Egress says what pods of a drill may connect to outside of their cluster.
	//
	// +optional
	Egress *DrillEgress `json:"egress,omitempty"`
}

// DrillProfile is what is laid over the state in a drill.
//
// +kubebuilder:validation:Enum=Quarantine;None
type DrillProfile string

const (
	// ProfileQuarantine stops and disarms what acts on the world outside of the cluster.
	ProfileQuarantine DrillProfile = "Quarantine"
	// ProfileNone drills the state as it is.
	ProfileNone DrillProfile = "None"
)

// DrillException leaves objects of a drill as they are.
type DrillException struct {
	ObjectPattern `json:",inline"`
	// Reason is kept in the report.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason"`
}

// DrillClass neutralises objects in a drill.
type DrillClass struct {
	ObjectPattern `json:",inline"`
	// How the objects are neutralised.
	How DrillNeutralisation `json:"how"`
}

// DrillNeutralisation is how an object is neutralised: ScaleToZero lets a workload exist
// without pods, Suspend sets spec.suspend, Omit leaves the object out.
//
// +kubebuilder:validation:Enum=ScaleToZero;Suspend;Omit
type DrillNeutralisation string

// DrillEgress says what pods of a drill may connect to.
//
// +kubebuilder:validation:XValidation:rule="!has(self.policy) || self.policy != 'Allow' || !has(self.allow)",message="with policy Allow everything is allowed already: remove allow"
type DrillEgress struct {
	// Policy for what is outside of the cluster. Deny adds a NetworkPolicy to every namespace
	// of the state; it holds where the network of the cluster enforces such policies.
	//
	// +optional
	// +kubebuilder:default=Deny
	Policy DrillEgressRule `json:"policy,omitempty"`
	// Allow lists what may be connected to all the same.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Allow []DrillDestination `json:"allow,omitempty"`
}

// DrillEgressRule is Deny or Allow.
//
// +kubebuilder:validation:Enum=Deny;Allow
type DrillEgressRule string

const (
	// EgressDeny lets pods connect to nothing outside of their cluster.
	EgressDeny DrillEgressRule = "Deny"
	// EgressAllow makes no policies.
	EgressAllow DrillEgressRule = "Allow"
)

// DrillDestination is outside of the cluster.
type DrillDestination struct {
	// CIDR of the addresses.
	//
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)/[0-9]{1,3}$`
	CIDR string `json:"cidr"`
	// Ports of TCP; none means every port.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	Ports []int32 `json:"ports,omitempty"`
}

// DrillOutcome is what a drill that ended came to.
//
// +kubebuilder:validation:Enum=Succeeded;Missed;Failed;Interrupted
type DrillOutcome string

const (
	// DrillSucceeded means verified, within the objective if there is one.
	DrillSucceeded DrillOutcome = "Succeeded"
	// DrillMissed means verified, but later than the objective.
	DrillMissed DrillOutcome = "Missed"
	// DrillFailed means not verified, or not cleaned up.
	DrillFailed DrillOutcome = "Failed"
	// DrillInterrupted means that it gave way to something more urgent, or that somebody
	// ended it: it says nothing about the plan.
	DrillInterrupted DrillOutcome = "Interrupted"
)
