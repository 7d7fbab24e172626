package recovery

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func TestMaker(t *testing.T) {
	at := func(minute int) *metav1.MicroTime {
		return &metav1.MicroTime{Time: time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)}
	}
	run := func(name string, operation v1alpha1.Operation, cluster types.UID, started, recovered int) v1alpha1.RecoveryRun {
		r := v1alpha1.RecoveryRun{Spec: v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: operation}}
		r.Name, r.Status.StartedAt = name, at(started)
		r.Status.Pinned, r.Status.Target = &v1alpha1.PinnedInputs{}, &v1alpha1.Incarnation{UID: cluster, KubeSystemUID: "inside"}
		if recovered > 0 {
			r.Status.RecoveredAt = at(recovered)
		}
		return r
	}
	over := run("over", v1alpha1.OperationFailover, "spare", 3, 4)
	over.Status.Failover = &v1alpha1.FailoverRecord{To: v1alpha1.FailoverSide{Plan: "other"}}
	back := run("back", v1alpha1.OperationFailback, "third", 5, 6)
	back.Status.Failover = &v1alpha1.FailoverRecord{To: v1alpha1.FailoverSide{Plan: "plan"}}
	early := run("early", v1alpha1.OperationRebuild, "fourth", 7, 0)
	early.Status.Target.KubeSystemUID = ""
	runs := []v1alpha1.RecoveryRun{
		run("first", v1alpha1.OperationRebuild, "one", 1, 2), over, back, early,
		run("failed", v1alpha1.OperationRebuild, "two", 8, 0), run("retry", v1alpha1.OperationRebuild, "two", 9, 0),
		run("good", v1alpha1.OperationRebuild, "five", 10, 11), run("bad", v1alpha1.OperationFailback, "five", 12, 0),
		run("drill", v1alpha1.OperationDrill, "six", 13, 14),
		{Spec: v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}}},
	}
	for name, test := range map[string]struct {
		plan    string
		cluster types.UID
		want    string
	}{
		"a rebuild":                             {"plan", "one", "first"},
		"a failover, of the plan it made":       {"other", "spare", "over"},
		"a failover is not of its primary plan": {"plan", "spare", ""},
		"a failback":                            {"plan", "third", "back"},
		"a run that never reached its cluster":  {"plan", "fourth", ""},
		"a retry that failed, too":              {"plan", "two", "retry"},
		"a later run that failed":               {"plan", "five", "good"},
		"a drill":                               {"plan", "six", ""},
		"a cluster that nobody knows":           {"plan", "seven", ""},
		"no cluster":                            {"plan", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if made := Maker(runs, test.plan, test.cluster); made != nil {
				got = made.Name
			}
			if got != test.want {
				t.Errorf("run %q, want %q", got, test.want)
			}
		})
	}
}

func TestNotRecovered(t *testing.T) {
	now := &metav1.MicroTime{Time: time.Now()}
	pinned := &v1alpha1.PinnedInputs{Commit: "0123456789abcdef"}
	for name, test := range map[string]struct {
		status     v1alpha1.RecoveryRunStatus
		note, says string
	}{
		"recovered": {status: v1alpha1.RecoveryRunStatus{RecoveredAt: now}},
		"under way": {status: v1alpha1.RecoveryRunStatus{Pinned: pinned}, says: "refloat watch run"},
		"failed": {status: v1alpha1.RecoveryRunStatus{Pinned: pinned, FinishedAt: now, Failure: &v1alpha1.Failure{Phase: v1alpha1.PhaseWaves}},
			note: "commit 0123456789ab of run run, which failed in Waves"},
	} {
		t.Run(name, func(t *testing.T) {
			run := &v1alpha1.RecoveryRun{Status: test.status}
			run.Name = "run"
			note, fault := NotRecovered(run)
			if !strings.Contains(note, test.note) || (note == "") != (test.note == "") {
				t.Errorf("note %q, want %q", note, test.note)
			}
			if (fault == nil) != (test.says == "") || fault != nil && !strings.Contains(fault.Message, test.says) {
				t.Errorf("fault %v, want %q", fault, test.says)
			}
		})
	}
}
