package recovery

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

const failover = v1alpha1.OperationFailover

// TestOutgoing: who is fenced, given the record, and which order completes, undoes or
// clashes with a transition that is open.
func TestOutgoing(t *testing.T) {
	for name, test := range map[string]struct {
		record   *Serving
		to       string
		from     string
		refused  string
		rebuilds bool // whether the primary plan may be rebuilt
	}{
		"nothing ever took over":          {to: "b", from: "a", rebuilds: true},
		"to itself":                       {to: "a", refused: "AlreadyServing", rebuilds: true},
		"b serves, back to a":             {record: &Serving{Plan: "b"}, to: "a", from: "b"},
		"b serves, on to c":               {record: &Serving{Plan: "b"}, to: "c", from: "b"},
		"b serves, to b":                  {record: &Serving{Plan: "b"}, to: "b", refused: "AlreadyServing"},
		"a serves again":                  {record: &Serving{Plan: "a"}, to: "b", from: "a", rebuilds: true},
		"open to b, completed":            {record: &Serving{Plan: "a", Pending: "b"}, to: "b", from: "a"},
		"open to b, undone":               {record: &Serving{Plan: "a", Pending: "b"}, to: "a", from: "b"},
		"open to b, a third one":          {record: &Serving{Plan: "a", Pending: "b"}, to: "c", refused: "TransitionOpen"},
		"a failback that is open, again":  {record: &Serving{Plan: "b", Pending: "a"}, to: "a", from: "b"},
		"a failback that is open, undone": {record: &Serving{Plan: "b", Pending: "a"}, to: "b", from: "a"},
		"an undoing that is open, again":  {record: &Serving{Plan: "b", Pending: "a"}, to: "a", from: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			from, fault := Outgoing("a", test.record, test.to)
			if reason := reasonOf(fault); from != test.from || reason != test.refused {
				t.Errorf("from %q, refused as %q; want %q, %q", from, reason, test.from, test.refused)
			}
			o := in(rebuild, v1alpha1.PhasePreflight, func(o *Observation) { o.Serving = test.record; o.Run.Spec.PlanRef.Name = "a" })
			if fault := notServing(o); (fault == nil) != test.rebuilds {
				t.Errorf("a rebuild is refused: %v", fault)
			}
			o.Run.Spec.Operation = teardown
			if fault := notServing(o); fault != nil {
				t.Errorf("a teardown is refused: %v", fault)
			}
		})
	}
}

// TestIdle: only what an open transition surely never touched is left alone.
func TestIdle(t *testing.T) {
	open := func(change func(*Serving)) *Serving {
		s := &Serving{Plan: "a", Pending: "b", PendingRun: "run-uid", Epoch: 3}
		if change != nil {
			change(s)
		}
		return s
	}
	in := func(phase v1alpha1.Phase) *v1alpha1.RecoveryRun { return takingOver(phase).Run }
	for name, test := range map[string]struct {
		record *Serving
		opened *v1alpha1.RecoveryRun
		told   int64
		want   bool
	}{
		"in its fence":                {open(nil), in(v1alpha1.PhaseFence), 2, true},
		"it made a cluster":           {open(nil), in(v1alpha1.PhaseWaves), 2, false},
		"it switched":                 {open(nil), in(v1alpha1.PhaseSwitch), 2, false},
		"it waited for its commit":    {open(nil), in(v1alpha1.PhaseCommit), 2, false},
		"it is gone":                  {open(nil), nil, 2, false},
		"another run":                 {open(func(s *Serving) { s.PendingRun = "x" }), in(v1alpha1.PhaseFence), 2, false},
		"another one was open before": {open(nil), in(v1alpha1.PhaseFence), 1, false},
		"the other way":               {open(func(s *Serving) { s.Pending = "a" }), in(v1alpha1.PhaseFence), 2, false},
		"nothing is open":             {open(func(s *Serving) { s.Pending = "" }), in(v1alpha1.PhaseFence), 2, false},
	} {
		primary := &v1alpha1.RecoveryPlan{Status: v1alpha1.RecoveryPlanStatus{Serving: &v1alpha1.ServingStatus{Epoch: test.told}}}
		if got := Idle(primary, test.record, "b", test.opened); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

// TestBound: who serves for another primary plan is neither fenced nor made to take over.
func TestBound(t *testing.T) {
	for name, test := range map[string]struct {
		records map[string]*Serving
		bound   bool
	}{
		"nobody ever failed over":       {map[string]*Serving{"c": nil}, false},
		"it serves for another":         {map[string]*Serving{"c": {Plan: "b"}}, true},
		"it is about to":                {map[string]*Serving{"c": {Plan: "c", Pending: "b"}}, true},
		"it may still be fenced there":  {map[string]*Serving{"c": {Plan: "b", Pending: "c"}}, true},
		"others serve for others":       {map[string]*Serving{"c": {Plan: "d", Pending: "c"}, "d": {Plan: "d"}}, false},
		"it serves itself, as recorded": {map[string]*Serving{"b": {Plan: "b"}}, true},
	} {
		if fault := Bound("b", test.records); (fault != nil) != test.bound {
			t.Errorf("%s: %v", name, fault)
		}
	}
}

func reasonOf(f *Fault) string {
	if f == nil {
		return ""
	}
	return f.Reason
}

// TestAllLocks: all of several locks have to be held, and the worst of them decides.
func TestAllLocks(t *testing.T) {
	mine, free, taken, broken := Lock{State: LockMine}, Lock{State: LockFree}, Lock{State: LockTaken, Holder: "other"}, Lock{State: LockUnreadable, Holder: "x"}
	for name, test := range map[string]struct {
		locks []Lock
		want  Lock
	}{
		"none":          {nil, Lock{}},
		"all mine":      {[]Lock{mine, mine}, Lock{State: LockMine, Held: true}},
		"one is free":   {[]Lock{mine, free}, Lock{State: LockFree, Held: true}},
		"one is taken":  {[]Lock{free, taken, mine}, Lock{State: LockTaken, Holder: "other", Held: true}},
		"none held":     {[]Lock{taken, free}, Lock{State: LockTaken, Holder: "other"}},
		"one is broken": {[]Lock{taken, broken}, Lock{State: LockUnreadable, Holder: "x"}},
	} {
		if got := AllLocks(test.locks); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// takingOver is a failover in its Fence, from plan a with cluster dev to plan b with cluster spare.
func takingOver(phase v1alpha1.Phase, changes ...func(*Observation)) Observation {
	run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "run", UID: "run-uid", Generation: 1, Finalizers: []string{Finalizer}}}
	run.Spec = v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "a"}, Operation: failover, Failover: &v1alpha1.FailoverOrder{To: v1alpha1.PlanReference{Name: "b"}}}
	plan := func(name, cluster string) *v1alpha1.RecoveryPlan {
		return &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: v1alpha1.RecoveryPlanSpec{Cluster: v1alpha1.ClusterTemplate{Name: cluster}}}
	}
	primary := plan("a", "dev")
	primary.Spec.Failover = &v1alpha1.PlanFailover{
		Fence:  v1alpha1.FencePolicy{Method: v1alpha1.FenceDeleteAfterHook, Hook: &v1alpha1.Hook{URL: "https://off"}, Timeout: metav1.Duration{Duration: 10 * time.Minute}},
		Switch: []v1alpha1.SwitchHook{{Name: "dns"}, {Name: "lb", Rollback: &v1alpha1.Hook{}}},
	}
	RecordStart(run, primary, t0)
	RecordSides(run, primary, Sides{From: primary, To: plan("b", "spare")}, nil)
	run.Status.Previous = &v1alpha1.Incarnation{Name: "dev", UID: "old"}
	run.Status.Target = &v1alpha1.Incarnation{Name: "spare", UID: "new", KubeSystemUID: "system"}
	for Current(run) != nil && Current(run).Name != phase {
		RecordAdvance(run, "", t0)
	}
	o := Observation{Now: t0.Add(time.Minute), Run: run, Claimed: 1, Lock: Lock{State: LockMine}, Materials: Work{State: WorkReady}, Cluster: alive("new")}
	if phase == v1alpha1.PhaseFence {
		o.Cluster = alive("old")
	}
	for _, change := range changes {
		change(&o)
	}
	return o
}

// record of the failover, for changes.
func record(change func(*v1alpha1.FailoverRecord)) func(*Observation) {
	return func(o *Observation) { change(o.Run.Status.Failover) }
}

func answered(names ...string) func(*Observation) {
	return record(func(f *v1alpha1.FailoverRecord) {
		for _, name := range names {
			f.Hooks = append(f.Hooks, v1alpha1.HookRecord{Name: name, SentAt: *micro(t0), AnsweredAt: micro(t0), Answer: "200 OK"})
		}
	})
}

func epoch(o *Observation) { o.Run.Status.Failover.Epoch = 1 }

func refusedHook(o *Observation) {
	o.Work = Work{State: WorkFailed, Fault: Faultf("HookFailed", "answers 403")}
}

func asked(o *Observation) { RecordAskUnfenced(o.Run, "the hook answers 403", t0) }

func sent(name string) func(*Observation) {
	return record(func(f *v1alpha1.FailoverRecord) {
		f.Hooks = append(f.Hooks, v1alpha1.HookRecord{Name: name, SentAt: *micro(t0)})
	})
}

func at(d time.Duration) func(*Observation) { return func(o *Observation) { o.Now = t0.Add(d) } }

// yes is an approval to go on unfenced that counts.
func yes(change func(*v1alpha1.RunApproval)) func(*Observation) {
	return func(o *Observation) {
		ask := o.Run.Status.Failover.Fence.Asked
		a := v1alpha1.RunApproval{Spec: v1alpha1.RunApprovalSpec{Digest: ask.Digest, TargetUID: string(ask.TargetUID), ApprovedBy: "ada", Reason: "unplugged", Unfenced: true}}
		if change != nil {
			change(&a)
		}
		o.Approvals = append(o.Approvals, a)
	}
}

// TestDecideFailover walks through fence, switch and commit.
func TestDecideFailover(t *testing.T) {
	deleting := func(o *Observation) {
		o.Run.Status.Previous.DeleteRequestedAt = micro(t0)
		o.Cluster.DeletingSince = t0
	}
	secondPerson := func(o *Observation) {
		o.Run.Spec.RequestedBy = "ada"
		o.Run.Status.Failover.FromPlan.Teardown.Policy = v1alpha1.TeardownNeedsApproval
		asked(o)
	}
	graceful := func(o *Observation) { o.Run.Spec.Failover.Mode = v1alpha1.FailoverGraceful }
	held := func(o *Observation) {
		o.Holds = []v1alpha1.Hold{{Spec: v1alpha1.HoldSpec{Until: metav1.NewTime(t0.Add(time.Hour))}}}
	}
	full := func(o *Observation) {
		o.Budgets = []Budget{{Budget: &v1alpha1.TeardownBudget{ObjectMeta: metav1.ObjectMeta{Name: "b"}}, Full: "1 of 1 is taken"}}
	}
	patient := record(func(f *v1alpha1.FailoverRecord) { f.Policy.Fence.Timeout.Duration = time.Hour })
	manual := record(func(f *v1alpha1.FailoverRecord) { f.Policy.Commit.Policy = v1alpha1.CommitManual })
	byHook := record(func(f *v1alpha1.FailoverRecord) { f.Policy.Fence.Method = v1alpha1.FenceHook })
	back := func(o *Observation) { o.Run.Spec.Commit = v1alpha1.DecideRollBack }
	oldThere := func(o *Observation) { o.Old = alive("old") }
	commit := func(o *Observation) { o.Run.Spec.Commit = v1alpha1.DecideCommit }
	rollBackAfter := record(func(f *v1alpha1.FailoverRecord) {
		f.Policy.Commit = v1alpha1.CommitRule{Policy: v1alpha1.CommitRollBackAfter, After: &metav1.Duration{Duration: time.Hour}}
	})
	decidedAt := func(d time.Duration) func(*Observation) {
		return record(func(f *v1alpha1.FailoverRecord) { f.DecidedAt = micro(t0.Add(d)) })
	}
	calling := func(o *Observation) { o.Work = Work{State: WorkRunning} }
	for name, test := range map[string]struct {
		o    Observation
		want Action
		says string
	}{
		"the epoch comes first":        {takingOver(v1alpha1.PhaseFence), RaiseEpoch, ""},
		"not without a render":         {takingOver(v1alpha1.PhaseFence, func(o *Observation) { o.Materials = Work{} }), Prepare, ""},
		"then the hook is recorded":    {takingOver(v1alpha1.PhaseFence, epoch), RecordCall, ""},
		"and called":                   {takingOver(v1alpha1.PhaseFence, epoch, sent("fence")), CallHook, ""},
		"its answer is kept":           {takingOver(v1alpha1.PhaseFence, epoch, sent("fence"), func(o *Observation) { o.Work = Work{State: WorkReady} }), RecordAnswer, ""},
		"a refusal is a question":      {takingOver(v1alpha1.PhaseFence, epoch, sent("fence"), refusedHook), AskUnfenced, "answers 403"},
		"then the Cluster goes":        {takingOver(v1alpha1.PhaseFence, epoch, answered("fence")), RecordDelete, ""},
		"and the fence waits for it":   {takingOver(v1alpha1.PhaseFence, epoch, answered("fence"), deleting), Wait, "Cluster API to delete"},
		"too long is a question":       {takingOver(v1alpha1.PhaseFence, epoch, answered("fence"), deleting, at(10*time.Minute)), AskUnfenced, "within 10m0s"},
		"an error for too long is one": {takingOver(v1alpha1.PhaseFence, epoch, answered("fence"), at(11*time.Minute)), RecordDelete, ""},
		"the question waits":           {takingOver(v1alpha1.PhaseFence, epoch, sent("fence"), refusedHook, asked), Wait, "refloat approve run -n fleet --unfenced"},
		"the fence goes on meanwhile":  {takingOver(v1alpha1.PhaseFence, epoch, answered("fence"), asked, at(time.Hour)), RecordDelete, ""},
		"and may end it":               {takingOver(v1alpha1.PhaseFence, epoch, answered("fence"), asked, func(o *Observation) { o.Cluster = Cluster{} }), RecordFence, "deleted"},
		"too long before the epoch": {takingOver(v1alpha1.PhaseFence, at(10*time.Minute), func(o *Observation) {
			o.Materials = Work{State: WorkBackoff, Waiting: "no route", RetryAt: t0.Add(11 * time.Minute)}
		}), Fail, "did not end within 10m0s"},
		"no yes counts before the epoch": {takingOver(v1alpha1.PhaseFence, asked, yes(nil), func(o *Observation) {
			o.Materials = Work{State: WorkRunning}
		}), Wait, "to be rendered again"},
		"a yes":                     {takingOver(v1alpha1.PhaseFence, epoch, sent("fence"), refusedHook, asked, yes(nil)), TakeUnfenced, ""},
		"a plain yes":               {takingOver(v1alpha1.PhaseFence, epoch, sent("fence"), refusedHook, asked, yes(func(a *v1alpha1.RunApproval) { a.Spec.Unfenced = false })), Wait, "not for going on unfenced"},
		"a yes to something else":   {takingOver(v1alpha1.PhaseFence, epoch, sent("fence"), refusedHook, asked, yes(func(a *v1alpha1.RunApproval) { a.Spec.Digest = "x" })), Wait, "something else"},
		"a yes for another cluster": {takingOver(v1alpha1.PhaseFence, epoch, sent("fence"), refusedHook, asked, yes(func(a *v1alpha1.RunApproval) { a.Spec.TargetUID = "x" })), Wait, "another cluster"},
		"a late yes":                {takingOver(v1alpha1.PhaseFence, epoch, sent("fence"), refusedHook, asked, yes(func(a *v1alpha1.RunApproval) { a.Spec.ExpiresAt = &metav1.Time{Time: t0} })), Wait, "expired"},
		"a yes to oneself":          {takingOver(v1alpha1.PhaseFence, epoch, sent("fence"), refusedHook, secondPerson, yes(nil)), Wait, "ada requested the run"},
		"nothing to delete":         {takingOver(v1alpha1.PhaseFence, epoch, answered("fence"), func(o *Observation) { o.Run.Status.Previous, o.Cluster = nil, Cluster{} }), RecordFence, "answered 200 OK"},
		"a hook alone":              {takingOver(v1alpha1.PhaseFence, epoch, byHook, answered("fence")), RecordFence, "answered 200 OK"},
		"a hold keeps no dead one": {takingOver(v1alpha1.PhaseFence, func(o *Observation) {
			o.Holds = []v1alpha1.Hold{{Spec: v1alpha1.HoldSpec{Until: metav1.NewTime(t0.Add(time.Hour))}}}
		}), RaiseEpoch, ""},
		"a hold comes too late for a fence that began":   {takingOver(v1alpha1.PhaseFence, graceful, epoch, answered("fence"), held), RecordDelete, ""},
		"a hold comes before the epoch":                  {takingOver(v1alpha1.PhaseFence, graceful, held), Fail, "keeps cluster dev"},
		"a budget comes too late for a fence that began": {takingOver(v1alpha1.PhaseFence, graceful, epoch, answered("fence"), full), RecordDelete, ""},
		"a budget comes before the epoch":                {takingOver(v1alpha1.PhaseFence, graceful, full), AwaitSlot, ""},
		"a loss is not listed again after the hook":      {takingOver(v1alpha1.PhaseFence, graceful, epoch, answered("fence"), patient, at(20*time.Minute)), RecordDelete, ""},
		"a loss is listed again before the epoch":        {takingOver(v1alpha1.PhaseFence, graceful, patient, at(20*time.Minute)), PreviewLoss, ""},
		"cancelled after the epoch":                      {takingOver(v1alpha1.PhaseFence, epoch, func(o *Observation) { o.Run.Spec.Cancel = &v1alpha1.Cancellation{Reason: "no"} }), Fail, "undo it with one to plan a"},
		"another cluster of the name":                    {takingOver(v1alpha1.PhaseFence, epoch, answered("fence"), func(o *Observation) { o.Cluster = alive("third") }), Fail, "third"},
		"nobody looked when it was to roll back":         {takingOver(v1alpha1.PhaseCommit, byHook, rollBackAfter, oldThere, at(9*24*time.Hour)), RecordDecided, ""},
		"the late rollback begins":                       {takingOver(v1alpha1.PhaseCommit, byHook, rollBackAfter, oldThere, at(9*24*time.Hour), decidedAt(9*24*time.Hour)), RecordCall, ""},
		"the late rollback goes on":                      {takingOver(v1alpha1.PhaseCommit, byHook, rollBackAfter, oldThere, at(10*24*time.Hour), decidedAt(9*24*time.Hour), sent("rollback-lb")), CallHook, ""},
		"the late hook is waited for":                    {takingOver(v1alpha1.PhaseCommit, byHook, rollBackAfter, oldThere, at(10*24*time.Hour), decidedAt(9*24*time.Hour), sent("rollback-lb"), calling), Wait, "hook rollback-lb"},
		"the late rollback ends":                         {takingOver(v1alpha1.PhaseCommit, byHook, rollBackAfter, oldThere, at(10*24*time.Hour), decidedAt(9*24*time.Hour), answered("rollback-lb")), GiveBack, ""},
		"a late rollback that does not go on": {takingOver(v1alpha1.PhaseCommit, byHook, rollBackAfter, oldThere, at(10*24*time.Hour), decidedAt(9*24*time.Hour), sent("rollback-lb"), func(o *Observation) {
			o.Work = Work{State: WorkBackoff, RetryAt: o.Now}
		}), Fail, "did not end"},
		"a rollback ordered late":          {takingOver(v1alpha1.PhaseCommit, byHook, manual, back, oldThere, at(9*24*time.Hour)), RecordDecided, ""},
		"a commit ordered late":            {takingOver(v1alpha1.PhaseCommit, manual, commit, at(9*24*time.Hour)), RecordDecided, ""},
		"a late commit":                    {takingOver(v1alpha1.PhaseCommit, manual, commit, at(9*24*time.Hour), decidedAt(9*24*time.Hour)), CommitServing, ""},
		"the first switch hook":            {takingOver(v1alpha1.PhaseSwitch), RecordCall, ""},
		"the second":                       {takingOver(v1alpha1.PhaseSwitch, answered("switch-dns"), sent("switch-lb")), CallHook, ""},
		"a switch hook fails":              {takingOver(v1alpha1.PhaseSwitch, sent("switch-dns"), refusedHook), Fail, "order the failover again"},
		"all have answered":                {takingOver(v1alpha1.PhaseSwitch, answered("switch-dns", "switch-lb")), Advance, ""},
		"the new side is gone":             {takingOver(v1alpha1.PhaseSwitch, func(o *Observation) { o.Cluster = Cluster{} }), Fail, "gone"},
		"commit at once":                   {takingOver(v1alpha1.PhaseCommit), CommitServing, ""},
		"a person decides":                 {takingOver(v1alpha1.PhaseCommit, manual), Wait, "refloat commit run"},
		"nobody is offered what cannot be": {takingOver(v1alpha1.PhaseCommit, manual), Wait, "refloat commit run."},
		"a rollback is offered":            {takingOver(v1alpha1.PhaseCommit, byHook, manual), Wait, "or refloat rollback run"},
		"a person commits":                 {takingOver(v1alpha1.PhaseCommit, decidedAt(0), manual, func(o *Observation) { o.Run.Spec.Commit = v1alpha1.DecideCommit }), CommitServing, ""},
		"rolled back after the record was committed": {takingOver(v1alpha1.PhaseCommit, epoch, byHook, manual, back, oldThere, func(o *Observation) {
			o.Serving = &Serving{Plan: "b", Epoch: 1, Done: o.Run.UID}
		}), CommitServing, ""},
		"rolled back, another run's record": {takingOver(v1alpha1.PhaseCommit, decidedAt(0), epoch, byHook, manual, back, oldThere, func(o *Observation) {
			o.Serving = &Serving{Plan: "a", Epoch: 1, Done: "before", Pending: "b", PendingRun: o.Run.UID}
		}), RecordCall, ""},
		"a record that nobody can read": {takingOver(v1alpha1.PhaseCommit, epoch, byHook, manual, back, oldThere, func(o *Observation) {
			o.Sides.Fault = Faultf("ServingUnreadable", "no holder")
		}), Fail, "no holder"},
		"nothing to roll back to":             {takingOver(v1alpha1.PhaseCommit, manual, back), Wait, "is gone"},
		"no rollback was prepared":            {takingOver(v1alpha1.PhaseCommit, manual, back, oldThere), Wait, "no rollback was prepared"},
		"no rollback was prepared, committed": {takingOver(v1alpha1.PhaseCommit, decidedAt(0), manual, oldThere, answered("rollback-lb"), func(o *Observation) { o.Run.Spec.Commit = v1alpha1.DecideCommit }), CommitServing, ""},
		"rolled back, the hook":               {takingOver(v1alpha1.PhaseCommit, decidedAt(0), byHook, manual, back, oldThere), RecordCall, ""},
		"rolled back, the record":             {takingOver(v1alpha1.PhaseCommit, decidedAt(0), byHook, manual, back, oldThere, answered("rollback-lb")), GiveBack, ""},
		"rolled back, nobody turns round":     {takingOver(v1alpha1.PhaseCommit, decidedAt(0), byHook, manual, oldThere, answered("rollback-lb"), func(o *Observation) { o.Run.Spec.Commit = v1alpha1.DecideCommit }), GiveBack, ""},
		"rolled back":                         {takingOver(v1alpha1.PhaseCommit, byHook, manual, back, record(func(f *v1alpha1.FailoverRecord) { f.RolledBackAt = micro(t0) })), Fail, "rolled back"},
		"rolled back, the hook fails":         {takingOver(v1alpha1.PhaseCommit, byHook, manual, back, oldThere, sent("rollback-lb"), refusedHook), Fail, "who serves is not decided"},
		"nobody decides for a week":           {takingOver(v1alpha1.PhaseCommit, manual, at(8*24*time.Hour)), Fail, "did not end"},
		"a status that somebody has edited":   {takingOver(v1alpha1.PhaseCommit, func(o *Observation) { o.Run.Status.Failover = nil }), Fail, "somebody edited it"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(test.o)
			text := d.Waiting + d.Message
			if d.Failure != nil {
				text += d.Failure.Message
			}
			if d.Action != test.want || !strings.Contains(text+".", test.says) {
				t.Errorf("%s %q, want %s that says %q", d.Action, text, test.want, test.says)
			}
		})
	}
}

// TestSequenceOfFailover: a standby is only verified, and a plan without hooks switches
// nothing.
func TestSequenceOfFailover(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Observation)
		want   []v1alpha1.Phase
	}{
		"elsewhere": {func(*Observation) {}, []v1alpha1.Phase{"Preflight", "Fence", "Provision", "Bootstrap", "Waves", "Verify", "Switch", "Commit"}},
		"a standby": {record(func(f *v1alpha1.FailoverRecord) { f.Standby = true }), []v1alpha1.Phase{"Preflight", "Fence", "Verify", "Switch", "Commit"}},
		"no hooks":  {record(func(f *v1alpha1.FailoverRecord) { f.Policy.Switch = nil; f.Standby = true }), []v1alpha1.Phase{"Preflight", "Fence", "Verify", "Commit"}},
		"approval": {record(func(f *v1alpha1.FailoverRecord) {
			f.Standby, f.FromPlan.Teardown.Policy = true, v1alpha1.TeardownNeedsApproval
		}), []v1alpha1.Phase{"Preflight", "Approval", "Fence", "Verify", "Switch", "Commit"}},
	} {
		if got := sequence(takingOver(v1alpha1.PhasePreflight, test.change).Run); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestLockedClusters are those of all sides, each once, in order.
func TestLockedClusters(t *testing.T) {
	o := takingOver(v1alpha1.PhaseFence)
	if got := LockedClusters(o); !slices.Equal(got, []string{"dev", "spare"}) {
		t.Errorf("started: %v", got)
	}
	o.Run.Status.Failover.PrimaryCluster = "zero"
	if got := LockedClusters(o); !slices.Equal(got, []string{"dev", "spare", "zero"}) {
		t.Errorf("a third plan: %v", got)
	}
}
