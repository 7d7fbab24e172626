package controllers

import (
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// loopback is the only host that a control plane of this provider listens on.
const loopback = "127.0.0.1"

// obstacle tells why a control plane cannot be run as asked; nil when it can.
// wanted is the version in spec, offered the one that the provider was built with.
// A cluster that served before stays as it is when another version is asked for:
// that the version is not there must not take the cluster away.
func obstacle(endpoint controlplane.Endpoint, served bool, wanted, offered string) *metav1.Condition {
	refuse := func(reason, message string) *metav1.Condition {
		c := condition(controlplanev1.AvailableCondition, metav1.ConditionFalse, reason, message)
		return &c
	}
	switch {
	case endpoint.Port == 0:
		return refuse(controlplanev1.WaitingForEndpointReason,
			"waiting for the controlPlaneEndpoint of the Cluster or of its LocalCluster")
	case endpoint.Host != loopback:
		return refuse(controlplanev1.WaitingForEndpointReason, fmt.Sprintf(
			"the controlPlaneEndpoint is on host %s; a local control plane listens on %s only", endpoint.Host, loopback))
	case !served && versionOf(wanted) != offered:
		return refuse(controlplanev1.VersionNotAvailableReason, versionProblem(wanted, offered))
	}
	return nil
}

// versionProblem says that the version asked for is not the one that runs; it is
// empty when it is.
func versionProblem(wanted, offered string) string {
	if versionOf(wanted) == offered {
		return ""
	}
	return fmt.Sprintf("version %s was asked for; this provider runs %s only", versionOf(wanted), offered)
}

// versionOf puts the v in front of a version that lacks it, as the contract demands.
func versionOf(version string) string { return "v" + strings.TrimPrefix(version, "v") }

// availability turns what was observed of a plane into the Available condition.
func availability(seen fleet.Observation) metav1.Condition {
	answer := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return condition(controlplanev1.AvailableCondition, status, reason, message)
	}
	problem := ""
	if seen.Problem != nil {
		problem = bounded(seen.Problem.Error())
	}
	switch {
	case seen.Healthy():
		return answer(metav1.ConditionTrue, controlplanev1.AvailableReason, "")
	case errors.Is(seen.Problem, fleet.ErrDataLost):
		return answer(metav1.ConditionFalse, controlplanev1.DataLostReason, problem)
	case seen.Phase == fleet.Running && errors.Is(seen.Problem, process.ErrNotRunning):
		return answer(metav1.ConditionFalse, controlplanev1.ProcessesDownReason, problem)
	case seen.Phase == fleet.Running:
		return answer(metav1.ConditionFalse, controlplanev1.APIServerNotReadyReason, problem)
	case seen.Problem != nil:
		return answer(metav1.ConditionFalse, controlplanev1.StartFailedReason, problem)
	}
	return answer(metav1.ConditionFalse, controlplanev1.StartingReason, "the processes are being started")
}

// maxMessage bounds a condition's message, which may hold the end of a log.
const maxMessage = 1024

func bounded(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + " …"
}
