package recovery

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// asking turns a run that is about to delete into one that waits for a second person.
func asking(o *Observation) {
	Current(o.Run).Name = v1alpha1.PhaseApproval
	o.Run.Status.Pinned.Plan.Teardown.Policy = v1alpha1.TeardownNeedsApproval
	o.Run.Spec.RequestedBy = "ada"
	o.Run.Status.Approval = &v1alpha1.ApprovalRecord{Digest: approvalDigest(o.Run), TargetUID: o.Run.Status.Previous.UID}
	o.Cluster = alive(string(o.Run.Status.Previous.UID))
}

// approvedBy adds an approval that counts, changed.
func approvedBy(user string, changes ...func(*v1alpha1.RunApproval)) change {
	return func(o *Observation) {
		a := v1alpha1.RunApproval{ObjectMeta: metav1.ObjectMeta{Name: "yes-" + user}}
		a.Spec = v1alpha1.RunApprovalSpec{
			RunRef: v1alpha1.RunReference{Name: o.Run.Name}, Digest: o.Run.Status.Approval.Digest, TargetUID: string(o.Run.Status.Approval.TargetUID), ApprovedBy: user,
		}
		for _, change := range changes {
			change(&a)
		}
		o.Approvals = append(o.Approvals, a)
	}
}

func hold(until time.Time, changes ...func(*v1alpha1.Hold)) change {
	return func(o *Observation) {
		h := v1alpha1.Hold{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "load-test"}, Spec: v1alpha1.HoldSpec{Reason: "a load test runs", Until: metav1.NewTime(until)}}
		for _, change := range changes {
			change(&h)
		}
		o.Holds = append(o.Holds, h)
	}
}

func TestApproval(t *testing.T) {
	expired := metav1.NewTime(t0.Add(time.Minute)) // now
	later := metav1.NewTime(t0.Add(time.Minute + time.Second))
	for name, test := range map[string]struct {
		changes []change
		want    Action
		says    string
	}{
		"nobody yet":                {nil, Wait, "somebody other than ada to approve the deletion of Cluster dev: refloat approve"},
		"another person":            {[]change{approvedBy("grace")}, TakeApproval, ""},
		"the requester":             {[]change{approvedBy("ada")}, Wait, "yes-ada does not count: ada requested the run"},
		"the same in capitals":      {[]change{approvedBy("ADA")}, Wait, "ADA requested the run"},
		"another digest":            {[]change{approvedBy("grace", func(a *v1alpha1.RunApproval) { a.Spec.Digest = "sha256:0" })}, Wait, "something else than what the run is about to do"},
		"another cluster":           {[]change{approvedBy("grace", func(a *v1alpha1.RunApproval) { a.Spec.TargetUID = "x" })}, Wait, "another cluster (UID x"},
		"expired":                   {[]change{approvedBy("grace", func(a *v1alpha1.RunApproval) { a.Spec.ExpiresAt = &expired })}, Wait, "expired at"},
		"not yet expired":           {[]change{approvedBy("grace", func(a *v1alpha1.RunApproval) { a.Spec.ExpiresAt = &later })}, TakeApproval, ""},
		"being deleted":             {[]change{approvedBy("grace", func(a *v1alpha1.RunApproval) { a.DeletionTimestamp = &later })}, Wait, "being deleted"},
		"one of two counts":         {[]change{approvedBy("ada"), approvedBy("grace")}, TakeApproval, ""},
		"requester not known":       {[]change{approvedBy("grace"), func(o *Observation) { o.Run.Spec.RequestedBy = "" }}, Wait, "does not say who requested it"},
		"the plan is changed since": {[]change{approvedBy("grace"), func(o *Observation) { o.Run.Status.Approval.Digest = "sha256:edited" }}, Wait, "something else"},
		"cluster replaced":          {[]change{approvedBy("grace"), cluster(func(c *Cluster) { c.UID = "third" })}, Fail, "another one than the run pinned"},
		"cluster gone":              {[]change{approvedBy("grace"), gone()}, TakeApproval, ""},
		"held":                      {[]change{approvedBy("grace"), hold(t0.Add(time.Hour))}, Fail, "Hold fleet/load-test keeps cluster dev"},
		"status was edited":         {[]change{approvedBy("grace"), func(o *Observation) { o.Run.Status.Approval = nil }}, Fail, "somebody edited it"},
		"long after the limit":      {[]change{func(o *Observation) { o.Now = t0.Add(25 * time.Hour) }}, Fail, "Approval did not end within 24h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(in(rebuild, v1alpha1.PhaseTeardown, append([]change{asking}, test.changes...)...))
			text := d.Waiting
			if d.Failure != nil {
				text = d.Failure.Message
			}
			if d.Action != test.want || !strings.Contains(text, test.says) {
				t.Errorf("decided %s, it says %q", d.Action, text)
			}
		})
	}
}

// TestDigestOfAnApproval changes one thing after the other that a person said yes to.
func TestDigestOfAnApproval(t *testing.T) {
	digest := func(change func(*v1alpha1.RecoveryRun)) string {
		o := in(rebuild, v1alpha1.PhaseTeardown)
		change(o.Run)
		return approvalDigest(o.Run)
	}
	first := digest(func(*v1alpha1.RecoveryRun) {})
	if again := digest(func(*v1alpha1.RecoveryRun) {}); again != first {
		t.Error("it is another digest each time")
	}
	for name, change := range map[string]func(*v1alpha1.RecoveryRun){
		"run":       func(r *v1alpha1.RecoveryRun) { r.UID = "another" },
		"operation": func(r *v1alpha1.RecoveryRun) { r.Spec.Operation = teardown },
		"plan":      func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.PlanUID = "another" },
		"its edit":  func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.PlanGeneration++ },
		"commit":    func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.Commit = "another" },
		"rendering": func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.RenderDigest = "another" },
		"manifests": func(r *v1alpha1.RecoveryRun) { r.Status.Pinned.ClusterDigest = "another" },
		"cluster":   func(r *v1alpha1.RecoveryRun) { r.Status.Previous.UID = "another" },
	} {
		if digest(change) == first {
			t.Errorf("another %s has the same digest", name)
		}
	}
}

func TestHeldBack(t *testing.T) {
	soon := t0.Add(2 * time.Minute)
	for name, test := range map[string]struct {
		o    Observation
		want Action
	}{
		"held":                     {in(teardown, v1alpha1.PhaseTeardown, hold(soon)), Fail},
		"rebuild held":             {in(rebuild, v1alpha1.PhaseTeardown, hold(soon)), Fail},
		"over":                     {in(teardown, v1alpha1.PhaseTeardown, hold(t0.Add(time.Minute))), RecordDelete},
		"in the past":              {in(teardown, v1alpha1.PhaseTeardown, hold(t0)), RecordDelete},
		"being lifted":             {in(teardown, v1alpha1.PhaseTeardown, hold(soon, func(h *v1alpha1.Hold) { h.DeletionTimestamp = &metav1.Time{Time: t0} })), RecordDelete},
		"overridden":               {in(teardown, v1alpha1.PhaseTeardown, hold(soon), func(o *Observation) { o.Run.Spec.OverrideHolds = true }), RecordDelete},
		"deletion recorded before": {in(teardown, v1alpha1.PhaseTeardown, requested, hold(soon)), Delete},
		"cleanup of a drill":       {in(drill, v1alpha1.PhaseCleanup, hold(soon)), RecordDelete},
	} {
		d := Decide(test.o)
		if want := map[bool]int{true: 1}[name == "overridden"]; len(Overridden(test.o)) != want {
			t.Errorf("%s: overridden %+v", name, Overridden(test.o))
		}
		if d.Action != test.want || d.Action == Fail && d.Failure.Reason != "Held" {
			t.Errorf("%s: decided %+v, want %s", name, d, test.want)
		}
	}
}
