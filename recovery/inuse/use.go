package inuse

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/manifests/verify"
)

// running Jobs are a use, those of CronJobs too, but not those of the system.
func running(job *batchv1.Job, now time.Time) string {
	if job.Status.Active == 0 || job.Namespace == metav1.NamespaceSystem || job.DeletionTimestamp != nil {
		return ""
	}
	began := job.CreationTimestamp
	if job.Status.StartTime != nil {
		began = *job.Status.StartTime
	}
	return fmt.Sprintf("Job %s/%s has run for %s", job.Namespace, job.Name, rough(now.Sub(began.Time)))
}

// renewed Leases are a use as long as they last. One that does not say for how long it does
// is none.
func renewed(lease *coordinationv1.Lease, now time.Time) string {
	value, ok := lease.Labels[LabelInUse]
	if !ok || value == "false" || lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil {
		return ""
	}
	until := lease.Spec.RenewTime.Add(time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second)
	if !until.After(now) {
		return ""
	}
	return fmt.Sprintf("Lease %s/%s lasts until %s", lease.Namespace, lease.Name, until.UTC().Format("2006-01-02 15:04:05Z"))
}

// byHand is the latest write of an object by a person's tool, when it is not older than that.
func byHand(kind string, of *metav1.PartialObjectMetadata, now time.Time, within time.Duration) string {
	var last *metav1.ManagedFieldsEntry
	for i := range of.ManagedFields {
		entry := &of.ManagedFields[i]
		if entry.Time != nil && Tool(entry.Manager) && !entry.Time.Add(within).Before(now) && (last == nil || entry.Time.After(last.Time.Time)) {
			last = entry
		}
	}
	if last == nil {
		return ""
	}
	return fmt.Sprintf("%s %s/%s was changed with %s %s ago", kind, of.Namespace, of.Name, last.Manager, rough(now.Sub(last.Time.Time)))
}

// tools that people work with besides those of verify.ByHand, which does not count what
// may have installed an object in the first place.
var tools = []string{"helm", "Lens", "OpenLens", "Freelens", "Headlamp", "headlamp-server", "kubernetes-dashboard", "tilt", "skaffold", "devspace"}

// Tool is true of a field manager that is a person's tool. What is not known is none: a
// controller that nobody thought of must not keep clusters up. A script that calls kubectl
// cannot be told from a person who does.
func Tool(manager string) bool {
	return verify.ByHand(manager) || slices.Contains(tools, manager)
}

// rough is a duration for people. The clock of a cluster may be ahead of ours.
func rough(d time.Duration) string {
	d = max(d, 0)
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	d = d.Round(time.Minute)
	if d < time.Hour {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
}
