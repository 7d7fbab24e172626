package recovery

import (
	"slices"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Call is one hook that a run calls, under the name that its record has.
type Call struct {
	Name string
	// Kind of the message: Fence, Release, Switch or Rollback.
	Kind string
	Hook v1alpha1.Hook
	// Apply is the directory that is applied instead, empty for a hook.
	Apply string
}

// Key tells a receiver whether it got a message before. It is the same for every attempt of
// the run, whichever process makes it.
func (c Call) Key(run *v1alpha1.RecoveryRun) string { return string(run.UID) + "/" + c.Name }

// fenceHook that stops the old side; nil when none does.
func fenceHook(f *v1alpha1.FailoverRecord) *v1alpha1.Hook {
	if f.FromIdle {
		return nil
	}
	if f.Policy.Fence.Method == v1alpha1.FenceHook || f.Policy.Fence.Method == v1alpha1.FenceDeleteAfterHook {
		return f.Policy.Fence.Hook
	}
	return nil
}

func fenceCalls(f *v1alpha1.FailoverRecord) []Call {
	if hook := fenceHook(f); hook != nil {
		return []Call{{Name: "fence", Kind: "Fence", Hook: *hook}}
	}
	return nil
}

func switchCalls(f *v1alpha1.FailoverRecord) []Call {
	var calls []Call
	for _, s := range f.Policy.Switch {
		hook := v1alpha1.Hook{URL: s.URL, SecretRef: s.SecretRef, Timeout: s.Timeout}
		calls = append(calls, Call{Name: "switch-" + s.Name, Kind: "Switch", Hook: hook, Apply: directory(s, f.To)})
	}
	return calls
}

// rollbackCalls send users back in reverse, and let the old side loose first.
func rollbackCalls(f *v1alpha1.FailoverRecord) []Call {
	var calls []Call
	if release := f.Policy.Fence.Release; release != nil && fenceHook(f) != nil {
		calls = append(calls, Call{Name: "release", Kind: "Release", Hook: *release})
	}
	for _, s := range slices.Backward(f.Policy.Switch) {
		if s.Apply != nil {
			calls = append(calls, Call{Name: "rollback-" + s.Name, Kind: "Rollback", Hook: v1alpha1.Hook{Timeout: s.Timeout}, Apply: directory(s, f.From)})
		}
		if s.Rollback != nil {
			calls = append(calls, Call{Name: "rollback-" + s.Name, Kind: "Rollback", Hook: *s.Rollback})
		}
	}
	return calls
}

// directory that sends users to a side; empty when a hook does.
func directory(s v1alpha1.SwitchHook, side v1alpha1.FailoverSide) string {
	if s.Apply == nil {
		return ""
	}
	return strings.ReplaceAll(s.Apply.Path, "${CLUSTER_NAME}", side.Cluster)
}

// Directory that a run applies, rendered for the Cluster that users are sent to.
type Directory struct{ Call, Path, Cluster string }

// Directories that a failover may apply.
func Directories(run *v1alpha1.RecoveryRun) []Directory {
	f := run.Status.Failover
	if f == nil {
		return nil
	}
	var out []Directory
	for _, c := range AllCalls(f) {
		cluster := f.To.Cluster
		if c.Kind == "Rollback" {
			cluster = f.From.Cluster
		}
		if c.Apply != "" {
			out = append(out, Directory{Call: c.Name, Path: c.Apply, Cluster: cluster})
		}
	}
	return out
}

func hooksTimeout(calls []Call) time.Duration {
	sum := hookSlack
	for _, c := range calls {
		sum += HookTimeout(c.Hook)
	}
	return sum
}

// hookRecord of a call, nil when it was not made.
func hookRecord(f *v1alpha1.FailoverRecord, name string) *v1alpha1.HookRecord {
	for i := range f.Hooks {
		if f.Hooks[i].Name == name {
			return &f.Hooks[i]
		}
	}
	return nil
}

// unanswered is the first call that has no answer yet, nil when all have.
func unanswered(f *v1alpha1.FailoverRecord, calls []Call) *Call {
	for i := range calls {
		if h := hookRecord(f, calls[i].Name); h == nil || h.AnsweredAt == nil {
			return &calls[i]
		}
	}
	return nil
}

// PendingCall is the hook that the phase under way is about to call or is calling; nil when
// it has none left.
func PendingCall(run *v1alpha1.RecoveryRun) *Call {
	f, current := run.Status.Failover, Current(run)
	if f == nil || current == nil {
		return nil
	}
	switch current.Name {
	case v1alpha1.PhaseFence:
		return unanswered(f, fenceCalls(f))
	case v1alpha1.PhaseSwitch:
		return unanswered(f, switchCalls(f))
	case v1alpha1.PhaseCommit:
		return unanswered(f, rollbackCalls(f))
	}
	return nil
}

// calling decides about the next hook. It is recorded before it is sent; failed says what
// follows when no good answer came.
func calling(o Observation, call *Call, fail func(*Fault) Decision) Decision {
	if hookRecord(o.Run.Status.Failover, call.Name) == nil {
		return Decision{Action: RecordCall}
	}
	if o.Work.State == WorkFailed {
		return fail(o.Work.Fault)
	}
	if call.Apply != "" && o.Work.State == WorkNone {
		return withMaterials(o, func() Decision { return Decision{Action: CallHook} })
	}
	return during(o, o.Work, CallHook, RecordAnswer, "hook "+call.Name+" to answer")
}

// RecordCalled says that a hook is about to be called.
func RecordCalled(run *v1alpha1.RecoveryRun, name string, now time.Time) {
	run.Status.Failover.Hooks = append(run.Status.Failover.Hooks, v1alpha1.HookRecord{Name: name, SentAt: *micro(now)})
}

// RecordAnswered keeps the good answer of a hook.
func RecordAnswered(run *v1alpha1.RecoveryRun, name, answer string, now time.Time) {
	if h := hookRecord(run.Status.Failover, name); h != nil {
		h.AnsweredAt, h.Answer = micro(now), clip(answer, maxAnswer)
	}
}

const maxAnswer = 128

// switching calls the switch hooks, one by one.
func switching(o Observation) Decision {
	call := PendingCall(o.Run)
	if call == nil {
		return Decision{Action: Advance, Message: "every switch hook has answered"}
	}
	return calling(o, call, func(f *Fault) Decision {
		return failed(o, Faultf("SwitchFailed", "%s; Cluster %s is verified but does not serve: mend the hook and order the failover again, which goes on from here",
			f.Message, o.Run.Status.Target.Name))
	})
}

// AllCalls that a failover may make.
func AllCalls(f *v1alpha1.FailoverRecord) []Call {
	calls := slices.Concat(fenceCalls(f), switchCalls(f))
	if deletesOld(f) {
		return calls // nothing can be rolled back
	}
	return append(calls, rollbackCalls(f)...)
}
