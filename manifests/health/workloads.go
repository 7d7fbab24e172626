package health

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func deployment(u *unstructured.Unstructured, _ Environment) Assessment {
	// Its controller goes on after the deadline: slow nodes and images still arrive. What
	// limits the wait is the caller's own deadline.
	if c := conditionOf(u, "Progressing"); c.Reason == "ProgressDeadlineExceeded" {
		return progressing("%s", withCause(c.why(), u))
	}
	if boolAt(u, "spec", "paused") {
		return healthy("paused, so nothing is rolled out")
	}
	a := fromKstatus(u)
	if a.Status == Progressing {
		a.Message = withCause(a.Message, u)
	}
	return a
}

// withCause adds why pods cannot be created, which is the useful half of "0 of 3".
func withCause(message string, u *unstructured.Unstructured) string {
	if c := conditionOf(u, "ReplicaFailure"); c.Status == "True" {
		return message + "; " + c.why()
	}
	return message
}

// statefulSet is kstatus, but a set that updates on delete must still become ready
// once.
func statefulSet(u *unstructured.Unstructured, _ Environment) Assessment {
	if stringAt(u, "spec", "updateStrategy", "type") == "OnDelete" {
		return replicas(u)
	}
	return fromKstatus(u)
}

func replicationController(u *unstructured.Unstructured, _ Environment) Assessment {
	a := replicas(u)
	a.Message = strings.TrimPrefix(withCause(a.Message, u), "; ")
	return a
}

func replicas(u *unstructured.Unstructured) Assessment {
	want, ready := intAt(u, 1, "spec", "replicas"), intAt(u, 0, "status", "readyReplicas")
	if ready < want {
		return progressing("Ready: %d/%d", ready, want)
	}
	return healthy("")
}

// job must complete: whatever waits for a Job waits for its work, not for its start.
func job(u *unstructured.Unstructured, _ Environment) Assessment {
	if conditionOf(u, "Complete").Status == "True" {
		return healthy("")
	}
	// FailureTarget precedes Failed while the pods end; nothing turns it back.
	for _, kind := range []string{"Failed", "FailureTarget"} {
		if c := conditionOf(u, kind); c.Status == "True" {
			return failed("the Job failed: %s", c.why())
		}
	}
	if boolAt(u, "spec", "suspend") {
		return healthy("suspended, so it does not run")
	}
	if stringAt(u, "status", "startTime") == "" {
		return progressing("the Job has not started")
	}
	want := intAt(u, intAt(u, 1, "spec", "parallelism"), "spec", "completions")
	return progressing("%d of %d completions, %d active, %d failed", intAt(u, 0, "status", "succeeded"), want,
		intAt(u, 0, "status", "active"), intAt(u, 0, "status", "failed"))
}

func cronJob(u *unstructured.Unstructured, _ Environment) Assessment {
	if boolAt(u, "spec", "suspend") {
		return healthy("suspended, so it does not run")
	}
	return healthy("")
}

// pod differs from kstatus in that a failed pod is a failure, and that a container
// which keeps crashing is not: on a cold start it often only waits for another one.
func pod(u *unstructured.Unstructured, _ Environment) Assessment {
	phase, trouble := stringAt(u, "status", "phase"), containerTrouble(u)
	switch {
	case phase == "Succeeded":
		return healthy("")
	case phase == "Failed":
		return failed("the pod failed%s", because(stringAt(u, "status", "reason"), stringAt(u, "status", "message"), trouble.message))
	case phase == "Running" && conditionOf(u, "Ready").Status == "True":
		return healthy("")
	case trouble.terminal:
		return failed("%s", trouble.message)
	case trouble.message != "":
		return progressing("%s", trouble.message)
	}
	if c := conditionOf(u, "PodScheduled"); c.Status == "False" {
		return progressing("not scheduled%s", because(c.why()))
	}
	if phase == "" {
		phase = "not seen by a scheduler yet"
	}
	return progressing("the pod is %s, not ready%s", phase, because(conditionOf(u, "Ready").Message))
}

func because(parts ...string) string {
	var said []string
	for _, p := range parts {
		if p != "" {
			said = append(said, p)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return ": " + strings.Join(said, ", ")
}

type trouble struct {
	message  string
	terminal bool
}

// containerTrouble describes the first container that cannot go on.
func containerTrouble(u *unstructured.Unstructured) trouble {
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", field)
		for _, c := range maps(list) {
			if t := inContainer(c); t.message != "" {
				return t
			}
		}
	}
	return trouble{}
}

func inContainer(c map[string]any) trouble {
	name := text(c["name"])
	waiting, _, _ := unstructured.NestedMap(c, "state", "waiting")
	reason := text(waiting["reason"])
	switch reason {
	case "", "ContainerCreating", "PodInitializing":
	default:
		t := trouble{
			message:  fmt.Sprintf("container %s waits: %s%s", name, reason, because(text(waiting["message"]))),
			terminal: reason == "InvalidImageName",
		}
		if last, ok, _ := unstructured.NestedMap(c, "lastState", "terminated"); ok && !t.terminal {
			t.message += fmt.Sprintf(", last exit code %v", last["exitCode"])
		}
		return t
	}
	ended, ok, _ := unstructured.NestedMap(c, "state", "terminated")
	if !ok || fmt.Sprint(ended["exitCode"]) == "0" {
		return trouble{}
	}
	return trouble{message: fmt.Sprintf("container %s ended with exit code %v%s", name, ended["exitCode"],
		because(text(ended["reason"]), text(ended["message"])))}
}
