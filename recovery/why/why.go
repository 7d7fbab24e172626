// Package why answers, from a run's record alone, what a person asks who looks at it: what
// does it wait for or what went wrong, since when, what comes next, and what can I do.
package why

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// State of a run in one word.
type State string

// The states of a run.
const (
	Queued    State = "Queued"
	Running   State = "Running"
	Waiting   State = "Waiting"
	Suspended State = "Suspended"
	Cleaning  State = "CleaningUp"
	Failed    State = "Failed"
	// Interrupted and Refused runs failed and say nothing about the plan.
	Interrupted State = State(report.EndingInterrupted)
	Refused     State = State(report.EndingRefused)
	Succeeded   State = "Succeeded"
)

// Answer about one run.
type Answer struct {
	Run       string             `json:"run"`
	Plan      string             `json:"plan"`
	Operation v1alpha1.Operation `json:"operation"`
	State     State              `json:"state"`
	// Phase that it is in or failed in.
	Phase v1alpha1.Phase `json:"phase,omitempty"`
	// Reason is one word for programs, of a failure.
	Reason string `json:"reason,omitempty"`
	// Cause in one sentence that names the object.
	Cause string `json:"cause"`
	// Since when; Until is when it ends in failure.
	Since *time.Time `json:"since,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	// Next is what happens by itself.
	Next string `json:"next"`
	// Do lists what a person can do.
	Do []string `json:"do,omitempty"`
}

// adviser names commands. The empty one is for those who work in the run's namespace.
type adviser struct{ elsewhere string }

// refloat is a command about something in the run's namespace.
func (by adviser) refloat(command, about string, more ...string) string {
	return strings.Join(append([]string{"refloat", command, about + by.elsewhere}, more...), " ")
}

func (by adviser) orEnd(run *v1alpha1.RecoveryRun) string {
	return "or end the run: " + by.refloat("cancel", run.Name, "--reason …")
}

// Explain a run as it was at a time. The namespace is where commands that name none look:
// what a person is told to do says so when the run is in another.
func Explain(run *v1alpha1.RecoveryRun, now time.Time, namespace string) Answer {
	by := adviser{}
	if run.Namespace != namespace {
		by.elsewhere = " -n " + run.Namespace
	}
	a := Answer{Run: run.Name, Plan: run.Spec.PlanRef.Name, Operation: run.Spec.Operation}
	if current := recovery.Current(run); current != nil {
		a.Phase, a.Since = current.Name, when(&current.StartedAt)
	}
	switch s := run.Status; {
	case s.FinishedAt != nil && s.Failure == nil:
		return by.succeeded(run, a)
	case s.Failure != nil && a.Phase == v1alpha1.PhaseCleanup && s.Failure.Phase != v1alpha1.PhaseCleanup:
		return by.cleaning(run, a)
	case s.Failure != nil:
		return by.failed(run, a)
	case s.SuspendedAt != nil:
		return by.suspended(run, a)
	case s.StartedAt == nil:
		return by.queued(run, a)
	}
	return by.underWay(run, a, now)
}

func when(t *metav1.MicroTime) *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}

func (by adviser) succeeded(run *v1alpha1.RecoveryRun, a Answer) Answer {
	a.State, a.Since, a.Next = Succeeded, when(run.Status.FinishedAt), "nothing: the run has finished"
	a.Cause = "the run succeeded"
	if c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionSucceeded); c != nil && c.Message != "" {
		a.Cause += ": " + c.Message
	}
	if c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionObjectiveMet); c != nil && c.Status == metav1.ConditionFalse {
		a.Cause += "; but too late: " + c.Message
		a.Do = append(a.Do, "see where the time went: "+by.refloat("report", run.Name))
	}
	return a
}

func (by adviser) failed(run *v1alpha1.RecoveryRun, a Answer) Answer {
	f := run.Status.Failure
	a.State, a.Phase, a.Reason, a.Cause = Failed, f.Phase, f.Reason, f.Message
	if ending := report.EndingOf(f.Phase, f.Reason); ending != "" {
		a.State = State(ending)
	}
	for i := range run.Status.Phases {
		if p := &run.Status.Phases[i]; p.Name == f.Phase {
			a.Since = when(p.FinishedAt)
		}
	}
	if a.Since == nil {
		a.Since = when(run.Status.FinishedAt)
	}
	a.Next = "nothing: the run has finished" + whatIsLeft(run)
	if run.Status.FinishedAt == nil {
		a.Next = "the report is stored, then the run finishes" + whatIsLeft(run)
	}
	a.Do = by.remedies(run)
	return a
}

// whatIsLeft says what a failed run leaves behind.
func whatIsLeft(run *v1alpha1.RecoveryRun) string {
	s := run.Status
	switch {
	case recovery.FailsOver(run):
		return afterTakeover(run)
	case run.Spec.Operation == v1alpha1.OperationDrill && s.Target != nil && s.Target.UID != "" && !meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionCleanedUp):
		return fmt.Sprintf("; Cluster %s of the drill may still be there", s.Target.Name)
	case run.Spec.Operation == v1alpha1.OperationDrill:
		return ""
	case s.Target != nil && s.Target.UID != "":
		return fmt.Sprintf("; Cluster %s stays as it is, not verified", s.Target.Name)
	case s.Previous != nil && s.Previous.DeleteRequestedAt == nil:
		return fmt.Sprintf("; Cluster %s was not touched", s.Previous.Name)
	case s.Previous != nil && !meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionCleanedUp):
		return fmt.Sprintf("; the deletion of Cluster %s had been sent", s.Previous.Name)
	case s.Previous != nil:
		return fmt.Sprintf("; Cluster %s is deleted", s.Previous.Name)
	}
	return ""
}

func (by adviser) cleaning(run *v1alpha1.RecoveryRun, a Answer) Answer {
	f := run.Status.Failure
	a.State, a.Reason = Cleaning, f.Reason
	a.Cause = fmt.Sprintf("the drill failed in %s: %s", f.Phase, f.Message)
	a.Next = "Cluster " + run.Status.Target.Name + " of the drill is deleted, then the run finishes"
	if w := run.Status.Waiting; w != nil {
		a.Next += "; it waits for " + w.For
	}
	a.Do = by.remedies(run)
	return a
}

func (by adviser) suspended(run *v1alpha1.RecoveryRun, a Answer) Answer {
	a.State, a.Since = Suspended, when(run.Status.SuspendedAt)
	a.Cause = "the run is suspended (spec.suspend)"
	a.Next = "nothing, until it is resumed; its limits do not count"
	if !run.Spec.Suspend {
		a.Next = "the run goes on"
	}
	a.Do = []string{"let it go on: " + by.refloat("resume", run.Name), by.orEnd(run)}
	return a
}

func (by adviser) queued(run *v1alpha1.RecoveryRun, a Answer) Answer {
	created := run.CreationTimestamp.Time
	a.State, a.Since, a.Next = Queued, &created, "it starts as soon as that is so"
	w := run.Status.Waiting
	switch {
	case w != nil:
		a.Cause = "it waits for " + w.For
		if strings.HasPrefix(w.For, "run ") {
			a.Do = []string{"see what that run does: " + by.refloat("why", strings.Fields(w.For)[1])}
		} else if run.Spec.Suspend {
			a.Do = []string{"let it start: " + by.refloat("resume", run.Name)}
		}
	default:
		a.Cause = "no controller has taken it up"
		a.Next = "a controller takes it up within seconds, if one runs"
		a.Do = []string{"see whether a controller runs: refloat sandbox status, or kubectl get pods where Refloat is installed"}
	}
	return a
}

func (by adviser) underWay(run *v1alpha1.RecoveryRun, a Answer, now time.Time) Answer {
	a.State, a.Next = Running, "the phase goes on"
	if deadline := recovery.Deadline(run); !deadline.IsZero() {
		a.Until = &deadline
	}
	w := run.Status.Waiting
	if w == nil {
		a.Cause = fmt.Sprintf("%s is under way", a.Phase)
		return a
	}
	a.State, a.Since, a.Cause = Waiting, when(&w.Since), "it waits for "+w.For
	if w.Until != nil {
		a.Until = when(w.Until)
	}
	a.Next = "it goes on as soon as that is so"
	if a.Until != nil && a.Phase != v1alpha1.PhaseCleanup {
		a.Next += fmt.Sprintf("; otherwise the run fails in %s", a.Until.Sub(now).Round(time.Second))
	}
	a.Do = by.advice(run, w.For)
	return a
}
