package witness

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func preconditionsOf(e Event) *metav1.Preconditions {
	var o metav1.DeleteOptions
	if len(e.RequestObject) == 0 || json.Unmarshal(e.RequestObject, &o) != nil {
		return nil
	}
	return o.Preconditions
}

// deletesAreBound looks at every deletion that reached the server, whatever became of it.
func deletesAreBound(h *history) []string {
	var out breaches
	for _, e := range h.Events {
		out.add(e.Verb != "deletecollection", "%s", e)
		if e.Verb != "delete" {
			continue
		}
		p := preconditionsOf(e)
		out.add(p != nil && p.UID != nil && *p.UID != "", "%s names no UID", e)
		out.add(p != nil && p.ResourceVersion != nil && *p.ResourceVersion != "", "%s names no resourceVersion", e)
	}
	return out
}

func oneDelete(h *history) []string {
	var out breaches
	first := map[types.UID]Event{}
	for _, e := range h.deletes {
		uid := h.doomed(e)
		before, twice := first[uid]
		out.add(!twice, "%s, after %s", e, before)
		first[uid] = e
	}
	return out
}

func stampedFirst(h *history) []string {
	var out breaches
	for _, e := range h.deletes {
		s := h.stampAt(h.doomed(e), e.Received.Time)
		if s == nil || s.run != h.RunUID {
			out.add(false, "%s: the Cluster did not carry the mark of run %s", e, h.RunUID)
		}
	}
	return out
}

func recordedFirst(h *history) []string {
	var out breaches
	for _, e := range h.deletes {
		inc := pinned(h.statusAt(e.Received.Time), h.doomed(e))
		out.add(inc != nil && inc.DeleteRequestedAt != nil, "%s: the run had not recorded it", e)
	}
	return out
}

// deposedNeverDeletes compares the mark that a deletion relied on, and who sent it, with
// who had the run when the server received it.
func deposedNeverDeletes(h *history) []string {
	var out breaches
	for _, e := range h.deletes {
		if h.fencing(e) {
			continue
		}
		epoch, user := h.epochAt(e.Received.Time)
		out.add(user == e.User.Username, "%s: epoch %d had been taken by %s", e, epoch, user)
		if s := h.stampAt(h.doomed(e), e.Received.Time); s != nil && s.run == h.RunUID {
			out.add(s.epoch == epoch, "%s: the mark was of epoch %d, the run was in epoch %d", e, s.epoch, epoch)
		}
	}
	return out
}

// fencing tells whether a deletion that had been recorded met the moment between the claim of
// a successor and its fence. The successor decides nothing before the fence stands, so it
// finds the deletion under way: nobody was deposed yet.
func (h *history) fencing(e Event) bool {
	epoch, user := h.epochAt(e.Received.Time)
	mark := h.stampAt(h.doomed(e), e.Received.Time)
	if user == e.User.Username || mark == nil || mark.run != h.RunUID || mark.epoch != epoch-1 {
		return false
	}
	claimed := false
	for _, s := range h.statuses {
		switch {
		case !s.Received.Time.Before(e.Received.Time):
		case s.run.Status.Epoch == epoch && claimed:
			return false // it went on already
		case s.run.Status.Epoch == epoch:
			inc := pinned(&s.run, h.doomed(e))
			if inc == nil || inc.DeleteRequestedAt == nil {
				return false
			}
			claimed = true
		case s.run.Status.Epoch == epoch-1 && s.User.Username != e.User.Username:
			return false // it had not been its run either
		}
	}
	return claimed
}

func provenFirst(h *history) []string {
	var out breaches
	for _, e := range h.deletes {
		run := h.statusAt(e.Received.Time)
		if run == nil || run.Status.Pinned == nil {
			out.add(false, "%s: nothing was recorded before", e)
			continue
		}
		p, preflight := run.Status.Pinned, phase(run, v1alpha1.PhasePreflight)
		out.add(p.Commit != "" && p.RenderDigest != "" && p.ClusterDigest != "" && p.Objects > 0, "%s: pinned were commit %q, digests %q and %q, %d objects", e, p.Commit, p.RenderDigest, p.ClusterDigest, p.Objects)
		out.add(preflight != nil && preflight.FinishedAt != nil, "%s: Preflight had not ended", e)
	}
	return out
}

func nothingDeletedInside(h *history) []string {
	var out breaches
	for _, e := range h.inside {
		out.add(e.Verb != "delete" && e.Verb != "deletecollection" || h.draining(e), "%s", e)
	}
	return out
}
