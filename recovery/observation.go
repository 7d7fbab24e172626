package recovery

import (
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// Observation is all that Decide looks at. What a phase does not need is left zero.
type Observation struct {
	Now time.Time
	// Run as the API server has it now.
	Run *v1alpha1.RecoveryRun
	// Plan as it is now, until the run has started; nil when it does not exist.
	Plan *v1alpha1.RecoveryPlan
	// Claimed is the epoch under which this process works on the run; 0 when it has
	// not taken it over yet.
	Claimed int64
	Lock    Lock
	// Behind is what a run that did not start waits behind, empty when it is its turn.
	Behind string
	// MoreUrgent is the run that a drill has to give way to, empty when there is none.
	MoreUrgent string
	// Sides of a failover, until it has started, and Serving as it is recorded for the plan
	// then and while the switch is not committed; nil when no plan ever took over from it.
	Sides   Sides
	Serving *Serving
	// Old side of a failover, while its switch is not committed.
	Old Cluster
	// Approvals for the run, while it waits for one, and until what they are about begins.
	Approvals []v1alpha1.RunApproval
	// Holds of the plan, until something is deleted.
	Holds []v1alpha1.Hold
	// OutageOver is why the outage that the run was ordered for is over; empty when it is not,
	// and when the run was not ordered for one.
	OutageOver string
	// ServesAnother is true when the cluster that a Teardown deletes serves in the place of
	// another plan's.
	ServesAnother bool
	// Stopped is which gate stops automation; empty when none does.
	Stopped string
	// Assertions that a deletion must leave true, until something is deleted.
	Assertions []Asserted
	// Preview is the repeated look at what would be lost.
	Preview Work
	// Budgets that the plan is under, until something is deleted.
	Budgets []Budget
	// Cluster that the phase is about.
	Cluster Cluster
	// Materials is the making of rendered inputs; they are Ready while in memory.
	Materials Work
	// Work is the long work of the phase under way: preflight, waves, verification.
	Work Work
	// Report as it is stored.
	Report StoredReport
	// PlanInformed is true when the plan knows of this run's result, or is gone.
	PlanInformed bool
}

// LockState is who holds the lock of the logical cluster.
type LockState string

const (
	// LockUnknown was not looked at.
	LockUnknown LockState = ""
	// LockFree is held by nobody, or by a run that is gone or finished.
	LockFree LockState = "Free"
	// LockMine is held by this run.
	LockMine LockState = "Mine"
	// LockTaken is held by another run that is not finished.
	LockTaken LockState = "Taken"
	// LockUnreadable has a holder that is not named, which Refloat never writes.
	LockUnreadable LockState = "Unreadable"
)

// Lock of the logical cluster.
type Lock struct {
	State LockState
	// Holder is the name of the other run, or of a Lease that is unreadable.
	Holder string
	// Held is true when the run holds one of several locks at least.
	Held bool
}

// Cluster is what is known about the cluster of the phase.
type Cluster struct {
	capi.Observation
	// Blocker in words, of a deletion under way.
	Blocker string
	// Leftovers, once the Cluster is gone.
	Leftovers []capi.Item
	// Health as the cluster itself says, in Bootstrap once Cluster API calls it
	// available; nil with HealthErr when it could not be asked.
	Health    *capi.Health
	HealthErr error
}

// WorkState of something that takes long and runs beside the loop.
type WorkState string

const (
	// WorkNone has not begun in this process.
	WorkNone WorkState = ""
	// WorkRunning is under way.
	WorkRunning WorkState = "Running"
	// WorkReady ended well; the outcome is in memory.
	WorkReady WorkState = "Ready"
	// WorkFailed ended with a Fault.
	WorkFailed WorkState = "Failed"
	// WorkBackoff ended with an error that may pass; it begins again at RetryAt.
	WorkBackoff WorkState = "Backoff"
)

// Work that takes long. It is lost with the process and begun anew.
type Work struct {
	State WorkState
	// Fault of a failed work.
	Fault *Fault
	// Waiting says what running work waits for, or why work will begin again.
	Waiting      string
	Since, Until time.Time
	RetryAt      time.Time
	// Matched is the verdict of a verification.
	Matched bool
}

// StoredReport is what is known of the report's ConfigMap.
type StoredReport struct {
	// Final reports have the result, as of FinishedAt.
	Final      bool
	FinishedAt time.Time
	// Link of a final report in the chain of its plan.
	Link LinkState
}

// LinkState of a final report.
type LinkState string

const (
	// LinkNeedless is that of a report without a plan whose chain it could be in.
	LinkNeedless LinkState = ""
	// LinkMade is that of a report which the plan's status names. It is not written any more.
	LinkMade LinkState = "Made"
	// LinkFits is that of a report which follows the last one that the plan's status names.
	LinkFits LinkState = "Fits"
	// LinkStale is that of a report which has no place, or one that another took meanwhile.
	LinkStale LinkState = "Stale"
)
