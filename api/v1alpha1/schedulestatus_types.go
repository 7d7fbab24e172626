package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// RecoveryScheduleStatus is what the schedule did and will do.
type RecoveryScheduleStatus struct {
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Timetable is a digest of what says when. Times before its change do not count.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Timetable string `json:"timetable,omitempty"`
	// Since is when the timetable, as it is now, began to count.
	//
	// +optional
	Since *metav1.MicroTime `json:"since,omitempty"`
	// Suspended is true once the controller saw the suspension.
	//
	// +optional
	Suspended bool `json:"suspended,omitempty"`
	// PlanCount is how many plans the schedule is for.
	//
	// +optional
	PlanCount int32 `json:"planCount"`
	// NextTeardown, NextRebuild and NextDrill are when the first of the plans is due.
	//
	// +optional
	NextTeardown *metav1.Time `json:"nextTeardown,omitempty"`
	// +optional
	NextRebuild *metav1.Time `json:"nextRebuild,omitempty"`
	// +optional
	NextDrill *metav1.Time `json:"nextDrill,omitempty"`
	// Last sums up what came of the last time.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Last string `json:"last,omitempty"`
	// Saved is for how long clusters of the schedule were down, summed up.
	//
	// +optional
	Saved *metav1.Duration `json:"saved,omitempty"`
	// Plans that the schedule is for.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=1000
	Plans []ScheduledPlan `json:"plans,omitempty"`
}

// ScheduledPlan is what a schedule knows of one of its plans.
type ScheduledPlan struct {
	Name string `json:"name"`
	// UID tells the plan from others that had its name.
	UID types.UID `json:"uid"`
	// Since is when the schedule came to be for the plan.
	Since metav1.MicroTime `json:"since"`
	// Teardown, Rebuild and Drill are the last times of each that were dealt with.
	//
	// +optional
	Teardown *HandledTime `json:"teardown,omitempty"`
	// +optional
	Rebuild *HandledTime `json:"rebuild,omitempty"`
	// +optional
	Drill *HandledTime `json:"drill,omitempty"`
	// Notified is the time of which notice was given.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Notified string `json:"notified,omitempty"`
	// Postponed is a time that waits.
	//
	// +optional
	Postponed *Postponement `json:"postponed,omitempty"`
}

// HandledOutcome is what came of a time of the timetable.
//
// +kubebuilder:validation:Enum=Ordered;Missed;Skipped;Superseded;AlreadySo
type HandledOutcome string

// The outcomes of a time.
const (
	// OutcomeOrdered: a run was created.
	OutcomeOrdered HandledOutcome = "Ordered"
	// OutcomeMissed: nobody could act on it before its deadline.
	OutcomeMissed HandledOutcome = "Missed"
	// OutcomeSkipped: a calendar, a blackout or a hold took it out.
	OutcomeSkipped HandledOutcome = "Skipped"
	// OutcomeSuperseded: a later one was due before it was acted on.
	OutcomeSuperseded HandledOutcome = "Superseded"
	// OutcomeAlreadySo: the cluster was as the timetable wants it.
	OutcomeAlreadySo HandledOutcome = "AlreadySo"
)

// HandledTime is a time of the timetable that was dealt with.
type HandledTime struct {
	// Nominal is the local time, without an offset: 2026-03-29T02:30.
	//
	// +kubebuilder:validation:MaxLength=16
	Nominal string `json:"nominal"`
	// At is the instant of that time.
	At metav1.MicroTime `json:"at"`
	// Outcome is what came of it.
	Outcome HandledOutcome `json:"outcome"`
	// Run that was created.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Run string `json:"run,omitempty"`
	// Attempts counts the runs for this time (mode Level).
	//
	// +optional
	Attempts int32 `json:"attempts,omitempty"`
	// Late is how long after its time the run was created.
	//
	// +optional
	Late *metav1.Duration `json:"late,omitempty"`
	// Message says why, if there is something to say.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// Postponement is a time of the timetable that waits.
type Postponement struct {
	Operation Direction `json:"operation"`
	// +kubebuilder:validation:MaxLength=16
	Nominal string `json:"nominal"`
	// Until is when it is looked at again, at the latest.
	Until metav1.MicroTime `json:"until"`
	// Reason says what it waits for.
	//
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason"`
}

// ScheduledTime says which time of which schedule a run is for.
type ScheduledTime struct {
	// Name of the schedule, in the run's namespace.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string    `json:"name"`
	UID  types.UID `json:"uid"`
	// Nominal is the local time, without an offset: 2026-03-29T02:30.
	//
	// +kubebuilder:validation:MaxLength=16
	Nominal string `json:"nominal"`
	// Due is when the run had to start.
	Due metav1.MicroTime `json:"due"`
	// ReadyBy is when the cluster has to be verified.
	//
	// +optional
	ReadyBy *metav1.Time `json:"readyBy,omitempty"`
	// Concurrency is how many of the schedule's runs work at a time; 0 for no limit.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Concurrency int32 `json:"concurrency,omitempty"`
	// Priority of the run in the queue: higher ones go first.
	//
	// +optional
	Priority int32 `json:"priority,omitempty"`
	// Infrastructure of the plan's cluster when the run was ordered, as far as it was known:
	// a provider may have a limit of its own.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=317
	Infrastructure string `json:"infrastructure,omitempty"`
}
