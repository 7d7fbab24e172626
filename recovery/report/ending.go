package report

import (
	"slices"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Ending is how a run ended whose failure says nothing about whether, or how fast, the
// cluster comes back. It is empty for every other run.
type Ending string

const (
	// EndingInterrupted runs gave way, or a person, a policy or a gate stopped them.
	EndingInterrupted Ending = "Interrupted"
	// EndingRefused runs were not let begin: something had to be protected from them.
	EndingRefused Ending = "Refused"
)

var (
	interruptions = []string{"Interrupted", "Cancelled", "RunDeleted", "OutageOver", "AutomationStopped"}
	refusals      = []string{
		"TeardownForbidden", "Held", "WouldLose", "LossUnknown", "LeftoverCollides", "AssertionBroken", "BudgetExceeded", "BudgetInvalid", "BudgetUnknown",
		"NotStarted", "PlanChanged", "NameTaken", "DrillRefused", "CannotRetry", "NotServing", "AlreadyServing", "TransitionOpen", "ForeignCluster", "ClusterExists",
	}
)

// EndingOf a run by where and why it failed.
func EndingOf(failed v1alpha1.Phase, reason string) Ending {
	switch {
	case slices.Contains(interruptions, reason):
		return EndingInterrupted
	case slices.Contains(refusals, reason), failed == v1alpha1.PhaseApproval:
		return EndingRefused
	}
	return ""
}
