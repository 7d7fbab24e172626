package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DrainRule says whether a cluster is drained before it is deleted.
//
// +kubebuilder:validation:Enum=Drain;Skip
type DrainRule string

const (
	// DrainFirst stops Flux and Argo CD in the cluster and deletes Services of type
	// LoadBalancer, Ingresses, Gateways and the claims whose volumes are deleted with them.
	DrainFirst DrainRule = "Drain"
	// DrainSkip deletes the Cluster at once. Load balancers and volumes may outlive it.
	DrainSkip DrainRule = "Skip"
)

// DrainPolicy bounds the drain of a cluster.
type DrainPolicy struct {
	// +optional
	// +kubebuilder:default=Drain
	Policy DrainRule `json:"policy,omitempty"`
	// Timeout of the drain. What is not given back by then is named in the run, and the
	// Cluster is deleted all the same.
	//
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('24h')",message="must be longer than 0s and at most 24h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
	// Settled are things that earlier clusters may have left behind and that are out of the
	// way: somebody gave them back, or they may be used again. They hold up no rebuild.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Settled []SettledLeftover `json:"settled,omitempty"`
}

// SettledLeftover says that one thing is out of the way of the next cluster.
type SettledLeftover struct {
	// ID by which it is known outside, as in status.previous.drain.left of a run.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ID string `json:"id"`
	// Reason is for those who read it later.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
	// Until is when this ends. A time in the past settles nothing.
	Until metav1.Time `json:"until"`
}

// DrainOutcome is how a drain ended.
//
// +kubebuilder:validation:Enum=NothingToDo;Drained;TimedOut;Unreachable;Skipped
type DrainOutcome string

const (
	// DrainNothing was found to give back.
	DrainNothing DrainOutcome = "NothingToDo"
	// DrainComplete gave everything back that goes with its object.
	DrainComplete DrainOutcome = "Drained"
	// DrainTimedOut gave back a part.
	DrainTimedOut DrainOutcome = "TimedOut"
	// DrainUnreachable could not be done: the cluster does not answer.
	DrainUnreachable DrainOutcome = "Unreachable"
	// DrainSkipped was not wanted, or not safe.
	DrainSkipped DrainOutcome = "Skipped"
)

// DrainRecord is what is known of the things that a cluster holds outside of itself.
type DrainRecord struct {
	// StartedAt is recorded before the first object is touched.
	StartedAt metav1.MicroTime `json:"startedAt"`
	// Newest creation, by the cluster's own clock, of what is drained; what was made later
	// is left alone.
	//
	// +optional
	Newest *metav1.Time `json:"newest,omitempty"`
	// +optional
	FinishedAt *metav1.MicroTime `json:"finishedAt,omitempty"`
	// +optional
	Outcome DrainOutcome `json:"outcome,omitempty"`
	// ResumedAt is when Flux and Argo CD were started again, because the cluster was not
	// deleted after all.
	//
	// +optional
	ResumedAt *metav1.MicroTime `json:"resumedAt,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
	// Found counts load balancers, volumes and DNS names when the drain began.
	//
	// +optional
	Found int32 `json:"found,omitempty"`
	// LeftCount of them may outlive the cluster.
	//
	// +optional
	LeftCount int32 `json:"leftCount,omitempty"`
	// Left names the first of them.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Left []Leftover `json:"left,omitempty"`
}

// Leftover is something outside of a cluster that may outlive it.
type Leftover struct {
	// Kind is LoadBalancer, Volume or DNSName.
	Kind string `json:"kind"`
	// ID by which it is known outside.
	//
	// +kubebuilder:validation:MaxLength=512
	ID string `json:"id"`
	// Object that stood for it in the cluster.
	//
	// +kubebuilder:validation:MaxLength=512
	Object string `json:"object"`
	// Kept things stay on purpose, as their object says.
	//
	// +optional
	Kept bool `json:"kept,omitempty"`
	// Why it may be left.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Why string `json:"why,omitempty"`
}
