package recovery

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func drillRun(change func(*v1alpha1.RecoveryRun)) *v1alpha1.RecoveryRun {
	run := &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "drill", UID: "drill"},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: v1alpha1.OperationDrill},
	}
	if change != nil {
		change(run)
	}
	return run
}

func TestMoreUrgent(t *testing.T) {
	scheduled := &v1alpha1.ScheduledTime{Name: "s", UID: "s"}
	for name, test := range map[string]struct {
		drill, other func(*v1alpha1.RecoveryRun)
		want         bool
	}{
		"a rebuild":                              {other: func(*v1alpha1.RecoveryRun) {}, want: true},
		"a teardown":                             {other: func(r *v1alpha1.RecoveryRun) { r.Spec.Operation = v1alpha1.OperationTeardown }, want: true},
		"a failover":                             {other: func(r *v1alpha1.RecoveryRun) { r.Spec.Operation = "Failover" }, want: true},
		"another drill":                          {other: func(r *v1alpha1.RecoveryRun) { r.Spec.Operation = v1alpha1.OperationDrill }},
		"of another plan":                        {other: func(r *v1alpha1.RecoveryRun) { r.Spec.PlanRef.Name = "other" }},
		"of another namespace":                   {other: func(r *v1alpha1.RecoveryRun) { r.Namespace = "other" }},
		"finished":                               {other: func(r *v1alpha1.RecoveryRun) { r.Status.FinishedAt = &metav1.MicroTime{} }},
		"failed":                                 {other: func(r *v1alpha1.RecoveryRun) { r.Status.Failure = &v1alpha1.Failure{} }},
		"cancelled":                              {other: func(r *v1alpha1.RecoveryRun) { r.Spec.Cancel = &v1alpha1.Cancellation{} }},
		"suspended":                              {other: func(r *v1alpha1.RecoveryRun) { r.Spec.Suspend = true }},
		"deleted":                                {other: func(r *v1alpha1.RecoveryRun) { r.DeletionTimestamp = &metav1.Time{} }},
		"a scheduled one waits for a person's":   {other: func(r *v1alpha1.RecoveryRun) { r.Spec.Schedule = scheduled }},
		"a scheduled one before a scheduled one": {drill: func(r *v1alpha1.RecoveryRun) { r.Spec.Schedule = scheduled }, other: func(r *v1alpha1.RecoveryRun) { r.Spec.Schedule = scheduled }, want: true},
		"a rebuild gives way to nobody":          {drill: func(r *v1alpha1.RecoveryRun) { r.Spec.Operation = v1alpha1.OperationRebuild }, other: func(*v1alpha1.RecoveryRun) {}},
	} {
		t.Run(name, func(t *testing.T) {
			other := drillRun(test.other)
			other.Name = "other"
			if other.Spec.Operation == v1alpha1.OperationDrill && name != "another drill" {
				other.Spec.Operation = v1alpha1.OperationRebuild
			}
			want := ""
			if test.want {
				want = "other"
			}
			if got := MoreUrgent(drillRun(test.drill), []v1alpha1.RecoveryRun{*drillRun(nil), *other}); got != want {
				t.Errorf("gives way to %q, want %q", got, want)
			}
		})
	}
	first, later := drillRun(nil), drillRun(nil)
	first.Name, later.Name = "first", "later"
	first.Spec.Operation, later.Spec.Operation = v1alpha1.OperationRebuild, v1alpha1.OperationRebuild
	later.CreationTimestamp = metav1.NewTime(time.Unix(1, 0))
	if got := MoreUrgent(drillRun(nil), []v1alpha1.RecoveryRun{*later, *first}); got != "first" {
		t.Errorf("gives way to %q first", got)
	}
}

// TestOutranked is what a drill does, in each phase, about something more urgent.
func TestOutranked(t *testing.T) {
	at := metav1.NewMicroTime(time.Unix(1000, 0))
	for phase, want := range map[v1alpha1.Phase]Action{
		v1alpha1.PhasePreflight: Fail, v1alpha1.PhaseProvision: Fail, v1alpha1.PhaseBootstrap: Fail, v1alpha1.PhaseSeed: Fail,
		v1alpha1.PhaseWaves: Fail, v1alpha1.PhaseVerify: Fail, v1alpha1.PhaseCleanup: ReleaseLock,
	} {
		for _, suspend := range []bool{false, true} {
			run := drillRun(func(r *v1alpha1.RecoveryRun) {
				r.Finalizers, r.Spec.Suspend = []string{Finalizer}, suspend
				r.Status.StartedAt, r.Status.Epoch = &at, 1
				r.Status.Pinned = &v1alpha1.PinnedInputs{}
				r.Status.Target = &v1alpha1.Incarnation{Name: "t", UID: types.UID("t")}
				r.Status.Phases = []v1alpha1.PhaseRecord{{Name: phase, StartedAt: at}}
			})
			o := Observation{Now: at.Time, Run: run, Claimed: 1, Lock: Lock{State: LockMine}, MoreUrgent: "failover"}
			d := Decide(o)
			if d.Action != want || want == Fail && d.Failure.Reason != "Interrupted" {
				t.Errorf("in %s, suspended %t: %+v, want %s", phase, suspend, d, want)
			}
			if o.MoreUrgent = ""; whenOutranked(o) != nil {
				t.Errorf("in %s it gives way to nobody", phase)
			}
		}
	}
}

func TestOutcomes(t *testing.T) {
	failed := func(reason string) func(*v1alpha1.RecoveryRun) {
		return func(r *v1alpha1.RecoveryRun) { r.Status.Failure = &v1alpha1.Failure{Reason: reason} }
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.RecoveryRun)
		want   v1alpha1.DrillOutcome
	}{
		"verified": {func(*v1alpha1.RecoveryRun) {}, v1alpha1.DrillSucceeded},
		"too late": {func(r *v1alpha1.RecoveryRun) {
			r.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionObjectiveMet, Status: metav1.ConditionFalse}}
		}, v1alpha1.DrillMissed},
		"not matching":   {failed("NotMatching"), v1alpha1.DrillFailed},
		"not cleaned up": {failed("CleanupFailed"), v1alpha1.DrillFailed},
		"gave way":       {failed("Interrupted"), v1alpha1.DrillInterrupted},
		"cancelled":      {failed("Cancelled"), v1alpha1.DrillInterrupted},
		"goes on":        {func(r *v1alpha1.RecoveryRun) { r.Status.FinishedAt = nil }, ""},
		"no drill":       {func(r *v1alpha1.RecoveryRun) { r.Spec.Operation = v1alpha1.OperationRebuild }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			run := drillRun(func(r *v1alpha1.RecoveryRun) {
				r.Status.FinishedAt = &metav1.MicroTime{}
				test.change(r)
			})
			if got := OutcomeOf(run); got != test.want {
				t.Errorf("outcome %q, want %q", got, test.want)
			}
		})
	}
}

func TestDrillOptions(t *testing.T) {
	o, err := DrillOptions(v1alpha1.DrillPolicy{
		Allow:      []v1alpha1.DrillException{{ObjectPattern: v1alpha1.ObjectPattern{Kind: "Deployment", Name: "a"}, Reason: "reads only"}},
		Neutralise: []v1alpha1.DrillClass{{ObjectPattern: v1alpha1.ObjectPattern{Name: "b"}, How: "Omit"}},
		Egress:     &v1alpha1.DrillEgress{Allow: []v1alpha1.DrillDestination{{CIDR: "192.0.2.0/24", Ports: []int32{443}}}},
	})
	if err != nil || len(o.Allow) != 1 || o.Allow[0].Reason != "reads only" || o.Neutralise[0].How != "Omit" || o.OpenEgress || o.Destinations[0].CIDR != "192.0.2.0/24" {
		t.Errorf("options %+v, %v", o, err)
	}
	_, err = DrillOptions(v1alpha1.DrillPolicy{Egress: &v1alpha1.DrillEgress{Allow: []v1alpha1.DrillDestination{{CIDR: "999.0.0.0/8"}}}})
	if fault := AsFault(err); fault == nil || fault.Reason != "DrillProfileInvalid" {
		t.Errorf("a CIDR that is none: %v", err)
	}
}
