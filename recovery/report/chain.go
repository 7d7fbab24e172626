package report

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Chain is the place of a report among the final reports of its plan. A predecessor that is
// edited has another digest than its successor names.
type Chain struct {
	// PlanUID tells the plan from others that had its name.
	PlanUID  types.UID `json:"planUID"`
	Sequence int64     `json:"sequence"`
	// Previous report; absent from the first.
	Previous *Link `json:"previous,omitempty"`
}

// Link names a report by its content.
type Link struct {
	Run    string    `json:"run"`
	UID    types.UID `json:"uid"`
	Digest string    `json:"digest"`
}

// NextIn the chain of a plan.
func NextIn(plan *v1alpha1.RecoveryPlan) *Chain {
	c := &Chain{PlanUID: plan.UID, Sequence: 1}
	if head := plan.Status.Reports; head != nil {
		c.Sequence = head.Sequence + 1
		if len(head.Recent) > 0 {
			last := head.Recent[0]
			c.Previous = &Link{Run: last.Run, UID: last.UID, Digest: last.Digest}
		}
	}
	return c
}

// Follows tells whether the place is the next one in the plan's chain.
func (c *Chain) Follows(plan *v1alpha1.RecoveryPlan) bool {
	next := NextIn(plan)
	if c == nil || c.PlanUID != next.PlanUID || c.Sequence != next.Sequence || (c.Previous == nil) != (next.Previous == nil) {
		return false
	}
	return c.Previous == nil || *c.Previous == *next.Previous
}

// LinkOf a run in the plan's chain, nil when the plan does not know it, or no more.
func LinkOf(plan *v1alpha1.RecoveryPlan, run types.UID) *v1alpha1.ReportLink {
	if plan.Status.Reports == nil {
		return nil
	}
	for i := range plan.Status.Reports.Recent {
		if plan.Status.Reports.Recent[i].UID == run {
			return &plan.Status.Reports.Recent[i]
		}
	}
	return nil
}

// RecordLink makes a run's report the head of the plan's chain.
func RecordLink(plan *v1alpha1.RecoveryPlan, run *v1alpha1.RecoveryRun, c *Chain, digest string) {
	head := &v1alpha1.ReportChain{Sequence: c.Sequence, Recent: []v1alpha1.ReportLink{
		{Sequence: c.Sequence, Run: run.Name, UID: run.UID, Digest: digest},
	}}
	if before := plan.Status.Reports; before != nil {
		head.Recent = append(head.Recent, before.Recent[:min(len(before.Recent), v1alpha1.MaxReportLinks-1)]...)
	}
	plan.Status.Reports = head
}
