package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/inuse"
)

// TestScheduleLooksForUse: a teardown that is due waits for who renews a Lease in the
// cluster, and no longer.
func TestScheduleLooksForUse(t *testing.T) {
	const name = "in-use"
	repo := newRepository(t, map[string]string{"state/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {a: b}\n"})
	box.must(t, "rebuild", "-f", repo.plan(t, name, "", "state"), "--confirm", name)
	leases := kubernetes.NewForConfigOrDie(workload(t, name)).CoordinationV1().Leases("default")
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "run-42", Labels: map[string]string{inuse.LabelInUse: "true"}},
		Spec:       coordinationv1.LeaseSpec{RenewTime: ptr.To(metav1.NewMicroTime(time.Now())), LeaseDurationSeconds: ptr.To[int32](3600)},
	}
	if _, err := leases.Create(t.Context(), lease, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c := managementClient(t)
	soon := time.Now().UTC().Add(time.Minute)
	schedule := &v1alpha1.RecoverySchedule{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: v1alpha1.RecoveryScheduleSpec{
			PlanRef: &v1alpha1.PlanReference{Name: name},
			Teardown: &v1alpha1.TeardownTimes{
				Cron: daily(soon), Notice: v1alpha1.TeardownNotice{Before: &metav1.Duration{}},
				InUse: &v1alpha1.InUsePolicy{Leases: true, Jobs: true, WritesWithin: &metav1.Duration{Duration: time.Minute}, Postpone: &metav1.Duration{Duration: time.Minute}},
			},
			Rebuild: &v1alpha1.RebuildTimes{Cron: daily(soon.Add(12 * time.Hour))},
		},
	}
	if err := c.Create(t.Context(), schedule); err != nil {
		t.Fatal(err)
	}
	reason := postponedFor(t, c, schedule)
	if !strings.HasPrefix(reason, "in use: Lease default/run-42 lasts until ") {
		t.Errorf("postponed because %q", reason)
	}
	if err := leases.Delete(t.Context(), lease.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	run := await(t, nextOf(t, c, schedule, nil).Name, "its end", finished)
	if run.Spec.Operation != v1alpha1.OperationTeardown || run.Status.Failure != nil {
		t.Errorf("%s, %+v", run.Spec.Operation, run.Status.Failure)
	}
	if err := c.Delete(t.Context(), schedule); err != nil {
		t.Fatal(err)
	}
}

// postponedFor waits until a teardown of the schedule waits, and says why.
func postponedFor(t *testing.T, c client.WithWatch, schedule *v1alpha1.RecoverySchedule) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	events, err := c.Watch(ctx, &v1alpha1.RecoveryScheduleList{}, client.InNamespace(schedule.Namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	for e := range events.ResultChan() {
		s, ok := e.Object.(*v1alpha1.RecoverySchedule)
		if ok && s.UID == schedule.UID && len(s.Status.Plans) == 1 && s.Status.Plans[0].Postponed != nil {
			return s.Status.Plans[0].Postponed.Reason
		}
	}
	t.Fatal("nothing was postponed")
	return ""
}
