package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) metav1.MicroTime { return metav1.NewMicroTime(noon.Add(d)) }

func atp(d time.Duration) *metav1.MicroTime { t := at(d); return &t }

// drillAt is a drill as it looks after the given number of steps.
func drillAt(step int) *v1alpha1.RecoveryRun {
	run := &v1alpha1.RecoveryRun{Spec: v1alpha1.RecoveryRunSpec{Operation: v1alpha1.OperationDrill}}
	run.Status.StartedAt = atp(0)
	if step >= 1 {
		run.Status.Phases = []v1alpha1.PhaseRecord{{Name: v1alpha1.PhasePreflight, StartedAt: at(0)}}
		run.Status.Waiting = &v1alpha1.Waiting{For: "the repository"}
	}
	if step >= 2 {
		run.Status.Phases[0].FinishedAt = atp(time.Second)
		run.Status.Phases[0].Message = "commit 0123456, 9 objects in 3 waves"
		run.Status.Phases = append(run.Status.Phases, v1alpha1.PhaseRecord{Name: v1alpha1.PhaseWaves, StartedAt: at(time.Second)})
		run.Status.Waiting = &v1alpha1.Waiting{For: "Deployment.apps shop/web"}
		run.Status.Progress = &v1alpha1.Progress{Total: 9, Applied: 4, Healthy: 3, Wave: 2}
	}
	if step >= 3 {
		run.Status.Phases[1].FinishedAt = atp(9 * time.Second)
		run.Status.FinishedAt = atp(9 * time.Second)
		run.Status.RecoveredAt = atp(9 * time.Second)
		run.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionSucceeded, Status: metav1.ConditionTrue}}
	}
	return run
}

func TestRunViewInALog(t *testing.T) {
	var out bytes.Buffer
	view := newRunView(&out, false)
	for step := range 4 {
		view.show(drillAt(step))
		view.show(drillAt(step)) // nothing new is not said twice
		if step == 2 {
			view.beat()
		}
	}
	want := `◎ Preflight           waiting for the repository
✔ Preflight     1.0s  commit 0123456, 9 objects in 3 waves
◎ Waves               wave 2, 4 of 9 applied, 3 healthy; waiting for Deployment.apps shop/web
◎ Waves               wave 2, 4 of 9 applied, 3 healthy; waiting for Deployment.apps shop/web
✔ Waves         8.0s
✔ drill succeeded: recovery time 9.0s
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestRunViewOfAFinishedRunReturnsAtOnce(t *testing.T) {
	var out bytes.Buffer
	newRunView(&out, false).show(drillAt(3))
	want := `✔ Preflight     1.0s  commit 0123456, 9 objects in 3 waves
✔ Waves         8.0s
✔ drill succeeded: recovery time 9.0s
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// TestRunViewSaysAFailureOnce: a long message is not repeated on the next line.
func TestRunViewSaysAFailureOnce(t *testing.T) {
	run := drillAt(1)
	run.Name, run.Namespace = "dev-1", "fleet"
	run.Status.Phases[0].FinishedAt, run.Status.Phases[0].Message = atp(time.Second), "repository X cannot be read"
	run.Status.FinishedAt = atp(time.Second)
	run.Status.Failure = &v1alpha1.Failure{Phase: v1alpha1.PhasePreflight, Reason: "RepositoryUnusable", Message: "repository X cannot be read"}
	run.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionSucceeded, Status: metav1.ConditionFalse, Message: "repository X cannot be read"}}
	var out bytes.Buffer
	newRunView(&out, false).show(run)
	want := `✗ Preflight     1.0s  repository X cannot be read
✗ drill failed: RepositoryUnusable in Preflight, as it says above; refloat why dev-1 -n fleet tells what can be done
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	run.Status.Phases[0].Message = ""
	out.Reset()
	newRunView(&out, false).show(run)
	if want := "✗ Preflight     1.0s\n✗ drill failed: repository X cannot be read\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestOutcomeExitCode(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status}
	}
	tests := map[string]struct {
		conditions []metav1.Condition
		want       int
	}{
		"succeeded":        {[]metav1.Condition{condition("Succeeded", "True")}, exitDone},
		"objective met":    {[]metav1.Condition{condition("Succeeded", "True"), condition("ObjectiveMet", "True")}, exitDone},
		"objective missed": {[]metav1.Condition{condition("Succeeded", "True"), condition("ObjectiveMet", "False")}, exitObjectiveMissed},
		"failed":           {[]metav1.Condition{condition("Succeeded", "False")}, exitFailed},
		"failed and late":  {[]metav1.Condition{condition("Succeeded", "False"), condition("ObjectiveMet", "False")}, exitFailed},
		"no outcome":       {nil, exitFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			run := &v1alpha1.RecoveryRun{}
			run.Status.Conditions = test.conditions
			if got := exitCode(outcome(run)); got != test.want {
				t.Errorf("exit code %d, want %d", got, test.want)
			}
		})
	}
}

func TestConfirm(t *testing.T) {
	plan := &v1alpha1.RecoveryPlan{}
	plan.Spec.Cluster.Name = "prod-eu"
	tests := map[string]struct {
		given string
		ok    bool
	}{
		"right name":                  {"prod-eu", true},
		"wrong name":                  {"prod-us", false},
		"no name and nobody to ask":   {"", false},
		"name with another character": {"prod-eu ", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tty := terminal{In: &bytes.Buffer{}, Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Getenv: func(string) string { return "" }}
			err := confirm(tty, teardownCommand, plan, test.given)
			if (err == nil) != test.ok {
				t.Errorf("confirm: %v, want ok %v", err, test.ok)
			}
			if err != nil && exitCode(err) != exitUsage {
				t.Errorf("exit code %d, want %d", exitCode(err), exitUsage)
			}
		})
	}
}
