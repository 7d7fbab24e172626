package recoverability

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

const (
	// DefaultEvery is the time between two evaluations of a plan that says nothing.
	DefaultEvery = 30 * time.Minute
	// settle is how old a plan has to be before it is first looked at: who makes a plan
	// often orders a run with the same command.
	settle = 10 * time.Second
	// unsureEvery is the longest time until something is tried again that could not be told.
	unsureEvery = 5 * time.Minute
	// maxAsked is how much of a request is remembered.
	maxAsked = 64
)

// Every is the time between two evaluations; 0 when only those that are asked for are made.
func Every(plan *v1alpha1.RecoveryPlan) time.Duration {
	if every := plan.Spec.Evaluate.Every; every != nil {
		return max(every.Duration, 0)
	}
	return DefaultEvery
}

// Asked is the request that a plan carries, empty for none.
func Asked(plan *v1alpha1.RecoveryPlan) string {
	asked := plan.Annotations[v1alpha1.AnnotationEvaluate]
	return strings.ToValidUTF8(asked[:min(len(asked), maxAsked)], "")
}

// Due is when a plan is to be evaluated next; false when that is not before somebody asks.
func Due(plan *v1alpha1.RecoveryPlan, now time.Time) (time.Time, bool) {
	last := plan.Status.Recoverability
	if asked := Asked(plan); asked != "" && (last == nil || last.Asked != asked) {
		return now, true
	}
	every := Every(plan)
	switch {
	case every == 0:
		return time.Time{}, false
	case last == nil || last.EvaluatedAt == nil:
		return latest(now, plan.CreationTimestamp.Add(settle)), true
	case observed(plan) != plan.Generation, ranSince(plan, last.EvaluatedAt.Time, now), last.NextAt == nil:
		return now, true
	case last.NextAt.Sub(now) > 2*every, last.EvaluatedAt.Sub(now) > every:
		return now, true // a clock was set back
	}
	return latest(now, last.NextAt.Time), true
}

// ranSince says that a run ended after the evaluation: it may have proven more, or less.
func ranSince(plan *v1alpha1.RecoveryPlan, evaluated, now time.Time) bool {
	last := plan.Status.LastRun
	return last != nil && last.FinishedAt.After(evaluated) && !last.FinishedAt.After(now)
}

// observed is the generation that the verdict is about.
func observed(plan *v1alpha1.RecoveryPlan) int64 {
	if c := meta.FindStatusCondition(plan.Status.Conditions, v1alpha1.ConditionRecoverable); c != nil {
		return c.ObservedGeneration
	}
	return 0
}

// Next is when a plan that was evaluated now is looked at again: up to a tenth earlier than
// its interval says, so that plans that were made together do not stay together. Zero for
// one that is only looked at when somebody asks. What could not be told is tried sooner.
func Next(plan *v1alpha1.RecoveryPlan, status metav1.ConditionStatus, now time.Time) time.Time {
	every := Every(plan)
	if every == 0 {
		return time.Time{}
	}
	if status == metav1.ConditionUnknown {
		every = min(every, unsureEvery)
	}
	const parts = 1000
	h := fnv.New32a()
	_, _ = h.Write([]byte(string(plan.UID) + strconv.FormatInt(now.Unix(), 10))) // never fails
	return now.Add(every - every/10*time.Duration(h.Sum32()%parts)/parts)
}

// Record an evaluation of a generation of the plan in its status.
func Record(plan *v1alpha1.RecoveryPlan, v Verdict, generation int64, asked string, now time.Time) {
	at := metav1.NewTime(now)
	r := &v1alpha1.Recoverability{EvaluatedAt: &at, Commit: v.Commit, Blockers: v.Blockers, Asked: asked}
	if n := len(v.Blockers); n > maxListed {
		r.Blockers, r.More = v.Blockers[:maxListed], int32(n-maxListed)
	}
	if next := Next(plan, v.Status, now); !next.IsZero() {
		at := metav1.NewTime(next)
		r.NextAt = &at
	}
	plan.Status.Recoverability = r
	if v.Infrastructure != "" {
		plan.Status.Infrastructure = v.Infrastructure
	}
	meta.SetStatusCondition(&plan.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionRecoverable, Status: v.Status, Reason: v.Reason, Message: v.Message,
		ObservedGeneration: generation, LastTransitionTime: at,
	})
}

// overdue is for how long after its time an evaluation may be missing before the last one
// says nothing any more: it waits while a run of the plan works.
const overdue = 2 * time.Hour

// Standing is what is known of a plan now, and why when that is nothing: an evaluation of
// another generation, or of long ago, does not count.
func Standing(plan *v1alpha1.RecoveryPlan, now time.Time) (status metav1.ConditionStatus, why string) {
	c := meta.FindStatusCondition(plan.Status.Conditions, v1alpha1.ConditionRecoverable)
	r := plan.Status.Recoverability
	switch {
	case c == nil || r == nil || r.EvaluatedAt == nil:
		return metav1.ConditionUnknown, "it was not evaluated yet"
	case c.ObservedGeneration != plan.Generation:
		return metav1.ConditionUnknown, "the plan was changed since it was evaluated"
	case r.NextAt != nil && now.Sub(r.NextAt.Time) > Every(plan)+overdue:
		return metav1.ConditionUnknown, "its evaluation is overdue: is the controller running?"
	case c.Status == metav1.ConditionUnknown:
		return c.Status, c.Message
	}
	return c.Status, ""
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
