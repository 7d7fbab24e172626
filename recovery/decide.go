package recovery

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Action is the next thing to do. Each has one effect on the API.
type Action string

// The actions of a run.
const (
	// Wait changes nothing; Waiting says what for.
	Wait Action = "Wait"
	// Rest: there is nothing to do for this process any more.
	Rest Action = "Rest"

	AddFinalizer    Action = "AddFinalizer"
	RemoveFinalizer Action = "RemoveFinalizer"
	TakeLock        Action = "TakeLock"
	ReleaseLock     Action = "ReleaseLock"
	// Start copies the plan into the run and enters Preflight.
	Start Action = "Start"
	// Claim raises the epoch, so that an older process stops.
	Claim Action = "Claim"
	// Suspend and Resume say since when the run stands still, and that it goes on.
	Suspend Action = "Suspend"
	Resume  Action = "Resume"
	// TakeApproval records whose yes counts and enters the next phase.
	TakeApproval Action = "TakeApproval"
	// Preflight begins the checks that come before anything is destroyed.
	Preflight Action = "Preflight"
	// RecordPreflight pins what the preflight found and enters the next phase.
	RecordPreflight Action = "RecordPreflight"
	// Prepare begins to make the rendered inputs again after a restart.
	Prepare Action = "Prepare"
	// SurveyDrain and DrainCluster begin what comes before the deletion, RecordSurveyed and
	// RecordDrained keep what came of it.
	SurveyDrain    Action = "SurveyDrain"
	RecordSurveyed Action = "RecordSurveyed"
	DrainCluster   Action = "DrainCluster"
	RecordDrained  Action = "RecordDrained"
	// ResumeDrained starts what a drain stopped, of a cluster that is not deleted after all.
	ResumeDrained Action = "ResumeDrained"
	// AwaitSlot says since when the run waits for a slot of a budget, TakeSlot takes one, and
	// EndWait says that the run goes on.
	AwaitSlot Action = "AwaitSlot"
	TakeSlot  Action = "TakeSlot"
	EndWait   Action = "EndWait"
	// PreviewLoss begins to look once more at what would be lost, RecordPreview keeps what
	// came of it.
	PreviewLoss   Action = "PreviewLoss"
	RecordPreview Action = "RecordPreview"
	// KeepIdentity copies the keys of the cluster for the one that follows.
	KeepIdentity Action = "KeepIdentity"
	// RecordDelete writes down that the deletion is about to be sent.
	RecordDelete Action = "RecordDelete"
	// Delete sends the deletion of the Cluster.
	Delete Action = "Delete"
	// Discard deletes objects of a cluster that has no Cluster.
	Discard Action = "Discard"
	// Create makes the cluster's objects and pins the UID.
	Create Action = "Create"
	// PinTarget pins the UID of a Cluster that was made just before a crash.
	PinTarget Action = "PinTarget"
	// PinSystem pins the kube-system namespace of the new cluster.
	PinSystem Action = "PinSystem"
	// Seed writes the seeds and enters the next phase.
	Seed Action = "Seed"
	// Apply begins the waves, Verify the comparison.
	Apply  Action = "Apply"
	Verify Action = "Verify"
	// RecordWaves and RecordVerification store the outcome.
	RecordWaves        Action = "RecordWaves"
	RecordVerification Action = "RecordVerification"
	// RaiseEpoch gives the serving record its next epoch, before the side that serves is
	// touched.
	RaiseEpoch Action = "RaiseEpoch"
	// RecordCall writes down that a hook is about to be called, CallHook begins to call it,
	// RecordAnswer keeps its good answer.
	RecordCall   Action = "RecordCall"
	CallHook     Action = "CallHook"
	RecordAnswer Action = "RecordAnswer"
	// RecordFence ends the fence. AskUnfenced says that it could not be done, TakeUnfenced
	// goes on all the same, on a person's word.
	RecordFence  Action = "RecordFence"
	AskUnfenced  Action = "AskUnfenced"
	TakeUnfenced Action = "TakeUnfenced"
	// RecordDecided says that a commit or a rollback, that was waited for, begins.
	RecordDecided Action = "RecordDecided"
	// CommitServing makes the new side the one that serves, GiveBack the old one.
	CommitServing Action = "CommitServing"
	GiveBack      Action = "GiveBack"
	// MarkApplied sets the condition on the Cluster.
	MarkApplied Action = "MarkApplied"
	// Advance ends the phase and enters the next, if there is one.
	Advance Action = "Advance"
	// Fail records why the run cannot succeed.
	Fail Action = "Fail"
	// CleanUp enters the Cleanup phase of a failed drill.
	CleanUp Action = "CleanUp"
	// MarkLate says that the deletion of a drill's cluster takes too long, and goes on.
	MarkLate Action = "MarkLate"
	// StoreReport stores the final report.
	StoreReport Action = "StoreReport"
	// LinkReport makes the final report the head of its plan's chain.
	LinkReport Action = "LinkReport"
	// Finish records the result.
	Finish Action = "Finish"
	// InformPlan writes the result into the plan's status.
	InformPlan Action = "InformPlan"
)

// Decision is one action and what goes with it.
type Decision struct {
	Action Action
	// Message of the phase that an Advance ends, or of MarkLate, RecordFence, AskUnfenced.
	Message string
	// Waiting, with Wait: what for, in one sentence that continues "waiting for". Since
	// and Until are zero when the phase's own times hold. AwaitSlot has Until, too.
	Waiting      string
	Since, Until time.Time
	// Again, with Wait, is when to look again although nothing may be reported; 0 when
	// every change is reported or the deadline suffices.
	Again time.Duration
	// Approval, with TakeApproval and TakeUnfenced.
	Approval *v1alpha1.RunApproval
	// Budget, with TakeSlot, as it was counted.
	Budget *v1alpha1.TeardownBudget
	// Failure, with Fail.
	Failure *v1alpha1.Failure
}

// lookAgain is for what no watch reports: a workload cluster's answers, objects of
// kinds that only the plan knows.
const lookAgain = time.Second

// Decide what to do next. It is pure.
func Decide(o Observation) Decision {
	for _, rule := range []func(Observation) *Decision{
		whenFinished, whenQueued, whenDeposed, whenDeleted, whenCancelled, whenOutranked, whenSuspended, whenLockLost, whenFailed,
	} {
		if d := rule(o); d != nil {
			return *d
		}
	}
	d := inPhase(o)
	if late := WhenLate(o, d); late != nil {
		return *late
	}
	return d
}

// inPhase decides what the phase under way has to do.
func inPhase(o Observation) Decision {
	current := Current(o.Run)
	if current == nil {
		return finishing(o)
	}
	switch current.Name {
	case v1alpha1.PhasePreflight:
		return preflight(o)
	case v1alpha1.PhaseApproval:
		return approval(o)
	case v1alpha1.PhaseTeardown:
		return takeDown(o, o.Run.Status.Previous)
	case v1alpha1.PhaseProvision:
		return provision(o)
	case v1alpha1.PhaseBootstrap:
		return bootstrap(o)
	case v1alpha1.PhaseSeed:
		return onTarget(o, func() Decision { return Decision{Action: Seed} })
	case v1alpha1.PhaseWaves:
		return onTarget(o, func() Decision { return waves(o) })
	case v1alpha1.PhaseVerify:
		return onTarget(o, func() Decision { return verification(o) })
	case v1alpha1.PhaseCleanup:
		return takeDown(o, o.Run.Status.Target)
	}
	return inFailover(o, current.Name)
}

// inFailover decides in the phases that only a failover has.
func inFailover(o Observation, phase v1alpha1.Phase) Decision {
	if o.Run.Status.Failover == nil && (phase == v1alpha1.PhaseFence || phase == v1alpha1.PhaseSwitch || phase == v1alpha1.PhaseCommit) {
		return failed(o, Faultf("FailoverUnknown", "the run's status does not say what fails over; somebody edited it: start another run"))
	}
	switch phase {
	case v1alpha1.PhaseFence:
		return fence(o)
	case v1alpha1.PhaseSwitch:
		return onTarget(o, func() Decision { return switching(o) })
	case v1alpha1.PhaseCommit:
		return onTarget(o, func() Decision { return committing(o) })
	}
	return failed(o, Faultf("UnknownPhase", "the run's status names phase %q, which this version does not know", phase))
}

func finishing(o Observation) Decision {
	// The report goes with its run, and a namespace that is being deleted takes no new one.
	switch r := o.Report; {
	case o.Run.DeletionTimestamp != nil:
		return Decision{Action: Finish}
	case !r.Final || r.Link == LinkStale:
		return Decision{Action: StoreReport}
	case r.Link == LinkFits:
		return Decision{Action: LinkReport}
	}
	return Decision{Action: Finish}
}

// failed blames the phase under way.
func failed(o Observation, fault *Fault) Decision {
	phase := v1alpha1.PhasePreflight
	if current := Current(o.Run); current != nil {
		phase = current.Name
	}
	return Decision{Action: Fail, Failure: &v1alpha1.Failure{Phase: phase, Reason: fault.Reason, Message: fault.Message}}
}

// during decides by the state of long work; ready is what follows its good end.
func during(o Observation, work Work, begin, ready Action, what string) Decision {
	switch work.State {
	case WorkRunning:
		d := Decision{Action: Wait, Waiting: what, Since: work.Since, Until: work.Until}
		if work.Waiting != "" {
			d.Waiting = work.Waiting
		}
		return d
	case WorkBackoff:
		return Decision{Action: Wait, Waiting: fmt.Sprintf("%s, again after: %s", what, work.Waiting), Again: max(work.RetryAt.Sub(o.Now), time.Millisecond)}
	case WorkFailed:
		return failed(o, work.Fault)
	case WorkReady:
		return Decision{Action: ready}
	}
	return Decision{Action: begin}
}

func preflight(o Observation) Decision {
	return during(o, o.Work, Preflight, RecordPreflight, "the repository to be fetched, rendered and checked")
}

// withMaterials makes sure that the rendered inputs are in memory.
func withMaterials(o Observation, then func() Decision) Decision {
	if o.Materials.State == WorkReady {
		return then()
	}
	return during(o, o.Materials, Prepare, Prepare, "the pinned commit to be rendered again")
}

func provision(o Observation) Decision {
	if o.Run.Status.Target.UID == "" {
		return withMaterials(o, func() Decision { return Decision{Action: Create} })
	}
	return onTarget(o, func() Decision {
		if ok, why := o.Cluster.Serving(); !ok {
			return Decision{Action: Wait, Waiting: why, Again: forSecret(o)}
		}
		return Decision{Action: Advance, Message: fmt.Sprintf("Cluster %s has a control plane", o.Cluster.Name)}
	})
}

// forSecret is when to look again for the kubeconfig, whose Secret is not watched: every
// other change shows on the Cluster.
func forSecret(o Observation) time.Duration {
	if o.Cluster.Initialized && !o.Cluster.Kubeconfig {
		return lookAgain
	}
	return 0
}

// onTarget makes sure that the pinned Cluster is still there, and meant to be.
func onTarget(o Observation, then func() Decision) Decision {
	target := o.Run.Status.Target
	switch {
	case !o.Cluster.Exists:
		return failed(o, Faultf("ClusterVanished", "Cluster %s/%s, which the run made, is gone; somebody deleted it", o.Run.Namespace, target.Name))
	case o.Cluster.UID != target.UID:
		return failed(o, identityChanged(o, target))
	case !o.Cluster.DeletingSince.IsZero():
		return failed(o, Faultf("ClusterDeleted", "Cluster %s/%s, which the run made, is being deleted by somebody else", o.Run.Namespace, target.Name))
	}
	return then()
}

func identityChanged(o Observation, pinned *v1alpha1.Incarnation) *Fault {
	return Faultf("IdentityChanged", "Cluster %s/%s is another one than the run pinned (UID %s, not %s); it was left alone",
		o.Run.Namespace, pinned.Name, o.Cluster.UID, pinned.UID)
}

func bootstrap(o Observation) Decision {
	return onTarget(o, func() Decision {
		target, health := o.Run.Status.Target, o.Cluster.Health
		want := MinReadyNodes(o.Run.Status.Pinned.Plan)
		switch {
		case health == nil && o.Cluster.HealthErr != nil:
			return waitOrFail(o, o.Cluster.HealthErr)
		case health == nil:
			return Decision{Action: Wait, Waiting: fmt.Sprintf("the API server of %s", target.Name), Again: lookAgain}
		case target.KubeSystemUID == "":
			return Decision{Action: PinSystem}
		case health.KubeSystemUID != target.KubeSystemUID:
			return failed(o, Faultf("IdentityChanged", "the kubeconfig of Cluster %s/%s leads to another cluster than the run pinned (kube-system UID %s, not %s)",
				o.Run.Namespace, target.Name, health.KubeSystemUID, target.KubeSystemUID))
		case health.ReadyNodes < want:
			return Decision{Action: Wait, Waiting: nodesWanted(o, want), Again: lookAgain}
		}
		return Decision{Action: Advance, Message: fmt.Sprintf("the API server answers, %d nodes are Ready", health.ReadyNodes)}
	})
}

// nodesPatience is how long nodes may take before people are told of a common cause.
const nodesPatience = time.Minute

func nodesWanted(o Observation, want int) string {
	s := fmt.Sprintf("%d nodes of %s to be Ready, %d are", want, o.Run.Status.Target.Name, o.Cluster.Health.ReadyNodes)
	if o.Now.Sub(Current(o.Run).StartedAt.Time) > nodesPatience {
		s += "; if their pod network comes with the state, set cluster.ready.minReadyNodes of the plan to 0"
	}
	return s
}

func waitOrFail(o Observation, err error) Decision {
	if fault := AsFault(err); fault != nil {
		return failed(o, fault)
	}
	return Decision{Action: Wait, Waiting: err.Error(), Again: lookAgain}
}

func waves(o Observation) Decision {
	if o.Work.State == WorkNone {
		return withMaterials(o, func() Decision { return Decision{Action: Apply} })
	}
	return during(o, o.Work, Apply, RecordWaves, "the state to be applied")
}

// markPatience is how long a verified run tries to say so on the Cluster. The cluster is
// recovered either way.
const markPatience = time.Minute

func verification(o Observation) Decision {
	if o.Run.Status.RecoveredAt != nil {
		if meta.IsStatusConditionTrue(o.Cluster.Conditions, v1alpha1.ConditionGitStateApplied) {
			return Decision{Action: Advance, Message: verdict(o.Run.Status.Verification)}
		}
		if !o.Now.Before(o.Run.Status.RecoveredAt.Add(markPatience)) {
			return Decision{Action: Advance, Message: fmt.Sprintf("%s; the condition %s could not be set on Cluster %s",
				verdict(o.Run.Status.Verification), v1alpha1.ConditionGitStateApplied, o.Run.Status.Target.Name)}
		}
		return Decision{Action: MarkApplied}
	}
	if o.Work.State == WorkNone {
		// The state may be applied before all nodes are there, but a cluster that Cluster
		// API finds wanting is not recovered.
		if ok, why := o.Cluster.Available(); !ok {
			return Decision{Action: Wait, Waiting: why, Again: forSecret(o)}
		}
		return withMaterials(o, func() Decision { return Decision{Action: Verify} })
	}
	return during(o, o.Work, Verify, RecordVerification, "the live cluster to be compared with the render")
}

func verdict(v *v1alpha1.VerificationSummary) string {
	if v == nil {
		return ""
	}
	s := fmt.Sprintf("%d of %d objects match", v.Matched, v.Rendered)
	for _, part := range []struct {
		count int32
		what  string
	}{{v.Missing, "missing"}, {v.Changed, "changed"}, {v.Extra, "extra"}, {v.NotProvable, "not provable"}, {v.Skipped, "need not exist"}, {v.Weak, "compared weakly"}} {
		if part.count > 0 {
			s += fmt.Sprintf(", %d %s", part.count, part.what)
		}
	}
	if v.StableFor != nil {
		s += ", stable for " + v.StableFor.Duration.String()
	}
	return s
}

func hasFinalizer(run *v1alpha1.RecoveryRun) bool { return slices.Contains(run.Finalizers, Finalizer) }
