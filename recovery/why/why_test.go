package why_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/why"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func micro(t time.Time) *metav1.MicroTime { m := metav1.NewMicroTime(t); return &m }

// in is a run of plan dev in a phase, entered at t0.
func in(operation v1alpha1.Operation, phases ...v1alpha1.Phase) *v1alpha1.RecoveryRun {
	run := &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "dev-1", UID: "run", CreationTimestamp: metav1.NewTime(t0.Add(-time.Minute))},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "dev"}, Operation: operation, RequestedBy: "ada"},
	}
	if len(phases) == 0 {
		return run
	}
	run.Status = v1alpha1.RecoveryRunStatus{
		StartedAt: micro(t0.Add(-time.Minute)), Epoch: 1,
		Pinned:   &v1alpha1.PinnedInputs{Plan: v1alpha1.RecoveryPlanSpec{Cluster: v1alpha1.ClusterTemplate{Name: "dev"}}, Commit: strings.Repeat("a", 40), Waves: 2},
		Previous: &v1alpha1.Incarnation{Name: "dev", UID: "old"}, Target: &v1alpha1.Incarnation{Name: "dev", UID: "new"},
	}
	for i, p := range phases {
		record := v1alpha1.PhaseRecord{Name: p, StartedAt: *micro(t0)}
		if i < len(phases)-1 {
			record.FinishedAt = micro(t0)
		}
		run.Status.Phases = append(run.Status.Phases, record)
	}
	return run
}

// waits records what the run waits for, a minute in.
func waits(run *v1alpha1.RecoveryRun, what string) *v1alpha1.RecoveryRun {
	recovery.RecordWaiting(run, recovery.Decision{Waiting: what}, t0.Add(time.Minute))
	return run
}

func fails(run *v1alpha1.RecoveryRun, reason, message string) *v1alpha1.RecoveryRun {
	phase := v1alpha1.PhasePreflight
	if n := len(run.Status.Phases); n > 0 {
		phase = run.Status.Phases[n-1].Name
	}
	recovery.RecordFailure(run, v1alpha1.Failure{Phase: phase, Reason: reason, Message: message}, t0.Add(time.Minute))
	if run.Spec.Operation != v1alpha1.OperationDrill || phase == v1alpha1.PhaseCleanup {
		recovery.RecordFinish(run, t0.Add(2*time.Minute))
	}
	return run
}

// takesOver is a failover from plan dev to plan other, in a phase.
func takesOver(phase v1alpha1.Phase, change func(*v1alpha1.RecoveryRun)) *v1alpha1.RecoveryRun {
	run := in(v1alpha1.OperationFailover, phase)
	run.Spec.Failover = &v1alpha1.FailoverOrder{To: v1alpha1.PlanReference{Name: "other"}}
	run.Status.Failover = &v1alpha1.FailoverRecord{
		From: v1alpha1.FailoverSide{Plan: "dev", Cluster: "dev"}, To: v1alpha1.FailoverSide{Plan: "other", Cluster: "spare"}, Epoch: 1,
	}
	if change != nil {
		change(run)
	}
	return run
}

const (
	rebuild  = v1alpha1.OperationRebuild
	teardown = v1alpha1.OperationTeardown
	drill    = v1alpha1.OperationDrill
)

// TestExplain has the situations that people ask about.
func TestExplain(t *testing.T) {
	notDeleted := func(run *v1alpha1.RecoveryRun) *v1alpha1.RecoveryRun { run.Status.Target = nil; return run }
	sent := func(run *v1alpha1.RecoveryRun) *v1alpha1.RecoveryRun {
		run.Status.Previous.DeleteRequestedAt = micro(t0)
		run.Status.Target = nil
		return run
	}
	for name, test := range map[string]struct {
		run   *v1alpha1.RecoveryRun
		state why.State
		cause string
		next  string
		do    string
	}{
		"nobody took it up": {in(rebuild), why.Queued, "no controller has taken it up", "within seconds", "whether a controller runs"},
		"behind another run": {waits(in(rebuild), "run dev-0 to finish with cluster dev"), why.Queued,
			"it waits for run dev-0 to finish", "as soon as that is so", "refloat why dev-0"},
		"suspended": {func() *v1alpha1.RecoveryRun {
			run := in(rebuild, v1alpha1.PhaseWaves)
			run.Spec.Suspend = true
			recovery.RecordSuspend(run, t0)
			return run
		}(), why.Suspended, "spec.suspend", "until it is resumed", "refloat resume dev-1"},
		"no Git server": {waits(in(rebuild, v1alpha1.PhasePreflight), "the repository to be fetched, rendered and checked, again after: connection refused"), why.Waiting,
			"connection refused", "fails in 4m0s", "repair what the message says"},
		"nobody approved": {waits(in(teardown, v1alpha1.PhaseApproval), "somebody other than ada to approve the deletion of Cluster dev"), why.Waiting,
			"somebody other than ada", "fails in 23h59m0s", "refloat approve dev-1"},
		"no slot": {waits(in(teardown, v1alpha1.PhaseTeardown), "a slot of TeardownBudget nightly: 2 clusters were deleted within an hour or are about to be, and at most 2 may"), why.Waiting,
			"at most 2 may", "fails in", "refloat get budgets"},
		"no slot in time": {fails(notDeleted(in(teardown, v1alpha1.PhaseTeardown)), "BudgetExceeded", "there was no slot of TeardownBudget nightly"), why.Refused,
			"no slot", "was not touched", "maxPerHour"},
		"a broken budget": {fails(notDeleted(in(teardown, v1alpha1.PhaseTeardown)), "BudgetInvalid", "TeardownBudget fleet/nightly bounds nothing"), why.Refused,
			"nightly", "was not touched", "correct or delete the budget"},
		"an address is left": {fails(notDeleted(in(rebuild, v1alpha1.PhasePreflight)), "LeftoverCollides", "LoadBalancer 192.0.2.1"), why.Refused,
			"192.0.2.1", "was not touched", "spec.teardown.drain.settled of plan dev"},
		"a finalizer": {waits(sent(in(teardown, v1alpha1.PhaseTeardown)), "Cluster API to delete Cluster dev; held by Machine m-1 (finalizer machine.example.com): the cloud does not answer"), why.Waiting,
			"finalizer machine.example.com", "fails in", "make its controller finish"},
		"a volume": {waits(in(teardown, v1alpha1.PhaseTeardown), "PersistentVolumeClaim shop/db to be released"), why.Waiting,
			"PersistentVolumeClaim shop/db", "fails in", "spec.teardown.drain.timeout"},
		"a paused Cluster": {waits(sent(in(teardown, v1alpha1.PhaseTeardown)), "Cluster dev to be unpaused: it is paused, so its deletion does not go on"), why.Waiting,
			"paused", "fails in", "unpause the Cluster"},
		"no quota": {waits(in(rebuild, v1alpha1.PhaseProvision), "the control plane of Cluster fleet/dev (InfrastructureReady is False: NotReady: no quota)"), why.Waiting,
			"no quota", "fails in 19m0s", "clusterctl describe cluster dev"},
		"no pod network": {waits(in(rebuild, v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap), "1 nodes of dev to be Ready, 0 are; if their pod network comes with the state, set cluster.ready.minReadyNodes of the plan to 0"), why.Waiting,
			"0 are", "fails in", "minReadyNodes of the plan to 0"},
		"an image": {waits(in(rebuild, v1alpha1.PhaseWaves), "Deployment.apps shop/web: pod web-1: ImagePullBackOff"), why.Waiting,
			"ImagePullBackOff", "goes on as soon as", "look at the object"},
		"workers missing": {waits(in(rebuild, v1alpha1.PhaseProvision, v1alpha1.PhaseVerify), "Cluster fleet/dev to be Available (WorkersNotAvailable: 1 of 3)"), why.Waiting,
			"WorkersNotAvailable", "fails in", ""},
		"a write that fails": {waits(in(rebuild, v1alpha1.PhaseWaves), "RecordWaves to succeed, tried again after: disk full"), why.Waiting,
			"disk full", "goes on", "tried again by itself"},
		"nothing to wait for": {in(rebuild, v1alpha1.PhaseWaves), why.Running, "Waves is under way", "the phase goes on", ""},
		"no plan":             {fails(in(rebuild), "PlanNotFound", "RecoveryPlan fleet/dev does not exist"), why.Failed, "does not exist", "has finished", "create the plan"},
		"broken YAML": {fails(notDeleted(in(rebuild, v1alpha1.PhasePreflight)), "StateInvalid", "state/web.yaml:3: bad indentation"), why.Failed,
			"state/web.yaml:3", "Cluster dev was not touched", "refloat lint"},
		"a seed is missing": {fails(notDeleted(in(rebuild, v1alpha1.PhasePreflight)), "SecretNotFound", "Secret fleet/sops-age does not exist"), why.Failed,
			"sops-age", "was not touched", "correct the Secret in namespace fleet"},
		"forbidden": {fails(notDeleted(in(teardown, v1alpha1.PhasePreflight)), "TeardownForbidden", "the plan forbids its teardown"), why.Refused,
			"forbids", "was not touched", "spec.teardown.policy"},
		"something is lost": {fails(notDeleted(in(teardown, v1alpha1.PhasePreflight)), "WouldLose", "1 object would be lost with Cluster dev: ConfigMap shop/mine"), why.Refused,
			"ConfigMap shop/mine", "was not touched", "refloat adopt dev"},
		"nobody knows what is lost": {fails(notDeleted(in(rebuild, v1alpha1.PhasePreflight)), "LossUnknown", "what would be lost with Cluster dev cannot be told"), why.Refused,
			"cannot be told", "was not touched", "AllowRebuild"},
		"held": {fails(notDeleted(in(teardown, v1alpha1.PhaseTeardown)), "Held", "Hold fleet/load-test keeps cluster dev"), why.Refused,
			"load-test", "was not touched", "--override-holds"},
		"cancelled":        {fails(sent(in(teardown, v1alpha1.PhaseTeardown)), "Cancelled", "the run was cancelled: wrong cluster"), why.Interrupted, "wrong cluster", "deletion of Cluster dev had been sent", "refloat teardown dev"},
		"not approved":     {fails(notDeleted(in(teardown, v1alpha1.PhaseApproval)), "TimedOut", "Approval did not end within 24h0m0s"), why.Refused, "24h", "was not touched", "approved in time"},
		"replaced":         {fails(notDeleted(in(rebuild, v1alpha1.PhaseTeardown)), "IdentityChanged", "Cluster fleet/dev is another one than the run pinned"), why.Failed, "another one", "was not touched", "who else changes"},
		"somebody deleted": {fails(in(rebuild, v1alpha1.PhaseWaves), "ClusterVanished", "Cluster fleet/dev, which the run made, is gone"), why.Failed, "is gone", "stays as it is", "who else"},
		"provision late":   {fails(in(rebuild, v1alpha1.PhaseProvision), "TimedOut", "Provision did not end within 20m0s"), why.Failed, "20m", "not verified", "clusterctl describe"},
		"not applied":      {fails(in(rebuild, v1alpha1.PhaseWaves), "NotApplied", "Deployment shop/web failed"), why.Failed, "shop/web", "stays as it is, not verified", "every object and its message"},
		"differs":          {fails(in(rebuild, v1alpha1.PhaseVerify), "NotMatching", "1 of 9 objects differs"), why.Failed, "1 of 9", "not verified", "what differs"},
		"a drill cleans up": {waits(func() *v1alpha1.RecoveryRun {
			run := fails(in(drill, v1alpha1.PhaseWaves), "NotApplied", "Deployment shop/web failed")
			recovery.RecordCleanup(run, t0.Add(time.Minute))
			return run
		}(), "Cluster API to delete Cluster dev"), why.Cleaning, "the drill failed in Waves: Deployment shop/web failed", "Cluster dev of the drill is deleted", "every object"},
		"a drill stays": {fails(in(drill, v1alpha1.PhaseCleanup), "TimedOut", "Cleanup did not end within 30m0s"), why.Failed, "30m", "Cluster dev of the drill may still be there", "holds the deletion up"},
		"a defect":      {fails(notDeleted(in(rebuild, v1alpha1.PhasePreflight)), "InternalError", "a defect of Refloat: index out of range"), why.Failed, "defect", "", "report the defect"},
		"no fence": {waits(takesOver(v1alpha1.PhaseFence, func(run *v1alpha1.RecoveryRun) {
			run.Status.Failover.Fence = &v1alpha1.FenceRecord{Asked: &v1alpha1.ApprovalRecord{}}
		}), "a person, since Cluster dev could not be fenced"), why.Waiting, "could not be fenced", "goes on as soon as", "refloat approve dev-1 --unfenced"},
		"nobody commits": {waits(takesOver(v1alpha1.PhaseCommit, nil), "somebody to decide"), why.Waiting, "somebody to decide", "fails in", "refloat commit dev-1"},
		"a switch hook":  {fails(takesOver(v1alpha1.PhaseSwitch, nil), "SwitchFailed", "hook switch-dns answers 500"), why.Failed, "500", "Cluster spare of plan other is there and does not serve", "refloat failover dev --to other"},
		"a standby":      {fails(takesOver(v1alpha1.PhasePreflight, func(run *v1alpha1.RecoveryRun) { run.Status.Failover.Epoch = 0 }), "StandbyDiffers", "1 of 9"), why.Failed, "1 of 9", "nothing was fenced", "refloat teardown PLAN"},
		"the back door":  {fails(in(rebuild), "NotServing", "plan other serves"), why.Refused, "plan other serves", "has finished", "refloat failback dev"},
		"done": {func() *v1alpha1.RecoveryRun {
			run := in(teardown, v1alpha1.PhaseTeardown)
			recovery.RecordFinish(run, t0)
			return run
		}(), why.Succeeded, "the run succeeded: the cluster is deleted", "nothing", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := why.Explain(test.run, t0.Add(time.Minute), "fleet")
			if a.State != test.state || !strings.Contains(a.Cause, test.cause) || !strings.Contains(a.Next, test.next) {
				t.Errorf("answer %+v", a)
			}
			if test.do != "" && !slices.ContainsFunc(a.Do, func(s string) bool { return strings.Contains(s, test.do) }) {
				t.Errorf("to do: %q, want %q", a.Do, test.do)
			}
			if a.Since == nil && a.State != why.Queued {
				t.Error("it does not say since when")
			}
		})
	}
}

// withdrawnProposal is a run that a failover policy ordered and that ended as nothing was wrong.
func withdrawnProposal(reason string) *v1alpha1.RecoveryRun {
	run := in(rebuild, v1alpha1.PhaseApproval)
	run.Status.Target = nil
	run.Spec.Proposal = &v1alpha1.Proposal{PolicyRef: v1alpha1.PolicyReference{Name: "keep-up"}}
	return fails(run, reason, "the cluster answers")
}

// TestNobodyIsToldToRebuildWhatLives: a proposal that was withdrawn is no reason to delete the
// healthy cluster that it was about.
func TestNobodyIsToldToRebuildWhatLives(t *testing.T) {
	for _, reason := range []string{"Cancelled", "OutageOver", "RunDeleted", "AutomationStopped"} {
		a := why.Explain(withdrawnProposal(reason), t0, "fleet")
		if a.State != why.Interrupted {
			t.Errorf("%s: %s", reason, a.State)
		}
		do := strings.Join(a.Do, "\n")
		if strings.Contains(do, "refloat rebuild") || !strings.Contains(do, "refloat get policies keep-up") {
			t.Errorf("%s: to do: %q", reason, do)
		}
	}
	run := in(rebuild, v1alpha1.PhaseApproval)
	run.Status.Target = nil
	if do := why.Explain(fails(run, "Cancelled", "not today"), t0, "fleet").Do; len(do) != 1 || !strings.HasPrefix(do[0], "if it is still wanted, order another run: refloat rebuild dev") {
		t.Errorf("cancelled by a person: %q", do)
	}
}

// TestCommandsNameTheNamespace wherever a command would look in another one without it.
func TestCommandsNameTheNamespace(t *testing.T) {
	untouched := in(rebuild, v1alpha1.PhasePreflight)
	untouched.Status.Target = nil
	for name, run := range map[string]*v1alpha1.RecoveryRun{
		"approval":   waits(in(teardown, v1alpha1.PhaseApproval), "somebody other than ada to approve"),
		"budget":     waits(in(teardown, v1alpha1.PhaseTeardown), "a slot of TeardownBudget nightly"),
		"other run":  waits(in(rebuild), "run dev-0 to finish"),
		"waves":      fails(in(rebuild, v1alpha1.PhaseWaves), "NotApplied", "Deployment shop/web failed"),
		"loss":       fails(untouched, "WouldLose", "1 object"),
		"failover":   fails(takesOver(v1alpha1.PhaseSwitch, nil), "SwitchFailed", "500"),
		"commit":     waits(takesOver(v1alpha1.PhaseCommit, nil), "somebody to decide"),
		"serving":    fails(in(rebuild), "NotServing", "plan other serves"),
		"withdrawn":  withdrawnProposal("Cancelled"),
		"drill":      fails(in(drill, v1alpha1.PhasePreflight), "DrillRefused", "a Secret"),
		"no defects": fails(in(rebuild, v1alpha1.PhasePreflight), "InternalError", "a defect"),
	} {
		named := 0
		for _, do := range why.Explain(run, t0, "default").Do {
			named += strings.Count(do, " -n fleet")
			if strings.Count(do, "refloat ") > strings.Count(do, " -n fleet") {
				t.Errorf("%s: %q does not say where", name, do)
			}
		}
		if named == 0 {
			t.Errorf("%s: no command says where", name)
		}
		for _, do := range why.Explain(run, t0, "fleet").Do {
			if strings.Contains(do, "refloat ") && strings.Contains(strings.SplitN(do, "refloat ", 2)[1], " -n fleet") {
				t.Errorf("%s: %q says what goes without saying", name, do)
			}
		}
	}
}

// TestRollbackIsOfferedWhereItCanBe: what the fence deletes cannot be given back.
func TestRollbackIsOfferedWhereItCanBe(t *testing.T) {
	for method, offered := range map[v1alpha1.FenceMethod]bool{
		"": false, v1alpha1.FenceDelete: false, v1alpha1.FenceDeleteAfterHook: false, v1alpha1.FenceHook: true,
	} {
		run := waits(takesOver(v1alpha1.PhaseCommit, func(run *v1alpha1.RecoveryRun) { run.Status.Failover.Policy.Fence.Method = method }), "somebody to decide")
		do := strings.Join(why.Explain(run, t0, "fleet").Do, "\n")
		if strings.Contains(do, "refloat rollback dev-1") != offered {
			t.Errorf("fence %q: to do: %q", method, do)
		}
	}
}
