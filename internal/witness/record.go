package witness

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

func inputsStayPinned(h *history) []string {
	var out breaches
	var first *v1alpha1.RecoveryRunStatus
	known := map[string]string{}
	for _, s := range h.statuses {
		st := s.run.Status
		if p := st.Pinned; p != nil && p.Commit != "" {
			if first == nil {
				first = st.DeepCopy()
			}
			out.add(apiequality.Semantic.DeepEqual(first.Pinned, p), "%s: pinned is %+v, was %+v", s.Event, p, first.Pinned)
		} else if first != nil {
			out.add(false, "%s: nothing is pinned any more", s.Event)
		}
		facts := map[string]string{}
		if st.Previous != nil {
			facts["the UID of the previous cluster"] = string(st.Previous.UID)
		}
		if st.Target != nil {
			facts["the name of the new cluster"] = st.Target.Name
			facts["the UID of the new cluster"], facts["the kube-system of the new cluster"] = string(st.Target.UID), string(st.Target.KubeSystemUID)
		}
		for what, was := range known {
			out.add(facts[what] == was, "%s: %s is %q, was %q", s.Event, what, facts[what], was)
		}
		for what, is := range facts {
			if is != "" {
				known[what] = is
			}
		}
	}
	return out
}

// sequences of phases that an operation may pass through.
var sequences = map[v1alpha1.Operation][]v1alpha1.Phase{
	v1alpha1.OperationRebuild:  {v1alpha1.PhasePreflight, v1alpha1.PhaseApproval, v1alpha1.PhaseTeardown, v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap, v1alpha1.PhaseSeed, v1alpha1.PhaseWaves, v1alpha1.PhaseVerify},
	v1alpha1.OperationTeardown: {v1alpha1.PhasePreflight, v1alpha1.PhaseApproval, v1alpha1.PhaseTeardown},
	v1alpha1.OperationDrill:    {v1alpha1.PhasePreflight, v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap, v1alpha1.PhaseSeed, v1alpha1.PhaseWaves, v1alpha1.PhaseVerify, v1alpha1.PhaseCleanup},
	v1alpha1.OperationFailover: takeover,
	v1alpha1.OperationFailback: takeover,
}

var takeover = []v1alpha1.Phase{
	v1alpha1.PhasePreflight, v1alpha1.PhaseApproval, v1alpha1.PhaseFence, v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap, v1alpha1.PhaseSeed,
	v1alpha1.PhaseWaves, v1alpha1.PhaseVerify, v1alpha1.PhaseSwitch, v1alpha1.PhaseCommit,
}

func historyIsLawful(h *history) []string {
	var out breaches
	var before *v1alpha1.RecoveryRunStatus
	for _, s := range h.statuses {
		st := s.run.Status
		last := -1
		for i, p := range st.Phases {
			at := slices.Index(sequences[h.Operation], p.Name)
			out.add(at > last, "%s: phase %s comes after %v", s.Event, p.Name, st.Phases[:i])
			last = at
		}
		for _, fault := range recovery.Lint(&s.run) {
			out.add(false, "%s: %s", s.Event, fault)
		}
		if before != nil {
			out.add(st.Epoch >= before.Epoch, "%s: epoch %d, was %d", s.Event, st.Epoch, before.Epoch)
			out.add(len(st.Phases) >= len(before.Phases), "%s: %d phases, there were %d", s.Event, len(st.Phases), len(before.Phases))
			out.add(before.FinishedAt == nil || before.FinishedAt.Equal(st.FinishedAt) && apiequality.Semantic.DeepEqual(before.Failure, st.Failure), "%s: the result changed", s.Event)
		}
		before = &st
	}
	return out
}

func waitsAreExplained(h *history) []string {
	var out breaches
	for _, s := range h.statuses {
		if w := s.run.Status.Waiting; w != nil {
			out.add(strings.TrimSpace(w.For) != "" && !w.Since.IsZero(), "%s: it waits for %q since %s", s.Event, w.For, w.Since)
		}
	}
	return out
}

// maxRun is what a run may grow to.
const maxRun = 200 << 10

func statusStaysSmall(h *history) []string {
	var out breaches
	for _, s := range h.statuses {
		out.add(len(s.ResponseObject) <= maxRun, "%s: the run has %d bytes", s.Event, len(s.ResponseObject))
	}
	return out
}

// secretsStaySecret looks for canaries everywhere but in Secrets.
func secretsStaySecret(h *history) []string {
	var out breaches
	for _, canary := range h.Canaries {
		for _, e := range h.Events {
			secret := e.ObjectRef.Resource == "secrets"
			found := strings.Contains(e.RequestURI, canary) ||
				!secret && (bytes.Contains(e.RequestObject, []byte(canary)) || bytes.Contains(e.ResponseObject, []byte(canary)))
			out.add(!found, "%s holds a value of a Secret", e)
		}
		for where, text := range h.Told {
			out.add(!strings.Contains(text, canary), "%s holds a value of a Secret", where)
		}
	}
	return out
}

// Released tells whether the run was seen to lose its last finalizer.
func Released(events []Event, run string) bool {
	return slices.ContainsFunc(events, func(e Event) bool {
		return e.Wrote() && e.is("recoveryruns") && e.ObjectRef.Name == run && e.Verb == "patch" && len(e.object().Finalizers) == 0
	})
}

func nothingLeftBehind(h *history) []string {
	var out breaches
	finalizers, known := []string(nil), false
	held := map[string]bool{}
	for _, e := range h.Events {
		if e.Server != Management || !e.Wrote() {
			continue
		}
		switch {
		case e.ObjectRef.Resource == "leases" && slices.Contains(h.locks(), e.name()):
			held[e.name()] = e.Verb != "delete"
		case e.is("recoveryruns") && e.ObjectRef.Name == h.Run && len(e.ResponseObject) > 0:
			var run v1alpha1.RecoveryRun
			if json.Unmarshal(e.ResponseObject, &run) == nil {
				finalizers, known = run.Finalizers, true
			}
		}
	}
	for _, lock := range h.locks() {
		out.add(!held[lock], "Lease %s is still there", lock)
	}
	out.add(known && len(finalizers) == 0, "the run has the finalizers %v (seen: %t)", finalizers, known)
	return out
}
