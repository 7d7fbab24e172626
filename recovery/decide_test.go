package recovery

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

var t0 = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// in returns an observation of a run that is in a phase, with everything before it
// done, one minute later. The zero phase means between the last phase and the end.
func in(operation v1alpha1.Operation, phase v1alpha1.Phase, changes ...func(*Observation)) Observation {
	run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "run", UID: "run-uid", Generation: 1, Finalizers: []string{Finalizer}}}
	run.Spec = v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: operation}
	plan := &v1alpha1.RecoveryPlan{Spec: v1alpha1.RecoveryPlanSpec{Cluster: v1alpha1.ClusterTemplate{Name: "dev"}, Seeds: []v1alpha1.Seed{{}}}}
	RecordStart(run, plan, t0)
	if operation != v1alpha1.OperationDrill {
		run.Status.Previous = &v1alpha1.Incarnation{Name: "dev", UID: "old"}
	}
	if operation != v1alpha1.OperationTeardown {
		run.Status.Target = &v1alpha1.Incarnation{Name: "dev", UID: "new", KubeSystemUID: "system"}
	}
	run.Status.Pinned.Waves = 2
	if operation == drill { // what comes before its deletion is TestDrainFirst's
		run.Status.Target.Drain = &v1alpha1.DrainRecord{FinishedAt: micro(t0), Outcome: v1alpha1.DrainNothing}
	}
	for Current(run) != nil && Current(run).Name != phase {
		RecordAdvance(run, "", t0)
	}
	o := Observation{Now: t0.Add(time.Minute), Run: run, Claimed: 1, Lock: Lock{State: LockMine}, Materials: Work{State: WorkReady}}
	if phase == v1alpha1.PhaseTeardown {
		o.Cluster = alive("old")
	} else {
		o.Cluster = alive("new")
	}
	for _, change := range changes {
		change(&o)
	}
	return o
}

func alive(uid string) Cluster {
	return Cluster{Observation: capi.Observation{
		Exists: true, Incarnation: capi.Incarnation{Namespace: "fleet", Name: "dev", UID: types.UID(uid)}, Kubeconfig: true, Initialized: true,
		Conditions: []metav1.Condition{{Type: clusterv1.ClusterAvailableCondition, Status: metav1.ConditionTrue}},
	}}
}

const (
	rebuild  = v1alpha1.OperationRebuild
	teardown = v1alpha1.OperationTeardown
	drill    = v1alpha1.OperationDrill
)

type change = func(*Observation)

func unstarted(o *Observation) {
	o.Run.Status = v1alpha1.RecoveryRunStatus{}
	o.Plan = &v1alpha1.RecoveryPlan{Spec: v1alpha1.RecoveryPlanSpec{Cluster: v1alpha1.ClusterTemplate{Name: "dev"}}}
}
func deleted(o *Observation) { at := metav1.NewTime(t0); o.Run.DeletionTimestamp = &at }
func lock(s LockState) change {
	return func(o *Observation) { o.Lock = Lock{State: s, Holder: "other"} }
}
func work(w Work) change      { return func(o *Observation) { o.Work = w } }
func materials(w Work) change { return func(o *Observation) { o.Materials = w } }
func cluster(f func(*Cluster)) change {
	return func(o *Observation) { f(&o.Cluster) }
}
func gone(items ...capi.Item) change {
	return cluster(func(c *Cluster) { *c = Cluster{Leftovers: items} })
}
func health(nodes int, system string) change {
	return cluster(func(c *Cluster) { c.Health = &capi.Health{KubeSystemUID: types.UID(system), ReadyNodes: nodes} })
}
func wanting(o *Observation) {
	o.Cluster.Conditions = []metav1.Condition{{Type: clusterv1.ClusterAvailableCondition, Status: metav1.ConditionFalse, Reason: "WorkersNotAvailable"}}
}
func unmade(o *Observation) { o.Run.Status.Target.UID, o.Cluster = "", Cluster{} }
func requested(o *Observation) {
	at := metav1.NewMicroTime(t0)
	for _, inc := range []*v1alpha1.Incarnation{o.Run.Status.Previous, o.Run.Status.Target} {
		if inc != nil {
			inc.DeleteRequestedAt = &at
		}
	}
}
func recovered(o *Observation) { RecordVerified(o.Run, t0) }
func failedIn(phase v1alpha1.Phase) change {
	return func(o *Observation) {
		RecordFailure(o.Run, v1alpha1.Failure{Phase: phase, Reason: "Test", Message: "test"}, t0)
	}
}
func finished(o *Observation) {
	failedIn(v1alpha1.PhaseWaves)(o)
	RecordFinish(o.Run, t0)
}
func finalReport(o *Observation) { o.Report = StoredReport{Final: true, FinishedAt: t0} }

func TestDecide(t *testing.T) {
	for name, test := range map[string]struct {
		o    Observation
		want Action
		says string // in the waiting text or the failure
	}{
		"queued: plan missing":           {in(rebuild, "", unstarted, func(o *Observation) { o.Plan = nil }), Fail, "RecoveryPlan fleet/plan does not exist"},
		"queued: no finalizer":           {in(rebuild, "", unstarted, func(o *Observation) { o.Run.Finalizers = nil }), AddFinalizer, ""},
		"queued: lock free":              {in(rebuild, "", unstarted, lock(LockFree)), TakeLock, ""},
		"queued: lock taken":             {in(rebuild, "", unstarted, lock(LockTaken)), Wait, "run other to finish with cluster dev"},
		"queued: lock unreadable":        {in(rebuild, "", unstarted, lock(LockUnreadable)), Fail, "Lease other"},
		"lock unreadable":                {in(rebuild, v1alpha1.PhaseWaves, lock(LockUnreadable)), Fail, "Lease other"},
		"queued: lock mine":              {in(rebuild, "", unstarted), Start, ""},
		"queued: deleted with lock":      {in(rebuild, "", unstarted, deleted), ReleaseLock, ""},
		"queued: deleted":                {in(rebuild, "", unstarted, deleted, lock(LockTaken)), RemoveFinalizer, ""},
		"queued: deleted and tidied":     {in(rebuild, "", unstarted, deleted, lock(LockTaken), func(o *Observation) { o.Run.Finalizers = nil }), Rest, ""},
		"queued: failed":                 {in(rebuild, "", unstarted, failedIn(v1alpha1.PhasePreflight)), StoreReport, ""},
		"new process":                    {in(rebuild, v1alpha1.PhaseWaves, func(o *Observation) { o.Claimed = 0 }), Claim, ""},
		"deposed process":                {in(rebuild, v1alpha1.PhaseWaves, func(o *Observation) { o.Run.Status.Epoch = 2 }), Rest, ""},
		"lock removed by somebody":       {in(rebuild, v1alpha1.PhaseWaves, lock(LockFree)), TakeLock, ""},
		"lock taken by another":          {in(rebuild, v1alpha1.PhaseWaves, lock(LockTaken)), Fail, "run other took the lock"},
		"lock lost while cleaning up":    {in(drill, v1alpha1.PhaseCleanup, lock(LockTaken)), RecordDelete, ""},
		"deleted, its lock too":          {in(rebuild, v1alpha1.PhaseWaves, deleted, lock(LockFree)), Fail, "the run was deleted"},
		"deleted, its lock taken":        {in(rebuild, v1alpha1.PhaseWaves, deleted, lock(LockTaken)), Fail, "the run was deleted"},
		"deleted drill, its lock too":    {in(drill, v1alpha1.PhaseWaves, deleted, lock(LockFree), failedIn(v1alpha1.PhaseWaves)), CleanUp, ""},
		"deleted in the middle":          {in(rebuild, v1alpha1.PhaseWaves, deleted), Fail, "deleted"},
		"deleted while cleaning up":      {in(drill, v1alpha1.PhaseCleanup, deleted), RecordDelete, ""},
		"deleted and failed":             {in(rebuild, v1alpha1.PhaseWaves, deleted, failedIn(v1alpha1.PhaseWaves)), Finish, ""},
		"late":                           {in(rebuild, v1alpha1.PhaseProvision, unmade, func(o *Observation) { o.Now = t0.Add(time.Hour) }), Fail, "did not end within 20m0s"},
		"late but verified":              {in(rebuild, v1alpha1.PhaseVerify, recovered, func(o *Observation) { o.Now = t0.Add(time.Hour) }), Advance, ""},
		"failed rebuild":                 {in(rebuild, v1alpha1.PhaseWaves, failedIn(v1alpha1.PhaseWaves)), StoreReport, ""},
		"failed rebuild, reported":       {in(rebuild, v1alpha1.PhaseWaves, failedIn(v1alpha1.PhaseWaves), finalReport), Finish, ""},
		"failed drill":                   {in(drill, v1alpha1.PhaseWaves, failedIn(v1alpha1.PhaseWaves)), CleanUp, ""},
		"failed drill that made nothing": {in(drill, v1alpha1.PhasePreflight, failedIn(v1alpha1.PhasePreflight), func(o *Observation) { o.Run.Status.Target = nil }), StoreReport, ""},
		"failed drill, cleaning up": {in(drill, v1alpha1.PhaseWaves, failedIn(v1alpha1.PhaseWaves), func(o *Observation) { RecordCleanup(o.Run, t0) }),
			RecordDelete, ""},
		"failed cleanup": {in(drill, v1alpha1.PhaseCleanup, failedIn(v1alpha1.PhaseCleanup)), StoreReport, ""},
		"finished":       {in(rebuild, v1alpha1.PhaseWaves, finished), InformPlan, ""},
		"finished, plan informed": {in(rebuild, v1alpha1.PhaseWaves, finished, func(o *Observation) { o.PlanInformed = true }),
			ReleaseLock, ""},
		"finished, released": {in(rebuild, v1alpha1.PhaseWaves, finished, lock(LockFree), func(o *Observation) { o.PlanInformed = true }),
			RemoveFinalizer, ""},
		"finished, tidied": {in(rebuild, v1alpha1.PhaseWaves, finished, lock(LockTaken), func(o *Observation) { o.PlanInformed = true; o.Run.Finalizers = nil }),
			Rest, ""},
		"unknown phase":   {in(rebuild, v1alpha1.PhaseWaves, func(o *Observation) { Current(o.Run).Name = "Dance" }), Fail, `phase "Dance"`},
		"all phases done": {in(rebuild, "", func(*Observation) {}), StoreReport, ""},

		"preflight: not begun": {in(rebuild, v1alpha1.PhasePreflight), Preflight, ""},
		"preflight: running":   {in(rebuild, v1alpha1.PhasePreflight, work(Work{State: WorkRunning})), Wait, "the repository"},
		"preflight: done":      {in(rebuild, v1alpha1.PhasePreflight, work(Work{State: WorkReady})), RecordPreflight, ""},
		"preflight: fault":     {in(rebuild, v1alpha1.PhasePreflight, work(Work{State: WorkFailed, Fault: Faultf("X", "a.yaml:3")})), Fail, "a.yaml:3"},
		"preflight: hiccup": {in(rebuild, v1alpha1.PhasePreflight, work(Work{State: WorkBackoff, Waiting: "no route", RetryAt: t0.Add(2 * time.Minute)})),
			Wait, "again after: no route"},

		"teardown: alive":                  {in(teardown, v1alpha1.PhaseTeardown), RecordDelete, ""},
		"teardown: inputs lost":            {in(teardown, v1alpha1.PhaseTeardown, materials(Work{})), Prepare, ""},
		"teardown: recorded, inputs lost":  {in(rebuild, v1alpha1.PhaseTeardown, requested, materials(Work{})), Prepare, ""},
		"teardown: inputs changed":         {in(teardown, v1alpha1.PhaseTeardown, materials(Work{State: WorkFailed, Fault: Faultf("X", "digest")})), Fail, "digest"},
		"teardown: remains, inputs lost":   {in(rebuild, v1alpha1.PhaseTeardown, materials(Work{}), gone(capi.Item{Kind: "Secret", Name: "s", Made: true})), Prepare, ""},
		"teardown: leftovers, inputs lost": {in(rebuild, v1alpha1.PhaseTeardown, requested, materials(Work{}), gone(capi.Item{Kind: "Secret", Name: "s", Made: true})), Discard, ""},
		"cleanup: inputs lost":             {in(drill, v1alpha1.PhaseCleanup, materials(Work{})), RecordDelete, ""},
		"teardown: recorded":               {in(teardown, v1alpha1.PhaseTeardown, requested), Delete, ""},
		"teardown: deletion sent":          {in(teardown, v1alpha1.PhaseTeardown, requested, cluster(func(c *Cluster) { c.DeletingSince = t0; c.Blocker = "Machine m" })), Wait, "held by Machine m"},
		"teardown: paused":                 {in(teardown, v1alpha1.PhaseTeardown, requested, cluster(func(c *Cluster) { c.DeletingSince = t0; c.Paused = true })), Wait, "unpaused"},
		"teardown: replaced":               {in(teardown, v1alpha1.PhaseTeardown, cluster(func(c *Cluster) { c.UID = "third" })), Fail, "another one than the run pinned"},
		"teardown: gone":                   {in(teardown, v1alpha1.PhaseTeardown, requested, gone()), Advance, ""},
		"teardown: gone by itself":         {in(teardown, v1alpha1.PhaseTeardown, gone()), Advance, ""},
		"teardown: leftovers going":        {in(teardown, v1alpha1.PhaseTeardown, requested, gone(capi.Item{Kind: "Machine", Name: "m", Deleting: true})), Wait, "Machine m"},
		"teardown: leftovers ours":         {in(teardown, v1alpha1.PhaseTeardown, requested, gone(capi.Item{Kind: "Secret", Name: "s", Made: true})), Discard, ""},
		"teardown: leftovers foreign":      {in(teardown, v1alpha1.PhaseTeardown, requested, gone(capi.Item{Kind: "Secret", Name: "s"})), Advance, ""},
		"cleanup: made before a crash": {in(drill, v1alpha1.PhaseCleanup, func(o *Observation) {
			o.Run.Status.Target.UID = ""
			o.Cluster.Stamp.Run = "run-uid"
		}), PinTarget, ""},
		"cleanup: of another": {in(drill, v1alpha1.PhaseCleanup, func(o *Observation) { o.Run.Status.Target.UID = "" }), Fail, "left alone"},

		"provision: nothing made":     {in(rebuild, v1alpha1.PhaseProvision, unmade), Create, ""},
		"provision: inputs lost":      {in(rebuild, v1alpha1.PhaseProvision, unmade, materials(Work{})), Prepare, ""},
		"provision: inputs on way":    {in(rebuild, v1alpha1.PhaseProvision, unmade, materials(Work{State: WorkRunning})), Wait, "rendered again"},
		"provision: inputs changed":   {in(rebuild, v1alpha1.PhaseProvision, unmade, materials(Work{State: WorkFailed, Fault: Faultf("X", "digest")})), Fail, "digest"},
		"provision: not serving":      {in(rebuild, v1alpha1.PhaseProvision, cluster(func(c *Cluster) { c.Initialized = false })), Wait, "the control plane of Cluster fleet/dev"},
		"provision: no kubeconfig":    {in(rebuild, v1alpha1.PhaseProvision, cluster(func(c *Cluster) { c.Kubeconfig = false })), Wait, "Secret fleet/dev-kubeconfig"},
		"provision: serving":          {in(rebuild, v1alpha1.PhaseProvision), Advance, ""},
		"provision: no workers yet":   {in(rebuild, v1alpha1.PhaseProvision, wanting), Advance, ""},
		"provision: vanished":         {in(rebuild, v1alpha1.PhaseProvision, gone()), Fail, "is gone"},
		"provision: replaced":         {in(rebuild, v1alpha1.PhaseProvision, cluster(func(c *Cluster) { c.UID = "third" })), Fail, "another one"},
		"provision: being deleted":    {in(rebuild, v1alpha1.PhaseProvision, cluster(func(c *Cluster) { c.DeletingSince = t0 })), Fail, "being deleted"},
		"bootstrap: not asked":        {in(rebuild, v1alpha1.PhaseBootstrap), Wait, "API server of dev"},
		"bootstrap: no answer":        {in(rebuild, v1alpha1.PhaseBootstrap, cluster(func(c *Cluster) { c.HealthErr = errors.New("connection refused") })), Wait, "connection refused"},
		"bootstrap: unsafe":           {in(rebuild, v1alpha1.PhaseBootstrap, cluster(func(c *Cluster) { c.HealthErr = &capi.RefusedError{Reason: "UnsafeKubeconfig", Message: "exec"} })), Fail, "exec"},
		"bootstrap: identity unknown": {in(rebuild, v1alpha1.PhaseBootstrap, health(1, "system"), func(o *Observation) { o.Run.Status.Target.KubeSystemUID = "" }), PinSystem, ""},
		"bootstrap: another identity": {in(rebuild, v1alpha1.PhaseBootstrap, health(1, "imposter")), Fail, "leads to another cluster"},
		"bootstrap: no nodes":         {in(rebuild, v1alpha1.PhaseBootstrap, health(0, "system")), Wait, "1 nodes of dev"},
		"bootstrap: usable":           {in(rebuild, v1alpha1.PhaseBootstrap, health(1, "system")), Advance, ""},
		"seed":                        {in(rebuild, v1alpha1.PhaseSeed), Seed, ""},
		"seed: vanished":              {in(rebuild, v1alpha1.PhaseSeed, gone()), Fail, "is gone"},
		"waves: not begun":            {in(rebuild, v1alpha1.PhaseWaves), Apply, ""},
		"waves: inputs lost":          {in(rebuild, v1alpha1.PhaseWaves, materials(Work{})), Prepare, ""},
		"waves: running":              {in(rebuild, v1alpha1.PhaseWaves, work(Work{State: WorkRunning, Waiting: "Deployment x"})), Wait, "Deployment x"},
		"waves: done":                 {in(rebuild, v1alpha1.PhaseWaves, work(Work{State: WorkReady})), RecordWaves, ""},
		"waves: failed":               {in(rebuild, v1alpha1.PhaseWaves, work(Work{State: WorkFailed, Fault: Faultf("X", "Deployment x")})), Fail, "Deployment x"},
		"waves: vanished":             {in(rebuild, v1alpha1.PhaseWaves, gone(), work(Work{State: WorkReady})), Fail, "is gone"},
		"bootstrap: long without":     {in(rebuild, v1alpha1.PhaseBootstrap, health(0, "system"), func(o *Observation) { o.Now = t0.Add(2 * time.Minute) }), Wait, "minReadyNodes of the plan to 0"},
		"verify: no workers yet":      {in(rebuild, v1alpha1.PhaseVerify, wanting), Wait, "WorkersNotAvailable"},
		"verify: workers went":        {in(rebuild, v1alpha1.PhaseVerify, wanting, work(Work{State: WorkReady})), RecordVerification, ""},
		"verify: not begun":           {in(rebuild, v1alpha1.PhaseVerify), Verify, ""},
		"verify: inputs lost":         {in(rebuild, v1alpha1.PhaseVerify, materials(Work{})), Prepare, ""},
		"verify: done":                {in(rebuild, v1alpha1.PhaseVerify, work(Work{State: WorkReady})), RecordVerification, ""},
		"verify: recorded":            {in(rebuild, v1alpha1.PhaseVerify, recovered, func(o *Observation) { o.Now = t0.Add(time.Minute - 1) }), MarkApplied, ""},
		"verify: marked": {in(rebuild, v1alpha1.PhaseVerify, recovered, cluster(func(c *Cluster) {
			c.Conditions = append(c.Conditions, metav1.Condition{Type: capi.GateCondition, Status: metav1.ConditionTrue})
		})), Advance, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.o)
			if got.Action != test.want {
				t.Fatalf("decided %+v, want %s (failure %+v)", got, test.want, got.Failure)
			}
			text := got.Waiting
			if got.Failure != nil {
				text = got.Failure.Message
			}
			if !strings.Contains(text, test.says) {
				t.Errorf("it says %q, want %q in it", text, test.says)
			}
			if got.Action == Wait && text == "" {
				t.Error("it waits without saying what for")
			}
			if again := Decide(test.o); again.Action != got.Action {
				t.Errorf("decided %s the second time", again.Action)
			}
		})
	}
}

// TestEveryPhaseHasADeadline holds each phase against its limit, while it waits.
func TestEveryPhaseHasADeadline(t *testing.T) {
	waits := work(Work{State: WorkRunning})
	for phase, test := range map[v1alpha1.Phase]struct {
		limit time.Duration
		waits change
	}{
		v1alpha1.PhasePreflight: {5 * time.Minute, waits},
		v1alpha1.PhaseProvision: {20 * time.Minute, cluster(func(c *Cluster) { c.Initialized = false })},
		v1alpha1.PhaseBootstrap: {20 * time.Minute, health(0, "system")},
		v1alpha1.PhaseWaves:     {50 * time.Minute, waits},
		// Ten of its own from when the cluster has to be ready, which all entered at once here.
		// A minute to be asked and five to be drained come before the deletion.
		v1alpha1.PhaseVerify:  {30 * time.Minute, waits},
		v1alpha1.PhaseCleanup: {36 * time.Minute, gone(capi.Item{Kind: "Machine", Name: "m", Deleting: true})},
	} {
		o := in(drill, phase, test.waits)
		if got := Deadline(o.Run).Sub(t0); got != test.limit {
			t.Errorf("%s: %s, want %s", phase, got, test.limit)
		}
		o.Now = t0.Add(test.limit - 1)
		if d := Decide(o); d.Action != Wait {
			t.Errorf("%s before its deadline: %+v", phase, d)
		}
		o.Now = t0.Add(test.limit)
		if d := Decide(o); d.Action != Fail || d.Failure.Reason != "TimedOut" || d.Failure.Phase != phase {
			t.Errorf("%s at its deadline: %+v", phase, d)
		}
	}
}

// TestEndSeenLate has each phase at its end when its limit has long passed.
func TestEndSeenLate(t *testing.T) {
	late := func(o *Observation) { o.Now = t0.Add(24 * time.Hour) }
	deleting := cluster(func(c *Cluster) { c.DeletingSince = t0 })
	told := func(o *Observation) { RecordLate(o.Run, "late", t0) }
	for name, test := range map[string]struct {
		o    Observation
		want Action
	}{
		"preflight done":          {in(rebuild, v1alpha1.PhasePreflight, late, work(Work{State: WorkReady})), RecordPreflight},
		"preflight not begun":     {in(rebuild, v1alpha1.PhasePreflight, late), Fail},
		"teardown done":           {in(rebuild, v1alpha1.PhaseTeardown, late, gone()), Advance},
		"teardown not begun":      {in(rebuild, v1alpha1.PhaseTeardown, late), Fail},
		"serving":                 {in(rebuild, v1alpha1.PhaseProvision, late), Advance},
		"cluster not made":        {in(rebuild, v1alpha1.PhaseProvision, late, unmade), Fail},
		"bootstrapped":            {in(rebuild, v1alpha1.PhaseBootstrap, late, health(1, "system")), Advance},
		"applied":                 {in(rebuild, v1alpha1.PhaseWaves, late, work(Work{State: WorkReady})), RecordWaves},
		"apply not begun":         {in(rebuild, v1alpha1.PhaseWaves, late), Fail},
		"verified":                {in(rebuild, v1alpha1.PhaseVerify, late, work(Work{State: WorkReady})), RecordVerification},
		"cleanup not begun":       {in(drill, v1alpha1.PhaseCleanup, late), RecordDelete},
		"cleanup not sent":        {in(drill, v1alpha1.PhaseCleanup, late, requested), Delete},
		"cleanup stuck":           {in(drill, v1alpha1.PhaseCleanup, late, requested, deleting), MarkLate},
		"cleanup stuck, told":     {in(drill, v1alpha1.PhaseCleanup, late, requested, deleting, told), Wait},
		"cleanup done":            {in(drill, v1alpha1.PhaseCleanup, late, requested, gone()), Advance},
		"cleanup leftovers stuck": {in(drill, v1alpha1.PhaseCleanup, late, requested, gone(capi.Item{Kind: "Machine", Name: "m", Deleting: true})), Fail},
	} {
		if d := Decide(test.o); d.Action != test.want {
			t.Errorf("%s: decided %+v, want %s", name, d, test.want)
		}
	}
}

func TestLimitOfATeardown(t *testing.T) {
	if got := Deadline(in(teardown, v1alpha1.PhaseTeardown).Run).Sub(t0); got != 36*time.Minute {
		t.Errorf("Teardown: %s", got)
	}
}

func TestLimitsDoNotOverflow(t *testing.T) {
	const week = 7 * 24 * time.Hour
	for name, test := range map[string]struct {
		timeout time.Duration
		waves   int32
		want    time.Duration
	}{
		"default":  {0, 2, 50 * time.Minute},
		"negative": {-1, 2, 50 * time.Minute},
		"few":      {time.Hour, 3, 7 * time.Hour},
		"many":     {time.Hour, math.MaxInt32, 25 * time.Hour},
		"week":     {week, math.MaxInt32, week + 24*time.Hour},
		"longest":  {math.MaxInt64, math.MaxInt32, week + 24*time.Hour},
		"shortest": {1, math.MaxInt32, math.MaxInt32*2 + 1},
	} {
		run := in(rebuild, v1alpha1.PhaseWaves).Run
		run.Status.Pinned.Waves, run.Status.Pinned.Plan.Waves.Timeout.Duration = test.waves, test.timeout
		if got := Deadline(run).Sub(t0); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	run := in(rebuild, v1alpha1.PhaseProvision).Run
	run.Status.Pinned.Plan.Cluster.Ready.Timeout.Duration = math.MaxInt64
	if got := Deadline(run).Sub(t0); got != week {
		t.Errorf("Provision: %s", got)
	}
}

func TestSequences(t *testing.T) {
	for name, test := range map[string]struct {
		o    Observation
		want string
	}{
		"rebuild":                     {in(rebuild, ""), "Preflight Teardown Provision Bootstrap Seed Waves Verify"},
		"rebuild without predecessor": {in(rebuild, "", func(o *Observation) { o.Run.Status.Previous = nil }), "Preflight Provision Bootstrap Seed Waves Verify"},
		"rebuild without seeds":       {in(rebuild, "", func(o *Observation) { o.Run.Status.Pinned.Plan.Seeds = nil }), "Preflight Teardown Provision Bootstrap Waves Verify"},
		"teardown":                    {in(teardown, ""), "Preflight Teardown"},
		"teardown of nothing":         {in(teardown, "", func(o *Observation) { o.Run.Status.Previous = nil }), "Preflight"},
		"drill":                       {in(drill, ""), "Preflight Provision Bootstrap Seed Waves Verify Cleanup"},
	} {
		var got []string
		for _, phase := range sequence(test.o.Run) {
			got = append(got, string(phase))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}
