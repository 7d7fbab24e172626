package inuse

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

var now = time.Date(2026, 11, 30, 20, 0, 0, 0, time.UTC)

func ago(d time.Duration) *metav1.Time { return ptr.To(metav1.NewTime(now.Add(-d))) }

func TestRunning(t *testing.T) {
	for name, c := range map[string]struct {
		namespace string
		status    batchv1.JobStatus
		deleted   bool
		want      string
	}{
		"active":                {"ci", batchv1.JobStatus{Active: 1, StartTime: ago(12 * time.Minute)}, false, "Job ci/build has run for 12m"},
		"not started":           {"ci", batchv1.JobStatus{Active: 1}, false, "Job ci/build has run for 2h30m"},
		"a clock that is ahead": {"ci", batchv1.JobStatus{Active: 1, StartTime: ago(-time.Minute)}, false, "Job ci/build has run for 0s"},
		"over":                  {"ci", batchv1.JobStatus{Succeeded: 1, StartTime: ago(time.Hour)}, false, ""},
		"of the system":         {"kube-system", batchv1.JobStatus{Active: 1}, false, ""},
		"being deleted":         {"ci", batchv1.JobStatus{Active: 1}, true, ""},
	} {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "build", CreationTimestamp: *ago(150 * time.Minute)}, Status: c.status}
		if c.deleted {
			job.DeletionTimestamp = ago(0)
		}
		if got := running(job, now); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRenewed(t *testing.T) {
	const use = "Lease ci/run-42 lasts until 2026-11-30 20:00:30Z"
	marked := func(value string) map[string]string { return map[string]string{LabelInUse: value} }
	for name, c := range map[string]struct {
		labels   map[string]string
		renewed  *metav1.Time
		duration *int32
		want     string
	}{
		"renewed":          {marked("true"), ago(30 * time.Second), ptr.To[int32](60), use},
		"an empty label":   {marked(""), ago(30 * time.Second), ptr.To[int32](60), use},
		"false":            {marked("false"), ago(30 * time.Second), ptr.To[int32](60), ""},
		"without a label":  {nil, ago(30 * time.Second), ptr.To[int32](60), ""},
		"expired":          {marked("true"), ago(time.Minute), ptr.To[int32](60), ""},
		"never renewed":    {marked("true"), nil, ptr.To[int32](60), ""},
		"without duration": {marked("true"), ago(0), nil, ""},
		"a negative one":   {marked("true"), ago(0), ptr.To[int32](-5), ""},
	} {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "run-42", Labels: c.labels}}
		lease.Spec.LeaseDurationSeconds = c.duration
		if c.renewed != nil {
			lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(c.renewed.Time))
		}
		if got := renewed(lease, now); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestByHand(t *testing.T) {
	entry := func(manager string, at *metav1.Time) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Time: at}
	}
	for name, c := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		"edited":           {[]metav1.ManagedFieldsEntry{entry("kubectl-edit", ago(5*time.Minute))}, "Deployment shop/web was changed with kubectl-edit 5m ago"},
		"the last of two":  {[]metav1.ManagedFieldsEntry{entry("kubectl", ago(9*time.Minute)), entry("k9s", ago(20*time.Second))}, "Deployment shop/web was changed with k9s 20s ago"},
		"too long ago":     {[]metav1.ManagedFieldsEntry{entry("kubectl-edit", ago(31*time.Minute))}, ""},
		"just within":      {[]metav1.ManagedFieldsEntry{entry("helm", ago(30*time.Minute))}, "Deployment shop/web was changed with helm 30m ago"},
		"by a controller":  {[]metav1.ManagedFieldsEntry{entry("kube-controller-manager", ago(0)), entry("helm-controller", ago(0)), entry("refloat", ago(0))}, ""},
		"without a time":   {[]metav1.ManagedFieldsEntry{entry("kubectl", nil)}, ""},
		"nothing recorded": {nil, ""},
	} {
		of := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", ManagedFields: c.entries}}
		if got := byHand("Deployment", of, now, 30*time.Minute); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTool(t *testing.T) {
	for manager, want := range map[string]bool{
		"kubectl": true, "kubectl-client-side-apply": true, "oc-edit": true, "Mozilla": true, "node-fetch": true,
		"": false, "argocd-controller": false, "kustomize-controller": false, "kubectlish": false, "ocp-operator": false, "manager": false, "octopus": false,
	} {
		if got := Tool(manager); got != want {
			t.Errorf("%q: %v", manager, got)
		}
	}
}
